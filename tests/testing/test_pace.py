"""At which rate a body goes out."""

from __future__ import annotations

import pytest

from fastget.testing.pace import Pace


def test_what_was_not_sent_in_a_pause_is_not_caught_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("fastget.testing.pace.time.monotonic", lambda: now)
    pace = Pace(((0, 1000),), edge=500)
    assert pace.delay(500) == pytest.approx(0.5)
    now = 200.0
    pace.begin_anew()
    assert pace.delay(250) == pytest.approx(0.25)
