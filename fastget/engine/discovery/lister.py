"""A bucket's listing: its pages one after another over one line, each of them whole before any of it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.engine.exchange.asking import ask
from fastget.engine.exchange.floor import Floor
from fastget.engine.exchange.line import ConnectionPool, Line
from fastget.engine.exchange.retries import persist
from fastget.sources.listing import Pager
from fastget.sources.listing_pages import Page, bad_listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastget.config import Config
    from fastget.core.messages import Request
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.stores import Store
    from fastget.events import Event
    from fastget.sources.listing import Query, Selection
    from fastget.sources.listing_source import ListingSource
    from fastget.sources.protocol import Source

_BUFFER_SIZE = 64 * 1024


class Lister:
    """Lists a bucket, once. Memory holds one page, however many there are; between pages no connection is held.

    `store` is the one that is asked: its gate is passed, and its endpoint's retries are spent. Of `config`
    count `retries` and `stall_timeout`.
    """

    def __init__(
        self,
        source: ListingSource,
        selection: Selection,
        pool: ConnectionPool,
        cancellation: Cancellation,
        config: Config,
        notify: Callable[[Event], None],
        store: Store,
    ) -> None:
        self._source = source
        self._selection = selection
        self._pool = pool
        self._cancellation = cancellation
        self._retries = config.retries
        self._notify = notify
        self._store = store
        self._patience = config.stall_timeout

    def pages(self) -> Iterator[list[ObjectInfo]]:
        """The entries of each page, in the store's order.

        Raises the typed error of a refusal, NetworkError, ProtocolError for a listing that cannot be believed, or
        Cancelled.
        """
        pager = Pager(self._selection, self._source.display_url, is_ordered=self._source.is_ordered)
        while (query := pager.query) is not None:
            entries = pager.take(self._persist(query))
            if entries:
                yield entries

    def _persist(self, query: Query) -> Page:
        def ask_once() -> Page:
            with Line(self._pool, self._cancellation) as line:
                return self._fetch(line, query)

        url = self._source.display_url
        page = persist(ask_once, lambda: url, self._store, self._retries, self._cancellation, self._notify)
        self._store.succeed()
        return page

    def _fetch(self, line: Line, query: Query) -> Page:
        def build(_: Source) -> Request:
            return self._source.page(query)

        answered = ask(line, self._source, build)
        if answered.error is not None:
            raise answered.error
        if answered.head.status != 200:
            raise bad_listing(self._source.display_url, f"status {answered.head.status} answers a request for it")
        reader = self._source.reader()
        buffer = memoryview(bytearray(_BUFFER_SIZE))
        floor = Floor(line, self._patience)
        while True:
            with floor:
                count = line.read_into(buffer)
            if not count:
                line.finish()
                return reader.close()
            reader.feed(buffer[:count])
            floor.count(count)
