"""Cutting an object into chunks: by stored part or by byte range, an exact tiling either way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fastget.core.layout import PartLayout
from fastget.core.ranges import MAXIMUM_SIZE, Span

MIB = 1024 * 1024
# S3's smallest optimal request by its own client's measure; smaller ones pay the first-byte wait too often.
SMALLEST_CHUNK = 8 * MIB
# Past this a lost connection, or one slow one, costs too much at the end.
LARGEST_CHUNK = 64 * MIB
MAXIMUM_CHUNKS = 10_000
# Enough for the largest number of connections to have two each, so that the last ones do not finish alone.
WANTED_CHUNKS = 64

SplitKind = Literal["part", "range", "stream"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of bytes that one worker fetches and one digest covers.

    `part` is the number of the stored part that it lies in, where the layout matters; `by_part_number` says that it is
    that whole part and is asked for by its number.
    """

    index: int
    span: Span
    part: int | None = None
    by_part_number: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How an object is going to be fetched. The chunks tile its `size` bytes exactly, in order.

    `connections` is how many to use, or None where that is to be found out on the way.
    """

    size: int | None
    split: SplitKind
    chunks: tuple[Chunk, ...]
    connections: int | None
    layout: PartLayout | None = None


def chunk_size_for(size: int) -> int:
    """Bytes of one range chunk: a sixty-fourth of the object within bounds, and never more than 10,000 chunks in all."""
    bounded = min(max(-(-size // WANTED_CHUNKS), SMALLEST_CHUNK), LARGEST_CHUNK)
    return _round_up(max(bounded, -(-size // MAXIMUM_CHUNKS)))


def plan_stream(size: int | None) -> Plan:
    """One stream from front to back: unknown size, no ranges, or too small to cut."""
    span = Span(0, MAXIMUM_SIZE if size is None else size)
    return Plan(size, "stream", (Chunk(0, span),), connections=1)


def plan_ranges(
    size: int, *, connections: int | None = None, chunk_size: int | None = None, maximum_chunk: int | None = None
) -> Plan:
    """Chunks of one size, the last one shorter. `maximum_chunk` bounds it for sinks that must keep order in memory."""
    step = chunk_size or chunk_size_for(size)
    if maximum_chunk is not None:
        step = min(step, maximum_chunk)
    step = max(step, -(-size // (MAXIMUM_CHUNKS * 100)))
    if size <= step:
        return plan_stream(size)
    starts = range(0, size, step)
    chunks = tuple(Chunk(index, Span(start, min(start + step, size))) for index, start in enumerate(starts))
    return Plan(size, "range", chunks, connections)


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
    part in one chunk, because its digest (SHA, MD5, XXH) needs its bytes in order; other large parts are cut further.
    """
    step = chunk_size or chunk_size_for(layout.size)
    chunks: list[Chunk] = []
    for number in range(1, layout.count + 1):
        span = layout.span(number)
        whole = whole_parts or span.length <= max(step, LARGEST_CHUNK)
        pieces = (span,) if whole else tuple(_cut(span, step))
        chunks.extend(Chunk(0, piece, number, by_number and whole and span.length > 0) for piece in pieces)
    numbered = tuple(
        Chunk(index, chunk.span, chunk.part, chunk.by_part_number) for index, chunk in enumerate(chunks)
    )
    split: SplitKind = "part" if by_number else "range"
    return Plan(layout.size, split, numbered, connections, layout)


def _cut(span: Span, step: int) -> Iterator[Span]:
    for start in range(span.start, span.stop, step):
        yield Span(start, min(start + step, span.stop))


def _round_up(value: int) -> int:
    return -(-value // MIB) * MIB
