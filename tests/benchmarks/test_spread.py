from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.spread import Spread, percentile

_FIGURES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@given(_FIGURES)
def test_the_50th_percentile_is_the_median(figures: list[float]) -> None:
    assert percentile(figures, 0.5) == pytest.approx(statistics.median(figures))


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50))
def test_percentiles_agree_with_the_standard_library(figures: list[float]) -> None:
    expected = statistics.quantiles(figures, n=10, method="inclusive")
    assert [percentile(figures, share / 10) for share in range(1, 10)] == pytest.approx(expected)


@given(_FIGURES)
def test_a_spread_holds_the_median_between_the_lowest_and_the_highest(figures: list[float]) -> None:
    spread = Spread.of(figures)
    assert (spread.lowest, spread.highest) == (min(figures), max(figures))
    assert spread.lowest <= spread.median <= spread.highest


def test_one_figure_is_its_own_spread() -> None:
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)


@pytest.mark.parametrize(("figures", "share"), [([], 0.5), ([1.0], -0.1), ([1.0], 1.1)])
def test_no_figures_or_no_share_have_no_percentile(figures: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(figures, share)
