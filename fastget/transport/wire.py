"""A connected socket, read in ticks: no read blocks for much longer than one, so that silence is noticed."""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING

from fastget.interrupts import is_of_handler

if TYPE_CHECKING:
    import ssl

    from fastget.transport.readiness import Readiness

_HAS_WHOLE_READS = hasattr(socket, "MSG_WAITALL") and sys.platform != "win32"
# Linux alone acknowledges late, and lets that be asked for.
_QUICKLY = getattr(socket, "TCP_QUICKACK", None)
_SEND_SECONDS = 10.0
# The longest record of TLS, with what it carries beside the payload (RFC 8446 §5.2).
_RECORD = 17 * 1024


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack("@ll", whole, max(int((seconds - whole) * 1_000_000), 0 if whole else 1))


def _is_tick(error: OSError) -> bool:
    """Whether nothing came in time; not so where the peer no longer answers."""
    is_timeout = isinstance(error, BlockingIOError | TimeoutError) and error.errno != errno.ETIMEDOUT
    return is_timeout and not is_of_handler(error)


class Wire:
    """A plain TCP connection. Reads return None when nothing came within a tick, and 0 at the end.

    The kernel fills the caller's buffer in one call (MSG_WAITALL). That needs a socket that really blocks,
    with the tick as its SO_RCVTIMEO: with a Python timeout it would not, and MSG_WAITALL would do nothing.
    """

    def __init__(self, sock: socket.socket, tick: float) -> None:
        self._socket = sock
        self._tick = tick
        self._poll: select.poll | None = None
        self._readiness: Readiness | None = None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._configure()

    def let_go(self) -> None:
        """Nothing is read any more. An error that is kept holds its frames, and they the memory that was read into."""

    def _configure(self) -> None:
        if _HAS_WHOLE_READS:
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(self._tick))
            # A request fits into the send buffer: whoever keeps it from going is not there.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_SEND_SECONDS))
        else:
            self._socket.settimeout(self._tick)

    @property
    def socket(self) -> socket.socket:
        return self._socket

    @property
    def new_session(self) -> ssl.SSLSession | None:
        """What a further wire to the same end can go on from; None where this one went on from such a thing itself."""
        return None

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, view: memoryview) -> int | None:
        """Read what is there, at least one byte."""
        self._expect_any()
        try:
            return self._socket.recv_into(view)
        except (BlockingIOError, TimeoutError) as error:
            if not _is_tick(error):
                raise
            return None

    def fill(self, view: memoryview, *more: memoryview) -> int | None:
        """Read until `view` is full, the stream ends or a tick has gone by. `more` may be filled in the same call."""
        if not _HAS_WHOLE_READS:
            return self._fill_in_turns(view)
        self._expect_any()
        try:
            if more:
                return self._socket.recvmsg_into((view, *more), 0, socket.MSG_WAITALL)[0]
            return self._socket.recv_into(view, 0, socket.MSG_WAITALL)
        except BlockingIOError as error:
            if not _is_tick(error):
                raise
            return None

    def ready(self, least: int, seconds: float) -> int:
        """Wait until `least` bytes have come, at most `seconds`. How many can be read now without waiting: maybe fewer.

        0 where that is not to be known.
        """
        if self._readiness is None:
            # For many connections alone: nobody else has to load it.
            from fastget.transport.readiness import Readiness

            self._readiness = Readiness(self._socket)
        return self._readiness.wait(least, seconds)

    def _expect_any(self) -> None:
        if self._readiness is not None:
            self._readiness.expect_any()

    def acknowledge(self) -> None:
        """Have what has come acknowledged as it is read, where the system would wait for something to send along.

        It waits 40 ms. The end of an answer is a short segment, which many servers hold back until all before it is
        acknowledged (Nagle's algorithm, RFC 9293 §3.7.4).
        """
        if _QUICKLY is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKLY, 1)

    def _fill_in_turns(self, view: memoryview) -> int | None:
        count = self.receive(view)
        if not count:
            return count
        deadline = time.monotonic() + self._tick
        # An end or an error that is met with bytes in hand is met again by the next call.
        try:
            while count < len(view) and time.monotonic() < deadline:
                more = self.receive(view[count:])
                if not more:
                    break
                count += more
        except OSError as error:
            if is_of_handler(error):
                raise
        return count

    def is_silent(self) -> bool:
        """Whether nothing, not even an end, has come unasked on an idle connection."""
        self._expect_any()
        if self._poll is not None:
            return not self._poll.poll(0)
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLIN)
            return not self._poll.poll(0)
        return not select.select([self._socket], [], [], 0)[0]


class TlsWire(Wire):
    """The same over TLS, whose records of at most 16 KiB make whole reads a loop of ours."""

    def __init__(self, sock: ssl.SSLSocket, tick: float) -> None:
        super().__init__(sock, tick)
        self._secured = sock
        self._error: OSError | None = None

    def let_go(self) -> None:
        self._error = None

    @property
    def new_session(self) -> ssl.SSLSession | None:
        return None if self._secured.session_reused else self._secured.session

    def send(self, data: bytes) -> None:
        try:
            super().send(data)
        except TimeoutError:
            raise
        except OSError:
            # Why the server has ended the connection may be there to be read, and says more.
            super().receive(memoryview(bytearray(1)))
            raise

    def _configure(self) -> None:
        self._socket.settimeout(self._tick)

    def ready(self, least: int, seconds: float) -> int:
        # One record may lie in OpenSSL, and the last that has come be incomplete; a share of them is no payload.
        return max(0, super().ready(max(1, least - _RECORD), seconds) // 8 * 7 - _RECORD)

    def fill(self, view: memoryview, *_: memoryview) -> int | None:
        # The same as in turns, but 64 times a MiB, with the interpreter's lock given up and taken again each time:
        # what is spent in between is felt (docs/performance.md).
        size, count = len(view), self.receive(view)
        if not count or count == size:
            return count
        receive, clock, deadline = self._secured.recv_into, time.monotonic, time.monotonic() + self._tick
        try:
            while count < size and clock() < deadline:
                more = receive(view[count:], size - count)
                if not more:
                    break
                count += more
        except OSError as error:
            # Bytes in hand are delivered first; the next call raises it.
            self._error = None if _is_tick(error) else error
        return count

    def receive(self, view: memoryview) -> int | None:
        # What OpenSSL says after an error differs from the error: the first one is kept.
        if self._error is not None:
            raise self._error
        try:
            return super().receive(view)
        except OSError as error:
            self._error = error
            raise

    def is_silent(self) -> bool:
        return not self._secured.pending() and super().is_silent()
