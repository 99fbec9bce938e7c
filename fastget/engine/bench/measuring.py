"""One measurement: so many connections fetch from one object for a moment, and all of them are ended again."""

from __future__ import annotations

import threading
import time
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING

from fastget.core.bottleneck import Window
from fastget.core.retry import is_transient
from fastget.engine.bench.flow import GREETING, Allowance, Flow, Spans
from fastget.engine.bench.machine import Load
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.line import Line
from fastget.engine.threads import PATIENCE, Thread
from fastget.errors import FastgetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastget.core.ranges import Span
    from fastget.core.sweep import Setting
    from fastget.engine.bench.flow import Target
    from fastget.engine.exchange.line import ConnectionPool

# How often the measuring thread looks.
LOOK = 0.01
# The clock starts once all connections deliver, or after this share of a window's seconds.
SETTLING = 0.5


class Measuring:
    """Makes windows of so many `seconds`; what comes before the clock of one is started takes no longer than it.

    `received` counts every byte so far.
    """

    def __init__(self, target: Target, pool: ConnectionPool, cancellation: Cancellation, seconds: float) -> None:
        self.received = 0
        self._target = target
        self._pool = pool
        self._cancellation = cancellation
        self._seconds = seconds
        self._spans = Spans(target.size)

    def measure(self, setting: Setting, most_bytes: int) -> Window:
        """One window, with what comes before it no more than `most_bytes`.

        Raises the error of a connection where it is final, or where all have failed; Cancelled.
        """
        scope = Cancellation()
        self._cancellation.add(scope)
        try:
            run = _Run(self, setting, Allowance(most_bytes, setting.connections), scope)
            try:
                return run.window(self._seconds)
            finally:
                scope.cancel()
                run.join()
                self.received += run.received
        finally:
            self._cancellation.remove(scope)

    def flows(self, setting: Setting, allowance: Allowance, scope: Cancellation) -> Iterator[Flow]:
        for number in range(setting.connections):
            pieces = self._pieces(setting.part_size, (number + 0.5) / setting.connections)
            yield Flow(self._target, Line(self._pool, scope), pieces, allowance, scope)

    def _pieces(self, size: int, share: float) -> Callable[[], Span]:
        """Pieces of one connection; the first is cut to a share, so that connections do not all ask at one moment."""
        sizes = chain((max(1, int(size * share)),), repeat(size))
        return lambda: self._spans.next(next(sizes))


class _Run:
    """The connections of one window and their threads."""

    def __init__(self, measuring: Measuring, setting: Setting, allowance: Allowance, scope: Cancellation) -> None:
        self._setting = setting
        self._allowance = allowance
        self._scope = scope
        self._ended = threading.Event()
        self._flows = list(measuring.flows(setting, allowance, scope))
        self._threads = [
            Thread(partial(flow.run, self._ended.set), f"fastget-bench-{number}")
            for number, flow in enumerate(self._flows)
        ]
        self._started: list[Thread] = []

    @property
    def received(self) -> int:
        return sum(flow.received for flow in self._flows)

    def window(self, seconds: float) -> Window:
        began, load, before = time.monotonic(), Load.now(), [0] * len(self._flows)
        for thread in self._threads:
            thread.start()
            self._started.append(thread)
        self._wait(seconds * SETTLING, until_all_flow=True)
        # Where all is spent already, the beginning was the measurement.
        if self._allowance.spent is None:
            began, load, before = time.monotonic(), Load.now(), [flow.received for flow in self._flows]
        self._wait(seconds)
        ended, last, after = time.monotonic(), Load.now(), [flow.received for flow in self._flows]
        if self._allowance.spent is not None:
            ended = max(began, self._allowance.spent)
        received = [late - early for early, late in zip(before, after, strict=True)]
        return Window(
            connections=self._setting.connections,
            part_size=self._setting.part_size,
            seconds=ended - began,
            received=sum(received),
            first_bytes=tuple(
                answered - asked for flow in self._flows for asked, answered in flow.waits[:] if answered <= ended
            ),
            waiting=sum(_waited(flow, began, ended) for flow in self._flows),
            throttled=sum(moment <= ended for flow in self._flows for moment in flow.throttled[:]),
            failed=sum(moment <= ended for flow in self._flows for moment in flow.failed[:]),
            flows=tuple(received),
            processor=last.processor - load.processor,
            user=last.user - load.user,
            machine=last.machine_since(load),
        )

    def join(self) -> None:
        for thread in self._started:
            thread.join(PATIENCE)

    def _wait(self, seconds: float, *, until_all_flow: bool = False) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self._allowance.spent is None:
            if until_all_flow and all(flow.received > GREETING for flow in self._flows):
                return
            if self._ended.wait(min(left, LOOK)):
                self._ended.clear()
                self._check()
            self._scope.check()

    def _check(self) -> None:
        """Raise what no further try can help, and what has ended every connection."""
        errors = [flow.error for flow in self._flows if flow.error is not None]
        final = [error for error in errors if not _may_pass(error)]
        if final or len(errors) == len(self._flows):
            raise (final or errors)[0]


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, FastgetError) and is_transient(error)


def _waited(flow: Flow, began: float, ended: float) -> float:
    """Seconds within the window in which the flow waited for an answer, one that has not come yet included."""
    spans = list(flow.waits)
    if (asked := flow.asked) is not None:
        spans.append((asked, ended))
    return sum(max(0.0, min(answered, ended) - max(asked, began)) for asked, answered in spans)
