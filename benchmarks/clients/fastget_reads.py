"""fastget's read of one object after the other, in each thread.

Usage: python -m benchmarks.clients.fastget_reads URL FILE THREADS NAMES
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import fastget
from benchmarks.clients.reads import read_all

if TYPE_CHECKING:
    from collections.abc import Callable


def reader(url: str) -> Callable[[str], bytes]:
    client = fastget.Client(require_verified=True)
    return lambda name: client.read(f"{url}/{name}")


if __name__ == "__main__":
    read_all(reader)
