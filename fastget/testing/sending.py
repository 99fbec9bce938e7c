"""Answers onto sockets: bodies without a copy, and endings of every kind."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastget.core.messages import Framing
from fastget.core.ranges import Span
from fastget.testing.answer import Answer, Segment, compose_head
from fastget.testing.content import BLOCK_SIZE, Buffers
from fastget.testing.fault import Ending, Fault, Hold, Manner
from fastget.testing.pace import Link, Pace

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from fastget.testing.record import Exchange

# Seconds for a client to close its side after a FIN.
_LINGER = 2.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What a request is answered with, and how: rates in bytes a second, `flips` that may happen."""

    answer: Answer
    manner: Manner
    flips: tuple[Fault, ...] = ()
    rate: float | None = None
    keep_alive: bool = True
    shared_rate: float | None = None


class Sender:
    """Sends answers over one connection.

    `use` tells whether a flip may still happen, and counts it. Every method raises OSError when the
    connection breaks or the server closes.
    """

    def __init__(
        self, sock: socket.socket, stopping: threading.Event, use: Callable[[Fault], bool], link: Link | None = None
    ) -> None:
        self._socket = sock
        self._link = link
        self._stopping = stopping
        self._use = use

    def send(self, exchange: Exchange, decision: Decision) -> bool:
        """Send one answer and say whether the connection can go on."""
        answer, manner = decision.answer, decision.manner
        exchange.status = answer.status
        keeps = decision.keep_alive and exchange.request.keeps_alive and answer.framing is not Framing.CLOSE
        head = manner.greeting + compose_head(answer, keeps_alive=keeps)
        if exchange.request.method == "HEAD":
            self._write((memoryview(head),))
        else:
            self._send_body(exchange, decision, head)
        if manner.ending is not None:
            self.end(manner.ending)
            return False
        if keeps and not manner.closes:
            return True
        self._finish()
        return False

    def pause(self, hold: Hold) -> None:
        """Wait until the hold is released."""
        hold.reached.set()
        hold.release.wait()
        self._check()

    def end(self, ending: Ending) -> None:
        """End the connection; a stall lasts until the client gives up or the server closes.

        A FIN comes alone: closing at once would make it a reset where the client still sends (RFC 9112 §9.6).
        """
        if ending is Ending.RESET:
            linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        if ending is Ending.CLOSE:
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_LINGER)
        while self._socket.recv(65536):
            pass

    def _finish(self) -> None:
        """Tell a TLS client that the end is meant; without this it is a truncation (RFC 8446 §6.1)."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(0)
            with contextlib.suppress(OSError):  # the client's own close_notify is not waited for
                self._socket.unwrap()

    def _send_body(self, exchange: Exchange, decision: Decision, head: bytes) -> None:
        """Head and body; the head goes out with the first block unless something comes between them."""
        answer, manner = decision.answer, decision.manner
        hold = manner.hold if manner.hold and manner.hold.after is not None else None
        edge = hold.after if hold else None
        pace = Pace(((0, decision.rate), *manner.rates), edge, self._link, decision.shared_rate)
        waiting: Buffers = (memoryview(head),)
        sent = 0
        for block in _blocks(_cut(answer.segments, manner.stop_after), pace):
            if waiting and (pace.is_limited or hold):
                self._write(waiting)
                waiting = ()
            if hold and sent == hold.after:
                self.pause(hold)
                pace.begin_anew()
            self._stopping.wait(pace.delay(block.length))
            self._check()
            buffers = self._damaged(exchange, decision.flips, block, sent)
            exchange.bytes_sent += block.length
            self._write((*waiting, *(_chunk(buffers) if answer.framing is Framing.CHUNKED else buffers)))
            waiting = ()
            sent += block.length
        self._write((*waiting, *_tail(answer, manner)))

    def _damaged(self, exchange: Exchange, flips: tuple[Fault, ...], block: _Block, sent: int) -> Buffers:
        """The buffers of a block, in a flipped copy where a flip lies in it."""
        buffers = block.buffers
        for fault in flips:
            flip = fault.flip
            start = sent if flip and flip.of_body else block.offset
            if flip is None or start is None or not start <= flip.offset < start + block.length:
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

    def _check(self) -> None:
        if self._stopping.is_set():
            raise ConnectionAbortedError("the server is closing")


@dataclass(frozen=True, slots=True)
class _Block:
    """Up to 1 MiB of a body. `offset` is that in the object, None for bytes that belong to none."""

    buffers: Buffers
    length: int
    offset: int | None


def _blocks(segments: tuple[Segment, ...], pace: Pace) -> Iterator[_Block]:
    for segment in segments:
        position = segment.span.start
        while position < segment.span.stop:
            stop = min(position + pace.limit(), segment.span.stop, (position // BLOCK_SIZE + 1) * BLOCK_SIZE)
            buffers = next(segment.content.blocks(position, stop))
            yield _Block(buffers, stop - position, position if segment.is_object else None)
            position = stop


def _cut(segments: tuple[Segment, ...], length: int | None) -> tuple[Segment, ...]:
    """The first `length` bytes of a body, or all of it."""
    if length is None:
        return segments
    kept = []
    for segment in segments:
        taken = min(segment.span.length, length)
        length -= taken
        if taken:
            kept.append(replace(segment, span=Span(segment.span.start, segment.span.start + taken)))
    return tuple(kept)


def _chunk(buffers: Buffers) -> Buffers:
    size = sum(len(buffer) for buffer in buffers)
    return (memoryview(b"%x\r\n" % size), *buffers, memoryview(b"\r\n"))


def _tail(answer: Answer, manner: Manner) -> Buffers:
    """What follows the last block."""
    is_whole = manner.stop_after is None and manner.last_chunk
    end = b"0\r\n\r\n" if answer.framing is Framing.CHUNKED and is_whole else b""
    return (memoryview(end), memoryview(manner.surplus))


def _gathers(sock: socket.socket) -> bool:
    """Whether several buffers can be sent at once: not over TLS, and not on every platform."""
    return type(sock) is socket.socket and hasattr(sock, "sendmsg")
