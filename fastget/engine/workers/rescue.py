"""Streams that hold a pass up: cut, so that what they still owe is fetched over other connections.

Which ones they are, and among how many their rest is divided, is decided by core/straggler.py; here is the counting.
Runs in the caller's thread.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from fastget.core.straggler import (
    FLOOR,
    WINDOW,
    CutBudget,
    Rescue,
    Stream,
    is_below_floor,
    is_unserved,
    long_stalled,
    rescues,
)
from fastget.engine.workers.cut import Cut
from fastget.errors import Stalled
from fastget.sinks.protocol import OrderedSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.engine.pieces.job import Job
    from fastget.engine.workers.worker import Worker

# Seconds between two looks: some within each window.
LOOK = 0.25
# So many looks have to find that nobody fetches what a sink waits for: between two pieces that is so for a moment.
UNHELD = 2
# So many requests without an answer are given up for nothing: that may go on for ever with one that takes its time.
FREE_CUTS = 32


class Watch:
    """Watches the workers of one pass. `rescues` counts the streams that were cut for others to go on.

    `bears` is the number of connections that the server serves at once, None unless it has left others waiting.
    """

    def __init__(self, job: Job) -> None:
        self.rescues = 0
        self.bears: int | None = None
        self._job = job
        self._budget = CutBudget.of(job.task.plan.size or 0)
        self._stall_timeout = job.task.config.stall_timeout
        self._logs: dict[int, _Log] = {}
        self._looked = 0.0
        # The front of an ordered sink, and how many looks have found that nobody fetches it.
        self._front = (0, 0)
        self._unanswered = 0
        self._usual_wait = 0.0

    def look(self, workers: Sequence[Worker]) -> None:
        """Cut the streams that are worth it now; at most a few times a second, however often it is called."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        if self.bears is None:
            known = self._job.task.store.facts.wait or 0.0
            self._usual_wait = max(known, *(worker.line.longest_wait for worker in workers))
        longest = max(self._usual_wait, *(worker.last_seconds for worker in workers))
        streams = [self._log(worker).stream(worker, worker.clock(), longest) for worker in workers]
        idle = [worker.last_rate for worker in workers if worker.is_idle and worker.last_rate]
        for worker, stream in zip(workers, streams, strict=True):
            self._check_floor(worker, stream, len(idle))
        # What is cut while the store refuses more requests may be refused, too.
        if self._job.task.can_resume and not (self._dismiss_unserved(workers, streams) or self._job.is_refused):
            self._rescue(workers, streams, idle)
            self._rescue_front(workers, streams)

    def check(self, worker: Worker) -> None:
        """The same for a worker alone, in its own thread. Raises Stalled where its stream only seems to live."""
        log = self._log(worker)
        if is_below_floor(log.life(worker, worker.clock()), self._stall_timeout):
            raise self._stalled()

    def _rescue(self, workers: Sequence[Worker], streams: Sequence[Stream], idle: Sequence[float]) -> None:
        busy = [index for index, worker in enumerate(workers) if worker.piece is not None]
        watched = [streams[index] for index in busy]
        # As long as there is other work, a slow stream keeps nobody waiting.
        found = [] if self._job.has_free_chunks else rescues(watched, idle)
        for rescue in found or [Rescue(index, 1) for index in long_stalled(watched)]:
            worker = workers[busy[rescue.index]]
            if self._pay(worker):
                self.rescues += 1
                worker.cut(Cut(shares=rescue.shares))

    def _dismiss_unserved(self, workers: Sequence[Worker], streams: Sequence[Stream]) -> bool:
        """Let go of connections that were never answered while others are: the server serves no more at once.

        Or else it is their address that serves nobody, while others of the host do: then they go there.
        """
        if not any(map(_is_alive, workers, streams)):
            return False
        now = time.monotonic()
        late = [
            worker for worker in workers if not (worker.is_served or worker.is_dismissed) and self._is_late(worker, now)
        ]
        unserved = [worker for worker in late if not worker.line.blame_mute()]
        for worker in unserved:
            worker.is_dismissed = True
        for worker in late:
            worker.cut(Cut())
        self.rescues += len(late)
        if unserved:
            self.bears = max(1, sum(worker.is_served for worker in workers))
        return bool(late)

    def _is_late(self, worker: Worker, now: float) -> bool:
        """Whether a request has been waiting for its answer for far longer than others did."""
        return (sent := worker.line.sent) is not None and is_unserved(now - sent, self._usual_wait)

    def _rescue_front(self, workers: Sequence[Worker], streams: Sequence[Stream]) -> None:
        """Where a sink keeps order and others wait for its front: cut who holds it up.

        If no answer has come to that one, one of those who wait gives way, so that the server has room for it.
        """
        sink = self._job.task.sink
        if not isinstance(sink, OrderedSink) or not (held_up := sink.held_up()).waiting:
            return
        pieces = [worker.piece for worker in workers]  # once: a worker may end its own meanwhile
        positions = {piece.position: index for index, piece in enumerate(pieces) if piece is not None}
        waiting = [positions[offset] for offset in held_up.waiting if offset in positions]
        if not waiting:
            return
        holder = positions.get(held_up.front)
        if holder is None:
            needs_room = self._is_unheld(held_up.front) and not any(worker.is_idle for worker in workers)
        else:
            has_answer = workers[holder].line.sent is None
            usual = [workers[index].last_rate or streams[index].rate for index in waiting]
            needs_room = self._cut_front(workers[holder], streams[holder], usual) and not has_answer
        if needs_room:
            self.rescues += workers[waiting[-1]].recall(sink, held_up.waiting[-1])

    def _is_unheld(self, front: int) -> bool:
        """Whether nobody fetches the front, and not for a moment only."""
        seen, looks = self._front
        self._front = (front, looks + 1 if seen == front else 1)
        return self._front[1] >= UNHELD

    def _cut_front(self, worker: Worker, stream: Stream, others: Sequence[float]) -> bool:
        # Whose first piece it is has no rate yet. Anything is more than nothing.
        usual = [rate for rate in others if rate] or [1.0]
        is_late = self._is_late(worker, time.monotonic()) if worker.line.sent is not None else rescues([stream], usual)
        if not is_late or not self._pay(worker):
            return False
        self.rescues += 1
        worker.cut(Cut())
        return True

    def _pay(self, worker: Worker) -> bool:
        """Pay for a cut. Nothing is on its way to one that has no answer yet: the first of those cost nothing."""
        if worker.line.sent is not None and self._unanswered < FREE_CUTS:
            self._unanswered += 1
            return True
        return self._budget.pay()

    def _check_floor(self, worker: Worker, stream: Stream, idle: int) -> None:
        life = self._log(worker).life(worker, worker.clock())
        if stream.left and is_below_floor(life, self._stall_timeout):
            worker.cut(Cut(self._stalled(), max(1, idle)))

    def _stalled(self) -> Stalled:
        return Stalled(f"less than {FLOOR:g} bytes a second came for {self._stall_timeout:g} s")

    def _log(self, worker: Worker) -> _Log:
        return self._logs.setdefault(id(worker), _Log())


def _is_alive(worker: Worker, stream: Stream) -> bool:
    """Whether a worker gets bytes, or has nothing to do, or nowhere to put them."""
    if not worker.received or worker.is_dismissed:
        return False
    return worker.is_idle or stream.rate > 0 or worker.line.pauses.is_running


class _Log:
    """How many bytes one worker had received, when: over the last window, and over the last stall timeout."""

    def __init__(self) -> None:
        self._since = 0.0
        self._samples: deque[tuple[float, int]] = deque()
        self._mark = (0.0, 0)
        # When its latest bytes were seen, and how many there were then.
        self._latest = (0.0, 0)

    def stream(self, worker: Worker, now: float, longest: float) -> Stream:
        """How the worker fares with its piece. `longest`: the seconds that a piece, or an answer, took its siblings.

        One that has no byte yet is not judged until it has waited twice as long as they needed for all of theirs.
        """
        piece, received = worker.piece, worker.received
        self._begin(worker, now)
        self._samples.append((now, received))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW:
            self._samples.popleft()
        if received != self._latest[1]:
            self._latest = (now, received)
        began, before = self._samples[0]
        watched, silent = now - began, now - self._latest[0]
        if received == before and now - worker.since < max(WINDOW, 2 * longest):
            watched = silent = 0.0
        left = piece.rest.length if piece is not None else 0
        return Stream((received - before) / watched if watched else 0.0, left, watched, silent)

    def life(self, worker: Worker, now: float) -> Stream:
        """The rate since it was last found to be alive; an answer that is still to come has `response_timeout`."""
        self._begin(worker, now)
        if worker.line.sent is not None:
            self._mark = (now, worker.received)
        at, before = self._mark
        watched = now - at
        stream = Stream((worker.received - before) / watched if watched else 0.0, 1, watched)
        if worker.received - before >= FLOOR * watched and watched >= WINDOW:
            self._mark = (now, worker.received)
        return stream

    def _begin(self, worker: Worker, now: float) -> None:
        """A new piece is a new stream."""
        if worker.since != self._since:
            self._since = worker.since
            self._samples.clear()
            self._mark = self._latest = (now, worker.received)
