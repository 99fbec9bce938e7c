"""One child, seen from the process of the download: what it holds, what it asks, and its end."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastget.core.straggler import is_unserved
from fastget.engine.children.messages import Failure, Stop, packed
from fastget.engine.children.process import ChildProcess
from fastget.engine.processes.messages import (
    Answer,
    Assignment,
    Call,
    Claimed,
    Failed,
    Given,
    Left,
    Progressed,
    Ready,
    Report,
    Wanted,
)
from fastget.warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.engine.children.launch import Launched
    from fastget.engine.pieces.blocks import Claims
    from fastget.engine.pieces.job import Job
    from fastget.engine.pieces.piece import PartDigest, Piece
    from fastget.events import Event, Repaired, Retried
    from fastget.sources.protocol import Source

# Sources that redirects have led to: those that a child's connections use now, and some more.
_MOST_SOURCES = 1024


class Attendant:
    """Serves one child from a thread of its own, until it is gone; what it held then is given to others.

    `report` is its last one, `has_worked` whether it was ever given anything.
    """

    def __init__(
        self, launched: Launched, number: int, job: Job, claims: Claims | None, notify: Callable[[Event], None]
    ) -> None:
        self.report = Report()
        self.has_worked = False
        self._child = ChildProcess(launched, f"process-{number}", self._attend)
        self._job = job
        self._claims = claims
        self._notify = notify
        self._lock = threading.Lock()
        self._pieces: dict[int, Piece] = {}
        self._wanted = 0
        self._landed = 0
        self._entered = 0
        self._sources: OrderedDict[int, Source] = OrderedDict()
        self._is_gone = self._is_stopping = self._is_dismissed = False

    # In the thread of the download -----------------------------------------------------------------------------

    def start(self, assignment: Assignment) -> None:
        """Begin. Raises RuntimeError where the system gives no more threads; the child is gone then."""
        self._child.start(assignment)

    def look(self, patience: float) -> None:
        """Give what there is to give; end a child that says nothing for `patience` seconds, or has died unnoticed."""
        self._child.look(patience)
        self._give()

    def dismiss_unserved(self, silent: float, usual: float) -> None:
        """End it where none of its connections was ever answered, but others were meanwhile: there are too many.

        It is `silent` seconds since others have received; the server answers them in `usual` seconds.
        """
        unanswered = self.report.unanswered
        if not self._is_dismissed and silent < unanswered and is_unserved(unanswered, usual):
            self._is_dismissed, self.has_worked = True, False
            self._child.kill()

    def stop(self) -> None:
        """Ask it to end."""
        self._is_stopping = True
        self._child.post(Stop())

    def join(self, patience: float) -> None:
        """See `ChildProcess`."""
        self._child.join(patience)

    # In a thread of its own ------------------------------------------------------------------------------------

    def _attend(self) -> None:
        try:
            for message in self._child.messages():
                self._take(message)
        except BaseException as error:  # noqa: BLE001 - the job hands it to the caller's thread
            self._job.fail(error)
        finally:
            self._child.bury()
            self._take_back()

    def _take(self, message: object) -> None:
        if isinstance(message, Report):
            self._take_report(message)
        elif isinstance(message, Call):
            self._child.post(self._answer(message))
        elif isinstance(message, Wanted):
            with self._lock:
                self._wanted += 1
            self._give()
        elif isinstance(message, Left):
            self._entered -= 1
            error: Any = message.failure.unpacked() if message.failure is not None else None
            self._job.task.store.gate.leave(error, is_served=message.is_served)
        elif isinstance(message, Progressed):
            self._job.forgive(self._pieces[message.index])
        elif isinstance(message, Failed):
            self._job.fail(message.failure.unpacked())
        elif not isinstance(message, Ready):
            raise TypeError(f"a child says {type(message).__name__}")

    def _take_report(self, report: Report) -> None:
        before, self.report = self.report, replace(report, claims=())
        if report.discarded != before.discarded:
            self._job.discard(report.discarded - before.discarded)
        for claim in report.claims:
            self._take_claim(claim)

    def _take_claim(self, claim: Claimed) -> None:
        if self._claims is None:
            return
        if claim.digest is None:
            self._claims.withdraw(claim.span)
        else:
            self._claims.claim(claim.span, claim.digest)

    def _give(self) -> None:
        with self._lock:
            while self._wanted and not self._is_gone and (piece := self._job.claim_untouched()) is not None:
                self._wanted -= 1
                self._pieces[piece.chunk.index] = piece
                self.has_worked = True
                self._child.post(Given(piece.chunk, self._job.pin))  # does not wait

    # Its calls -------------------------------------------------------------------------------------------------

    def _answer(self, call: Call) -> Answer:
        try:
            return Answer(call.number, getattr(self, f"_on_{call.name}")(*call.arguments))
        except BaseException as error:  # noqa: BLE001 - raised again in the child, which fails with it
            return Answer(call.number, failure=packed(error))

    def _on_enter(self) -> float:
        wait = self._job.task.store.gate.enter()
        self._entered += wait <= 0
        return wait

    def _on_source(self, number: int, name: str, arguments: tuple[Any, ...]) -> Any:
        """A method of the source, or of one that it was redirected to; other sources go by their numbers."""
        source = self._sources[number] if number else self._job.task.source
        found = getattr(source, name)(*arguments)
        if name not in ("redirected", "as_stored", "without_checksums") or found is None:
            return found
        known = id(found)
        self._sources[known] = found
        if len(self._sources) > _MOST_SOURCES:
            self._sources.popitem(last=False)
        return known

    def _on_retry(self, index: int, position: int, failure: Failure, may_leave: bool) -> Retried | None:
        """None where the piece is not the child's any more: it was left to those who are served."""
        error: Any = failure.unpacked()
        with self._lock:
            retried = self._job.retry(self._pieces[index], error, may_leave=may_leave)
            if retried is None:
                del self._pieces[index]
                return None
        retried = replace(retried, start=position)
        self._notify(retried)
        return retried

    def _on_land(self, index: int, digests: Mapping[Algorithm, bytes], declared: PartDigest | None) -> Repaired | None:
        with self._lock:
            piece = self._pieces.pop(index)
        self._landed += piece.chunk.span.length
        self._job.note_served(piece)
        piece.land_elsewhere(digests, declared)
        repaired = self._job.land(piece)
        if repaired is not None:
            self._notify(repaired)
        return repaired

    # Its end ---------------------------------------------------------------------------------------------------

    def _take_back(self) -> None:
        """What the child held is begun anew by others."""
        with self._lock:
            self._is_gone = True
            pieces, self._pieces = self._pieces, {}
        if self._is_stopping:
            return  # what its workers have claimed in the end is of use to the next download
        if not self._is_dismissed:
            warn("fastget", "a process that shared the download %s", self._child.end)
        for _ in range(self._entered):
            self._job.task.store.gate.leave(None, is_served=False)
        # What it has received, and neither landed nor discarded, is lost.
        self._job.discard(self.report.received - self.report.discarded - self._landed)
        for piece in pieces.values():
            piece.restart()
            self._job.give_back(piece)
