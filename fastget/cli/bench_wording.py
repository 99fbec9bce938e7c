"""What a measurement came to, in sentences: the verdict, its reasons, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.cli.quantities import count_text, percent_text, rate_text, seconds_text, size_text
from fastget.core.bottleneck import AS_GOOD, BUSY, WAITING, Limit
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fastget.core.bottleneck import Cell, Verdict
    from fastget.engine.bench.by_itself import ByItself
    from fastget.engine.bench.link import Digest, Way

# The largest number of connections that fastget takes by itself.
_BY_ITSELF = 32
# Such a share of the rate that a limit of the caller's own allows is that limit.
OWN_LIMIT = 0.8


@record
class Findings:
    """All that was found out, for people."""

    verdict: Verdict
    cells: tuple[Cell, ...]
    cores: float
    way: Way | None = None
    digesting: Digest | None = None
    disk_rate: float | None = None
    itself: ByItself | None = None
    limit_rate: int | None = None
    is_complete: bool = True

    @property
    def is_held_back(self) -> bool:
        """Whether the rate is that of the caller's own limit, and no disk is slower than that."""
        limit, best = self.limit_rate, self.verdict.best
        if limit is None or best is None or self.verdict.limit is Limit.DISK:
            return False
        return best.rate >= limit * OWN_LIMIT


def wait_text(seconds: float | None) -> str:
    """A short time: 0.42 ms, 31 ms, 1.2 s."""
    if seconds is None:
        return ""
    if seconds >= 0.9995:
        return seconds_text(seconds)
    return f"{seconds * 1000:.2f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"


def headline(found: Findings) -> str:
    """The verdict in one sentence."""
    if found.is_held_back:
        return f"FASTGET_LIMIT_RATE, which allows {rate_text(found.limit_rate or 0)} over all connections"
    return _HEADLINES[found.verdict.limit](found)


def reasons(found: Findings) -> Iterator[str]:
    """The numbers behind it, a sentence each."""
    verdict = found.verdict
    best, alone = verdict.best, verdict.alone
    if best is None or alone is None:
        return
    if verdict.growth is not None:
        peak = best.connections if best.part_size == alone.part_size else _peak(found, alone).connections
        times = (peak / max(alone.connections, 1)) ** verdict.growth
        fewer, more = count_text(alone.connections, "connection"), count_text(peak, "connection")
        yield f"{more} brought {times:.1f} times what {fewer} did"
    if verdict.refused > 0 and verdict.limit is not Limit.THROTTLING:
        yield f"{percent_text(verdict.refused)} of the answers asked for fewer requests (429, 503)"
    if verdict.limit is not Limit.LATENCY:
        yield f"connections waited {percent_text(best.waiting)} of their time for first bytes"
    if verdict.limit not in (Limit.CPU, Limit.TLS):
        yield _busy(found)
        if best.is_machine_busy:
            yield f"other work keeps this machine busy ({percent_text(best.machine or 0.0)}): measure again without it"
    if verdict.is_noisy:
        yield f"the rate varied by {percent_text(best.spread)}: another run may say otherwise"
    if not found.is_complete:
        yield "not everything was measured"


def advice(found: Findings) -> Iterator[str]:
    """What to do, a sentence each: what fastget does by itself, what flags reached, what would help."""
    best, itself = found.verdict.best, found.itself
    if best is None:
        return
    if found.is_held_back:
        yield "measure without it: FASTGET_LIMIT_RATE= fastget bench URL"
        return
    flags = f"--connections {best.connections} --part-size {_flag_size(best.part_size)}"
    reached = f"{flags} reached {rate_text(best.rate)}"
    if itself is None:
        yield reached
    else:
        used = count_text(itself.connections, "connection")
        yield f"by itself fastget took {used} and reached {rate_text(itself.rate)}; {reached}"
        if itself.rate >= best.rate * AS_GOOD**2:
            yield "no flag is needed"
        elif found.verdict.limit is not Limit.THROTTLING:
            yield f"try {flags}"
    if (more := _MORE.get(found.verdict.limit)) is not None:
        yield more
    if found.verdict.is_open_ended and best.connections >= _BY_ITSELF:
        yield f"it was still growing: measure --connections {best.connections},{best.connections * 2}"


def _flag_size(size: int) -> str:
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)


def _peak(found: Findings, alone: Cell) -> Cell:
    """The fastest of the cells that differ by their connections alone."""
    return max((cell for cell in found.cells if cell.part_size == alone.part_size), key=lambda cell: cell.rate)


def _throttling(found: Findings) -> str:
    return f"the server throttles: {percent_text(found.verdict.refused)} of its answers were 429 or 503"


def _disk(found: Findings) -> str:
    return f"the disk: it takes {rate_text(found.disk_rate or 0.0)}, the network brings {_best_rate(found)}"


def _latency(found: Findings) -> str:
    best = found.verdict.best
    waiting = percent_text(best.waiting if best else WAITING)
    wait = wait_text(best.first_byte if best else None)
    return f"the server's answers: connections wait {waiting} of their time for first bytes, {wait} for each"


def _per_connection(found: Findings) -> str:
    best = found.verdict.best
    each = rate_text(best.rate / best.connections if best else 0.0)
    return f"each connection: they carry about {each} each, and the rate grows with their number"


def _slots(_: Findings) -> str:
    return "the server serves only so many connections at a time: others got nothing meanwhile"


def _tls(found: Findings) -> str:
    handshake = found.way.handshake if found.way else None
    cipher = (handshake.cipher if handshake else None) or "TLS"
    user = percent_text(found.verdict.best.user if found.verdict.best else 0.0)
    return f"decryption: {_busy(found)}, {user} of that outside of the system, which is {cipher}"


def _cpu(found: Findings) -> str:
    best = found.verdict.best
    if best is not None and found.verdict.busy < BUSY:
        busy = percent_text(best.machine or 0.0)
        return f"the processor: this machine is {busy} busy, though {_busy(found)}"
    return f"the processor: {_busy(found)}"


def _busy(found: Findings) -> str:
    cores = found.verdict.best.cores if found.verdict.best else 0.0
    return f"fastget kept {cores:.2f} of {found.cores:g} cores busy"


def _network(found: Findings) -> str:
    best = found.verdict.best
    count = count_text(best.connections if best else 0, "connection")
    return f"the network, or the server as a whole: past {count} more bring little, and nothing here is busy"


def _unknown(found: Findings) -> str:
    if found.verdict.best is None:
        return "not known: nothing came within the time of a measurement; try a larger --seconds"
    return "not known: one number of connections says too little; measure --connections 1,4,16"


def _best_rate(found: Findings) -> str:
    return rate_text(found.verdict.best.rate if found.verdict.best else 0.0)


_HEADLINES: Mapping[Limit, Callable[[Findings], str]] = {
    Limit.THROTTLING: _throttling,
    Limit.DISK: _disk,
    Limit.LATENCY: _latency,
    Limit.PER_CONNECTION: _per_connection,
    Limit.SLOTS: _slots,
    Limit.TLS: _tls,
    Limit.CPU: _cpu,
    Limit.NETWORK: _network,
    Limit.UNKNOWN: _unknown,
}
_MORE: Mapping[Limit, str] = {
    Limit.THROTTLING: "a download sends fewer requests when it is asked to; larger pieces (--part-size) need fewer",
    Limit.DISK: "a faster disk would help; --no-fsync leaves out the wait for the last flush",
    Limit.LATENCY: "larger pieces (--part-size) and more connections hide the wait; a store that is nearer ends it",
    Limit.SLOTS: "more connections than the server serves only wait",
    Limit.TLS: "more or faster cores would help",
    Limit.CPU: "more or faster cores would help, and less other work on this machine",
    Limit.NETWORK: "which of the two it is, another server or another machine would tell",
}


def fact_lines(found: Findings) -> Iterator[tuple[str, str]]:
    """What was measured beside the rates, as a label and a text each."""
    if found.way is not None:
        server = f", server {found.way.server}" if found.way.server else ""
        yield "object", f"{size_text(found.way.size)}{server}"
        if (handshake := found.way.handshake) is not None:
            tls = "" if handshake.tls is None else f", TLS {wait_text(handshake.tls)}"
            named = "" if handshake.tls is None else f" ({handshake.version}, {handshake.cipher})"
            yield "connection", f"{wait_text(handshake.connect)}{tls}{named}"
    yield from _answer_lines(found)
    if found.digesting is not None:
        algorithm, rate = found.digesting
        yield "digest", f"{algorithm.value.upper()} at {rate_text(rate)} on one core"
    if found.disk_rate is not None:
        yield "disk", f"{rate_text(found.disk_rate)}, flushed"


def _answer_lines(found: Findings) -> Iterator[tuple[str, str]]:
    windows = [window for cell in found.cells for window in cell.windows]
    answers, throttled = sum(len(window.first_bytes) for window in windows), sum(w.throttled for w in windows)
    failed, received = sum(window.failed for window in windows), sum(window.received for window in windows)
    yield "answers", f"{answers}, {throttled} throttled, {count_text(failed, 'failure')}"
    best = found.verdict.best
    if best is not None and best.first_byte is not None:
        yield "first byte", f"{wait_text(best.first_byte)}, 95% within {wait_text(best.wait_of(0.95))}"
    if received:
        cost = sum(window.processor for window in windows) / received * 2**30
        user = sum(window.user for window in windows) / max(sum(window.processor for window in windows), 1e-9)
        yield "processor", f"{cost:.2f} s for a GiB, {percent_text(min(user, 1.0))} outside of the system"
