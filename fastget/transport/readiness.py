"""How much has come in already: waited for without a buffer, so that many connections can share a few large ones."""

from __future__ import annotations

import select
import socket
import sys
from fcntl import ioctl
from termios import FIONREAD

# Only here is it known that a socket which waits for much does not keep its sender waiting: the kernel widens the
# window for it, and wakes it early where that is full (SO_RCVLOWAT in socket(7); tcp_set_rcvlowat, tcp_data_ready).
IS_KNOWN = sys.platform == "linux" and hasattr(socket, "SO_RCVLOWAT")
# The window is only made as wide as what is waited for: then the sender would wait until that has been read.
_WINDOW = 2 * 1024 * 1024


class Readiness:
    """Of one socket, which wakes its thread from so many bytes on; `expect_any` before anything is read from it."""

    __slots__ = ("_is_able", "_least", "_poll", "_socket")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._least = 1
        self._is_able = IS_KNOWN
        if IS_KNOWN:
            try:
                self._expect(_WINDOW)
            except OSError:  # what passes for Linux, and is not, may not have it
                self._is_able = False

    def wait(self, least: int, seconds: float) -> int:
        """Wait until `least` bytes have come, at most `seconds`; the number of those that have. 0 where it cannot."""
        if not self._is_able:
            return 0
        self._expect(least)
        self._poll.poll(seconds * 1000)
        return int.from_bytes(ioctl(self._socket, FIONREAD, bytes(4)), sys.byteorder)

    def expect_any(self) -> None:
        """As few as one byte are welcome again."""
        self._expect(1)

    def _expect(self, least: int) -> None:
        if least != self._least:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
            self._least = least
