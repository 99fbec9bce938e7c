"""When one more process pays for a pull."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.reinforcement import (
    BUSY,
    LEAST_RATE,
    LEAST_READY,
    PRICE,
    READY_PRICE,
    READY_WINDOW,
    WINDOW,
    Load,
    Reinforcement,
)

RATE = 2000.0


def loads(*, rate: float = RATE, outstanding: float = RATE, busy: float = 1.0, windows: int = 4) -> list[Load]:
    """A pull that goes on evenly, looked at once a window, after its first object."""
    times = [number * WINDOW * 1.01 for number in range(windows + 1)]
    return [Load(at, 1 + int(at * rate), int(outstanding), at * busy) for at in times]


def asked(reinforcement: Reinforcement, seen: list[Load]) -> int:
    """How many times the answer was yes."""
    return sum(reinforcement.pays(load) for load in seen)


def test_a_process_that_is_busy_with_many_objects_gets_another_after_a_window() -> None:
    reinforcement = Reinforcement(1, is_asked_for=False)
    answers = [reinforcement.pays(load) for load in loads()]
    assert answers == [False, True, False, False, False]
    assert reinforcement.is_over


def test_there_are_never_more_than_the_most() -> None:
    assert asked(Reinforcement(3, is_asked_for=False), loads(windows=20)) == 3
    assert asked(Reinforcement(0, is_asked_for=False), loads(windows=20)) == 0


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(loads(busy=BUSY * 0.9), id="it waits for the server"),
        pytest.param(loads(rate=LEAST_RATE * 0.9), id="few objects are done, so they are not small"),
        pytest.param(loads(outstanding=RATE * PRICE * 0.9), id="they are done before it would have begun"),
        pytest.param([Load(number * 1.0, 0, 1000, number * 1.0) for number in range(5)], id="nothing is done yet"),
    ],
)
def test_none_is_had_where_it_would_not_pay(seen: list[Load]) -> None:
    assert asked(Reinforcement(1, is_asked_for=False), seen) == 0


def test_one_that_stands_by_is_taken_sooner_and_for_less_and_the_next_as_ever() -> None:
    reinforcement = Reinforcement(2, is_asked_for=False, stands_by=True)
    few = int(RATE * READY_PRICE)
    seen = [Load(number * READY_WINDOW, 1 + number, few, number * READY_WINDOW) for number in range(9)]
    busy = [replace(load, finished=1 + int(load.at * RATE)) for load in seen]
    assert [reinforcement.pays(load) for load in busy] == [False, True] + 7 * [False]
    assert not reinforcement.is_over
    later = [replace(load, at=load.at + 1, processor=load.processor + 1, outstanding=2000) for load in busy]
    assert asked(reinforcement, [replace(load, finished=load.finished + 2000) for load in later]) == 1


def test_what_was_before_the_first_object_does_not_count() -> None:
    reinforcement = Reinforcement(1, is_asked_for=False)
    assert not reinforcement.pays(Load(0.0, 0, 1000, 0.0))
    assert not reinforcement.pays(Load(10.0, 0, 1000, 10.0))
    assert not reinforcement.pays(Load(10.0 + WINDOW / 2, 500, 1000, 10.5))
    assert reinforcement.pays(Load(10.0 + WINDOW, 500, 1000, 10.5))


def test_processes_that_are_asked_for_come_as_soon_as_there_is_work_for_them() -> None:
    reinforcement = Reinforcement(2, is_asked_for=True)
    assert not reinforcement.pays(Load(0.0, 0, LEAST_READY - 1, 0.0))
    assert reinforcement.pays(Load(0.0, 0, LEAST_READY, 0.0))
    assert reinforcement.pays(Load(0.0, 0, LEAST_READY, 0.0))
    assert not reinforcement.pays(Load(0.0, 0, LEAST_READY, 0.0))


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_after_its_end_there_are_no_more(is_asked_for: bool) -> None:
    reinforcement = Reinforcement(5, is_asked_for=is_asked_for)
    reinforcement.end()
    assert asked(reinforcement, loads(windows=20)) == 0


@given(
    st.lists(
        st.tuples(st.floats(0.001, 1.0), st.integers(0, 1000), st.integers(0, 2000), st.floats(0.0, 8.0)), max_size=50
    ),
    st.integers(0, 8),
    st.booleans(),
)
def test_whatever_is_seen_no_more_than_the_most_are_counted(
    steps: list[tuple[float, int, int, float]], most: int, is_asked_for: bool
) -> None:
    reinforcement = Reinforcement(most, is_asked_for=is_asked_for)
    at, finished, processor, count = 0.0, 0, 0.0, 0
    for seconds, done, outstanding, busy in steps:
        at, finished, processor = at + seconds, finished + done, processor + seconds * busy
        count += reinforcement.pays(Load(at, finished, outstanding, processor))
    assert count <= most
