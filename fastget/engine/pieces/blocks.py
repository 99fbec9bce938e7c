"""What a journal is told of a piece on its way: each block of it, once its bytes are written, with their xxh3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fastget.core.checksums.algorithms import Algorithm, Hasher, new_hasher
from fastget.core.ranges import Span

if TYPE_CHECKING:
    from fastget.core.planner import Chunk


class Claims(Protocol):
    """Where claims go; from any thread, and without failing."""

    def claim(self, span: Span, digest: bytes) -> None: ...

    def withdraw(self, span: Span) -> None: ...


class Blocks:
    """The block that one piece is in. Blocks end at multiples of `size`, so that another plan finds the same ones."""

    __slots__ = ("_chunk", "_claims", "_hasher", "_size", "_start", "_stop")

    def __init__(self, claims: Claims, size: int, chunk: Chunk) -> None:
        self._claims = claims
        self._size = size
        self._chunk = chunk
        self._begin(chunk.span.start)

    def take_in(self, position: int, data: memoryview) -> None:
        """The bytes from `position` on have been written; they follow those before, and are still in the cache."""
        while position + len(data) >= self._stop:
            own = data[: self._stop - position]
            self._hasher.update(own)
            position += len(own)
            self.end(position)
            data = data[len(own) :]
        if data:
            self._hasher.update(data)

    def end(self, position: int) -> None:
        """Claim what the block has up to `position`, and begin another one there."""
        if position > self._start:
            self._claims.claim(Span(self._start, position), self._hasher.digest())
            self._begin(position)

    def go_on(self, position: int) -> None:
        """What lies before `position` is claimed already."""
        self._begin(position)

    def restart(self) -> None:
        """Nothing of the piece can be believed."""
        self._claims.withdraw(self._chunk.span)
        self._begin(self._chunk.span.start)

    def _begin(self, position: int) -> None:
        self._start = position
        self._stop = position - position % self._size + self._size
        self._hasher: Hasher = new_hasher(Algorithm.XXHASH3)
