"""The gate before one store: all requests of this process pass it, and wait there when the store asks for fewer."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from fastget.core.retry import LONGEST_RETRY_AFTER
from fastget.core.throttle import Throttle
from fastget.errors import Throttled

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.engine.cancellation import Cancellation

# How often a waiting request looks again: a cancelled one leaves so soon.
LOOK = 0.05


class Gate:
    """Safe in many threads; nobody sleeps or sends with its lock held. `most` requests were within at once, ever."""

    __slots__ = ("_in_flight", "_lock", "_throttle", "most")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._in_flight = 0
        self.most = 0
        self._throttle = Throttle()

    @property
    def is_open(self) -> bool:
        """Whether nobody has to wait."""
        return self._throttle.is_open

    def passing(
        self, cancellation: Cancellation, sleep: Callable[[float], None] | None = None, *, is_within: bool = False
    ) -> Passage:
        """Wait until a request may go out, and count it until the context ends; learn from a Throttled that leaves it.

        `is_within`: for one that has entered already. Raises Cancelled while it waits, or what `sleep` raises, which
        waits for so many seconds.
        """
        return Passage(self, None if is_within else sleep or cancellation.wait)

    def enter(self, passage: Passage | None = None) -> float:
        """Enter, if that may be now: 0.0, else the seconds after which to ask again."""
        with self._lock:
            wait = 0.0 if self._throttle.is_open else self._throttle.wait(self._in_flight, time.monotonic())
            if wait <= 0:
                self.most = max(self.most, self._in_flight + 1)
                # No call stands between these two, here and in `leave`: an interrupt finds both done, or neither.
                self._in_flight += 1
                if passage is not None:
                    passage.is_within = True
            return wait

    def leave(self, error: Throttled | None, *, is_served: bool = True, passage: Passage | None = None) -> None:
        """The request of one who has entered has ended; `error` where the store asked for fewer of them."""
        with self._lock:
            if error is not None:
                asked = (error.reply.retry_after if error.reply else None) or 0.0
                self._throttle.refuse(self._in_flight, time.monotonic(), min(asked, LONGEST_RETRY_AFTER))
            elif is_served:
                self._throttle.serve()
            self._in_flight -= 1
            if passage is not None:
                passage.is_within = False


class Passage:
    """One request's way through a gate, as a context; `sleep` waits before it, None: it is within."""

    __slots__ = ("_gate", "_sleep", "is_within")

    def __init__(self, gate: Gate, sleep: Callable[[float], None] | None) -> None:
        self._gate = gate
        self._sleep = sleep
        self.is_within = sleep is None

    def __enter__(self) -> None:
        try:
            while self._sleep is not None and (wait := self._gate.enter(self)) > 0:
                self._sleep(min(wait, LOOK))
        except BaseException:
            self._withdraw()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._gate.leave(error if isinstance(error, Throttled) else None, is_served=error is None, passage=self)
        except BaseException:
            self._withdraw()
            raise

    def _withdraw(self) -> None:
        """An interrupt came as it entered or left: others would wait for what is gone."""
        if self.is_within:
            self._gate.leave(None, is_served=False, passage=self)
