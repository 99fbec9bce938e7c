"""Which streams are cut: those that are far slower than their siblings, within a budget, and no healthy ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.ranges import Span
from fastget.core.straggler import (
    COST_OF_A_CUT,
    FLOOR,
    FRESH_START,
    LEAST_SHARE,
    LONG_STALL,
    WINDOW,
    CutBudget,
    Rescue,
    Stream,
    cut_rest,
    is_below_floor,
    is_unserved,
    long_stalled,
    rescues,
)

MIB = 1024 * 1024
USUAL = Stream(rate=40e6, left=32 * MIB, watched=5.0)
STREAMS = st.builds(
    Stream,
    rate=st.floats(0, 1e9, allow_nan=False),
    left=st.integers(0, 2**40),
    watched=st.floats(0, 100, allow_nan=False),
)


def stragglers(streams: list[Stream], idle: list[float]) -> list[int]:
    """Which streams are cut, whatever becomes of their rests."""
    return [rescue.index for rescue in rescues(streams, idle)]


@pytest.mark.fault("N9")
def test_the_slow_one_among_fast_ones_is_cut() -> None:
    slow = replace(USUAL, rate=1e6)

    assert stragglers([USUAL, slow, USUAL, USUAL], idle=[40e6] * 1) == [1]


def test_one_that_stands_still_is_cut_before_one_that_crawls() -> None:
    still, crawling = replace(USUAL, rate=0.0), replace(USUAL, rate=1e5)

    assert stragglers([USUAL, crawling, still, USUAL, USUAL], idle=[40e6] * 1) == [2]
    assert stragglers([USUAL, crawling, still, USUAL, USUAL], idle=[40e6] * 2) == [2, 1]


@pytest.mark.fault("N8")
def test_a_link_that_is_slow_as_a_whole_is_healthy() -> None:
    slow = replace(USUAL, rate=2e3)

    assert stragglers([slow] * 8, idle=[2e3] * 8) == []


def test_half_the_usual_rate_is_ordinary() -> None:
    assert stragglers([USUAL, replace(USUAL, rate=20e6), USUAL], idle=[40e6] * 4) == []


def test_streams_that_stand_still_do_not_make_that_the_usual_thing() -> None:
    """A server that serves four connections of twelve: the four have done what they could."""
    still = replace(USUAL, rate=0.0)

    assert stragglers([still] * 8, idle=[40e6] * 4) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("waited", "usual", "is_one_too_many"),
    [(1.9, 0.01, False), (2.0, 0.01, True), (2.0, 1.5, False), (5.9, 1.5, False), (6.0, 1.5, True), (10.0, 9.0, True)],
)
def test_a_connection_is_one_too_many_once_its_first_answer_is_far_later_than_those_of_the_others(
    waited: float, usual: float, is_one_too_many: bool
) -> None:
    assert is_unserved(waited, usual) is is_one_too_many


def test_nobody_is_cut_while_everybody_has_work() -> None:
    assert stragglers([USUAL, replace(USUAL, rate=1.0), USUAL], idle=[]) == []


def test_one_that_is_nearly_done_is_left_alone() -> None:
    nearly = replace(USUAL, rate=1e6, left=200 * 1024)

    assert stragglers([USUAL, nearly, USUAL], idle=[40e6] * 1) == []


def test_one_that_has_just_begun_is_given_time() -> None:
    new = Stream(rate=0.0, left=32 * MIB, watched=WINDOW / 2)

    assert stragglers([USUAL, new, USUAL], idle=[40e6] * 1) == []


def test_alone_there_is_nothing_to_compare_with() -> None:
    assert stragglers([replace(USUAL, rate=1.0)], idle=[]) == []


def test_the_last_one_is_held_to_what_the_others_had_reached() -> None:
    assert stragglers([replace(USUAL, rate=1e6)], idle=[40e6, 38e6, 41e6]) == [0]
    assert stragglers([USUAL], idle=[40e6, 38e6, 41e6]) == []


@given(st.lists(STREAMS, max_size=20), st.lists(st.floats(0, 1e9), max_size=20))
def test_never_more_cuts_than_idle_workers_and_never_the_faster_half(streams: list[Stream], idle: list[float]) -> None:
    found = rescues(streams, idle)
    cut = [rescue.index for rescue in found]

    assert len(cut) <= len(idle)
    assert len(cut) <= sum(rescue.shares for rescue in found) <= len(idle) + len(streams)
    assert len(set(cut)) == len(cut)
    watched = sorted([*(stream.rate for stream in streams if stream.watched >= WINDOW), *idle])
    for index in cut:
        assert streams[index].rate < watched[len(watched) // 2]


# What becomes of the rest ------------------------------------------------------------------------------------------


@pytest.mark.fault("N9")
def test_the_rest_is_split_among_all_who_are_idle() -> None:
    slow = Stream(rate=1e4, left=64 * MIB, watched=5.0)

    assert rescues([slow], idle=[4e6, 4e6, 4e6]) == [Rescue(0, 3)]


def test_who_will_be_idle_soon_gets_a_share_too() -> None:
    slow, nearly = Stream(rate=1e4, left=64 * MIB, watched=5.0), Stream(rate=4e6, left=8 * MIB, watched=5.0)

    assert rescues([slow, nearly, nearly, replace(nearly, left=128 * MIB)], idle=[4e6]) == [Rescue(0, 3)]


def test_two_slow_ones_divide_the_idle_between_them() -> None:
    slow = Stream(rate=1e4, left=64 * MIB, watched=5.0)
    slower = replace(slow, rate=1e3)

    assert rescues([slow, slower], idle=[4e6] * 5) == [Rescue(1, 3), Rescue(0, 2)]


def test_no_share_is_less_than_a_fresh_start_would_bring() -> None:
    slow = Stream(rate=1e4, left=64 * MIB, watched=5.0)

    assert rescues([slow], idle=[64 * MIB / FRESH_START] * 8) == [Rescue(0, 1)]
    assert rescues([slow], idle=[16 * MIB / FRESH_START] * 8) == [Rescue(0, 4)]
    assert rescues([replace(slow, left=3 * MIB, rate=1.0)], idle=[1e5] * 8) == [Rescue(0, 3)]


@given(start=st.integers(0, 2**50), length=st.integers(0, 2**36), shares=st.integers(0, 200))
def test_shares_tile_the_rest_and_none_is_tiny(start: int, length: int, shares: int) -> None:
    rest = Span(start, start + length)
    spans = cut_rest(rest, shares)

    assert (spans[0].start, spans[-1].stop) == (rest.start, rest.stop)
    assert all(before.stop == after.start for before, after in pairwise(spans))
    assert 1 <= len(spans) <= max(1, shares)
    assert len(spans) == 1 or min(span.length for span in spans) >= LEAST_SHARE // 2


# Long stalled ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("N9")
def test_one_that_stood_still_for_long_is_cut_though_there_is_other_work() -> None:
    still = replace(USUAL, rate=0.0, silent=LONG_STALL)

    assert long_stalled([USUAL, still, USUAL]) == [1]
    assert long_stalled([USUAL, replace(still, silent=LONG_STALL - 0.1), USUAL]) == []
    assert long_stalled([USUAL, replace(still, left=0), USUAL]) == []


@pytest.mark.fault("N8")
def test_where_most_stand_still_it_is_not_the_stream() -> None:
    still = replace(USUAL, rate=0.0, silent=LONG_STALL)

    assert long_stalled([still] * 3) == []
    assert long_stalled([still, still, USUAL]) == []
    assert long_stalled([still]) == []


@given(st.integers(0, 2**40))
def test_cuts_cost_at_most_a_twentieth_of_the_object(size: int) -> None:
    budget, cuts = CutBudget.of(size), 0
    while cuts < 200 and budget.pay():
        cuts += 1

    assert cuts * COST_OF_A_CUT <= size / 20


@pytest.mark.fault("N7")
@pytest.mark.parametrize(("rate", "watched", "is_dead"), [(1.0, 30.0, True), (1.0, 29.0, False), (FLOOR, 30.0, False)])
def test_a_byte_a_second_is_no_life(rate: float, watched: float, is_dead: bool) -> None:
    assert is_below_floor(Stream(rate, 1000, watched), window=30.0) is is_dead


def test_one_with_nothing_left_is_not_below_the_floor() -> None:
    assert not is_below_floor(Stream(0.0, 0, 60.0), window=30.0)
