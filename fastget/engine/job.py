"""What the workers of one pass share: which chunks are whose, what has landed, and the first error.

Every method takes the lock for its own few lines and does no I/O under it.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.core.board import Board
from fastget.core.validators import Accepted, Doubt, Expectation, judge
from fastget.engine.givers import Givers
from fastget.engine.piece import Piece
from fastget.engine.running_on import RunningOn
from fastget.engine.shares import divide
from fastget.engine.task import Replan
from fastget.errors import ChecksumMismatch, FastgetError, ProtocolError, RangeNotSupported, SourceChanged
from fastget.events import Repaired, Retried

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import Pin
    from fastget.core.planner import Chunk
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.task import Recorder, Tally, Task

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
        self._changed = threading.Condition()
        self._recorder = recorder
        self._algorithms = tuple(algorithms)
        self._board = Board(task.plan.chunks, lead=0 if task.in_order else task.plan.lead, wanted=wanted)
        self.stream = RunningOn(self._changed, self._board, cancellation, lambda: self._is_over)
        self._pieces: dict[int, Piece] = {}
        # Parts of pieces that nobody holds, from front to back: their chunks count as taken.
        self._shares: list[Piece] = []
        self._repairs: dict[int, int] = {}
        self._ranges_proven = False
        self._ranges_refused = False
        self._odd_answers = 0
        self._has_succeeded = self._board.is_complete
        self._is_over = self._has_succeeded
        form = task.store.facts.match_form
        self._pin = task.info.pin.in_form(form)
        self._is_pin_accepted = form is not None
        self.has_begun = False
        self.givers = Givers()
        cancellation.add(self)

    # Handing out -----------------------------------------------------------------------------------------------

    def claim(self) -> Piece | None:
        """The next piece to fetch. Waits while others may still give one back; None when there is nothing left."""
        with self._changed:
            while not (self._is_over or self._ranges_refused):
                if self.stream.may_others_ask and (piece := self._next_piece()) is not None:
                    self.stream.note_asked()
                    return piece
                self._changed.wait()
        return None

    def _next_piece(self) -> Piece | None:
        if (share := self._next_share()) is not None:
            return share
        chunk = self._board.claim()
        return None if chunk is None else self._piece(chunk)

    def _next_share(self) -> Piece | None:
        """The first share that nobody holds, unless a whole piece that was given back lies before it."""
        returned = self._board.first_returned
        if not self._shares or (returned is not None and returned.span.start < self._shares[0].position):
            return None
        return self._shares.pop(0)

    def claim_in_stream(self, index: int) -> Piece | None:
        """The chunk that the discovery stream has reached, or None where another worker has it.

        While no range request has been answered yet, waits for that answer: if the server turns out to ignore
        ranges, this stream is the download. So it is for as long as the rest is left to it.
        """
        with self._changed:
            while not self._is_over and index < len(self.task.plan.chunks):
                is_begun = index in self._pieces and not self._pieces[index].is_fresh
                is_mine = not self._ranges_proven or (self.stream.is_alone and not is_begun)
                if (chunk := self._board.claim_at(index, even_returned=is_mine)) is not None:
                    self.stream.flows = True
                    self._pieces.pop(index, None)
                    return self._piece(chunk)
                if self._ranges_proven and not (self.stream.is_alone and self._board.is_taken(index)):
                    return None
                self._changed.wait()
        return None

    @property
    def has_free_chunks(self) -> bool:
        """Whether one more worker would find something to do."""
        with self._changed:
            return (bool(self._shares) or self._board.has_free) and not self._is_over

    def claim_untouched(self) -> Piece | None:
        """A piece of which nothing has landed, for another process; None, at once, where there is none for it now.

        None before a range has been served: what to do where none is, is settled in this process.
        """
        with self._changed:
            if self._is_over or not self._ranges_proven or self.stream.is_alone:
                return None
            begun = {index for index, piece in self._pieces.items() if not piece.is_fresh}
            chunk = self._board.claim_untouched(begun)
            return None if chunk is None else self._piece(chunk)

    def discard(self, count: int) -> None:
        """So many bytes that were received do not count."""
        with self._changed:
            self.tally.discarded += count

    def give_back(self, piece: Piece, shares: int = 1) -> None:
        """The holder does not go on: whoever is free next takes the piece from where it stands.

        With several `shares`, so many take it, each a part of what is missing; where its digests allow that.
        """
        # The discovery stream, which takes over where there are no ranges, knows nothing of shares.
        parts = divide(piece, shares, self._new_piece) if shares > 1 and self._ranges_proven else []
        with self._changed:
            if parts or piece.division is not None:
                self._shares.extend(parts or [piece])
                self._shares.sort(key=lambda share: share.position)
            else:
                self._pieces[piece.chunk.index] = piece
                self._board.give_back(piece.chunk)
            self._changed.notify_all()

    def _piece(self, chunk: Chunk) -> Piece:
        return self._pieces.pop(chunk.index, None) or self._new_piece(chunk, self._algorithms)

    def go_on_with(self, pieces: Iterable[Piece]) -> None:
        """Have these pieces begin where an earlier run has left them. To be called before the first worker starts."""
        for piece in pieces:
            self._pieces[piece.chunk.index] = piece

    # Judging answers -------------------------------------------------------------------------------------------

    def accept(self, head: ResponseHead, piece: Piece, *, by_number: bool) -> int:
        """The offset up to which the body of a 2xx answer may be written, from the piece's position on.

        Raises SourceChanged, Replan, ProtocolError (ask again) or RangeNotSupported.
        """
        part = piece.chunk.part if by_number else None
        asked = Expectation(
            piece.rest, self._pin, part, self.task.traits.full_status_ranges, self.task.content_is_checked
        )
        verdict = judge(head, asked)
        if isinstance(verdict, Accepted):
            self._prove_ranges()
            self._accept_pin()
            return verdict.span.stop
        if verdict.doubt is Doubt.CHANGED:
            raise self.source_changed(self.task.source.without_secrets(verdict.reason))
        if verdict.doubt is Doubt.LAYOUT:
            raise Replan(exact_layout=True)
        if verdict.doubt is Doubt.RANGE_IGNORED and by_number:
            raise Replan(no_part_numbers=True)
        if verdict.doubt is Doubt.RANGE_IGNORED or self._is_always_odd():
            self.refuse_ranges()
        source = self.task.source
        raise ProtocolError(f"{source.display_url}: {source.without_secrets(verdict.reason)}")

    def _is_always_odd(self) -> bool:
        """Whether no range was ever answered rightly, in a few attempts: then a stream may still work."""
        with self._changed:
            self._odd_answers += 1
            return self._odd_answers >= ODD_ANSWERS and not self._ranges_proven

    def refuse_ranges(self) -> None:
        """The server does not serve ranges: what is left is up to the discovery stream.

        Raises RangeNotSupported, unless a range has been served before: then the server is failing, not unable.
        """
        with self._changed:
            if self._ranges_proven:
                return
            self._ranges_refused = True
            self._changed.notify_all()
        raise RangeNotSupported("the server ignores ranges", url=self.task.source.display_url)

    @property
    def pin(self) -> Pin:
        """What every request is pinned to."""
        return self._pin

    def drop_version(self) -> bool:
        """A request by version was denied, as it is to whoever may read the current version only; the ETag still pins.

        False where the version is the caller's own wish, or all that there is to pin by.
        """
        with self._changed:
            if self._pin.version_id is None or self._pin.if_match is None or self.task.config.version_id is not None:
                return False
            self._pin = self._pin.without_version()
            return True

    def loosen_pin(self, refused: Pin) -> bool:
        """A first request was answered 412, though its ETag is the one that this store has just sent: is there another
        form of the condition to try (wire-spec.md §4)? In the end there is none, and answers are compared instead.

        False where a pinned request has been served before: then the object has changed.
        """
        with self._changed:
            if self._pin != refused:
                return True  # another worker has found that out
            if self._is_pin_accepted or not self.task.traits.may_refuse_its_etag:
                self.task.store.learn(match_form=None)
                return False
            looser = refused.loosened()
            self._pin = looser or refused
            return looser is not None

    def _accept_pin(self) -> None:
        if not self._is_pin_accepted:
            self._is_pin_accepted = True
            self.task.store.learn(match_form=self._pin.match_form)

    @property
    def are_ranges_refused(self) -> bool:
        return self._ranges_refused

    def source_changed(self, reason: str) -> SourceChanged:
        """The error for an answer that is of another object than the first one."""
        url = self.task.source.display_url
        return SourceChanged(
            f"{url} changed during the download: {reason}", hint="run it again to fetch the new object", url=url
        )

    def _prove_ranges(self) -> None:
        if not self._ranges_proven or self.stream.is_alone:
            with self._changed:
                self._ranges_proven, self._ranges_refused = True, False
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
            with self._changed:
                is_last = division.land()
            if not is_last:
                return None
            piece = division.joined()
        return piece

    def _land(self, piece: Piece) -> Repaired | None:
        digests = piece.digests()
        piece.declared = piece.declared or piece.listed_digest(self.task.plan.layout)
        if piece.declared is not None and not piece.declared.holds(digests):
            return self._refetch(piece, piece.declared.value.hex(), digests[piece.declared.algorithm].hex())
        with self._changed:
            is_enough = self._recorder.record(piece.chunk.index, digests)
            self._board.land(piece.chunk)
            self.stream.note_landed()
            self.task.store.succeed()
            self.tally.verified += piece.landed if piece.declared else 0
            if is_enough or self._board.is_complete:
                self._has_succeeded = self._is_over = True
            self._changed.notify_all()
        if is_enough:
            self.cancellation.cancel()
        return None

    def _refetch(self, piece: Piece, expected: str, actual: str) -> Repaired:
        url, span = self.task.source.display_url, piece.chunk.span
        algorithm = str(piece.declared.algorithm) if piece.declared else ""
        with self._changed:
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
        with self._changed:
            self.tally.discarded += piece.landed
        piece.restart()

    def wait_for_front(self, offset: int) -> int:
        """Wait until everything up to an offset beyond the given one has landed; the same one when the pass is over."""
        with self._changed:
            while True:
                front = self._front()
                if front > offset or self._is_over:
                    return front
                self._changed.wait()

    def _front(self) -> int:
        chunks, index = self.task.plan.chunks, self._board.front
        return chunks[index].span.start if index < len(chunks) else chunks[-1].span.stop

    # Ending ----------------------------------------------------------------------------------------------------

    def progress(self, piece: Piece) -> None:
        """A failing attempt has brought a good deal: the object moves, however bad the line."""
        with self._changed:
            piece.attempts = 0
            self.task.store.succeed()

    def retry(self, piece: Piece, error: FastgetError) -> Retried:
        """Count a failure of a piece; the event says how long to wait before it is asked for again.

        Raises `error` when another try is not worth it, or nobody has one left.
        """
        with self._changed:
            piece.attempts += 1
            retries = self.task.config.retries
            is_worth_it = retry.is_transient(error) and piece.attempts <= retries
            if not is_worth_it or not self.task.store.may_retry(error, retries):
                raise error
            self.tally.retries += 1
        delay = retry.delay_before(piece.attempts, random.random(), error)
        stop = None if self.task.plan.size is None else piece.chunk.span.stop
        return Retried(self.task.source.display_url, piece.position, stop, piece.attempts, delay, error.message)

    def fail(self, error: BaseException) -> None:
        """End the pass: the first error counts, and every sibling is woken."""
        with self._changed:
            self.error = self.error or error
        self.cancellation.cancel()
        # The next plan writes to the same sink, where that can take the same bytes twice, or has none yet.
        if not isinstance(error, Replan) or (self.has_begun and not self.task.sink.is_seekable):
            self.task.sink.abort()

    def abort(self) -> None:
        """The scope was cancelled: let everyone who waits look again."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def has_succeeded(self) -> bool:
        """Whether everything wanted has landed, or enough of it."""
        return self._has_succeeded

    def wait(self, seconds: float) -> bool:
        """Wait until something has changed, at most `seconds`; True when the pass is over."""
        with self._changed:
            if not self._is_over:
                self._changed.wait(seconds)
            return self._is_over
