"""The limit of the machine: threads that ask for a range, receive it into memory, and look at nothing.

Usage: python -m benchmarks.clients.bare_ranges URL FILE THREADS COUNT LENGTH
"""

import mmap
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from benchmarks.clients.bare_loop import Origin
from benchmarks.objects import Ranges, digest_of


def main() -> None:
    url, path = sys.argv[1:3]
    threads, count, length = map(int, sys.argv[3:])
    origin = Origin(url)
    memory = memoryview(mmap.mmap(-1, count * length))
    failures: list[BaseException] = []
    threading.excepthook = lambda failure: failures.append(failure.exc_value or failure.exc_type())
    left = iter(enumerate(Ranges(count, length).spans()))
    workers = [threading.Thread(target=_fetch, args=(origin, memory, left)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    Path(path).write_text(digest_of([memory]))


def _fetch(origin: Origin, memory: memoryview, left: Iterator[tuple[int, tuple[int, int]]]) -> None:
    with origin.connect() as connection:
        for number, (start, stop) in left:
            size, body = origin.ask(connection, f"Range: bytes={start}-{stop - 1}\r\n")
            if size != stop - start:
                raise ValueError("the server does not serve ranges")
            origin.receive(connection, body, memory[number * size : (number + 1) * size])


if __name__ == "__main__":
    main()
