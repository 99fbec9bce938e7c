"""Connections that break, stall or drip (faults.md §2.1)."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core.messages import Framing
from fastget.testing.fault import Ending, Fault, Hold, Manner

if TYPE_CHECKING:
    from fastget.testing.answer import Answer
    from fastget.testing.received import ReceivedRequest


def reset(after: int = 0) -> Fault:
    """RST after so many body bytes (N1)."""
    return Fault(name="reset", manner=Manner(stop_after=after, ending=Ending.RESET))


def close_mid_body(after: int = 0) -> Fault:
    """FIN after so many body bytes, whatever length was declared (N2)."""
    return Fault(name="close-mid-body", manner=Manner(stop_after=after, ending=Ending.CLOSE))


def stall(after: int = 0) -> Fault:
    """Silence after so many body bytes, until the client gives up (N5, N12)."""
    return Fault(name="stall", manner=Manner(stop_after=after, ending=Ending.STALL))


def silence() -> Fault:
    """No answer at all, until the client gives up (N6)."""
    return Fault(name="silence", manner=Manner(before_head=True, ending=Ending.STALL))


def reset_before_answer() -> Fault:
    """RST instead of an answer (N17, N18)."""
    return Fault(name="reset-before-answer", manner=Manner(before_head=True, ending=Ending.RESET))


def vanish_before_answer() -> Fault:
    """FIN instead of an answer, as a server that has closed an idle connection (N17)."""
    return Fault(name="vanish-before-answer", manner=Manner(before_head=True, ending=Ending.CLOSE))


def close_idle_connection() -> Fault:
    """A whole answer that promises to keep the connection, which then closes (N17)."""
    return Fault(name="close-idle-connection", manner=Manner(closes=True))


def hold(release: threading.Event, after: int | None = 0, reached: threading.Event | None = None) -> Fault:
    """A pause after so many body bytes (None: before the head), told by `reached`, until `release` is set."""
    pause = Hold(after, reached or threading.Event(), release)
    return Fault(name="hold", manner=Manner(hold=pause))


def truncated_close(after: int = 0) -> Fault:
    """A body that only the connection's end delimits, cut; over TLS without a close_notify (N3, N20)."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        return replace(answer, framing=Framing.CLOSE)

    return Fault(name="truncated-close", edit=edit, manner=Manner(stop_after=after, ending=Ending.CLOSE))


def drip(after: int = 0, rate: float = 1.0) -> Fault:
    """So many bytes a second from some body byte on (N7, N9)."""
    return Fault(name="drip", manner=Manner(rates=((after, rate),)))


def slow_start(until: int, rate: float) -> Fault:
    """So many bytes a second up to some body byte, then as fast as it goes (N8)."""
    return Fault(name="slow-start", manner=Manner(rates=((0, rate), (until, None))))


def refuse_connection() -> Fault:
    """RST as soon as the connection is accepted."""
    return Fault(name="refuse-connection", at_accept=True, manner=Manner(ending=Ending.RESET))


def server_speaks_first(data: bytes = b"220 mail.example ESMTP\r\n") -> Fault:
    """Bytes before any request has come, then FIN (N26)."""
    return Fault(name="server-speaks-first", at_accept=True, manner=Manner(greeting=data, ending=Ending.CLOSE))
