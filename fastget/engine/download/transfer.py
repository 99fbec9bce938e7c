"""One download, from its first request to its published bytes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core.checksums.verification import Ledger
from fastget.core.planner import SMALLEST_CHUNK
from fastget.engine.announcer import Announcer
from fastget.engine.cancellation import Cancellation
from fastget.engine.children.portion import share_of
from fastget.engine.discovery.layouts import Surveyor
from fastget.engine.discovery.opening import BESIDE_RETRIES, Discovery, Opening
from fastget.engine.discovery.preparing import Knowledge, Prepared, parts_not_served, prepare
from fastget.engine.download.earlier import Earlier
from fastget.engine.download.front import Front
from fastget.engine.download.verifying import Verifier
from fastget.engine.exchange.asking import finder
from fastget.engine.exchange.line import ConnectionPool, Line
from fastget.engine.pieces.givers import Givers
from fastget.engine.pieces.job import Job
from fastget.engine.pieces.piece import Piece
from fastget.engine.pieces.task import Recorder, Replan, Tally, Write
from fastget.engine.processes.alone import Alone, company_for
from fastget.engine.small.at_once import AtOnce
from fastget.engine.workers.crew import Crew, governor_for
from fastget.engine.workers.worker import Worker
from fastget.errors import ChecksumMismatch, FastgetError, NetworkError, RangeNotSupported, Unverifiable
from fastget.events import Done, Failed, Method, Progress, Result, Started, Unchanged, Verification
from fastget.sinks.memory import clear_frames, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastget.config import Config
    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.layout import PartLayout
    from fastget.engine.exchange.stores import Store, Stores
    from fastget.engine.pieces.task import Task
    from fastget.engine.processes.company import Company
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source

# Plans that may turn out to rest on something the store does not do, before it is the store's fault.
MAXIMUM_PLANS = 5
_NOTHING = Knowledge()  # before the first


class Transfer:
    """A download that runs once, in the thread that calls `run`. `cancellation` may be cancelled from any other.

    `opening_line` is what the object is first asked for over, for another thread to look at.
    """

    def __init__(self, source: Source, sink: Sink, config: Config, pool: ConnectionPool, stores: Stores) -> None:
        self.cancellation = Cancellation()
        self.opening_line: Line | None = None
        self._source = source
        self._sink = sink
        self._config = config
        self._pool = pool
        self._stores = stores
        self._store = self._stores.of(source.store)
        self._tally = Tally()
        self._announcer = Announcer(config.on_event)
        self._began = 0.0
        self._connections = 0
        self._processes = 1
        self._has_left = False
        self._givers = Givers()
        self._is_open = False
        self._earlier = Earlier(source, sink, self._tally, self._announcer)
        self._at_once = AtOnce(source, sink, config, self._tally, self._announcer, self._store)

    @property
    def received(self) -> int:
        """Payload bytes so far; another thread sees it move as long as they come."""
        return self._tally.received

    def run(self) -> Result:
        """Fetch, verify, publish. Raises a FastgetError, or what interrupted it.

        Nothing is left behind then, but for what a sink that can be resumed keeps for the next run.
        """
        self._began = time.monotonic()
        self.cancellation.add(self._sink)
        try:
            self._sink.check()
            result = self._fetch()
        except BaseException as error:
            self.cancellation.cancel()
            self._earlier.end(error)
            self._announcer.deliver()
            if isinstance(error, FastgetError):
                self._announcer.tell(Failed(self._source.display_url, type(error).__name__, error.message))
            raise
        self._announcer.tell(Done(result))
        return result

    def _fetch(self) -> Result:
        known, why = _NOTHING, ""
        for _ in range(MAXIMUM_PLANS):
            try:
                return self._fetch_by(known)
            except Replan as lesson:
                why = f" ({lesson.__cause__})" if isinstance(lesson.__cause__, FastgetError) else ""
                if self._has_left:
                    if lesson.no_part_numbers:
                        raise parts_not_served(self._source.display_url) from None
                    break
                known = known.after(lesson)
                self._tally.repairs += lesson.seen is not None
                self._tally.discarded, self._tally.resumed = self._tally.received, 0
                self._tally.verified = 0
                clear_frames(lesson)  # they hold each other, and the memory that was read into
        raise NetworkError(
            f"{self._source.display_url}: the transfer broke off{why}, and the server cannot go on where it did",
            hint="try again when the connection is better"
            + ("" if self._sink.is_seekable else "; a file, unlike a pipe, can be begun anew"),
            url=self._source.display_url,
        )

    def _fetch_by(self, known: Knowledge) -> Result:
        scope = self._scope()
        with Line(self._pool, scope) as line:
            self.opening_line = line
            found = self._look_before(line, scope, known)
            if isinstance(found, Result):
                return found
            opening, flows = (found, False) if found else self._open(line, scope, known)
            if flows and not self._is_open and (result := self._at_once.take(opening, line, scope)) is not None:
                return result
            self._givers.home = line.peer
            prepared = self._prepare(opening, known)
            self._open_sink(prepared)
            prepared = self._earlier.fitted(prepared)
            task = prepared.task
            self._announce(prepared)
            ledger = Ledger(prepared.checks, task.plan.chunks, task.plan.layout)
            if not flows:
                self._tally.requests += line.requests
            size, ranges_refused = self._land(prepared, ledger, line if flows else None, scope)
        if opening.least is not None and size < opening.least:
            raise Replan(stream=True) from NetworkError(f"the connection ended after {size} of {opening.least} bytes")
        if ranges_refused:
            in_one = replace(task.plan, split="stream")
            prepared = replace(prepared, task=replace(task, plan=in_one, can_resume=False))
        verification = self._verify(prepared, ledger, size, known)
        self._sink.publish(size)
        return self._result(prepared, size, verification)

    def _scope(self) -> Cancellation:
        scope = Cancellation()
        self.cancellation.add(scope)
        return scope

    # Before the bytes ------------------------------------------------------------------------------------------

    def _look_before(self, line: Line, scope: Cancellation, known: Knowledge) -> Result | Opening | None:
        """Where something stands at the destination, ask for the object's facts alone: it may be all that is needed.

        The result where the object is here already, the facts where what an earlier run has left is of it, else None.
        """
        if known != _NOTHING or not self._earlier.is_there():
            return None
        facts = self._discover(line, scope, Discovery.facts)
        if (result := self._already_here(facts, line, scope)) is not None:
            return result
        return facts if self._earlier.fits(facts.info) else None

    def _already_here(self, facts: Opening, line: Line, scope: Cancellation) -> Result | None:
        try:
            prepared = self._prepare(facts, _NOTHING)
        except (ChecksumMismatch, RangeNotSupported, Unverifiable):
            return None  # the object's own answer may say more than that to a HEAD
        verification = self._earlier.verify_existing(prepared, scope)
        if verification is None or (self._config.require_verified and not verification.verified):
            return None
        self._tally.requests += line.requests
        self._tally.resumed = size = facts.info.size or 0
        self._announcer.tell(Unchanged(self._source.display_url, self._sink.path, size, facts.info.etag))
        return replace(self._result(prepared, size, verification), was_here=True)

    def _open(self, line: Line, scope: Cancellation, known: Knowledge) -> tuple[Opening, bool]:
        """The answer to a plain GET, and whether its body is wanted: not where what it begins with is here already."""
        opening = self._discover(line, scope, Discovery.open)
        if not self._earlier.fits(opening.info) or known != _NOTHING:
            return opening, True
        line.drop()
        return opening, False

    def _prepare(self, opening: Opening, known: Knowledge) -> Prepared:
        store = self._stores.of(opening.source.store)
        store.learn_from(opening.head.headers, opening.waited)

        def find_layout(parts: int | None, by_number: bool) -> PartLayout | None:
            return self._find_layout(opening, store, parts, known, by_number=by_number)

        return prepare(opening, self._sink, self._config, known, find_layout, store)

    def _discover(self, line: Line, scope: Cancellation, ask: Callable[[Discovery, Source], Opening]) -> Opening:
        discovery = Discovery(line, scope, self._config.retries, self._announcer.tell, self._store)
        try:
            opening = ask(discovery, self._source)
        finally:
            self._tally.retries += discovery.retried
        opening.source.keep_finding(finder(self._pool, self.cancellation))
        if opening.may_be_cut_unseen:
            return replace(opening, least=self._ask_length(opening))
        return opening

    def _ask_length(self, opening: Opening) -> int | None:
        scope = self._scope()
        with Line(self._pool, scope) as line:
            try:
                retries = min(self._config.retries, BESIDE_RETRIES)
                return Discovery(line, scope, retries, self._announcer.tell).length_of(opening)
            finally:
                self._tally.requests += line.requests

    def _find_layout(
        self, opening: Opening, store: Store, parts: int | None, known: Knowledge, *, by_number: bool
    ) -> PartLayout | None:
        surveyor = Surveyor(opening.source, opening.info, self._pool, self._scope(), store)
        exact = known.exact_layout or not self._sink.is_seekable
        try:
            return surveyor.layout(parts, exact=exact, by_number=by_number)
        finally:
            self._tally.requests += surveyor.requests

    def _open_sink(self, prepared: Prepared) -> None:
        """Make room once: a second plan writes over what the first one left, unless the object is another one now."""
        # Of a stream nothing has left yet: there is no second plan where anything has.
        if self._is_open and self._sink.is_seekable and not self._earlier.has_begun(prepared.task.info):
            self._sink.discard()
            self._is_open = False
        if not self._is_open:
            self._earlier.begin(prepared)
            self._is_open = True

    def _announce(self, prepared: Prepared) -> None:
        task, checks = prepared.task, prepared.checks
        best = checks[0] if checks else None
        self._announcer.tell(
            Started(
                self._source.display_url,
                self._sink.path,
                task.plan.size,
                task.info.etag,
                task.info.version_id,
                task.plan.split,
                len(task.plan.chunks),
                governor_for(task.plan.connections, len(task.plan.chunks), task.store.facts).wanted,
                best.method if best else Method.SIZE,
                str(best.algorithm) if best else None,
            )
        )

    # The bytes -------------------------------------------------------------------------------------------------

    def _land(self, prepared: Prepared, ledger: Ledger, line: Line | None, scope: Cancellation) -> tuple[int, bool]:
        """Every chunk into the sink, its digests into the ledger; the size, and whether ranges were refused."""
        task = prepared.task
        single = len(task.plan.chunks) == 1
        ordered = ledger.ordered_algorithms
        algorithms = (*ledger.chunk_algorithms, *ordered) if single else ledger.chunk_algorithms
        missing, begun = self._earlier.take_over(
            prepared, algorithms, ledger, scope, lambda: self._progress(task.plan.size, 0)
        )
        job = Job(task, ledger, algorithms, self._tally, scope, missing, self._earlier.new_piece)
        job.go_on_with(begun)
        job.givers = self._givers
        self._givers.begin_pass()
        front = None if single or not ordered else Front(job, self._sink, ordered)
        company = company_for(
            job, algorithms, self._sink, self._earlier.claims, self._earlier.block_size, missing, self._announcer.keep
        )
        try:
            self._run(job, self._sink.write_at, line, company)
        finally:
            job.abort()
            digests = front.finish() if front else (ledger.recorded(0) if single else {})
        for algorithm in ordered:
            ledger.record_ordered(algorithm, digests[algorithm])
        raise_front_error(job)
        size = task.plan.size if task.plan.size is not None else self._tally.landed
        return size, job.are_ranges_refused

    def _run(self, job: Job, write: Write, opened: Line | None, company: Alone | Company) -> None:
        plan = job.task.plan
        base = self._tally.received
        lines = [opened] if opened else []
        is_inline = plan.size is not None and plan.size <= SMALLEST_CHUNK and plan.connections == 1
        window = window_of(self._sink) if write == self._sink.write_at else None

        def recruit(number: int) -> Worker:
            line = lines.pop() if lines else Line(self._pool, job.cancellation)
            # Inline, the worker runs in the caller's thread.
            return Worker(job, line, write, self._announcer.tell if is_inline else self._announcer.keep, number, window)

        def on_tick(crew: Crew) -> None:
            company.look()
            self._tally.received = base + crew.received + company.received
            self._connections = max(self._connections, crew.size + company.connections)
            self._progress(plan.size, crew.size + company.connections)
            self._earlier.beat()

        connections = share_of(plan.connections, company.count)
        governor = governor_for(connections, len(plan.chunks), job.task.store.facts, company.count)
        crew = Crew(job, governor, recruit, on_tick, company.count)
        try:
            with company:
                if is_inline:
                    crew.run_inline(first_continues=opened is not None)
                else:
                    crew.run(first_continues=opened is not None)
        finally:
            self._has_left = self._has_left or job.has_left
            self._tally.received = base + crew.received + company.received
            self._tally.requests += sum(worker.line.requests for worker in crew.workers) + company.requests
            self._tally.rescues += crew.rescues + company.rescues
            self._connections = max(self._connections, crew.size + company.connections)
            self._processes = max(self._processes, company.worked)
            self._announcer.deliver()

    # After the bytes -------------------------------------------------------------------------------------------

    def _verify(self, prepared: Prepared, ledger: Ledger, size: int, known: Knowledge) -> Verification:
        task = prepared.task
        return Verifier(
            prepared,
            ledger,
            self._tally,
            self._announcer,
            self._run_again,
            lambda: Surveyor(task.source, task.info, self._pool, self._scope(), task.store),
            known.seen,
            self._givers,
            self._earlier.doubt,
        ).verify(size)

    def _run_again(
        self, task: Task, recorder: Recorder, algorithms: Collection[Algorithm], wanted: Collection[int], write: Write
    ) -> None:
        is_rewritten = write == self._sink.write_at
        if is_rewritten:
            self._earlier.withdraw(task.plan.chunks[index] for index in wanted)
        new_piece = self._earlier.new_piece if is_rewritten else Piece
        job = Job(task, recorder, algorithms, self._tally, self._scope(), wanted, new_piece)
        job.givers = self._givers
        self._givers.begin_pass()
        self._run(job, write, None, Alone())

    def _result(self, prepared: Prepared, size: int, verification: Verification) -> Result:
        info, tally = prepared.task.info, self._tally
        return Result(
            url=self._source.display_url,
            path=self._sink.path,
            size=size,
            etag=info.etag,
            version_id=info.version_id,
            seconds=time.monotonic() - self._began,
            bytes_received=tally.received,
            bytes_resumed=tally.resumed,
            requests=tally.requests,
            retries=tally.retries,
            rescues=tally.rescues,
            repairs=tally.repairs,
            connections=self._connections,
            processes=self._processes,
            split=prepared.task.plan.split,
            verification=verification,
        )

    def _progress(self, size: int | None, connections: int) -> None:
        tally = self._tally
        if not self._announcer.is_heard:
            return
        self._announcer.tell(
            Progress(
                self._source.display_url,
                tally.landed,
                tally.received,
                size,
                tally.verified,
                connections,
                time.monotonic() - self._began,
            )
        )


def raise_front_error(job: Job) -> None:
    """A hasher that follows the front may fail after the last chunk has landed."""
    if job.error is not None:
        raise job.error
