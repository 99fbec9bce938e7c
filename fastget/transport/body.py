"""Bodies, read into the caller's buffer: of declared length, chunked, or ended by the connection's close."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Protocol

from fastget.core.messages import Framing, ResponseHead
from fastget.core.ranges import MAXIMUM_SIZE
from fastget.errors import NetworkError, ProtocolError, Stalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.transport.cancellation import SocketCancellation
    from fastget.transport.wire import Wire

# A size line with its extensions has to fit here whole; payload that comes along is copied out of it.
_STAGE_BYTES = 4096
_MAXIMUM_TRAILER_BYTES = 64 * 1024
# Seconds after which a body that trickles in gives what it has.
_PATIENCE = 1.0
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00\r\n\v\f]*")
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n\x00]*)?")


class Intake:
    """The bytes of one answer's body: first those that came along with its head, then those of the wire."""

    def __init__(self, wire: Wire, surplus: bytes, stall_timeout: float, cancellation: SocketCancellation) -> None:
        self._wire = wire
        self._surplus = memoryview(surplus)
        self._stall_timeout = stall_timeout
        self._cancellation = cancellation
        self._error: OSError | None = None

    def let_go(self) -> None:
        """As `Wire.let_go`."""
        self._error = None
        self._wire.let_go()

    @property
    def has_surplus(self) -> bool:
        """Whether bytes were received that no body has taken."""
        return self._surplus.nbytes > 0

    def fill(self, view: memoryview, *more: memoryview, is_last: bool = False) -> int:
        """All of `view`, less at the end or after a tick; 0 only at the end. Raises Stalled, Cancelled.

        It may go on into `more`. `is_last`: with these the server has sent what it was asked for.
        """
        count = min(len(view), len(self._surplus))
        is_more = count < len(view)
        if is_last and is_more:
            self._try(self._wire.acknowledge)
        if not count:
            return self._wait(self._wire.fill, view, *more)
        # Received first and copied afterwards: fresh memory comes into being without the interpreter's lock then.
        following = (self.top_up(view[count:], *more) or 0) if is_more else 0
        return self._from_surplus(view[:count]) + following

    def ready(self, least: int, seconds: float) -> int:
        """As `Wire.ready`, of the bytes that `fill` would read. Raises Cancelled."""
        return 0 if self.has_surplus else self._try(lambda: self._wire.ready(least, seconds)) or 0

    def top_up(self, view: memoryview, *more: memoryview) -> int | None:
        """The same for a caller with bytes in hand: None after a silent tick or error. Raises Cancelled."""
        return self._try_quietly(self._wire.fill, view, *more)

    def receive(self, view: memoryview) -> int:
        """What is there, at least one byte; 0 at the end. Raises Stalled, Cancelled."""
        return self._from_surplus(view) or self._wait(self._wire.receive, view)

    def glance(self, view: memoryview) -> int | None:
        """The same for a caller with bytes in hand: None after a silent tick or error. Raises Cancelled."""
        return self._from_surplus(view) or self._try_quietly(self._wire.receive, view)

    def _from_surplus(self, view: memoryview) -> int:
        count = min(len(view), len(self._surplus))
        if count:
            view[:count] = self._surplus[:count]
            self._surplus = self._surplus[count:]
        return count

    def _wait(self, read: Callable[..., int | None], *views: memoryview) -> int:
        started = time.monotonic()
        while (count := self._try(read, *views)) is None:
            if time.monotonic() - started >= self._stall_timeout:
                raise Stalled(f"no byte came for {self._stall_timeout:g} s")
        return count

    def _try(self, read: Callable[..., int | None], *views: memoryview) -> int | None:
        if self._error is not None:
            raise self._error
        try:
            count = read(*views)
        except OSError as error:
            self._error = error
            raise
        finally:
            self._cancellation.check()
        return count

    def _try_quietly(self, read: Callable[..., int | None], *views: memoryview) -> int | None:
        """Bytes in hand are delivered before an error, which the next call raises."""
        try:
            return self._try(read, *views)
        except OSError:
            return None


class Body(Protocol):
    """The rest of one body."""

    @property
    def is_finished(self) -> bool: ...

    def read_into(self, view: memoryview, *more: memoryview) -> int:
        """As Connection.read_into."""
        ...

    def ready(self, least: int, seconds: float) -> int:
        """As Connection.ready."""
        ...


class LengthBody:
    """A body of declared length; one of length 0 is no body."""

    def __init__(self, intake: Intake, length: int) -> None:
        self._intake = intake
        self._length = length
        self._remaining = length

    @property
    def is_finished(self) -> bool:
        return not self._remaining

    def read_into(self, view: memoryview, *more: memoryview) -> int:
        if not self._remaining:
            return 0
        room = len(view)
        if more and (all_room := room + sum(map(len, more))) <= self._remaining:
            room = all_room
        else:
            more = ()
        count = self._intake.fill(view[: self._remaining], *more, is_last=room >= self._remaining)
        if not count:
            received = self._length - self._remaining
            raise NetworkError(f"the connection ended after {received} of {self._length} bytes")
        self._remaining -= count
        return count

    def ready(self, least: int, seconds: float) -> int:
        least = min(least, self._remaining)
        return min(self._intake.ready(least, seconds), self._remaining) if least else 0


class CloseBody:
    """A body that ends with its connection. Only a known size can tell whether it was all (faults.md N3)."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._is_finished = False

    @property
    def is_finished(self) -> bool:
        return self._is_finished

    def read_into(self, view: memoryview, *more: memoryview) -> int:
        del more
        count = 0 if self._is_finished else self._intake.fill(view)
        self._is_finished = not count
        return count

    def ready(self, least: int, seconds: float) -> int:
        del least, seconds
        return 0


class ChunkedBody:
    """A body in chunked coding (RFC 9112 §7.1); extensions are skipped, trailers too, both within bounds."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._stage = bytearray(_STAGE_BYTES)
        self._view = memoryview(self._stage)
        self._start = 0
        self._stop = 0
        self._remaining = 0
        self._trailer_bytes = 0
        self._take: Callable[[bytes], None] = self._take_size
        self._is_finished = False

    @property
    def is_finished(self) -> bool:
        """Whether the last chunk was read, and nothing stands behind it."""
        return self._is_finished and self._start == self._stop

    def read_into(self, view: memoryview, *more: memoryview) -> int:
        del more
        filled = 0
        deadline = time.monotonic() + _PATIENCE
        while filled < len(view) and not self._is_finished:
            if self._remaining:
                count = self._read_payload(view[filled : filled + self._remaining], may_give_up=filled > 0)
                filled += count or 0
                is_silent = count is None
            else:
                is_silent = not self._read_line(may_give_up=filled > 0)
            if is_silent or (filled and time.monotonic() >= deadline):
                break
        return filled

    def ready(self, least: int, seconds: float) -> int:
        del least, seconds
        return 0  # some of what has come is not payload

    def _read_payload(self, view: memoryview, *, may_give_up: bool) -> int | None:
        count = min(len(view), self._stop - self._start) or None
        if count:
            view[:count] = self._view[self._start : self._start + count]
            self._start += count
        else:
            count = (self._intake.top_up(view) or None) if may_give_up else self._intake.fill(view)
        if count is None:
            return None
        if not count:
            raise NetworkError("the connection ended within a chunk of the body")
        self._remaining -= count
        if not self._remaining:
            self._take = self._take_end_of_chunk
        return count

    def _take_end_of_chunk(self, line: bytes) -> None:
        if line:
            raise ProtocolError("a chunk of the body is longer than its size")
        self._take = self._take_size

    def _take_size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise ProtocolError("the chunked coding of the body is broken: no chunk size where one should be")
        self._remaining = int(match[1], 16)
        if self._remaining > MAXIMUM_SIZE:
            raise ProtocolError("a chunk declares a size that no object can have")
        if not self._remaining:
            self._take = self._take_trailer

    def _take_trailer(self, line: bytes) -> None:
        if line and not _TRAILER.fullmatch(line):  # payload, more likely, behind a size that was damaged to 0
            raise ProtocolError("the chunked coding of the body is broken: its trailers are none")
        self._is_finished = not line
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MAXIMUM_TRAILER_BYTES:
            raise ProtocolError(f"the trailers of the body are longer than {_MAXIMUM_TRAILER_BYTES} bytes")

    def _read_line(self, *, may_give_up: bool) -> bool:
        """Take the next line; False where the caller may give up, and a tick went by or the connection ended."""
        while (end := self._stage.find(b"\r\n", self._start, self._stop)) < 0:
            if not self._receive_more(may_give_up=may_give_up):
                return False
        line = bytes(self._view[self._start : end])
        self._start = end + 2
        self._take(line)
        return True

    def _receive_more(self, *, may_give_up: bool) -> bool:
        held = self._stop - self._start
        if held == _STAGE_BYTES:
            raise ProtocolError("a line of the chunked coding is too long")
        self._view[:held] = self._view[self._start : self._stop]
        self._start, self._stop = 0, held
        read = self._intake.glance if may_give_up else self._intake.receive
        count = read(self._view[held:])
        if count == 0 and not may_give_up:
            raise NetworkError("the connection ended before the last chunk of the body")
        self._stop += count or 0
        return bool(count)


def body_of(head: ResponseHead, intake: Intake) -> Body:
    """The reader for the body that follows `head`."""
    if head.framing is Framing.CHUNKED:
        return ChunkedBody(intake)
    if head.framing is Framing.CLOSE:
        return CloseBody(intake)
    return LengthBody(intake, head.content_length or 0)
