"""A slice of an object in memory, by the same workers as a whole one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core.planner import Chunk, Plan, plan_ranges, plan_stream
from fastget.core.ranges import Span
from fastget.engine.crew import Crew, governor_for
from fastget.engine.discovery import Discovery, Opening
from fastget.engine.job import Job, Replan, Tally, Task
from fastget.engine.line import ConnectionPool, Line
from fastget.engine.worker import Worker
from fastget.errors import NetworkError, RangeNotSupported, Unverifiable
from fastget.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastget.config import Config
    from fastget.core.checksums.algorithms import Algorithm
    from fastget.engine.cancellation import Cancellation
    from fastget.sources.protocol import Source


class PartialRead:
    """Reads a slice, once. Every answer is pinned to the ETag and the size that the object had at the start.

    A slice has no digest of its own: it is held to its length and to its version.
    """

    def __init__(self, source: Source, config: Config, pool: ConnectionPool, cancellation: Cancellation) -> None:
        self._source = source
        self._config = config
        self._pool = pool
        self._cancellation = cancellation

    def run(self, start: int, stop: int | None) -> bytes:
        """The bytes from `start` up to `stop` (None: the end); negative ones count from the end, as in a slice.

        Raises Unverifiable where a digest is required, RangeNotSupported where the server has no ranges or no size,
        and the errors of a download.
        """
        if self._config.require_verified or self._config.checksum:
            raise Unverifiable(
                f"{self._source.display_url}: a slice has no digest that it could be verified by",
                hint="read the whole object, or leave out checksum and require_verified",
                url=self._source.display_url,
            )
        with Line(self._pool, self._cancellation) as line:
            opening = Discovery(line, self._cancellation, self._config.retries, lambda _: None).readable(self._source)
        if opening.info.size is None:
            raise self._no_ranges("the server does not tell the object's size")
        first, last, _ = slice(start, stop).indices(opening.info.size)
        if last <= first:
            return b""
        try:
            return self._read(opening, Span(first, last))
        except Replan:
            if opening.info.pin.can_be_combined:
                raise self._no_ranges("the server ignores ranges") from None
            raise NetworkError(
                f"{self._source.display_url}: the answer broke off, and nothing ties a second one to the same version",
                hint="try again",
                url=self._source.display_url,
            ) from None

    def _read(self, opening: Opening, span: Span) -> bytes:
        sink = MemorySink()
        sink.open(span.length)
        task = Task(
            source=opening.source,
            info=opening.info,
            traits=opening.source.traits(opening.info),
            plan=_shifted(self._plan(opening, span.length), span.start),
            sink=sink,
            config=self._config,
            can_resume=opening.info.pin.can_be_combined,
            content_is_checked=False,
            in_order=True,
        )
        job = Job(task, _NoRecord(), (), Tally(), self._cancellation)

        def write(offset: int, data: memoryview) -> None:
            sink.write_at(offset - span.start, data)

        crew = Crew(
            job,
            governor_for(task.plan.connections, len(task.plan.chunks)),
            lambda number: Worker(job, Line(self._pool, self._cancellation), write, lambda _: None, number),
            lambda _: None,
        )
        if len(task.plan.chunks) == 1:
            crew.run_inline(first_continues=False)
        else:
            crew.run(first_continues=False)
        sink.publish(span.length)
        return sink.getvalue()

    def _plan(self, opening: Opening, length: int) -> Plan:
        """Several answers are put together only where something holds them together."""
        if not opening.info.pin.can_be_combined:
            return plan_stream(length)
        return plan_ranges(length, connections=self._config.connections)

    def _no_ranges(self, reason: str) -> RangeNotSupported:
        url = self._source.display_url
        return RangeNotSupported(f"{url}: no part of it can be read: {reason}", hint="read the whole object", url=url)


class _NoRecord:
    """A recorder for bytes that nothing is declared for."""

    def record(self, index: int, digests: Mapping[Algorithm, bytes]) -> bool:
        del index, digests
        return False


def _shifted(plan: Plan, start: int) -> Plan:
    chunks = tuple(Chunk(chunk.index, Span(chunk.span.start + start, chunk.span.stop + start)) for chunk in plan.chunks)
    return replace(plan, chunks=chunks)
