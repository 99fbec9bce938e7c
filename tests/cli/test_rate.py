"""The rate of the last few seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastget.cli.rate import WINDOW, RateWindow


def test_one_sample_tells_no_rate() -> None:
    window = RateWindow()
    assert window.rate(0.0) is None
    window.add(0.0, 0)
    assert window.rate(1.0) is None


def test_an_even_flow_has_its_rate() -> None:
    window = RateWindow()
    for tenth in range(100):
        window.add(tenth / 10, tenth * 10)
    assert window.rate(9.9) == 100


def test_what_came_before_the_window_counts_no_more() -> None:
    window = RateWindow()
    window.add(0.0, 0)
    window.add(1.0, 10**9)
    for second in range(2, 10):
        window.add(float(second), 10**9 + second)
    assert window.rate(9.0) == 1


def test_a_stall_brings_the_rate_down_to_nothing() -> None:
    window = RateWindow()
    window.add(0.0, 0)
    window.add(1.0, 1000)
    rates = [window.rate(now) for now in (1.0, 2.0, 1.0 + WINDOW)]
    assert rates == [1000, 500, 0]


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 10**9)), min_size=2, max_size=60))
def test_the_rate_is_never_negative_and_the_window_never_grows(steps: list[tuple[float, int]]) -> None:
    window = RateWindow()
    now, total = 0.0, 0
    for elapsed, size in steps:
        now, total = now + elapsed, total + size
        window.add(now, total)
    rate = window.rate(now)
    assert rate is not None
    assert 0 <= rate <= 10**9 / 0.01 * 1.01
