"""The threads of one pass: started together, watched by the caller's thread, ended together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from fastget.engine.job import Job, Replan
from fastget.engine.worker import Worker
from fastget.errors import Cancelled

# Often enough for a moving bar, seldom enough to cost nothing.
TICK = 0.1
# A worker that is aborted comes back at once, unless it sits in the system's name resolution, which cannot be woken.
PATIENCE = 2.0


def run_crew(job: Job, workers: Sequence[Worker], on_tick: Callable[[], None], *, first_continues: bool) -> None:
    """Run the workers in threads until the job is over. `on_tick` is called in this thread, about ten times a second.

    Raises the job's error, Cancelled, or whatever the wait was interrupted by (KeyboardInterrupt); no worker's thread,
    connection or file access is left behind then.
    """
    threads = [
        threading.Thread(
            target=worker.run,
            kwargs={"continues_stream": first_continues and index == 0},
            name=f"fastget-{index}",
            daemon=True,
        )
        for index, worker in enumerate(workers)
    ]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not job.wait(TICK):
            on_tick()
    except BaseException:
        job.cancellation.cancel()
        raise
    finally:
        _join(threads, PATIENCE if job.cancellation.is_cancelled else None)
    on_tick()
    raise_outcome(job)


def run_inline(job: Job, worker: Worker, *, continues_stream: bool) -> None:
    """Run one worker in this thread: for an object so small that a thread would cost more than it brings."""
    worker.run(continues_stream=continues_stream)
    raise_outcome(job)


def raise_outcome(job: Job) -> None:
    """Raise what ended the job, if anything did."""
    if job.error is not None:
        raise job.error
    if job.has_succeeded:
        return
    if job.cancellation.is_cancelled:
        raise Cancelled("the transfer was stopped")
    # Every worker has left, because ranges are refused and the discovery stream is gone.
    raise Replan(stream=True)


def _join(threads: Sequence[threading.Thread], patience: float | None) -> None:
    for thread in threads:
        if thread.ident is not None:
            thread.join(patience)
