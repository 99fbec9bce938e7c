"""What fastget does with an object by itself: how many connections it takes, and what they bring."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from fastget.buffers import shared_buffers
from fastget.core import retry
from fastget.core.planner import plan_ranges, plan_spans
from fastget.core.ranges import Span
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.stores import Store
from fastget.engine.reading.range_pass import RangePass
from fastget.engine.workers.reception import LARGE_BUFFER
from fastget.errors import Cancelled, FastgetError
from fastget.sinks.memory import MemorySink

if TYPE_CHECKING:
    from fastget.buffers import Buffer
    from fastget.config import Config
    from fastget.engine.bench.flow import Target
    from fastget.engine.exchange.line import ConnectionPool

# The share of the time that is measured, at its end: before it the number of connections was looked for.
SETTLED = 0.5


class ByItself(NamedTuple):
    """`rate` in bytes a second once it had settled, `seconds` of the whole look."""

    connections: int
    rate: float
    seconds: float


def by_itself(
    target: Target, config: Config, pool: ConnectionPool, cancellation: Cancellation, seconds: float, most_bytes: int
) -> ByItself | None:
    """Fetch the object to nowhere, as a download would but for its digests, for a moment.

    None where too little came to tell by, or where it failed in a way that may pass. Raises other errors.
    """
    scope = Cancellation()
    cancellation.add(scope)
    alarm = threading.Timer(seconds, scope.cancel)
    alarm.start()
    try:
        return _Look(target, config.merged(connections=None, part_size=None), pool, scope).run(most_bytes)
    except Cancelled:
        cancellation.check()
        return None
    except FastgetError as error:
        if not retry.is_transient(error):
            raise
        return None
    finally:
        alarm.cancel()
        alarm.join()
        scope.cancel()
        cancellation.remove(scope)


class _Look:
    """One pass; every worker receives again and again into the same memory."""

    def __init__(self, target: Target, config: Config, pool: ConnectionPool, scope: Cancellation) -> None:
        self._target = target
        self._scope = scope
        self._pass = RangePass(target.source, config, pool, scope, Store())
        self._buffers = shared_buffers(config.max_memory)
        self._own = threading.local()
        self._lent: list[Buffer] = []
        self._reads: list[tuple[float, int]] = []

    def run(self, most_bytes: int) -> ByItself | None:
        spans = _spans(self._target.size, most_bytes)
        with self._pass:
            self._pass.begin(spans[0])
            began = time.monotonic()
            try:
                self._pass.run(plan_spans(spans, None), MemorySink(), self._window)
            except Cancelled:
                if not self._scope.is_cancelled:
                    raise
            finally:
                for lent in self._lent:
                    lent.close()
            ended = time.monotonic()
        since = began + (ended - began) * SETTLED
        received = sum(length for at, length in self._reads if since <= at < ended)
        rate = received / (ended - since) if ended > since else 0.0
        return ByItself(self._pass.connections, rate, ended - began) if rate else None

    def _window(self, _: int, length: int) -> memoryview:
        """The memory of this thread; what was asked for before has been received."""
        memory: memoryview | None = getattr(self._own, "memory", None)
        if memory is None:
            lent = self._buffers.lend(LARGE_BUFFER)
            self._lent.append(lent)
            memory = self._own.memory = lent.view
        self._reads.append((time.monotonic(), min(length, len(memory))))
        return memory[:length]


def _spans(size: int, most_bytes: int) -> list[Span]:
    """The chunks that a download would have, as many as the bytes allow; the last one may be cut short."""
    kept: list[Span] = []
    left = most_bytes
    for chunk in plan_ranges(size).chunks:
        start, length = chunk.span.start, min(chunk.span.length, left)
        kept.append(Span(start, start + length))
        left -= length
        if left <= 0:
            break
    return kept
