"""The same verbs, awaitable, under asyncio and trio.

The engine's threads do the work; cancelling the awaiting task shuts the sockets of its transfer, and returns to the
caller once its threads are gone and nothing stands under the final name, unless all was through in that very moment.
An `on_event` handler is called in the thread of its transfer, not in the event loop's.
"""

from __future__ import annotations

import threading
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from fastget import client as _sync
from fastget.engine.cancellation import Cancellation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from _typeshed import WriteableBuffer

    from fastget.aio import s3
    from fastget.bulk.items import Pullable
    from fastget.bulk.outcome import PullResult
    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.reading.streaming import ObjectStream
    from fastget.events import Result

__all__ = ["Client", "download", "head", "ls", "pull", "read", "read_into", "read_ranges", "s3", "stream"]

T = TypeVar("T")
# Each running call holds one thread of its own; the engine bounds connections, this bounds callers.
MAXIMUM_CALLS = 256
# After a cancellation the threads are gone in milliseconds, unless one sits in the system's name resolution.
PATIENCE = 1.0

_limiters: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("fastget-callers")


class Client:
    """`fastget.Client` with awaitable verbs. Use it as an async context manager, or call `close()`.

    It belongs to no event loop: one client may serve several, also under different backends.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        self._client = _sync.Client(config, **options)

    @property
    def config(self) -> Config:
        return self._client.config

    @property
    def wrapped(self) -> _sync.Client:
        """The synchronous client that does the work."""
        return self._client

    async def download(self, url: str, path: _sync.PathLike, **options: Any) -> Result:
        """See `fastget.Client.download`."""
        return await _Call(lambda scope: self._client.transfer_to_file(url, path, scope, **options)).result()

    async def read(self, url: str, start: int | None = None, stop: int | None = None, **options: Any) -> bytes:
        """See `fastget.Client.read`."""
        return await _Call(lambda scope: self._client.transfer_to_memory(url, start, stop, scope, **options)).result()

    async def read_into(self, url: str, buffer: WriteableBuffer, start: int | None = None, **options: Any) -> Result:
        """See `fastget.Client.read_into`. Once this has ended, in whatever way, the buffer is left alone."""
        return await _Call(lambda scope: self._client.transfer_to_buffer(url, buffer, start, scope, **options)).result()

    async def read_ranges(
        self,
        url: str,
        ranges: Iterable[tuple[int, int]],
        into: WriteableBuffer | Sequence[WriteableBuffer] | None = None,
        **options: Any,
    ) -> list[memoryview]:
        """See `fastget.Client.read_ranges`. Once this has ended, in whatever way, the buffers are left alone."""
        return await _Call(lambda scope: self._client.transfer_ranges(url, ranges, into, scope, **options)).result()

    def stream(self, url: str, start: int | None = None, stop: int | None = None, **options: Any) -> Stream:
        """An asynchronous iterator over what `fastget.Client.stream` gives. InvalidURL and ConfigError come at once."""
        scope = Cancellation()
        return Stream(self._client.open_stream(url, start, stop, scope, **options), scope)

    async def head(self, url: str, **options: Any) -> ObjectInfo:
        """See `fastget.Client.head`."""
        return await _Call(lambda scope: self._client.ask(url, scope, **options)).result()

    def ls(self, url: str, **options: Any) -> Listing:
        """An asynchronous iterator over what `fastget.Client.ls` lists. InvalidURL and ConfigError come at once."""
        scope = Cancellation()
        return Listing(self._client.list_pages(url, scope, **options), scope)

    async def pull(self, what: Pullable, directory: _sync.PathLike, **options: Any) -> PullResult:
        """See `fastget.Client.pull`. An iterable of URLs is read in the thread of the pull."""
        return await _Call(lambda scope: self._client.transfer_many(what, directory, scope, **options)).result()

    def close(self) -> None:
        """Close the connections; this does not block."""
        self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"aio.Client({self.config!r})"

    def __reduce__(self) -> tuple[type[Client], tuple[Config]]:
        return type(self), self._client.__reduce__()[1]


class Listing:
    """The entries of a listing, fetched a page at a time. It may be left at any point: between pages nothing is held.

    A page that is cancelled ends the listing.
    """

    def __init__(
        self, pages: Iterator[list[ObjectInfo]], scope: Cancellation, owned: _sync.Client | None = None
    ) -> None:
        self._pages = pages
        self._scope = scope
        self._owned = owned
        self._page: deque[ObjectInfo] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ObjectInfo:
        if not self._page:
            # The threads that go through the pages take turns, each waited for, so that none meets another in them.
            try:
                self._page.extend(await _Call(lambda _: next(self._pages, []), self._scope).result())
            except BaseException:
                self._end()
                raise
        if self._page:
            return self._page.popleft()
        self._end()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """List no further; what comes after is nothing."""
        self._end()
        await anyio.lowlevel.checkpoint()

    def _end(self) -> None:
        self._page.clear()
        self._pages = iter(())
        if self._owned is not None:
            self._owned.close()


class Stream:
    """The bytes of an object as memoryviews in order, each valid until the next one is asked for. See ObjectStream.

    An asynchronous context manager: leaving it, `aclose`, or cancelling whoever waits for a view ends every thread and
    connection. What is asked of it afterwards is nothing; after a wait that was cancelled, which must not look like the
    object's end, it raises Cancelled.
    """

    def __init__(self, stream: ObjectStream, scope: Cancellation) -> None:
        self._stream = stream
        self._scope = scope
        self._is_closed = False

    @property
    def result(self) -> Result | None:
        """What a download would have returned; None before the end."""
        return self._stream.result

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        if self._is_closed:
            raise StopAsyncIteration
        try:
            view = await _Call(lambda _: next(self._stream, None), self._scope).result()
        except Exception:
            self._is_closed = True
            await self._end()
            raise
        except BaseException:
            await self._end()
            raise
        if view is None:
            raise StopAsyncIteration
        return view

    async def aclose(self) -> None:
        """End it; what has not been read is dropped, and nothing more is verified. Safe to call more than once.

        A checkpoint, as trio wants one of every close: in a scope that is cancelled it ends all the same, then raises.
        """
        self._is_closed = True
        await self._end()
        await anyio.lowlevel.checkpoint()

    async def _end(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._stream.close, limiter=anyio.CapacityLimiter(1))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


class _Call(Generic[T]):
    """One piece of work on a thread of its own, and the way to end it early.

    `scope` is what the work is cancelled by; without one it gets a new one.
    """

    def __init__(self, work: Callable[[Cancellation], T], scope: Cancellation | None = None) -> None:
        self._work = work
        self._scope = scope or Cancellation()
        self._began = threading.Event()
        self._ended = threading.Event()

    async def result(self) -> T:
        """What the work returns or raises; it is stopped when the awaiting task is cancelled or interrupted."""
        try:
            return await anyio.to_thread.run_sync(self._run, abandon_on_cancel=True, limiter=_limiter())
        except BaseException as error:
            if not (isinstance(error, Exception) and self._ended.is_set()):  # what failed by itself has stopped
                await self._stop()
            raise

    def _run(self) -> T:
        self._began.set()
        try:
            self._scope.check()
            return self._work(self._scope)
        finally:
            self._ended.set()

    async def _stop(self) -> None:
        self._scope.cancel()
        # A thread that begins only now finds the scope cancelled.
        if self._began.is_set():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._ended.wait, PATIENCE, limiter=anyio.CapacityLimiter(1))


def _limiter() -> anyio.CapacityLimiter:
    """The limiter of this event loop: one of another loop cannot be waited for here."""
    try:
        return _limiters.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(MAXIMUM_CALLS)
        _limiters.set(limiter)
        return limiter


async def download(url: str, path: _sync.PathLike, **options: Any) -> Result:
    """Fetch one object into a file with a client of its own; see `fastget.download`."""
    async with Client() as client:
        return await client.download(url, path, **options)


async def read(url: str, start: int | None = None, stop: int | None = None, **options: Any) -> bytes:
    """The bytes of an object, or a slice of them; see `fastget.read`."""
    async with Client() as client:
        return await client.read(url, start, stop, **options)


async def pull(what: Pullable, directory: _sync.PathLike, **options: Any) -> PullResult:
    """Fetch many objects into a directory with a client of its own; see `fastget.pull`."""
    async with Client() as client:
        return await client.pull(what, directory, **options)


async def read_into(url: str, buffer: WriteableBuffer, start: int | None = None, **options: Any) -> Result:
    """Fetch an object, or what follows `start`, into a writable buffer; see `fastget.Client.read_into`."""
    async with Client() as client:
        return await client.read_into(url, buffer, start, **options)


async def read_ranges(
    url: str,
    ranges: Iterable[tuple[int, int]],
    into: WriteableBuffer | Sequence[WriteableBuffer] | None = None,
    **options: Any,
) -> list[memoryview]:
    """The bytes of many ranges of an object; see `fastget.Client.read_ranges`."""
    async with Client() as client:
        return await client.read_ranges(url, ranges, into, **options)


def ls(url: str, **options: Any) -> Listing:
    """An asynchronous iterator over the objects of `s3://bucket/prefix`; see `fastget.Client.ls`."""
    client, scope = _sync.Client(), Cancellation()
    return Listing(client.list_pages(url, scope, **options), scope, client)


def stream(url: str, start: int | None = None, stop: int | None = None, **options: Any) -> Stream:
    """An asynchronous iterator over the bytes of an object; see `fastget.Client.stream`."""
    client, scope = _sync.Client(), Cancellation()
    return Stream(client.open_stream(url, start, stop, scope, on_end=client.close, **options), scope)


async def head(url: str, **options: Any) -> ObjectInfo:
    """The facts of an object; see `fastget.head`."""
    async with Client() as client:
        return await client.head(url, **options)


def __getattr__(name: str) -> Any:
    """`s3` is loaded when it is first used: it needs what downloads do not."""
    if name == "s3":
        return import_module("fastget.aio.s3")
    raise AttributeError(f"module 'fastget.aio' has no attribute {name!r}")
