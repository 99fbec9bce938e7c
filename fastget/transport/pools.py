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

    Safe in many threads. Once closed, it may be used again, and makes new ones.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._kept: dict[str | None, Pool] = {}
        self._bundles = {config.ca_bundle}

    @property
    def is_in_use(self) -> bool:
        """Whether there are connections, or were since it was closed."""
        return bool(self._kept)

    def share(self, ca_bundle: str) -> None:
        """From now on, calls that differ by trusting this file share connections with each other."""
        self._bundles.add(ca_bundle)

    @contextmanager
    def lend(self, config: Config) -> Iterator[Pool]:
        """The shared pool; one of its own for a call whose options change how connections are made."""
        if config.ca_bundle not in self._bundles or connection_options(config) != connection_options(self._config):
            pool = Pool(config)
            try:
                yield pool
            finally:
                pool.close()
            return
        with self._lock:
            if config.ca_bundle not in self._kept:
                self._kept[config.ca_bundle] = Pool(config)
            shared = self._kept[config.ca_bundle]
        yield shared

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for pool in kept.values():
            pool.close()

    def abandon(self) -> None:
        """In a forked child: close its copies of what is idle, without the lock, which nobody may ever open."""
        for pool in self._kept.values():
            pool.abandon()
