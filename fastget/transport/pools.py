"""A client's pools: connections are shared by all of its calls whose options make them alike."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from fastget.records import state
from fastget.transport.pool import Pool, connection_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from fastget.config import Config


@state
class _Lent:
    """A pool of calls with options of their own, and how many use it."""

    pool: Pool
    users: int = 0


class Pools:
    """One pool for the client's own options, and one for each CA bundle that AWS's variables or files name to it.

    Calls whose options change how connections are made have one together, while any of them lasts. Safe in many
    threads. Once closed, it may be used again, and makes new ones.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made_by = connection_options(config)
        # One that its holder may take again: the garbage collector, or a signal handler, closes things at any moment.
        self._lock = threading.RLock()
        self._kept: dict[str | None, nullcontext[Pool]] = {}
        # The client's own options with each of the bundles: to make and check them again would cost every call.
        self._own = {config.ca_bundle: config}
        # Those of calls, by what they are made by.
        self._lent: dict[tuple[object, ...], _Lent] = {}

    @property
    def is_in_use(self) -> bool:
        """Whether there are connections, or were since it was closed."""
        return bool(self._kept)

    def trusting(self, config: Config, ca_bundle: str) -> Config:
        """These options, trusting this file; from now on, calls that differ by that alone share connections."""
        if (own := self._own.get(ca_bundle)) is None:
            own = self._own[ca_bundle] = self._config.merged(ca_bundle=ca_bundle)
        return own if config is self._config else config.merged(ca_bundle=ca_bundle)

    def lend(self, config: Config) -> AbstractContextManager[Pool]:
        """The shared pool, or the one for these options.

        What a call lends once more within itself is the same one: where a server serves few connections at once, those
        that lie idle have to make room for whoever else asks it.
        """
        made_by = connection_options(config)
        if config.ca_bundle in self._own and made_by == self._made_by:
            return self._keep(config)
        return self._lend_apart(config, (config.ca_bundle, *made_by))

    @contextmanager
    def _lend_apart(self, config: Config, key: tuple[object, ...]) -> Iterator[Pool]:
        with self._lock:
            lent = self._lent.get(key) or _Lent(Pool(config))
            lent.users += 1
            self._lent[key] = lent
        try:
            yield lent.pool
        finally:
            self._take_back(key, lent)

    def _keep(self, config: Config) -> nullcontext[Pool]:
        with self._lock:
            kept = self._kept.get(config.ca_bundle)
            if kept is None:
                kept = self._kept[config.ca_bundle] = nullcontext(Pool(config))
            return kept

    def _take_back(self, key: tuple[object, ...], lent: _Lent) -> None:
        with self._lock:
            lent.users -= 1
            is_last = not lent.users
            if is_last and self._lent.get(key) is lent:
                del self._lent[key]
        if is_last:
            lent.pool.close()

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for lent in kept.values():
            lent.enter_result.close()

    def abandon(self) -> None:
        """In a forked child: close its copies of what is idle, without the lock, which nobody may ever open."""
        kept = [lent.enter_result for lent in self._kept.values()]
        for pool in (*kept, *(lent.pool for lent in self._lent.values())):
            pool.abandon()
