"""From a host name to a connected socket."""

from __future__ import annotations

import errno
import os
import re
import selectors
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from fastget.errors import NetworkError, Stalled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.transport.cancellation import Cancellation

# How long one address may keep the next from being tried (RFC 8305 §5).
_STAGGER = 0.25
# Addresses come from a server (DNS): they are bounded as everything is that a server says.
_MAXIMUM_ADDRESSES = 16
# RFC 6052 §2.1: 64:ff9b::/96, behind which a gateway reaches IPv4.
_NAT64 = bytes.fromhex("0064ff9b0000000000000000")
_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){3}")
_REFUSED_HINT = "check that the server is running, and that the port is the right one"


class Address(NamedTuple):
    """One answer of getaddrinfo, ready for a socket."""

    family: int
    kind: int
    protocol: int
    name: Any


def dial(
    host: str, port: int, timeout: float, cancellation: Cancellation, *, public_only: bool = False
) -> socket.socket:
    """Connect to whichever address of `host` answers first, all within `timeout` seconds of the last start.

    The addresses are tried in the order of getaddrinfo, the next one when one fails or is slow. The socket
    comes back non-blocking, and watched by `cancellation`. Name resolution itself cannot be interrupted.

    Raises NetworkError (name, or every address failed, or none is public where `public_only`), Stalled (no address
    answered in time), Cancelled.
    """
    addresses = resolve(host, port)
    if public_only:
        addresses = [address for address in addresses if is_public(address.name[0])]
        if not addresses:
            raise into_private(host)
    cancellation.check()
    with Race(cancellation) as race:
        for address in addresses:
            race.start(address)
            if winner := race.wait(timeout if address is addresses[-1] else min(_STAGGER, timeout)):
                return winner
        cancellation.check()
        raise race.failure(f"{host} port {port}", timeout)


def resolve(host: str, port: int) -> Sequence[Address]:
    """The addresses of a host, best first. Raises NetworkError when the name has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise unresolved(host, error) from error
    except UnicodeError:
        raise NetworkError(f"the host name {host} is not a valid one", is_transient=False) from None
    return [Address(family, kind, protocol, name) for family, kind, protocol, _, name in found][:_MAXIMUM_ADDRESSES]


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


def is_loopback(host: str) -> bool:
    """Whether a host, by its name alone, is this machine (RFC 6761 §6.3, RFC 1122 §3.2.1.3)."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or name == "::1" or _LOOPBACK.fullmatch(name) is not None


def into_private(host: str) -> NetworkError:
    """Why a redirect is not followed: it may be meant to make this machine ask what its sender cannot reach."""
    return NetworkError(
        f"a redirect leads from the open internet to {host}, which is in a private network",
        hint="if that is meant, fetch the URL that it leads to by yourself",
        is_transient=False,
    )


def unresolved(host: str, error: socket.gaierror) -> NetworkError:
    """What a failed name resolution means; asking again helps only where the name server kept silent."""
    is_transient = error.errno == socket.EAI_AGAIN
    return NetworkError(
        f"the host name {host} cannot be resolved: {error.strerror}",
        hint="the name server did not answer" if is_transient else "check the spelling of the host name",
        is_transient=is_transient,
    )


class Race:
    """Connection attempts that run side by side; the losers are closed at the end."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._selector = selectors.DefaultSelector()
        self._running: set[socket.socket] = set()
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
            self._error = self._error or error
            return
        try:
            self._cancellation.watch(sock)
            sock.setblocking(False)
            sock.connect(address.name)
        except BlockingIOError:
            pass
        except OSError as error:
            self._error = self._error or error
            self._cancellation.close(sock)
            return
        except BaseException:
            self._cancellation.close(sock)
            raise
        self._running.add(sock)
        self._selector.register(sock, selectors.EVENT_WRITE)

    def wait(self, seconds: float) -> socket.socket | None:
        """The first socket that connects within `seconds`; None sooner when every attempt has failed."""
        deadline = time.monotonic() + seconds
        while self._running and (left := deadline - time.monotonic()) > 0:
            ready = self._selector.select(min(left, _STAGGER))
            self._cancellation.check()
            for key, _ in ready:
                sock = cast("socket.socket", key.fileobj)
                if self._settle(sock):
                    return sock
        return None

    def _settle(self, sock: socket.socket) -> bool:
        self._selector.unregister(sock)
        self._running.discard(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._error = self._error or OSError(code, os.strerror(code))
            self._cancellation.close(sock)
        return not code

    def failure(self, peer: str, timeout: float) -> NetworkError:
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
