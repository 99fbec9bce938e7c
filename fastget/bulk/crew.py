"""The threads of a pull: as many as pay, each taking objects from one queue until there is none."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from fastget.buffers import HAS_LOCK
from fastget.bulk.unserved import Asker, Watch
from fastget.core.governor import GRAIN, LIMIT, START, Governor, Sample
from fastget.engine.descriptors import room_for_connections
from fastget.engine.threads import PATIENCE, Thread, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# So many objects are named ahead of the threads: a page of a listing, so that the next one is fetched meanwhile.
AHEAD = 1000
# Seconds between two looks: often enough to fill the queue again, seldom enough to cost nothing.
LOOK = 0.02
# Seconds without a piece, or those that the next piece takes to be named, after which a thread lets its connection go:
# where a server serves few at once, a listing may be waiting for its place.
IDLE = 2.0
# Seconds until the next one does, where that was not enough: whatever names the pieces may be slow by itself.
SELDOM = 10.0
# Pieces that each thread has to have done before a window shows how many they do.
SHOWN = 4


class Tool(Protocol[T]):
    """What one thread works with. It is closed in that thread.

    `work` says whether it has done a piece: one that was given up is for others. It may leave the end of a piece open,
    until there are several to end together. `settle` ends them all: it is called when nothing lies ready to be worked
    on, so before any wait, and at the end. `take_following` gives the piece that it has taken ahead, if it has, to be
    worked on next. `rest` lets go of the connection until there is more to do.

    From another thread: `asker` shows what it waits for, `give_up` ends that, as no more than `served` threads fare
    better. `leave_mute` ends it where another address will answer, and says whether it does. `make_room` closes
    connections that nobody uses.
    """

    @property
    def asker(self) -> Asker: ...

    def work(self, piece: T) -> bool: ...

    def take_following(self) -> T | None: ...

    def settle(self) -> None: ...

    def rest(self) -> None: ...

    def close(self) -> None: ...

    def give_up(self, served: int) -> None: ...

    def leave_mute(self) -> bool: ...

    def make_room(self) -> None: ...


class Reinforcements(Protocol[T]):
    """Other processes that do pieces, too. See `Company` in fastget/bulk/processes."""

    @property
    def finished(self) -> int: ...

    @property
    def error(self) -> BaseException | None: ...

    def look(self, orders: Crew[T], finished: int, outstanding: int, *, may_grow: bool) -> None: ...

    def finish(self, on_look: Callable[[], None]) -> None: ...

    def stop(self) -> None: ...


class Hand(Generic[T]):
    """One thread. It counts what it has `finished`; another thread may read that at any time.

    Once `is_dismissed` is set it takes nothing more.
    """

    def __init__(self, tool: Tool[T]) -> None:
        self.tool = tool
        self.finished = 0
        self.is_dismissed = False


class Crew(Generic[T]):
    """Threads that do pieces of work which one thread hands out. `recruit` makes what one of them works with.

    `jobs` is their number; None: found by measuring; `most` the most that it can be; so many `processes` share the
    machine, and `others` take pieces as well. An exception in one of them is raised in `hand_out` or `finish`. Whoever
    gets no answer, because the server serves no more at once, is dismissed.
    """

    def __init__(
        self,
        recruit: Callable[[], Tool[T]],
        jobs: int | None,
        on_look: Callable[[], None],
        most: int = 1000,
        *,
        others: Reinforcements[T],
        processes: int = 1,
    ) -> None:
        self.hands: list[Hand[T]] = []
        self._recruit = recruit
        self._on_look = on_look
        self._most = _most_jobs(most if jobs is None else min(most, jobs))
        cores = max(1, usable_cores() // processes)
        self._governor = (
            Governor(START, min(LIMIT, self._most), cores, 1 if HAS_LOCK else cores, reopens=True)
            if jobs is None
            else Governor(self._most, self._most, 1)
        )
        self._processes = processes
        self._others = others
        self._is_free = jobs is None
        # How many the servers are known to serve at once; None: as many as there are.
        self._borne: int | None = 0
        self._is_full = False
        self._watch = Watch()
        # When the naming of the next piece began, and when a connection was last let go for it.
        self._naming: float | None = None
        self._has_let = 0.0
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._handed_out = 0
        self._idle = threading.Event()
        self._has_all = False
        self._is_stopped = False
        self._error: BaseException | None = None

    @property
    def finished(self) -> int:
        return self._done_here + self._others.finished

    @property
    def outstanding(self) -> int:
        return self._handed_out - self.finished

    @property
    def _done_here(self) -> int:
        return sum(hand.finished for hand in self.hands)

    def begin_with(self, count: int, limit: int) -> None:
        """Begin with so many threads, in all processes together, instead of one, and have `limit` in this one at most.

        Unless that has been outgrown.
        """
        self._governor.begin_with(max(1, count // self._processes), min(limit, self._most))

    def take(self) -> T | None:
        """From any thread: a piece that nobody has begun, if there is one: to be counted, or given back."""
        try:
            piece = self._queue.get_nowait()
        except Empty:
            return None
        if piece is None:
            self._queue.put(None)  # it is for a thread, and ends it
        return piece

    def take_ahead(self) -> T | None:
        """The same for a thread, which asks for it while its own piece is on its way; None where they are many."""
        return self.take() if 2 * len(self.hands) <= LIMIT else None

    def give_back(self, piece: T) -> None:
        """From any thread: a piece that was taken."""
        self._queue.put(piece)

    def hand_out(self, piece: T, borne: int | None = None) -> None:
        """Give a piece to whoever is free next; wait while enough of them lie ahead.

        `borne`: how many its server is known to serve at once.
        """
        self._naming = None
        while self.outstanding >= AHEAD:
            self._look()
        self._handed_out += 1
        self._queue.put(piece)
        if self._borne is not None:
            self._borne = max(self._borne, borne) if borne is not None and self._is_free else None
        if len(self.hands) < self._bounded(min(self._governor.wanted, self._handed_out)):
            self._start()
        self._naming = time.monotonic()

    def finish(self) -> None:
        """Wait until everything is done, and end the threads."""
        self._naming = None
        self._has_all = True
        while self.outstanding:
            self._look()
        self._end()
        self._join(None)
        self._others.finish(self._look_on)
        self._check()

    def stop(self) -> None:
        """End the threads as soon as their pieces are; what is running has to be cancelled by the caller before."""
        self._is_stopped = True
        self._end()
        try:
            self._others.stop()
        finally:
            self._join(PATIENCE)

    def look(self) -> None:
        """Wait a moment, and see to the number of threads: for whoever has nothing to hand out now."""
        self._naming = None
        self._look()

    def _look_on(self) -> None:
        self._check()
        self._on_look()

    def _look(self) -> None:
        self._check()
        self._idle.wait(LOOK)
        done, outstanding = self._done_here, self.outstanding
        flowing = sum(hand.finished > 0 for hand in self.hands)
        if outstanding <= len(self.hands) and not self._has_all:
            self._governor.pause()
        sample = Sample(time.monotonic(), done * GRAIN // SHOWN, time.process_time(), flowing)
        wanted = self._governor.observe(sample)
        while len(self.hands) < self._bounded(min(wanted, len(self.hands) + outstanding)):
            if not self._start():
                break
        self._dismiss_unserved()
        self._others.look(self, done, outstanding, may_grow=self._borne is None and not self._is_full)
        self._on_look()

    def _bounded(self, wanted: int) -> int:
        if self._is_full:
            return 0  # whoever came now would be left without an answer, too
        return wanted if self._borne is None else min(wanted, self._borne)

    def _dismiss_unserved(self) -> None:
        hands = self.hands[:]
        for one in self._watch.look([hand.tool.asker for hand in hands], time.monotonic()):
            hand = hands[one.index]
            if not one.served:
                hand.tool.make_room()
                continue
            if not hand.tool.leave_mute():
                hand.is_dismissed = self._is_full = True
                hand.tool.give_up(one.served)

    def _start(self) -> bool:
        hand = Hand(self._recruit())
        thread = Thread(partial(self._run, hand), f"fastget-pull-{len(self.hands)}")
        self.hands.append(hand)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            # The system gives no more threads: those that run do the work, if there are any.
            self.hands.pop()
            self._threads.pop()
            if not self._threads:
                raise
            return False
        return True

    def _run(self, hand: Hand[T]) -> None:
        try:
            with closing(hand.tool):
                while not hand.is_dismissed and (piece := self._next(hand)) is not None and not self._is_stopped:
                    if not hand.tool.work(piece):
                        self._queue.put(piece)
                        continue
                    hand.finished += 1
                    self._let_name(hand)
                    if self._has_all and not self.outstanding:
                        self._idle.set()
                hand.tool.settle()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._error = self._error or error
            self._idle.set()

    def _next(self, hand: Hand[T]) -> T | None:
        if (following := hand.tool.take_following()) is not None:
            return following
        try:
            return self._queue.get_nowait()
        except Empty:
            hand.tool.settle()
        try:
            return self._queue.get(timeout=IDLE)
        except Empty:
            hand.tool.rest()
            self._dismiss_unserved()
            return self._queue.get()

    def _let_name(self, hand: Hand[T]) -> None:
        """In a thread, between two pieces: one lets its connection go where the next piece is long in coming."""
        since, now = self._naming, time.monotonic()
        if since is None or now - max(since, self._has_let) <= IDLE:
            return
        self._has_let = now + SELDOM
        hand.tool.rest()
        while self._naming == since and not self._is_stopped and time.monotonic() - now < IDLE:
            time.sleep(LOOK)

    def _end(self) -> None:
        for _ in self._threads:
            self._queue.put(None)

    def _join(self, patience: float | None) -> None:
        for thread in self._threads:
            thread.join(patience)

    def _check(self) -> None:
        error = self._error or self._others.error
        if error is not None:
            raise error


def _most_jobs(wanted: int) -> int:
    """As many as there are descriptors for: each has a file beside its connection."""
    room = room_for_connections()
    return wanted if room is None else max(1, min(wanted, room // 2))
