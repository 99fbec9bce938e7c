"""The verdict on a link: worlds whose limit is known, and whatever else may be measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.bottleneck import Cell, Facts, Limit, Verdict, Window, best_of, cells_of, judge

MIB = 1024 * 1024
COUNTS = (1, 2, 4, 8, 16, 32)


def window(connections: int, rate: float, part_size: int = 8 * MIB, **facts: Any) -> Window:
    """A second at a rate, all connections with the same share of it."""
    plain = Window(
        connections=connections,
        part_size=part_size,
        seconds=1.0,
        received=int(rate),
        first_bytes=(0.01,) * connections,
        flows=(int(rate / connections),) * connections,
        processor=0.05,
        user=0.01,
    )
    return replace(plain, **facts)


def ladder(*rates: float, **facts: Any) -> list[Window]:
    return [window(count, rate, **facts) for count, rate in zip(COUNTS, rates, strict=False)]


def verdict(windows: list[Window], **around: Any) -> Verdict:
    return judge(replace(Facts(cells_of(windows), cores=2.0), **around))


CAPPED = ladder(*(count * 2e6 for count in COUNTS))
FULL = ladder(40e6, 75e6, 99e6, 100e6, 100e6)


def test_a_rate_in_proportion_to_the_connections_is_a_cap_of_each() -> None:
    found = verdict(CAPPED)
    assert (found.limit, found.also) == (Limit.PER_CONNECTION, ())
    assert found.best is not None
    assert found.best.connections == 32
    assert found.is_open_ended
    assert found.growth == pytest.approx(1.0)


def test_a_rate_that_more_connections_do_not_raise_is_the_network() -> None:
    found = verdict(FULL)
    assert (found.limit, found.also) == (Limit.NETWORK, ())
    assert found.best is not None
    assert found.best.connections == 4
    assert not found.is_open_ended


def test_one_connection_that_fills_the_link_is_the_network() -> None:
    found = verdict(ladder(100e6, 100e6, 99e6))
    assert found.limit is Limit.NETWORK
    assert found.growth is None


def test_a_cap_of_each_connection_counts_no_more_once_the_link_is_full() -> None:
    assert verdict(ladder(2e6, 4e6, 8e6, 16e6, 16e6, 16e6)).limit is Limit.NETWORK


def test_a_rate_that_still_grows_somewhat_is_the_network_with_an_open_end() -> None:
    found = verdict(ladder(40e6, 60e6, 85e6))
    assert found.limit is Limit.NETWORK
    assert found.is_open_ended


def test_connections_that_mostly_wait_for_answers_are_held_up_by_them() -> None:
    waiting = [replace(each, waiting=0.8 * each.connections) for each in CAPPED]
    assert verdict(waiting).limit is Limit.LATENCY


def test_a_wait_that_larger_pieces_make_up_for_is_none() -> None:
    small = [replace(each, waiting=0.6 * each.connections) for each in CAPPED]
    large = window(32, 150e6, 32 * MIB, waiting=32 * 0.2)
    assert verdict([*small, large]).limit is Limit.PER_CONNECTION


def test_answers_that_ask_for_fewer_requests_are_throttling() -> None:
    throttled = [*CAPPED[:4], replace(CAPPED[4], received=int(10e6), throttled=8)]
    found = verdict(throttled)
    assert found.limit is Limit.THROTTLING
    assert found.refused == pytest.approx(8 / 24)


def test_nothing_but_refusals_is_throttling() -> None:
    refused = replace(window(1, 0), throttled=9, first_bytes=())
    assert verdict([refused]).limit is Limit.THROTTLING


def test_refusals_far_beyond_the_best_number_of_connections_do_not_matter() -> None:
    far = replace(window(32, 100e6), throttled=30)
    assert verdict([*FULL, far]).limit is Limit.NETWORK


def test_busy_cores_are_the_processor() -> None:
    busy = [replace(each, processor=1.9, user=0.4) for each in FULL]
    assert verdict(busy).limit is Limit.CPU
    assert verdict(busy).busy == pytest.approx(0.95)
    assert verdict(busy, cores=16.0).limit is Limit.NETWORK


def test_cores_that_are_shared_with_others_are_the_processor() -> None:
    assert verdict([replace(each, machine=0.97, processor=0.8) for each in FULL]).limit is Limit.CPU


def test_cores_that_others_keep_busy_do_not_matter_to_a_link_that_needs_none() -> None:
    assert verdict([replace(each, machine=1.0, processor=0.1) for each in FULL]).limit is Limit.NETWORK


def test_cores_that_others_keep_busy_do_not_matter_while_each_connection_brings_its_share() -> None:
    assert verdict([replace(each, machine=1.0) for each in CAPPED]).limit is Limit.PER_CONNECTION


def test_cores_that_decrypt_are_tls() -> None:
    busy = [replace(each, processor=1.9, user=1.5) for each in FULL]
    assert verdict(busy, is_encrypted=True).limit is Limit.TLS
    assert verdict(busy).limit is Limit.CPU


def test_a_disk_slower_than_the_network_is_the_disk() -> None:
    found = verdict(FULL, disk_rate=50e6)
    assert (found.limit, found.also) == (Limit.DISK, (Limit.NETWORK,))
    assert verdict(FULL, disk_rate=500e6).limit is Limit.NETWORK


def test_connections_that_get_nothing_beside_others_that_go_on_are_out_of_slots() -> None:
    crowded = replace(window(8, 100e6), flows=(25_000_000,) * 4 + (0,) * 4)
    assert verdict([*FULL[:3], crowded]).limit is Limit.SLOTS


def test_one_number_of_connections_says_nothing() -> None:
    assert verdict([window(4, 50e6)]).limit is Limit.UNKNOWN
    assert verdict([]).limit is Limit.UNKNOWN
    assert verdict([window(1, 0)]).limit is Limit.UNKNOWN


def test_the_best_cell_has_the_fewest_connections_of_those_that_are_as_good() -> None:
    assert best_of(cells_of(FULL)).connections == 4
    assert best_of(cells_of([window(8, 100e6), window(8, 101e6, 32 * MIB)])).part_size == 32 * MIB


def test_a_cell_is_the_median_of_its_windows() -> None:
    (cell,) = cells_of([window(2, 10e6), window(2, 30e6), window(2, 11e6)])
    assert cell.rate == 11e6
    assert cell.spread == pytest.approx(20 / 11)
    assert (cell.first_byte, cell.wait_of(0.95)) == (0.01, 0.01)
    assert verdict([window(2, 10e6), window(2, 30e6)]).is_noisy


shares = st.floats(0, 1)
# Numbers that can be multiplied and stay what they are, and whatever else a float can be.
measurable = st.just(0.0) | st.floats(1e-6, 100)
windows = st.builds(
    Window,
    connections=st.integers(1, 64),
    part_size=st.sampled_from([MIB, 8 * MIB, 32 * MIB]),
    seconds=measurable,
    received=st.integers(0, 10**12),
    first_bytes=st.lists(measurable, max_size=5).map(tuple),
    waiting=measurable,
    throttled=st.integers(0, 20),
    failed=st.integers(0, 20),
    flows=st.lists(st.integers(0, 10**10), max_size=5).map(tuple),
    processor=measurable,
    user=measurable,
    machine=st.none() | shares,
)
facts = st.builds(
    Facts,
    cells=st.lists(windows, max_size=12).map(cells_of),
    cores=st.floats(0.1, 256),
    is_encrypted=st.booleans(),
    disk_rate=st.none() | st.floats(1, 1e12),
)


wild = st.builds(
    replace, windows, seconds=st.floats(0, 1e300), waiting=st.floats(0, 1e300), processor=st.floats(0, 1e300)
)


@given(facts, st.lists(wild, max_size=6).map(cells_of))
def test_there_is_a_verdict_on_whatever_was_measured(ordinary: Facts, odd: tuple[Cell, ...]) -> None:
    measured = replace(ordinary, cells=ordinary.cells + odd)
    found = judge(measured)
    assert found.limit not in found.also
    assert 0 <= found.busy <= 1
    assert 0 <= found.refused <= 1
    for cell in measured.cells:
        assert 0 <= cell.waiting <= 1
        assert 0 <= cell.silent <= 1
        assert 0 <= cell.user <= 1


@given(facts, st.sampled_from([2, 8, 1024]))
def test_a_link_that_is_so_many_times_as_fast_gets_the_same_verdict(measured: Facts, times: int) -> None:
    faster = [
        replace(each, received=each.received * times, flows=tuple(flow * times for flow in each.flows))
        for cell in measured.cells
        for each in cell.windows
    ]
    disk = None if measured.disk_rate is None else measured.disk_rate * times
    scaled = judge(replace(measured, cells=cells_of(faster), disk_rate=disk))
    found = judge(measured)
    assert (scaled.limit, scaled.also, scaled.is_open_ended) == (found.limit, found.also, found.is_open_ended)


@given(facts, st.sampled_from([0.25, 2.0, 64.0]))
def test_a_clock_that_goes_at_another_speed_changes_nothing(measured: Facts, times: float) -> None:
    slower = [
        replace(
            each,
            seconds=each.seconds * times,
            waiting=each.waiting * times,
            first_bytes=tuple(wait * times for wait in each.first_bytes),
            processor=each.processor * times,
            user=each.user * times,
        )
        for cell in measured.cells
        for each in cell.windows
    ]
    disk = None if measured.disk_rate is None else measured.disk_rate / times
    scaled = judge(replace(measured, cells=cells_of(slower), disk_rate=disk))
    found = judge(measured)
    assert (scaled.limit, scaled.also, scaled.is_open_ended) == (found.limit, found.also, found.is_open_ended)
