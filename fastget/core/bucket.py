"""How many bytes a second: a token bucket. Told times and bytes, it answers how much may be received, and when.

Grants are handed out in turn: each is due when those before it have been paid for, so that however many connections
ask, they get the same share, and all of them together the rate. Bytes and seconds.
"""

from __future__ import annotations

from fastget.records import record

# What was not received while nobody asked, or the server was slow, may be made up for: so many seconds of it.
CREDIT = 0.25
# Grants a second: few enough for Python, many enough to look like a flow.
GRANTS = 50
# Past this a larger read saves nothing worth having, and connections would not get the same share.
LARGEST_GRANT = 256 * 1024


@record
class Grant:
    """`count` bytes may be received in `wait` seconds."""

    count: int
    wait: float


class TokenBucket:
    """`rate` bytes a second, of which none are saved up at the beginning. Not safe in threads."""

    __slots__ = ("_due", "_quantum", "_rate")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._quantum = max(1, min(rate // GRANTS, LARGEST_GRANT))
        self._due = now

    def ask(self, now: float, wanted: int) -> Grant:
        """A grant of at most `wanted` bytes, at least one. It counts as received: see `give_back`."""
        due = max(self._due, now - CREDIT)
        count = min(wanted, self._quantum)
        self._due = due + count / self._rate
        return Grant(count, max(0.0, due - now))

    def give_back(self, count: int) -> None:
        """So many bytes of a grant were not received."""
        self._due -= count / self._rate

    def is_short(self, now: float) -> bool:
        """Whether the next to ask would have to wait."""
        return self._due > now
