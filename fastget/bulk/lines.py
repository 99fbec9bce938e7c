"""What one thread of a pull fetches small objects over: a line for each file of CAs that its servers are trusted by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.bulk.unserved import Asking
from fastget.engine.small import SmallObjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.engine.cancellation import Cancellation
    from fastget.engine.line import ConnectionPool
    from fastget.engine.stores import Stores


class Lines:
    """For one thread, which closes them. `pool` gives the connections that trust a file, None for the system's CAs.

    `asking` shows what the thread waits for, `found_size` is that of `SmallObjects`.
    """

    def __init__(
        self, pool: Callable[[str | None], ConnectionPool], stores: Stores, cancellation: Cancellation
    ) -> None:
        self.asking = Asking()
        self._pool = pool
        self._stores = stores
        self._cancellation = cancellation
        self._small: dict[str | None, SmallObjects] = {}
        self._latest: SmallObjects | None = None

    @property
    def found_size(self) -> int | None:
        return self._latest.found_size if self._latest is not None else None

    def trusting(self, ca_bundle: str | None) -> SmallObjects:
        """What fetches over connections that trust this file; the thread asks over them from now on."""
        small = self._small.get(ca_bundle)
        if small is None:
            small = self._small[ca_bundle] = SmallObjects(self._pool(ca_bundle), self._stores, self._cancellation)
        self._latest = small
        self.asking.over(small.line)
        return small

    def drop(self) -> None:
        """Let go of the connections until they are needed again."""
        for small in self._small.values():
            small.line.drop()

    def close(self) -> None:
        """Give the connections back."""
        for small in self._small.values():
            small.close()
