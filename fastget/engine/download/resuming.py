"""Going on with an earlier download: what it has left is read again, and what is as it was counts as landed."""

from __future__ import annotations

import errno
import os
import threading
from bisect import bisect_right
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm, Hasher, new_hasher
from fastget.core.ranges import Span
from fastget.engine.download.digesting import BUFFER_SIZE
from fastget.engine.threads import ask_each
from fastget.errors import ChecksumMismatch, DestinationError, NotFound, ObjectDeleted, SourceChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastget.buffers import Buffer, Buffers
    from fastget.core.journal import Claim
    from fastget.core.planner import Chunk
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.pieces.piece import Piece
    from fastget.engine.pieces.task import Write
    from fastget.sinks.protocol import Leftover, Resumable

# Reading is bound by the memory, or by the disk, which a few threads saturate.
MOST_READERS = 8


class Rehash:
    """Reads what was left, with several threads, holds it to the digests of its claims, and feeds pieces with it.

    `write` takes bytes that lie in another file than the sink's. A claim that does not hold ends its piece there: what
    lies behind it is fetched. One that lies in several chunks is read once more, for its digest, by each of them.
    """

    def __init__(
        self,
        file: Resumable,
        leftover: Leftover,
        new_piece: Callable[[Chunk], Piece],
        write: Write,
        cancellation: Cancellation,
        buffers: Buffers,
    ) -> None:
        self._file = file
        self._claims = leftover.claims
        self._starts = [claim.span.start for claim in leftover.claims]
        self._write = write if leftover.is_elsewhere else None
        self._new_piece = new_piece
        self._cancellation = cancellation
        self._buffers = buffers
        self._own = threading.local()
        self._lent: list[Buffer] = []

    def pieces(self, chunks: Sequence[Chunk]) -> Iterator[Piece]:
        """The pieces of which something has landed, in order. Raises Cancelled, and what writing raises."""
        try:
            for _, piece in ask_each(self._take_over, chunks, readers(), "fastget-rehash", self._cancellation.cancel):
                if not piece.is_fresh:
                    yield piece
        finally:
            for lent in self._lent:
                lent.close()

    def _take_over(self, chunk: Chunk) -> Piece:
        return self._piece(chunk, self._contiguous(chunk))

    def _contiguous(self, chunk: Chunk) -> list[Claim]:
        """The claims that follow each other from the start of a chunk, up to the first one that leaves it."""
        found: list[Claim] = []
        position = chunk.span.start
        for at in range(max(bisect_right(self._starts, position) - 1, 0), len(self._claims)):
            claim = self._claims[at]
            if not claim.span.start <= position < min(claim.span.stop, chunk.span.stop):
                break
            found.append(claim)
            position = claim.span.stop
        return found

    def _piece(self, chunk: Chunk, claims: Sequence[Claim]) -> Piece:
        piece = self._new_piece(chunk)
        for index, claim in enumerate(claims):
            own = Span(max(claim.span.start, chunk.span.start), min(claim.span.stop, chunk.span.stop))
            is_whole = own == claim.span
            if not (is_whole or self._holds(claim)) or not self._takes(own, piece, claim.digest if is_whole else None):
                # Its hashers have seen what does not count.
                return self._piece(chunk, claims[:index])
            piece.go_on_at(own.stop)
        return piece

    def _holds(self, claim: Claim) -> bool:
        """Whether the bytes of a claim are as they were."""
        hasher = new_hasher(Algorithm.XXHASH3)
        return self._feed(claim.span, lambda _, data: hasher.update(data)) and hasher.digest() == claim.digest

    def _takes(self, span: Span, piece: Piece, expected: bytes | None) -> bool:
        """Feed a piece with the bytes that follow; False where they are not there, or have not the `expected` xxh3."""
        hasher = new_hasher(Algorithm.XXHASH3)
        if not self._feed(span, lambda position, data: self._take_in(hasher, piece, position, data)):
            return False
        if expected is not None and hasher.digest() != expected:
            return False
        if self._write is not None:
            self._file.claim(span, hasher.digest())
        return True

    def _take_in(self, hasher: Hasher, piece: Piece, position: int, data: memoryview) -> None:
        hasher.update(data)
        piece.take_in(data)
        if self._write is not None:
            self._write(position, data)

    def _feed(self, span: Span, take: Callable[[int, memoryview], None]) -> bool:
        buffer = self._buffer()
        position = span.start
        while position < span.stop:
            self._cancellation.check()
            count = self._read(position, buffer[: span.stop - position])
            if count == 0:
                return False
            take(position, buffer[:count])
            position += count
        return True

    def _read(self, position: int, buffer: memoryview) -> int:
        try:
            return self._file.read_claimed(position, buffer)
        except DestinationError:
            return 0  # what the disk does not give back is fetched again

    def _buffer(self) -> memoryview:
        found: memoryview | None = getattr(self._own, "buffer", None)
        if found is None:
            lent = self._buffers.lend(BUFFER_SIZE)
            self._lent.append(lent)
            found = self._own.buffer = lent.view
        return found


def readers() -> int:
    """How many threads read at once."""
    return min(os.cpu_count() or 1, MOST_READERS)


def is_worthless(error: BaseException, landed: int) -> bool:
    """Whether `error` says that the `landed` bytes must not be gone on with: the disk loses them, the object is gone.

    A digest that does not hold says nothing about the bytes that it does not cover: what is damaged was withdrawn, and
    does not count as landed.
    """
    if isinstance(error, ChecksumMismatch):
        return landed <= 0
    if isinstance(error, DestinationError):
        cause = error.__cause__
        return isinstance(cause, OSError) and cause.errno == errno.EIO
    return isinstance(error, SourceChanged | NotFound | ObjectDeleted)
