"""The sentences about a transfer: one for a finished object, one for each thing that went wrong."""

from __future__ import annotations

from fastget.cli.quantities import count_text, rate_text, seconds_text, size_text
from fastget.cli.terminal import printable
from fastget.events import (
    Event,
    Kept,
    Method,
    PullProgress,
    Repaired,
    Restarted,
    Result,
    Resumed,
    Retried,
    Started,
    Verification,
)
from fastget.records import record

_SAID: dict[Method, str] = {
    Method.USER_DIGEST: "the {algorithm} that was given",
    Method.FULL_OBJECT: "the {algorithm} of the whole object",
    Method.COMPOSITE: "the {algorithm} of its parts",
    Method.HTTP_DIGEST: "the {algorithm} in a digest header",
    Method.ETAG_MD5: "the {algorithm} in its ETag",
    Method.SIZE: "its size",
}


@record
class Summary:
    """What a whole command came to. `size` is in bytes, `seconds` from the first object to the last.

    `skipped` of the done ones were here already, `unverified` of them were held to no digest: both are told of a pull.
    One that `is_cut_short` knows of no number that there would have been, and the last failure is its own end.
    """

    done: int
    failed: int
    size: int
    seconds: float
    exit_code: int
    skipped: int | None = None
    unverified: int | None = None
    is_cut_short: bool = False


def transfer_text(result: Result) -> str:
    """How an object came: `big.bin: 2.00 GiB in 1.6 s, 1.25 GiB/s, 8 connections`."""
    name = printable(result.path) if result.path is not None else "standard output"
    if result.was_here:
        return f"{name}: is already here, {size_text(result.size)}"
    facts = [f"{name}: {size_text(result.size)} in {seconds_text(result.seconds)}"]
    if result.seconds > 0 and result.bytes_received:
        facts.append(rate_text(result.bytes_received / result.seconds))
    facts.append(count_text(result.connections, "connection"))
    if result.bytes_resumed:
        facts.append(f"{size_text(result.bytes_resumed)} were there already")
    if result.retries:
        facts.append(count_text(result.retries, "retry", "retries"))
    if result.repairs:
        facts.append(f"{count_text(result.repairs, 'damaged piece')} fetched again")
    return ", ".join(facts)


def verification_text(verification: Verification) -> str:
    """What was checked: `verified by the crc64nvme of the whole object`, or `not verified: ` and why."""
    if not verification.verified:
        return f"not verified: {printable(verification.reason) or 'only the size was compared'}"
    said = _SAID[verification.method].format(algorithm=algorithm_text(verification.algorithm))
    part = "" if verification.coverage >= 1 else f", for {verification.coverage:.0%} of its bytes"
    return f"verified by {printable(said)}{part}"


def summary_text(summary: Summary) -> str:
    """The last line of a command with several objects."""
    total = count_text(summary.done + summary.failed, "object")
    share = f"{count_text(summary.done, 'object')} so far" if summary.is_cut_short else f"{summary.done} of {total}"
    facts = [f"{share}, {size_text(summary.size)} in {seconds_text(summary.seconds)}"]
    if summary.skipped:
        facts.append(_here_text(summary.skipped))
    if summary.unverified:
        facts.append(f"{summary.unverified} not verified")
    if failed := summary.failed - summary.is_cut_short:
        facts.append(f"{failed} failed")
    return ", ".join(facts)


def is_worth_telling(summary: Summary) -> bool:
    """Whether there is more to a command than the line of its one object."""
    if summary.is_cut_short:
        return summary.done > 0 or summary.failed > 1
    return summary.skipped is not None or summary.done + summary.failed > 1


def pull_text(progress: PullProgress) -> str:
    """How far a pull is: `1200 of 5000 objects, 75.0 MiB`."""
    more = "" if progress.is_listed else " and more"
    facts = [f"{progress.done} of {count_text(progress.found, 'object')}{more}", size_text(progress.size)]
    if progress.skipped:
        facts.append(_here_text(progress.skipped))
    if progress.failed:
        facts.append(f"{progress.failed} failed")
    return ", ".join(facts)


def _here_text(skipped: int) -> str:
    return f"{skipped} {'was' if skipped == 1 else 'were'} here already"


def algorithm_text(algorithm: str | None) -> str:
    """An algorithm's name as people write it: CRC64NVME, SHA256."""
    return algorithm.upper() if algorithm else "digest"


def notice(event: Event) -> str | None:
    """What everyone is told about an event, unless they asked for quiet; or None."""
    match event:
        case Resumed():
            name = event.path or event.url
            return printable(f"{name}: goes on, {size_text(event.landed)} of {size_text(event.size)} are here already")
        case Restarted():
            return printable(f"{event.path or event.url}: begins anew: {event.reason}")
        case Kept():
            name = event.path or event.url
            return printable(f"{name}: {size_text(event.landed)} of {size_text(event.size)} are kept")
        case _:
            return None


def remark(event: Event) -> str | None:
    """What `--verbose` says about an event, or None."""
    match event:
        case Started():
            size = "unknown size" if event.size is None else size_text(event.size)
            check = _SAID[event.verification].format(algorithm=algorithm_text(event.algorithm))
            cut = f"{count_text(event.pieces, 'piece')} by {event.split}"
            return printable(
                f"{event.url}: {size}, ETag {event.etag or 'none'}, {cut}, "
                f"{count_text(event.connections, 'connection')}, to be checked by {check}"
            )
        case Retried():
            stop = "the end" if event.stop is None else str(event.stop)
            return printable(
                f"{event.url}: bytes {event.start} to {stop} again in {seconds_text(event.delay)}, "
                f"attempt {event.attempt}: {event.reason}"
            )
        case Repaired():
            return printable(
                f"{event.url}: bytes {event.start} to {event.stop} arrived damaged, and are fetched again: "
                f"{event.reason}"
            )
        case _:
            return None
