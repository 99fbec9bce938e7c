"""The children of one pass: how many, from its start to their end."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from fastget.buffers import shared_buffers
from fastget.config import LEAST_MEMORY
from fastget.core.messages import Headers
from fastget.engine.children.launch import launch
from fastget.engine.children.portion import share_of, without_secrets
from fastget.engine.children.process import end_all
from fastget.engine.processes.attendant import Attendant
from fastget.engine.processes.messages import Assignment
from fastget.warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.buffers import Buffer
    from fastget.core.checksums.algorithms import Algorithm
    from fastget.engine.pieces.blocks import Claims
    from fastget.engine.pieces.job import Job
    from fastget.events import Event
    from fastget.sinks.file import FileSink

# What a child runs.
_CHILD = "fastget.engine.processes.child"


class Company:
    """Use it as a context manager, in the thread of the download: the children live as long as its block.

    `count` counts the processes that share the work, the one of the download among them.
    """

    def __init__(
        self,
        job: Job,
        algorithms: tuple[Algorithm, ...],
        sink: FileSink,
        claims: Claims | None,
        block: int,
        count: int,
        notify: Callable[[Event], None],
    ) -> None:
        self.count = count
        self._job = job
        self._algorithms = algorithms
        self._sink = sink
        self._claims = claims
        self._block = block
        self._notify = notify
        self._attendants: list[Attendant] = []
        # How many bytes there were when it last were more, and when that was.
        self._seen, self._flowed = 0, time.monotonic()
        # Each process has an equal share of the memory: that of a child is lent here, and never touched.
        config = job.task.config
        self._memory = max(LEAST_MEMORY, 1 << (config.max_memory // count).bit_length() - 1)
        self._buffers = shared_buffers(config.max_memory)
        self._lent: list[Buffer] = []

    def __enter__(self) -> Self:
        try:
            for number in range(1, self.count):
                if not self._add(number):
                    break
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def look(self) -> None:
        """Give what there is to give, and end children that hang, or are left waiting. A few times a second."""
        task, received, now = self._job.task, self._job.tally.received, time.monotonic()
        if received > self._seen:
            self._seen, self._flowed = received, now
        for attendant in self._attendants:
            attendant.look(task.config.stall_timeout)
            attendant.dismiss_unserved(now - self._flowed, task.store.facts.wait or 0.0)

    @property
    def received(self) -> int:
        """Payload bytes of the children."""
        return sum(attendant.report.received for attendant in self._attendants)

    @property
    def requests(self) -> int:
        return sum(attendant.report.requests for attendant in self._attendants)

    @property
    def rescues(self) -> int:
        return sum(attendant.report.rescues for attendant in self._attendants)

    @property
    def connections(self) -> int:
        return sum(attendant.report.connections for attendant in self._attendants)

    @property
    def worked(self) -> int:
        """How many processes have had a share of the work."""
        return 1 + sum(attendant.has_worked for attendant in self._attendants)

    def _add(self, number: int) -> bool:
        """Start one more child; False where it gets no memory, or the system does not allow it."""
        if (lent := self._buffers.spare(self._memory)) is None:
            return False
        self._lent.append(lent)
        try:
            with self._sink.lend() as descriptor:
                launched = launch(descriptor, _CHILD)
            attendant = Attendant(launched, number, self._job, self._claims, self._notify)
            attendant.start(self._assignment())
        except (OSError, RuntimeError) as error:
            warn("fastget", "no more processes can be started: %s", error)
            return False
        self._attendants.append(attendant)
        return True

    def _assignment(self) -> Assignment:
        task, home = self._job.task, self._job.givers.home
        return Assignment(
            config=without_secrets(task.config).merged(max_memory=self._memory),
            display_url=task.source.display_url,
            path=self._sink.path,
            info=replace(task.info, headers=Headers()),
            traits=task.traits,
            facts=task.store.facts,
            plan=replace(task.plan, layout=None, connections=share_of(task.plan.connections, self.count)),
            can_resume=task.can_resume,
            content_is_checked=task.content_is_checked,
            algorithms=self._algorithms,
            block=self._block,
            processes=self.count,
            home=None if home is None else (home.host.name, home.host.port, home.address),
        )

    def _end(self) -> None:
        try:
            end_all(self._attendants)
        finally:
            for lent in self._lent:
                lent.close()
