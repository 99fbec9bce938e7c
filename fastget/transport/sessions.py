"""What servers remember of TLS: a further connection to one spares both sides most of a handshake (RFC 8446 §2.2).

In TLS 1.2 it spares a round trip, too.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

# Kilobytes each, of a pull from many hosts.
MOST_SESSIONS = 64

# The host that a certificate is checked for, and the port: nobody else may go on with its session.
End = tuple[str, int]


class Sessions:
    """The latest session with each end, of connections that share one context. Safe in many threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        # None for an end that is given up.
        self._known: dict[End, ssl.SSLSession | None] = {}

    def find(self, end: End) -> ssl.SSLSession | None:
        """What a handshake with this end may go on from."""
        return self._known.get(end)

    def learn(self, end: End, session: ssl.SSLSession | None) -> None:
        """A whole handshake has led to a session, which takes the place of an earlier one."""
        with self._lock:
            if session is None or (end in self._known and self._known[end] is None):
                return
            self._put(end, session)

    def give_up(self, end: End) -> None:
        """It failed where it was to go on from a session: only whole handshakes from now on."""
        with self._lock:
            self._put(end, None)

    def _put(self, end: End, session: ssl.SSLSession | None) -> None:
        self._known.pop(end, None)
        self._known[end] = session
        if len(self._known) > MOST_SESSIONS:
            del self._known[next(iter(self._known))]
