"""What a client lends to a pull, and what it asks of its options."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from fastget.bulk.items import Broken, Item, Pause, Pullable, from_listing, from_urls
from fastget.bulk.lines import Lines
from fastget.core.governor import limit_for, start_for
from fastget.engine.download.transfer import Transfer
from fastget.engine.small.here import Means, find
from fastget.errors import ConfigError
from fastget.sources.lent import lend
from fastget.sources.neighbours import Neighbours
from fastget.sources.s3 import S3Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.engine.exchange.stores import Stores
    from fastget.events import Result
    from fastget.sinks.protocol import Sink
    from fastget.sources.lent import LentSource
    from fastget.sources.protocol import Source

    # By what their connections trust: the stores of a list may have CAs of their own (`Config.ca_bundle`).
    Pools = Mapping[str | None, ConnectionPool]


class Fetcher(Lines["Source"]):
    """What one thread fetches with: small objects over connections of its own, others in the ordinary way."""

    def __init__(self, pools: Pools, ca_bundle: str | None, stores: Stores, cancellation: Cancellation) -> None:
        super().__init__(pools.__getitem__, lambda source: _bundle_of(source, ca_bundle), stores, cancellation)
        self._pools = pools
        self._ca_bundle = ca_bundle

    @property
    def pools(self) -> Collection[ConnectionPool]:
        """Those of large objects, too."""
        return self._pools.values()

    def find(self, source: Source, sink: Sink, config: Config) -> Result | None:
        """See `here.find`."""
        small = self.over(source)
        means = Means(small.line, self._stores.of(source.store), self._cancellation, partial(small.room, config))
        return find(source, sink, config, means)

    def fetch(self, source: Source, sink: Sink, config: Config) -> Result:
        """Fetch one object, in this thread or from here. Raises the errors of a download."""
        bundle = _bundle_of(source, self._ca_bundle)
        own = config if bundle == config.ca_bundle else config.merged(ca_bundle=bundle)
        transfer = Transfer(source, sink, own, self._pools[bundle], self._stores)
        self.asking.by(transfer)
        self._cancellation.add(transfer.cancellation)
        try:
            return transfer.run()
        finally:
            self._cancellation.remove(transfer.cancellation)
            self.asking.by(None)


class Lent:
    """A client's connections and sources.

    `resolve` gives the source that a URL names; from then on `pools` has one for it. `ca_bundle`: the option.
    """

    def __init__(self, pools: Pools, ca_bundle: str | None, stores: Stores, resolve: Callable[[str], Source]) -> None:
        self._pools = pools
        self._ca_bundle = ca_bundle
        self._stores = stores
        self._resolve = resolve
        # That of the latest object: the keys of a listing are all in one.
        self._bucket: S3Source | None = None
        self._neighbours = Neighbours()

    def source(self, item: Item) -> Source:
        """The object that an item names. Raises InvalidURL, ConfigError. For one thread."""
        if item.key and self._bucket is not None:
            return self._bucket.beside(item.key)
        if (found := self._neighbours.find(item.url)) is not None:
            return found
        source = self._neighbours.remember(item.url, self._resolve(item.url))
        if item.key and isinstance(source, S3Source):
            self._bucket = source
        return source

    def fetcher(self, cancellation: Cancellation) -> Fetcher:
        """What a thread fetches with; it closes that."""
        return Fetcher(self._pools, self._ca_bundle, self._stores, cancellation)

    def lend(self, source: Source) -> LentSource | None:
        """The plain request of a source, for another process; None where that is better kept here.

        That is while its store asks for fewer requests, or fails, or is known to serve few at once.
        Raises what `Source.get` does.
        """
        store = self._stores.of(source.store)
        if not store.gate.is_open or store.is_ailing or store.facts.bears is not None:
            return None
        return lend(source, _bundle_of(source, self._ca_bundle))

    def start(self, source: Source) -> tuple[int, int] | None:
        """How many requests at once to begin with, and at most; None where its store has answered nothing yet."""
        facts = self._stores.of(source.store).facts
        return None if facts.wait is None else (start_for(facts), limit_for(facts))

    def borne(self, source: Source) -> int | None:
        """How many requests at once the source's server is known to answer; None where it is not known."""
        return self._stores.of(source.store).facts.bears

    def learn_borne(self, source: Source, count: int) -> None:
        """It answers so many."""
        self._stores.of(source.store).learn(bears=count)


def _bundle_of(source: Source, ca_bundle: str | None) -> str | None:
    """What the source's connections trust; `ca_bundle` is the option."""
    return source.settings.ca_bundle if isinstance(source, S3Source) else ca_bundle


def check_options(config: Config) -> None:
    """Raise ConfigError for an option that names one object."""
    for name in ("checksum", "version_id"):
        if getattr(config, name) is not None:
            raise ConfigError(
                f"{name} is that of one object, not of many",
                hint="in a list, write checksum=ALGORITHM=HEX below the URL" if name == "checksum" else None,
            )


def items_of(what: Pullable, pages: Callable[[str], Iterator[list[ObjectInfo]]]) -> Iterable[Item | Pause | Broken]:
    """The items that the caller names: those of a prefix, by `pages` of its listing, or of an iterable.

    Raises InvalidURL for what is no prefix, ConfigError for what is neither.
    """
    if not isinstance(what, str):
        if not isinstance(what, Iterable):
            raise ConfigError(
                f"what is pulled is s3://bucket/prefix or a list of URLs, not one of type {type(what).__name__}"
            )
        return from_urls(what)
    listed = pages(what)
    # A list of URLs does without it.
    from fastget.sources.listing_source import listed_prefix

    return from_listing((info for page in listed for info in page), listed_prefix(what))
