"""One pull, from its first item to its summary."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from fastget.buffers import LEAST
from fastget.bulk.batch import Batch, places
from fastget.bulk.crew import Crew
from fastget.bulk.items import Broken, Item, Pause
from fastget.bulk.outcome import PullFailure, PullResult, Sum
from fastget.bulk.processes.alone import company_for
from fastget.bulk.puller import Order, Puller
from fastget.core.keypaths import Marker, Refused, Taken, place
from fastget.engine.announcer import Announcer
from fastget.engine.children.portion import share_of
from fastget.errors import ConfigError, DestinationError, FastgetError
from fastget.events import Failed, Progress, PullProgress, Started
from fastget.sinks.names import fault_of_encoding, is_own_name
from fastget.sources.resolve import display_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastget.bulk.folder import Folder
    from fastget.bulk.puller import Fetcher
    from fastget.config import Config
    from fastget.engine.cancellation import Cancellation
    from fastget.events import Event
    from fastget.sources.lent import LentSource
    from fastget.sources.protocol import Source

# Objects of more than one chunk that are fetched at a time: each of them finds its own number of connections.
LARGE_AT_ONCE = 2
# The smallest buffers that the memory has to hold for each thread: its own, and those of a transfer.
EACH = 4
# Seconds between two samples of the progress.
TICK = 0.1
_ALONE = "download it alone, to a name of its own"
_BY_LIST = "name the file: out=NAME below the URL"


class Means(Protocol):
    """What a client lends to a pull."""

    def source(self, item: Item) -> Source:
        """The object that an item names. Raises InvalidURL, ConfigError."""
        ...

    def fetcher(self, cancellation: Cancellation) -> Fetcher[Source]:
        """What a thread fetches with; it closes that."""
        ...

    def lend(self, source: Source) -> LentSource | None:
        """The plain request of a source, for another process; None where that is better kept here.

        Raises what `Source.get` does.
        """
        ...

    def start(self, source: Source) -> tuple[int, int] | None:
        """How many requests at once to begin with, and at most; None where its store has answered nothing yet."""
        ...

    def borne(self, source: Source) -> int | None:
        """How many requests at once the source's server is known to answer; None where it is not known."""
        ...

    def learn_borne(self, source: Source, count: int) -> None:
        """It answers so many."""
        ...


class Pull:
    """Fetches items into a folder, once, from the thread that calls `run`. `cancellation` may be cancelled from any.

    Of every key and name, what is not a plain path below the folder is refused, and of two with one name the second.
    """

    def __init__(
        self,
        items: Iterable[Item | Pause | Broken],
        folder: Folder,
        config: Config,
        means: Means,
        cancellation: Cancellation,
    ) -> None:
        self._items = items
        self._folder = folder
        self._config = replace(config, on_event=self._hear if config.on_event is not None else None)
        self._means = means
        self._cancellation = cancellation
        self._announcer = Announcer(config.on_event)
        self._heard: deque[Event] = deque()
        self._failures: list[PullFailure] = []
        self._refused = Sum(self._failures)
        self._sums: list[Sum] = [self._refused]
        self._found = self._received = 0
        self._is_listed = False
        self._may_be_short = True
        self._first: Source | None = None
        self._has_started = False
        self._large = threading.Semaphore(LARGE_AT_ONCE)
        self._places = places()
        self._company = company_for(folder, self._config, means)
        self._crew: Crew[Order[Source]] = Crew(
            self._recruit,
            share_of(config.jobs, self._company.count),
            self._look,
            most=max(1, config.max_memory // (EACH * LEAST)),
            others=self._company,
        )
        # Nothing else tells of two keys that one file system takes for one name: no system call does.
        self._folds = folder.folds_names()
        self._taken = Taken(folds=self._folds)
        self._began = time.monotonic()
        self._told = self._began

    def run(self) -> PullResult:
        """Fetch everything. What fails is in the result, and keeps nothing else from being fetched.

        Raises what the items raise (a listing that fails, an iterable of the caller), once what is on its way has come
        to its end, and what interrupted it, at once; what is complete stays.
        """
        try:
            broken = self._hand_out()
            self._crew.finish()
        except BaseException:
            self._cancellation.cancel()
            self._crew.stop()
            raise
        finally:
            self._deliver()
        self._folder.flush()
        if broken is not None:
            try:
                raise broken
            finally:
                del broken  # whose traceback has this frame
        return self._result()

    # In the caller's thread ------------------------------------------------------------------------------------------

    def _hand_out(self) -> Exception | None:
        """Begin all items; what has broken them off, None where they came to their end."""
        try:
            for item in self._items:
                if isinstance(item, Broken):
                    return item.error
                if isinstance(item, Pause):
                    self._crew.look()
                else:
                    self._begin(item)
        except FastgetError as error:
            return error
        self._is_listed = True
        return None

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
                self._first = self._first or order.source
                self._crew.hand_out(order, self._borne(order))

    def _order(self, item: Item) -> Order[Source] | None:
        """What is to be done for an item; None for a key that only stands for a directory."""
        if item.key is None and item.name is None:
            source = self._means.source(item)
            found = place(source.filename)
            if isinstance(found, Marker):
                raise ConfigError("the URL ends in no plain file name", hint=_BY_LIST)
        else:
            found = place(item.name or item.key or "", item.prefix)
            source = None
        if isinstance(found, Marker):
            _check_marker(item)
            return None
        what, way_out = ("name", _BY_LIST) if item.key is None else ("key", _ALONE)
        if isinstance(found, Refused) or is_own_name(found.path):
            reason = found.reason if isinstance(found, Refused) else "it is a name of fastget's own unfinished files"
            raise DestinationError(f"the {what} becomes no file: {reason}", hint=way_out)
        if (fault := fault_of_encoding(found.path)) is not None:
            raise DestinationError(f"the {what} becomes no file: {fault}", hint=way_out)
        # A listing has each key once. Where the file system keeps all names apart, it is the one that knows them.
        if (self._folds or item.key is None) and (conflict := self._taken.take(found.path)) is not None:
            raise DestinationError(
                f"{self._folder.shown(found.path)} cannot be written: {conflict}",
                path=self._folder.shown(found.path),
                hint=way_out,
            )
        return Order(item, source or self._means.source(item), found.path)

    def _borne(self, order: Order[Source]) -> int | None:
        """Asked until one server is not known to be short: then others are no reason to hold back."""
        borne = self._means.borne(order.source) if self._may_be_short else None
        self._may_be_short = borne is not None
        return borne

    def _start(self) -> None:
        """Learned from the first answer of the first object's store: how far away it is, and what it is made for."""
        if self._has_started or self._first is None or (start := self._means.start(self._first)) is None:
            return
        self._has_started = True
        self._crew.begin_with(*start)

    def _look(self) -> None:
        self._cancellation.check()
        self._start()
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
        on_the_way = sum(hand.tool.asker.received for hand in self._crew.hands)
        # An object's bytes are in neither for a moment, on their way to the sum.
        self._received = max(self._received, so_far.bytes_received + on_the_way)
        return PullProgress(
            self._folder.path,
            self._found,
            self._is_listed,
            so_far.done,
            so_far.skipped,
            so_far.failed,
            so_far.size,
            self._received,
            self._jobs,
            now - self._began,
        )

    def _result(self) -> PullResult:
        seconds = time.monotonic() - self._began
        total = Sum.of((*self._sums, *self._company.sums), self._failures)
        return total.result(self._folder.path, seconds, self._jobs, self._company.worked)

    @property
    def _jobs(self) -> int:
        return len(self._crew.hands) + self._company.threads

    def _recruit(self) -> Puller[Source]:
        own = Sum(self._failures)
        self._sums.append(own)
        fetcher = self._means.fetcher(self._cancellation)
        batch = Batch(self._folder, self._places) if self._config.fsync else None
        orders, learn = self._crew if self._config.jobs is None else None, self._means.learn_borne
        return Puller(self._folder, self._config, fetcher, own, self._large, batch, self._cancellation, orders, learn)

    def _refuse(self, item: Item, error: FastgetError) -> None:
        error.url = url = display_url(item.url)
        self._refused.fail(PullFailure(url, None, error))
        if self._announcer.is_heard:
            self._hear(Failed(url, type(error).__name__, error.message, error))

    def _hear(self, event: Event) -> None:
        """Events of the objects, kept for the caller's thread. There is a sample of all of them together instead."""
        if not isinstance(event, Started | Progress):
            self._heard.append(event)


def _check_marker(item: Item) -> None:
    """A key that ends in a slash stands for a directory, and has no bytes to lose (faults.md S6)."""
    if item.name is not None:
        fault = "ends in a slash" if item.name else "is empty"
        raise ConfigError(f"the name {fault}, so that it is none of a file", hint="name the file: out=NAME")
    if item.size:
        raise DestinationError(
            f"the key ends in a slash, which is a directory here: its {item.size} bytes become no file", hint=_ALONE
        )
