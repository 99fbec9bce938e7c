"""Answers onto sockets: heads, bodies without a copy, rates kept to a schedule, and endings of every kind."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate

from fastget.core.messages import Framing
from fastget.core.ranges import Span
from fastget.testing.answer import REASONS, Answer, Segment
from fastget.testing.content import BLOCK_SIZE, Buffers
from fastget.testing.fault import Ending, Fault, Manner
from fastget.testing.record import Exchange

# Blocks a second under a rate limit: few enough for Python, many enough to look like a flow.
_BLOCKS_A_SECOND = 50


class Sender:
    """Sends answers over one connection. `use` tells whether a flip may still happen, and lets it happen."""

    def __init__(
        self,
        sock: socket.socket,
        stopping: threading.Event,
        use: Callable[[Fault], bool],
    ) -> None:
        self._socket = sock
        self._stopping = stopping
        self._use = use

    def send(
        self, exchange: Exchange, answer: Answer, manner: Manner, flips: tuple[Fault, ...], rate: float | None
    ) -> bool:
        """Send the answer and say whether the connection can go on."""
        exchange.status = answer.status
        keeps = exchange.request.keeps_alive and answer.framing is not Framing.CLOSE
        head = manner.greeting + compose_head(answer, keeps_alive=keeps)
        segments = () if exchange.request.method == "HEAD" else answer.segments
        if manner.stop_after is not None:
            segments = _cut(segments, manner.stop_after)
        self._send_body(exchange, head, answer, segments, manner, flips, _Pace(((0, rate), *manner.rates)))
        if manner.ending is not None:
            self.end(manner.ending)
            return False
        if manner.surplus:
            self._write((memoryview(manner.surplus),))
        return keeps and not manner.closes

    def end(self, ending: Ending) -> None:
        """End the connection; a stall lasts until the client gives up or the server is closed."""
        if ending is Ending.RESET:
            linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif ending is Ending.STALL:
            while self._socket.recv(65536):
                pass

    def _send_body(
        self,
        exchange: Exchange,
        head: bytes,
        answer: Answer,
        segments: tuple[Segment, ...],
        manner: Manner,
        flips: tuple[Fault, ...],
        pace: _Pace,
    ) -> None:
        waiting: Buffers = (memoryview(head),)
        if pace.is_limited:
            self._write(waiting)
            waiting = ()
        chunked = answer.framing is Framing.CHUNKED and exchange.request.method != "HEAD"
        sent = 0
        for buffers, length, offset in _blocks(segments, pace):
            damaged = self._damaged(exchange, buffers, length, sent, offset, flips)
            self._stopping.wait(pace.delay(length))
            if self._stopping.is_set():
                raise ConnectionAbortedError("the server is closing")
            exchange.bytes_sent += length
            self._write((*waiting, *(_chunk(damaged, length) if chunked else damaged)))
            waiting = ()
            sent += length
        if chunked and manner.last_chunk and manner.stop_after is None:
            waiting = (*waiting, memoryview(b"0\r\n\r\n"))
        if waiting:
            self._write(waiting)

    def _damaged(
        self,
        exchange: Exchange,
        buffers: Buffers,
        length: int,
        sent: int,
        offset: int | None,
        flips: tuple[Fault, ...],
    ) -> Buffers:
        """The buffers, in a flipped copy where a flip lies in them."""
        for fault in flips:
            flip = fault.flip
            start = sent if flip and flip.of_body else offset
            if flip is None or start is None or not start <= flip.offset < start + length:
                continue
            if self._use(fault):
                exchange.faults += (fault.name,)
                data = bytearray(b"".join(buffers))
                data[flip.offset - start] ^= 1 << flip.bit
                buffers = (memoryview(data),)
        return buffers

    def _write(self, buffers: Buffers) -> None:
        """Everything in one system call where the platform gathers, and in as few as it takes."""
        left = [buffer for buffer in buffers if len(buffer)]
        if len(left) == 1 or not _gathers(self._socket):
            for buffer in left:
                self._socket.sendall(buffer)
            return
        while left:
            count = self._socket.sendmsg(left)
            while left and count >= len(left[0]):
                count -= len(left.pop(0))
            if left:
                left[0] = left[0][count:]


class _Pace:
    """A schedule of bytes: which rate holds at which offset of the body, how long to wait before a block."""

    def __init__(self, rates: tuple[tuple[int, float | None], ...]) -> None:
        self._phases = sorted(dict(rates).items())
        self._due: float | None = None
        self._position = 0

    @property
    def is_limited(self) -> bool:
        return any(rate is not None for _, rate in self._phases)

    def limit(self) -> int:
        """The size of the next block, in bytes."""
        rate, following = self._phase()
        size = BLOCK_SIZE if rate is None else max(1, min(BLOCK_SIZE, int(rate / _BLOCKS_A_SECOND)))
        return size if following is None else min(size, following - self._position)

    def delay(self, length: int) -> float:
        """The seconds to wait before the next block of `length` bytes is sent."""
        rate, _ = self._phase()
        self._position += length
        if rate is None:
            self._due = None
            return 0.0
        now = time.monotonic()
        self._due = (now if self._due is None else self._due) + length / rate
        return max(0.0, self._due - now)

    def _phase(self) -> tuple[float | None, int | None]:
        rate: float | None = None
        for start, value in self._phases:
            if start > self._position:
                return rate, start
            rate = value
        return rate, None


def compose_head(answer: Answer, *, keeps_alive: bool) -> bytes:
    """Status line and header fields, with the fields that frame the body."""
    fields = [("Date", formatdate(usegmt=True)), ("Server", "fastget-testing"), *answer.fields]
    if answer.framing is Framing.LENGTH:
        declared = answer.length if answer.declared_length is None else answer.declared_length
        fields.append(("Content-Length", str(declared)))
    elif answer.framing is Framing.CHUNKED:
        fields.append(("Transfer-Encoding", "chunked"))
    if not keeps_alive:
        fields.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n" + answer.raw_lines + b"\r\n"


def _blocks(segments: tuple[Segment, ...], pace: _Pace) -> Iterator[tuple[Buffers, int, int | None]]:
    """Buffers, their length and, for bytes of the object, their offset in it."""
    for segment in segments:
        position = segment.span.start
        while position < segment.span.stop:
            stop = min(position + pace.limit(), segment.span.stop, (position // BLOCK_SIZE + 1) * BLOCK_SIZE)
            for buffers in segment.content.blocks(position, stop):
                yield buffers, stop - position, position if segment.is_object else None
            position = stop


def _cut(segments: tuple[Segment, ...], length: int) -> tuple[Segment, ...]:
    """The first `length` bytes of a body."""
    kept = []
    for segment in segments:
        taken = min(segment.span.length, length)
        length -= taken
        if taken:
            kept.append(replace(segment, span=Span(segment.span.start, segment.span.start + taken)))
    return tuple(kept)


def _chunk(buffers: Buffers, length: int) -> Buffers:
    return (memoryview(b"%x\r\n" % length), *buffers, memoryview(b"\r\n"))


def _gathers(sock: socket.socket) -> bool:
    """Whether several buffers can be sent at once: not over TLS, and not on every platform."""
    return type(sock) is socket.socket and hasattr(sock, "sendmsg")
