"""Many ranges of one object, in as few requests as pay, straight into the memory where each belongs."""

from __future__ import annotations

from contextlib import suppress
from operator import index
from typing import TYPE_CHECKING, Any, TypeGuard

from fastget.core.coalesce import Fetch, coalesce
from fastget.core.planner import plan_spans
from fastget.core.ranges import MAXIMUM_SIZE, Span
from fastget.engine.reading.range_pass import RangePass
from fastget.errors import ConfigError, RangeNotSupported
from fastget.sinks.memory import allocate, as_bytes
from fastget.sinks.scattered import ScatteredSink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from _typeshed import WriteableBuffer

    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.engine.exchange.stores import Store
    from fastget.sources.protocol import Source


def spans_of(ranges: Iterable[tuple[int, int]]) -> list[Span]:
    """The ranges as spans. Raises ConfigError for one that is none."""
    spans = []
    for number, given in enumerate(_iterated(ranges, "the ranges are", "give a list of (start, stop)")):
        try:
            start, stop = map(index, given)
        except (TypeError, ValueError):
            raise ConfigError(f"range {number} is not two whole numbers", hint="give (start, stop)") from None
        if not 0 <= start <= stop <= MAXIMUM_SIZE:
            raise ConfigError(
                f"range {number} is ({start}, {stop}), which is no range of an object",
                hint="give (start, stop) with 0 <= start <= stop; read() counts from the end",
            )
        spans.append(Span(start, stop))
    return spans


def _iterated(given: Any, what: str, hint: str) -> Iterator[Any]:
    try:
        return iter(given)
    except TypeError:
        raise ConfigError(f"{what} no list, but one of type {type(given).__qualname__}", hint=hint) from None


def memories_in(into: WriteableBuffer | Sequence[WriteableBuffer], spans: Sequence[Span]) -> list[memoryview]:
    """Memory for each span, in bytes: of the caller's buffer one after another, or each its own.

    Raises ConfigError for buffers that are too few, too small or not writable.
    """
    if _is_buffer(into):
        return _consecutive(spans, as_bytes(into))
    hint = "give writable memory, or a list with some for each range"
    return _separate(spans, list(_iterated(into, "into is no buffer and", hint)))


def _is_buffer(given: object) -> TypeGuard[WriteableBuffer]:
    """Whether it is one, of whatever use."""
    try:
        with suppress(ValueError, BufferError):
            memoryview(given)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def new_memories(spans: Sequence[Span]) -> list[memoryview]:
    """Memory for each span, in bytes, one after another in one new block. Raises NoSpace without memory."""
    return _consecutive(spans, allocate(sum(span.length for span in spans)))


def _consecutive(spans: Sequence[Span], block: memoryview) -> list[memoryview]:
    memories, position = [], 0
    for span in spans:
        memories.append(block[position : position + span.length])
        position += span.length
    if position > len(block):
        raise ConfigError(
            f"the ranges have {position} bytes, the buffer {len(block)}", hint="give a buffer for all of them"
        )
    return memories


def _separate(spans: Sequence[Span], buffers: Sequence[WriteableBuffer]) -> list[memoryview]:
    if len(buffers) != len(spans):
        raise ConfigError(
            f"there are {len(spans)} ranges and {len(buffers)} buffers",
            hint="give a buffer for each, or one that takes them one after another",
        )
    memories = []
    for number, (span, buffer) in enumerate(zip(spans, buffers, strict=True)):
        memory = as_bytes(buffer)
        if len(memory) < span.length:
            raise ConfigError(f"range {number} has {span.length} bytes, its buffer {len(memory)}")
        memories.append(memory[: span.length])
    return memories


class ScatteredRead:
    """Reads ranges, once; all of one version of the object.

    The first request is for the first of them, and its answer tells what the others are pinned to.
    """

    def __init__(
        self, source: Source, config: Config, pool: ConnectionPool, cancellation: Cancellation, store: Store
    ) -> None:
        self._source = source
        self._config = config
        self._pass = RangePass(source, config, pool, cancellation, store)

    def run(
        self, ranges: Iterable[tuple[int, int]], into: WriteableBuffer | Sequence[WriteableBuffer] | None
    ) -> list[memoryview]:
        """The bytes of every (start, stop), in the caller's memory (`memories_in`), or in new one.

        Raises ConfigError for ranges and buffers that do not fit, Unverifiable where a digest is required,
        RangeNotSupported for a range beyond the object's end and where the server has no ranges or no size, and the
        errors of a download. What the memories hold then is undefined.
        """
        spans = spans_of(ranges)
        memories = None if into is None else memories_in(into, spans)
        fetches = coalesce(spans)
        with self._pass:
            self._pass.check_options()
            if not fetches:
                return memories or new_memories(spans)
            info, size = self._pass.begin(fetches[0].span)
            self._check(spans, size)
            # New memory only now: what goes beyond the end of the object may be more than there is.
            memories = memories or new_memories(spans)
            self._fill(spans, memories, self._held_together(fetches, info))
        return memories

    def _fill(self, spans: Sequence[Span], memories: Sequence[memoryview], fetches: list[Fetch]) -> None:
        sink = ScatteredSink(spans, memories, fetches, self._config.max_memory)
        try:
            plan = plan_spans((fetch.span for fetch in fetches), self._config.connections)
            self._pass.run(plan, sink, sink.window)
            sink.publish(sum(fetch.span.length for fetch in fetches))
        finally:
            sink.discard()

    def _check(self, spans: Sequence[Span], size: int) -> None:
        for number, span in enumerate(spans):
            if span.stop > size:
                url = self._source.display_url
                raise RangeNotSupported(
                    f"{url}: range {number}, ({span.start}, {span.stop}), goes beyond the end: it has {size} bytes",
                    hint="ask for ranges within the object; head() tells its size",
                    url=url,
                )

    @staticmethod
    def _held_together(fetches: list[Fetch], info: ObjectInfo) -> list[Fetch]:
        """One request for all where no strong ETag and no version ties several answers to each other."""
        if info.pin.can_be_combined or len(fetches) == 1:
            return fetches
        members = tuple(member for fetch in fetches for member in fetch.members)
        return [Fetch(Span(fetches[0].span.start, fetches[-1].span.stop), members)]
