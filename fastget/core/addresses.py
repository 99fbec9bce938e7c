"""Which of a host's addresses the next connection goes to: the good ones in turn, the bad ones last, for a while.

Told what name resolution has found, which connections are open and what went wrong with them, it answers with an order.
The first connection takes the order of getaddrinfo (RFC 6724); each further one the address with the fewest. Times are
seconds on a monotonic clock, and come from the caller, who holds a lock around every call.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from fastget.records import state

if TYPE_CHECKING:
    from collections.abc import Iterable

# Addresses come from a server (DNS): they are bounded as everything is that a server says.
MOST_ADDRESSES = 16
# However often an address has failed, it is among the first again after so long: machines are repaired.
LONGEST_PENALTY = 300.0


class Address(NamedTuple):
    """One answer of getaddrinfo, ready for a socket. `name` is the socket address: IP address, port, and more."""

    family: int
    kind: int
    protocol: int
    name: Any

    def __str__(self) -> str:
        return str(self.name[0])


class Trouble(Enum):
    """What an address is blamed for."""

    UNREACHABLE = "no connection was accepted"
    HANDSHAKE = "TLS could not be agreed on"
    SILENT = "nothing came for longer than a timeout"
    BROKEN = "the connection broke, or HTTP did"
    FAILING = "the server there answers that it has failed"
    SLOW = "it was much slower than the others"
    DAMAGED = "its bytes were not the declared ones"
    DIFFERENT = "it has another version of the object"


# Seconds for which other addresses go first. What may be chance is soon forgiven; what is no chance is doubled each
# time that it comes back.
_PENALTIES = {
    Trouble.UNREACHABLE: 15.0,
    Trouble.HANDSHAKE: 15.0,
    Trouble.SILENT: 60.0,
    Trouble.BROKEN: 2.0,
    Trouble.FAILING: 2.0,
    Trouble.SLOW: 5.0,
    Trouble.DAMAGED: LONGEST_PENALTY,
    Trouble.DIFFERENT: 30.0,
}
# More than the longest penalty, and far from what no number holds: thousands may try one server in vain.
_DOUBLED = 10
_MAY_BE_CHANCE = frozenset({Trouble.BROKEN, Trouble.FAILING, Trouble.SLOW})


@state
class _Record:
    """What is held against one address, and until when."""

    until: float
    strikes: int = 0


class AddressBook:
    """The addresses of one host and port. Nothing is ever left out of an order: where all are bad, all are tried."""

    def __init__(self) -> None:
        self._found: tuple[Address, ...] = ()
        self._open: dict[Address, int] = {}
        self._records: dict[Address, _Record] = {}
        self._answered: set[Address] = set()
        self._last_trouble = float("-inf")

    @property
    def found(self) -> tuple[Address, ...]:
        """The addresses as name resolution gave them, best first."""
        return self._found

    @property
    def has_choice(self) -> bool:
        """Whether there are several addresses, and something is held against one: else every one is welcome."""
        return bool(self._records) and len(self._found) > 1

    def update(self, found: Iterable[Address], now: float) -> None:
        """Name resolution has answered. What is held against an address stays, also while it is not among these."""
        self._found = tuple(dict.fromkeys(found))[:MOST_ADDRESSES]
        self._records = {
            address: record
            for address, record in self._records.items()
            if address in self._found or record.until > now  # a store shows a few of its many addresses at a time
        }
        self._answered &= {*self._found, *self._open, *self._records}

    def order(self, now: float, avoiding: Address | None = None) -> list[Address]:
        """All addresses, in the order in which to try them: the good ones, least loaded first, then the bad ones.

        The one to avoid comes after the other good ones. Of the bad ones that comes first whose time is up first.
        """
        return [address for _, address in sorted(self._ranked(now, avoiding), key=lambda ranked: ranked[0])]

    def _ranked(self, now: float, avoiding: Address | None) -> Iterable[tuple[tuple[float, bool, int, int], Address]]:
        for place, address in enumerate(self._found):
            penalty = max(self._until(address) - now, 0.0)
            yield (penalty, address == avoiding, self._open.get(address, 0), place), address

    def _until(self, address: Address) -> float:
        record = self._records.get(address)
        return record.until if record is not None else float("-inf")

    def opened(self, address: Address) -> None:
        """A connection to the address is open, or on its way."""
        self._open[address] = self._open.get(address, 0) + 1

    def closed(self, address: Address) -> None:
        """One of them is not any more."""
        left = self._open.pop(address, 0) - 1
        if left > 0:
            self._open[address] = left

    def answered(self, address: Address) -> None:
        """A request to the address was answered, whatever with."""
        self._answered.add(address)

    def is_mute(self, address: Address, now: float) -> bool:
        """Whether the address has never answered, while another one has, and there is one to go to that may."""
        if not self._answered or address in self._answered:
            return False
        others = [other for other in self._found if other != address]
        return any(other in self._answered or self._until(other) <= now for other in others)

    def blame(self, address: Address, trouble: Trouble, now: float) -> None:
        """Hold something against an address. What weighs more already goes on doing so."""
        record = self._records.setdefault(address, _Record(now))
        seconds = _PENALTIES[trouble]
        if trouble not in _MAY_BE_CHANCE:
            record.strikes = record.strikes + 1 if now - record.until < LONGEST_PENALTY else 1
            seconds = min(seconds * 2.0 ** min(record.strikes - 1, _DOUBLED), LONGEST_PENALTY)
        record.until = max(record.until, now + seconds)
        self._last_trouble = now

    def is_shunned(self, address: Address, now: float) -> bool:
        """Whether an address is bad and another one is not: connections to it are better replaced."""
        if not self.has_choice or self._until(address) <= now:
            return False
        return self.has_good(now)

    def has_good(self, now: float) -> bool:
        """Whether nothing is held against at least one address."""
        return any(self._until(address) <= now for address in self._found)

    def is_worth_a_question(self, now: float, asked: float) -> bool:
        """Whether all are bad, and one of them became so after name resolution was last asked."""
        return self._last_trouble > asked and not self.has_good(now)
