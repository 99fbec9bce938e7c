"""The threads of one pass: recruited as they pay, watched by the caller's thread, ended together."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from fastget.buffers import HAS_LOCK, shared_buffers
from fastget.core.governor import Governor, Sample, limit_for, start_for
from fastget.engine.descriptors import room_for_connections
from fastget.engine.pieces.task import Replan
from fastget.engine.threads import PATIENCE, Thread, usable_cores
from fastget.engine.workers.reception import LARGE_BUFFER
from fastget.engine.workers.rescue import Watch
from fastget.engine.workers.turns import Turns
from fastget.engine.workers.worker import FEW_WORKERS
from fastget.errors import NoSpace
from fastget.sinks.protocol import OrderedSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.buffers import Buffer
    from fastget.core.store_memory import StoreFacts
    from fastget.engine.pieces.job import Job
    from fastget.engine.workers.worker import Worker

# Often enough for a moving bar, seldom enough to cost nothing.
TICK = 0.1
# As long as the number of connections is being found: a fraction of the governor's window.
LOOK = 0.02
# One buffer to share for each processor, and so many for those who are just writing; more of them bring nothing.
TURNS_BESIDE = 2
# Of all memory half is for what the connections have of their own, and an eighth stays free (fastget/buffers.py): to
# share there is the rest, less what the first few have.
REST = 3 / 8


class Crew:
    """Runs the workers of a job. `recruit` makes one more worker, given its number.

    `on_tick` is called about ten times a second. As many connections as it has are those of each of the `processes`.

    `received` counts the payload bytes of all of them.
    """

    def __init__(
        self,
        job: Job,
        governor: Governor,
        recruit: Callable[[int], Worker],
        on_tick: Callable[[Crew], None],
        processes: int = 1,
    ) -> None:
        self.workers: list[Worker] = []
        self._job = job
        self._governor = governor
        self._recruit = recruit
        self._on_tick = on_tick
        self._processes = processes
        self._threads: list[Thread] = []
        self._looked = 0.0
        self._told = 0.0
        self._watch = Watch(job)
        self._most = self._most_useful = governor.limit
        self._buffers = shared_buffers(job.task.config.max_memory)
        self._turns: Turns | None = None
        self._exit = ExitStack()
        self._is_short = False
        self._left = 0
        self._lock = threading.Lock()

    @property
    def rescues(self) -> int:
        """How many streams were cut for others to go on."""
        return self._watch.rescues

    @property
    def received(self) -> int:
        return sum(worker.received for worker in self.workers)

    @property
    def size(self) -> int:
        """How many workers were ever started."""
        return len(self.workers)

    def run(self, *, first_continues: bool) -> None:
        """Run until the job is over. `first_continues`: the first worker's line holds the discovery answer.

        Raises the job's error, Cancelled, Replan, or whatever the wait was interrupted by (KeyboardInterrupt); no
        worker's thread, connection or file access is left behind then.
        """
        job = self._job
        try:
            self._start(first_continues=first_continues)
            self._limit()
            self._grow(self._governor.wanted)
            while any(thread.is_alive for thread in self._threads) and not job.wait(self._pause):
                self._look()
                self._tell()
                self._watch.look(self.workers)
            # The next plan may use the same sink: then nobody may be left who still writes.
            self._join(None if job.has_succeeded or isinstance(job.error, Replan) else PATIENCE)
            self._learn()
        except BaseException:
            job.cancellation.cancel()
            job.task.sink.abort()  # workers may wait in it for their turn, or for its reader
            self._join(PATIENCE)
            raise
        finally:
            self._exit.close()
        self._on_tick(self)
        raise_outcome(job)

    def run_inline(self, *, first_continues: bool) -> None:
        """Run one worker in this thread: for an object so small that a thread would cost more than it brings."""
        worker = self._recruit(self.size)
        worker.on_bytes = partial(self._tell_inline, worker)
        lent = self._buffers.lend(worker.buffer_size)
        self.workers.append(worker)
        worker.run(lent, continues_stream=first_continues)
        raise_outcome(self._job)

    def _learn(self) -> None:
        """The next object of this store begins with what has paid for this one."""
        job, store, bears = self._job, self._job.task.store, self._watch.bears
        if bears is not None:
            store.learn(bears=bears)
        wanted, limit = self._governor.wanted, limit_for(store.facts)
        # An object of few pieces shows that so many paid, and nothing of more.
        is_bounded = wanted == self._most_useful < limit // self._processes
        is_found = self._governor.has_judged and not is_bounded and not job.are_ranges_refused
        if job.task.plan.connections is None and job.has_succeeded and is_found:
            store.learn(connections=min(wanted * self._processes, limit))

    @property
    def _pause(self) -> float:
        return TICK if self._governor.is_settled else LOOK

    def _look(self) -> None:
        """Show the governor how it goes, unless that was just done: every landed chunk wakes this thread."""
        now = time.monotonic()
        if self._is_short:
            self._grow(self._governor.wanted)
        if self._governor.is_settled or now - self._looked < LOOK:
            return
        self._looked = now
        if self.workers[0].line.is_held_back:
            return  # more connections would share what the limit gives
        flowing = sum(worker.received > 0 for worker in self.workers)
        wanted = self._governor.observe(Sample(now, self.received, time.process_time(), flowing))
        self._grow(wanted)
        able = [worker for worker in self.workers if not worker.is_dismissed]
        for worker in able[wanted:]:
            worker.is_dismissed = True

    def _tell(self) -> None:
        """Let the caller look, about ten times a second."""
        now = time.monotonic()
        if now - self._told >= TICK:
            self._told = now
            self._on_tick(self)

    def _tell_inline(self, worker: Worker) -> None:
        self._tell()
        self._watch.check(worker)

    def _grow(self, wanted: int) -> None:
        most = self._most if self._watch.bears is None else 0  # whoever came now would be left without an answer, too
        while self.size < min(wanted, most) and self._job.has_free_chunks:
            try:
                self._is_short = not self._start(first_continues=False)
            except RuntimeError:
                return  # the system gives no more threads: those that run do the work
            if self._is_short:
                return

    def _limit(self) -> None:
        """Have no more connections than there are descriptors for."""
        if self._most > 1 and (room := room_for_connections()) is not None:
            self._most = min(self._most, 1 + room)

    def _may_leave(self) -> bool:
        """In a worker's thread that gets no connection: whether others are there to do its work."""
        with self._lock:
            if self._left + 1 >= self.size:
                return False
            self._left += 1
            self._most = 0
            return True

    def _start(self, *, first_continues: bool) -> bool:
        """Start one more worker; False where there is no buffer for it, and others are at work."""
        worker = self._recruit(self.size)
        if self.size >= FEW_WORKERS and worker.may_take_turns:
            self._turns = worker.reception.turns = self._turns or self._new_turns()
        lent = self._buffer_for(worker)
        if lent is None:
            return False
        worker.may_leave = self._may_leave
        thread = Thread(partial(worker.run, lent, continues_stream=first_continues), f"fastget-{self.size}")
        self.workers.append(worker)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            lent.close()
            self.workers.pop()
            self._threads.pop()
            raise
        return True

    def _buffer_for(self, worker: Worker) -> Buffer | None:
        """That of one more worker: about half of the memory is for all of them, however many are wanted."""
        if not self.size:
            return self._buffers.lend(worker.buffer_size)
        share = self._buffers.bound // (2 * max(self._most, 1))
        return self._buffers.offer(worker.buffer_size if self.size < FEW_WORKERS else min(worker.buffer_size, share))

    def _new_turns(self) -> Turns | None:
        """Large buffers for many to share. None where writers wait for each other, and for the lack of memory."""
        if isinstance(self._job.task.sink, OrderedSink) or not HAS_LOCK:
            return None
        room = int(self._buffers.bound * REST) // LARGE_BUFFER - FEW_WORKERS
        wanted = min(usable_cores() + TURNS_BESIDE, room)
        turns = self._exit.enter_context(Turns())
        with suppress(NoSpace):
            while len(turns) < wanted and (buffer := self._buffers.spare(LARGE_BUFFER)) is not None:
                turns.add(buffer)
        return turns if len(turns) else None

    def _join(self, patience: float | None) -> None:
        for thread in self._threads:
            thread.join(patience)


def governor_for(
    connections: int | None, chunks: int, facts: StoreFacts, processes: int = 1, at_least: int = 0
) -> Governor:
    """The governor of a pass: it finds the number of connections, unless the caller has set it.

    So many `processes` share the machine's cores, and the connections that there may be. It begins with `at_least` so
    many.
    """
    if connections is not None:
        count = min(connections, chunks)
        return Governor(count, count, 1)
    limit = max(1, min(limit_for(facts) // processes, chunks))
    start = min(max(-(-start_for(facts) // processes), at_least), limit)
    return Governor(start, limit, max(1, usable_cores() // processes))


def raise_outcome(job: Job) -> None:
    """Raise what ended the job, if anything did."""
    if job.error is not None:
        raise job.error
    if job.has_succeeded:
        return
    job.cancellation.check()
    # Every worker has left, because ranges are refused and the discovery stream is gone.
    raise Replan(stream=True)
