"""The limit of the machine: threads that ask for an object, write it under its name, and look at nothing.

Usage: python -m benchmarks.clients.bare_many URL DIRECTORY THREADS NAMES
"""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from benchmarks.clients.bare_loop import Origin

_LONGEST = 1024 * 1024


def main() -> None:
    bucket_url, directory, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    left = iter(Path(sys.argv[4]).read_text().split())
    origin = Origin(bucket_url)
    directory.mkdir()
    failures: list[BaseException] = []
    threading.excepthook = lambda failure: failures.append(failure.exc_value or failure.exc_type())
    workers = [threading.Thread(target=_fetch, args=(origin, bucket_url, directory, left)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]


def _fetch(origin: Origin, bucket_url: str, directory: Path, left: Iterator[str]) -> None:
    memory = memoryview(bytearray(_LONGEST))
    with origin.connect() as connection:
        for name in left:
            size, body = Origin(f"{bucket_url}/{name}").ask(connection, "")
            origin.receive(connection, body, memory[:size])
            file = os.open(directory / os.path.basename(name), os.O_WRONLY | os.O_CREAT, 0o644)  # noqa: PTH119
            os.write(file, memory[:size])
            os.close(file)


if __name__ == "__main__":
    main()
