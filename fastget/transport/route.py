"""The way to an origin: dial it or its proxy, tunnel, start TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.addresses import Trouble
from fastget.core.messages import Headers, is_secret
from fastget.core.urls import is_loopback
from fastget.errors import NetworkError, ProtocolError, Stalled
from fastget.transport.conversation import Conversation
from fastget.transport.dial import admission, dial, is_public
from fastget.transport.heads import HeadExchange
from fastget.transport.resolver import Peer, Resolver
from fastget.transport.sessions import Sessions
from fastget.transport.wire import TlsWire, Wire
from fastget.warn import warn

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from fastget.config import Config
    from fastget.core.addresses import Address
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.urls import Origin
    from fastget.transport.cancellation import SocketCancellation
    from fastget.transport.proxies import Proxy

_LONGEST_TICK = 1.0


class _SessionRefused(Exception):
    """A handshake has failed that was to go on from a session: a whole one may not."""


class Route:
    """How a connection to an origin is opened, and how a request is written for whoever reads it first.

    `peer` is the address at the other end of the open wire, the proxy's where there is one; None without a wire.
    Addresses other than `avoiding` go first.
    """

    def __init__(
        self,
        origin: Origin,
        proxy: Proxy | None,
        config: Config,
        tls_context: Callable[[], ssl.SSLContext],
        warned: set[Origin] | None = None,
        resolver: Resolver | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """For all routes of a pool: `warned` are the origins that the user was warned of, `resolver` has addresses.

        `sessions` are those of the TLS context.
        """
        first = proxy or origin
        self.peer: Peer | None = None
        self.avoiding: Peer | None = None
        self._host = (resolver or Resolver()).host(first.host, first.port)
        self._origin = origin
        self._proxy = proxy
        self._config = config
        self._tls_context = tls_context
        self._warned = set() if warned is None else warned
        self._is_secure = origin.scheme == "https"
        self._sessions = sessions or Sessions()
        # Where TLS ends. A proxy with TLS is the end of it: what lies behind is plain HTTP (Proxy.suits_data_plane).
        end = origin if proxy is None or self._is_secure else proxy
        self._end = end.host, end.port
        self._tick = min(_LONGEST_TICK, config.stall_timeout, config.response_timeout)

    def open(self, cancellation: SocketCancellation, *, public_only: bool = False) -> Wire:
        """A connected wire; `cancellation` watches its socket. Raises NetworkError, Stalled, Cancelled.

        With `public_only`, no wire into a private network; a proxy may lie in one, and decides by itself.
        """
        first = self._proxy or self._origin
        # Made before there is a socket, because a wrong ca_bundle shows here.
        context = self._tls_context() if "https" in (first.scheme, self._origin.scheme) else None
        is_confined = public_only and self._proxy is None
        tried: list[Address] = []
        while True:
            if (wire := self._try(context, cancellation, tried, public_only=is_confined)) is not None:
                return wire

    def _try(
        self,
        context: ssl.SSLContext | None,
        cancellation: SocketCancellation,
        tried: list[Address],
        *,
        public_only: bool,
    ) -> Wire | None:
        """A wire; None where another try is due.

        That is where the address cannot do TLS, which is one of the `tried` then, and there are others; and where it
        may be that it could not go on from a session.
        """
        try:
            sock, address = dial(
                self._host,
                self._config.connect_timeout,
                cancellation,
                public_only=public_only,
                without=tried,
                avoiding=self.avoiding.address if self.avoiding is not None else None,
            )
        except NetworkError as error:
            if self._proxy is None:
                raise
            raise self._proxy.unreached(error) from error.__cause__
        self.peer = Peer(self._host, address)
        wire = None
        try:
            wire = self._wire(sock, context, cancellation)
        except _SessionRefused:
            return None
        except NetworkError as error:
            if isinstance(error, Stalled):
                self.peer.blame(Trouble.SILENT)
                raise
            if self._proxy is not None and self._proxy.scheme == "http":
                raise  # it may be the origin's doing
            self.peer.blame(Trouble.HANDSHAKE)
            tried.append(address)
            if not self._host.knows(admission(public_only=public_only, without=tried)):
                raise
        finally:
            if wire is None:
                cancellation.close(sock)
                self.leave()
        return wire

    def _wire(self, sock: socket.socket, context: ssl.SSLContext | None, cancellation: SocketCancellation) -> Wire:
        if context is None:
            return Wire(sock, self._tick)
        if self._proxy is not None and self._proxy.scheme == "http":
            self._tunnel(sock, self._proxy, cancellation)
        return self._secure(sock, context, cancellation)

    def remember(self, wire: Wire) -> None:
        """The first answer has come over a wire, and with it, in TLS 1.3, what further ones can go on from."""
        self._sessions.learn(self._end, wire.new_session)
        if self.peer is not None:
            self.peer.has_answered()

    def leave(self) -> None:
        """The wire is closed, or about to be."""
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.host.closed(peer.address)

    def _tunnel(self, sock: socket.socket, proxy: Proxy, cancellation: SocketCancellation) -> None:
        exchange = HeadExchange()
        host = f"[{self._origin.host}]" if ":" in self._origin.host else self._origin.host
        data = exchange.encode_connect(f"{host}:{self._origin.port}", self._proxy_fields())
        conversation = Conversation(f"the proxy {proxy}", self._config.response_timeout, cancellation)
        try:
            reception = conversation.hold(Wire(sock, self._tick), exchange, data)
        except ProtocolError as error:
            raise ProtocolError(f"the proxy {proxy} does not answer as one: {error.message}") from None
        self.check(reception.head)
        if not 200 <= reception.head.status < 300:
            answer = f"{reception.head.status} {proxy.without_secrets(reception.head.reason)}".strip()
            raise NetworkError(
                f"the proxy {proxy} refuses a connection to {self._origin}: {answer}",
                is_transient=reception.head.status not in (401, 403),
            )
        if reception.surplus:
            raise ProtocolError(f"the proxy {proxy} sent bytes of its own into the tunnel to {self._origin}")

    def _secure(self, sock: socket.socket, context: ssl.SSLContext, cancellation: SocketCancellation) -> Wire:
        from fastget.transport.tls import handshake

        session = self._sessions.find(self._end)
        try:
            secured = handshake(sock, self._end[0], context, self._config.connect_timeout, cancellation, session)
        except NetworkError as error:
            if session is None:
                raise
            self._sessions.give_up(self._end)
            if isinstance(error, Stalled):
                raise
            raise _SessionRefused from error
        try:
            return TlsWire(secured, self._tick)
        except BaseException:
            cancellation.close(secured)
            raise

    def warn(self, request: Request) -> None:
        """Log, once for an origin, that credentials go there unencrypted; not of this machine's own (faults.md S19)."""
        if self._is_secure or self._origin in self._warned or is_loopback(self._origin.host):
            return
        if any(is_secret(name) for name, _ in request.headers):
            self._warned.add(self._origin)
            told = "credentials go to %s unencrypted, where others on the way can read them"
            warn("fastget.transport", told, self._origin)

    def is_public(self, wire: Wire) -> bool:
        """Whether the wire ends at an address of the open internet; never where a proxy hides that."""
        if self._proxy is not None:
            return False
        try:
            return is_public(wire.socket.getpeername()[0])
        except OSError:  # it has ended by now
            return False

    def admits(self, wire: Wire, request: Request) -> bool:
        """Whether an open wire may carry this request."""
        return not request.public_only or self._proxy is not None or self.is_public(wire)

    def encode(self, exchange: HeadExchange, request: Request) -> bytes:
        """The request head, in absolute form where an HTTP proxy reads it (RFC 9112 §3.2.2)."""
        if self._proxy is None or self._is_secure:
            return exchange.encode(request)
        return exchange.encode(request, target=request.url.unredacted, extra=self._proxy_fields())

    def check(self, head: ResponseHead) -> None:
        """Raise NetworkError where the proxy does not let us through."""
        if self._proxy is not None and head.status == 407:
            raise NetworkError(
                f"the proxy {self._proxy} asks for credentials, or does not accept these (407)",
                hint="put them in the proxy URL: http://user:password@host:port",
                is_transient=False,
            )

    def _proxy_fields(self) -> Headers:
        authorization = self._proxy.authorization if self._proxy is not None else None
        return Headers([("Proxy-Authorization", authorization)] if authorization else [])
