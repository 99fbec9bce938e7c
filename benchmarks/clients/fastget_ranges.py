"""fastget's read_ranges: the number of connections is left to it, unless one is given.

Usage: python -m benchmarks.clients.fastget_ranges URL FILE CONNECTIONS COUNT LENGTH
"""

import sys
from pathlib import Path

import fastget
from benchmarks.objects import Ranges, digest_of


def main() -> None:
    url, path = sys.argv[1:3]
    connections, count, length = map(int, sys.argv[3:])
    found = fastget.read_ranges(url, Ranges(count, length).spans(), connections=connections or None)
    Path(path).write_text(digest_of(found))


if __name__ == "__main__":
    main()
