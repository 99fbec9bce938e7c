"""A child of a pull, from its first line to its last."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from operator import attrgetter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NoReturn, TypeVar

# What its threads would load at their first object.
import fastget.core.object_moulds
import fastget.transport.connection  # noqa: F401
from fastget.bulk.batch import Batch, places
from fastget.bulk.crew import Crew
from fastget.bulk.folder import Folder
from fastget.bulk.items import Item
from fastget.bulk.lines import Lines
from fastget.bulk.processes.alone import Alone
from fastget.bulk.processes.messages import Broken, Commission, Finish, Finished, Lot, Report
from fastget.bulk.puller import Order, Puller
from fastget.engine.cancellation import Cancellation
from fastget.engine.children.channel import Channel
from fastget.engine.children.lifetime import check_parent, live_for
from fastget.engine.children.messages import Stop, packed
from fastget.engine.exchange.stores import Stores
from fastget.engine.threads import Thread
from fastget.errors import FastgetError
from fastget.transport.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.bulk.outcome import PullFailure
    from fastget.bulk.processes.messages import Errand
    from fastget.config import Config
    from fastget.events import Result
    from fastget.sinks.protocol import Sink
    from fastget.sources.lent import LentSource

T = TypeVar("T")

# Seconds of work that lie ready at most: what one child holds, no other can fetch.
AHEAD = 0.1
# Pieces that do so, whatever the rate: for each thread at least, and in all at most.
LEAST_EACH, MOST = 4, 256
# Seconds between two reports that have nothing to say.
HEARTBEAT = 0.1


def main(sock: int, file: int, parent: int) -> NoReturn:
    """Work for process `parent`, over an open socket, below an open directory, until it says so, or is gone."""
    live_for(parent, lambda: _Child(socket.socket(fileno=sock), file, parent).run())


class _Elsewhere(FastgetError):
    """It is for the process of the pull to fetch."""


class Outcomes:
    """What has come of the errands, until it is told. Safe in many threads. It takes what a `Sum` takes."""

    def __init__(self) -> None:
        self._landed: deque[Result] = deque()
        self._returned: deque[str] = deque()

    def add(self, result: Result) -> None:
        """An object that is here."""
        self._landed.append(result)

    def fail(self, failure: PullFailure) -> None:
        """One that is not, whatever the reason: the process of the pull finds out."""
        self._returned.append(failure.path or "")

    def taken(self) -> tuple[tuple[Result, ...], tuple[str, ...]]:
        """Those so far; none is given twice."""
        return _all_of(self._landed), _all_of(self._returned)


class Connections:
    """A pool for each file of CAs that connections trust. Safe in many threads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._pools: dict[str | None, Pool] = {}

    def trusting(self, ca_bundle: str | None) -> Pool:
        """Connections that trust this file."""
        with self._lock:
            if ca_bundle not in self._pools:
                self._pools[ca_bundle] = Pool(self._config.merged(ca_bundle=ca_bundle))
            return self._pools[ca_bundle]


class LentFetcher(Lines["LentSource"]):
    """Implements `Fetcher`: the plain requests that were lent, over connections of its own, and nothing else."""

    def find(self, source: LentSource, sink: Sink, config: Config) -> Result | None:
        """What may be here already is for the process of the pull, too: a HEAD is another request."""
        del source, sink, config
        return None

    def fetch(self, source: LentSource, sink: Sink, config: Config) -> Result:
        """Raises what sends the object back."""
        del sink, config
        raise _Elsewhere(f"{source.display_url} takes more than one plain request")


class _Child:
    """Receives in one thread, reports from another, and fetches in those of a crew."""

    def __init__(self, sock: socket.socket, file: int, parent: int) -> None:
        self._file = file
        self._parent = parent
        self._channel = Channel(sock, "child")
        self._inbox: SimpleQueue[Errand] = SimpleQueue()
        self._outcomes = Outcomes()
        self._cancellation = Cancellation()
        self._is_over = threading.Event()
        self._told = 0.0
        self._arrived = 0

    def run(self) -> None:
        """Fetch what is given until told to end."""
        messages = self._channel.receive()
        commission: Commission = next(messages)
        self._channel.open()
        Thread(lambda: self._listen(messages), "fastget-listener").start()
        try:
            self._fetch(commission)
        except Exception as error:  # noqa: BLE001 - raised in the process of the pull
            self._channel.post(Broken(packed(error)))
        self._channel.close()

    def _listen(self, messages: Iterator[object]) -> None:
        for message in messages:
            if isinstance(message, Lot):
                for errand in message.errands:
                    self._inbox.put(errand)
                self._arrived += len(message.errands)
            elif isinstance(message, Finish):
                self._is_over.set()
            elif isinstance(message, Stop):
                self._cancellation.cancel()
                self._is_over.set()
        # The other end is gone: nothing may be written any more.
        os._exit(1)

    def _fetch(self, commission: Commission) -> None:
        config = commission.config
        connections, stores = Connections(config), Stores()
        open_places = places()
        with Folder.lent(self._file, commission.directory, is_new=commission.is_new, is_durable=config.fsync) as folder:

            def recruit() -> Puller[LentSource]:
                return Puller(
                    folder,
                    config,
                    LentFetcher(connections.trusting, attrgetter("ca_bundle"), stores, self._cancellation),
                    self._outcomes,
                    threading.Semaphore(),
                    Batch(folder, open_places) if config.fsync else None,
                    self._cancellation,
                    crew if jobs is None else None,
                )

            jobs = commission.jobs
            crew: Crew[Order[LentSource]] = Crew(
                recruit, jobs, self._on_look, others=Alone(), processes=commission.processes
            )
            self._work(crew)
            if not self._cancellation.is_cancelled:
                folder.flush()
                self._channel.post(Finished())

    def _work(self, crew: Crew[Order[LentSource]]) -> None:
        pace = Pace()
        try:
            while not self._is_over.is_set():
                arrived = self._arrived  # at least those are in the box
                for errand in _all_in(self._inbox):
                    item = Item("", size=errand.size, checksum=errand.checksum)
                    crew.hand_out(Order(item, errand.source, errand.path))
                crew.look()
                wanted = pace.wanted(time.monotonic(), crew.finished, crew.outstanding, len(crew.hands))
                self._report(arrived + wanted, len(crew.hands))
        finally:
            crew.stop()
            self._report(self._arrived, len(crew.hands))

    def _on_look(self) -> None:
        check_parent(self._parent)

    def _report(self, due: int, threads: int) -> None:
        landed, returned = self._outcomes.taken()
        now = time.monotonic()
        if landed or returned or due > self._arrived or now - self._told >= HEARTBEAT:
            self._told = now
            self._channel.post(Report(landed, returned, due, threads))


class Pace:
    """How many errands should lie ready: as many as take a moment, at the rate of the last looks."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._last: tuple[float, int] | None = None

    def wanted(self, now: float, finished: int, outstanding: int, threads: int) -> int:
        """How many more."""
        if self._last is not None and now > self._last[0]:
            rate = (finished - self._last[1]) / (now - self._last[0])
            self._rate = max(rate, (self._rate + rate) / 2)
        self._last = now, finished
        most = min(MOST, max(LEAST_EACH * max(threads, 1), int(self._rate * AHEAD)))
        return max(0, most - outstanding)


def _all_in(queue: SimpleQueue[Errand]) -> Iterator[Errand]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return


def _all_of(waiting: deque[T]) -> tuple[T, ...]:
    found = []
    while waiting:
        found.append(waiting.popleft())
    return tuple(found)
