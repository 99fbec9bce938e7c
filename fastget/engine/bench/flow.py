"""One connection of a measurement: it asks for piece after piece, and keeps nothing but the times."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from fastget.buffers import shared_buffers
from fastget.config import Config
from fastget.core import retry
from fastget.core.ranges import Span
from fastget.core.validators import Accepted, Doubt, Expectation, judge, looser_pin
from fastget.engine.exchange.asking import ask
from fastget.errors import (
    Cancelled,
    FastgetError,
    ProtocolError,
    RangeNotSupported,
    SourceChanged,
    Throttled,
)
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.asking import Answered
    from fastget.engine.exchange.line import Line
    from fastget.sources.protocol import Source

Result = TypeVar("Result")

MOST_AT_ONCE, LEAST_AT_ONCE = 1024 * 1024, 8 * 1024
FIRST_AT_ONCE = 64 * 1024
# Reads become larger below the first and smaller above the second: so that what has come is counted soon, and a fast
# connection is not slowed down by its counting.
QUICK, SLOW = 0.005, 0.03
# The first request of a connection pays for the connection; its answer is this short.
GREETING = 1


@record
class Target:
    """What all connections fetch from: one version of one object, of `size` bytes."""

    source: Source
    info: ObjectInfo
    pin: Pin
    size: int
    retries: int
    max_memory: int = Config.max_memory

    @property
    def url(self) -> str:
        return self.source.display_url

    def proven(self, line: Line, cancellation: Cancellation) -> Target:
        """The same, after its first byte was asked for by range, in a form that the store accepts.

        Raises RangeNotSupported where the server ignores ranges, SourceChanged, and the error of a refusal.
        """
        return persist(lambda: self._proven(line), self.retries, cancellation, lambda _: line.drop())

    def _proven(self, line: Line) -> Target:
        span, target = Span(0, GREETING), self
        while True:
            answered = target.ask(line, span)
            if answered.error is None:
                break
            may = self.source.traits(self.info).may_refuse_its_etag
            looser = looser_pin(target.pin, answered.head.status, may_refuse_its_etag=may)
            if looser is None:
                raise answered.error
            target = replace(target, pin=looser)
        target.accept(answered, span)
        line.drop()
        return target

    def ask(self, line: Line, span: Span) -> Answered:
        return ask(line, self.source, lambda at: at.get(span=span, pin=self.pin))

    def accept(self, answered: Answered, span: Span) -> int:
        """The offset up to which the answer holds bytes of the span. Raises what doubt there is."""
        if answered.error is not None:
            raise answered.error
        traits = self.source.traits(self.info)
        verdict = judge(answered.head, Expectation(span, self.pin, full_status_ranges=traits.full_status_ranges))
        if isinstance(verdict, Accepted):
            return verdict.span.stop
        reason = self.source.without_secrets(verdict.reason)
        if verdict.doubt is Doubt.CHANGED:
            raise SourceChanged(
                f"{self.url} changed during the measurement: {reason}", hint="run it again", url=self.url
            )
        if verdict.doubt is Doubt.RANGE_IGNORED:
            raise RangeNotSupported(
                f"{self.url}: the server ignores ranges: one connection is all that a download has here",
                hint="there is nothing to compare",
                url=self.url,
            )
        raise ProtocolError(f"{self.url}: {reason}", url=self.url)


def persist(
    work: Callable[[], Result], retries: int, cancellation: Cancellation, failed: Callable[[FastgetError], None]
) -> Result:
    """What `work` returns; it is done again, after a wait, where that may help. `failed` is told of every failure."""
    attempt = 0
    while True:
        try:
            return work()
        except Cancelled:
            raise
        except FastgetError as error:
            failed(error)
            attempt += 1
            if not retry.is_transient(error) or attempt > retries:
                raise
            cancellation.wait(retry.delay_before(attempt, random.random(), error))


class Spans:
    """Pieces from the front of an object to its end, and from the front again. Safe in many threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0
        self._lock = threading.Lock()

    def next(self, length: int) -> Span:
        with self._lock:
            start = self._position if self._position < self._size else 0
            self._position = stop = min(start + length, self._size)
        return Span(start, stop)


class Allowance:
    """Bytes that `sharers` connections may receive together. Safe in many threads.

    `spent` is when the first of them got nothing any more.
    """

    def __init__(self, size: int, sharers: int) -> None:
        self.spent: float | None = None
        self._left = size
        self._sharers = sharers
        self._lock = threading.Lock()

    def take(self, most: int) -> int:
        """How many may be received now. None takes so much of what is left that others have to wait for it."""
        with self._lock:
            granted = min(most, self._left, max(self._left // self._sharers, LEAST_AT_ONCE))
            self._left -= granted
            if not granted and self.spent is None:
                self.spent = time.monotonic()
            return granted

    def give_back(self, count: int) -> None:
        with self._lock:
            self._left += count


class Spent(Exception):
    """Nothing is left of an allowance: the end of a measurement, and no error."""


class Flow:
    """Fetches pieces over one line until it is cancelled, or fails more often in a row than `target.retries`.

    It also ends, with its line, once nothing is left of `allowance`.

    For another thread to read at any time: `received` counts payload bytes, `waits` are the times at which a question
    went out and at which it was answered, `asked` is when the one that has no answer yet went out; `throttled` and
    `failed` are the times of answers and failures of those kinds; `error` is what ended it.
    """

    def __init__(
        self,
        target: Target,
        line: Line,
        next_span: Callable[[], Span],
        allowance: Allowance,
        cancellation: Cancellation,
    ) -> None:
        self.received = 0
        self.waits: list[tuple[float, float]] = []
        self.asked: float | None = None
        self.throttled: list[float] = []
        self.failed: list[float] = []
        self.error: BaseException | None = None
        self._target = target
        self._line = line
        self._next_span = next_span
        self._allowance = allowance
        self._cancellation = cancellation
        self._at_once = FIRST_AT_ONCE

    def run(self, ended: Callable[[], None]) -> None:
        """Work until the end; `ended` is then called where it was an error, or nothing is left to receive."""
        try:
            with shared_buffers(self._target.max_memory).lend(MOST_AT_ONCE) as lent, self._line:
                buffer = lent.view
                self._persist(lambda: self._greet(buffer))
                while True:
                    span = self._next_span()
                    self._persist(lambda span=span: self._fetch(span, buffer))  # type: ignore[misc]
        except Spent:
            ended()
        except Cancelled as error:
            if not self._cancellation.is_cancelled:
                self.error = error
        except BaseException as error:  # noqa: BLE001 - the measuring thread raises it
            self.error = error
        if self.error is not None:
            ended()

    def _persist(self, work: Callable[[], None]) -> None:
        persist(work, self._target.retries, self._cancellation, self._note)

    def _note(self, error: FastgetError) -> None:
        self._line.drop()
        self.asked = None
        (self.throttled if isinstance(error, Throttled) else self.failed).append(time.monotonic())

    def _greet(self, buffer: memoryview) -> None:
        span = Span(0, GREETING)
        self._receive(span.start, self._target.accept(self._target.ask(self._line, span), span), buffer)

    def _fetch(self, span: Span, buffer: memoryview) -> None:
        self.asked = asked = time.monotonic()
        answered = self._target.ask(self._line, span)
        if answered.error is None:
            self.waits.append((asked, time.monotonic()))
            self.asked = None
        self._receive(span.start, self._target.accept(answered, span), buffer)

    def _receive(self, start: int, stop: int, buffer: memoryview) -> None:
        left = stop - start
        while left > 0:
            began = time.monotonic()
            granted = self._allowance.take(min(left, self._at_once))
            if not granted:
                self._line.drop()
                raise Spent
            count = 0
            try:
                count = self._line.read_some(left, buffer[:granted])
            finally:
                self._allowance.give_back(granted - count)
            left -= count
            self.received += count
            self._pace(time.monotonic() - began)
        self._line.check_end()
        self._line.finish()

    def _pace(self, seconds: float) -> None:
        if seconds < QUICK:
            self._at_once = min(self._at_once * 2, MOST_AT_ONCE)
        elif seconds > SLOW:
            self._at_once = max(self._at_once // 2, LEAST_AT_ONCE)
