"""Scattered memory: seen as the object, whatever is written at an offset is where the ranges there want it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.coalesce import coalesce
from fastget.core.ranges import Span
from fastget.errors import Cancelled
from fastget.sinks.scattered import ScatteredSink

CONTENT = random.Random(5).randbytes(3000)
SPANS = st.lists(
    st.tuples(st.integers(0, 2700), st.integers(0, 300)).map(lambda pair: Span(pair[0], sum(pair))), max_size=20
)


def filled(spans: list[Span], gap: int, step: int, *, by_windows: bool) -> list[bytes]:
    """What the ranges hold after the content was brought in steps."""
    memories = [bytearray(span.length) for span in spans]
    fetches = coalesce(spans, gap=gap)
    sink = ScatteredSink(spans, [memoryview(memory) for memory in memories], fetches)
    for fetch in fetches:
        position = fetch.span.start
        while position < fetch.span.stop:
            length = min(step, fetch.span.stop - position)
            if by_windows:
                window = sink.window(position, length)
                assert 0 < len(window) <= length
                window[:] = CONTENT[position : position + len(window)]
                length = len(window)
            else:
                sink.write_at(position, memoryview(CONTENT)[position : position + length])
            position += length
    sink.publish(0)
    sink.discard()
    return [bytes(memory) for memory in memories]


@given(spans=SPANS, gap=st.sampled_from([0, 7, 500]), step=st.integers(1, 400), by_windows=st.booleans())
def test_every_range_gets_its_bytes(spans: list[Span], gap: int, step: int, by_windows: bool) -> None:
    expected = [CONTENT[span.start : span.stop] for span in spans]
    assert filled(spans, gap, step, by_windows=by_windows) == expected


def test_what_was_written_can_be_read_back_across_ranges() -> None:
    spans = [Span(10, 20), Span(20, 35)]
    sink = ScatteredSink(spans, [memoryview(bytearray(span.length)) for span in spans], coalesce(spans))
    sink.write_at(10, memoryview(CONTENT)[10:35])
    found = bytearray(20)
    assert sink.read_at(12, memoryview(found)) == 20
    assert found == CONTENT[12:32]
    sink.discard()


def test_nothing_is_written_after_an_abort() -> None:
    memory = bytearray(10)
    sink = ScatteredSink([Span(0, 10)], [memoryview(memory)], coalesce([Span(0, 10)]))
    sink.abort()
    with pytest.raises(Cancelled):
        sink.write_at(0, memoryview(b"x"))
    assert memory == bytes(10)
    sink.discard()
