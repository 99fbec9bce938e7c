"""How one thread ends the blocking calls of another."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from fastget.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class SocketCancellation:
    """A flag, and the sockets that are shut down, and the waiters that are woken, when it is raised.

    A socket is watched from before its first blocking call until just before it is closed, so that a shutdown
    never hits a descriptor that belongs to somebody else by then.
    """

    def __init__(self) -> None:
        # One that its holder may take again: the garbage collector may cancel at any moment, in any thread.
        self._lock = threading.RLock()
        self._sockets: set[socket.socket] = set()
        self._wakes: set[Callable[[], None]] = set()
        self.is_set = False

    def check(self) -> None:
        """Raise Cancelled once `cancel` was called."""
        if self.is_set:
            raise Cancelled("the transfer was told to stop")

    def watch(self, sock: socket.socket) -> None:
        """Shut `sock` down on `cancel`. Raises Cancelled when that has already come."""
        with self._lock:
            self._sockets.add(sock)
            if self.is_set:
                self._sockets.discard(sock)
            self.check()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Until the context ends, have `cancel` call `wake`, which must not block. Raises Cancelled as `watch`."""
        with self._lock:
            self._wakes.add(wake)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._wakes.discard(wake)

    def close(self, sock: socket.socket) -> None:
        """Stop watching `sock` and close it."""
        self.forget(sock)
        sock.close()

    def forget(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(sock)

    def cancel(self) -> None:
        self.is_set = True
        self.shut_down()
        with self._lock:
            for wake in self._wakes:
                wake()

    def shut_down(self) -> None:
        """End the blocking calls on the watched sockets, without the flag."""
        with self._lock:
            for sock in self._sockets:
                # The plain socket's own method: that of an SSLSocket takes its TLS state away from the thread
                # that is reading, which would then read ciphertext. Unconnected sockets answer ENOTCONN.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
