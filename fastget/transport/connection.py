"""The data plane: HTTP/1.1 over a socket, with the body received in the caller's buffer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from fastget.core.addresses import Trouble
from fastget.errors import FastgetError, NetworkError, Stalled
from fastget.interrupts import is_of_handler
from fastget.records import record
from fastget.transport.body import Body, Intake, body_of
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.conversation import Conversation, NoAnswerError
from fastget.transport.heads import CastExchange, HeadExchange

if TYPE_CHECKING:
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.urls import Origin
    from fastget.transport.resolver import Peer
    from fastget.transport.route import Route
    from fastget.transport.wire import Wire


@record
class _Asked:
    """A request that has gone out, and what reads its answer."""

    request: Request
    exchange: HeadExchange


class SocketConnection:
    """Implements `Connection` with a blocking socket: plain, over TLS, and through HTTP proxies.

    Times are in seconds. What fails is held against the address for a while: others of the same host go first then.
    """

    def __init__(
        self, origin: Origin, route: Route, *, response_timeout: float = 60.0, stall_timeout: float = 30.0
    ) -> None:
        self.origin = origin
        self._route = route
        self._stall_timeout = stall_timeout
        self._cancellation = SocketCancellation()
        self._conversation = Conversation(str(origin), response_timeout, self._cancellation)
        self._wire: Wire | None = None
        self._intake: Intake | None = None
        self._body: Body | None = None
        self._is_kept_alive = False
        self._asked: _Asked | None = None

    def exchange(self, request: Request, patience: float | None = None) -> ResponseHead:
        if request.url.origin != self.origin:
            raise ValueError(f"a request to {request.url.origin} on a connection to {self.origin}")
        try:
            self._cancellation.check()
            return self._exchange(request, patience)
        except BaseException as error:  # noqa: BLE001  it is raised again
            self._end(error)

    def _exchange(self, request: Request, patience: float | None) -> ResponseHead:
        if self._wire is not None and not (self._has_asked(request) or self._may_carry(request, self._wire)):
            self.close()
        if self._wire is not None:
            try:
                return self._attempt(request, self._wire, patience)
            except NoAnswerError:
                self.close()
        self._route.warn(request)
        self._wire = wire = self._route.open(self._cancellation, public_only=request.public_only)
        head = self._attempt(request, wire, patience)
        self._route.remember(wire)
        return head

    def ask(self, request: Request) -> bool:
        wire = self._wire
        if wire is None or request.url.origin != self.origin or not self._may_carry(request, wire):
            return False
        try:
            self._say(request, wire)
        except NoAnswerError:
            self.close()
            return False
        except BaseException as error:  # noqa: BLE001  it is raised again
            self._end(error)
        return True

    def _has_asked(self, request: Request) -> bool:
        return self._asked is not None and self._asked.request is request

    def _say(self, request: Request, wire: Wire) -> _Asked:
        self._body = None
        exchange = HeadExchange() if request.cast is None else CastExchange(request, request.cast)
        self._conversation.say(wire, self._route.encode(exchange, request))
        self._asked = _Asked(request, exchange)
        return self._asked

    def _may_carry(self, request: Request, wire: Wire) -> bool:
        return self.is_reusable and wire.is_silent() and self._route.admits(wire, request)

    def _attempt(self, request: Request, wire: Wire, patience: float | None) -> ResponseHead:
        asked = self._asked or self._say(request, wire)
        self._asked = None
        reception = self._conversation.hear(wire, asked.exchange, patience)
        self._route.check(reception.head)
        self._is_kept_alive = reception.is_kept_alive
        self._intake = Intake(wire, reception.surplus, self._stall_timeout, self._cancellation)
        self._body = body_of(reception.head, self._intake)
        if 300 <= reception.head.status < 400 and self._route.is_public(wire):
            return replace(reception.head, is_from_public=True)
        return reception.head

    def read_into(self, buffer: memoryview, *more: memoryview) -> int:
        try:
            self._cancellation.check()
            if self._body is None:
                raise NetworkError("there is no body to read: no exchange came before, or it failed")
            if not len(buffer):
                raise ValueError("the buffer is empty")
            return self._body.read_into(buffer, *more)
        except BaseException as error:  # noqa: BLE001  it is raised again
            self._end(error)

    def ready(self, least: int, seconds: float) -> int:
        try:
            self._cancellation.check()
            return self._body.ready(least, seconds) if self._body is not None else 0
        except BaseException as error:  # noqa: BLE001  it is raised again
            self._end(error)

    @property
    def is_reusable(self) -> bool:
        return (
            self._is_kept_alive
            and self._body is not None
            and self._body.is_finished
            and self._intake is not None
            and not self._intake.has_surplus
            and not self._cancellation.is_set
        )

    @property
    def peer(self) -> Peer | None:
        return self._route.peer

    @property
    def waited(self) -> float:
        return self._conversation.waited

    def avoid(self, peer: Peer | None) -> None:
        self._route.avoiding = peer

    @property
    def is_shunned(self) -> bool:
        peer = self._route.peer
        return peer is not None and peer.is_shunned

    def _end(self, error: BaseException) -> NoReturn:
        """Every failure ends the connection, and leaves as one of fastget's errors."""
        try:
            self._blame(error)
            self.close()
            if isinstance(error, OSError) and not is_of_handler(error):
                self._cancellation.check()
                if not isinstance(error, FastgetError):
                    raise NetworkError(f"the connection to {self.origin} broke: {error.strerror or error}") from error
            if isinstance(error, NoAnswerError):
                raise error.told() from error.__cause__
            raise error
        finally:
            del error  # a frame that it holds would hold it, and with it the caller's memory

    def _blame(self, error: BaseException) -> None:
        peer = self._route.peer
        if peer is None or self._cancellation.is_set or not isinstance(error, OSError):
            return
        if is_of_handler(error):
            return
        if not isinstance(error, NetworkError) or error.is_transient:
            peer.blame(Trouble.SILENT if isinstance(error, Stalled) else Trouble.BROKEN)

    def close(self) -> None:
        wire, self._wire = self._wire, None
        self._is_kept_alive = False
        if self._intake is not None:
            self._intake.let_go()
        self._intake = self._body = self._asked = None
        if wire is not None:
            self._route.leave()
            self._cancellation.close(wire.socket)

    def abort(self) -> None:
        self._cancellation.cancel()
