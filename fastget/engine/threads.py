"""The engine's threads: daemons, and none of an executor's, which hold up, or fail at, the interpreter's end."""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from fastget.errors import NoThreadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Threads that are stopped come back at once, unless one sits in the system's name resolution, which cannot be woken.
PATIENCE = 2.0

# What Python's own words say of the cause, and what then helps.
_HINTS = {
    "daemon threads": "call it in the main interpreter: isolated ones have no daemon threads",
    "shutdown": "call it before the interpreter ends",
    "": "raise `ulimit -u`, or the limit on processes of the container or service",
}

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def usable_cores() -> int:
    """How many threads of this process may compute at once.

    A quota of its control group is none of it: that is counted over a tenth of a second, and governors look sooner.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Thread:
    """One run of `work`. Unlike that of the standard library it can be joined after an interrupt within `start`."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._has_ended = False
        # No Event: it holds a condition, which an interrupt within `join` might leave locked.
        # Taken by the first who waits for the end, and kept: whoever waits again goes by the flag.
        self._running = threading.Lock()
        self._running.acquire()
        self._name = name
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin the run. Raises NoThreadError where there are no more threads, or none at all."""
        try:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        except RuntimeError as error:
            # An interrupt may leave the standard library with a lock to release that it has not got; the thread runs.
            if error.__context__ is not None and not isinstance(error.__context__, Exception):
                raise error.__context__ from None
            self._thread = None
            hint = next(hint for word, hint in _HINTS.items() if word in str(error))
            raise NoThreadError(f"there is no thread to be had: {error}", hint=hint) from error

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def join(self, patience: float | None) -> None:
        """Wait for its end, at most `patience` seconds; not at all where it was never begun."""
        seconds = -1.0 if patience is None else patience
        if self._thread is not None and (self._has_ended or self._running.acquire(timeout=seconds)):
            self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._has_ended = True
            self._running.release()


def ask_each(
    ask: Callable[[Question], Answer], questions: Iterable[Question], at_once: int, name: str, stop: Callable[[], None]
) -> Iterator[tuple[Question, Answer]]:
    """Every question with its answer, in order, `at_once` asked side by side.

    What `ask` raises is raised here. Where the caller does not read to the end, or anything fails, `stop` is called,
    which must make every running `ask` return or raise; no thread is left behind.
    """
    wanted = list(questions)
    left = iter(range(len(wanted)))
    turn = threading.Lock()  # an iterator may be asked by one thread at a time
    answers: SimpleQueue[tuple[int, Answer] | BaseException] = SimpleQueue()

    def next_index() -> int | None:
        with turn:
            return next(left, None)

    def work() -> None:
        try:
            while (index := next_index()) is not None:
                answers.put((index, ask(wanted[index])))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            answers.put(error)

    threads = [Thread(work, f"{name}-{number}") for number in range(1, min(at_once, len(wanted)) + 1)]
    try:
        for thread in threads:
            thread.start()
        yield from _in_order(wanted, answers)
    except BaseException:
        stop()
        raise
    finally:
        for thread in threads:
            thread.join(PATIENCE)


def _in_order(
    questions: list[Question], answers: SimpleQueue[tuple[int, Answer] | BaseException]
) -> Iterator[tuple[Question, Answer]]:
    early: dict[int, Answer] = {}
    for index, question in enumerate(questions):
        while index not in early:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            early[answer[0]] = answer[1]
        yield question, early.pop(index)
