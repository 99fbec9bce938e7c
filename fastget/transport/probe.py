"""A connection that is opened only to see how long that takes, and what it is encrypted with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastget.records import record
from fastget.transport.route import Route

if TYPE_CHECKING:
    import socket
    import ssl

    from fastget.config import Config
    from fastget.core.urls import Origin
    from fastget.transport.cancellation import SocketCancellation
    from fastget.transport.wire import Wire


@record
class Handshake:
    """Seconds for one connection: `connect` to have it, with its name resolved and proxies passed, `tls` on top.

    `version` and `cipher` are OpenSSL's names for what was agreed on; without TLS all three are None.
    """

    connect: float
    tls: float | None = None
    version: str | None = None
    cipher: str | None = None


class Probe:
    """Opens connections to an origin, one at a time, and closes them again; all are greeted as strangers."""

    def __init__(self, origin: Origin, config: Config) -> None:
        from fastget.transport.proxies import proxy_for

        self._origin = origin
        self._config = config
        self._proxy = proxy_for(origin, config.proxy)
        self._context: ssl.SSLContext | None = None

    @property
    def is_possible(self) -> bool:
        """Whether the way is one of sockets of ours (not through SOCKS)."""
        return self._proxy is None or self._proxy.suits_data_plane(self._origin)

    def open(self, cancellation: SocketCancellation) -> Handshake:
        """Raises NetworkError, Stalled, Cancelled."""
        context = self._tls_context() if self._origin.scheme == "https" else None
        route = _TimedRoute(self._origin, self._proxy, self._config, lambda: context or self._tls_context())
        began = time.monotonic()
        wire = route.open(cancellation)
        ended = time.monotonic()
        try:
            if route.secured_at is None:
                return Handshake(ended - began)
            return Handshake(route.secured_at - began, ended - route.secured_at, *_agreed(wire.socket))
        finally:
            cancellation.close(wire.socket)

    def _tls_context(self) -> ssl.SSLContext:
        """Made before the clock starts: loading the certificates takes tens of milliseconds."""
        if self._context is None:
            from fastget.transport.tls import client_context

            self._context = client_context(self._config)
        return self._context


class _TimedRoute(Route):
    """A route that remembers when TLS began."""

    secured_at: float | None = None

    def _secure(self, sock: socket.socket, context: ssl.SSLContext, cancellation: SocketCancellation) -> Wire:
        self.secured_at = time.monotonic()
        return super()._secure(sock, context, cancellation)


def _agreed(sock: socket.socket) -> tuple[str | None, str | None]:
    import ssl

    if not isinstance(sock, ssl.SSLSocket):
        return None, None
    cipher = sock.cipher()
    return sock.version(), cipher[0] if cipher else None
