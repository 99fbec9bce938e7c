"""What a client lends to a pull, and what it asks of its options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.bulk.items import Item, Pullable, from_listing, from_urls
from fastget.engine.transfer import Transfer
from fastget.errors import ConfigError
from fastget.sources.s3 import S3Source, parse_s3_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.line import ConnectionPool
    from fastget.engine.stores import Stores
    from fastget.events import Result
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source


# Put after a URL that may end with its bucket, so that it names a key for certain.
_SOME_KEY = "/k"


class Lent:
    """A client's connections and sources. `resolve` gives the source that a URL names."""

    def __init__(self, pool: ConnectionPool, stores: Stores, resolve: Callable[[str], Source]) -> None:
        self._pool = pool
        self._stores = stores
        self._resolve = resolve
        self._bucket: S3Source | None = None

    def source(self, item: Item) -> Source:
        """The object that an item names. Raises InvalidURL, ConfigError. For one thread."""
        if item.key and self._bucket is not None:
            return replace(self._bucket, key=item.key)
        source = self._resolve(item.url)
        if item.key and isinstance(source, S3Source):
            self._bucket = source  # the keys of a listing are all in one bucket
        return source

    def fetch(self, source: Source, sink: Sink, config: Config, cancellation: Cancellation) -> Result:
        """Fetch one object; from any thread."""
        transfer = Transfer(source, sink, config, self._pool, self._stores)
        cancellation.add(transfer.cancellation)
        try:
            return transfer.run()
        finally:
            cancellation.remove(transfer.cancellation)


def check_options(config: Config) -> None:
    """Raise ConfigError for an option that names one object."""
    for name in ("checksum", "version_id"):
        if getattr(config, name) is not None:
            raise ConfigError(
                f"{name} is that of one object, not of many",
                hint="in a list, write checksum=ALGORITHM=HEX below the URL" if name == "checksum" else None,
            )


def items_of(what: Pullable, pages: Callable[[str], Iterator[list[ObjectInfo]]]) -> Iterable[Item]:
    """The items that the caller names: those of a prefix, by `pages` of its listing, or of an iterable.

    Raises InvalidURL for what is no prefix.
    """
    if not isinstance(what, str):
        return from_urls(what)
    listed = pages(what)
    key = parse_s3_url(what + _SOME_KEY)[1]
    prefix = key.removesuffix(_SOME_KEY) if key.endswith(_SOME_KEY) else ""
    return from_listing((info for page in listed for info in page), prefix)
