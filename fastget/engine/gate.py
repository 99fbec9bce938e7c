"""The gate before one store: all requests of this process pass it, and wait there when the store asks for fewer."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastget.core.retry import LONGEST_RETRY_AFTER
from fastget.core.throttle import Throttle
from fastget.errors import Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastget.engine.cancellation import Cancellation

# How often a waiting request looks again: a cancelled one leaves so soon.
LOOK = 0.05


class Gate:
    """Safe in many threads; nobody sleeps or sends with its lock held. `most` requests were within at once, ever."""

    __slots__ = ("_in_flight", "_lock", "_throttle", "most")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.most = 0
        self._throttle = Throttle()

    @property
    def is_open(self) -> bool:
        """Whether nobody has to wait."""
        return self._throttle.is_open

    @contextmanager
    def passing(
        self, cancellation: Cancellation, sleep: Callable[[float], None] | None = None, *, is_within: bool = False
    ) -> Iterator[None]:
        """Wait until a request may go out, and count it until the context ends; learn from a Throttled that leaves it.

        `is_within`: for one that has entered already. Raises Cancelled while it waits, or what `sleep` raises, which
        waits for so many seconds.
        """
        while not is_within and (wait := self.enter()) > 0:
            (sleep or cancellation.wait)(min(wait, LOOK))
        try:
            yield
        except Throttled as error:
            self.leave(error)
            raise
        except BaseException:
            self.leave(None, is_served=False)
            raise
        self.leave(None)

    def enter(self) -> float:
        """Enter, if that may be now: 0.0, else the seconds after which to ask again."""
        with self._lock:
            wait = 0.0 if self._throttle.is_open else self._throttle.wait(self._in_flight, time.monotonic())
            if wait <= 0:
                self._in_flight += 1
                self.most = max(self.most, self._in_flight)
            return wait

    def leave(self, error: Throttled | None, *, is_served: bool = True) -> None:
        """The request of one who has entered has ended; `error` where the store asked for fewer of them."""
        with self._lock:
            if error is not None:
                asked = (error.reply.retry_after if error.reply else None) or 0.0
                self._throttle.refuse(self._in_flight, time.monotonic(), min(asked, LONGEST_RETRY_AFTER))
            elif is_served:
                self._throttle.serve()
            self._in_flight -= 1
