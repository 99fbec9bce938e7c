"""The limit that transfers share: turns are slept for without the lock, and given back where nobody wants them."""

from __future__ import annotations

import pytest

from fastget.errors import Cancelled
from fastget.transport import limit
from fastget.transport.limit import RateLimit, shared_limit


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only tests move."""
    clock = [1000.0]
    monkeypatch.setattr(limit, "monotonic", lambda: clock[0])
    return clock


def test_a_turn_that_is_due_is_not_slept_for() -> None:
    def sleep(_: float) -> None:
        raise AssertionError("it slept")

    assert RateLimit(1000).take(100, sleep) == 20


def test_a_later_turn_is_slept_for(now: list[float]) -> None:
    slept: list[float] = []
    shared = RateLimit(1000)
    for _ in range(3):
        shared.take(100, slept.append)
    assert slept == pytest.approx([0.02, 0.04])
    assert shared.is_short
    now[0] += 0.07
    assert not shared.is_short


def test_whoever_is_woken_gives_the_turn_back() -> None:
    def interrupt(_: float) -> None:
        raise Cancelled("stopped")

    shared, slept = RateLimit(1000), list[float]()
    shared.take(20, slept.append)
    with pytest.raises(Cancelled):
        shared.take(20, interrupt)
    shared.take(20, slept.append)
    assert slept == pytest.approx([0.02])


def test_one_number_is_one_limit() -> None:
    assert shared_limit(None) is None
    assert shared_limit(5000) is shared_limit(5000)
    assert shared_limit(5000) is not shared_limit(6000)
