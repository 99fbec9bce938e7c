"""A child, seen from the process that it works for: the line to it, whether it still lives, and its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from fastget.engine.children.channel import Channel
from fastget.engine.threads import PATIENCE, Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastget.engine.children.launch import Launched

# What is counted of the time between two looks: a process that was stopped itself has not waited for its children.
_LONGEST_LOOK = 1.0
# Seconds that a child may take to come up on a busy machine, whatever the options call a stall.
_LEAST_PATIENCE = 5.0


class Attended(Protocol):
    """A child and whoever attends to it."""

    def stop(self) -> None: ...

    def join(self, patience: float) -> None: ...


def end_all(children: Sequence[Attended]) -> None:
    """Ask all of them to end, and see to it that they do; at once after an interrupt."""
    for child in children:
        child.stop()
    try:
        for child in children:
            child.join(PATIENCE)
    except BaseException:
        for child in children:
            child.join(0)
        raise


class ChildProcess:
    """Attended to by a thread of its own, which runs `attend` and reads `messages`, until the child is gone.

    `post` is for any thread, `look`, `join` and what starts and ends it for one.
    """

    def __init__(self, launched: Launched, name: str, attend: Callable[[], None]) -> None:
        self._process = launched.process
        self._channel = Channel(launched.sock, name)
        self.post = self._channel.post
        self._looked = self._silent = 0.0
        self._is_given_up = False
        self._thread = Thread(attend, f"fastget-{name}")

    @property
    def end(self) -> str:
        """How it has ended before its time, in words that follow its name."""
        if self._is_given_up:
            return "was ended, as nothing came through it"
        return f"has ended early (status {self._process.returncode})"

    def start(self, first: object) -> None:
        """Tell it the first thing, and begin to attend to it.

        Raises RuntimeError where the system gives no more threads; the child is gone then.
        """
        self._looked = time.monotonic()
        try:
            self._channel.open()
            self._channel.post(first)
            self._thread.start()
        except BaseException:
            self.bury()
            raise

    def look(self, patience: float) -> float:
        """End it where it is silent for `patience` seconds, or has died unnoticed; the seconds since the last look."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LONGEST_LOOK), now
        self._silent += passed
        if self._silent > max(patience, _LEAST_PATIENCE):
            self.kill()
        if self._process.poll() is not None:
            self._channel.shut()  # a process that was forked from this one may hold the other end
        return passed

    def messages(self) -> Iterator[object]:
        """What it says, until it is gone."""
        for message in self._channel.receive():
            self._silent = 0.0
            yield message

    def kill(self) -> None:
        """End it, as nothing comes through it."""
        self._is_given_up = self._is_given_up or self._process.poll() is None
        self._process.kill()

    def bury(self) -> None:
        """See to it that it does nothing more: its process has ended after this."""
        self._process.kill()
        self._process.wait()
        self._channel.shut()
        self._channel.close()

    def has_ended(self, patience: float) -> bool:
        """Whether it and the thread are gone, within so many seconds."""
        self._thread.join(patience)
        return not self._thread.is_alive

    def join(self, patience: float) -> None:
        """Wait for its end, and bring it about after `patience` seconds, or an interrupt."""
        try:
            self._thread.join(patience)
        finally:
            self._process.kill()
            self._process.wait()
            self._thread.join(PATIENCE)
