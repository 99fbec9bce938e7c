"""A client's pools: connections are shared by all of its calls whose options make them alike."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastget.transport.pool import Pool, connection_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.config import Config


class Pools:
    """One pool for the client's own options, and one for each CA bundle that AWS's variables or files name to it.

    Calls whose options change how connections are made have one together, while any of them lasts. Safe in many
    threads. Once closed, it may be used again, and makes new ones.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._kept: dict[str | None, Pool] = {}
        self._bundles = {config.ca_bundle}
        # Those of calls, by what they are made by, with how many use them.
        self._lent: dict[tuple[object, ...], tuple[Pool, int]] = {}

    @property
    def is_in_use(self) -> bool:
        """Whether there are connections, or were since it was closed."""
        return bool(self._kept)

    def share(self, ca_bundle: str) -> None:
        """From now on, calls that differ by trusting this file share connections with each other."""
        self._bundles.add(ca_bundle)

    @contextmanager
    def lend(self, config: Config) -> Iterator[Pool]:
        """The shared pool, or the one for these options.

        What a call lends once more within itself is the same one: where a server serves few connections at once, those
        that lie idle have to make room for whoever else asks it.
        """
        made_by = connection_options(config)
        if config.ca_bundle in self._bundles and made_by == connection_options(self._config):
            yield self._keep(config)
            return
        key = (config.ca_bundle, *made_by)
        with self._lock:
            pool, users = self._lent.get(key) or (Pool(config), 0)
            self._lent[key] = (pool, users + 1)
        try:
            yield pool
        finally:
            self._take_back(key)

    def _keep(self, config: Config) -> Pool:
        with self._lock:
            if config.ca_bundle not in self._kept:
                self._kept[config.ca_bundle] = Pool(config)
            return self._kept[config.ca_bundle]

    def _take_back(self, key: tuple[object, ...]) -> None:
        with self._lock:
            pool, users = self._lent.pop(key)
            if users > 1:
                self._lent[key] = (pool, users - 1)
        if users == 1:
            pool.close()

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for pool in kept.values():
            pool.close()

    def abandon(self) -> None:
        """In a forked child: close its copies of what is idle, without the lock, which nobody may ever open."""
        for pool in (*self._kept.values(), *(lent for lent, _ in self._lent.values())):
            pool.abandon()
