"""Faults by chance: repeatable, bounded, and all of them at once without harm to the server."""

from __future__ import annotations

from typing import Any

import pytest

from fastget.testing import Chaos, Content, ObjectServer, StoredObject
from fastget.testing.chaos import DAMAGING, LYING, TRANSIENT

CONTENT = Content.generated(100_000, seed=1)
RANGES = [f"bytes={start}-{start + 9_999}" for start in range(0, 100_000, 10_000)]


def outcomes(ask: Any, chaos: Chaos, ranges: list[str]) -> dict[str, list[bytes]]:
    """The bodies of three askings for each range."""
    with ObjectServer({"/b/k": StoredObject(CONTENT)}, faults=chaos) as server:
        found = {value: [ask(server, Range=value).body for _ in range(3)] for value in ranges}
        happened = [name for request in server.requests for name in request.faults]
        assert sorted(happened) == sorted(server.faults_happened)
    return found


@pytest.mark.parametrize("draws", [TRANSIENT, LYING, DAMAGING])
def test_the_same_seed_does_the_same_whatever_the_order(ask: Any, draws: Any) -> None:
    first = outcomes(ask, Chaos(0.5, seed=4, draws=draws), RANGES)
    second = outcomes(ask, Chaos(0.5, seed=4, draws=draws), RANGES[::-1])
    third = outcomes(ask, Chaos(0.5, seed=5, draws=draws), RANGES)
    assert first == second
    assert first != third


def test_faults_end_at_their_limit(ask: Any) -> None:
    chaos = Chaos(1.0, seed=1, limit=3, draws=DAMAGING)
    bodies = outcomes(ask, chaos, RANGES)
    wrong = [body for index, value in enumerate(RANGES) for body in bodies[value] if body != piece(index)]
    assert len(wrong) == len(chaos.happened) == 3


def test_without_probability_nothing_happens(ask: Any) -> None:
    chaos = Chaos(0.0, seed=1)
    bodies = outcomes(ask, chaos, RANGES)
    assert all(bodies[value] == [piece(index)] * 3 for index, value in enumerate(RANGES))
    assert chaos.happened == ()


def piece(index: int) -> bytes:
    return CONTENT.read(index * 10_000, (index + 1) * 10_000)
