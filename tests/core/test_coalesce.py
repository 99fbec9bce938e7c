"""Ranges become requests: every byte that was asked for is in one, and little else."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fastget.core.coalesce import Fetch, coalesce
from fastget.core.ranges import Span

SPANS = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 300)).map(lambda pair: Span(pair[0], pair[0] + pair[1])), max_size=60
)


def test_neighbours_are_one_request() -> None:
    assert coalesce([Span(0, 10), Span(10, 20)], gap=0) == [Fetch(Span(0, 20), (0, 1))]


def test_a_small_gap_is_read_and_a_large_one_is_not() -> None:
    spans = [Span(0, 10), Span(14, 20), Span(30, 40)]

    assert coalesce(spans, gap=4) == [Fetch(Span(0, 20), (0, 1)), Fetch(Span(30, 40), (2,))]


def test_a_request_grows_no_larger_than_it_may() -> None:
    spans = [Span(at, at + 10) for at in range(0, 100, 10)]

    assert [fetch.span.length for fetch in coalesce(spans, largest=40)] == [40, 40, 20]


def test_the_order_of_the_caller_does_not_matter_but_is_kept() -> None:
    assert coalesce([Span(50, 60), Span(0, 10)], gap=0) == [Fetch(Span(0, 10), (1,)), Fetch(Span(50, 60), (0,))]


def test_one_range_inside_another_takes_no_request_of_its_own() -> None:
    assert coalesce([Span(0, 100), Span(20, 30), Span(90, 95)], largest=10) == [Fetch(Span(0, 100), (0, 1, 2))]


def test_nothing_is_asked_for_where_nothing_is_wanted() -> None:
    assert coalesce([]) == []
    assert coalesce([Span(5, 5)]) == []


@given(SPANS, st.integers(0, 200), st.integers(1, 1000))
def test_every_range_lies_in_exactly_one_request(spans: list[Span], gap: int, largest: int) -> None:
    fetches = coalesce(spans, gap=gap, largest=largest)

    members = [index for fetch in fetches for index in fetch.members]
    assert sorted(members) == [index for index, span in enumerate(spans) if span.length]
    for fetch in fetches:
        for index in fetch.members:
            assert fetch.span.start <= spans[index].start
            assert spans[index].stop <= fetch.span.stop


@given(SPANS, st.integers(0, 200), st.integers(1, 1000))
def test_requests_are_in_order_and_apart(spans: list[Span], gap: int, largest: int) -> None:
    fetches = coalesce(spans, gap=gap, largest=largest)

    for before, after in pairwise(fetches):
        assert before.span.stop <= after.span.start


@given(SPANS, st.integers(0, 200))
def test_no_more_is_read_in_vain_than_the_gaps_allow(spans: list[Span], gap: int) -> None:
    for fetch in coalesce(spans, gap=gap):
        wanted = {offset for index in fetch.members for offset in range(spans[index].start, spans[index].stop)}
        assert fetch.span.length - len(wanted) <= gap * (len(fetch.members) - 1)
