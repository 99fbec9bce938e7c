"""Connections that are kept alive between requests."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from fastget.transport.limit import shared_limit
from fastget.transport.sessions import Sessions

if TYPE_CHECKING:
    import ssl

    from fastget.config import Config
    from fastget.core.addresses import Address
    from fastget.core.urls import Origin
    from fastget.transport.protocol import Connection
    from fastget.transport.resolver import Peer, Resolver

# Servers close idle connections after 5 to 75 seconds: older ones are rarely alive.
MAXIMUM_IDLE_SECONDS = 30.0
MAXIMUM_IDLE = 64


class Pool:
    """Makes connections, and lends them: each belongs to one thread from `acquire` to `release`.

    Safe to use from several threads; connecting and closing happen outside its lock. `limit` is what its connections
    have to be read by, None for as fast as they can be.
    """

    def __init__(self, config: Config) -> None:
        self.limit = shared_limit(config.limit_rate)
        self._config = config
        # One that its holder may take again, in a signal handler, to close; what is idle is then another deque.
        self._lock = threading.RLock()
        self._idle: deque[tuple[float, Connection]] = deque()
        self._is_closed = False
        self._resolver: Resolver | None = None
        self._context: ssl.SSLContext | None = None
        self._sessions = Sessions()
        self._warned: set[Origin] = set()

    def connection(self, origin: Origin) -> Connection:
        # Here, because they load h11, which a client that is only made does not need.
        from fastget.transport.connection import SocketConnection
        from fastget.transport.proxies import proxy_for
        from fastget.transport.route import Route

        proxy = proxy_for(origin, self._config.proxy)
        if proxy is not None and not proxy.suits_data_plane(origin):
            from fastget.transport.fallback import HttpxConnection

            return HttpxConnection(origin, proxy, self._config, self._tls_context)
        route = Route(origin, proxy, self._config, self._tls_context, self._warned, self._known_hosts(), self._sessions)
        return SocketConnection(
            origin,
            route,
            response_timeout=self._config.response_timeout,
            stall_timeout=self._config.stall_timeout,
        )

    def peer(self, name: str, port: int, address: Address) -> Peer:
        """An address of a host, as the connections of this pool know it."""
        from fastget.transport.resolver import Peer

        return Peer(self._known_hosts().host(name, port), address)

    def _known_hosts(self) -> Resolver:
        if self._resolver is None:
            from fastget.transport.resolver import Resolver

            with self._lock:
                self._resolver = self._resolver or Resolver()
        return self._resolver

    def _tls_context(self) -> ssl.SSLContext:
        """The one TLS context of this pool; loading the certificates takes tens of milliseconds."""
        if self._context is None:
            from fastget.transport.tls import client_context

            context = client_context(self._config)  # reads files, so outside the lock; the first wins
            with self._lock:
                self._context = self._context or context
        return self._context

    def acquire(self, origin: Origin, avoiding: Peer | None = None, *, is_new: bool = False) -> Connection:
        """The connection to `origin` that was used last, or a new one that is not connected yet; `is_new`: that.

        None to an address that has turned out bad, nor to the one to avoid, where there are others.
        """
        with self._lock:
            stale = self._take_stale()
            found = None if is_new else self._take_idle(origin, avoiding)
        _close_all(stale)
        connection = found or self.connection(origin)
        connection.avoid(avoiding)
        return connection

    def release(self, connection: Connection) -> None:
        """Take a connection back: it is kept while it can carry another request, else closed."""
        if not connection.is_reusable:
            connection.close()
            return
        with self._lock:
            dropped = self._take_stale()
            entry = monotonic(), connection
            self._idle.append(entry)
            if self._is_closed:
                dropped += self._take_all()
            elif len(self._idle) > MAXIMUM_IDLE:
                dropped.append(self._idle.popleft()[1])
        _close_all(dropped)

    def close(self) -> None:
        """Close what is idle; connections that are out are closed when they are released."""
        with self._lock:
            self._is_closed = True
            idle = self._take_all()
        _close_all(idle)

    def abandon(self) -> None:
        """In a forked child: close its copies of what is idle, which the parent goes on using.

        No lock is taken: it may be held by a thread that does not exist here. Closing sends nothing.
        """
        if self._resolver is not None:
            self._resolver.begin_anew()
        while self._idle:
            self._idle.popleft()[1].close()

    def _take_all(self) -> list[Connection]:
        taken, self._idle = self._idle, deque()
        return [connection for _, connection in taken]

    def _take_stale(self) -> list[Connection]:
        idle, oldest = self._idle, monotonic() - MAXIMUM_IDLE_SECONDS
        stale = []
        while idle and idle[0][0] < oldest:
            stale.append(idle.popleft()[1])
        return stale

    def _take_idle(self, origin: Origin, avoiding: Peer | None) -> Connection | None:
        idle = self._idle
        for index in range(len(idle) - 1, -1, -1):
            connection = idle[index][1]
            if connection.origin == origin and not _is_unwanted(connection, avoiding):
                del idle[index]
                return connection
        return None


def _is_unwanted(connection: Connection, avoiding: Peer | None) -> bool:
    if avoiding is not None and connection.peer == avoiding and avoiding.has_others:
        return True
    return connection.is_shunned


def _close_all(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()


def connection_options(config: Config) -> tuple[object, ...]:
    """The options that connections are made by, but for `ca_bundle`: where they differ, none can be shared."""
    return (
        config.proxy,
        config.insecure,
        config.connect_timeout,
        config.response_timeout,
        config.stall_timeout,
        config.limit_rate,
    )
