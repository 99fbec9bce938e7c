"""Parts of an object by range, held together by what the first answer to a range says: no question comes before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from fastget.core import retry
from fastget.core.moulds import Mould
from fastget.core.ranges import Span
from fastget.core.validators import Accepted, Doubt, Expectation, judge
from fastget.engine.discovery.opening import Discovery, whole
from fastget.engine.exchange.asking import finder
from fastget.engine.exchange.line import ConnectionPool, Line
from fastget.engine.pieces.job import Job
from fastget.engine.pieces.task import NoRecord, Replan, Tally, Task, Write, write_nothing
from fastget.engine.workers.crew import Crew, governor_for
from fastget.engine.workers.reception import LARGE_BUFFER, SMALL_BUFFER
from fastget.engine.workers.worker import Worker
from fastget.errors import NetworkError, RangeNotSupported, SourceError, Unverifiable
from fastget.transport.heads import HeadExchange

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.planner import Plan
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.discovery.opening import Opening
    from fastget.engine.exchange.stores import Store
    from fastget.engine.pieces.piece import Piece
    from fastget.errors import FastgetError
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source
    from fastget.transport.resolver import Peer

# Where the bytes from an offset on, so many, are received.
PlaceAt = Callable[[int, int], memoryview]
_RANGE_STATUSES = (206, 200)
# Ranges that are shorter on average, in bytes, take no longer to come than their requests to be answered: some
# connections wait while others receive. Measured on loopback, four take a fifth less time than two.
SHORT = 1024 * 1024
SOME_FOR_SHORT = 4
# As many as one call of the system fills.
PLACES_AT_ONCE = 64


class RangePass:
    """One object, asked once for its facts and then for ranges. Use it as a context manager.

    Ranges have no digest of their own: each is held to its length, and all to one version of the object.
    """

    def __init__(
        self, source: Source, config: Config, pool: ConnectionPool, cancellation: Cancellation, store: Store
    ) -> None:
        self.tally = Tally()
        self.connections = 0
        self._source = source
        self._config = config
        self._pool = pool
        self._cancellation = cancellation
        self._store = store
        self._line = Line(pool, cancellation)
        self._opening: Opening | None = None
        self._home: Peer | None = None
        self._answered: Span | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._line.drop()

    def check_options(self) -> None:
        """Raises Unverifiable where a digest is required."""
        if self._config.require_verified or self._config.checksum:
            raise Unverifiable(
                f"{self._source.display_url}: a slice has no digest that it could be verified by",
                hint="read the whole object, or leave out checksum and require_verified",
                url=self._source.display_url,
            )

    # The facts -------------------------------------------------------------------------------------------------

    def ask(self) -> tuple[ObjectInfo, int]:
        """The object's facts and size, by a question of their own.

        Raises as `Discovery.readable`, and RangeNotSupported where the size stays unknown.
        """
        self._line.drop()
        return self._sized(self._discover(Discovery.readable))

    def begin(self, span: Span) -> tuple[ObjectInfo, int]:
        """The object's facts and size from the answer to `span`, which must not be empty; what it holds is kept.

        Where that answer does not tell them, or lies beyond the end, by a question of their own. Raises as `ask`.
        """
        try:
            opening = self._discover(lambda by, at: by.select(at, lambda s: s.get(span=span), _RANGE_STATUSES))
        except SourceError as error:
            if not isinstance(error, RangeNotSupported) and not retry.is_range_refusal(error):
                raise
            return self.ask()
        info = whole(opening)
        if info is None:
            return self.ask()
        info, size = self._sized(replace(opening, info=info))
        if span.start >= size:
            return self.ask() if opening.head.status == 206 else (info, size)
        wanted = Span(span.start, min(span.stop, size))
        full_status = opening.source.traits(info).full_status_ranges
        verdict = judge(opening.head, Expectation(wanted, info.pin, full_status_ranges=full_status))
        if isinstance(verdict, Accepted):
            self._answered = verdict.span
        elif verdict.doubt is Doubt.RANGE_IGNORED:
            raise self._no_ranges("the server ignores ranges")
        else:
            return self.ask()
        return info, size

    def _discover(self, ask: Callable[[Discovery, Source], Opening]) -> Opening:
        discovery = Discovery(self._line, self._cancellation, self._config.retries, lambda _: None, self._store)
        try:
            opening = ask(discovery, self._source)
        finally:
            self.tally.retries += discovery.retried
        opening.source.keep_finding(finder(self._pool, self._cancellation))
        return opening

    def _sized(self, opening: Opening) -> tuple[ObjectInfo, int]:
        self._opening, self._home = opening, self._line.peer
        if opening.info.size is None:
            raise self._no_ranges("the server does not tell the object's size")
        return opening.info, opening.info.size

    # The bytes -------------------------------------------------------------------------------------------------

    def run(self, plan: Plan, sink: Sink, place_at: PlaceAt) -> None:
        """Fetch the chunks of `plan`, each straight to where `place_at` says, after `ask` or `begin`.

        With more than one chunk, the pin must be one that can be combined. Raises the errors of a download;
        RangeNotSupported where the server ignores ranges.
        """
        self._run(plan, sink, write_nothing, place_at)

    def run_in_order(self, plan: Plan, sink: Sink, base: int) -> None:
        """The same for one slice of the object, from `base` on, into a sink that keeps order."""

        def write(offset: int, data: memoryview) -> None:
            sink.write_at(offset - base, data)

        self._run(plan, sink, write, None)

    def _run(self, plan: Plan, sink: Sink, write: Write, place_at: PlaceAt | None) -> None:
        if self._opening is None:
            raise RuntimeError("nothing is known of the object yet")
        task = Task(
            source=self._opening.source,
            info=self._opening.info,
            traits=self._opening.source.traits(self._opening.info),
            plan=plan,
            sink=sink,
            config=self._config,
            can_resume=self._opening.info.pin.can_be_combined,
            content_is_checked=False,
            in_order=True,
            store=self._store,
        )
        if len(plan.chunks) > 1:
            self._store.learn_from(self._opening.head.headers, self._opening.waited)
        try:
            self._fetch(_RangeJob(task, self.tally, self._cancellation), write, place_at)
        except Replan:
            if task.can_resume:
                raise self._no_ranges("the server ignores ranges") from None
            raise NetworkError(
                f"{self._source.display_url}: the answer broke off, and nothing ties a second one to the same version",
                hint="try again",
                url=self._source.display_url,
            ) from None

    def _fetch(self, job: _RangeJob, write: Write, place_at: PlaceAt | None) -> None:
        plan, job.givers.home = job.task.plan, self._home
        first = job.take_first(self._answered)
        if first is None:
            self._line.drop()
        lines = [] if first is None else [self._line]

        def recruit(number: int) -> Worker:
            line = lines.pop() if lines else Line(self._pool, self._cancellation)
            return _RangeWorker(job, line, write, place_at, number, first, self._answered)

        at_least = SOME_FOR_SHORT if (plan.size or 0) < SHORT * len(plan.chunks) else 0
        governor = governor_for(plan.connections, len(plan.chunks), job.task.store.facts, at_least=at_least)
        crew = Crew(job, governor, recruit, lambda _: None)
        try:
            if len(plan.chunks) == 1:
                crew.run_inline(first_continues=first is not None)
            else:
                crew.run(first_continues=first is not None)
        finally:
            self.tally.received += crew.received
            self.tally.requests += sum(worker.line.requests for worker in crew.workers)
            self.tally.requests += self._line.requests if first is None else 0
            self.tally.rescues += crew.rescues
            self.connections = crew.size

    def _no_ranges(self, reason: str) -> RangeNotSupported:
        url = self._source.display_url
        return RangeNotSupported(f"{url}: no part of it can be read: {reason}", hint="read the whole object", url=url)


class _RangeJob(Job):
    """A job whose chunks are ranges, apart from each other; nobody follows their front."""

    def __init__(self, task: Task, tally: Tally, cancellation: Cancellation) -> None:
        super().__init__(task, NoRecord(), (), tally, cancellation)
        self.stream.anew_left = 0  # where there are no ranges, no part of an object can be read

    def take_first(self, answered: Span | None) -> Piece | None:
        """The first piece, where the answer that has come is of it; the server then serves ranges.

        Where nothing could be put behind that answer, it has to be of all of the piece.
        """
        wanted = self.task.plan.chunks[0].span
        if answered is None or answered.start != wanted.start or answered.stop > wanted.stop:
            return None
        if answered != wanted and not self.task.can_resume:
            return None
        if (piece := self.claim()) is not None:
            self.note_served(piece)
        return piece

    def may_be_range_refusal(self, error: FastgetError) -> bool:
        """Only what can be nothing else: no answer has shown that the whole object is served."""
        return retry.is_range_refusal(error)

    def accept(self, head: ResponseHead, piece: Piece, *, by_number: bool) -> int:
        """As in any job; a recognised answer is like one that was accepted, and holds what was asked for."""
        if not head.is_recognised:
            return super().accept(head, piece, by_number=by_number)
        self.note_served(piece)
        return piece.chunk.span.stop

    def _land(self, piece: Piece) -> None:
        """As in any job, but hardly anyone is woken by one of thousands: what has landed is waited for by no one."""
        with self._lock:
            self._stock.land(piece)
            self.stream.note_landed()
            self.task.store.succeed()
            if self._stock.is_complete:
                self._has_succeeded = self._is_over = True
                self._changed.notify_all()


class _RangeWorker(Worker):
    """A worker that receives straight into the memory where the bytes belong, if there is any, else writes them."""

    def __init__(
        self,
        job: _RangeJob,
        line: Line,
        write: Write,
        place_at: PlaceAt | None,
        number: int,
        first: Piece | None,
        answered: Span | None,
    ) -> None:
        super().__init__(job, line, write, lambda _: None, number)
        self._place_at = place_at
        self.may_take_turns = self.may_take_turns and place_at is None
        self._first = first
        self._answered = answered
        # Good for requests with this pin.
        self._mould: tuple[Mould, Pin] | None = None
        # What has been asked last, without a mould.
        self._asked: tuple[Source, Request] | None = None
        self.buffer_size = SMALL_BUFFER  # for what an answer without a declared length has behind its end

    def _run_on(self, buffer: memoryview) -> None:
        if self._first is not None:
            self._attempt(self._first, buffer, self._fetch_on)

    def _fetch_on(self, piece: Piece, buffer: memoryview) -> None:
        """The rest of the answer that has come, and what it does not hold of the piece."""
        self._receive(piece, buffer, self._answered.stop if self._answered is not None else piece.position)
        self._check_end(piece)
        self.line.finish()
        self._fetch(piece, buffer)

    def _fetch_answer(self, piece: Piece, buffer: memoryview) -> None:
        span, pin, mould = piece.rest, self._job.pin, self._mould
        head = self._ask(piece, by_number=False)
        stop = self._job.accept(head, piece, by_number=False)
        # A mould is used on as long as it is recognised.
        self._mould = mould if head.is_recognised else self._new_mould(head, span, pin)
        self._receive(piece, buffer, stop)
        self._check_end(piece)
        if (peer := self.line.peer) is None or peer.is_shunned:
            self.line.finish()

    def _claim(self) -> Piece | None:
        """As any worker, but from range to range with the same connection, as long as nothing speaks against it."""
        piece = super()._claim()
        if piece is None:
            self.line.finish()
        return piece

    def _request(self, at: Source, piece: Piece, pin: Pin, *, by_number: bool) -> Request:
        mould, self._mould = self._mould, None
        if mould is not None and mould[1] is pin:
            return mould[0].cast(piece.rest)
        self._asked = at, super()._request(at, piece, pin, by_number=by_number)
        return self._asked[1]

    def _new_mould(self, head: ResponseHead, span: Span, pin: Pin) -> tuple[Mould, Pin] | None:
        """Out of the last request and its answer, unless the object was found elsewhere or with another pin."""
        if self._asked is None or self._asked[0] is not self._job.task.source or self._job.pin is not pin:
            return None
        request = self._asked[1]
        mould = Mould.of(request, HeadExchange().encode(request), head, span)
        return None if mould is None else (mould, pin)

    def _receive(self, piece: Piece, buffer: memoryview, stop: int) -> None:
        if self._place_at is None:
            super()._receive(piece, buffer, stop)
            return
        self._job.has_begun = True
        places: list[memoryview] = []
        while (left := stop - piece.position) > 0:
            places = places or self._places(piece.position, min(left, self.reception.stride))
            asked = time.monotonic()
            count = self.line.read_some(left, *places)
            self.reception.pace(time.monotonic() - asked, LARGE_BUFFER)
            _skip(places, count)
            piece.position += count
            self.received += count
            if self.on_bytes is not None:
                self.on_bytes()

    def _places(self, offset: int, length: int) -> list[memoryview]:
        """Where the next bytes belong, so many at most."""
        places: list[memoryview] = []
        while self._place_at is not None and length and len(places) < PLACES_AT_ONCE:
            places.append(self._place_at(offset, length))
            offset += len(places[-1])
            length -= len(places[-1])
        return places


def _skip(places: list[memoryview], count: int) -> None:
    """So many bytes have landed."""
    while count >= len(places[0]):
        count -= len(places.pop(0))
        if not places:
            return
    places[0] = places[0][count:]
