"""An object as an iterator: its bytes in order, fetched in parallel by threads of its own, as fast as they are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from fastget.config import Config
from fastget.engine.threads import PATIENCE, Thread
from fastget.errors import Cancelled
from fastget.sinks.handoff import Handoff
from fastget.sinks.stream import StreamSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.engine.cancellation import Cancellation
    from fastget.events import Result
    from fastget.sinks.protocol import Sink


class ObjectStream:
    """The bytes of an object, or of a slice, as read-only memoryviews in order; nothing is asked for before the first.

    Each view is valid until the next one is asked for, or until `close`: its memory is then used again, and the view
    raises ValueError. Copy (`bytes(view)`) what is to be kept. A reader that is slow makes the store wait, and costs no
    memory.

    The bytes are verified as they pass: where a digest does not hold, the iteration ends with ChecksumMismatch, after
    the last view at the latest, and what was read is to be thrown away. Raises the other errors of a download as well.

    A context manager. Leaving it, `close`, or letting go of it ends every thread and connection at once. One thread at
    a time may use it, of the process that has begun it: in a forked child it raises Cancelled.
    """

    def __init__(
        self,
        fetch: Callable[[Sink], Result],
        cancellation: Cancellation,
        on_end: Callable[[], None] = lambda: None,
        max_memory: int = Config.max_memory,
    ) -> None:
        """`fetch` brings the bytes into a sink, until `cancellation`; `on_end` is called once, after everything.

        `max_memory`: as in `Config`.
        """
        self._run = _Run(fetch, max_memory)
        self._cancellation = cancellation
        self._on_end: Callable[[], None] | None = on_end
        self._thread: Thread | None = None
        self._begun_in = 0
        self._is_closed = False

    @property
    def result(self) -> Result | None:
        """What a download would have returned, its verification above all; None before the end."""
        return self._run.result

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> memoryview:
        if self._is_closed:
            raise StopIteration
        if self._is_of_parent:
            raise Cancelled("this process was forked after the stream had begun", hint="open one in each process")
        try:
            if self._thread is None:
                self._begun_in = os.getpid()
                self._thread = Thread(self._run, "fastget-stream")
                self._thread.start()
            block = self._run.handoff.take()
        except BaseException:
            self.close()
            raise
        if block is not None:
            return block
        self.close()
        if self._run.error is not None:
            raise self._run.error
        raise StopIteration

    def close(self) -> None:
        """End it; what has not been read is dropped, and nothing more is verified. Safe to call more than once."""
        self._is_closed = True
        if self._is_of_parent:
            self._on_end = None
            return
        if self._run.result is None:
            self._cancellation.cancel()
            self._run.handoff.abort()
        self._run.handoff.give_back()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    @property
    def _is_of_parent(self) -> bool:
        """Whether its thread is in the process that this one was forked from, and so are those that use its sockets."""
        return self._begun_in not in (0, os.getpid())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        """Whoever breaks out of a loop over it lets go of it, and has no other way to end it."""
        if self.__dict__.get("_on_end") is not None:
            self.close()


class _Run:
    """The work of the thread. It does not know the stream, which could never be let go of otherwise."""

    def __init__(self, fetch: Callable[[Sink], Result], max_memory: int) -> None:
        self.handoff = Handoff()
        self._max_memory = max_memory
        self.result: Result | None = None
        self.error: BaseException | None = None
        self._fetch = fetch

    def __call__(self) -> None:
        try:
            self.result = self._fetch(StreamSink(self.handoff, max_memory=self._max_memory))
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            self.error = error
        finally:
            self.handoff.end()
