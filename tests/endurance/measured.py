"""`python -m tests.endurance.measured VERB BASE PATH SIZE`: a process whose peak of memory above import is printed.

It imports nothing but fastget, so that whatever a transfer needs beside counts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import fastget
from fastget import client

if TYPE_CHECKING:
    from collections.abc import Callable

# Small objects that are asked for again and again.
DIFFERENT = 100


def main(verb: str, base: str, path: str, size: str) -> None:
    """Do it, and print the peak above that of the import, in bytes."""
    before = _peak()
    _VERBS[verb](base, path, int(size))
    sys.stdout.write(json.dumps(_peak() - before))


def _peak() -> int:
    """Of this program image alone: the resident maximum of getrusage(2) outlives exec(2) on Linux."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("there is no peak in /proc/self/status")


def _file(base: str, path: str, size: int, **options: int) -> None:
    result = fastget.download(base + path, "object.bin", fsync=False, **options)
    _check(result.size == size and result.verification.verified)


def _null(base: str, path: str, size: int) -> None:
    result = fastget.download(base + path, "/dev/null")
    _check(result.size == size and result.verification.verified)


def _slow_disk(base: str, path: str, size: int) -> None:
    write = os.pwrite

    def slow(descriptor: int, data: memoryview, offset: int) -> int:
        time.sleep(len(data) / 400e6)
        return write(descriptor, data, offset)

    os.pwrite = slow  # type: ignore[assignment]
    _file(base, path, size)


def _slow_reader(base: str, path: str, size: int) -> None:
    read = 0
    with fastget.stream(base + path) as stream:
        for view in stream:
            read += len(view)
            time.sleep(len(view) / 200e6)
    _check(read == size)


def _pull(base: str, path: str, size: int) -> None:
    del path
    items = ((f"{base}/s/{at % DIFFERENT}", f"{at // 1000}/{at}") for at in range(size))
    result = fastget.pull(items, "all", fsync=False)
    _check(result.done == size)


def _large_pull(base: str, path: str, size: int) -> None:
    result = fastget.pull([(base + path, str(at)) for at in range(40)], "all", fsync=False, jobs=32)
    _check((result.done, result.size) == (40, 40 * size))


def _check(holds: bool) -> None:
    if not holds:
        raise RuntimeError("it came otherwise than it is")


_VERBS: dict[str, Callable[[str, str, int], None]] = {
    "file": _file,
    "null": _null,
    "slow disk": _slow_disk,
    "slow reader": _slow_reader,
    "connections": lambda base, path, size: _file(base, path, size, connections=100),
    "pull": _pull,
    "large pull": _large_pull,
}


if __name__ == "__main__":
    del client  # the plain functions load it
    main(*sys.argv[1:])
