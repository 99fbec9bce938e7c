"""The verbs as plain functions: each makes a client of its own, and closes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastget.client import Client
from fastget.engine.cancellation import Cancellation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from _typeshed import WriteableBuffer

    from fastget.bulk.items import Pullable
    from fastget.bulk.outcome import PullResult
    from fastget.client import PathLike
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.reading.streaming import ObjectStream
    from fastget.events import Result


def download(url: str, path: PathLike, **options: Any) -> Result:
    """Fetch one object into a file with a client of its own; see `Client.download`."""
    with Client() as client:
        return client.download(url, path, **options)


def read(url: str, start: int | None = None, stop: int | None = None, **options: Any) -> bytes:
    """The bytes of an object, or a slice of them, with a client of its own; see `Client.read`."""
    with Client() as client:
        return client.read(url, start, stop, **options)


def read_into(url: str, buffer: WriteableBuffer, start: int | None = None, **options: Any) -> Result:
    """Fetch an object, or what follows `start`, into a writable buffer; see `Client.read_into`."""
    with Client() as client:
        return client.read_into(url, buffer, start, **options)


def read_ranges(
    url: str,
    ranges: Iterable[tuple[int, int]],
    into: WriteableBuffer | Sequence[WriteableBuffer] | None = None,
    **options: Any,
) -> list[memoryview]:
    """The bytes of many ranges of an object, with a client of its own; see `Client.read_ranges`."""
    with Client() as client:
        return client.read_ranges(url, ranges, into, **options)


def stream(url: str, start: int | None = None, stop: int | None = None, **options: Any) -> ObjectStream:
    """The bytes of an object, or a slice of them, as an iterator of memoryviews; see `Client.stream`."""
    client = Client()
    return client.open_stream(url, start, stop, Cancellation(), on_end=client.close, **options)


def pull(what: Pullable, directory: PathLike, **options: Any) -> PullResult:
    """Fetch many objects into a directory with a client of its own; see `Client.pull`."""
    with Client() as client:
        return client.pull(what, directory, **options)


def ls(url: str, **options: Any) -> Iterator[ObjectInfo]:
    """The objects of `s3://bucket/prefix`, with a client of its own; see `Client.ls`."""
    client = Client()
    listed = client.ls(url, **options)

    def entries() -> Iterator[ObjectInfo]:
        with client:
            yield from listed

    return entries()


def head(url: str, **options: Any) -> ObjectInfo:
    """The facts of an object, with a client of its own; see `Client.head`."""
    with Client() as client:
        return client.head(url, **options)
