"""What the workers of one pass share: which chunks are whose, what has landed, and the first error.

Every method takes the lock for its own few lines and does no I/O under it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.core.validators import FORBIDDEN, PRECONDITION_FAILED, Accepted, Doubt, Expectation, judge
from fastget.engine.exchange.pinning import Pinning
from fastget.engine.pieces.givers import Givers
from fastget.engine.pieces.piece import Piece
from fastget.engine.pieces.running_on import RunningOn
from fastget.engine.pieces.shares import divide
from fastget.engine.pieces.stock import Stock
from fastget.engine.pieces.task import Replan
from fastget.errors import ChecksumMismatch, FastgetError, ProtocolError, RangeNotSupported, Throttled
from fastget.events import Repaired, Retried
from fastget.interrupts import lock_and_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import Pin
    from fastget.core.planner import Chunk
    from fastget.core.ranges import Span
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.pieces.task import Recorder, Tally, Task

# A part that comes damaged this many times is not damaged on the way.
REPAIRS_PER_PIECE = 3
# Range answers that prove nothing, before the server is taken for one without ranges.
ODD_ANSWERS = 3
BYTES_ARE_OUT = "damaged bytes have gone out already: throw away what the reader has; a file would have been repaired"


class Job:
    """One pass over chunks of a task: all of them, or the `wanted` ones."""

    def __init__(
        self,
        task: Task,
        recorder: Recorder,
        algorithms: Collection[Algorithm],
        tally: Tally,
        cancellation: Cancellation,
        wanted: Collection[int] | None = None,
        new_piece: Callable[[Chunk, Sequence[Algorithm]], Piece] = Piece,
    ) -> None:
        self.task = task
        self._new_piece = new_piece
        self.tally = tally
        self.cancellation = cancellation
        self.error: BaseException | None = None
        self._lock, self._changed = lock_and_condition()
        self._recorder = recorder
        self._algorithms = tuple(algorithms)
        lead = 0 if task.in_order else task.plan.lead
        self._stock = Stock(task.plan.chunks, lead, wanted, lambda chunk: new_piece(chunk, self._algorithms))
        self.stream = RunningOn(
            self._changed,
            self._stock,
            cancellation,
            is_over=lambda: self._is_over,
            is_bound=lambda: self.has_left and task.info.pin.is_strong,
        )
        self._repairs: dict[int, int] = {}
        self._ranges_proven = False
        self._odd_answers = 0
        self._has_succeeded = self._stock.is_complete
        self._is_over = self._has_succeeded
        self._pinning = Pinning(task.info.pin, task.store, may_refuse_its_etag=task.traits.may_refuse_its_etag)
        self.has_begun = False
        self.givers = Givers()
        cancellation.add(self)

    # Handing out -----------------------------------------------------------------------------------------------

    def claim(self) -> Piece | None:
        """The next piece to fetch. Waits while others may still give one back; None when there is nothing left."""
        with self._lock:
            while not (self._is_over or self.stream.is_alone):
                if self.stream.may_others_ask and (piece := self._stock.next()) is not None:
                    self.stream.note_asked()
                    return piece
                self._changed.wait()
        return None

    def claim_in_stream(self, offset: int) -> Piece | Span | None:
        """What the discovery stream goes on with at an offset: a piece, or what has landed, to be passed over.

        None where another worker has it. While no range request has been answered yet, waits for that answer: if the
        server turns out to ignore ranges, this stream is the download. So it is for as long as nobody else is served.
        """
        stream, stock = self.stream, self._stock
        with self._lock:
            while not self._is_over and offset < stock.end:
                is_needed = stream.should_go_on(is_proven=self._ranges_proven)
                if (piece := stock.at(offset, even_returned=is_needed)) is not None:
                    stream.flows = True
                    return piece
                if not is_needed and not (stream.flows and stock.is_refused):
                    return None
                if (stream.is_lean or stream.is_alone) and (gap := stock.gap(offset)) is not None:
                    stream.note_landed()
                    return gap
                self._changed.wait()
        return None

    @property
    def has_free_chunks(self) -> bool:
        """Whether one more worker would find something to do."""
        with self._lock:
            return self._stock.has_free and not self._is_over

    @property
    def is_refused(self) -> bool:
        """Whether the store has refused anything that it has not served since."""
        return self._stock.is_refused

    def claim_untouched(self) -> Piece | None:
        """A piece of which nothing has landed, for another process; None, at once, where there is none for it now.

        None before a range has been served: what to do where none is, is settled in this process.
        """
        with self._lock:
            if self._is_over or not self._ranges_proven or self.stream.is_lean:
                return None
            return self._stock.next_untouched()

    def discard(self, count: int) -> None:
        """So many bytes that were received do not count."""
        with self._lock:
            self.tally.discarded += count

    def give_back(self, piece: Piece, shares: int = 1) -> None:
        """The holder does not go on: whoever is free next takes the piece from where it stands.

        With several `shares`, so many take it, each a part of what is missing; where its digests allow that.
        """
        # The discovery stream, which takes over where there are no ranges, knows nothing of shares.
        parts = divide(piece, shares, self._new_piece) if shares > 1 and self._ranges_proven else []
        with self._lock:
            self._stock.give_back(piece, parts)
            self.stream.note_returned()

    def go_on_with(self, pieces: Iterable[Piece]) -> None:
        """Have these pieces begin where an earlier run has left them. To be called before the first worker starts."""
        self._stock.begin_with(pieces)

    # Judging answers -------------------------------------------------------------------------------------------

    def accept(self, head: ResponseHead, piece: Piece, *, by_number: bool) -> int:
        """The offset up to which the body of a 2xx answer may be written, from the piece's position on.

        Raises SourceChanged, Replan, ProtocolError (ask again) or RangeNotSupported.
        """
        part, task = piece.chunk.part if by_number else None, self.task
        asked = Expectation(piece.rest, self.pin, part, task.traits.full_status_ranges, task.content_is_checked)
        verdict = judge(head, asked)
        if isinstance(verdict, Accepted):
            self.note_served(piece)
            self._pinning.accept()
            return verdict.span.stop
        if verdict.doubt is Doubt.CHANGED:
            raise task.source_changed(task.source.without_secrets(verdict.reason))
        if verdict.doubt is Doubt.LAYOUT:
            raise Replan(exact_layout=True)
        if verdict.doubt is Doubt.RANGE_IGNORED and by_number:
            raise Replan(no_part_numbers=True)
        if verdict.doubt is Doubt.RANGE_IGNORED or self._is_always_odd():
            self.refuse_ranges()
        source = task.source
        raise ProtocolError(f"{source.display_url}: {source.without_secrets(verdict.reason)}")

    def _is_always_odd(self) -> bool:
        """Whether no range was ever answered rightly, in a few attempts: then a stream may still work."""
        with self._lock:
            self._odd_answers += 1
            return self._odd_answers >= ODD_ANSWERS and not self._ranges_proven

    def may_be_range_refusal(self, error: FastgetError) -> bool:
        """Whether a refusal may be of ranges alone, none of which was ever served, where the whole object is."""
        return not self._ranges_proven and retry.may_be_range_refusal(error)

    def refuse_ranges(self) -> None:
        """The server does not serve ranges: what is left is up to the discovery stream.

        Raises RangeNotSupported, unless a range has been served before: then the server is failing, not unable.
        """
        with self._lock:
            if self._ranges_proven:
                return
            self.leave_to_stream()
        # The next object may be served otherwise: it begins with one connection, which finds that out.
        self.task.store.learn(connections=1)
        raise RangeNotSupported("the server ignores ranges", url=self.task.source.display_url)

    def leave_to_stream(self) -> None:
        """Ask for no range any more."""
        with self._lock:
            self.stream.is_alone = True
            self._changed.notify_all()

    @property
    def pin(self) -> Pin:
        """What every request is pinned to."""
        return self._pinning.pin

    def loosen_pin(self, refused: Pin, status: int) -> bool:
        """A request pinned like this was refused: is there another pin to try (`Pinning.loosen`)?

        False where a version is denied that is the caller's own wish.
        """
        with self._lock:
            if status not in (FORBIDDEN, PRECONDITION_FAILED):
                return False
            if self.pin != refused:
                return True  # another worker has found that out
            if status == FORBIDDEN and self.task.config.version_id is not None:
                return False
            return self._pinning.loosen(status)

    @property
    def are_ranges_refused(self) -> bool:
        return self.stream.is_alone

    def note_served(self, piece: Piece) -> None:
        """The store serves a range: a piece, or a part of it."""
        if not self._ranges_proven or self.stream.is_lean or self._stock.is_refused:
            with self._lock:
                self._ranges_proven, self.stream.is_alone = True, False
                self._stock.serve(piece)
                self.stream.rejoin()

    # Landing ---------------------------------------------------------------------------------------------------

    def land(self, piece: Piece) -> Repaired | None:
        """All bytes of a piece are in the sink. If the store's digest of the part contradicts them, it goes back.

        Raises ChecksumMismatch when it came damaged too often.
        """
        whole = self._whole(piece)
        return None if whole is None else self._land(whole)

    def _whole(self, piece: Piece) -> Piece | None:
        """What is complete with this piece: itself, or what it is a share of; None where other shares are missing."""
        while (division := piece.division) is not None:
            with self._lock:
                self._stock.land_share(piece)
                is_last = division.land()
                self.stream.note_landed()
            if not is_last:
                return None
            piece = division.joined()
        return piece

    def _land(self, piece: Piece) -> Repaired | None:
        digests = piece.digests()
        piece.declared = piece.declared or piece.listed_digest(self.task.plan.layout)
        if piece.declared is not None and not piece.declared.holds(digests):
            return self._refetch(piece, piece.declared.value.hex(), digests[piece.declared.algorithm].hex())
        with self._lock:
            is_enough = self._recorder.record(piece.chunk.index, digests)
            self._stock.land(piece)
            self.stream.note_landed()
            self.task.store.succeed()
            self.tally.verified += piece.landed if piece.declared else 0
            if is_enough or self._stock.is_complete:
                self._has_succeeded = self._is_over = True
            self._changed.notify_all()
        if is_enough:
            self.cancellation.cancel()
        return None

    def _refetch(self, piece: Piece, expected: str, actual: str) -> Repaired:
        url, span = self.task.source.display_url, piece.chunk.span
        algorithm = str(piece.declared.algorithm) if piece.declared else ""
        with self._lock:
            times = self._repairs[piece.chunk.index] = self._repairs.get(piece.chunk.index, 0) + 1
            self.tally.repairs += 1
        self.restart(piece)
        is_final = not self.task.sink.is_seekable
        if is_final or times > REPAIRS_PER_PIECE:
            raise ChecksumMismatch(
                f"{url}: part {piece.chunk.part} has {algorithm} {actual}, the store declares {expected}",
                algorithm=algorithm,
                expected=expected,
                actual=actual,
                hint=BYTES_ARE_OUT if is_final else "the store keeps sending other bytes than it declares",
                url=url,
            )
        self.give_back(piece)
        return Repaired(url, span.start, span.stop, f"part {piece.chunk.part} had {algorithm} {actual}, not {expected}")

    def restart(self, piece: Piece) -> None:
        """What has landed of a piece cannot be believed: begin it anew."""
        with self._lock:
            self.tally.discarded += piece.landed
        piece.restart()

    def wait_for_front(self, offset: int) -> int:
        """Wait until everything up to an offset beyond the given one has landed; the same one when the pass is over."""
        with self._lock:
            while True:
                front = self._stock.front
                if front > offset or self._is_over:
                    return front
                self._changed.wait()

    # Ending ----------------------------------------------------------------------------------------------------

    @property
    def has_left(self) -> bool:
        """Whether bytes have gone where they cannot be taken back."""
        return self.has_begun and not self.task.sink.is_seekable

    def forgive(self, piece: Piece) -> None:
        """A failing attempt has brought a good deal: the object moves, however bad the line."""
        with self._lock:
            piece.attempts = 0
            self.task.store.succeed()

    def retry(self, piece: Piece, error: FastgetError, *, may_leave: bool = True) -> Retried | None:
        """Count a failure of a piece; the event says how long to wait before it is asked for again.

        None where the store refuses it, or fails with all ranges, and it was left to those who are served, if it `may`.
        Raises `error` when another try is not worth it, or nobody has one left.
        """
        with self._lock:
            is_refusal = isinstance(error, Throttled) or self._may_fail_for_ranges(error)
            may_leave = may_leave and is_refusal
            if is_refusal:
                self._stock.refuse(piece)
            if may_leave and self.stream.is_lean and self._leave(piece):
                return None
            if not self._may_retry(piece, error):
                if may_leave and self._leave(piece):
                    return None
                raise error
            self._stock.keep(piece)
            self.tally.retries += 1
        delay = retry.delay_before(piece.attempts, random.random(), error)
        stop = None if self.task.plan.size is None else piece.chunk.span.stop
        return Retried(self.task.source.display_url, piece.position, stop, piece.attempts, delay, error.message)

    def _may_fail_for_ranges(self, error: FastgetError) -> bool:
        """Whether the server fails with ranges alone, as far as is known: the whole object flows, no range ever did."""
        return self.stream.flows and not self._ranges_proven and retry.is_failing_server(error)

    def _may_retry(self, piece: Piece, error: FastgetError) -> bool:
        retries, is_lean_refusal = self.task.config.retries, isinstance(error, Throttled) and self.stream.is_lean
        piece.attempts = 1 + max(piece.attempts, self.stream.refusals if is_lean_refusal else 0)
        if is_lean_refusal:
            self.stream.refusals = piece.attempts
        is_worth_it = retry.is_transient(error) and piece.attempts <= retries
        return is_worth_it and self.task.store.may_retry(error, retries)

    def _leave(self, piece: Piece) -> bool:
        """Give a piece back to whoever is served, if anyone is."""
        is_left = self.stream.is_left(piece)
        if is_left:
            self.give_back(piece)
        return is_left

    def fail(self, error: BaseException) -> None:
        """End the pass: the first error counts, and every sibling is woken."""
        with self._lock:
            self.error = self.error or error
        if self.error is not error:
            error.__traceback__ = None  # nobody sees it; its frames hold each other, and the memory that was read into
        self.cancellation.cancel()
        # The next plan writes to the same sink, where that can take the same bytes twice, or has none yet.
        if not isinstance(error, Replan) or self.has_left:
            self.task.sink.abort()

    def abort(self) -> None:
        """The scope was cancelled: let everyone who waits look again."""
        with self._lock:
            self._is_over = True
            self._changed.notify_all()

    @property
    def has_succeeded(self) -> bool:
        """Whether everything wanted has landed, or enough of it."""
        return self._has_succeeded

    def wait(self, seconds: float) -> bool:
        """Wait until something has changed, at most `seconds`; True when the pass is over."""
        with self._lock:
            if not self._is_over:
                self._changed.wait(seconds)
            return self._is_over
