"""The limit on bytes a second that all transfers of this process share."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

from fastget.core.bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable


class RateLimit:
    """What connections ask before they receive. Safe in many threads; nobody sleeps with its lock held."""

    __slots__ = ("_bucket", "_lock")

    def __init__(self, rate: int) -> None:
        self._lock = threading.RLock()
        self._bucket = TokenBucket(rate, monotonic())

    def take(self, wanted: int, sleep: Callable[[float], None]) -> int:
        """Sleep until it is one's turn; how many bytes may be received then. What `sleep` raises passes through."""
        with self._lock:
            grant = self._bucket.ask(monotonic(), wanted)
        if grant.wait:
            try:
                sleep(grant.wait)
            except BaseException:
                self.give_back(grant.count)
                raise
        return grant.count

    def give_back(self, count: int) -> None:
        """So many bytes that were taken have not come."""
        if count:
            with self._lock:
                self._bucket.give_back(count)

    @property
    def is_short(self) -> bool:
        """Whether it is the limit, and not the server, that decides how fast bytes come."""
        return self._bucket.is_short(monotonic())


_limits: dict[int, RateLimit] = {}


def shared_limit(rate: int | None) -> RateLimit | None:
    """The one limit of this process with that many bytes a second; None for none."""
    if rate is None:
        return None
    return _limits.setdefault(rate, RateLimit(rate))


def forget() -> None:
    """In a forked child: the locks may be held by threads that do not exist here."""
    _limits.clear()
