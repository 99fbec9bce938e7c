"""Which streams are cut: those that are far slower than their siblings, within a budget, and no healthy ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.straggler import (
    COST_OF_A_CUT,
    FLOOR,
    WINDOW,
    CutBudget,
    Stream,
    is_below_floor,
    stragglers,
)

MIB = 1024 * 1024
USUAL = Stream(rate=40e6, left=32 * MIB, watched=5.0)
STREAMS = st.builds(
    Stream,
    rate=st.floats(0, 1e9, allow_nan=False),
    left=st.integers(0, 2**40),
    watched=st.floats(0, 100, allow_nan=False),
)


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
    cut = stragglers(streams, idle)

    assert len(cut) <= len(idle)
    assert len(set(cut)) == len(cut)
    watched = sorted([*(stream.rate for stream in streams if stream.watched >= WINDOW), *idle])
    for index in cut:
        assert streams[index].rate < watched[len(watched) // 2]


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
