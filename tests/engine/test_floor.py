"""The least rate of what one thread reads for itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fastget.core.straggler import FLOOR
from fastget.engine.exchange import floor as floors
from fastget.engine.exchange.floor import Floor
from fastget.errors import Stalled


class Clock:
    """Seconds that pass where a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(floors, "time", SimpleNamespace(monotonic=lambda: self.now))

    def read(self, floor: Floor, seconds: float, received: int) -> None:
        with floor:
            self.now += seconds
        floor.count(received)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def over(*, is_limited: bool = False) -> Any:
    return SimpleNamespace(is_limited=is_limited)


def test_less_than_the_least_rate_for_so_long_is_a_stall(clock: Clock) -> None:
    floor = Floor(over(), 10.0)
    for _ in range(9):
        clock.read(floor, 1.0, 1)
    with pytest.raises(Stalled, match="less than 64 bytes a second came for 10 s"):
        clock.read(floor, 1.0, 1)


def test_each_stretch_counts_by_itself(clock: Clock) -> None:
    floor = Floor(over(), 10.0)
    clock.read(floor, 10.0, 1_000_000)
    for _ in range(20):
        clock.read(floor, 1.0, int(FLOOR))
    clock.read(floor, 9.0, 1)
    with pytest.raises(Stalled):
        clock.read(floor, 1.0, 1)
    clock.read(floor, 9.0, 1)  # of another answer


def test_the_time_between_two_reads_is_the_readers(clock: Clock) -> None:
    floor = Floor(over(), 10.0)
    for _ in range(9):
        clock.read(floor, 1.0, 1)
        clock.now += 1000.0


def test_a_limit_of_the_readers_own_is_no_slow_server(clock: Clock) -> None:
    floor = Floor(over(is_limited=True), 10.0)
    for _ in range(100):
        clock.read(floor, 1.0, 1)
