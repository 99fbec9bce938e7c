"""Which address has brought which chunk: what is damaged is laid to it, and the next time another one is asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastget.core.addresses import Trouble
    from fastget.core.planner import Chunk
    from fastget.transport.resolver import Peer

# Answers of another version that are held against their address alone, before they count for a change of the object.
MOST_EXCUSES = 40


class Givers:
    """The addresses that a transfer has to do with, over all of its passes. `home` has answered its first request.

    Threads write of chunks that they hold alone; only the count of excuses is changed by several of them.
    """

    def __init__(self) -> None:
        self.home: Peer | None = None
        self._seen: set[Peer] = set()
        self._now: dict[int, frozenset[Peer]] = {}
        self._before: dict[int, frozenset[Peer]] = {}
        # One of each: a set of its own for each chunk is a quarter of a kilobyte.
        self._sets: dict[frozenset[Peer], frozenset[Peer]] = {}
        self._excused = 0
        self._lock = threading.Lock()  # around that count

    @property
    def count(self) -> int:
        """The number of addresses that have brought anything."""
        return len(self._seen)

    def begin_pass(self) -> None:
        """What was fetched up to now is going to be fetched again, from others."""
        self._before = {**self._before, **self._now}
        self._now = {}

    def note(self, chunk: Chunk, position: int, peer: Peer | None) -> None:
        """An answer brings bytes of a chunk, from `position` on."""
        if peer is None:
            return
        self._seen.add(peer)
        others = frozenset() if position == chunk.span.start else self._now.get(chunk.index, frozenset())
        found = others | {peer}
        self._now[chunk.index] = self._sets.setdefault(found, found)

    def to_avoid(self, index: int) -> Peer | None:
        """Who has brought a chunk in the pass before."""
        return _only(self._before.get(index))

    def blame(self, index: int, trouble: Trouble) -> None:
        """Hold something against the address that has brought a chunk, where it was one alone."""
        if (peer := _only(self._now.get(index))) is not None:
            peer.blame(trouble)

    def excuse(self, peer: Peer | None) -> bool:
        """Whether it may be the address alone that has another version of the object, not yet or no longer this one.

        True so many times, and never of the address whose version it is.
        """
        if self.home is None or peer is None or peer == self.home or peer.host is not self.home.host:
            return False
        with self._lock:
            self._excused += 1
            return self._excused <= MOST_EXCUSES


def _only(peers: frozenset[Peer] | None) -> Peer | None:
    return next(iter(peers)) if peers is not None and len(peers) == 1 else None
