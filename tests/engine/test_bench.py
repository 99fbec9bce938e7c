"""Measuring a link: stores with whims, objects that change, and the machine around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fastget.client import Client
from fastget.config import Config
from fastget.core.bottleneck import Window
from fastget.core.checksums.algorithms import Algorithm
from fastget.core.ranges import Span
from fastget.core.sweep import Setting
from fastget.engine.bench import machine
from fastget.engine.bench.flow import Spans
from fastget.engine.bench.link import Bench, Bounds, Finding
from fastget.engine.bench.machine import Load, allotted_cores, digest_rate, disk_rate
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.line import Line
from fastget.errors import AccessDenied, Cancelled, DestinationError, SourceChanged
from fastget.sources.resolve import resolve
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
STORED = StoredObject(Content.generated(16 * MIB, seed=3))
QUICK = Bounds(counts=(1, 2), sizes=(MIB,), seconds=0.1)
PACED = Behaviour(rate_per_connection=20e6)


def measured(
    server: ObjectServer,
    tell: Callable[[Finding], None] = lambda _: None,
    announce: Callable[[Setting | None], None] = lambda _: None,
    cancellation: Cancellation | None = None,
    bounds: Bounds = QUICK,
) -> Bench:
    config = Config(retries=2)
    with Client(config) as client, client.lend(config) as (pool, _):
        source = resolve(server.url("/b/x"), config)
        bench = Bench(source, config, pool, cancellation or Cancellation(), bounds, announce, tell)
        bench.run()
    return bench


def test_everything_is_measured_twice_and_nothing_is_left_running(
    monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    # The look at fastget by itself ends with the object, and not before it where the machine is busy.
    monkeypatch.setattr("fastget.engine.bench.link.WINDOWS_BY_ITSELF", 300)
    with ObjectServer({"/b/x": STORED}, behaviour=PACED) as server:
        bench = measured(server)
    # What comes behind these are second looks, where other work on the machine has set the windows apart.
    assert [window.connections for window in bench.windows][:4] == [1, 2, 2, 1]
    # A window in which the whole machine stood still is empty.
    assert {window.connections for window in bench.windows if window.received} == {1, 2}
    assert bench.itself is not None
    assert bench.way is not None
    assert bench.way.handshake is not None


def test_a_store_that_refuses_its_own_etag_is_measured() -> None:
    with ObjectServer({"/b/x": STORED}, behaviour=replace(PACED, refuses_own_etag=True)) as server:
        assert any(window.received for window in measured(server).windows)


def test_a_store_that_throttles_the_first_question_is_asked_again() -> None:
    with ObjectServer({"/b/x": STORED}, behaviour=PACED, faults=[faults.slow_down().on(ranged=True)]) as server:
        assert measured(server).windows


def test_connections_that_break_are_counted_and_made_anew() -> None:
    broken = [faults.reset(after=1000).on(ranged=True, request=4, every=4).always()]
    with ObjectServer({"/b/x": STORED}, behaviour=PACED, faults=broken) as server:
        bench = measured(server)
    assert sum(window.failed for window in bench.windows) > 0


@pytest.mark.parametrize("if_match", [True, False], ids=["refused", "told apart"])
def test_an_object_that_changes_meanwhile_ends_it(if_match: bool, no_leaks: None) -> None:
    with ObjectServer({"/b/x": STORED}, behaviour=replace(PACED, if_match=if_match)) as server:

        def change(found: Finding) -> None:
            if isinstance(found, Window):
                server.put("/b/x", StoredObject(Content.generated(16 * MIB, seed=4)))

        with pytest.raises(SourceChanged):
            measured(server, change)


def test_a_refusal_of_ranges_is_the_error_of_it(no_leaks: None) -> None:
    denied = [faults.access_denied().on(ranged=True).always()]
    with ObjectServer({"/b/x": STORED}, faults=denied) as server, pytest.raises(AccessDenied):
        measured(server)


def test_it_can_be_cancelled_and_keeps_what_was_found(no_leaks: None) -> None:
    cancellation = Cancellation()
    found: list[Finding] = []

    def stop(finding: Finding) -> None:
        found.append(finding)
        if isinstance(finding, Window):
            cancellation.cancel()

    with ObjectServer({"/b/x": STORED}, behaviour=PACED) as server, pytest.raises(Cancelled):
        measured(server, stop, cancellation=cancellation)
    assert isinstance(found[-1], Window)


def test_fastget_s_own_choice_is_announced_last() -> None:
    announced: list[Setting | None] = []
    with ObjectServer({"/b/x": STORED}, behaviour=PACED) as server:
        measured(server, announce=announced.append)
    assert announced[-1] is None
    assert None not in announced[:-1]


def test_pieces_go_from_the_front_to_the_end_and_begin_anew() -> None:
    spans = Spans(10)
    assert [spans.next(4) for _ in range(4)] == [Span(0, 4), Span(4, 8), Span(8, 10), Span(0, 4)]


@pytest.mark.parametrize("counts", [(1, 2), (16, 64)], ids=["few", "many"])
def test_no_more_is_received_than_allowed(counts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[int] = []
    read_into = Line.read_into

    def counted(line: Line, buffer: memoryview, *more: memoryview) -> int:
        received.append(read_into(line, buffer, *more))
        return received[-1]

    monkeypatch.setattr(Line, "read_into", counted)
    bounds = Bounds(counts=counts, sizes=(MIB,), most_bytes=16 * MIB)
    with ObjectServer({"/b/x": STORED}) as server:
        bench = measured(server, bounds=bounds)
    assert len(bench.windows) >= 4
    assert all(window.received for window in bench.windows)
    assert sum(received) <= 16 * MIB


# The machine -------------------------------------------------------------------------------------------------------


def test_a_quota_of_the_control_group_counts_as_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(machine, "_QUOTA", quota)
    whole = allotted_cores()
    assert whole >= 1
    quota.write_text("50000 100000\n")
    assert allotted_cores() == 0.5
    for text in ("max 100000\n", "nonsense", "1 0"):
        quota.write_text(text)
        assert allotted_cores() == whole


def test_the_load_of_the_machine_is_what_was_not_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = tmp_path / "stat"
    monkeypatch.setattr(machine, "_STATISTICS", statistics)
    assert Load.now().machine_since(Load.now()) is None
    statistics.write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\n")
    before = Load.now()
    statistics.write_text("cpu  130 0 130 720 120 0 0 0 0 0\n")
    assert Load.now().machine_since(before) == pytest.approx(0.6)


def test_a_disk_is_written_to_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "FIRST_WRITE", MIB)
    monkeypatch.setattr(machine, "WHOLE_WRITE", 2 * MIB)
    assert disk_rate(str(tmp_path), lambda: None) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="No such file"):
        disk_rate(str(tmp_path / "none"), lambda: None)


def test_a_disk_is_left_alone_once_it_is_cancelled(tmp_path: Path, no_leaks: None) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        disk_rate(str(tmp_path), cancellation.check)
    assert list(tmp_path.iterdir()) == []


def test_digests_have_a_rate() -> None:
    assert digest_rate(Algorithm.MD5) > 0
