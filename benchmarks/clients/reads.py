"""What the clients share that read many objects into memory: arguments, threads, and a digest at the end."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.objects import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable


def read_all(reader: Callable[[str], Callable[[str], bytes]]) -> None:
    """Arguments: URL FILE THREADS NAMES. `reader` gives, for the URL of a bucket, what reads the object of a name."""
    url, path, threads, names = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]).read_text().split()
    read = reader(url)
    if threads == 1:
        found = [read(name) for name in names]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(read, names))
    path.write_text(digest_of(found))
