"""A slice of an object, in memory or in order, by the same workers as a whole one."""

from __future__ import annotations

import operator
import time
from typing import TYPE_CHECKING, cast

from fastget.core.planner import SMALLEST_CHUNK, Plan, plan_ranges, plan_spans
from fastget.core.ranges import MAXIMUM_SIZE, Span
from fastget.engine.discovery.preparing import ORDERED_CHUNK
from fastget.engine.reading.range_pass import RangePass
from fastget.errors import ConfigError
from fastget.events import Method, Result, Verification
from fastget.sinks.memory import MemorySink

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.engine.exchange.stores import Store
    from fastget.sinks.memory import BufferSink
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source

NO_DIGEST = "a slice has no digest of its own: its length and the object's version were compared"


class SliceRead:
    """Reads a slice, once. Every answer is pinned to the ETag and the size that the object had at the start.

    Where the slice begins is known of all but those that count from the end: then the first request is for its
    beginning, and the answer tells the rest.
    """

    def __init__(
        self, source: Source, config: Config, pool: ConnectionPool, cancellation: Cancellation, store: Store
    ) -> None:
        self._source = source
        self._config = config
        self._cancellation = cancellation
        self._pass = RangePass(source, config, pool, cancellation, store)

    def run(self, start: int | None, stop: int | None) -> bytes:
        """The bytes from `start` up to `stop` (None: the ends); negative ones count from the end, as in a slice.

        Raises Unverifiable where a digest is required, RangeNotSupported where the server has no ranges or no size,
        and the errors of a download.
        """
        sink = MemorySink()
        with self._pass:
            info, span = self._locate(start, stop)
            self._read(info, span, sink)
        return sink.taken()

    def run_into(self, sink: BufferSink, start: int) -> Result:
        """The bytes from `start` on that fill the buffer, or those up to the object's end. Raises as `run`."""
        began, length = time.monotonic(), sink.length
        start = whole_number(start)  # one of numpy's may have no room for a sum
        with self._pass:
            info, found = self._locate(start, start + length if start >= 0 else None)
            span = Span(found.start, min(found.stop, found.start + length))
            split = self._read(info, span, sink)
        return self._result(info, span, split, began)

    def run_in_order(self, sink: Sink, start: int | None, stop: int | None) -> Result:
        """The bytes as `run` has them, into a sink that keeps order. Raises as `run`, and what the sink raises."""
        began = time.monotonic()
        self._cancellation.add(sink)
        with self._pass:
            info, span = self._locate(start, stop)
            plan = self._plan(info, span, ORDERED_CHUNK)
            sink.open(span.length)
            if plan.chunks:
                self._pass.run_in_order(plan, sink, span.start)
            sink.publish(span.length)
        return self._result(info, span, plan.split, began)

    def _result(self, info: ObjectInfo, span: Span, split: str, began: float) -> Result:
        tally = self._pass.tally
        return Result(
            url=self._source.display_url,
            path=None,
            size=span.length,
            etag=info.etag,
            version_id=info.version_id,
            seconds=time.monotonic() - began,
            bytes_received=tally.received,
            bytes_resumed=0,
            requests=tally.requests,
            retries=tally.retries,
            rescues=tally.rescues,
            repairs=0,
            connections=self._pass.connections,
            split=split,
            verification=Verification(verified=False, method=Method.SIZE, reason=NO_DIGEST),
        )

    def _locate(self, start: int | None, stop: int | None) -> tuple[ObjectInfo, Span]:
        """The object's facts, and where the slice lies in it."""
        self._pass.check_options()
        start, stop = 0 if start is None else whole_number(start), None if stop is None else whole_number(stop)
        end = MAXIMUM_SIZE if stop is None else min(stop, MAXIMUM_SIZE)
        if 0 <= start < end:
            info, size = self._pass.begin(Span(start, min(end, start + SMALLEST_CHUNK)))
        else:
            info, size = self._pass.ask()
        first, last, _ = slice(start, stop).indices(size)
        return info, Span(first, max(first, last))

    def _read(self, info: ObjectInfo, span: Span, sink: MemorySink | BufferSink) -> str:
        """Fetch the slice; returns how it was split."""
        sink.open(span.length)
        plan = self._plan(info, span)

        def window(offset: int, length: int) -> memoryview:
            found = sink.window(offset - span.start, length)
            if found is None:
                raise RuntimeError("the memory of a slice does not move")
            return found

        if plan.chunks:
            self._pass.run(plan, sink, window)
        sink.publish(span.length)
        return plan.split

    def _plan(self, info: ObjectInfo, span: Span, maximum_chunk: int | None = None) -> Plan:
        """The first chunk is what the first request has asked for. Several answers are put together only where
        something holds them together.
        """
        if not span.length:
            return plan_spans((), 1)
        if not info.pin.can_be_combined:
            return plan_spans((span,), 1)
        first = Span(span.start, min(span.stop, span.start + SMALLEST_CHUNK))
        rest = plan_ranges(span.stop - first.stop, connections=self._config.connections, maximum_chunk=maximum_chunk)
        spans = (chunk.span for chunk in rest.chunks if chunk.span.length)
        others = (Span(first.stop + one.start, first.stop + one.stop) for one in spans)
        return plan_spans((first, *others), self._config.connections)


def is_whole(start: int | None, stop: int | None) -> bool:
    """Whether this slice is all of an object, which is then verified. Raises ConfigError for what is no number."""
    return stop is None and (start is None or whole_number(start) == 0)


def whole_number(value: object) -> int:
    """An end of a slice, numpy's integers too. Raises ConfigError."""
    try:
        return operator.index(cast("int", value))
    except TypeError as error:
        raise ConfigError(
            f"a slice begins and ends at a whole number, not at {value!r}", hint="start and stop count bytes"
        ) from error
