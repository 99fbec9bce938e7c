"""Bytes of an object, given by their offsets: any size, without holding them all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Self

BLOCK_SIZE = 1024 * 1024
STAMP_SIZE = 8
# Odd, so that the product with every index below 2^64 is a different one: 2^64 divided by the golden ratio.
_SPREAD = 0x9E3779B97F4A7C15

Buffers = tuple[memoryview, ...]
# Gives buffers that together hold the bytes from one offset to another: views that share no count of views with those
# of other threads (`fastget.buffers.OwnViews`).
Reader = Callable[[int, int], Buffers]


class Content:
    """The content of a stored object: `size` bytes, each a function of its offset.

    Made by `Content.of` (bytes in memory) or `Content.generated` (pseudo-random, from a seed). Immutable and
    safe to read from many threads at once.
    """

    __slots__ = ("_reader", "size")

    def __init__(self, size: int, reader: Reader) -> None:
        self.size = size
        self._reader = reader

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Content that is held in memory."""
        held = bytes(data)
        return cls(len(held), lambda start, stop: (memoryview(held)[start:stop],))

    @classmethod
    def generated(cls, size: int, seed: int = 0) -> Self:
        """Pseudo-random content of `size` bytes in 1 MiB of memory; the same seed gives the same bytes.

        Every MiB is the same random block but for its first 8 bytes, into which its index is mixed: no two
        blocks are equal, so bytes that land at a wrong offset are found by any digest.
        """
        if size < 0:
            raise ValueError(f"a size is not negative: {size}")
        block = random.Random(seed).randbytes(min(BLOCK_SIZE, max(size, STAMP_SIZE)))
        root = int.from_bytes(block[:STAMP_SIZE], "big")

        def read(start: int, stop: int) -> Buffers:
            index, first = divmod(start, BLOCK_SIZE)
            last = first + stop - start
            if first >= STAMP_SIZE:
                return (memoryview(block)[first:last],)
            stamp = memoryview((root ^ index * _SPREAD % 2**64).to_bytes(STAMP_SIZE, "big"))
            return (stamp[first:last], memoryview(block)[STAMP_SIZE : max(last, STAMP_SIZE)])

        return cls(size, read)

    def window(self, start: int, size: int) -> Content:
        """The `size` bytes from `start` on as content of their own, sharing this one's memory."""
        if not 0 <= start <= start + size <= self.size:
            raise ValueError(f"{size} bytes from {start} lie outside of {self.size} bytes")

        def read(first: int, last: int) -> Buffers:
            return tuple(buffer for buffers in self.blocks(start + first, start + last) for buffer in buffers)

        return Content(size, read)

    def __len__(self) -> int:
        return self.size

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from `start` up to, not including, `stop` (default: the end), as one copy."""
        return b"".join(buffer for buffers in self.blocks(start, stop) for buffer in buffers)

    def blocks(self, start: int = 0, stop: int | None = None, limit: int = BLOCK_SIZE) -> Iterator[Buffers]:
        """The same bytes without a copy, at most `limit` (1 MiB) at a time, never across a MiB boundary."""
        end = self.size if stop is None else stop
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"{start} to {end} lies outside of {self.size} bytes")
        while start < end:
            following = min(start + limit, end, start - start % BLOCK_SIZE + BLOCK_SIZE)
            yield self._reader(start, following)
            start = following

    def __repr__(self) -> str:
        return f"Content({self.size} bytes)"
