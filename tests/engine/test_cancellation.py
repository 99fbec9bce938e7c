"""A scope that is cancelled: whoever waits in it learns of that, and of signals."""

from __future__ import annotations

import threading

import pytest

from fastget.engine.cancellation import LOOK, Cancellation
from fastget.errors import Cancelled


def test_a_long_wait_is_made_of_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes just before one of them is heeded after it."""
    waits: list[float] = []

    def wait(event: threading.Event, timeout: float | None = None) -> bool:
        waits.append(timeout or 0.0)
        return event.is_set()

    monkeypatch.setattr(threading.Event, "wait", wait)
    Cancellation().wait(100.5 * LOOK)
    assert sum(waits) == pytest.approx(100.5 * LOOK)
    assert max(waits) == LOOK


@pytest.mark.parametrize("seconds", [0, 0.001, 100])
def test_a_wait_in_a_cancelled_scope_ends_at_once(seconds: float) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        cancellation.wait(seconds)
