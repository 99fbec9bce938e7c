"""Messages between two processes: pickled, each behind its length, over a connected pair of sockets."""

from __future__ import annotations

import pickle
import socket
import struct
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from fastget.engine.threads import PATIENCE, Thread

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH = struct.Struct("!I")
_AT_ONCE = 256 * 1024


class Channel:
    """One end. `post` is for any thread and never waits; `receive` is for one. Both ends are trusted: it is pickle."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._socket = sock
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._sender = Thread(self._send_all, f"fastget-{name}")

    def open(self) -> None:
        """Begin to send. Raises RuntimeError where the system gives no more threads."""
        self._sender.start()

    def post(self, message: object) -> None:
        """Send a message as soon as what was posted before is sent; to an end that is gone, nothing is sent."""
        self._outbox.put(message)

    def receive(self) -> Iterator[Any]:
        """The messages of the other end, until it is closed or gone."""
        with suppress(OSError, EOFError):
            while True:
                (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
                yield pickle.loads(self._read(length))  # noqa: S301 - from a process of our own

    def shut(self) -> None:
        """From any thread: end `receive`, and what is being sent."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Send what was posted, unless the other end is gone, and close this one."""
        self._outbox.put(None)
        self._sender.join(PATIENCE)
        self._socket.close()

    def _read(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            data = self._socket.recv(min(count - len(found), _AT_ONCE))
            if not data:
                raise EOFError
            found += data
        return bytes(found)

    def _send_all(self) -> None:
        while (message := self._outbox.get()) is not None:
            data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            try:
                self._socket.sendall(_LENGTH.pack(len(data)) + data)
            except OSError:
                return  # who receives here finds the other end gone as well
