"""obstore's get of one object after the other, in each thread.

Usage: python -m benchmarks.clients.obstore_reads URL FILE THREADS NAMES
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import obstore

from benchmarks.clients.obstore_many import store_of
from benchmarks.clients.reads import read_all

if TYPE_CHECKING:
    from collections.abc import Callable


def reader(url: str) -> Callable[[str], bytes]:
    store = store_of(url)
    return lambda name: bytes(obstore.get(store, name).bytes())


if __name__ == "__main__":
    read_all(reader)
