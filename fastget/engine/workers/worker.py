"""A worker: one thread, one connection, one buffer. It takes pieces until none is left.

The bytes go from the socket into the buffer, through the hashers, to the sink; none of them becomes an object.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.core.addresses import Trouble
from fastget.core.planner import Chunk
from fastget.core.ranges import Span
from fastget.core.validators import GONE, UNSATISFIABLE, nothing_follows
from fastget.engine.descriptors import are_exhausted
from fastget.engine.exchange.asking import ask
from fastget.engine.pieces.job import BYTES_ARE_OUT
from fastget.engine.pieces.piece import Piece
from fastget.engine.pieces.task import Replan, Write
from fastget.engine.workers.anew import ask_anew, can_be_the_range
from fastget.engine.workers.cut import Cut, Overtaken
from fastget.engine.workers.reception import LARGE_BUFFER, SMALL_BUFFER, Reception
from fastget.errors import (
    Cancelled,
    FastgetError,
    NetworkError,
    ProtocolError,
    RangeNotSupported,
    ServerError,
    SourceChanged,
)
from fastget.events import Event

if TYPE_CHECKING:
    from fastget.buffers import Buffer
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import Pin
    from fastget.engine.exchange.line import Line
    from fastget.engine.pieces.job import Job
    from fastget.engine.workers.reception import MemoryAt
    from fastget.sinks.protocol import OrderedSink
    from fastget.sources.protocol import Source

# So many have a large buffer each. Where there are more connections each of them is slow.
FEW_WORKERS = 4
# Seconds without a read after which a server may take its client for gone; 5 is the least that any is known to wait.
LONG_PAUSE = 4.0
# What a store says to the number of a part that it cannot find (faults.md H48, H49).
NO_SUCH_PART = frozenset({400, 416, 501})

Notify = Callable[[Event], None]


class Worker:
    """Fetches pieces of a job over one line. `write` takes what has arrived: the sink's, or nothing for a comparison.

    `number` counts the workers of a pass from 0. What `memory_at` has room for is received there, and not written. Once
    `is_dismissed` is set no further piece is taken. `on_bytes`, if set, is called in this worker's thread after every
    write; `may_leave` when it gets no descriptor: it ends where that says that others do its work. For another thread
    to read at any time: `received` counts payload bytes, `piece` is what is being fetched, `since` when that began by
    its `clock`, `last_seconds` and `last_rate` are of the last piece that landed, `is_idle` says whether it waits for
    another one, `is_served` whether any of its requests was ever answered. `buffer_size` is what it is quick with; its
    buffer is lent to it for `run`. `may_take_turns`: it can be of use to it to share others.
    """

    def __init__(
        self, job: Job, line: Line, write: Write, notify: Notify, number: int, memory_at: MemoryAt | None = None
    ) -> None:
        self.received = 0
        self.is_dismissed = False
        self.line = line
        self.on_bytes: Callable[[], None] | None = None
        self.piece: Piece | None = None
        self.since = 0.0
        self.is_idle = False
        self.is_served = False
        self.last_seconds = 0.0
        self.last_rate = 0.0
        self.may_leave: Callable[[], bool] = lambda: False
        self.may_take_turns = not line.is_limited
        self._has_left = False
        self._streams = False
        self._cut: Cut | None = None
        self._job = job
        self._write = write
        self._notify = notify
        self.reception = Reception(line, memory_at)
        self.buffer_size = LARGE_BUFFER if number < FEW_WORKERS else SMALL_BUFFER

    def clock(self) -> float:
        """Seconds on a clock that stands still while this worker waits for the limit, the disk or the reader."""
        now = time.monotonic()
        return now - self.line.pauses.read(now)

    def run(self, lent: Buffer, *, continues_stream: bool = False) -> None:
        """Work until the job is over; an error ends it. `continues_stream`: the line holds the discovery answer.

        What is `lent` is given back in the end.
        """
        buffer = lent.view
        try:
            with lent, self.reception.turns or nullcontext(), self.line:
                if continues_stream:
                    self._run_on(buffer)
                while not self.is_dismissed and (piece := self._claim()) is not None:
                    self._attempt(piece, buffer, self._fetch)
                self._go_on_anew(buffer)
        except Cancelled as error:
            if self._job.cancellation.is_cancelled:
                error.__traceback__ = None  # as in Job.fail
            else:
                self._job.fail(error)
        except BaseException as error:  # noqa: BLE001 - the job hands it to the caller's thread
            self._job.fail(error)

    def _claim(self) -> Piece | None:
        if self._has_left:
            return None
        self.is_idle = True
        piece = self._job.claim()
        self.is_idle = False
        return piece

    def _claim_in_stream(self, offset: int) -> Piece | Span | None:
        self.is_idle = True
        found = self._job.claim_in_stream(offset)
        self.is_idle = False
        return found

    def _go_on_anew(self, buffer: memoryview) -> None:
        """Where ranges are refused and the stream has broken: a new one, up to where it broke for nothing."""
        while (piece := self._job.stream.claim_anew()) is not None:
            self._streams = True
            if self._attempt(piece, buffer, self._fetch_anew):
                self._read_on(buffer, piece.chunk.span.stop)

    def _fetch_anew(self, piece: Piece, buffer: memoryview) -> None:
        ask_anew(self.line, self._job)
        self.is_served = True
        self._read_over(Span(0, piece.position), buffer)
        self.piece, self.since = piece, self.clock()
        self._receive_chunk(piece, buffer)

    def _run_on(self, buffer: memoryview) -> None:
        """Read the discovery answer on."""
        self._read_on(buffer, 0)

    def _read_on(self, buffer: memoryview, start: int) -> None:
        """Read a stream of the object on from chunk to chunk until someone else's territory begins."""
        self._streams = True
        try:
            offset = self._run_through(buffer, start)
        finally:
            self._end_stream()
        if offset is None:
            return
        if (chunks := self._job.task.plan.chunks) and offset < chunks[-1].span.stop:
            self.line.drop()
            return
        if not self.line.is_at_end():
            raise ProtocolError("the answer holds more bytes than the object")
        self.line.finish()

    def _run_through(self, buffer: memoryview, offset: int) -> int | None:
        """The offset at which the stream does not go on; None where it has broken."""
        while (found := self._claim_in_stream(offset)) is not None:
            if isinstance(found, Span):
                went_well, offset = self._pass_over(found, buffer), found.stop
            else:
                went_well, offset = self._attempt(found, buffer, self._receive_chunk), found.chunk.span.stop
            if not went_well:
                return None
        return offset

    def _pass_over(self, span: Span, buffer: memoryview) -> bool:
        """Read what others have landed, to get to what nobody fetches; False where the stream breaks."""
        self._cut = None
        try:
            self._read_over(span, buffer)
        except (Cancelled, NetworkError):
            if self._job.cancellation.is_cancelled:
                raise
            self.line.drop()
            return False
        finally:
            self.piece = None
        return True

    def _read_over(self, span: Span, buffer: memoryview) -> None:
        """Read bytes of the running answer that have landed already."""
        piece = Piece(Chunk(-1, span), ())
        self.piece, self.since = piece, self.clock()
        try:
            while (left := span.stop - piece.position) > 0:
                count = self.line.read_some(left, buffer[: min(left, self.reception.stride)])
                piece.position += count
                self.received += count
        finally:
            self._job.discard(piece.landed)

    def _end_stream(self) -> None:
        if self._streams:
            self._streams = False
            self._job.stream.end()

    def _attempt(self, piece: Piece, buffer: memoryview, fetch: Callable[[Piece, memoryview], None]) -> bool:
        """Fetch and land a piece. After a failure worth another try: wait, give it back, and return False."""
        before, self._cut = piece.position, None
        self.piece, self.since = piece, self.clock()
        try:
            try:
                fetch(piece, buffer)
            finally:
                if self.piece is not None:
                    piece.pause()
                self.piece = None
            has_landed = self._land(piece)
        except RangeNotSupported:
            self._leave_to_stream(piece)
        except Overtaken:
            pass
        except FastgetError as error:
            self._fail(piece, before, error)
        else:
            self.last_seconds = self.clock() - self.since
            self.last_rate = (piece.position - before) / max(self.last_seconds, 1e-6)
            return has_landed
        return False

    def cut(self, cut: Cut) -> None:
        """From another thread: end the running answer; what is left of its piece goes to whoever is free."""
        self._cut = cut
        self.line.cut()

    def recall(self, sink: OrderedSink, offset: int) -> bool:
        """From another thread: as `cut`, for one that waits to write at `offset`; False where it does not any more."""
        self._cut = Cut(is_slow=False)
        if sink.recall(offset):
            return True
        self._cut = None
        return False

    def _fail(self, piece: Piece, before: int, error: FastgetError) -> None:
        """Give the piece back, at once where it was cut for others, else after a wait if there is a try left."""
        self._end_stream()
        cut = None if self._job.cancellation.is_cancelled else self._cut
        if cut is None and isinstance(error, Cancelled):
            raise error
        if cut is not None and cut.is_slow:
            self.line.blame(Trouble.SLOW)
        elif isinstance(error, ProtocolError):
            self.line.blame(Trouble.BROKEN)
        self.line.drop()
        if isinstance(error, SourceChanged) and self._job.givers.excuse(self.line.peer):
            self.line.blame(Trouble.DIFFERENT)
            self._job.give_back(piece)
            return
        shares = 1 if cut is None else cut.shares
        if (cut is not None and cut.error is None) or self._was_left_waiting(error) or self._leaves(error):
            self._job.give_back(piece, shares)
            return
        if piece.position - before >= retry.PROGRESS:
            self._job.forgive(piece)
        self._recover(piece, error if cut is None or cut.error is None else cut.error, shares)

    def _was_left_waiting(self, error: FastgetError) -> bool:
        """Whether the server has given up an answer that nobody took for a while: no failure of its own."""
        is_lost = isinstance(error, NetworkError) and self._job.task.can_resume
        return is_lost and self.line.pauses.longest >= LONG_PAUSE

    def _leaves(self, error: FastgetError) -> bool:
        """Whether this worker ends, because there is no descriptor for it, and others go on."""
        if self._job.task.can_resume and are_exhausted(error) and self.may_leave():
            self._has_left = True
        return self._has_left

    def _leave_to_stream(self, piece: Piece) -> None:
        """The server ignored a range: the discovery stream fetches everything, unless a range was served by now."""
        self.line.drop()
        if self._job.are_ranges_refused:
            self._job.give_back(piece)
        else:
            self._recover(piece, ProtocolError("the server ignored a range that it serves otherwise"))

    def _recover(self, piece: Piece, error: FastgetError, shares: int = 1) -> None:
        retried = self._job.retry(piece, error)
        if retried is None:
            return
        self._notify(retried)
        if not self._job.stream.wait(piece, retried.delay):
            return
        if not self._job.task.can_go_on or self._job.are_ranges_refused:
            if not (self._job.stream.flows or self._job.stream.may_begin_anew):
                raise Replan(stream=True) from error
            self._job.leave_to_stream()
        self._job.give_back(piece, shares)

    def _fetch(self, piece: Piece, buffer: memoryview) -> None:
        """Ask for what is left of a piece until nothing is."""
        self.line.avoiding = self._job.givers.to_avoid(piece.chunk.index)
        while piece.position < piece.chunk.span.stop:
            if not (piece.is_fresh or self._job.task.can_go_on):
                raise Replan(stream=True)
            with self._job.task.store.gate.passing(self._job.cancellation, lambda seconds: self._hold(piece, seconds)):
                self.since = self.clock()
                self._fetch_answer(piece, buffer)

    def _hold(self, piece: Piece, seconds: float) -> None:
        if not self._job.stream.wait(piece, seconds):
            self.piece = None  # it is another's
            raise Overtaken

    def _fetch_answer(self, piece: Piece, buffer: memoryview) -> None:
        by_number = piece.chunk.by_part_number and piece.is_fresh
        head = self._ask(piece, by_number=by_number)
        if head.status == UNSATISFIABLE:
            piece.end_at_total(head)
            return
        stop = self._job.accept(head, piece, by_number=by_number)
        if by_number:
            piece.declared = piece.sent_digest(head)
        if self._job.task.plan.size is None:
            piece.end_at_total(head)
        self._receive(piece, buffer, stop)
        self._check_end(piece)
        self.line.finish()

    def _check_end(self, piece: Piece) -> None:
        if self._job.task.sink.is_seekable:
            self.line.check_end(undo=lambda: self._job.restart(piece))
        else:
            self.line.check_end(self._job.task.source.display_url, hint=BYTES_ARE_OUT, is_transient=False)

    def _ask(self, piece: Piece, *, by_number: bool) -> ResponseHead:
        pin = self._job.pin
        self.line.pauses.longest = 0.0
        answered = ask(self.line, self._job.task.source, lambda at: self._request(at, piece, pin, by_number=by_number))
        self.is_served = True
        head, error = answered.head, answered.error
        if error is None or nothing_follows(head, pin, piece.position):
            return head
        if self._job.loosen_pin(pin, head.status):
            return self._ask(piece, by_number=by_number)
        if by_number and head.status in NO_SUCH_PART and isinstance(error, RangeNotSupported | ServerError):
            # Numbers may have gaps; a range, pinned all the same, tells whether the object is still there.
            raise Replan(no_part_numbers=True)
        if self._job.may_be_range_refusal(error) and can_be_the_range(error, self.line, self._job):
            self._job.refuse_ranges()
        if head.status in GONE:
            raise self._job.task.source_changed(GONE[head.status])
        raise error

    def _request(self, at: Source, piece: Piece, pin: Pin, *, by_number: bool) -> Request:
        return at.get(part_number=piece.chunk.part, pin=pin) if by_number else at.get(span=piece.rest, pin=pin)

    def _receive_chunk(self, piece: Piece, buffer: memoryview) -> None:
        """A chunk out of the discovery answer; where the length is unknown, all of the answer."""
        if self._job.task.plan.size is not None:
            self._receive(piece, buffer, piece.chunk.span.stop)
            return
        self._job.givers.note(piece.chunk, piece.position, self.line.peer)
        while count := self.line.read_into(buffer):
            self._take_in(piece, buffer[:count], False)

    def _receive(self, piece: Piece, buffer: memoryview, stop: int) -> None:
        """Bytes of the running answer, up to offset `stop`."""
        self._job.givers.note(self._job.task.plan.chunks[piece.chunk.index], piece.position, self.line.peer)
        take_in = partial(self._take_in, piece)
        while (left := stop - piece.position) > 0:
            self.reception.receive(piece.position, left, buffer, take_in)

    def _take_in(self, piece: Piece, data: memoryview, is_written: bool) -> None:
        self._job.has_begun = True
        if not is_written:
            # Before it is digested: one who is recalled while it waits has done nothing that counts.
            with self.line.pauses:
                self._write(piece.position, data)
        piece.take_in(data)
        piece.advance(data)
        self.received += len(data)
        if self.on_bytes is not None:
            self.on_bytes()

    def _land(self, piece: Piece) -> bool:
        """True where the piece has; one that is damaged goes back, and the line with it."""
        if (repaired := self._job.land(piece)) is not None:
            # Another connection may come from another machine, one to another address does.
            self.line.drop()
            self._job.givers.blame(piece.chunk.index, Trouble.DAMAGED)
            self._notify(repaired)
        return repaired is None
