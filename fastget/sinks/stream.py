"""Bytes that leave in order, through a pipe, a device or a caller's writer."""

from __future__ import annotations

import os
from contextlib import suppress
from os import PathLike

from fastget.buffers import Buffer, shared_buffers
from fastget.config import MIB, Config
from fastget.errors import Cancelled, DestinationError
from fastget.interrupts import lock_and_condition
from fastget.sinks.failures import destination_error
from fastget.sinks.handoff import Handoff
from fastget.sinks.outlet import DescriptorOutlet, Outlet, RawWriter, WriterOutlet
from fastget.sinks.protocol import HeldUp

_STANDARD_OUTPUT = 1


class StreamSink:
    """Sends bytes on in order, and holds those that came too early.

    `target` is a descriptor or a writer, which are the caller's and stay open, the path of a pipe or device,
    which is opened here, or a Handoff to another thread. `name` is what a descriptor was given as, for people.
    Bytes at the front go straight from the worker's buffer into the target.
    Bytes ahead of it are copied, since the worker's buffer is filled again as soon as `write_at` returns;
    that one copy buys connections that go on while an earlier piece is late. The copies have at most `window`
    bytes together, and are in buffers of the pool with the bound `max_memory`; where neither has room, writers wait.
    The writer at the front never waits for room, so the front always moves as long as some thread is free to fetch
    it: pieces have to be handed out in order.

    What has left cannot be taken back: `discard` only stops.
    """

    is_seekable = False
    resumable = None

    def __init__(
        self,
        target: int | str | PathLike[str] | RawWriter | Handoff,
        *,
        name: str | None = None,
        window: int = 16 * MIB,
        max_memory: int = Config.max_memory,
    ) -> None:
        self._path = name
        self._shown = "the stream"
        self._outlet: Outlet
        if isinstance(target, int):
            unnamed = "standard output" if target == _STANDARD_OUTPUT else f"file descriptor {target}"
            self._shown = name or unnamed
            self._outlet = DescriptorOutlet(target)
        elif isinstance(target, str | PathLike):
            self._path = self._shown = os.fsdecode(target)
            self._outlet = DescriptorOutlet(self._path)
        else:
            self._outlet = target if isinstance(target, Handoff) else WriterOutlet(target)
        self._window = window
        self._lock, self._turn = lock_and_condition()
        self._front = 0
        self._sending = False
        self._buffers = shared_buffers(max_memory)
        self._ahead: dict[int, tuple[Buffer, int]] = {}
        self._held = 0
        self._waiting: set[int] = set()
        self._recalled: set[int] = set()
        self._open = False
        self._aborted = False
        self._broken: BaseException | None = None

    @property
    def path(self) -> str | None:
        """The path of the pipe or device, None for a writer, or a descriptor that was given by no name."""
        return self._path

    def check(self) -> None:
        """Refuse a target that cannot be written. Raises DestinationError."""
        try:
            self._outlet.check()
        except OSError as error:
            raise self._failure(error) from error

    def open(self, size: int | None) -> None:  # noqa: ARG002  a stream needs no room
        """Open the target; no room is needed. Raises DestinationError, Cancelled after `abort`."""
        if self._open:
            raise DestinationError("the stream is already being written by this transfer", path=self._path)
        try:
            self._outlet.open()
        except OSError as error:
            self.discard()
            raise destination_error(error, "open", self._path) from error
        self._open = True

    def write_at(self, offset: int, data: memoryview) -> None:
        """Send `data` in its turn: at once at the front, from a copy where there is room, else after a wait.

        Raises NoSpace, DestinationError (its cause a BrokenPipeError when the reader has gone), Cancelled.
        """
        if data and self._is_first(offset, data):
            self._send(data)

    def read_at(self, offset: int, buffer: memoryview) -> int:  # noqa: ARG002  the contract's names
        """Raises DestinationError: what has left cannot be read back."""
        raise DestinationError("a stream cannot be read back", path=self._path)

    def publish(self, size: int) -> None:
        """Make sure that exactly `size` bytes have left, and flush. Raises DestinationError, Cancelled."""
        try:
            with self._lock:
                self._check_running()
                if self._front != size or self._ahead or self._sending:
                    raise DestinationError(
                        f"{self._front} of {size} bytes went to the stream, and {self._held} are left over",
                        path=self._path,
                    )
            try:
                self._outlet.flush()
                self._outlet.close()
            except (OSError, ValueError) as error:
                raise self._failure(error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Stop, forget what has not left, and close what was opened here. Safe to call at any time."""
        with self._lock:
            self._open = False
            for buffer, _ in self._ahead.values():
                buffer.close()
            self._ahead.clear()
            self._held = 0
            self._turn.notify_all()
        self._outlet.abort()
        with suppress(OSError):  # a failure that matters was met by a write, or by publish
            self._outlet.close()

    def abort(self) -> None:
        """From any thread: end every `write_at`, waiting for its turn or for the reader, with Cancelled."""
        with self._lock:
            self._aborted = True
            self._turn.notify_all()
        self._outlet.abort()

    def held_up(self) -> HeldUp:
        """Where the front is, and who waits for it."""
        with self._lock:
            return HeldUp(self._front, tuple(sorted(self._waiting - {self._front})))

    def recall(self, offset: int) -> bool:
        """From any thread: the `write_at` that waits at `offset` ends with Cancelled, having written nothing.

        False where none waits there any more.
        """
        with self._lock:
            if offset not in self._waiting or offset == self._front:
                return False
            self._recalled.add(offset)
            self._turn.notify_all()
            return True

    def _check_running(self) -> None:
        if self._aborted:
            raise Cancelled("the transfer to the stream was told to stop")
        if self._broken is not None:
            raise self._failure(self._broken) from self._broken
        if not self._open:
            raise DestinationError("the stream is not open for writing", path=self._path)

    def _failure(self, error: BaseException) -> DestinationError:
        if isinstance(error, OSError):
            return destination_error(error, "write", self._path, shown=self._shown)
        return DestinationError(f"cannot write {self._shown}: {error}", path=self._path)

    def _is_first(self, offset: int, data: memoryview) -> bool:
        """True where the caller has the front and must send; False where its bytes were copied for later."""
        with self._lock:
            while True:
                self._check_running()
                if offset == self._front and not self._sending:
                    self._sending = True
                    return True
                if offset <= self._front or offset in self._ahead:
                    raise DestinationError(f"the bytes from {offset} were already written", path=self._path)
                if self._keep(offset, data):
                    return False
                self._wait(offset)

    def _wait(self, offset: int) -> None:
        self._waiting.add(offset)
        try:
            self._turn.wait()
        finally:
            self._waiting.discard(offset)
        if offset in self._recalled:
            self._recalled.discard(offset)
            raise Cancelled("somebody else's bytes are needed first")

    def _keep(self, offset: int, data: memoryview) -> bool:
        """Copy what came too early, where there is room for it."""
        length = len(data)
        if self._held + length > self._window or (buffer := self._buffers.spare(length)) is None:
            return False
        buffer.view[:length] = data
        self._ahead[offset] = buffer, length
        self._held += length
        return True

    def _send(self, data: memoryview) -> None:
        """Send the front and everything held that follows on it. No lock is held while bytes leave."""
        kept: tuple[Buffer, int] | None = None
        try:
            while True:
                self._outlet.write(data)
                kept = self._advance(len(data), kept)
                if kept is None:
                    return
                buffer, length = kept
                data = buffer.view[:length]
        except BaseException as error:
            if kept is not None:
                kept[0].close()
            with self._lock:
                self._broken = error
                self._sending = False
                self._turn.notify_all()
            if isinstance(error, OSError | ValueError) and not isinstance(error, DestinationError):
                raise self._failure(error) from error
            raise

    def _advance(self, sent: int, kept: tuple[Buffer, int] | None) -> tuple[Buffer, int] | None:
        """Move the front by `sent` bytes, give back what was `kept` for them, and take what is next."""
        if kept is not None:
            kept[0].close()
        with self._lock:
            self._front += sent
            self._held -= 0 if kept is None else kept[1]
            following = self._ahead.pop(self._front, None)
            self._sending = following is not None
            self._turn.notify_all()
            return following
