"""From the addresses of a host to a connected socket."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from typing import TYPE_CHECKING, Self

from fastget.core.addresses import Trouble
from fastget.errors import NetworkError, Stalled
from fastget.interrupts import is_of_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from fastget.core.addresses import Address
    from fastget.transport.cancellation import SocketCancellation
    from fastget.transport.resolver import Host

# How long one address may keep the next from being tried (RFC 8305 §5).
_STAGGER = 0.25
# So many addresses are named in an error.
_MOST_SHOWN = 4
# What this machine has run out of is held against no address.
_OUR_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN})
# RFC 6052 §2.1: 64:ff9b::/96, behind which a gateway reaches IPv4.
_NAT64 = bytes.fromhex("0064ff9b0000000000000000")
_REFUSED_HINT = "check that the server is running, and that the port is the right one"


def dial(
    host: Host,
    timeout: float,
    cancellation: SocketCancellation,
    *,
    public_only: bool = False,
    without: Collection[Address] = (),
    avoiding: Address | None = None,
) -> tuple[socket.socket, Address]:
    """Connect to an address of `host`, all within `timeout` seconds of the last start; the address counts as open.

    The addresses are tried in the order that the host gives, but for those `without` which it is to go, and the one to
    avoid after other good ones; the next one when one fails or is slow. What failed is remembered by the host. The
    socket comes back non-blocking, and watched by `cancellation`.

    Raises NetworkError (name, or every address failed, or none is public where `public_only`), Stalled (no address
    answered in time, or no name server), Cancelled.
    """
    host.resolve(timeout, cancellation)
    addresses = host.reserve(admission(public_only=public_only, without=without), avoiding)
    if not addresses:
        raise into_private(host.name)
    winner = None
    try:
        cancellation.check()
        with Race(cancellation) as race:
            winner = _run(race, addresses, timeout)
            if winner is None:
                cancellation.check()
                failure = race.failure(_called(host, addresses), timeout)
                _blame(host, race.losers)
                raise failure
            _blame(host, race.losers)
            return winner
    finally:
        if winner is None or winner[1] != addresses[0]:
            host.closed(addresses[0])
            if winner is not None:
                host.opened(winner[1])


def _run(race: Race, addresses: Sequence[Address], timeout: float) -> tuple[socket.socket, Address] | None:
    for address in addresses:
        race.start(address)
        if winner := race.wait(timeout if address is addresses[-1] else min(_STAGGER, timeout)):
            return winner
    return None


def _blame(host: Host, losers: Iterable[Address]) -> None:
    for address in losers:
        host.blame(address, Trouble.UNREACHABLE)


def _called(host: Host, addresses: Sequence[Address]) -> str:
    """What an error calls the peer; the addresses are named where they are not the name itself."""
    shown = [str(address) for address in addresses[:_MOST_SHOWN]]
    if shown == [host.name]:
        return f"{host.name} port {host.port}"
    more = f" and {len(addresses) - len(shown)} more" if len(addresses) > len(shown) else ""
    return f"{host.name} ({', '.join(shown)}{more}) port {host.port}"


def admission(*, public_only: bool, without: Collection[Address]) -> Callable[[Address], bool]:
    """Which addresses come into question."""
    return lambda address: address not in without and (not public_only or is_public(address.name[0]))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not this machine's, not a private or link-local one.

    The registries of special addresses are those of `ipaddress`; an IPv4 address within an IPv6 one counts as itself.
    """
    from ipaddress import IPv4Address, IPv6Address, ip_address

    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.packed.startswith(_NAT64):
            return IPv4Address(found.packed[-4:]).is_global
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast


def into_private(host: str) -> NetworkError:
    """Why a redirect is not followed: it may be meant to make this machine ask what its sender cannot reach."""
    return NetworkError(
        f"a redirect leads from the open internet to {host}, which is in a private network",
        hint="if that is meant, fetch the URL that it leads to by yourself",
        is_transient=False,
    )


class Race:
    """Connection attempts that run side by side. Those that are still under way at the end are closed.

    `losers` are the addresses that failed, or that were left behind by one which was tried later.
    """

    def __init__(self, cancellation: SocketCancellation) -> None:
        self.losers: list[Address] = []
        self._cancellation = cancellation
        self._selector = selectors.DefaultSelector()
        self._running: dict[socket.socket, Address] = {}
        self._error: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._selector.close()
        for sock in self._running:
            self._cancellation.close(sock)

    def start(self, address: Address) -> None:
        try:
            sock = socket.socket(address.family, address.kind, address.protocol)
        except OSError as error:  # no such family on this machine, or no descriptors left
            self._fail(address, error)
            return
        try:
            self._cancellation.watch(sock)
            sock.setblocking(False)
            sock.connect(address.name)
        except BlockingIOError:
            pass
        except OSError as error:
            self._cancellation.close(sock)
            self._fail(address, error)
            return
        except BaseException:
            self._cancellation.close(sock)
            raise
        self._running[sock] = address
        self._selector.register(sock, selectors.EVENT_WRITE)

    def _fail(self, address: Address, error: OSError) -> None:
        if is_of_handler(error):
            raise error
        self._error = self._error or error
        if error.errno not in _OUR_OWN:
            self.losers.append(address)

    def wait(self, seconds: float) -> tuple[socket.socket, Address] | None:
        """The first socket that connects within `seconds`; None sooner when every attempt has failed."""
        deadline = time.monotonic() + seconds
        while self._running and (left := deadline - time.monotonic()) > 0:
            ready = {key.fileobj for key, _ in self._selector.select(min(left, _STAGGER))}
            self._cancellation.check()
            for sock in [sock for sock in self._running if sock in ready]:
                if (address := self._settle(sock)) is not None:
                    return sock, address
        return None

    def _settle(self, sock: socket.socket) -> Address | None:
        """The address of a socket that has connected; None for one that has failed."""
        self._selector.unregister(sock)
        earlier = list(self._running.values())
        address = self._running.pop(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            self.losers += earlier[: earlier.index(address)]
            return address
        self._fail(address, OSError(code, os.strerror(code)))
        self._cancellation.close(sock)
        return None

    def failure(self, peer: str, timeout: float) -> NetworkError:
        """Why none has connected. What is still under way is lost."""
        self.losers += self._running.values()
        if self._error is None:
            return Stalled(
                f"{peer} did not accept a connection within {timeout:g} s", hint="check address and firewall"
            )
        error = NetworkError(
            f"cannot connect to {peer}: {self._error.strerror or self._error}",
            hint=_REFUSED_HINT if self._error.errno == errno.ECONNREFUSED else None,
        )
        error.__cause__ = self._error
        return error
