"""Many small ranges of one object as fewer requests: what lies close together is asked for at once.

A request costs a round trip; the bytes in a gap cost their share of the line. Where the gap takes less time than the
request, it is read and thrown away. All sizes are in bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.ranges import Span
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Measured with ranges of 4 and of 128 KiB: 128 to 256 KiB are best on loopback, 0.5 to 1 MiB where the first byte takes
# 30 to 60 ms. The lower end, because bytes that are thrown away may have to be paid for, and other lines are slower.
DEFAULT_GAP = 128 * 1024
# Past this a merged request keeps one connection busy that could have been several.
LARGEST_FETCH = 8 * 1024 * 1024


@record
class Fetch:
    """One request: its span, and which of the asked ranges lie in it, by their index, in order of their start."""

    span: Span
    members: tuple[int, ...]


def coalesce(spans: Sequence[Span], *, gap: int = DEFAULT_GAP, largest: int = LARGEST_FETCH) -> list[Fetch]:
    """The requests that bring all of `spans`, from front to back.

    Neighbours are merged over a gap of up to `gap` bytes as long as the request stays within `largest`; ranges that
    overlap share one request, however large. Empty ranges are in none.
    """
    order = sorted((index for index, span in enumerate(spans) if span.length), key=lambda i: (spans[i].start, i))
    return list(_merged(spans, order, gap, largest))


def _merged(spans: Sequence[Span], order: Iterable[int], gap: int, largest: int) -> Iterator[Fetch]:
    start = stop = 0
    members: list[int] = []
    for index in order:
        span = spans[index]
        overlaps = span.start < stop
        fits = span.start - stop <= gap and max(stop, span.stop) - start <= largest
        if members and not (overlaps or fits):
            yield Fetch(Span(start, stop), tuple(members))
            members = []
        if not members:
            start, stop = span.start, span.stop
        members.append(index)
        stop = max(stop, span.stop)
    if members:
        yield Fetch(Span(start, stop), tuple(members))
