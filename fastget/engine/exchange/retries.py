"""The failures in a row of one request, and what follows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from fastget.core import retry
from fastget.errors import FastgetError
from fastget.events import Event, Retried

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.stores import Store

Result = TypeVar("Result")


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


def persist(
    work: Callable[[], Result],
    url: Callable[[], str],
    store: Store,
    retries: int,
    cancellation: Cancellation,
    notify: Callable[[Event], None],
) -> Result:
    """What `work` returns, which asks `store` for `url` and may fail `retries` times; it is done in the store's gate.

    `notify` is told of each wait for another attempt. Raises the last error, or Cancelled.
    """
    attempts = Attempts(retries, store)
    while True:
        try:
            with store.gate.passing(cancellation):
                return work()
        except FastgetError as error:
            delay = attempts.after(error)
            notify(Retried(url(), 0, None, attempts.count, delay, error.message))
            cancellation.wait(delay)
