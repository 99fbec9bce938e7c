"""The governor in worlds that are only arithmetic: links, servers and processors of known speed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.governor import BUSY, INTERVAL, LIMIT, START, Governor, Sample

TICK = 0.1
MB = 1e6


@dataclass
class World:
    """A transfer as the governor's samples would show it; rates in bytes a second, times in seconds.

    A connection brings at most `each`, from `first_byte` after its start; all together at most `link`. A byte costs
    `work` seconds of a processor.
    """

    each: float
    link: float = 1e12
    first_byte: float = 0.05
    work: float = 0.0
    noise: float = 0.0
    silence: tuple[float, float] = (0.0, 0.0)
    source: random.Random = field(default_factory=lambda: random.Random(7))

    def run(self, governor: Governor, seconds: float = 30.0) -> list[int]:
        """How many connections there were at every tick."""
        started = [-10.0] + [0.0] * (governor.wanted - 1)
        received = processor = 0.0
        counts = []
        for tick in range(1, round(seconds / TICK) + 1):
            now = tick * TICK
            rate = self._rate(now, started)
            received += rate * TICK
            processor += rate * TICK * self.work
            wanted = governor.observe(Sample(now, int(received), processor))
            started += [now] * (wanted - len(started))
            counts.append(len(started))
        return counts

    def _rate(self, now: float, started: list[float]) -> float:
        if self.silence[0] <= now < self.silence[1]:
            return 0.0
        shares = (min(1.0, max(0.0, (now - start - self.first_byte) / TICK)) for start in started)
        return min(sum(shares) * self.each, self.link) * (1 + self.source.uniform(-self.noise, self.noise))


def governor(limit: int = LIMIT, cores: int = 2) -> Governor:
    return Governor(START, limit, cores)


@pytest.mark.parametrize("first_byte", [0.01, 0.05, 0.15, 0.3, 0.6, 0.9])
def test_where_the_server_caps_each_connection_their_number_grows_to_the_limit(first_byte: float) -> None:
    assert World(each=45 * MB, first_byte=first_byte).run(governor())[-1] == LIMIT


@pytest.mark.parametrize("limit", [2, 3, 5, 31])
def test_the_limit_is_never_passed(limit: int) -> None:
    counts = World(each=45 * MB).run(governor(limit))
    assert max(counts) == counts[-1] == limit


def test_growth_stops_where_the_link_is_full() -> None:
    assert World(each=45 * MB, link=90 * MB).run(governor())[-1] == 4
    assert World(each=45 * MB, link=400 * MB).run(governor())[-1] == 16


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_a_link_that_one_connection_fills_gets_few(noise: float) -> None:
    assert World(each=200 * MB, link=100 * MB, noise=noise).run(governor())[-1] == 4


def test_where_the_processors_are_the_limit_the_number_stays_as_it_began() -> None:
    work = 2 * (BUSY + 0.01) / (200 * MB)
    assert World(each=100 * MB, link=200 * MB, work=work).run(governor(cores=2))[-1] == START


def test_growth_ends_when_the_processors_get_busy() -> None:
    work = 2 * BUSY / (400 * MB)
    assert World(each=45 * MB, work=work).run(governor(cores=2))[-1] == 16
    assert World(each=45 * MB, work=work).run(governor(cores=8))[-1] == LIMIT


@given(count=st.integers(1, 1000), data=st.data())
def test_a_number_that_the_caller_has_set_stays(count: int, data: st.DataObject) -> None:
    fixed = Governor(count, count, 1)
    at = received = 0
    for _ in range(10):
        at, received = at + data.draw(st.integers(1, 5)), received + data.draw(st.integers(0, 10**9))
        assert fixed.observe(Sample(float(at), received, 0.0)) == count
    assert fixed.wanted == count


def test_waiting_for_the_first_bytes_says_nothing() -> None:
    counts = World(each=45 * MB, silence=(0.0, 5.0)).run(governor())
    assert set(counts[:49]) == {START}
    assert counts[-1] == LIMIT


def test_a_silence_on_the_way_brings_no_connections_and_ends_no_growth() -> None:
    counts = World(each=45 * MB, silence=(0.25, 5.0)).run(governor())
    assert len(set(counts[5:49])) == 1
    assert counts[-1] == LIMIT


@given(
    rates=st.lists(st.floats(0.0, 1e10), min_size=1, max_size=60),
    loads=st.lists(st.floats(0.0, 2.0), min_size=60, max_size=60),
    steps=st.lists(st.floats(0.001, 2.0), min_size=60, max_size=60),
)
def test_whatever_is_measured_the_number_grows_by_doubling_within_its_bounds(
    rates: list[float], loads: list[float], steps: list[float]
) -> None:
    watched = governor()
    at = processor = received = 0.0
    before = watched.wanted
    judged = 0.0
    for rate, load, step in zip(rates, loads, steps, strict=False):
        at, received, processor = at + step, received + rate * step, processor + load * step
        wanted = watched.observe(Sample(at, int(received), processor))
        assert wanted in (before, min(2 * before, LIMIT))
        if wanted != before:
            assert at - judged >= INTERVAL
            judged = at
        assert wanted == watched.wanted
        before = wanted
