"""Cutting an object into chunks: by stored part or by byte range, an exact tiling either way."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from fastget.core.governor import LIMIT
from fastget.core.ranges import MAXIMUM_SIZE, Span
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastget.core.layout import PartLayout

MIB = 1024 * 1024
# S3's smallest optimal request by its own client's measure; smaller ones pay the first-byte wait too often.
SMALLEST_CHUNK = 8 * MIB
# Past this a lost connection, or one slow one, costs too much at the end.
LARGEST_CHUNK = 64 * MIB
MAXIMUM_CHUNKS = 10_000
# Where the caller sets the size: a chunk and what is recorded of it take 0.4 kB of memory.
MAXIMUM_CHUNKS_ASKED = 50_000
# So many for each connection that there may be, lest one that is slower than the others end long after them with its
# first; and so many in all where there are few.
CHUNKS_EACH, WANTED_CHUNKS = 2, 64
# Many connections do not make them smaller than this: what a store takes for its first byte would be felt.
WORTH_A_WAIT = 16 * MIB
# The discovery stream has the first eighth of an object to itself as long as there is other work: about what one
# connection of a few fetches in the time that all of them need.
STREAM_SHARE = 8
# What is left of that eighth is handed out last, in pieces of a quarter, and what is handed out before it gets smaller
# towards the end: the fewer bytes the last pieces have, the sooner after each other the connections end.
LAST_SHARE = 4

SplitKind = Literal["part", "range", "stream"]


@record
class Chunk:
    """A run of bytes that one worker fetches and one digest covers.

    `part` is the number of the stored part that it lies in, where the layout matters; `by_part_number` says that it is
    that whole part and is asked for by its number.
    """

    index: int
    span: Span
    part: int | None = None
    by_part_number: bool = False


@record
class Plan:
    """How an object is going to be fetched. The chunks tile its `size` bytes exactly, in order.

    `connections` is how many to use, or None where that is to be found out on the way. The `lead`, so many chunks at
    the front, is left to the discovery stream as long as there are others.
    """

    size: int | None
    split: SplitKind
    chunks: tuple[Chunk, ...]
    connections: int | None
    layout: PartLayout | None = None
    lead: int = 0


def chunk_size_for(size: int, most_connections: int = LIMIT) -> int:
    """Bytes of one range chunk: a sixty-fourth of the object within bounds, and so that 10,000 hold it all.

    Where there may be more than 32 connections it is half of each one's share, but not for that less than 16 MiB.
    """
    few = -(-size // WANTED_CHUNKS)
    many = max(-(-size // (CHUNKS_EACH * most_connections)), WORTH_A_WAIT)
    bounded = min(max(min(few, many), SMALLEST_CHUNK), LARGEST_CHUNK)
    return _round_up(max(bounded, -(-size // MAXIMUM_CHUNKS)))


def plan_stream(size: int | None) -> Plan:
    """One stream from front to back: unknown size, no ranges, or too small to cut."""
    span = Span(0, MAXIMUM_SIZE if size is None else size)
    return Plan(size, "stream", (Chunk(0, span),), connections=1)


def plan_ranges(
    size: int,
    *,
    connections: int | None = None,
    most_connections: int = LIMIT,
    chunk_size: int | None = None,
    maximum_chunk: int | None = None,
) -> Plan:
    """Chunks of one size for the first half, of half of that for the second, of a quarter in the lead.

    `most_connections`: how many there may be where `connections` does not say it.
    One stream where a chunk holds it all. With `chunk_size`, all are of that size, the last one shorter; with
    `maximum_chunk`, for sinks that must keep order in memory, too, and of that size at most. Both are exceeded where
    there would be more than 50,000 chunks.
    """
    step = _step(size, chunk_size or chunk_size_for(size, connections or most_connections), maximum_chunk)
    if size <= step:
        return plan_stream(size)
    lead = size // STREAM_SHARE // step * step
    small = step if chunk_size or maximum_chunk else step // LAST_SHARE
    spans = (*_cut(Span(0, lead), small), *_tapered(Span(lead, size), step, small))
    chunks = tuple(Chunk(index, span) for index, span in enumerate(spans))
    return Plan(size, "range", chunks, connections, lead=lead // small)


def plan_spans(spans: Iterable[Span], connections: int | None) -> Plan:
    """A chunk for each of these spans of an object, in this order; a stream where there is one at most."""
    chunks = tuple(Chunk(index, span) for index, span in enumerate(spans))
    size = sum(chunk.span.length for chunk in chunks)
    if len(chunks) <= 1:
        return Plan(size, "stream", chunks, 1)
    return Plan(size, "range", chunks, connections)


def plan_around(plan: Plan, kept: Sequence[Span]) -> Plan:
    """The plan, cut so that no byte is fetched that an earlier download, which was cut otherwise, has left.

    `kept` are spans in order that do not overlap. The plan stays as it is where it can use all of them; so does each
    stored part, where the parts say how it is cut. It stays, too, where it would be cut into far more chunks than any
    download has: only a forged journal tells of such crumbs.
    """
    if plan.size is None:
        return plan
    cut = _ranges_around if plan.layout is None else _parts_around
    found = cut(plan, plan.size, kept)
    return found if len(found.chunks) <= MAXIMUM_CHUNKS_ASKED + len(plan.chunks) else plan


def _ranges_around(plan: Plan, size: int, kept: Sequence[Span]) -> Plan:
    if sum(span.length for span in kept) == sum(span.length for span in _usable(plan.chunks, kept)):
        return plan
    step = max(chunk.span.length for chunk in plan.chunks)
    spans = _around(Span(0, size), kept, step)
    chunks = tuple(Chunk(index, span) for index, span in enumerate(spans))
    lead = sum(span.stop <= size // STREAM_SHARE for span in spans)
    return replace(plan, split="range", chunks=chunks, lead=lead)


def _parts_around(plan: Plan, size: int, kept: Sequence[Span]) -> Plan:
    """The parts of which something was kept that does not lie in front, each cut along it; the others as they are."""
    step = min(max(chunk.span.length for chunk in plan.chunks), chunk_size_for(size))
    chunks: list[Chunk] = []
    at = 0
    for number, of_part in groupby(plan.chunks, key=lambda chunk: chunk.part):
        own = tuple(of_part)
        part = Span(own[0].span.start, own[-1].span.stop)
        while at < len(kept) and kept[at].stop <= part.start:
            at += 1
        held = list(_within(kept, at, part))
        if sum(span.length for span in held) != sum(span.length for span in _usable(own, held)):
            own = tuple(Chunk(0, span, number) for span in _around(part, held, step))
        chunks += own
    found = tuple(replace(chunk, index=index) for index, chunk in enumerate(chunks))
    if found == plan.chunks:
        return plan
    return replace(plan, chunks=found, split=_split(found), lead=len(found) // STREAM_SHARE)


def _within(kept: Sequence[Span], at: int, part: Span) -> Iterator[Span]:
    """What the kept spans, from number `at` on, have of a part."""
    while at < len(kept) and kept[at].start < part.stop:
        yield Span(max(kept[at].start, part.start), min(kept[at].stop, part.stop))
        at += 1


def plan_parts(
    layout: PartLayout,
    *,
    by_number: bool,
    whole_parts: bool,
    connections: int | None = None,
    chunk_size: int | None = None,
) -> Plan:
    """Chunks that never cross a stored part's edge.

    `by_number` asks for each part by its number, where the store has proven to honour it. `whole_parts` keeps each
    part in one chunk, because its digest (SHA, MD5, XXH) needs its bytes in order; without it only the parts that are
    larger than `chunk_size` and than 64 MiB are cut further. An empty part is a chunk as well, with nothing to fetch.
    """
    step = _step(layout.size, chunk_size or chunk_size_for(layout.size))
    longest = max(step, LARGEST_CHUNK)
    chunks: list[Chunk] = []
    for number in range(1, layout.count + 1):
        part = layout.span(number)
        whole = whole_parts or part.length <= longest
        asked_by_number = by_number and whole and part.length > 0
        for span in (part,) if whole else _cut(part, step):
            chunks.append(Chunk(len(chunks), span, number, asked_by_number))
    return Plan(layout.size, _split(chunks), tuple(chunks), connections, layout, lead=len(chunks) // STREAM_SHARE)


def _split(chunks: Iterable[Chunk]) -> SplitKind:
    return "part" if any(chunk.by_part_number for chunk in chunks) else "range"


def _usable(chunks: Sequence[Chunk], kept: Sequence[Span]) -> Iterator[Span]:
    """Those of the kept spans that follow each other from the start of a chunk and do not leave it."""
    spans = iter(kept)
    span = next(spans, None)
    for chunk in chunks:
        position = chunk.span.start
        while span is not None and span.start < chunk.span.stop:
            if span.start == position and span.stop <= chunk.span.stop:
                yield span
                position = span.stop
            span = next(spans, None)


def _around(whole: Span, kept: Sequence[Span], step: int) -> list[Span]:
    """Kept spans of the whole, neighbours as one, and between them what is missing, in pieces of `step` bytes."""
    spans: list[Span] = []
    position = whole.start
    for span in _joined(kept, step):
        spans += (*_cut(Span(position, span.start), step), span)
        position = span.stop
    return [*spans, *_cut(Span(position, whole.stop), step)]


def _joined(kept: Sequence[Span], step: int) -> list[Span]:
    """Neighbours as one, up to `step` bytes."""
    found: list[Span] = []
    for span in kept:
        if found and found[-1].stop == span.start and span.stop - found[-1].start <= step:
            found[-1] = Span(found[-1].start, span.stop)
        else:
            found.append(span)
    return found


def _step(size: int, chunk_size: int, maximum_chunk: int | None = None) -> int:
    step = chunk_size if maximum_chunk is None else min(chunk_size, maximum_chunk)
    return max(step, -(-size // MAXIMUM_CHUNKS_ASKED))


def _cut(span: Span, step: int) -> Iterator[Span]:
    for start in range(span.start, span.stop, step):
        yield Span(start, min(start + step, span.stop))


def _tapered(span: Span, step: int, least: int) -> Iterator[Span]:
    """In pieces of `step` up to half of it, and of half of that from there on, but not of less than `least`."""
    middle = span.start + span.length // 2 // step * step
    yield from _cut(Span(span.start, middle), step)
    yield from _cut(Span(middle, span.stop), max(step // 2, least))


def _round_up(value: int) -> int:
    return -(-value // MIB) * MIB
