"""GetObject, awaitable, under asyncio and trio; see `fastget.s3`.

answer = await fastget.aio.s3.get_object(Bucket="bucket", Key="key")
async with answer["Body"] as body:
    async for chunk in body:
        ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import anyio.lowlevel

from fastget.aio import Client, _Call
from fastget.engine.cancellation import Cancellation
from fastget.s3 import CHUNK_SIZE, Options, request_object
from fastget.s3 import Body as _Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Unpack

    from fastget import client as _sync
    from fastget.events import Verification

__all__ = ["Body", "GetObjectOptions", "get_object"]


class GetObjectOptions(Options, total=False):
    """What `get_object` takes; `client` lends its connections and options, of whichever face it is."""

    client: Client | _sync.Client | None


async def get_object(**options: Unpack[GetObjectOptions]) -> dict[str, Any]:
    """See `fastget.s3.get_object`; `Body` is a `Body` of this module, and `client` one of either face."""
    given: dict[str, Any] = dict(options)
    if isinstance(given.get("client"), Client):
        given["client"] = given["client"].wrapped
    opened: list[_Reader] = []

    def ask(scope: Cancellation) -> dict[str, Any]:
        answer = request_object(given, scope)
        opened.append(answer["Body"])
        return answer

    scope = Cancellation()
    try:
        answer = await _Call(ask, scope).result()
    except BaseException:
        # The answer may have come in the moment of the cancellation, with nobody left to take it.
        for reader in opened:
            reader.close()
        raise
    return {**answer, "Body": Body(answer["Body"], scope)}


class Body:
    """The bytes of an answer, verified as they are read; see `fastget.s3.Body`.

    One task reads at a time. A read that is cancelled ends the body: its connection is closed, and what follows
    raises Cancelled. An async context manager, which closes, and an async iterator over chunks.
    """

    def __init__(self, reader: _Reader, scope: Cancellation) -> None:
        self._reader = reader
        self._scope = scope

    @property
    def verification(self) -> Verification | None:
        """What was compared with what, once the body has been read to its end or closed; None before."""
        return self._reader.verification

    async def read(self, amt: int | None = -1) -> bytes:
        """All that is left, or `amt` bytes, fewer only at the end."""
        return await self._take(lambda: self._reader.read(amt))

    async def readline(self) -> bytes:
        """Up to the next newline, which is kept."""
        return await self._take(self._reader.readline)

    async def _take(self, take: Callable[[], bytes]) -> bytes:
        try:
            return await _Call(lambda _: take(), self._scope).result()
        except Exception:
            raise
        except BaseException:  # cancelled: also a read that had not begun, or was through, ends the body
            self._reader.raw.close()  # not the reader, which would wait for a thread that is late to leave
            raise

    async def iter_chunks(self, chunk_size: int = CHUNK_SIZE) -> AsyncIterator[bytes]:
        """The body in pieces of `chunk_size` bytes, the last one shorter."""
        while chunk := await self.read(chunk_size):
            yield chunk

    async def iter_lines(self, chunk_size: int = CHUNK_SIZE, keepends: bool = False) -> AsyncIterator[bytes]:
        """The body by lines, without their ends unless `keepends`."""
        pending = b""
        async for chunk in self.iter_chunks(chunk_size):
            *lines, pending = (pending + chunk).splitlines(keepends=True)
            for line in lines:
                yield line.splitlines(keepends)[0]
        if pending:
            yield pending.splitlines(keepends)[0]

    def tell(self) -> int:
        """How many bytes have been read."""
        return self._reader.tell()

    async def close(self) -> None:
        """Drop what has not been read, which is then not verified; safe more than once. A checkpoint, as any close."""
        # Not in a thread: this has to happen in a task that is cancelled too, and waits for no network.
        self._reader.close()
        await anyio.lowlevel.checkpoint()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self.read(CHUNK_SIZE):
            return chunk
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"aio.{self._reader!r}"
