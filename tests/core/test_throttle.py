"""Half as many requests after a refusal, one more for each round that goes well, none before the store's own time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.throttle import SETTLING, UNBOUNDED, Throttle

STEPS = st.lists(st.tuples(st.sampled_from(["refuse", "serve"]), st.integers(1, 64), st.floats(0, 3)), max_size=80)


def test_nothing_is_held_back_at_first() -> None:
    throttle = Throttle()

    assert throttle.is_open
    assert throttle.wait(in_flight=32, now=0.0) == 0.0


@pytest.mark.row(91)
def test_a_refusal_halves_what_was_under_way() -> None:
    throttle = Throttle()
    throttle.refuse(in_flight=16, now=10.0, asked=0.0)

    assert throttle.limit == 8
    assert throttle.wait(in_flight=7, now=10.0) == 0.0
    assert throttle.wait(in_flight=8, now=10.0) == float("inf")


def test_refusals_of_one_moment_count_once() -> None:
    throttle = Throttle()
    for _ in range(16):
        throttle.refuse(in_flight=16, now=10.0, asked=0.0)

    assert throttle.limit == 8
    throttle.refuse(in_flight=8, now=10.0 + SETTLING, asked=0.0)
    assert throttle.limit == 4


def test_nobody_asks_before_the_store_wants_it() -> None:
    throttle = Throttle()
    throttle.refuse(in_flight=4, now=10.0, asked=3.0)

    assert throttle.wait(in_flight=0, now=11.0) == 2.0
    assert throttle.wait(in_flight=0, now=13.0) == 0.0


def test_a_later_refusal_never_shortens_a_wait() -> None:
    throttle = Throttle()
    throttle.refuse(in_flight=4, now=10.0, asked=30.0)
    throttle.refuse(in_flight=4, now=11.0, asked=1.0)

    assert throttle.wait(in_flight=0, now=12.0) == 28.0


@pytest.mark.row(91)
def test_it_recovers_until_nothing_is_held_back() -> None:
    throttle = Throttle()
    throttle.refuse(in_flight=8, now=0.0, asked=0.0)
    rounds = 0
    while not throttle.is_open:
        for _ in range(int(throttle.limit)):
            throttle.serve()
        rounds += 1

    assert 30 <= rounds <= 2 * UNBOUNDED


@given(STEPS)
def test_one_request_may_always_go_out_in_the_end(steps: list[tuple[str, int, float]]) -> None:
    throttle, now = Throttle(), 0.0
    for what, in_flight, seconds in steps:
        now += seconds
        if what == "refuse":
            throttle.refuse(in_flight, now, asked=seconds)
        else:
            throttle.serve()

    assert 1 <= throttle.limit <= UNBOUNDED + 1
    assert throttle.wait(in_flight=0, now=now + 4) == 0.0
