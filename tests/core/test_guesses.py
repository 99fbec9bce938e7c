"""Guessed layouts: every one fits the number of parts and the size, and the usual ones come first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.guesses import MAXIMUM_GUESSES, guessed_layouts
from fastget.core.layout import MAXIMUM_PARTS

MIB = 1024 * 1024


@given(size=st.integers(0, 5 * 2**40), parts=st.integers(-1, MAXIMUM_PARTS + 1))
def test_every_guess_has_the_number_of_parts_and_the_size(size: int, parts: int) -> None:
    found = guessed_layouts(size, parts)
    assert len(found) <= MAXIMUM_GUESSES
    assert len({layout.offsets for layout in found}) == len(found)
    for layout in found:
        assert (layout.count, layout.size) == (parts, size)
        assert {layout.span(number).length for number in range(1, parts)} == {layout.span(1).length}
        assert 0 < layout.span(parts).length <= layout.span(1).length
        assert (layout.is_guess, layout.is_proven, layout.is_served) == (True, False, False)


@pytest.mark.parametrize("part", [5, 8, 10, 15, 16, 64, 100, 512])
@given(count=st.integers(2, 300), last=st.floats(0.001, 1.0))
def test_an_object_of_a_usual_part_size_is_guessed_first_or_second(part: int, count: int, last: float) -> None:
    size = (count - 1) * part * MIB + max(1, int(last * part * MIB))
    firsts = [layout.span(1).length for layout in guessed_layouts(size, count)]
    assert part * MIB in firsts
    if count >= 64:
        assert firsts[0] == part * MIB


@given(part=st.integers(5, 60), count=st.integers(2, 1000))
def test_any_whole_number_of_mebibytes_is_among_the_guesses(part: int, count: int) -> None:
    size = (count - 1) * part * MIB + 1
    assert part * MIB in [layout.span(1).length for layout in guessed_layouts(size, count)]


def test_an_object_that_was_cut_evenly_is_guessed() -> None:
    assert 1_234_567 in [layout.span(1).length for layout in guessed_layouts(7 * 1_234_567, 7)]


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 2), (1, 2), (100, 1), (100, 0), (100, 101), (10**9, MAXIMUM_PARTS + 1)]
)
def test_there_is_no_guess_where_there_is_nothing_to_cut(size: int, parts: int) -> None:
    assert guessed_layouts(size, parts) == ()
