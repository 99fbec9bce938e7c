"""Which measurements are made, against links that are functions of connections and size."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from fastget.core.bottleneck import Window
from fastget.core.sweep import Setting, most_steps, sweep

MIB = 1024 * 1024
COUNTS, SIZES = (1, 2, 4, 8, 16, 32), (MIB, 8 * MIB, 32 * MIB)
Link = Callable[[Setting], Window]


def link(rate: Callable[[Setting], float], throttled: Callable[[Setting], int] = lambda _: 0) -> Link:
    def measure(setting: Setting) -> Window:
        return Window(
            connections=setting.connections,
            part_size=setting.part_size,
            seconds=1.0,
            received=int(rate(setting)),
            first_bytes=(0.1,) * 4,
            throttled=throttled(setting),
        )

    return measure


def settings(measure: Link, counts: tuple[int, ...] = COUNTS, sizes: tuple[int, ...] = SIZES) -> list[Setting]:
    made = []
    steps = sweep(counts, sizes)
    try:
        setting = next(steps)
        while True:
            made.append(setting)
            setting = steps.send(measure(setting))
    except StopIteration:
        return made


def test_connections_are_tried_up_and_down_and_then_sizes_at_the_best() -> None:
    made = settings(link(lambda at: at.connections * 1e6), (1, 2, 4))
    base = [Setting(count, 8 * MIB) for count in (1, 2, 4, 4, 2, 1)]
    small, middle, large = (Setting(4, size) for size in SIZES)
    assert made == [*base, small, large, middle, large, small]


def test_no_more_connections_are_tried_once_two_steps_brought_nothing() -> None:
    made = settings(link(lambda at: min(at.connections, 2) * 1e6), sizes=(8 * MIB,))
    assert [at.connections for at in made] == [1, 2, 4, 8, 8, 4, 2, 1]


def test_no_more_connections_are_tried_where_the_server_refuses_most() -> None:
    made = settings(link(lambda _: 1e6, lambda at: 9 if at.connections >= 4 else 0), sizes=(MIB,))
    assert max(at.connections for at in made) == 4


def test_cells_that_contradict_themselves_are_measured_again() -> None:
    seen: list[Setting] = []

    def rate(at: Setting) -> float:
        seen.append(at)
        return 1e6 * at.connections * (2 if at in seen[:-1] else 1)

    made = settings(link(rate), (1, 2), (MIB,))
    assert [at.connections for at in made] == [1, 2, 2, 1, 2, 1]


def test_one_number_and_one_size_are_measured_twice() -> None:
    assert settings(link(lambda _: 1e6), (4,), (MIB,)) == [Setting(4, MIB)] * 2


@given(
    st.lists(st.integers(1, 256), min_size=1, max_size=8),
    st.lists(st.integers(1, 64), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 9)), min_size=80, max_size=80),
)
def test_it_ends_whatever_is_measured(counts: list[int], sizes: list[int], found: list[tuple[int, int]]) -> None:
    answers = iter(found)

    def measure(setting: Setting) -> Window:
        received, throttled = next(answers)
        return link(lambda _: received, lambda _: throttled)(setting)

    made = settings(measure, tuple(counts), tuple(sizes))
    assert len(made) <= most_steps(counts, sizes)
    assert {at.connections for at in made} <= set(counts)
    assert {at.part_size for at in made} <= set(sizes)
