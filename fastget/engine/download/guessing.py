"""A composite digest whose parts nobody tells: which of the usual part sizes reproduces it from what has landed.

A layout that does is thereby proven (wire-spec.md §3): no other content, and no other cut of it, has that digest.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from fastget.core.checksums.combine import composite, fold
from fastget.core.guesses import guessed_layouts
from fastget.core.ranges import Span
from fastget.engine.download.digesting import digest_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastget.buffers import Buffers
    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.checksums.verification import Check
    from fastget.core.layout import PartLayout
    from fastget.sinks.protocol import Sink

# Other algorithms than CRCs read everything anew for each layout: bytes, some seconds of SHA-256.
MOST_READ_AGAIN = 8 * 1024 * 1024 * 1024


def proven_guess(sink: Sink, size: int, check: Check, tried: PartLayout, buffers: Buffers) -> PartLayout | None:
    """The layout, other than `tried`, that gives `check` its digest; None where none of the usual ones does."""
    layouts = [layout for layout in guessed_layouts(size, check.parts or 0) if layout.offsets != tried.offsets]
    if not check.algorithm.is_combinable:
        layouts = layouts[: MOST_READ_AGAIN // max(size, 1)]
        return next(
            (layout for layout in layouts if _digest(sink, layout, check, buffers) == check.declared.value), None
        )
    slices = _slices(sink, layouts, check.algorithm, buffers)
    for layout in layouts:
        folded = (_fold(slices, layout.span(number), check.algorithm) for number in range(1, layout.count + 1))
        if composite(check.algorithm, folded) == check.declared.value:
            return layout
    return None


def _digest(sink: Sink, layout: PartLayout, check: Check, buffers: Buffers) -> bytes:
    spans, algorithm = (layout.span(number) for number in range(1, layout.count + 1)), check.algorithm
    return composite(algorithm, (digest_span(sink, span, [algorithm], buffers)[algorithm] for span in spans))


class _Slices:
    """The CRCs between any two neighbouring edges of any layout: each byte is read once for all of them."""

    def __init__(self, edges: Sequence[int], digests: Sequence[bytes]) -> None:
        self.edges = edges
        self.digests = digests
        self.index = {edge: index for index, edge in enumerate(edges)}


def _slices(sink: Sink, layouts: Sequence[PartLayout], algorithm: Algorithm, buffers: Buffers) -> _Slices:
    edges = sorted({edge for layout in layouts for edge in layout.offsets})
    spans = (Span(one, other) for one, other in pairwise(edges))
    digests = [digest_span(sink, span, [algorithm], buffers)[algorithm] for span in spans]
    return _Slices(edges, digests)


def _fold(slices: _Slices, span: Span, algorithm: Algorithm) -> bytes:
    def pieces() -> Iterator[tuple[int, bytes]]:
        for index in range(slices.index[span.start], slices.index[span.stop]):
            yield slices.edges[index + 1] - slices.edges[index], slices.digests[index]

    return fold(algorithm, pieces())
