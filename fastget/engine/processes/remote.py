"""In a child: the job, the source, the gate and the journal of the process that the child works for."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from fastget.engine.children.messages import packed
from fastget.engine.exchange.gate import Gate, Passage
from fastget.engine.pieces.blocks import Blocks
from fastget.engine.pieces.job import Job
from fastget.engine.pieces.piece import Piece
from fastget.engine.pieces.shares import divide
from fastget.engine.pieces.task import NoRecord
from fastget.engine.processes.messages import Answer, Call, Claimed, Failed, Given, Left, Progressed, Report, Wanted
from fastget.errors import Cancelled, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.planner import Chunk
    from fastget.core.ranges import Span
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.children.channel import Channel
    from fastget.engine.pieces.task import Tally, Task
    from fastget.engine.processes.messages import Assignment
    from fastget.errors import FastgetError
    from fastget.events import Repaired, Retried
    from fastget.sources.protocol import Correction, Source, StoreTraits


class Office:
    """Calls to the other process, from any thread. `answer` is for the thread that receives."""

    def __init__(self, channel: Channel) -> None:
        self.post = channel.post
        self._numbers = count()
        self._lock = Lock()  # around that: where threads run at once, two might get the same number
        self._waiting: dict[int, Future[Any]] = {}
        self._is_closed = False

    def call(self, name: str, *arguments: Any) -> Any:
        """What the other process answers. Raises what it raised there, and Cancelled once it is over."""
        future: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
        self._waiting[number] = future
        if self._is_closed:
            raise Cancelled("the download is over")
        self.post(Call(number, name, arguments))
        return future.result()

    def answer(self, answer: Answer) -> None:
        future = self._waiting.pop(answer.number, None)
        if future is None:
            return
        if answer.failure is not None:
            future.set_exception(answer.failure.unpacked())
        else:
            future.set_result(answer.value)

    def close(self) -> None:
        """No answer will come any more."""
        self._is_closed = True
        for number in list(self._waiting):
            if (future := self._waiting.pop(number, None)) is not None:
                future.set_exception(Cancelled("the download is over"))


class RemoteSource:
    """Implements `Source`. Requests are made, signed and corrected in the other process, which has the credentials.

    `number` is the one by which that process knows the source.
    """

    def __init__(self, office: Office, number: int, display_url: str, traits: StoreTraits) -> None:
        self.display_url = display_url
        self._office = office
        self._number = number
        self._traits = traits

    filename = store = selection = ""
    answers_head = True

    def traits(self, info: ObjectInfo) -> StoreTraits:
        del info
        return self._traits

    def get(self, span: Span | None = None, part_number: int | None = None, pin: Pin | None = None) -> Request:
        return cast("Request", self._ask("get", span, part_number, pin))

    def head(self, part_number: int | None = None, pin: Pin | None = None) -> Request:
        return cast("Request", self._ask("head", part_number, pin))

    def attributes(self, after: int, pin: Pin) -> Request:
        return cast("Request", self._ask("attributes", after, pin))

    def as_stored(self, head: ResponseHead) -> RemoteSource | None:
        return self._other(self._ask("as_stored", head))

    def without_checksums(self) -> RemoteSource | None:
        return self._other(self._ask("without_checksums"))

    def describe(self, head: ResponseHead) -> ObjectInfo:
        return cast("ObjectInfo", self._ask("describe", head))

    def refusal(self, head: ResponseHead, body: bytes) -> FastgetError:
        return cast("FastgetError", self._ask("refusal", head, body))

    def without_secrets(self, text: str) -> str:
        return cast("str", self._ask("without_secrets", text))

    def redirected(self, head: ResponseHead) -> RemoteSource | None:
        return self._other(self._ask("redirected", head))

    def keep_finding(self, find: Callable[[Source], Source]) -> None:
        """It is kept where the source is."""

    def corrected(
        self, request: Request, head: ResponseHead, body: bytes, done: Collection[Correction] = ()
    ) -> Correction | None:
        return cast("Correction | None", self._ask("corrected", request, head, body, set(done)))

    def _ask(self, name: str, *arguments: Any) -> Any:
        return self._office.call("source", self._number, name, arguments)

    def _other(self, number: int | None) -> RemoteSource | None:
        return None if number is None else RemoteSource(self._office, number, self.display_url, self._traits)


class RemoteGate(Gate):
    """The one gate of all processes: they share what a store bears."""

    __slots__ = ("_office",)

    def __init__(self, office: Office) -> None:
        super().__init__()
        self._office = office

    def enter(self, passage: Passage | None = None) -> float:
        del passage  # it is the other end that counts
        return cast("float", self._office.call("enter"))

    def leave(self, error: Throttled | None, *, is_served: bool = True, passage: Passage | None = None) -> None:
        if passage is not None:
            passage.is_within = False
        self._office.post(Left(None if error is None else packed(error), is_served))


class ClaimQueue:
    """What is to be said to the journal, until it is said."""

    def __init__(self) -> None:
        self._waiting: deque[Claimed] = deque()

    def claim(self, span: Span, digest: bytes) -> None:
        self._waiting.append(Claimed(span, digest))

    def withdraw(self, span: Span) -> None:
        self._waiting.append(Claimed(span, None))

    def taken(self) -> tuple[Claimed, ...]:
        """Those so far, in order; none is given twice."""
        found = []
        while self._waiting:
            try:
                found.append(self._waiting.popleft())
            except IndexError:  # another thread was faster
                break
        return tuple(found)


class RemoteJob(Job):
    """A pass whose chunks, retries and verdicts are the other process's. What it has been given it keeps until landed.

    `counts` says how it stands, for a report.
    """

    def __init__(
        self, task: Task, assignment: Assignment, tally: Tally, office: Office, cancellation: Cancellation
    ) -> None:
        self.claims = ClaimQueue()
        self.counts: Callable[[], Report] = Report
        self._office = office
        self._block = assignment.block
        self._given: deque[Chunk] = deque()
        self._kept: deque[Piece] = deque()
        self._idle = self._asked = 0
        self._has_been_given = False
        super().__init__(task, NoRecord(), assignment.algorithms, tally, cancellation, None, self._piece_for)
        # The other process has been served a range, pinned like this.
        self._ranges_proven = True
        self._pinning.take_over(self.pin)
        if cancellation.is_cancelled:
            self.abort()

    # From the thread that receives ---------------------------------------------------------------------------------

    def give(self, given: Given) -> None:
        """One more to fetch."""
        with self._changed:
            self._asked -= 1
            self._has_been_given = True
            self._pinning.take_over(given.pin)
            self._given.append(given.chunk)
            self._changed.notify_all()

    def report(self) -> None:
        """Say how it stands."""
        self._office.post(self.counts())

    # As a job ------------------------------------------------------------------------------------------------------

    def claim(self) -> Piece | None:
        with self._changed:
            self._idle += 1
            try:
                while not self._is_over:
                    if self._kept:
                        return self._kept.popleft()
                    if self._given:
                        return self._piece_for(self._given.popleft(), self._algorithms)
                    if self._asked < self._idle:
                        self._asked += 1
                        self._office.post(Wanted())  # does not wait
                    self._changed.wait()
            finally:
                self._idle -= 1
        return None

    @property
    def has_free_chunks(self) -> bool:
        """Whether nobody waits for a chunk, or none has come yet: then there may be more of them."""
        with self._changed:
            return not self._is_over and (self._idle <= len(self._given) or not self._has_been_given)

    def give_back(self, piece: Piece, shares: int = 1) -> None:
        parts = divide(piece, shares, self._piece_for) if shares > 1 else []
        with self._changed:
            self._kept.extend(parts or [piece])
            self._changed.notify_all()

    def forgive(self, piece: Piece) -> None:
        self._office.post(Progressed(piece.chunk.index))

    def retry(self, piece: Piece, error: FastgetError, *, may_leave: bool = True) -> Retried | None:
        """As in any job; what was left is begun anew, as its digests are here alone. Shares stay together."""
        may_leave = may_leave and piece.division is None
        if isinstance(error, Throttled):
            with self._changed:
                self._stock.refuse(piece)
        retried = self._office.call("retry", piece.chunk.index, piece.position, packed(error), may_leave)
        if retried is None:
            with self._changed:
                self._stock.serve(piece)  # not by this process
            self.restart(piece)
        return cast("Retried | None", retried)

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self.error = self.error or error
        self._office.post(Failed(packed(error)))
        self.cancellation.cancel()

    def _land(self, piece: Piece) -> Repaired | None:
        self.report()
        answer = self._office.call("land", piece.chunk.index, piece.digests(), piece.declared)
        return cast("Repaired | None", answer)

    def _piece_for(self, chunk: Chunk, algorithms: Sequence[Algorithm]) -> Piece:
        return Piece(chunk, algorithms, Blocks(self.claims, self._block, chunk) if self._block else None)
