"""What one thread of a pull fetches small objects over: a line for each file of CAs that its servers are trusted by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from fastget.bulk.unserved import Asking
from fastget.engine.small.objects import SmallObjects
from fastget.sources.protocol import PlainSource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastget.config import Config
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.engine.exchange.stores import Stores
    from fastget.engine.small.objects import Put
    from fastget.errors import FastgetError
    from fastget.events import Result
    from fastget.sinks.protocol import WholeSink


S = TypeVar("S", bound=PlainSource)


class Lines(Generic[S]):
    """For one thread, which closes them. `pool` gives the connections that trust a file, None for the system's CAs.

    `trusts` names the file that a source's servers are trusted by. `asking` shows what the thread waits for,
    `found_size` and `failure` are those of `SmallObjects`.
    """

    def __init__(
        self,
        pool: Callable[[str | None], ConnectionPool],
        trusts: Callable[[S], str | None],
        stores: Stores,
        cancellation: Cancellation,
    ) -> None:
        self.asking = Asking()
        self._pool = pool
        self._trusts = trusts
        self._stores = stores
        self._cancellation = cancellation
        self._small: dict[str | None, SmallObjects[S]] = {}
        self._latest: SmallObjects[S] | None = None

    @property
    def found_size(self) -> int | None:
        return self._latest.found_size if self._latest is not None else None

    @property
    def failure(self) -> FastgetError | None:
        return self._latest.failure if self._latest is not None else None

    def fetch_small(
        self,
        source: S,
        sink: WholeSink,
        config: Config,
        *,
        is_vacant: bool,
        put: Put | None = None,
        following: Callable[[], S | None] | None = None,
    ) -> Result | None:
        """See `SmallObjects.fetch`."""
        self._latest = small = self.over(source)
        return small.fetch(source, sink, config, is_vacant=is_vacant, put=put, following=following)

    def over(self, source: S) -> SmallObjects[S]:
        """What asks for this source, which is what the thread waits for from now on."""
        small = self._trusting(self._trusts(source))
        self.asking.over(small.line)
        return small

    def _trusting(self, ca_bundle: str | None) -> SmallObjects[S]:
        """What fetches over connections that trust this file."""
        small = self._small.get(ca_bundle)
        if small is None:
            small = self._small[ca_bundle] = SmallObjects(
                self._pool(ca_bundle),
                self._stores,
                self._cancellation,
                lambda source: self._trusts(source) == ca_bundle,
            )
        return small

    @property
    def pools(self) -> Collection[ConnectionPool]:
        """Where the connections come from."""
        return [self._pool(ca_bundle) for ca_bundle in [*self._small]]

    def rest(self) -> None:
        """Let go of the connections until they are needed again, and make room."""
        for small in self._small.values():
            small.drop()
        self.make_room()

    def make_room(self) -> None:
        """Close connections to whom it asks that nobody uses. Safe in any thread."""
        if (origin := self.asking.server) is None:
            return
        for pool in list(self.pools):
            while (connection := pool.acquire(origin)).is_reusable:
                connection.close()

    def close(self) -> None:
        """Give the connections back."""
        for small in self._small.values():
            small.close()
