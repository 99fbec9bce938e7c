"""What an object has to be to come in one go, what its bytes are held to, and the result of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from fastget.core.checksums.algorithms import new_hasher
from fastget.core.checksums.verification import choose, verified_by, verified_by_size
from fastget.core.messages import Framing
from fastget.core.retry import is_transient
from fastget.engine.discovery.preparing import reason_for
from fastget.events import Result
from fastget.sinks.protocol import WholeSink

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.checksums.verification import Check
    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.exchange.line import Line
    from fastget.engine.exchange.stores import Store
    from fastget.engine.pieces.task import Tally
    from fastget.events import Verification
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import PlainSource

# From here on the request is the smaller part of the work, and what has landed is worth going on from.
LARGEST = 256 * 1024
# Kinds of sinks, and whether they are `WholeSink`s.
_KINDS: dict[type, bool] = {}


def may_be_asked(store: Store) -> bool:
    """Whether nobody has to wait there. An endpoint that fails all the time is not asked twice for every object."""
    return store.gate.is_open and not store.is_ailing


def heed(source: PlainSource, head: ResponseHead, line: Line) -> None:
    """Raise what an answer refuses for a while: its gate learns of it, and of the wait where one is asked for.

    Whatever else is refused is for the ordinary way, which asks again.
    """
    refused = source.refusal(head, b"") if head.status >= 400 else None
    if refused is not None and is_transient(refused):
        raise source.refusal(head, line.rest()) or refused


def takes_whole(sink: Sink) -> TypeGuard[WholeSink]:
    """`isinstance`, which looks for every member of a protocol, asked once for each kind of sink."""
    kind = type(sink)
    if (known := _KINDS.get(kind)) is None:
        known = _KINDS[kind] = isinstance(sink, WholeSink)
    return known


def is_small(head: ResponseHead) -> bool:
    """Whether an answer has a body of a length that is known and small."""
    return head.framing is Framing.LENGTH and (head.content_length or 0) <= LARGEST


def plain_checks(rungs: tuple[Check, ...], config: Config) -> tuple[Check, ...] | None:
    """What the object is held to; None where parts have to be known for that, or there is nothing though wanted."""
    checks = choose(rungs, layout_is_known=True)
    for check in checks:
        if check.parts is not None:
            return None
    return None if config.require_verified and not checks else checks


def wrong_digests(data: memoryview, checks: tuple[Check, ...]) -> tuple[bytes, ...]:
    """The digests of `data` that are not the declared ones."""
    wrong = []
    for check in checks:
        hasher = new_hasher(check.algorithm)
        hasher.update(data)
        if (digest := hasher.digest()) != check.declared.value:
            wrong.append(digest)
    return tuple(wrong)


def verdict(info: ObjectInfo, rungs: tuple[Check, ...], checks: tuple[Check, ...]) -> Verification:
    """The verdict on bytes that have no wrong digest."""
    return verified_by(checks[0]) if checks else verified_by_size(reason_for(info, rungs))


def result_of(
    url: str,
    path: str | None,
    info: ObjectInfo,
    size: int,
    verification: Verification,
    seconds: float,
    tally: Tally,
    *,
    was_here: bool = False,
) -> Result:
    """The result of a transfer that was one request, at best."""
    return Result(
        url=url,
        path=path,
        size=size,
        etag=info.etag,
        version_id=info.version_id,
        seconds=seconds,
        bytes_received=tally.received,
        bytes_resumed=tally.resumed,
        requests=tally.requests,
        retries=tally.retries,
        rescues=0,
        repairs=tally.repairs,
        connections=0 if was_here else 1,
        split="stream",
        verification=verification,
        was_here=was_here,
    )
