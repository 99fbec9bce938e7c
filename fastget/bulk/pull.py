"""One pull, from its first item to its summary."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from fastget.buffers import LEAST
from fastget.bulk.batch import Batch, places
from fastget.bulk.crew import Crew
from fastget.bulk.outcome import PullFailure, PullResult, Sum
from fastget.core.keypaths import Marker, Refused, Taken, place
from fastget.core.planner import SMALLEST_CHUNK
from fastget.engine.announcer import Announcer
from fastget.engine.small import LARGEST as SMALL
from fastget.errors import ConfigError, DestinationError, FastgetError
from fastget.events import Done, Failed, Progress, PullProgress, Started
from fastget.sinks.kept import KeptFile
from fastget.sinks.names import is_own_name
from fastget.sources.resolve import display_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastget.bulk.folder import Folder, Opened
    from fastget.bulk.items import Item
    from fastget.config import Config
    from fastget.core.journal import Identity
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.small import Put
    from fastget.events import Event, Result
    from fastget.sinks.protocol import Sink, WholeSink
    from fastget.sources.protocol import Source

# Objects of more than one chunk that are fetched at a time: each of them finds its own number of connections.
LARGE_AT_ONCE = 2
# The smallest buffers that the memory has to hold for each thread: its own, and those of a transfer.
EACH = 4
# Seconds between two samples of the progress.
TICK = 0.1
_WAIT = 0.1
_ALONE = "download it alone, to a name of its own"


class Fetcher(Protocol):
    """What one thread of a pull fetches with."""

    @property
    def found_size(self) -> int | None:
        """What the latest answer to `fetch_small` says of the object's size, in bytes."""
        ...

    def fetch_small(
        self, source: Source, sink: WholeSink, config: Config, *, is_vacant: bool, put: Put | None = None
    ) -> Result | None:
        """See `SmallObjects.fetch`."""
        ...

    def fetch(self, source: Source, sink: Sink, config: Config) -> Result:
        """Fetch one object, in this thread or from here. Raises the errors of a download."""
        ...

    def close(self) -> None: ...


class Means(Protocol):
    """What a client lends to a pull."""

    def source(self, item: Item) -> Source:
        """The object that an item names. Raises InvalidURL, ConfigError."""
        ...

    def fetcher(self, cancellation: Cancellation) -> Fetcher:
        """What a thread fetches with; it closes that."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """An object that has a place."""

    item: Item
    source: Source
    path: str

    @property
    def folder(self) -> str:
        """The path of its directory."""
        return self.path.rpartition("/")[0]


class Pull:
    """Fetches items into a folder, once, from the thread that calls `run`. `cancellation` may be cancelled from any.

    Of every key and name, what is not a plain path below the folder is refused, and of two with one name the second.
    """

    def __init__(
        self, items: Iterable[Item], folder: Folder, config: Config, means: Means, cancellation: Cancellation
    ) -> None:
        self._items = items
        self._folder = folder
        self._config = replace(config, on_event=self._hear if config.on_event is not None else None)
        self._means = means
        self._cancellation = cancellation
        self._announcer = Announcer(config.on_event)
        self._heard: deque[Event] = deque()
        self._sums: list[Sum] = []
        self._refused = Sum()
        self._found = 0
        self._is_listed = False
        self._large = threading.Semaphore(LARGE_AT_ONCE)
        self._places = places()
        self._crew: Crew[Order] = Crew(
            self._recruit, config.jobs, self._look, most=max(1, config.max_memory // (EACH * LEAST))
        )
        # Nothing else tells of two keys that one file system takes for one name: no system call does.
        self._folds = folder.folds_names()
        self._taken = Taken(folds=self._folds)
        self._began = time.monotonic()
        self._told = self._began

    def run(self) -> PullResult:
        """Fetch everything. What fails is in the result, and keeps nothing else from being fetched.

        Raises what the items raise (a listing that fails), once what is on its way has come to its end, and what
        interrupted it, at once; what is complete stays.
        """
        try:
            try:
                for item in self._items:
                    self._begin(item)
            except FastgetError:
                self._crew.finish()
                raise
            self._is_listed = True
            self._crew.finish()
        except BaseException:
            self._cancellation.cancel()
            self._crew.stop()
            raise
        finally:
            self._deliver()
        self._folder.flush()
        return self._result()

    # In the caller's thread ------------------------------------------------------------------------------------------

    def _begin(self, item: Item) -> None:
        self._cancellation.check()
        self._found += 1
        try:
            order = self._order(item)
        except FastgetError as error:
            self._refuse(item, error)
        else:
            if order is None:
                self._found -= 1
            else:
                self._crew.hand_out(order)

    def _order(self, item: Item) -> Order | None:
        """What is to be done for an item; None for a key that only stands for a directory."""
        if item.key is None and item.name is None:
            source = self._means.source(item)
            found = place(source.filename)
            if isinstance(found, Marker):
                raise ConfigError("the URL ends in no plain file name", hint="name the file: out=NAME below the URL")
        else:
            found = place(item.name or item.key or "", item.prefix)
            source = None
        if isinstance(found, Marker):
            _check_marker(item)
            return None
        if isinstance(found, Refused) or is_own_name(found.path):
            reason = found.reason if isinstance(found, Refused) else "it is a name of fastget's own unfinished files"
            raise DestinationError(f"the key becomes no file: {reason}", hint=_ALONE)
        # A listing has each key once. Where the file system keeps all names apart, it is the one that knows them.
        if (self._folds or item.key is None) and (conflict := self._taken.take(found.path)) is not None:
            raise DestinationError(
                f"{self._folder.shown(found.path)} cannot be written: {conflict}",
                path=self._folder.shown(found.path),
                hint=_ALONE,
            )
        return Order(item, source or self._means.source(item), found.path)

    def _look(self) -> None:
        self._cancellation.check()
        self._deliver()
        now = time.monotonic()
        if self._announcer.is_heard and now - self._told >= TICK:
            self._told = now
            self._announcer.tell(self._progress(now))

    def _deliver(self) -> None:
        while self._heard:
            self._announcer.tell(self._heard.popleft())

    def _progress(self, now: float) -> PullProgress:
        so_far = self._result()
        return PullProgress(
            self._folder.path,
            self._found,
            self._is_listed,
            so_far.done,
            so_far.skipped,
            so_far.failed,
            so_far.size,
            so_far.bytes_received,
            len(self._crew.hands),
            now - self._began,
        )

    def _result(self) -> PullResult:
        seconds = time.monotonic() - self._began
        return Sum.of((self._refused, *self._sums)).result(self._folder.path, seconds, len(self._crew.hands))

    def _recruit(self) -> Puller:
        own = Sum()
        self._sums.append(own)
        fetcher = self._means.fetcher(self._cancellation)
        batch = Batch(self._folder, self._places) if self._config.fsync else None
        return Puller(self._folder, self._config, fetcher, own, self._large, batch, self._cancellation)

    def _refuse(self, item: Item, error: FastgetError) -> None:
        url = display_url(item.url)
        self._refused.fail(PullFailure(url, None, error))
        if self._announcer.is_heard:
            self._hear(Failed(url, type(error).__name__, error.message))

    def _hear(self, event: Event) -> None:
        """Events of the objects, kept for the caller's thread. There is a sample of all of them together instead."""
        if not isinstance(event, Started | Progress):
            self._heard.append(event)


class Puller:
    """One thread of a pull: carries out orders, and adds them up in `total`.

    `batch`: small files are flushed together; they count, and are told of, once they have their names.
    """

    def __init__(
        self,
        folder: Folder,
        config: Config,
        fetcher: Fetcher,
        total: Sum,
        large: threading.Semaphore,
        batch: Batch | None,
        cancellation: Cancellation,
    ) -> None:
        self._folder = folder
        self._config = config
        self._fetcher = fetcher
        self._total = total
        self._large = large
        self._batch = batch
        self._landed: list[tuple[Order, Result]] = []
        self._cancellation = cancellation

    def close(self) -> None:
        """Let go of what was fetched with, and of what has no name yet."""
        if self._batch is not None:
            self._batch.close()
        self._fetcher.close()

    def work(self, order: Order) -> None:
        """Fetch one object. What fails is in the total; nothing is raised but what interrupts."""
        self._try(order, self._fetch)
        if self._batch is not None and self._batch.is_due:
            self.settle()

    def settle(self) -> None:
        """Flush what is waiting, and give it its names. What fails is in the total."""
        batch, landed = self._batch, self._landed
        if batch is None or not landed:
            return
        self._landed = []
        batch.flush()
        # Flushing takes long, and who was told that it stopped must not find a file later.
        if self._cancellation.is_cancelled:
            return
        for (order, result), outcome in zip(landed, batch.publish(), strict=True):
            if outcome is True:
                self._add(result)
            elif outcome is False:  # something has taken its name meanwhile: the ordinary way says what that means
                self._try(order, self._fetch_alone)
            else:
                self._tell_failure(order, outcome)
                self._fail(order, outcome)

    def _try(self, order: Order, fetch: Callable[[Order], None]) -> None:
        try:
            fetch(order)
        except FastgetError as error:
            self._fail(order, error)

    def _fail(self, order: Order, error: FastgetError) -> None:
        if not self._cancellation.is_cancelled:
            self._total.fail(PullFailure(order.source.display_url, order.path, error))

    def _tell_failure(self, order: Order, error: FastgetError) -> None:
        """As a `Transfer` does of its own failures."""
        if self._config.on_event is not None and not self._cancellation.is_cancelled:
            self._config.on_event(Failed(order.source.display_url, type(error).__name__, error.message))

    def _add(self, result: Result) -> None:
        self._total.add(result)
        if self._config.on_event is not None:
            self._config.on_event(Done(result))

    def _fetch(self, order: Order) -> None:
        with self._folder.directory(order.folder) as directory:
            sink, config = self._sink(order, directory), self._config_of(order)
            size = order.item.size
            if size is None or size <= SMALL:
                if self._fetch_small(order, sink, config, directory):
                    return
                size = self._fetcher.found_size
            self._fetch_large(sink, order.source, size, config)

    def _fetch_small(self, order: Order, sink: KeptFile, config: Config, directory: Opened) -> bool:
        """Whether it is here, or waits for its flush."""
        batch, is_waiting = self._batch, False

        def put(data: memoryview, identity: Identity | None) -> bool:
            nonlocal is_waiting
            is_waiting = batch is not None and batch.add(sink, directory, data, identity)
            return is_waiting or sink.put(data, identity)

        try:
            result = self._fetcher.fetch_small(order.source, sink, config, is_vacant=directory.is_new, put=put)
        except DestinationError as error:
            self._tell_failure(order, error)
            raise
        if is_waiting and result is not None:
            self._landed.append((order, result))
        elif result is not None:
            self._add(result)
        return result is not None

    def _fetch_alone(self, order: Order) -> None:
        with self._folder.directory(order.folder) as directory:
            self._fetch_large(self._sink(order, directory), order.source, None, self._config_of(order))

    def _fetch_large(self, sink: KeptFile, source: Source, size: int | None, config: Config) -> None:
        if (size or 0) <= SMALLEST_CHUNK:
            self._total.add(self._fetcher.fetch(source, sink, config))
            return
        self.settle()  # this one takes its time
        while not self._large.acquire(timeout=_WAIT):
            self._cancellation.check()
        try:
            self._total.add(self._fetcher.fetch(source, sink, config))
        finally:
            self._large.release()

    def _sink(self, order: Order, directory: Opened) -> KeptFile:
        config = self._config
        return KeptFile(
            self._folder.shown(order.path),
            fsync=config.fsync,
            overwrite=config.overwrite,
            resume=config.resume,
            at=directory.descriptor,
        )

    def _config_of(self, order: Order) -> Config:
        checksum = order.item.checksum
        return self._config if checksum is None else self._config.merged(checksum=checksum)


def _check_marker(item: Item) -> None:
    """A key that ends in a slash stands for a directory, and has no bytes to lose (faults.md S6)."""
    if item.name is not None:
        raise ConfigError("the name ends in a slash, so that it is none of a file", hint="name the file: out=NAME")
    if item.size:
        raise DestinationError(
            f"the key ends in a slash, which is a directory here: its {item.size} bytes become no file", hint=_ALONE
        )
