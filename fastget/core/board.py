"""Who fetches what: the chunks that are free, taken and landed.

Rule 1: a chunk has one holder at a time. Rule 2: the discovery stream starts at the front and runs on from chunk to
chunk; the others begin beyond it and take what lies nearest to it last, so that it is seldom cut short. Rule 3: what
was given back goes out first, from front to back, so that a sink that keeps order never waits for what nobody fetches.
The board knows no threads; its owner holds a lock around every call.
"""

from __future__ import annotations

from bisect import insort
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fastget.core.planner import Chunk


class State(Enum):
    FREE = "free"
    TAKEN = "taken"
    LANDED = "landed"


class Board:
    """The chunks of one pass and their states. `wanted` are the indexes to fetch (default: all); the rest has landed.

    `lead` is the number of chunks at the front that are left to the discovery stream as long as there are others;
    with 0 chunks are handed out from front to back.
    """

    def __init__(self, chunks: Sequence[Chunk], *, lead: int, wanted: Collection[int] | None = None) -> None:
        self._chunks = chunks
        free = range(len(chunks)) if wanted is None else frozenset(wanted)
        self._states = [State.LANDED] * len(chunks)
        for index in free:
            self._states[index] = State.FREE
        self._returned: list[Chunk] = []
        self._landed = len(chunks) - len(free)
        self._front = 0
        self._taken = 0
        self._order = chain(range(lead, len(chunks)), reversed(range(lead)))

    @property
    def is_complete(self) -> bool:
        return self._landed == len(self._chunks)

    @property
    def has_free(self) -> bool:
        """Whether a chunk waits for a worker."""
        return self._taken + self._landed < len(self._chunks)

    @property
    def first_returned(self) -> Chunk | None:
        """The chunk that `claim` hands out next because somebody gave it back."""
        return self._returned[0] if self._returned else None

    @property
    def front(self) -> int:
        """Index of the first chunk that has not landed; the number of chunks once all have."""
        while self._front < len(self._chunks) and self._states[self._front] is State.LANDED:
            self._front += 1
        return self._front

    def claim(self) -> Chunk | None:
        """The next chunk for a worker with nothing to do; None when every chunk is taken or landed."""
        if self._returned:
            return self._take(self._returned.pop(0))
        for index in self._order:
            if self._states[index] is State.FREE:
                return self._take(self._chunks[index])
        return None

    def claim_untouched(self, begun: Collection[int]) -> Chunk | None:
        """As `claim`, for one who cannot go on with what others have begun: the indexes in `begun` are left to them."""
        for chunk in self._returned:
            if chunk.index not in begun:
                self._returned.remove(chunk)
                return self._take(chunk)
        for index in self._order:
            if self._states[index] is not State.FREE:
                continue
            if index not in begun:
                return self._take(self._chunks[index])
            self._returned.append(self._chunks[index])
        return None

    def claim_at(self, index: int, *, even_returned: bool = False) -> Chunk | None:
        """The chunk at `index`, for a stream that has reached it; None when another worker holds it or has landed it.

        One that was given back half done is left to others, unless `even_returned`.
        """
        chunk = self._chunks[index]
        if self._states[index] is not State.FREE:
            return None
        if chunk in self._returned:
            if not even_returned:
                return None
            self._returned.remove(chunk)
        return self._take(chunk)

    def first_free(self, index: int) -> Chunk | None:
        """The first chunk from `index` on that nobody holds and that has not landed."""
        return next((chunk for chunk in self._chunks[index:] if self._states[chunk.index] is State.FREE), None)

    def give_back(self, chunk: Chunk) -> None:
        """A worker could not finish its chunk: it is handed out again before any other."""
        self._states[chunk.index] = State.FREE
        self._taken -= 1
        insort(self._returned, chunk, key=lambda returned: returned.index)

    def land(self, chunk: Chunk) -> None:
        """Every byte of the chunk is in the sink."""
        if self._states[chunk.index] is not State.LANDED:
            self._states[chunk.index] = State.LANDED
            self._landed += 1
            self._taken -= 1

    def _take(self, chunk: Chunk) -> Chunk:
        self._states[chunk.index] = State.TAKEN
        self._taken += 1
        return chunk
