"""The token bucket: what it grants stays within the rate, and nobody who keeps asking gets less."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.bucket import CREDIT, LARGEST_GRANT, TokenBucket

KIB, MIB = 1024, 1024 * 1024
RATES = [1, 1000, 100 * KIB, 50 * MIB, 10**10]


@pytest.mark.parametrize("rate", RATES)
def test_whoever_keeps_asking_gets_the_rate(rate: int) -> None:
    bucket, now, received = TokenBucket(rate, 100.0), 100.0, 0
    for _ in range(1000):
        grant = bucket.ask(now, MIB)
        now += grant.wait
        received += grant.count
    assert received == pytest.approx(rate * (now - 100.0), rel=0.01)


@pytest.mark.parametrize("rate", RATES)
def test_a_grant_is_at_least_one_byte_and_at_most_what_is_asked_for(rate: int) -> None:
    bucket = TokenBucket(rate, 0.0)
    assert bucket.ask(0.0, 1).count == 1
    assert 1 <= bucket.ask(0.0, 1 << 40).count <= LARGEST_GRANT


def test_nothing_is_saved_up_before_the_first_byte() -> None:
    bucket = TokenBucket(1000, 0.0)
    assert bucket.ask(0.0, 20).wait == 0.0
    assert bucket.ask(0.0, 20).wait == pytest.approx(0.02)


def test_what_is_given_back_is_for_the_next() -> None:
    bucket = TokenBucket(1000, 0.0)
    granted = bucket.ask(0.0, 20).count
    assert bucket.is_short(0.0)
    bucket.give_back(granted)
    assert not bucket.is_short(0.0)
    assert bucket.ask(0.0, 20).wait == 0.0


def test_those_who_ask_at_once_take_turns_of_one_size() -> None:
    bucket = TokenBucket(100 * KIB, 0.0)
    grants = [bucket.ask(0.0, MIB) for _ in range(8)]
    assert len({grant.count for grant in grants}) == 1
    gaps = {round(later.wait - sooner.wait, 9) for sooner, later in pairwise(grants)}
    assert gaps == {grants[0].count / (100 * KIB)}


@given(
    rate=st.integers(1, 10**9),
    asked=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4 * MIB), st.floats(0, 1)), min_size=1, max_size=60),
)
def test_no_stretch_of_time_holds_more_than_its_share_and_a_quarter_of_a_second(
    rate: int, asked: list[tuple[float, int, float]]
) -> None:
    bucket, now = TokenBucket(rate, 0.0), 0.0
    received: list[tuple[float, int]] = []
    for idle, wanted, share in asked:
        now += idle
        grant = bucket.ask(now, wanted)
        now += grant.wait
        count = round(grant.count * share)
        bucket.give_back(grant.count - count)
        received.append((now, count))
    largest = max(count for _, count in received)
    for first, (began, _) in enumerate(received):
        total = 0
        for at, count in received[first:]:
            total += count
            assert total <= rate * (at - began + CREDIT) * 1.000001 + largest + 1
