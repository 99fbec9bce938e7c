"""What limits a link: from measurements of it to a verdict, by ratios alone.

Rates are in bytes a second, times in seconds. No decision looks at an absolute rate or time, so that a link which is a
thousand times as fast gets the same verdict.
"""

from __future__ import annotations

import math
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from fastget.records import frozen, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What is gained, in exponents of the number of connections: 1 where each brings as much as the first, 0 for nothing.
LINEAR, FLAT = 0.7, 0.3
# Fewer connections are as good where they reach this share of the highest rate.
AS_GOOD = 0.95
# Shares: of answers that ask for fewer requests, of connections without a byte, of time spent waiting for answers.
REFUSED, SILENT, WAITING = 0.05, 0.25, 0.5
# Shares of the processor: this program's own of what it may use; or everybody's of the machine, where this program has
# a part in it that counts (a link that needs next to no processor is not held up by one that others use).
BUSY = 0.8
MACHINE_BUSY, PART_IN_IT = 0.9, 0.15
# Over TLS nearly all of the time outside of the system is decryption: from this share on it is what the processor does.
DECRYPTING = 0.5
# A disk that is slower than this share of the network is waited for.
DISK = 0.95
# Windows of one cell that differ by more than this are told of.
NOISY = 0.3


class Limit(StrEnum):
    """What keeps a download from being faster."""

    THROTTLING = "throttling"
    """The server answers 429 or 503: it wants fewer requests."""
    DISK = "disk"
    LATENCY = "latency"
    """Connections wait for the first bytes of answers most of the time."""
    PER_CONNECTION = "per-connection"
    """Every connection carries the same, however many there are."""
    SLOTS = "slots"
    """The server serves only some of the connections at a time."""
    TLS = "tls"
    CPU = "cpu"
    NETWORK = "network"
    """More connections bring nothing more, and nothing here is busy: the link, or the server as a whole."""
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Window:
    """One measurement: `received` bytes in `seconds` over so many connections, in pieces of `part_size` bytes.

    `first_bytes` are the waits for answers; `throttled` and `failed` count the answers 429 and 503 and every other
    failure: these three also of the moment before the clock was started. `waiting` is the time that all connections
    together spent in waiting for answers. `flows` are the bytes of each connection. `processor` seconds are this
    program's, `user` those of them that were not the system's. `machine` is the busy share of all cores of the machine,
    None where that is not known.
    """

    connections: int
    part_size: int
    seconds: float
    received: int
    first_bytes: tuple[float, ...] = ()
    waiting: float = 0.0
    throttled: int = 0
    failed: int = 0
    flows: tuple[int, ...] = ()
    processor: float = 0.0
    user: float = 0.0
    machine: float | None = None

    @property
    def rate(self) -> float:
        return _ratio(self.received, self.seconds)


@record
class Cell:
    """All windows of one number of connections and one size of pieces; there is at least one."""

    connections: int
    part_size: int
    windows: tuple[Window, ...]

    @property
    def rate(self) -> float:
        """The median of the windows' rates."""
        return median(window.rate for window in self.windows)

    @property
    def spread(self) -> float:
        """From the slowest window to the fastest, as a share of the median."""
        rates = [window.rate for window in self.windows]
        return _ratio(max(rates) - min(rates), self.rate)

    @property
    def first_byte(self) -> float | None:
        """The median wait for an answer."""
        return self.wait_of(0.5)

    @property
    def waiting(self) -> float:
        """The share of the connections' time that went by in waiting for answers."""
        waited = sum(window.waiting for window in self.windows)
        return min(1.0, _ratio(waited, sum(window.seconds * window.connections for window in self.windows)))

    @property
    def refused(self) -> float:
        """The share of answers that ask for fewer requests."""
        throttled = sum(window.throttled for window in self.windows)
        return _ratio(throttled, throttled + sum(len(window.first_bytes) for window in self.windows))

    @property
    def failed(self) -> int:
        return sum(window.failed for window in self.windows)

    @property
    def silent(self) -> float:
        """The share of connections that delivered nothing."""
        flows = [flow for window in self.windows for flow in window.flows]
        return _ratio(sum(flow == 0 for flow in flows), len(flows))

    @property
    def cores(self) -> float:
        """Cores that this program kept busy."""
        return _ratio(sum(window.processor for window in self.windows), sum(window.seconds for window in self.windows))

    @property
    def user(self) -> float:
        """The share of the processor time that was not the system's."""
        used = sum(window.processor for window in self.windows)
        return min(1.0, _ratio(sum(window.user for window in self.windows), used))

    @property
    def machine(self) -> float | None:
        known = [window.machine for window in self.windows if window.machine is not None]
        return median(known) if known else None

    @property
    def is_machine_busy(self) -> bool:
        """Whether the machine has no processor left, whoever uses it."""
        return self.machine is not None and self.machine >= MACHINE_BUSY

    def wait_of(self, share: float) -> float | None:
        """The wait for an answer that this share of all waits does not exceed; None without any."""
        waits = sorted(wait for window in self.windows for wait in window.first_bytes)
        return waits[min(len(waits) - 1, int(share * len(waits)))] if waits else None


@record
class Facts:
    """What was measured: the cells, and what lies around them.

    `cores` is the number that this program may use. `disk_rate` is that of the destination, None where none was asked
    for.
    """

    cells: tuple[Cell, ...]
    cores: float = 1.0
    is_encrypted: bool = False
    disk_rate: float | None = None


@record
class Verdict:
    """What limits, and by which numbers that was decided.

    `also` is what would limit next, or limits some of it. `best` is the cheapest cell that is as good as any, `alone`
    the one of the fewest connections. `growth` is the exponent between those two. `is_open_ended`: the largest number
    of connections was still a gain. `busy` is the share of the usable cores that this program kept busy in the best
    cell.
    """

    limit: Limit
    also: tuple[Limit, ...] = ()
    best: Cell | None = None
    alone: Cell | None = None
    growth: float | None = None
    is_open_ended: bool = False
    busy: float = 0.0
    refused: float = 0.0

    @property
    def is_noisy(self) -> bool:
        """Whether the rates varied so much that another run may say otherwise."""
        return self.best is not None and self.best.spread > NOISY


def cells_of(windows: Iterable[Window]) -> tuple[Cell, ...]:
    """The windows by number of connections and size of pieces, in that order."""
    found: dict[tuple[int, int], list[Window]] = {}
    for window in windows:
        found.setdefault((window.connections, window.part_size), []).append(window)
    return tuple(Cell(*key, tuple(found[key])) for key in sorted(found))


def best_of(cells: Sequence[Cell]) -> Cell:
    """The cell with the fewest connections of those that are as good as the fastest; of these, the best known one."""
    highest = max(cell.rate for cell in cells)
    as_good = [cell for cell in cells if cell.rate >= highest * AS_GOOD]
    fewest = min(cell.connections for cell in as_good)
    leanest = [cell for cell in as_good if cell.connections == fewest]
    return max(leanest, key=lambda cell: (len(cell.windows), cell.rate))


def judge(facts: Facts) -> Verdict:
    """What limits the link. It never fails; where the facts do not say, the limit is UNKNOWN."""
    cells = [cell for cell in facts.cells if cell.rate > 0]
    if not cells:
        refused = max((cell.refused for cell in facts.cells), default=0.0)
        return Verdict(Limit.THROTTLING if refused >= REFUSED else Limit.UNKNOWN, refused=refused)
    return _Judgement(facts, cells).verdict()


class _Judgement:
    """One look at the facts: the ladder is what one size of pieces reached by number of connections."""

    def __init__(self, facts: Facts, cells: Sequence[Cell]) -> None:
        self._facts = facts
        self._best = best_of(cells)
        self._ladder = _ladder(cells)
        self._peak = best_of(self._ladder)
        self._above = [cell for cell in self._ladder if cell.connections > self._peak.connections]
        below = [cell for cell in self._ladder if cell.connections < self._peak.connections]
        self._growth = _exponent(below[0], self._peak) if below else None
        self._last_growth = _exponent(below[-1], self._peak) if below else None
        counts = {self._peak.connections, *(cell.connections for cell in self._above[:1])}
        near = [cell for cell in facts.cells if cell.connections in counts]
        self._refused = max((cell.refused for cell in near), default=0.0)
        self._busy = min(1.0, _ratio(self._best.cores, facts.cores))

    def verdict(self) -> Verdict:
        found = [limit for limit, holds in self._rules() if holds]
        limit, *also = found or [Limit.UNKNOWN]
        return Verdict(
            limit=limit,
            also=tuple(also),
            best=self._best,
            alone=self._ladder[0],
            growth=self._growth,
            is_open_ended=not self._above and self._last_growth is not None and self._last_growth > FLAT,
            busy=self._busy,
            refused=self._refused,
        )

    def _rules(self) -> Sequence[tuple[Limit, bool]]:
        """In the order of how sure a sign each is."""
        is_capped = not self._above and self._is_linear
        is_busy = self._is_busy and not is_capped
        is_decrypting = self._facts.is_encrypted and self._best.user >= DECRYPTING and self._busy >= BUSY
        disk = self._facts.disk_rate
        is_waiting = self._best.waiting >= WAITING
        has_settled = len(self._ladder) > 1 and not is_capped
        return (
            (Limit.THROTTLING, self._refused >= REFUSED),
            (Limit.DISK, disk is not None and disk < self._best.rate * DISK),
            (Limit.LATENCY, is_waiting),
            (Limit.PER_CONNECTION, is_capped and not is_waiting),
            (Limit.SLOTS, self._has_slots()),
            (Limit.TLS, is_busy and is_decrypting),
            (Limit.CPU, is_busy and not is_decrypting),
            (Limit.NETWORK, has_settled and not is_busy and not self._has_slots()),
        )

    @property
    def _is_linear(self) -> bool:
        growths = (self._growth, self._last_growth)
        return all(growth is not None and growth >= LINEAR for growth in growths)

    @property
    def _is_busy(self) -> bool:
        return self._busy >= BUSY or (self._best.is_machine_busy and self._busy >= PART_IN_IT)

    def _has_slots(self) -> bool:
        """Whether further connections get nothing while the others go on as before."""
        crowded = [cell for cell in self._above if cell.rate >= self._peak.rate * LINEAR]
        return any(cell.silent >= SILENT and not cell.refused for cell in crowded)


def _ladder(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of the size of pieces that was tried with most numbers of connections, by that number."""
    by_size: dict[int, list[Cell]] = {}
    for cell in cells:
        by_size.setdefault(cell.part_size, []).append(cell)
    longest = max(by_size.values(), key=len)
    return sorted(longest, key=lambda cell: cell.connections)


def _exponent(fewer: Cell, more: Cell) -> float:
    """How the rate grows with the number of connections: 1 in proportion, 0 not at all."""
    return math.log(more.rate / fewer.rate) / math.log(more.connections / fewer.connections)


def _ratio(some: float, of: float) -> float:
    return some / of if of > 0 else 0.0
