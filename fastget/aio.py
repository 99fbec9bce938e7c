"""The same verbs, awaitable, under asyncio and trio.

The engine's threads do the work; cancelling the awaiting task shuts the sockets of its transfer, and returns to the
caller once its threads are gone and nothing stands under the final name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import anyio.to_thread

from fastget import client as _sync
from fastget.engine.cancellation import Cancellation

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.events import Result

__all__ = ["Client", "download", "head", "read"]

T = TypeVar("T")
# Each running call holds one thread of its own; the engine bounds connections, this bounds callers.
MAXIMUM_CALLS = 256
# After a cancellation the threads are gone in milliseconds, unless one sits in the system's name resolution.
PATIENCE = 1.0


class Client:
    """`fastget.Client` with awaitable verbs. Use it as an async context manager, or call `close()`."""

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        self._client = _sync.Client(config, **options)
        self._limiter: anyio.CapacityLimiter | None = None

    @property
    def config(self) -> Config:
        return self._client.config

    async def download(self, url: str, path: _sync.PathLike, **options: Any) -> Result:
        """See `fastget.Client.download`."""
        return await self._call(lambda scope: self._client.transfer_to_file(url, path, scope, **options))

    async def read(self, url: str, start: int | None = None, stop: int | None = None, **options: Any) -> bytes:
        """See `fastget.Client.read`."""
        return await self._call(lambda scope: self._client.transfer_to_memory(url, start, stop, scope, **options))

    async def head(self, url: str, **options: Any) -> ObjectInfo:
        """See `fastget.Client.head`."""
        return await self._call(lambda scope: self._client.ask(url, scope, **options))

    def close(self) -> None:
        """Close the connections; this does not block."""
        self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    async def _call(self, work: Callable[[Cancellation], T]) -> T:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(MAXIMUM_CALLS)
        scope, ended = Cancellation(), threading.Event()
        try:
            return await anyio.to_thread.run_sync(
                partial(_until_end, work, scope, ended), abandon_on_cancel=True, limiter=self._limiter
            )
        except anyio.get_cancelled_exc_class():
            scope.cancel()
            with anyio.CancelScope(shield=True), anyio.move_on_after(PATIENCE):
                while not ended.is_set():
                    await anyio.sleep(0.002)
            raise


def _until_end(work: Callable[[Cancellation], T], scope: Cancellation, ended: threading.Event) -> T:
    try:
        scope.check()
        return work(scope)
    finally:
        ended.set()


async def download(url: str, path: _sync.PathLike, **options: Any) -> Result:
    """Fetch one object into a file with a client of its own; see `fastget.download`."""
    async with Client() as client:
        return await client.download(url, path, **options)


async def read(url: str, start: int | None = None, stop: int | None = None, **options: Any) -> bytes:
    """The bytes of an object, or a slice of them; see `fastget.read`."""
    async with Client() as client:
        return await client.read(url, start, stop, **options)


async def head(url: str, **options: Any) -> ObjectInfo:
    """The facts of an object; see `fastget.head`."""
    async with Client() as client:
        return await client.head(url, **options)
