"""Cutting an object of 10,000 pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.layout import PartLayout
from fastget.core.planner import MIB, plan_parts, plan_ranges

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

_PIECES = 10_000
_PIECE = 16 * MIB


def test_planning_10_000_ranges(benchmark: BenchmarkFixture) -> None:
    plan = benchmark(plan_ranges, _PIECES * _PIECE, chunk_size=_PIECE)
    assert len(plan.chunks) == _PIECES


def test_planning_10_000_parts_by_number(benchmark: BenchmarkFixture) -> None:
    layout = PartLayout.of_sizes([_PIECE] * _PIECES)
    plan = benchmark(plan_parts, layout, by_number=True, whole_parts=True)
    assert [chunk.part for chunk in plan.chunks[:2]] == [1, 2]
    assert len(plan.chunks) == _PIECES


def test_planning_10_000_parts_that_are_cut_further(benchmark: BenchmarkFixture) -> None:
    layout = PartLayout.of_sizes([2 * _PIECE] * (_PIECES // 2))
    plan = benchmark(plan_parts, layout, by_number=False, whole_parts=False, chunk_size=_PIECE)
    assert plan.chunks[-1].span.stop == _PIECES * _PIECE
