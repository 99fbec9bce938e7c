"""Many ranges of one object, each in a memory of its own."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from fastget.buffers import OwnViews, shared_buffers
from fastget.config import Config
from fastget.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.core.coalesce import Fetch
    from fastget.core.ranges import Span

# What is read of a gap at once.
_LARGEST_SCRATCH = 256 * 1024
# Its number among the memories.
_OF_SCRATCH = -1


class ScatteredSink:
    """The caller's memories, seen as the object: what belongs to a range lands in its memory, a gap nowhere.

    `memories[i]` is as long as `spans[i]`, whose bytes it gets. `fetches` are all that will be written; where ranges
    overlap, the first one of the fetch gets the bytes, and `publish` copies them to the others.
    """

    is_seekable = True
    resumable = None
    path = None

    def __init__(
        self,
        spans: Sequence[Span],
        memories: Sequence[memoryview],
        fetches: Sequence[Fetch],
        max_memory: int = Config.max_memory,
    ) -> None:
        self._spans = spans
        self._memories = memories
        self._starts: list[int] = []
        self._places: list[memoryview] = []
        self._copies: list[tuple[int, int]] = []
        self._aborted = False
        self._views = OwnViews()
        widest = max((self._lay_out(fetch) for fetch in fetches), default=0)
        # Of all threads together: nobody reads it.
        self._lent = shared_buffers(max_memory).lend(min(widest, _LARGEST_SCRATCH))
        self._scratch = self._lent.view

    def _lay_out(self, fetch: Fetch) -> int:
        """Where the bytes of a fetch belong; returns the widest gap in it."""
        reached, holder, widest = fetch.span.start, -1, 0
        for member in fetch.members:
            span, memory = self._spans[member], self._memories[member]
            if span.start < reached:
                # Ranges come in the order of their starts: the one that reaches furthest holds all of what is shared.
                self._copies.append((member, holder))
            widest = max(widest, span.start - reached)
            if span.stop > reached:
                begin = max(span.start, reached)
                self._starts.append(begin)
                self._places.append(memory[begin - span.start :] if begin > span.start else memory)
                reached, holder = span.stop, member
        return widest

    def window(self, offset: int, length: int) -> memoryview:
        """Where the bytes from `offset` on are to be received: `length` of them at most, and one at least."""
        index = bisect_right(self._starts, offset) - 1
        if index >= 0:
            place = self._views.of(self._places[index], index)
            inside = offset - self._starts[index]
            if inside < len(place):
                return place if not inside and len(place) <= length else place[inside : inside + length]
        following = self._starts[index + 1] - offset if index + 1 < len(self._starts) else length
        return self._views.of(self._scratch, _OF_SCRATCH)[: min(length, following)]

    def check(self) -> None:
        """Nothing can be wrong with memory that is there."""

    def open(self, size: int | None) -> None:
        """The memory is there."""
        del size

    def write_at(self, offset: int, data: memoryview) -> None:
        """Copy `data` to the ranges that lie there. Raises Cancelled after `abort`."""
        if self._aborted:
            raise Cancelled("the transfer to memory was told to stop")
        while data:
            place = self.window(offset, len(data))
            place[:] = data[: len(place)]
            offset += len(place)
            data = data[len(place) :]

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Copy back what has landed; what lies in a gap is not kept."""
        filled = 0
        while filled < len(buffer):
            place = self.window(offset + filled, len(buffer) - filled)
            buffer[filled : filled + len(place)] = place
            filled += len(place)
        return filled

    def publish(self, size: int) -> None:
        """Everything has landed: the ranges that overlap others get their share."""
        del size
        for member, holder in self._copies:
            span, held = self._spans[member], self._spans[holder]
            stop = min(span.stop, held.stop)
            self._memories[member][: stop - span.start] = self._memories[holder][
                span.start - held.start : stop - held.start
            ]

    def discard(self) -> None:
        """The memory is the caller's, but for what gaps were received into; nobody may write any more.

        It is let go of here: what a transfer is made of lasts until the garbage is collected.
        """
        self._aborted = True
        self._lent.close()
        self._memories, self._places, self._scratch = (), [], memoryview(b"")
        self._views = OwnViews()

    def abort(self) -> None:
        """Refuse every later write, with Cancelled."""
        self._aborted = True
