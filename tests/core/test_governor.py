"""The governor in worlds that are only arithmetic: links, servers and processors of known speed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.governor import (
    FAR,
    FULL,
    GRAIN,
    LIMIT,
    MANY,
    PATIENCE,
    SOME,
    START,
    STEP,
    STORE_LIMIT,
    STRIDE,
    WINDOW,
    Governor,
    Sample,
    limit_for,
    start_for,
)
from fastget.core.store_memory import StoreFacts

TICK = 0.02
MB = 1e6


@dataclass
class World:
    """A transfer as the governor's samples would show it; rates in bytes a second, times in seconds.

    A connection brings at most `each`, from `first_byte` after its start; all together at most `link`. A byte costs
    `work` seconds of a processor, and the first ones `beginning` seconds more. With `burst`, a connection delivers so
    many bytes at once, and then pauses.
    """

    each: float
    link: float = 1e12
    first_byte: float = 0.05
    work: float = 0.0
    beginning: float = 0.0
    noise: float = 0.0
    silence: tuple[float, float] = (0.0, 0.0)
    burst: float = 0.0
    source: random.Random = field(default_factory=lambda: random.Random(7))

    def run(self, governor: Governor, seconds: float = 30.0) -> list[int]:
        """How many connections there were at every tick."""
        started = [-10.0] + [0.0] * (governor.wanted - 1)
        received = processor = 0.0
        counts = []
        for tick in range(1, round(seconds / TICK) + 1):
            now = tick * TICK
            brought = self._brought(now, started)
            received += brought
            # Spread over the first bytes: no more than both processors have in a tick.
            begun = min(self.beginning, 2 * TICK) if brought else 0.0
            self.beginning -= begun
            processor += brought * self.work + begun
            flowing = sum(now - start > self.first_byte for start in started) if received else 0
            wanted = governor.observe(Sample(now, int(received), processor, flowing))
            started = started[:wanted] + [now] * (wanted - len(started))
            counts.append(len(started))
        return counts

    def _brought(self, now: float, started: list[float]) -> float:
        """Bytes of one tick."""
        if self.silence[0] <= now < self.silence[1]:
            return 0.0
        ages = [now - start - self.first_byte for start in started]
        together = sum(self._of_one(age) - self._of_one(age - TICK) for age in ages)
        return min(together, self.link * TICK) * (1 + self.source.uniform(-self.noise, self.noise))

    def _of_one(self, age: float) -> float:
        """Bytes that a connection has brought so long after its first one."""
        brought = max(age, 0.0) * self.each
        return ceil(brought / self.burst) * self.burst if self.burst else brought


def governor(limit: int = LIMIT, cores: int = 2) -> Governor:
    return Governor(START, limit, cores)


@pytest.mark.parametrize("first_byte", [0.01, 0.05, 0.15, 0.3, 0.6, 0.9])
def test_where_the_server_caps_each_connection_their_number_grows_to_the_limit(first_byte: float) -> None:
    assert World(each=45 * MB, first_byte=first_byte).run(governor())[-1] == LIMIT


@pytest.mark.parametrize("limit", [2, 3, 5, 31])
def test_the_limit_is_never_passed(limit: int) -> None:
    counts = World(each=45 * MB).run(governor(limit))
    assert max(counts) == counts[-1] == limit


@pytest.mark.parametrize("burst", [0.2e6, 1e6, 2e6])
def test_bursts_hide_nothing(burst: float) -> None:
    assert World(each=45 * MB, burst=burst).run(governor())[-1] == LIMIT


@pytest.mark.parametrize("first_byte", [0.03, 0.045, 0.06])
def test_where_each_connection_is_capped_the_limit_is_reached_in_three_steps(first_byte: float) -> None:
    counts = World(each=45 * MB, first_byte=first_byte).run(governor())
    assert sorted(set(counts)) == [1, 2, 8, 32]
    assert counts.index(LIMIT) * TICK < 3 * (first_byte + WINDOW + 2 * TICK)


@pytest.mark.parametrize("phase", [0.0, 0.02, 0.04, 0.07, 0.11])
def test_slow_connections_that_are_read_in_large_strides_grow_all_the_same(phase: float) -> None:
    assert World(each=2 * MB, first_byte=0.01 + phase, burst=262144).run(governor())[-1] == LIMIT


def test_growth_stops_where_the_link_is_full() -> None:
    assert World(each=45 * MB, link=90 * MB).run(governor())[-1] <= 8
    assert World(each=45 * MB, link=400 * MB).run(governor())[-1] >= 9


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_a_link_that_one_connection_fills_gets_few(noise: float) -> None:
    assert World(each=200 * MB, link=100 * MB, noise=noise).run(governor())[-1] == 2


def test_one_thread_that_fills_a_processor_beside_the_server_stays_alone_after_a_short_trial() -> None:
    for noise in (0.0, 0.1, 0.2):
        counts = World(each=1000 * MB, link=1000 * MB, work=1 / (1000 * MB), noise=noise).run(governor(cores=2))
        assert (max(counts), counts[-1]) == (2, START)
        assert counts.count(2) * TICK <= 2 * WINDOW + 3 * TICK


def test_one_thread_that_fills_a_processor_gets_a_second_one_where_that_brings_as_much() -> None:
    assert World(each=1000 * MB, link=2000 * MB, work=1 / (1000 * MB)).run(governor(cores=2))[-1] == 2
    assert World(each=1000 * MB, link=9000 * MB, work=1 / (1000 * MB)).run(governor(cores=16))[-1] >= 8


def test_one_processor_is_enough_for_one_thread() -> None:
    assert set(World(each=1000 * MB, work=1 / (1000 * MB)).run(governor(cores=1))) == {START}


def test_growth_ends_when_the_processors_get_busy() -> None:
    work = 2 * FULL / STEP / (400 * MB)
    assert World(each=45 * MB, work=work).run(governor(cores=2))[-1] in (8, 16)
    assert World(each=45 * MB, work=work).run(governor(cores=8))[-1] == LIMIT


def test_a_stride_is_taken_only_where_the_processors_carry_it() -> None:
    work = 2 * (FULL / STRIDE + 0.05) / (2 * 45 * MB)
    counts = World(each=45 * MB, work=work).run(Governor(2, LIMIT, 2))
    assert sorted(set(counts)) == [2, 2 * STEP, 6]


def test_slow_connections_take_the_room_that_the_processors_have_though_it_is_less_than_for_twice_as_many() -> None:
    work = 2 * (FULL / 1.6) / (MANY * 45 * MB)
    assert World(each=45 * MB, work=work).run(Governor(MANY, STORE_LIMIT, 2))[-1] == int(MANY * 1.6)
    assert World(each=150 * MB, work=work / 3).run(Governor(MANY, STORE_LIMIT, 2))[-1] == MANY


def test_a_step_of_less_than_a_half_is_not_worth_its_threads() -> None:
    work = 2 * (FULL / 1.4) / (MANY * 45 * MB)
    assert World(each=45 * MB, work=work).run(Governor(MANY, STORE_LIMIT, 2))[-1] == MANY


def test_what_a_transfer_takes_to_begin_is_no_load_that_lasts() -> None:
    world = World(each=45 * MB, work=0.3 / (800 * MB), beginning=0.1)
    assert world.run(Governor(MANY, STORE_LIMIT, 2))[-1] == STORE_LIMIT


@given(count=st.integers(1, 1000), data=st.data())
def test_a_number_that_the_caller_has_set_stays(count: int, data: st.DataObject) -> None:
    fixed = Governor(count, count, 1)
    at = received = 0
    for _ in range(10):
        at, received = at + data.draw(st.integers(1, 5)), received + data.draw(st.integers(0, 10**9))
        assert fixed.observe(Sample(float(at), received, 0.0, 1)) == count
    assert fixed.wanted == count
    assert fixed.is_settled


def test_waiting_for_the_first_bytes_says_nothing() -> None:
    counts = World(each=45 * MB, silence=(0.0, 5.0)).run(governor())
    assert set(counts[: round(5 / TICK) - 1]) == {START}
    assert counts[-1] == LIMIT


def test_a_silence_on_the_way_brings_no_connections_and_ends_no_growth() -> None:
    begins, ends = 0.13, 5.0
    counts = World(each=45 * MB, silence=(begins, ends)).run(governor())
    assert len(set(counts[round((begins + WINDOW) / TICK) + 1 : round(ends / TICK) - 1])) == 1
    assert counts[-1] == LIMIT


@given(
    rates=st.lists(st.floats(0.0, 1e10), min_size=1, max_size=60),
    loads=st.lists(st.floats(0.0, 2.0), min_size=60, max_size=60),
    steps=st.lists(st.floats(0.001, 2.0), min_size=60, max_size=60),
    shares=st.lists(st.floats(0.0, 1.0), min_size=60, max_size=60),
)
def test_whatever_is_measured_the_number_grows_by_a_stride_at_most_within_its_bounds(
    rates: list[float], loads: list[float], steps: list[float], shares: list[float]
) -> None:
    watched = governor()
    at = processor = received = 0.0
    before = watched.wanted
    grown = 0.0
    has_shrunk = False
    for rate, load, step, share in zip(rates, loads, steps, shares, strict=False):
        at, received, processor = at + step, received + rate * step, processor + load * step
        flowing = round(share * watched.wanted)
        was_settled = watched.is_settled
        wanted = watched.observe(Sample(at, int(received), processor, flowing))
        assert START <= wanted <= min(STRIDE * before, LIMIT)
        if wanted != before:
            assert not was_settled
            assert wanted < before or at - grown >= WINDOW
            assert wanted < before or not has_shrunk
            has_shrunk = has_shrunk or wanted < before
            grown = at
        assert wanted == watched.wanted
        before = wanted


@pytest.mark.parametrize("first_byte", [0.03, 0.045, 0.06, 0.2])
def test_an_object_store_far_away_is_asked_by_many_at_once_and_two_windows_later_by_all(first_byte: float) -> None:
    facts = StoreFacts(wait=first_byte, is_object_store=True)
    counts = World(each=45 * MB, first_byte=first_byte).run(Governor(start_for(facts), limit_for(facts), 2))
    assert sorted(set(counts)) == [MANY, STEP * MANY, STORE_LIMIT]
    assert counts.index(STORE_LIMIT) * TICK < 2 * (first_byte + WINDOW + 3 * TICK)


@pytest.mark.parametrize(
    ("facts", "start"),
    [
        (StoreFacts(), START),
        (StoreFacts(wait=FAR / 2, is_object_store=True), START),
        (StoreFacts(wait=FAR), SOME),
        (StoreFacts(wait=FAR, is_object_store=True), MANY),
        (StoreFacts(wait=FAR / 2, connections=24), 24),
    ],
)
def test_the_number_to_begin_with_is_what_paid_before_or_what_the_first_answer_suggests(
    facts: StoreFacts, start: int
) -> None:
    assert start_for(facts) == start


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        (StoreFacts(), LIMIT),
        (StoreFacts(is_object_store=True), STORE_LIMIT),
        (StoreFacts(is_object_store=True, bears=5), 5),
        (StoreFacts(bears=40), LIMIT),
    ],
)
def test_an_object_store_is_asked_by_more_than_one_server_unless_it_is_known_to_leave_some_waiting(
    facts: StoreFacts, limit: int
) -> None:
    assert limit_for(facts) == limit


def test_the_number_to_begin_with_may_come_after_the_beginning() -> None:
    begun = governor()
    assert begun.observe(Sample(0.0, 10, 0.0, 1)) == START
    assert begun.begin_with(SOME, LIMIT) == begun.wanted == SOME
    assert not begun.has_judged
    counts = World(each=45 * MB, first_byte=0.05).run(begun)
    assert counts[-1] == LIMIT


def test_the_limit_may_come_after_the_beginning_too() -> None:
    begun = governor()
    begun.begin_with(1, STORE_LIMIT)
    assert World(each=45 * MB).run(begun)[-1] == begun.limit == STORE_LIMIT


def test_the_room_that_the_processors_had_is_not_given_up_as_soon_as_it_is_taken() -> None:
    world = World(each=45 * MB, work=2 * (FULL / 1.4) / (MANY * 45 * MB), noise=0.03)
    assert world.run(Governor(MANY, STORE_LIMIT, 2))[-1] >= MANY


def test_what_was_measured_is_not_undone_by_a_number_to_begin_with() -> None:
    grown, set_by_hand = governor(), Governor(4, 4, 1)
    World(each=10 * MB, link=80 * MB).run(grown)
    found = grown.wanted
    assert found > START
    assert (grown.begin_with(MANY, STORE_LIMIT), set_by_hand.begin_with(MANY, STORE_LIMIT)) == (found, 4)


def test_a_number_to_begin_with_is_bounded_and_never_less_than_there_are() -> None:
    assert Governor(START, 5, 2).begin_with(MANY, 5) == 5
    assert governor().begin_with(1, LIMIT) == START


def test_processors_that_are_full_send_connections_away_down_to_one_for_each_of_them() -> None:
    busy = Governor(MANY, STORE_LIMIT, 2)
    counts = World(each=10 * MB, work=2.0 / (16 * 10 * MB)).run(busy)
    assert counts[-1] < MANY
    swamped = Governor(MANY, STORE_LIMIT, 2)
    assert World(each=200 * MB, link=200 * MB, work=2.0 / (200 * MB)).run(swamped)[-1] == 2
    assert swamped.is_settled


def test_without_a_gain_the_number_is_final_after_a_while() -> None:
    watched = governor()
    world = World(each=200 * MB, link=100 * MB)
    world.run(watched, seconds=PATIENCE / 2)
    assert not watched.is_settled
    world.run(watched, seconds=3 * PATIENCE)
    assert watched.is_settled


# A pull, whose samples count objects: a quarter of a GRAIN stands for each.


@dataclass(frozen=True)
class Place:
    """Where objects lie: each takes a thread so many seconds of waiting, and so many of the interpreter."""

    waiting: float
    work: float = 0.0003

    def rate(self, threads: int) -> float:
        """Objects a second."""
        return min(threads / (self.waiting + self.work), 1 / self.work)


NEAR, DISTANT = Place(0.0001), Place(0.05)


def pull(reopening: Governor, *phases: tuple[Place, float]) -> list[int]:
    """The threads at the end of each phase of so many seconds."""
    now = finished = processor = 0.0
    found = []
    for place, seconds in phases:
        for _ in range(round(seconds / TICK)):
            now += TICK
            done = place.rate(reopening.wanted) * TICK
            finished += done
            processor += done * place.work
            wanted = reopening.observe(Sample(now, int(finished * GRAIN / 4), processor, reopening.wanted))
        found.append(wanted)
    return found


def for_a_pull(limit: int = LIMIT) -> Governor:
    return Governor(START, limit, 2, 1, reopens=True)


def test_a_pull_whose_objects_lie_near_by_first_and_then_far_away_gets_the_threads_that_pay_there() -> None:
    assert pull(for_a_pull(), (NEAR, 5.0), (DISTANT, 5.0)) == [1, LIMIT]
    assert pull(for_a_pull(), (NEAR, 5.0), (DISTANT, 5.0), (NEAR, 3.0), (DISTANT, 3.0))[-1] == LIMIT


def test_a_pull_that_goes_on_as_it_did_or_better_keeps_its_threads() -> None:
    assert pull(for_a_pull(), (NEAR, 5.0), (Place(0.0001, 0.0002), 5.0), (NEAR, 5.0)) == [1, 1, 1]


def test_a_pull_of_objects_that_take_the_processor_longer_has_no_use_for_more_threads() -> None:
    assert pull(for_a_pull(), (NEAR, 5.0), (Place(0.0001, 0.003), 5.0)) == [1, 1]


def test_a_number_that_the_caller_has_set_stays_in_a_pull_too() -> None:
    assert pull(Governor(3, 3, 1, reopens=True), (NEAR, 5.0), (DISTANT, 5.0)) == [3, 3]


def test_of_one_object_the_number_stays_final() -> None:
    assert pull(Governor(START, LIMIT, 2, 1), (NEAR, 5.0), (DISTANT, 5.0)) == [1, 1]


def test_a_silence_opens_nothing_again() -> None:
    silent = for_a_pull()
    assert pull(silent, (NEAR, 5.0)) == [1]
    last = Sample(5.0, int(NEAR.rate(1) * 5 * GRAIN / 4), 5.0, 1)
    for tick in range(1, 200):
        silent.observe(Sample(5.0 + tick * TICK, last.received, last.processor, 1))
    assert silent.wanted == 1


def test_a_server_that_pauses_now_and_then_does_not_get_more_threads_for_it() -> None:
    slow = Place(0.003)  # a tenth of the rate
    for length in (0.5, 1.5, 3.0, 6.0):
        paused = [(NEAR, 5.0), (slow, length)] * 12
        assert pull(for_a_pull(), *paused, (NEAR, 5.0))[-1] == 1


def test_where_threads_bring_nothing_pauses_do_not_add_them_up() -> None:
    class Link(Place):
        def rate(self, threads: int) -> float:
            return 1 / self.waiting

    fast, slow = Link(0.002, 0.0001), Link(0.02, 0.0001)
    begun = for_a_pull()
    found = pull(begun, (fast, 8.0), *[(slow, 1.5), (fast, 8.0)] * 6)
    assert found[-1] == found[0]
