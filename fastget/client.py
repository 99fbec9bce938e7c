"""The synchronous face: a client that owns the pools. Its verbs as plain functions are in fastget/verbs.py."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from fastget import buffers, forks
from fastget.config import Config
from fastget.engine.announcer import Announcer
from fastget.engine.cancellation import Cancellation
from fastget.engine.discovery.opening import Discovery
from fastget.engine.download.transfer import Transfer
from fastget.engine.exchange.line import Line
from fastget.engine.exchange.stores import Stores
from fastget.engine.reading.slices import SliceRead, is_whole
from fastget.sinks.choose import open_sink
from fastget.sinks.memory import BufferSink, MemorySink, letting_go
from fastget.sources.neighbours import Neighbours
from fastget.sources.resolve import ErrorsOf, is_in_store
from fastget.transport import limit
from fastget.transport.authorities import bundle_for_servers
from fastget.transport.pools import Pools
from fastget.variables import merged, wrong_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from _typeshed import WriteableBuffer

    from fastget.bulk.items import Pullable
    from fastget.bulk.outcome import PullResult
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.exchange.stores import Store
    from fastget.engine.reading.streaming import ObjectStream
    from fastget.events import Result
    from fastget.sinks.protocol import Sink
    from fastget.sources.endpoints import S3Endpoints
    from fastget.sources.protocol import Source
    from fastget.transport.pool import Pool

PathLike = str | os.PathLike[str]


class Client:
    """Downloads that share connections, TLS sessions and resolved endpoints. Safe to use from several threads.

    It holds only its options until the first use, so it pickles as them, all but `on_event`: a handler stays in the
    process that gave it. A forked child starts afresh. Options given to a verb apply to that call. Use it as a context
    manager, or call `close()`.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        """`config` defaults to the `FASTGET_*` variables, `options` are fields of Config on top. Raises ConfigError."""
        self.config = Config.of(config, **options)
        self._wrong = wrong_variables(self.config, options) if config is None else {}
        self._forget()
        forks.tell(self)

    def _forget(self) -> None:
        """Have nothing but the options; the rest is made on first use."""
        self._lock = threading.RLock()  # a signal handler may close what its thread is in the middle of
        self._pools = Pools(self.config)
        self._endpoints: S3Endpoints | None = None
        self._neighbours = Neighbours()

    def download(self, url: str, path: PathLike, **options: Any) -> Result:
        """Fetch an object into a file; the file appears only whole and checked.

        `path` may be `-` for standard output, or name a FIFO or a device, which get the bytes in order. An existing
        file is replaced, or left as it was by any failure.

        Raises the errors of fastget.errors; KeyboardInterrupt passes through after everything is cleaned up.
        """
        return self.transfer_to_file(url, path, Cancellation(), **options)

    def read(self, url: str, start: int | None = None, stop: int | None = None, **options: Any) -> bytes:
        """The bytes of an object in memory, or those from `start` up to `stop` as in a slice.

        A whole object is verified as `download` does; a slice is pinned to one version, and its length is checked.
        Raises the errors of fastget.errors.
        """
        return self.transfer_to_memory(url, start, stop, Cancellation(), **options)

    def read_into(self, url: str, buffer: WriteableBuffer, start: int | None = None, **options: Any) -> Result:
        """Fetch an object straight into a writable buffer: a bytearray, an mmap, the memory of numpy or torch.

        It must be C-contiguous. Without `start` it gets the whole object, verified as `download` does, and must be as
        large or larger. With `start` it gets the bytes from there on, up to its own end or the object's (negative:
        from the object's end); such a slice is pinned to one version, and its length is checked. The result's `size`
        says how many bytes it got. After an error what it holds is undefined.

        Raises ConfigError for a buffer that cannot be written, DestinationError for a small one, and other errors.
        """
        return self.transfer_to_buffer(url, buffer, start, Cancellation(), **options)

    def read_ranges(
        self,
        url: str,
        ranges: Iterable[tuple[int, int]],
        into: WriteableBuffer | Sequence[WriteableBuffer] | None = None,
        **options: Any,
    ) -> list[memoryview]:
        """The bytes of each (start, stop) of an object, in the order asked, all of one version.

        Ranges may overlap and be empty. Neighbours share a request, and requests go out side by side. The bytes come
        straight into the memory that is returned: views of one new block, which lives as long as any of them, or of
        `into`, a writable buffer for each range or one that takes them one after another. They have no digest of their
        own; each is held to its length.

        Raises ConfigError for what is no range and for buffers that do not fit, RangeNotSupported for a range beyond
        the object's end, and the other errors of fastget.errors.
        """
        return self.transfer_ranges(url, ranges, into, Cancellation(), **options)

    def stream(self, url: str, start: int | None = None, stop: int | None = None, **options: Any) -> ObjectStream:
        """The bytes of an object in order, or those from `start` up to `stop`, as an iterator of memoryviews.

        They are fetched over many connections, as far ahead as 16 MiB; no file and no copy of the whole is made. Each
        view is valid until the next one is asked for. The object is verified as it passes: a digest that does not hold
        raises ChecksumMismatch, after the last view at the latest, so what was read counts only when the iteration has
        come to its end. A slice is pinned to one version, and its length is checked. Breaking out of the loop, or
        `close`, ends all threads and connections at once.

        Raises InvalidURL and ConfigError at once, the other errors of fastget.errors while it is iterated over.
        """
        return self.open_stream(url, start, stop, Cancellation(), **options)

    def head(self, url: str, **options: Any) -> ObjectInfo:
        """The facts of an object: size, ETag, version, declared digests. Raises the errors of fastget.errors."""
        return self.ask(url, Cancellation(), **options)

    def ls(
        self,
        url: str,
        *,
        recursive: bool = True,
        delimiter: str | None = None,
        start_after: str | None = None,
        versions: bool = False,
        page_size: int | None = None,
        **options: Any,
    ) -> Iterator[ObjectInfo]:
        """The objects of `s3://bucket/prefix`, as they are iterated over: a page at a time, however many there are.

        All keys that begin with the prefix, in the store's order (UTF-8 bytes; directory buckets have none). With
        `recursive=False` one level: what has a `/` after the prefix is summed up, as entries with `is_prefix`; another
        `delimiter` sums up by itself. `start_after` is a key, and what comes before it is left out. `versions` lists
        all versions and delete markers, the newest of each key first. `page_size`: keys in one answer of the store.

        Raises InvalidURL and ConfigError at once, the other errors of fastget.errors while it is iterated over.
        """
        pages = self.list_pages(
            url,
            Cancellation(),
            recursive=recursive,
            delimiter=delimiter,
            start_after=start_after,
            versions=versions,
            page_size=page_size,
            **options,
        )
        return (info for page in pages for info in page)

    def transfer_to_file(self, url: str, path: PathLike, cancellation: Cancellation, **options: Any) -> Result:
        """`download`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
        config = self.configured(url, options)
        with ErrorsOf(url), self._pools.lend(config) as pool:
            source = self._resolve(url, config)
            return self._run(Transfer(source, open_sink(path, config), config, pool, _stores), cancellation)

    def transfer_to_memory(
        self, url: str, start: int | None, stop: int | None, cancellation: Cancellation, **options: Any
    ) -> bytes:
        """`read`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
        config = self.configured(url, options)
        with ErrorsOf(url), self._pools.lend(config) as pool:
            source = self._resolve(url, config)
            if is_whole(start, stop):
                sink = MemorySink()
                self._run(Transfer(source, sink, config, pool, _stores), cancellation)
                return sink.taken()
            return SliceRead(source, config, pool, cancellation, _stores.of(source.store)).run(start, stop)

    def transfer_to_buffer(
        self, url: str, buffer: WriteableBuffer, start: int | None, cancellation: Cancellation, **options: Any
    ) -> Result:
        """`read_into`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
        config = self.configured(url, options)
        with letting_go(), BufferSink(buffer) as sink, ErrorsOf(url), self._pools.lend(config) as pool:
            source = self._resolve(url, config)
            if start is None:
                return self._run(Transfer(source, sink, config, pool, _stores), cancellation)
            return SliceRead(source, config, pool, cancellation, _stores.of(source.store)).run_into(sink, start)

    def transfer_ranges(
        self,
        url: str,
        ranges: Iterable[tuple[int, int]],
        into: WriteableBuffer | Sequence[WriteableBuffer] | None,
        cancellation: Cancellation,
        **options: Any,
    ) -> list[memoryview]:
        """`read_ranges`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
        from fastget.engine.reading.scattered import ScatteredRead

        config = self.configured(url, options)
        with letting_go(), ErrorsOf(url), self._pools.lend(config) as pool:
            source = self._resolve(url, config)
            return ScatteredRead(source, config, pool, cancellation, _stores.of(source.store)).run(ranges, into)

    def open_stream(
        self,
        url: str,
        start: int | None,
        stop: int | None,
        cancellation: Cancellation,
        on_end: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> ObjectStream:
        """`stream`, ended early with Cancelled when `cancellation` is cancelled; `on_end` is called once it is over."""
        from fastget.engine.reading.streaming import ObjectStream

        config = self.configured(url, options)
        source = self._resolve(url, config)

        def fetch(sink: Sink) -> Result:
            with ErrorsOf(url), self._pools.lend(config) as pool:
                if is_whole(start, stop):
                    return self._run(Transfer(source, sink, config, pool, _stores), cancellation)
                read = SliceRead(source, config, pool, cancellation, _stores.of(source.store))
                return read.run_in_order(sink, start, stop)

        return ObjectStream(fetch, cancellation, on_end, config.max_memory)

    def transfer_many(
        self, what: Pullable, directory: PathLike, cancellation: Cancellation, **options: Any
    ) -> PullResult:
        """`pull`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
        from fastget.bulk.folder import Folder
        from fastget.bulk.means import Lent, check_options, items_of
        from fastget.bulk.pull import Pull

        config = self.settled(what, given := merged(self.config, options, self._wrong))
        check_options(config)
        with ExitStack() as held:
            pools = {config.ca_bundle: held.enter_context(self._pools.lend(config))}

            def resolved(url: str) -> Source:
                own = self.settled(url, given)
                if own.ca_bundle not in pools:
                    pools[own.ca_bundle] = held.enter_context(self._pools.lend(own))
                return self._resolve(url, own)

            items = items_of(what, lambda prefix: self.list_pages(prefix, cancellation, **options))
            lent = Lent(pools, config.ca_bundle, _stores, resolved)
            with Folder(directory, is_durable=config.fsync) as folder:
                return Pull(items, folder, config, lent, cancellation).run()

    def ask(self, url: str, cancellation: Cancellation, **options: Any) -> ObjectInfo:
        """`head`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
        config = self.configured(url, options)
        with ErrorsOf(url), self._pools.lend(config) as pool, Line(pool, cancellation) as line:
            source = self._resolve(url, config)
            discovery = Discovery(line, cancellation, config.retries, lambda _: None, _stores.of(source.store))
            return discovery.facts(source).info

    def list_pages(
        self,
        url: str,
        cancellation: Cancellation,
        *,
        recursive: bool = True,
        delimiter: str | None = None,
        start_after: str | None = None,
        versions: bool = False,
        page_size: int | None = None,
        **options: Any,
    ) -> Iterator[list[ObjectInfo]]:
        """The pages of `ls`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
        from fastget.engine.discovery.lister import Lister
        from fastget.sources.listing import Selection
        from fastget.sources.listing_source import ListingSource

        config = self.configured(url, options)
        source = ListingSource.at(url, config, self._shared_endpoints())
        level = "/" if delimiter is None and not recursive else delimiter
        selection = Selection(source.key, level, start_after, versions, page_size)

        def pages() -> Iterator[list[ObjectInfo]]:
            with ErrorsOf(url), self._pools.lend(config) as pool:
                notify, store = Announcer(config.on_event).tell, _stores.of(source.store)
                yield from Lister(source, selection, pool, cancellation, config, notify, store).pages()

        return pages()

    def pull(self, what: Pullable, directory: PathLike, **options: Any) -> PullResult:
        """Fetch many objects into a directory, side by side: a list of URLs, or all keys that begin with a prefix.

        `what` is `s3://bucket/prefix`, or an iterable of URLs, each alone (its file gets the last part of the URL as
        its name) or in a pair with a path below the directory. A key becomes the path that follows the last slash of
        the prefix. Nothing is written outside of the directory, whatever a key says; such keys, and two of one name,
        are failures. What is here already, and the same, is skipped.

        An object that fails is in the result (`failures`), and keeps no other from being fetched.
        Raises ConfigError for options of one object (checksum, version_id), DestinationError for the directory, and the
        error of a listing that breaks off; KeyboardInterrupt passes through after everything is cleaned up.
        """
        return self.transfer_many(what, directory, Cancellation(), **options)

    def close(self) -> None:
        """Close the connections. The client may be used again; it then opens new ones."""
        with self._lock:
            endpoints, self._endpoints = self._endpoints, None
        self._pools.close()
        if endpoints is not None:
            endpoints.close()

    @property
    def is_in_use(self) -> bool:
        """Whether it has been used since it was made, or closed."""
        return self._pools.is_in_use

    def begin_anew(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        pools = self._pools
        self._forget()
        _stores.forget()
        buffers.forget()
        limit.forget()
        pools.abandon()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """A client that nobody closed leaves no socket to the garbage collector, which would warn of it.

        `is_finalizing` is bound here: at the interpreter's end the names of this module may be gone before the client.
        """
        pools = self.__dict__.get("_pools")
        if pools is not None and not is_finalizing():
            pools.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.config!r})"

    def __reduce__(self) -> tuple[type[Client], tuple[Config]]:
        return type(self), (self.config.merged(on_event=None),)

    # What calls share --------------------------------------------------------------------------------------------

    def settled(self, url: object, config: Config) -> Config:
        """The options for this URL, which trust the CAs that variables name; to a store, AWS's files as well.

        Raises ConfigError where those of a store cannot be read.
        """
        bundle = self._shared_endpoints().ca_bundle(config) if is_in_store(url) else bundle_for_servers(config)
        return config if bundle is None else self._pools.trusting(config, bundle)

    def configured(self, url: object, options: Mapping[str, Any]) -> Config:
        """The options of this client for a URL, with those of a call on top. Raises ConfigError."""
        return self.settled(url, merged(self.config, options, self._wrong))

    @contextmanager
    def lend(self, config: Config) -> Iterator[tuple[Pool, S3Endpoints]]:
        """What requests to S3 need under these options, until the context ends: connections, and where to ask."""
        with self._pools.lend(config) as pool:
            yield pool, self._shared_endpoints()

    def store_of(self, source: Source) -> Store:
        """What this process knows of the source's store, and shares with all requests to it."""
        return _stores.of(source.store)

    def _resolve(self, url: str, config: Config) -> Source:
        return self._neighbours.resolve(url, config, self._shared_endpoints)

    def _shared_endpoints(self) -> S3Endpoints:
        from fastget.sources.endpoints import S3Endpoints

        with self._lock:
            endpoints = self._endpoints = self._endpoints or S3Endpoints()
            return endpoints

    def _run(self, transfer: Transfer, cancellation: Cancellation) -> Result:
        cancellation.add(transfer.cancellation)
        try:
            return transfer.run()
        finally:
            cancellation.remove(transfer.cancellation)


# What the clients of this process have learned of stores; of all together, for a plain function makes its own client.
_stores = Stores()
