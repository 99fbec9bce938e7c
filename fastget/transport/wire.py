"""A connected socket, read in ticks: no call blocks for much longer than one tick, so that silence is noticed."""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
import time

_HAS_WHOLE_READS = hasattr(socket, "MSG_WAITALL") and sys.platform != "win32"


class Wire:
    """A plain TCP connection. Reads return None when nothing came within a tick, and 0 at the end of the stream.

    The kernel fills the caller's buffer in one call (MSG_WAITALL). That needs a socket that really blocks, with the
    tick as its SO_RCVTIMEO: a Python timeout would make it non-blocking, and MSG_WAITALL would return at once.
    """

    def __init__(self, sock: socket.socket, tick: float) -> None:
        self._socket = sock
        self._tick = tick
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._configure()

    def _configure(self) -> None:
        if _HAS_WHOLE_READS:
            self._socket.settimeout(None)
            seconds = int(self._tick)
            tick = struct.pack("@ll", seconds, int((self._tick - seconds) * 1_000_000))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
        else:
            self._socket.settimeout(self._tick)

    @property
    def socket(self) -> socket.socket:
        return self._socket

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, view: memoryview) -> int | None:
        """Read what is there, at least one byte."""
        try:
            return self._socket.recv_into(view)
        except (BlockingIOError, TimeoutError) as error:
            if error.errno == errno.ETIMEDOUT:  # the peer no longer answers: not the tick
                raise
            return None

    def fill(self, view: memoryview) -> int | None:
        """Read until `view` is full, the stream ends or a tick has gone by."""
        if not _HAS_WHOLE_READS:
            return self._fill_in_turns(view)
        try:
            return self._socket.recv_into(view, 0, socket.MSG_WAITALL)
        except BlockingIOError:
            return None

    def _fill_in_turns(self, view: memoryview) -> int | None:
        count = self.receive(view)
        if not count:
            return count
        deadline = time.monotonic() + self._tick
        while count < len(view) and time.monotonic() < deadline:
            more = self.receive(view[count:])
            if not more:  # an end that was met here is met again by the next call
                break
            count += more
        return count

    def is_silent(self) -> bool:
        """Whether nothing, not even an end, has come unasked on an idle connection."""
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return not poll.poll(0)
        return not select.select([self._socket], [], [], 0)[0]


class TlsWire(Wire):
    """The same over TLS, whose records of at most 16 KiB make whole reads a loop of ours."""

    def _configure(self) -> None:
        self._socket.settimeout(self._tick)

    def fill(self, view: memoryview) -> int | None:
        return self._fill_in_turns(view)
