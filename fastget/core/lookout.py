"""Whether a number of connections that was found still brings what it did: asked where servers may change meanwhile.

How it was chosen: docs/design/0005.
"""

from __future__ import annotations

# A settled number that brings less than this share of what it brought, in so many looks in a row, is found anew. Where
# it comes back to nearly all of it, that was the server's doing.
FALLEN, LOOKS = 0.5, 2
RECOVERED = 0.9


class Lookout:
    """Told of each look at a settled number. Rates are bytes a second."""

    def __init__(self) -> None:
        # What the settled number has brought at most, and the looks in which it brought less.
        self._rate = 0.0
        self._fallen = 0
        # The number that is being found anew, and what it had brought.
        self._before: tuple[int, float] | None = None

    def misses(self, rate: float, *, is_idle: bool) -> bool:
        """Whether too little comes for too long. With the processors at work it is not connections that are missing."""
        if not (is_idle and 0 < rate < FALLEN * self._rate):
            self._rate, self._fallen = max(self._rate, rate), 0
            return False
        self._fallen += 1
        return self._fallen == LOOKS

    def reopen(self, count: int) -> None:
        """`count` is the number that is found anew from now on."""
        self._before = count, self._rate
        self._rate, self._fallen = 0.0, 0

    def recovered(self, rate: float) -> int | None:
        """The number before, where this is the rate that it had brought: it was not connections that were missing."""
        if self._before is None or rate < RECOVERED * self._before[1]:
            return None
        (count, self._rate), self._before = self._before, None
        return count
