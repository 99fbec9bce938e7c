"""`python -m fastget.testing`: an object server that runs until its input ends or SIGTERM comes.

It prints one line of JSON once it listens: `base_url`, and under `objects` the URL, size, ETag and checksum
of each.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from fastget.config import parse_size
from fastget.errors import ConfigError
from fastget.testing import sets
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
    parser.add_argument("--port", type=_port, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--size", type=_size, help="size of each object, such as 1G")
    parser.add_argument("--count", type=_count, default=5000, help="how many small objects")
    parser.add_argument("--delay", type=_span, metavar="LOW-HIGH", help="to first byte, seconds")
    parser.add_argument("--rate", type=_size, help="bytes a second for each connection, such as 45M")
    return parser


def _object_set(options: argparse.Namespace) -> sets.ObjectSet:
    size = {} if options.size is None else {"size": options.size}
    if options.objects == "demo":
        chosen = sets.demo(**size)
    elif options.objects == "large":
        chosen = sets.large(**size)
    else:
        chosen = sets.small(options.count, **size)
    told = {"first_byte_delay": options.delay, "rate_per_connection": options.rate}
    given = {name: value for name, value in told.items() if value is not None}
    return replace(chosen, behaviour=replace(chosen.behaviour, **given))


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


def _size(text: str) -> int:
    with suppress(ConfigError):
        if size := parse_size(text):
            return size
    raise argparse.ArgumentTypeError(f"{text!r} is not a size above zero: write it as 16M, or a number of bytes")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of objects")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: they go up to 65535")
    return int(text)


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    with suppress(ValueError):
        if 0 <= float(low) <= float(high or low) < math.inf:
            return float(low), float(high or low)
    raise argparse.ArgumentTypeError(f"{text!r} is no span of seconds: write it as 0.03-0.06, or one number")


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
