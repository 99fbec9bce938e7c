"""The retries that all requests to one endpoint share."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from fastget.core import retry

if TYPE_CHECKING:
    from fastget.errors import FastgetError


class Reserve:
    """What all requests of this process to one endpoint may retry. Safe in many threads; nobody waits with its lock."""

    __slots__ = ("_budget", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._budget = retry.RetryBudget()

    @property
    def is_low(self) -> bool:
        return self._budget.is_low

    def spend(self, error: FastgetError, retries: int, width: int) -> bool:
        """Take a retry after `error`; False when none is left. `RetryBudget.spend` tells the rest."""
        with self._lock:
            return self._budget.spend(retries, width, time.monotonic(), is_refusal=retry.is_refusal(error))

    def succeed(self) -> None:
        """Something has landed. Costs next to nothing as long as nothing fails."""
        if self._budget.is_full:
            return
        with self._lock:
            self._budget.succeed()
