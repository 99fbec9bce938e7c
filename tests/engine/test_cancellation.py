"""A scope that is cancelled: whoever waits in it learns of that, and of signals."""

from __future__ import annotations

import pytest

from fastget.engine.cancellation import LOOK, Cancellation
from fastget.errors import Cancelled
from fastget.interrupts import Latch


def test_a_long_wait_is_made_of_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes just before one of them is heeded after it."""
    waits: list[float] = []

    def wait(_: Latch, seconds: float) -> bool:
        waits.append(seconds)
        return False

    monkeypatch.setattr(Latch, "wait", wait)
    Cancellation().wait(100.5 * LOOK)
    assert sum(waits) == pytest.approx(100.5 * LOOK)
    assert max(waits) == LOOK


@pytest.mark.parametrize("seconds", [0, 0.001, 100])
def test_a_wait_in_a_cancelled_scope_ends_at_once(seconds: float) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        cancellation.wait(seconds)


def test_a_scope_may_be_cancelled_by_the_thread_that_is_adding_to_it() -> None:
    """As the garbage collector has it, which ends a stream that nobody closed in whatever thread it runs."""
    cancellation = Cancellation()

    class Target:
        is_aborted = False

        def __hash__(self) -> int:
            cancellation.cancel()
            return 1

        def abort(self) -> None:
            self.is_aborted = True

    target = Target()
    cancellation.add(target)
    assert target.is_aborted
