"""A pull from a server that serves few connections at once, and leaves the others without a word in its backlog."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import fastget
from fastget.bulk import crew
from fastget.bulk.unserved import Watch
from fastget.core.urls import Origin
from fastget.events import Event, Failed
from fastget.testing import Behaviour, ObjectServer

MIB = 1024 * 1024
# So long that nobody would wait for it.
NEVER = 1000.0
ServeBucket = Callable[..., ObjectServer]


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastget.bulk.unserved.UNSERVED", 0.5)


def urls_of(server: ObjectServer, keys: dict[str, Any]) -> list[str]:
    return [server.url(f"/b/{key}") for key in keys]


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.fault("N9")
@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("most", [1, 3])
def test_small_objects_are_fetched_by_the_threads_that_are_served(
    serve_bucket: ServeBucket, directory: Path, most: int
) -> None:
    keys = {f"{number:03}": b"x" * number for number in range(120)}
    server = serve_bucket(keys, max_connections=most, behaviour=Behaviour(first_byte_delay=(0.01, 0.01)))
    heard: list[Event] = []
    result = fastget.pull(
        urls_of(server, keys), directory, jobs=8, response_timeout=NEVER, retries=0, on_event=heard.append
    )
    assert files(directory) == keys
    assert (result.done, result.failed, result.retries) == (120, 0, 0)
    assert not [event for event in heard if isinstance(event, Failed)]


@pytest.mark.fault("N9")
@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("most", [1, 2])
def test_larger_objects_are_fetched_by_the_threads_that_are_served(
    serve_bucket: ServeBucket, directory: Path, most: int
) -> None:
    keys = {str(number): bytes([number]) * (MIB + number) for number in range(12)}
    server = serve_bucket(keys, max_connections=most, behaviour=Behaviour(rate_per_connection=20.0 * MIB))
    heard: list[Event] = []
    result = fastget.pull(
        urls_of(server, keys), directory, jobs=4, response_timeout=NEVER, retries=0, on_event=heard.append
    )
    assert files(directory) == keys
    assert (result.done, result.failed) == (12, 0)
    assert not [event for event in heard if isinstance(event, Failed)]


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("given_to", ["client", "verb"])
@pytest.mark.parametrize(("most", "jobs"), [(1, 1), (2, 4)])
def test_a_listing_gets_its_place_among_the_threads(
    serve_bucket: ServeBucket, directory: Path, monkeypatch: pytest.MonkeyPatch, most: int, jobs: int, given_to: str
) -> None:
    monkeypatch.setattr(crew, "AHEAD", 20)
    monkeypatch.setattr(crew, "IDLE", 0.2)
    keys = {f"{number:03}": b"x" * number for number in range(60)}
    server = serve_bucket(keys, page_size=20, max_connections=most)
    patience: dict[str, Any] = {"response_timeout": NEVER}
    own, more = (patience, {}) if given_to == "client" else ({}, patience)
    with fastget.Client(endpoint_url=server.base_url, region="us-east-1", **own) as client:
        result = client.pull("s3://b", directory, jobs=jobs, **more)
    assert (result.done, result.failed) == (60, 0)
    assert files(directory) == keys


def test_the_next_pull_begins_with_as_many_as_are_served(serve_bucket: ServeBucket, tmp_path: Path) -> None:
    keys = {f"{number:03}": b"x" * number for number in range(80)}
    server = serve_bucket(keys, max_connections=1, behaviour=Behaviour(first_byte_delay=(0.005, 0.005)))
    with fastget.Client(response_timeout=NEVER) as client:
        first = client.pull(urls_of(server, keys), tmp_path / "first", jobs=4)
        second = client.pull(urls_of(server, keys), tmp_path / "second")
    assert (first.jobs, second.jobs) == (4, 1)
    assert (first.done, second.done) == (80, 80)


class AtTheEnd(SimpleQueue[Any]):
    """One in which whoever looks finds something, at the end that it is the end."""

    def get_nowait(self) -> Any:
        return self.get(timeout=60)


def test_what_waits_for_its_flush_at_the_end_is_settled(
    serve_bucket: ServeBucket, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "SimpleQueue", AtTheEnd)
    keys = {f"{number:03}": b"x" * number for number in range(5)}
    server = serve_bucket(keys)
    assert fastget.pull(urls_of(server, keys), directory, jobs=1).done == 5
    assert files(directory) == keys


# Who is judged ---------------------------------------------------------------------------------------------------

HERE, THERE = Origin("http", "here", 80), Origin("http", "there", 80)


@dataclass
class One:
    """A thread that has asked, or been answered, at these moments."""

    asked: float | None = None
    answered: float = 0.0
    longest_wait: float = 0.0
    received: int = 0
    server: Origin | None = HERE


def judged(*askers: One, now: float) -> list[tuple[int, int]]:
    return [(one.index, one.served) for one in Watch().look(askers, now) if one.served]


def test_one_without_an_answer_is_given_up_where_others_were_answered_meanwhile() -> None:
    waits, served = One(asked=100.0), One(answered=100.1, longest_wait=0.1)
    assert judged(waits, served, served, now=100.6) == [(0, 2)]


@pytest.mark.parametrize(
    ("other", "now"),
    [
        (One(answered=99.0), 120.0),  # nobody was answered since
        (One(answered=100.1), 100.4),  # that is not long
        (One(answered=101.0, longest_wait=5.0), 119.0),  # nor is this, for them
        (One(answered=101.0, server=THERE), 130.0),  # another server says nothing
        (One(asked=100.0), 130.0),  # nobody is served at all
    ],
)
def test_one_without_an_answer_waits_on_where_others_fare_no_better(other: One, now: float) -> None:
    assert judged(One(asked=100.0), other, now=now) == []


def test_however_slow_a_server_is_for_all_nobody_is_given_up_for_that() -> None:
    slow = One(answered=150.0, longest_wait=40.0)
    assert judged(One(asked=120.0), slow, slow, now=175.0) == []


def test_bytes_that_flow_to_a_sibling_count_as_answers() -> None:
    watch, waits, flows = Watch(), One(asked=100.0), One(answered=90.0, received=1)
    assert watch.look([waits, flows], 100.3) == []
    flows.received = 2
    assert watch.look([waits, flows], 102.5)[0].index == 0


def test_bytes_that_came_before_the_request_do_not() -> None:
    watch, waits, flows = Watch(), One(), One(answered=90.0, received=1)
    watch.look([waits, flows], 99.0)
    waits.asked, flows.received = 100.0, 2
    assert [one.served for one in watch.look([waits, flows], 102.5)] == [0]


def test_who_was_given_up_is_no_example_for_others() -> None:
    watch, first, last = Watch(), One(asked=100.0), One(answered=101.0)
    assert [one.index for one in watch.look([first, last], 103.0)] == [0]
    first.asked, first.answered, last.asked = None, 104.0, 103.5
    assert [(one.index, one.served) for one in watch.look([first, last], 120.0)] == [(1, 0)]


def test_a_request_that_nobody_was_served_instead_of_is_named_once() -> None:
    watch, waits, silent = Watch(), One(asked=100.0), One()
    assert [(one.index, one.served) for one in watch.look([waits, silent], 102.5)] == [(0, 0)]
    assert watch.look([waits, silent], 110.0) == []
    waits.asked = 111.0
    assert [(one.index, one.served) for one in watch.look([waits, silent], 120.0)] == [(0, 0)]


def test_waits_of_those_who_came_late_are_not_taken_for_usual() -> None:
    watch, first, second = Watch(), One(asked=100.0), One(asked=101.9)
    served = One(answered=102.0, longest_wait=0.1)
    assert [one.index for one in watch.look([first, second, served], 102.2)] == [0]
    first.longest_wait, served.answered = 9.0, 102.6
    assert [one.index for one in watch.look([first, second, served], 102.7)] == [0, 1]


def test_looks_follow_each_other_at_some_distance() -> None:
    watch, waits, served = Watch(), One(asked=100.0), One(answered=101.0)
    watch.look([waits, served], 101.9)
    assert watch.look([waits, served], 102.0) == []


def test_many_threads_may_look_at_once() -> None:
    watch, waits, served = Watch(), One(asked=100.0), One(answered=101.0)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.extend(watch.look([waits, served], 103.0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
