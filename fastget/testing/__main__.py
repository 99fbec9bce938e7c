"""`python -m fastget.testing`: an object server that runs until its input ends or SIGTERM comes.

It prints one line of JSON once it listens: `base_url`, and under `objects` the URL, size, ETag and checksum
of each.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastget.config import parse_size
from fastget.testing import sets
from fastget.testing.behaviour import Behaviour
from fastget.testing.process import ServedObject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from fastget.testing.objects import StoredObject
    from fastget.testing.server import ObjectServer


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until standard input ends."""
    parser = _parser()
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    chosen = _object_set(options)
    try:
        running = chosen.serve(options.port)
    except OSError as error:
        parser.error(f"cannot listen on port {options.port}: {error.strerror}")
    with running as server:
        sys.stdout.write(_announcement(server, chosen) + "\n")
        sys.stdout.flush()
        while sys.stdin.buffer.read(65536):
            pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fastget.testing", description="Serve objects on 127.0.0.1.")
    parser.add_argument("--objects", choices=("demo", "large", "small"), default="demo", help="which objects")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--size", type=parse_size, help="size of each object, such as 1G")
    parser.add_argument("--count", type=int, default=5000, help="how many small objects")
    parser.add_argument("--delay", type=_span, default=(0.0, 0.0), metavar="LOW-HIGH", help="to first byte, seconds")
    parser.add_argument("--rate", type=parse_size, help="bytes a second for each connection, such as 45M")
    return parser


def _object_set(options: argparse.Namespace) -> sets.ObjectSet:
    behaviour = Behaviour(first_byte_delay=options.delay, rate_per_connection=options.rate)
    size = {} if options.size is None else {"size": options.size}
    if options.objects == "demo":
        return sets.demo(**size)
    if options.objects == "large":
        return sets.large(behaviour=behaviour, **size)
    return sets.small(options.count, behaviour=behaviour, **size)


def _announcement(server: ObjectServer, chosen: sets.ObjectSet) -> str:
    objects = [asdict(_served(server, path, stored)) for path, stored in chosen.objects.items()]
    return json.dumps({"base_url": server.base_url, "objects": objects})


def _served(server: ObjectServer, path: str, stored: StoredObject) -> ServedObject:
    kind = "COMPOSITE" if stored.is_composite else "FULL_OBJECT"
    return ServedObject(
        url=server.url(path),
        path=path,
        size=stored.content.size,
        etag=stored.etag,
        checksum=None if stored.checksum is None else stored.checksum.value,
        checksum_type=None if stored.checksum is None else kind,
        parts=len(stored.parts),
    )


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
