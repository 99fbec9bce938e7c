"""From host names to addresses, asked once for all connections, and what those have found out about the addresses.

The system's name resolution cannot be woken: it runs in a thread of its own, one for a host at a time, so that whoever
waits for it can leave. The thread is a daemon, and ends with the answer; where the name server keeps silent that may
take a while, which holds up neither a cancelled transfer nor the end of the interpreter.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from fastget.core.addresses import Address, AddressBook, Trouble
from fastget.errors import NetworkError, Stalled
from fastget.interrupts import Latch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastget.transport.cancellation import SocketCancellation

# Seconds after which a name is asked for again, by whoever connects next. Stores let their answers live for 5 to 60 s.
LIFETIME = 60.0
# So long a second answer is waited for; the addresses of the first one are then still good.
_STALE_PATIENCE = 0.25
# A redirect can lead anywhere: hosts come from servers, and are bounded.
_MOST_HOSTS = 256


def look_up(host: str, port: int) -> Sequence[Address]:
    """The addresses of a host as the system has them, best first. Raises gaierror, UnicodeError."""
    # As bytes: for a text the interpreter would load its tables of international names, which takes milliseconds.
    name = host.encode("ascii") if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [Address(family, kind, protocol, name) for family, kind, protocol, _, name in found]


class Peer(NamedTuple):
    """The other end of a connection: one address of a host."""

    host: Host
    address: Address

    def blame(self, trouble: Trouble) -> None:
        """Have the other addresses of the host go first for a while."""
        self.host.blame(self.address, trouble)

    @property
    def has_others(self) -> bool:
        """Whether the host has another address than this."""
        return self.host.knows(lambda address: address != self.address)

    def has_answered(self) -> None:
        """A new connection has brought its first answer."""
        self.host.has_answered(self.address)

    @property
    def is_mute(self) -> bool:
        """Whether the address has never answered, while another one of the host has, and there is one to go to."""
        return self.host.is_mute(self.address)

    @property
    def is_shunned(self) -> bool:
        """Whether the address has turned out bad, and the host has a better one."""
        return self.host.is_shunned(self.address)


class Host:
    """One host and port, for all connections to it. Safe in many threads; nobody resolves with its lock held."""

    def __init__(self, name: str, port: int, look_up: Callable[[str, int], Sequence[Address]] | None = None) -> None:
        self.name = name
        self.port = port
        self._look_up = look_up
        self._book = AddressBook()
        self._closed: deque[Address] = deque()
        self._expires = self._asked = float("-inf")
        self.begin_anew()

    def begin_anew(self) -> None:
        """In a forked child: the lock may be held, and the lookup be run, by a thread that does not exist here."""
        self._lock = threading.RLock()
        self._lookup: _Lookup | None = None

    def resolve(self, timeout: float, cancellation: SocketCancellation) -> None:
        """See to it that addresses are known, and not too old.

        Where old ones can be had, they do instead of an answer that fails or lets wait for itself. Raises NetworkError
        (no such name), Stalled (no answer within `timeout` seconds), Cancelled.
        """
        own = _Lookup(threading.get_ident())
        try:
            with self._lock:
                now = monotonic()
                if now < self._expires and not self._book.is_worth_a_question(now, self._asked):
                    return
                patience = min(timeout, _STALE_PATIENCE) if self._book.has_good(now) else timeout
                lookup = self._lookup
                # In a signal handler it may be one that this very thread was about to start: nobody would end it.
                if lookup is None or lookup.starter == own.starter:
                    lookup = self._lookup = own
                    self._asked = now
                waiter = lookup.new_waiter()
            if lookup is own:
                self._start(own)
                own.starter = None
        except BaseException:
            self._give_up(own)
            raise
        with cancellation.waking(waiter.set):
            waiter.wait(patience)
        cancellation.check()
        self._settle_for_old(lookup, timeout)

    def _settle_for_old(self, lookup: _Lookup, timeout: float) -> None:
        with self._lock:
            if self._book.found:
                if lookup is self._lookup or lookup.error is not None:
                    self._expires = monotonic() + LIFETIME
                return
        raise self._failure(lookup.error, timeout)

    def _failure(self, error: BaseException | None, timeout: float) -> BaseException:
        if error is None:
            return Stalled(
                f"the host name {self.name} was not resolved within {timeout:g} s",
                hint="the name server does not answer",
            )
        if isinstance(error, socket.gaierror):
            return unresolved(self.name, error)
        if isinstance(error, UnicodeError):
            return NetworkError(f"the host name {self.name} is not a valid one", is_transient=False)
        return error

    def _start(self, lookup: _Lookup) -> None:
        """Have the lookup run; here and now where it asks nobody, or no thread can be had."""
        if _is_literal(self.name):
            self._run(lookup)
            return
        try:
            threading.Thread(target=self._run, args=(lookup,), name="fastget-resolver", daemon=True).start()
        except RuntimeError:
            self._run(lookup)

    def _give_up(self, lookup: _Lookup) -> None:
        """Whoever was to start it was interrupted: the next one starts another."""
        with self._lock:
            if self._lookup is lookup:
                self._lookup = None
        lookup.end()

    def _run(self, lookup: _Lookup) -> None:
        found: Sequence[Address] = ()
        try:
            found = (self._look_up or look_up)(self.name, self.port)
            if not found:
                raise socket.gaierror(socket.EAI_NONAME, "it has no address")
        except BaseException as error:  # noqa: BLE001 - raised again by those who wait
            lookup.error = error
        with self._lock:
            if found:
                now = monotonic()
                self._book.update(found, now)
                self._expires = float("inf") if _is_literal(self.name) else now + LIFETIME
            if self._lookup is lookup:
                self._lookup = None
        lookup.end()

    def reserve(self, admits: Callable[[Address], bool], avoiding: Address | None = None) -> list[Address]:
        """The addresses that `admits` admits, in the order in which to try them; the first counts as open at once."""
        with self._lock:
            while self._closed:
                self._book.closed(self._closed.popleft())
            order = [address for address in self._book.order(monotonic(), avoiding) if admits(address)]
            if order:
                self._book.opened(order[0])
            return order

    def knows(self, admits: Callable[[Address], bool]) -> bool:
        """Whether there is an address that `admits` admits."""
        return any(admits(address) for address in self._book.found)

    def opened(self, address: Address) -> None:
        """A connection to the address is open."""
        with self._lock:
            self._book.opened(address)

    def closed(self, address: Address) -> None:
        """One of them is not any more."""
        # Without the lock, which this very thread may hold: the garbage collector closes what nobody has closed.
        self._closed.append(address)

    def has_answered(self, address: Address) -> None:
        """See AddressBook.answered."""
        with self._lock:
            self._book.answered(address)

    def is_mute(self, address: Address) -> bool:
        """See AddressBook.is_mute."""
        with self._lock:
            return self._book.is_mute(address, monotonic())

    def blame(self, address: Address, trouble: Trouble) -> None:
        """See AddressBook.blame."""
        with self._lock:
            self._book.blame(address, trouble, monotonic())

    def is_shunned(self, address: Address) -> bool:
        """See AddressBook.is_shunned."""
        if not self._book.has_choice:  # nearly always, and asked for every request: no lock
            return False
        with self._lock:
            return self._book.is_shunned(address, monotonic())


class _Lookup:
    """One run of name resolution, and those who wait for it. `error` is set before it ends.

    `starter` is the thread that is about to start it; None once it runs by itself.
    """

    def __init__(self, starter: int | None = None) -> None:
        self.starter = starter
        self.error: BaseException | None = None
        self._waiters: list[Latch] = []

    def new_waiter(self) -> Latch:
        """A latch of one's own, set at the end: others may set it before. To be called under the host's lock."""
        waiter = Latch()
        self._waiters.append(waiter)
        return waiter

    def end(self) -> None:
        for waiter in self._waiters:
            waiter.set()


class Resolver:
    """The hosts that the connections of one pool lead to. `look_up` replaces the system's name resolution."""

    def __init__(self, look_up: Callable[[str, int], Sequence[Address]] | None = None) -> None:
        self._look_up = look_up
        self._lock = threading.RLock()
        self._hosts: dict[tuple[str, int], Host] = {}

    def host(self, name: str, port: int) -> Host:
        """The host of that name, the same one for everybody."""
        with self._lock:
            host = self._hosts.get((name, port))
            if host is None:
                host = self._hosts[name, port] = Host(name, port, self._look_up)
                if len(self._hosts) > _MOST_HOSTS:
                    del self._hosts[next(iter(self._hosts))]
            return host

    def begin_anew(self) -> None:
        """In a forked child: see Host.begin_anew."""
        self._lock = threading.RLock()
        for host in self._hosts.values():
            host.begin_anew()


def _is_literal(host: str) -> bool:
    """Whether a host is an address already (RFC 3986 §3.2.2): then nobody is asked for it."""
    return ":" in host or host.replace(".", "").isdecimal()


def unresolved(host: str, error: socket.gaierror) -> NetworkError:
    """What a failed name resolution means; asking again helps only where the name server kept silent."""
    is_transient = error.errno == socket.EAI_AGAIN
    return NetworkError(
        f"the host name {host} cannot be resolved: {error.strerror}",
        hint="the name server did not answer" if is_transient else "check the spelling of the host name",
        is_transient=is_transient,
    )
