"""A child: the process that `launch` starts, from its first line to its last."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from fastget.engine.cancellation import Cancellation
from fastget.engine.children.channel import Channel
from fastget.engine.children.lifetime import check_parent, live_for
from fastget.engine.children.messages import Stop
from fastget.engine.exchange.line import Line
from fastget.engine.exchange.stores import Store
from fastget.engine.pieces.task import Tally, Task
from fastget.engine.processes.messages import Answer, Assignment, Given, Ready, Report
from fastget.engine.processes.remote import Office, RemoteGate, RemoteJob, RemoteSource
from fastget.engine.threads import Thread
from fastget.engine.workers.crew import Crew, governor_for
from fastget.engine.workers.worker import Worker
from fastget.errors import FastgetError
from fastget.sinks.lent import LentFile
from fastget.transport.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastget.events import Event


def main(sock: int, file: int, parent: int) -> NoReturn:
    """Work for process `parent`, over an open socket, into an open file, until it says that it is over, or is gone."""
    live_for(parent, lambda: _Child(socket.socket(fileno=sock), file, parent).run())


class _Child:
    """Receives, answers and works: one thread for each of the first two, and those of a crew."""

    def __init__(self, sock: socket.socket, file: int, parent: int) -> None:
        self._file = file
        self._parent = parent
        self._channel = Channel(sock, "child")
        self._office = Office(self._channel)
        self._cancellation = Cancellation()
        self._tally = Tally()
        self._is_over = threading.Event()

    def run(self) -> None:
        """Fetch what is given until told to stop; then say how it stood."""
        messages = self._channel.receive()
        assignment: Assignment = next(messages)
        pool = Pool(assignment.config)
        self._channel.open()
        job = RemoteJob(self._task(assignment), assignment, self._tally, self._office, self._cancellation)
        if assignment.home is not None:
            job.givers.home = pool.peer(*assignment.home)
        Thread(lambda: self._listen(messages, job), "fastget-listener").start()
        self._channel.post(Ready())
        with suppress(FastgetError):
            self._work(job, pool, assignment)
        job.report()
        self._is_over.wait()
        self._channel.close()

    def _task(self, assignment: Assignment) -> Task:
        store = Store(assignment.facts)
        store.gate = RemoteGate(self._office)
        return Task(
            source=RemoteSource(self._office, 0, assignment.display_url, assignment.traits),
            info=assignment.info,
            traits=assignment.traits,
            plan=assignment.plan,
            sink=LentFile(assignment.path, self._file, fsync=assignment.config.fsync),
            config=assignment.config,
            can_resume=assignment.can_resume,
            content_is_checked=assignment.content_is_checked,
            in_order=False,
            store=store,
        )

    def _listen(self, messages: Iterator[object], job: RemoteJob) -> None:
        for message in messages:
            if isinstance(message, Given):
                job.give(message)
            elif isinstance(message, Answer):
                self._office.answer(message)
            elif isinstance(message, Stop):
                self._office.close()
                self._cancellation.cancel()
                self._is_over.set()
        # The other end is gone: nothing may be written any more.
        os._exit(1)

    def _work(self, job: RemoteJob, pool: Pool, assignment: Assignment) -> None:
        plan = assignment.plan

        def recruit(number: int) -> Worker:
            return Worker(job, Line(pool, job.cancellation), job.task.sink.write_at, _say_nothing, number)

        def on_tick(_: Crew) -> None:
            check_parent(self._parent)
            job.report()

        governor = governor_for(plan.connections, len(plan.chunks), job.task.store.facts, assignment.processes)
        crew = Crew(job, governor, recruit, on_tick)
        job.counts = lambda: replace(self._counts(crew), claims=job.claims.taken())
        crew.run(first_continues=False)

    def _counts(self, crew: Crew) -> Report:
        return Report(
            crew.received,
            self._tally.discarded,
            sum(worker.line.requests for worker in crew.workers),
            crew.rescues,
            crew.size,
            _unanswered(crew.workers),
        )


def _unanswered(workers: Sequence[Worker]) -> float:
    """Seconds that the oldest request has been waiting; 0 where any was ever answered."""
    if any(worker.is_served for worker in workers):
        return 0.0
    now = time.monotonic()
    return max((now - sent for worker in workers if (sent := worker.line.sent) is not None), default=0.0)


def _say_nothing(event: Event) -> None:
    """What happens here is told by the process of the download."""
    del event
