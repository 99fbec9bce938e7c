"""Retries of all requests to one endpoint, and the failures in a row of one request."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.errors import FastgetError, Throttled

if TYPE_CHECKING:
    from fastget.engine.exchange.stores import Store


class Reserve:
    """What all requests of this process to one endpoint may retry. Safe in many threads; nobody waits with its lock."""

    __slots__ = ("_budget", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._budget = retry.RetryBudget()

    @property
    def is_low(self) -> bool:
        return self._budget.is_low

    def spend(self, error: FastgetError, retries: int, width: int) -> bool:
        """Take a retry after `error`; False when none is left. `RetryBudget.spend` tells the rest."""
        with self._lock:
            is_refusal = isinstance(error, Throttled)
            return self._budget.spend(retries, width, time.monotonic(), is_refusal=is_refusal)

    def succeed(self) -> None:
        """Something has landed. Costs next to nothing as long as nothing fails."""
        if self._budget.is_full:
            return
        with self._lock:
            self._budget.succeed()


class Attempts:
    """The failures in a row of one request, which may be repeated `retries` times. `count` is how many there were."""

    __slots__ = ("_retries", "_store", "count")

    def __init__(self, retries: int, store: Store) -> None:
        self._retries = retries
        self._store = store
        self.count = 0

    def after(self, error: FastgetError) -> float:
        """Seconds to wait before the next attempt. Raises `error` where none is worth it, or none is left."""
        self.count += 1
        is_worth_it = retry.is_transient(error) and self.count <= self._retries
        if not is_worth_it or not self._store.may_retry(error, self._retries):
            raise error
        return retry.delay_before(self.count, random.random(), error)

    def begin_anew(self) -> None:
        """It has brought a good deal: what failed before does not count any more."""
        self.count = 0
        self._store.succeed()
