"""Whether a pass is worth several processes; and what stands in their place where one does all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from fastget.config import LEAST_MEMORY
from fastget.core.governor import limit_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.engine.pieces.blocks import Claims
    from fastget.engine.pieces.job import Job
    from fastget.engine.processes.company import Company
    from fastget.events import Event
    from fastget.sinks.protocol import Sink

# Bytes for each process: with fewer of them, starting one takes longer than what it saves (docs/design/0007).
LEAST_SHARE = 64 * 1024 * 1024
# Of one process: a stream that lags is rescued by another one of the same process, and the first download stream needs
# a second one beside it to learn whether ranges are served.
LEAST_CONNECTIONS = 2


class Alone:
    """A company of one: see `Company`."""

    count = worked = 1
    received = requests = rescues = connections = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nobody else is there."""

    def look(self) -> None:
        """Nobody else is there."""


def company_for(
    job: Job,
    algorithms: Collection[Algorithm],
    sink: Sink,
    claims: Claims | None,
    block: int,
    missing: Collection[int] | None,
    notify: Callable[[Event], None],
) -> Alone | Company:
    """Who fetches the `missing` chunks of a job (None: all); `notify` may be called from any thread."""
    count = _count(job, sink, missing)
    if count < 2:
        return Alone()
    from fastget.engine.children.launch import can_launch
    from fastget.engine.processes.company import Company
    from fastget.sinks.file import FileSink

    if not isinstance(sink, FileSink) or not can_launch():
        return Alone()
    return Company(job, tuple(algorithms), sink, claims, block, count, notify)


def _count(job: Job, sink: Sink, missing: Collection[int] | None) -> int:
    """How many processes: as many as are wanted, with enough bytes and a connection for each of them."""
    config, plan = job.task.config, job.task.plan
    # A limit on the rate is one of this process: what it holds back needs no second one.
    processes = config.processes or 1
    if processes < 2 or config.limit_rate is not None or sink.path is None or not job.task.can_resume:
        return 1
    chunks = plan.chunks if missing is None else [plan.chunks[index] for index in missing]
    left = sum(chunk.span.length for chunk in chunks)
    connections = plan.connections or limit_for(job.task.store.facts)
    shares = left // LEAST_SHARE, len(chunks), connections // LEAST_CONNECTIONS, config.max_memory // LEAST_MEMORY
    return min(processes, *shares)
