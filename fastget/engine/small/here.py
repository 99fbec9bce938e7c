"""A small file that is here already: the object's facts by one HEAD, and the file held to them, without a plan.

What is unusual in any way is left to a `Transfer`, as with small objects that are fetched: it says what that means.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastget.core.checksums.verification import UNTOUCHED, verified_by, verified_by_size
from fastget.core.journal import Identity
from fastget.engine.discovery.preparing import rungs_of
from fastget.engine.pieces.task import Tally
from fastget.engine.small.plain import LARGEST, heed, may_be_asked, plain_checks, result_of, wrong_digests
from fastget.errors import Cancelled, DestinationError, FastgetError
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import Line
    from fastget.engine.exchange.stores import Store
    from fastget.events import Result, Verification
    from fastget.sinks.protocol import ExistingFile, Sink
    from fastget.sources.protocol import Source, StoreTraits


@record
class Means:
    """What one thread looks with: a line to the store, and room for so many bytes of a file."""

    line: Line
    store: Store
    cancellation: Cancellation
    room: Callable[[int], memoryview | None]


def find(source: Source, sink: Sink, config: Config, means: Means) -> Result | None:
    """The result where the object is here already; None where it is not, or that is not for certain.

    Raises DestinationError where another download is at work there, Cancelled.
    """
    file = sink.resumable
    if file is None or not (source.answers_head and may_be_asked(means.store)) or file.leftover() is not None:
        return None
    existing = file.existing()
    if existing is None:
        return None
    began = time.monotonic()
    try:
        found = _verified(source, existing, config, means)
    finally:
        existing.close()
    if found is None:
        means.line.finish()  # whoever fetches it wants the connection; else the next look does
        return None
    file.clear()
    info, verification = found
    tally = Tally(resumed=existing.size, requests=1)
    return result_of(
        source.display_url, sink.path, info, existing.size, verification, time.monotonic() - began, tally, was_here=True
    )


def _verified(
    source: Source, existing: ExistingFile, config: Config, means: Means
) -> tuple[ObjectInfo, Verification] | None:
    place = Identity.of_place(source.display_url, source.selection)
    if existing.size > LARGEST or not existing.may_be_from(place):
        return None
    try:
        found = _ask(source, means)
        if found is None or found[0].size != existing.size:
            return None
        info, traits = found
        verification = _verdict(source, info, traits, existing, config, means)
    except (Cancelled, DestinationError):
        means.line.drop()
        raise
    except FastgetError:
        means.line.drop()
        return None
    return (info, verification) if verification is not None and existing.is_unchanged() else None


def _ask(source: Source, means: Means) -> tuple[ObjectInfo, StoreTraits] | None:
    """The object's facts, and what its store does; None where the answer is not plainly one."""
    line, store = means.line, means.store
    moulding = store.moulding(source, "HEAD")
    with store.gate.passing(means.cancellation):
        request = source.head()
        head = line.send(moulding.cast(request))
        heed(source, head, line)
    if head.status != 200 or (head.reading is None and source.as_stored(head) is not None):
        line.drop()
        return None
    if store.facts.wait is None:
        store.learn_from(head.headers, line.waited)
    store.succeed()
    info = source.describe(head)
    traits = moulding.traits(source, info, head)
    if head.reading is None:
        moulding.learn(source, request, head)
    return info, traits


def _verdict(
    source: Source, info: ObjectInfo, traits: StoreTraits, existing: ExistingFile, config: Config, means: Means
) -> Verification | None:
    """As that on a file that is looked at by a `Transfer`."""
    checks = plain_checks(rungs_of(info, traits, config.checksum), config)
    if checks is None:
        return None
    if not checks:
        identity = Identity.of(source.display_url, source.selection, info)
        return verified_by_size(UNTOUCHED) if identity is not None and existing.is_copy_of(identity) else None
    data = means.room(existing.size)
    if data is None or not _read(existing, data) or wrong_digests(data, checks):
        return None
    return verified_by(checks[0])


def _read(existing: ExistingFile, data: memoryview) -> bool:
    """Fill `data` with the file; False where it has become shorter."""
    position = 0
    while position < len(data):
        count = existing.read_at(position, data[position:])
        if not count:
            return False
        position += count
    return True
