"""How fast what an interrupted download has left is read again and held to its hashes: a part file of 95 %.

    python -m benchmarks.micro.resume [--size GIB] [--checksum CRC64NVME|SHA256|...] [--runs N] [--cold] [FOLDER]

Prints the median, the least and the most of the runs, in GB/s, from the answer to the question for the object to the
event that says how much is here; and the same by processor time, in GB a second of one processor, which holds where the
machine has other things to do. The page cache holds the file, where there is room for it, unless --cold.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fastget.client import Client
from fastget.engine.cancellation import Cancellation
from fastget.errors import Cancelled
from fastget.events import Event, Progress, Resumed, Started
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 2**30


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", default=tempfile.gettempdir())
    parser.add_argument("--size", type=float, default=2.0, help="GiB")
    parser.add_argument("--checksum", default="CRC64NVME")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--cold", action="store_true", help="have the system forget the file before each run")
    options = parser.parse_args()
    size = int(options.size * GIB)
    stored = StoredObject(Content.generated(size, seed=1), checksum=Algorithm[options.checksum])
    with ObjectServer({"/k": stored}) as server, tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "k"
        _leave(server.url("/k"), path, size * 95 // 100)
        found = []
        for _ in range(options.runs):
            if options.cold:
                _forget(path.parent)
            found.append(_read_again(server.url("/k"), path))
    by_clock, by_processor = (sorted(rates) for rates in zip(*found, strict=True))
    sys.stdout.write(f"{options.checksum}, {options.size} GiB, {options.runs} runs, GB/s\n")
    for name, rates in (("by the clock", by_clock), ("of one processor", by_processor)):
        sys.stdout.write(f"  {name}: {statistics.median(rates):.2f} ({rates[0]:.2f} to {rates[-1]:.2f})\n")


def _leave(url: str, path: Path, wanted: int) -> None:
    """A download that is stopped when so much has landed."""
    scope = Cancellation()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.landed >= wanted:
            scope.cancel()

    _run(url, path, scope, stop)


def _read_again(url: str, path: Path) -> tuple[float, float]:
    """Bytes a nanosecond, by the clock and by the processor, until the download would go on: there it is stopped."""
    scope = Cancellation()
    began = ended = (0, 0)
    landed = 0

    def time_it(event: Event) -> None:
        nonlocal began, ended, landed
        if isinstance(event, Started):
            began = _now()
        elif isinstance(event, Resumed):
            ended, landed = _now(), event.landed
            scope.cancel()

    _run(url, path, scope, time_it)
    return landed / (ended[0] - began[0]), landed / (ended[1] - began[1])


def _forget(folder: Path) -> None:
    """Have the page cache drop what lies in a folder."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _now() -> tuple[int, int]:
    return time.perf_counter_ns(), time.process_time_ns()


def _run(url: str, path: Path, scope: Cancellation, handle: Callable[[Event], None]) -> None:
    try:
        with Client() as client:
            client.transfer_to_file(url, path, scope, on_event=handle)
    except Cancelled:
        return
    raise RuntimeError("the download came to its end before it could be stopped")


if __name__ == "__main__":
    main()
