"""What servers remember of TLS: a further connection to one spares both sides most of a handshake (RFC 8446 §2.2).

In TLS 1.2 it spares a round trip, too.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    import ssl

# Kilobytes each, of a pull from many hosts.
MOST_SESSIONS = 64
# Seconds for which an end is given up: a server that is begun anew fails once, one that cannot do it always.
FIRST_WHILE = 60.0
LONGEST_WHILE = 86_400.0

T = TypeVar("T")

# The host that a certificate is checked for, and the port: nobody else may go on with its session.
End = tuple[str, int]


class _GivenUp(NamedTuple):
    """Until when, and how long that is."""

    until: float
    seconds: float


class Sessions:
    """The latest session with each end, of connections that share one context. Safe in many threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._known: dict[End, ssl.SSLSession] = {}
        self._given_up: dict[End, _GivenUp] = {}

    def find(self, end: End) -> ssl.SSLSession | None:
        """What a handshake with this end may go on from."""
        return self._known.get(end)

    def learn(self, end: End, session: ssl.SSLSession | None) -> None:
        """A whole handshake has led to a session, which takes the place of an earlier one."""
        if session is None:
            return
        with self._lock:
            given_up = self._given_up.get(end)
            if given_up is None or given_up.until <= monotonic():
                _put(self._known, end, session)

    def give_up(self, end: End) -> None:
        """It failed where it was to go on from a session: only whole handshakes for a while, the next time for longer.

        Several that fail at once have gone on from the same session.
        """
        with self._lock:
            now = monotonic()
            before = self._given_up.get(end)
            if before is None or before.until <= now:
                seconds = FIRST_WHILE if before is None else min(before.seconds * 2, LONGEST_WHILE)
                _put(self._given_up, end, _GivenUp(now + seconds, seconds))
            self._known.pop(end, None)


def _put(ends: dict[End, T], end: End, value: T) -> None:
    ends.pop(end, None)
    ends[end] = value
    if len(ends) > MOST_SESSIONS:
        del ends[next(iter(ends))]
