"""One thread of a pull: it fetches what it is given, and settles small files together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from fastget.bulk.outcome import PullFailure
from fastget.core.planner import SMALLEST_CHUNK
from fastget.engine.small.plain import LARGEST as SMALL
from fastget.errors import Cancelled, FastgetError
from fastget.events import Done, Failed, Unchanged
from fastget.records import record
from fastget.sinks.kept import KeptFile
from fastget.sources.protocol import PlainSource

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fastget.bulk.batch import Batch
    from fastget.bulk.folder import Folder, Opened
    from fastget.bulk.items import Item
    from fastget.bulk.unserved import Asking
    from fastget.config import Config
    from fastget.core.journal import Identity
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.small.objects import Put
    from fastget.errors import DestinationError
    from fastget.events import Event, Result
    from fastget.sinks.protocol import Sink, WholeSink

S = TypeVar("S", bound=PlainSource)
S_contra = TypeVar("S_contra", bound=PlainSource, contravariant=True)

# Seconds after a cancellation in which what is here already may still be flushed and get its name. Whoever cancels
# waits for the threads twice as long at least.
GRACE = 0.5
_WAIT = 0.1


class Fetcher(Protocol[S_contra]):
    """What one thread of a pull fetches with."""

    @property
    def found_size(self) -> int | None:
        """What the latest answer to `fetch_small` says of the object's size, in bytes."""
        ...

    @property
    def failure(self) -> FastgetError | None:
        """What has used up one try of the object in the latest `fetch_small`."""
        ...

    @property
    def asking(self) -> Asking:
        """Whom it asks, and what comes of it."""
        ...

    def fetch_small(
        self,
        source: S_contra,
        sink: WholeSink,
        config: Config,
        *,
        is_vacant: bool,
        put: Put | None = None,
        following: Callable[[], S_contra | None] | None = None,
    ) -> Result | None:
        """See `SmallObjects.fetch`."""
        ...

    def find(self, source: S_contra, sink: Sink, config: Config) -> Result | None:
        """The result where a small object is here already, for certain; else None. See `here.find`."""
        ...

    def fetch(self, source: S_contra, sink: Sink, config: Config) -> Result:
        """Fetch one object, in this thread or from here. Raises the errors of a download."""
        ...

    def rest(self) -> None:
        """Let go of the connection until it is needed again, and make room."""
        ...

    def make_room(self) -> None:
        """Close connections to whom it asks that nobody uses. Safe in any thread."""
        ...

    def close(self) -> None: ...


class Total(Protocol):
    """What the outcomes of one thread are added to. See `Sum`."""

    def add(self, result: Result) -> None: ...

    def fail(self, failure: PullFailure) -> None: ...


@record
class Order(Generic[S]):
    """An object that has a place."""

    item: Item
    source: S
    path: str

    @property
    def folder(self) -> str:
        """The path of its directory."""
        return self.path.rpartition("/")[0]


class Orders(Protocol[S]):
    """Where the next orders lie. See `Crew`."""

    def take_ahead(self) -> Order[S] | None:
        """One for whoever asks for it while the one before is on its way; None where nothing is to be asked ahead."""
        ...

    def give_back(self, order: Order[S]) -> None:
        """One that was taken and is for others."""
        ...


class Puller(Generic[S]):
    """One thread of a pull: carries out orders, and adds them up in `total`.

    `batch`: small files are flushed together; they count, and are told of, once they have their names. Of `orders` the
    next small one is taken ahead, and asked for while the one before is on its way.
    """

    def __init__(
        self,
        folder: Folder,
        config: Config,
        fetcher: Fetcher[S],
        total: Total,
        large: threading.Semaphore,
        batch: Batch | None,
        cancellation: Cancellation,
        orders: Orders[S] | None = None,
        learn: Callable[[S, int], None] | None = None,
    ) -> None:
        self._folder = folder
        self._config = replace(config, on_event=self._hear) if config.on_event is not None else config
        self._notify = config.on_event
        self._fetcher = fetcher
        self._total = total
        self._large = large
        self._batch = batch
        self._landed: list[tuple[Order[S], Result]] = []
        self._cancellation = cancellation
        self._orders = orders
        self._following: Order[S] | None = None
        self._was_small = False
        self._learn = learn
        self._source: S | None = None

    @property
    def asker(self) -> Asking:
        return self._fetcher.asking

    def give_up(self, served: int) -> None:
        """From another thread: end the request that waits; `served` others are all that the server answers at once."""
        self._fetcher.asking.give_up()
        if self._learn is not None and self._source is not None:
            self._learn(self._source, served)

    def leave_mute(self) -> bool:
        """From another thread: end the request that waits, if it is for an address that answers nobody; was it?"""
        asking = self._fetcher.asking
        if is_mute := asking.blame_mute():
            asking.give_up()
        return is_mute

    def make_room(self) -> None:
        """From another thread: close connections that nobody uses."""
        self._fetcher.make_room()

    def rest(self) -> None:
        """Let go of the connection until there is more to do."""
        self._fetcher.rest()

    def close(self) -> None:
        """Let go of what was fetched with, of what has no name yet, and of the order that was taken ahead."""
        self._give_back()
        if self._batch is not None:
            self._batch.close()
        self._fetcher.close()

    def work(self, order: Order[S]) -> bool:
        """Fetch one object. What fails is in the total; nothing is raised but what interrupts.

        False where it was given up, because it was not answered: it is to be fetched over another connection then.
        """
        self._source = order.source
        if not self._try(order, self._fetch):
            return False
        if self._batch is not None and self._batch.is_due:
            self.settle()
        return True

    def take_following(self) -> Order[S] | None:
        """The order that was taken ahead, and is the next one of this thread."""
        following, self._following = self._following, None
        return following

    def _give_back(self) -> None:
        if self._orders is not None and (following := self.take_following()) is not None:
            self._orders.give_back(following)

    def settle(self) -> None:
        """Flush what is waiting, and give it its names. What fails is in the total.

        After a cancellation too, for a moment: flushing may take long, and who was told that it stopped must not find
        a file later.
        """
        batch, landed = self._batch, self._landed
        if batch is None or not landed:
            return
        self._landed = []
        if not batch.flush(self._is_over):
            return
        published = batch.publish()
        for order, result in landed:
            if self._is_over():
                return
            self._note(order, result, next(published))

    def _is_over(self) -> bool:
        return self._cancellation.seconds > GRACE

    def _note(self, order: Order[S], result: Result, outcome: bool | DestinationError) -> None:
        """What came of giving a file its name."""
        if outcome is True:
            self._add(result)
        elif outcome is False:  # something has taken its name meanwhile: the ordinary way says what that means
            self._fetch_in_any_case(order)
        else:
            self._fail(order, outcome)

    def _fetch_in_any_case(self, order: Order[S]) -> None:
        """For one that counts as done already, so that nobody else would fetch it."""
        asking = self._fetcher.asking
        asking.is_patient = True
        while not self._try(order, self._fetch_alone):
            """It was given up just before."""
        asking.is_patient = False

    @property
    def _is_given_up(self) -> bool:
        return self._fetcher.asking.is_given_up and not self._cancellation.is_cancelled

    def _hear(self, event: Event) -> None:
        """A failure is told where it is counted: a transfer knows of fewer, and of those that are given up as well."""
        if self._notify is not None and not isinstance(event, Failed):
            self._notify(event)

    def _try(self, order: Order[S], fetch: Callable[[Order[S]], None]) -> bool:
        try:
            fetch(order)
        except FastgetError as error:
            if isinstance(error, Cancelled) and self._is_given_up:
                return False
            self._fail(order, error)
        return True

    def _fail(self, order: Order[S], error: FastgetError) -> None:
        if self._cancellation.is_cancelled:
            return
        error.url = error.url or order.source.display_url
        self._total.fail(PullFailure(order.source.display_url, order.path, error))
        if self._notify is not None:
            self._notify(Failed(order.source.display_url, type(error).__name__, error.message, error))

    def _add(self, result: Result) -> None:
        self._total.add(result)
        if self._config.on_event is not None:
            self._config.on_event(Done(result))

    def _fetch(self, order: Order[S]) -> None:
        directory = self._folder.hold(order.folder)
        try:
            sink, config = self._sink(order, directory), self._config_of(order)
            size = order.item.size
            if size is None or size <= SMALL:
                self._was_small = self._fetch_small(order, sink, config, directory) or (
                    not directory.is_new and self._find(order, sink, config)
                )
                if self._was_small:
                    return
                self._give_back()  # this one may take its time
                size = self._fetcher.found_size
                if (failure := self._fetcher.failure) is not None:
                    if not config.retries:
                        raise failure
                    config = config.merged(retries=config.retries - 1)
            self._fetch_large(sink, order.source, size, config)
        finally:
            self._folder.let_go(directory)

    def _fetch_small(self, order: Order[S], sink: KeptFile, config: Config, directory: Opened) -> bool:
        """Whether it is here, or waits for its flush."""
        batch, is_waiting = self._batch, False

        def put(data: memoryview, identity: Identity | None) -> bool:
            nonlocal is_waiting
            is_waiting = batch is not None and batch.add(sink, directory, data, identity)
            return is_waiting or sink.put(data, identity)

        orders = self._orders
        following = None if orders is None else partial(self._follow, orders, order.folder, directory)
        result = self._fetcher.fetch_small(
            order.source,
            sink,
            config,
            is_vacant=directory.is_new,
            put=put,
            following=following if self._was_small else None,
        )
        if is_waiting and result is not None:
            self._landed.append((order, result))
        elif result is not None:
            self._add(result)
        return result is not None

    def _find(self, order: Order[S], sink: KeptFile, config: Config) -> bool:
        """Whether it was here already, and counts as that now."""
        result = self._fetcher.find(order.source, sink, config)
        if result is None:
            return False
        if self._notify is not None:
            self._notify(Unchanged(order.source.display_url, result.path, result.size, result.etag))
        self._add(result)
        return True

    def _follow(self, orders: Orders[S], folder: str, directory: Opened) -> S | None:
        """Take the next order. Its source, if that is to be asked for: small, for all that is known, and not here."""
        self._following = following = orders.take_ahead()
        if following is None or (following.item.size or 0) > SMALL or following.folder != folder:
            return None
        return following.source if directory.is_new or self._sink(following, directory).is_vacant() else None

    def _fetch_alone(self, order: Order[S]) -> None:
        with self._folder.directory(order.folder) as directory:
            self._fetch_large(self._sink(order, directory), order.source, None, self._config_of(order))

    def _fetch_large(self, sink: KeptFile, source: S, size: int | None, config: Config) -> None:
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

    def _sink(self, order: Order[S], directory: Opened) -> KeptFile:
        config = self._config
        return KeptFile(
            self._folder.shown(order.path),
            fsync=config.fsync,
            overwrite=config.overwrite,
            resume=config.resume,
            at=directory.descriptor,
        )

    def _config_of(self, order: Order[S]) -> Config:
        checksum = order.item.checksum
        return self._config if checksum is None else self._config.merged(checksum=checksum)
