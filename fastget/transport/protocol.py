"""What the engine asks of a transport: a connection that carries one exchange at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.urls import Origin
    from fastget.transport.resolver import Peer


class Connection(Protocol):
    """A way to one origin, used by one thread at a time; only `abort` may be called from another.

    It connects when the first request needs it. The contract suite in tests/transport/ holds for every implementation.
    """

    origin: Origin

    def exchange(self, request: Request, patience: float | None = None) -> ResponseHead:
        """Send a request and read the head of the final answer (1xx answers are passed over, a bounded number).

        A kept-alive connection that the server had already closed is replaced by a fresh one, once and silently: no
        byte of an answer had come, and a GET may be sent again (RFC 9112 §9.3.1). `patience`: seconds that the head
        may take, instead of those that all requests have.

        Raises NetworkError (name, address, TLS, reset), Stalled (no answer in time), ProtocolError (not HTTP, or a
        head past its bounds), Cancelled after `abort`.
        """
        ...

    def ask(self, request: Request) -> bool:
        """Send a request ahead of its turn, if that can be at once: `exchange` of the very same one reads the answer.

        False, and nothing has been sent, where no connection stands open that could carry it. Raises as `exchange`.
        """
        ...

    def read_into(self, buffer: memoryview, *more: memoryview) -> int:
        """Read body bytes into `buffer` and return how many. They may go on into `more`, at most 64, one by one.

        Fills the buffer, but returns with less once the body has ended or about a second has gone by; returns 0 only
        at the end of the body. Never writes past the body's declared length.

        Raises NetworkError when a body of declared length or chunked coding is cut short, Stalled when no byte came
        for the stall timeout, ProtocolError for broken chunked coding, Cancelled after `abort`.
        """
        ...

    def ready(self, least: int, seconds: float) -> int:
        """Wait, without a buffer, until `least` bytes of the body have come, or all of the rest; at most `seconds`.

        The number of bytes that `read_into` can read now without waiting, which may be fewer; 0 also where that is not
        to be known. Raises Cancelled after `abort`.
        """
        ...

    @property
    def is_reusable(self) -> bool:
        """Whether the last body was read to its end and the server keeps the connection open."""
        ...

    @property
    def peer(self) -> Peer | None:
        """The address at the other end, to be blamed for what it sends; None without a connection, or if not known."""
        ...

    @property
    def waited(self) -> float:
        """Seconds from the latest request on the wire to its answer: connecting and handshakes do not count."""
        ...

    def avoid(self, peer: Peer | None) -> None:
        """Where it has to connect anew, have the other addresses of that host go first; None: no longer."""
        ...

    @property
    def is_shunned(self) -> bool:
        """Whether that address has turned out bad, and its host has a better one."""
        ...

    def close(self) -> None:
        """End the connection. Safe to call twice."""
        ...

    def abort(self) -> None:
        """From any thread: end every blocking call of this connection now, with Cancelled; it is of no use after."""
        ...
