"""Many small objects, fetched by several processes: the same files, the same failures, nothing left behind."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from fastget.bulk.processes.alone import AUTOMATIC, processes_for
from fastget.bulk.processes.child import LEAST_EACH, MOST, Pace
from fastget.client import Client
from fastget.config import Config
from fastget.engine.cancellation import Cancellation
from fastget.errors import AccessDenied, Cancelled, ChecksumMismatch, NotFound
from fastget.events import Done, Event, Failed, PullProgress, Unchanged
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer
from fastget.testing.operations.listing import Listing
from fastget.testing.received import ReceivedRequest

pytestmark = pytest.mark.usefixtures("no_children", "no_leaks")

Children = list[psutil.Process]
FindChildren = Callable[..., Children]
Open = Callable[..., "Stage"]

COUNT = 200
KEYS = {f"d{number % 3}/{number:03}": hashlib.sha256(bytes([number])).digest() * number for number in range(COUNT)}
SECRET = "marked-secret-of-the-key-0123456789"
OPTIONS: dict[str, Any] = {
    "processes": 2,
    "region": "us-east-1",
    "access_key_id": "AKIAOFTHEOPTIONS",
    "secret_access_key": SECRET,
}
MIB = 1024 * 1024
# Only a failure takes this long (seconds).
HANG = 60.0


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child may take long to come up."""
    monkeypatch.setattr("fastget.engine.children.process._LEAST_PATIENCE", HANG)


def stored(data: bytes) -> StoredObject:
    return StoredObject(Content.of(data), checksum=Algorithm.CRC32C)


class Stage:
    """A server that keeps everyone waiting until all processes are at work.

    `at_work`, if given, is called at that moment with the children, in the thread of the pull.
    """

    def __init__(
        self,
        objects: Mapping[str, StoredObject],
        find: FindChildren,
        *,
        children: int = 1,
        at_work: Callable[[Children], None] | None = None,
        **server: Any,
    ) -> None:
        self._release = threading.Event()
        self._find = find
        self._children = children
        self._at_work = at_work
        self.seen: Children = []
        self.events: list[Event] = []
        found = {f"/b/{key}": one for key, one in objects.items()}
        self.server = ObjectServer(found, operations=[Listing(found), self._wait], **server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._release.set()
        self.server.close()

    def _wait(self, _: ReceivedRequest) -> Answer | None:
        assert self._release.wait(HANG)
        return None

    def handle(self, event: Event) -> None:
        """Of the pull."""
        self.events.append(event)
        if isinstance(event, PullProgress) and not self._release.is_set():
            self.seen = self._find(self.server.port)
            if len(self.seen) >= self._children:
                if self._at_work is not None:
                    self._at_work(self.seen)
                self._release.set()

    def options(self, **more: Any) -> dict[str, Any]:
        return {"endpoint_url": self.server.base_url, "on_event": self.handle, **OPTIONS, **more}


@pytest.fixture
def stage(busy_children: FindChildren) -> Iterator[Open]:
    opened: list[Stage] = []

    def make(objects: Mapping[str, StoredObject] | None = None, **options: Any) -> Stage:
        given = {key: stored(data) for key, data in KEYS.items()} if objects is None else objects
        opened.append(Stage(given, busy_children, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__()


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One for each time that everything was brought to the disk."""
    found: list[bool] = []
    monkeypatch.setattr("fastget.bulk.processes.company.os.sync", lambda: found.append(True))
    return found


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as one:
        yield one


def files(directory: Path) -> dict[str, bytes]:
    """Every file below, hidden ones too, by its path."""
    found = (path for path in directory.rglob("*") if not path.is_dir())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("fsync", [True, False])
def test_all_objects_are_here_and_checked_by_whoever_has_fetched_them(
    stage: Open, client: Client, tmp_path: Path, fsync: bool, syncs: list[bool]
) -> None:
    scene = stage()
    result = client.pull("s3://b", tmp_path / "out", **scene.options(fsync=fsync))
    assert files(tmp_path / "out") == KEYS
    assert (result.done, result.verified, result.failed, result.skipped) == (COUNT, COUNT, 0, 0)
    assert (result.processes, result.size) == (2, sum(map(len, KEYS.values())))
    assert result.bytes_received == result.size
    assert result.requests == COUNT
    assert not syncs
    done = [event.result.path for event in scene.events if isinstance(event, Done)]
    assert sorted(done, key=str) == sorted(str(tmp_path / "out" / key) for key in KEYS)


def test_no_object_is_asked_for_twice(stage: Open, client: Client, tmp_path: Path) -> None:
    scene = stage(children=2)
    result = client.pull("s3://b", tmp_path / "out", **scene.options(processes=3))
    assert result.processes == 3
    paths = [request.path for request in scene.server.requests if request.path.startswith("/b/")]
    assert sorted(paths) == sorted(f"/b/{key}" for key in KEYS)


def test_requests_are_signed_and_no_child_has_the_key(stage: Open, client: Client, tmp_path: Path) -> None:
    told: list[str] = []

    def look(children: Children) -> None:
        for child in children:
            told.extend([*child.cmdline(), *child.environ().values()])

    scene = stage(at_work=look)
    client.pull("s3://b", tmp_path / "out", **scene.options())
    assert all(request.headers.get("authorization") for request in scene.server.requests)
    assert told
    assert not any(SECRET in text or "AKIAOFTHEOPTIONS" in text for text in told)


def test_what_is_unusual_comes_back_and_means_the_same(stage: Open, client: Client, tmp_path: Path) -> None:
    """A damaged one, a missing one, a forbidden one, a large one and one of several parts among the plain ones."""
    large = Content.generated(3 * MIB + 5, seed=3)
    composite = StoredObject(
        Content.of(bytes(9000)), part_sizes=(5000, 4000), checksum=Algorithm.CRC32C, checksum_type="COMPOSITE"
    )
    objects = {key: stored(data) for key, data in KEYS.items()}
    objects |= {"large": StoredObject(large, checksum=Algorithm.CRC64NVME), "parts": composite}
    others = (
        faults.flip_bit_of_body().on(path="/b/d0/003").always(),
        faults.status(404).on(path="/b/d1/001").always(),
        faults.status(403).on(path="/b/d2/002").always(),
    )
    scene = stage(objects, faults=others)
    result = client.pull("s3://b", tmp_path / "out", **scene.options(retries=1))
    expected = {**KEYS, "large": large.read(), "parts": bytes(9000)}
    failed = {"d0/003": ChecksumMismatch, "d1/001": NotFound, "d2/002": AccessDenied}
    assert files(tmp_path / "out") == {key: data for key, data in expected.items() if key not in failed}
    assert {failure.path: type(failure.error) for failure in result.failures} == failed
    assert (result.done, result.failed, result.processes) == (COUNT - 1, 3, 2)
    assert sum(isinstance(event, Failed) for event in scene.events) == 3


def test_a_child_that_dies_leaves_its_objects_to_the_others(
    stage: Open, client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, syncs: list[bool]
) -> None:
    scene = stage(at_work=lambda children: children[0].kill())
    result = client.pull("s3://b", tmp_path / "out", **scene.options())
    assert files(tmp_path / "out") == KEYS
    assert (result.done, result.failed) == (COUNT, 0)
    assert "a process that shared the pull has ended early" in caplog.text
    assert len(syncs) == 1


def test_a_child_that_is_stopped_in_its_tracks_is_ended_and_its_objects_are_fetched_by_others(
    stage: Open, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(children: Children) -> None:
        children[0].send_signal(signal.SIGSTOP)
        monkeypatch.setattr("fastget.engine.children.process._LEAST_PATIENCE", 0.5)

    scene = stage(at_work=stop)
    result = client.pull("s3://b", tmp_path / "out", **scene.options(stall_timeout=0.5))
    assert files(tmp_path / "out") == KEYS
    assert (result.done, result.failed) == (COUNT, 0)
    assert "a process that shared the pull was ended, as nothing came through it" in caplog.text
    assert "status" not in caplog.text


def test_a_child_that_the_server_does_not_serve_is_ended_and_its_objects_are_fetched_by_others(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy_children: FindChildren
) -> None:
    monkeypatch.setattr("fastget.bulk.processes.attendant.UNSERVED", 0.5)
    is_there, is_over = threading.Event(), threading.Event()

    def serve(request: ReceivedRequest) -> Answer | None:
        """Until a child is there, nobody gets an answer; then whoever came first, to list and to fetch."""
        assert is_there.wait(HANG) or request.parameter("list-type")
        if request.connection > 2:
            is_over.wait(HANG)
        return None

    def handle(event: Event) -> None:
        if isinstance(event, PullProgress) and busy_children(server.port):
            is_there.set()

    objects = {f"/b/{key}": stored(data) for key, data in KEYS.items()}
    with ObjectServer(objects, operations=[Listing(objects), serve]) as server:
        options = {**OPTIONS, "endpoint_url": server.base_url, "on_event": handle, "jobs": 2}
        result = client.pull("s3://b", tmp_path / "out", **options)
        is_over.set()
    assert files(tmp_path / "out") == KEYS
    assert (result.done, result.failed) == (COUNT, 0)


def test_what_is_here_already_is_skipped(stage: Open, client: Client, tmp_path: Path) -> None:
    first = stage()
    client.pull("s3://b", tmp_path / "out", **first.options())
    before = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*") if path.is_file()}
    second = client.pull("s3://b", tmp_path / "out", **first.options(on_event=first.events.append))
    assert (second.done, second.skipped, second.failed, second.bytes_received) == (COUNT, COUNT, 0, 0)
    assert sum(isinstance(event, Unchanged) for event in first.events) == COUNT
    assert {path: path.stat().st_ino for path in before} == before


def test_a_pull_that_is_cancelled_leaves_whole_files_and_no_process(
    stage: Open, client: Client, tmp_path: Path
) -> None:
    scope = Cancellation()
    scene = stage(at_work=lambda _: scope.cancel())
    with pytest.raises(Cancelled):
        client.transfer_many("s3://b", tmp_path / "out", scope, **scene.options())
    for path, data in files(tmp_path / "out").items():
        assert data == KEYS[path]


def test_an_interrupt_ends_all_processes(stage: Open, client: Client, tmp_path: Path) -> None:
    def interrupt(_: Children) -> None:
        raise KeyboardInterrupt

    scene = stage(at_work=interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.pull("s3://b", tmp_path / "out", **scene.options())
    for path, data in files(tmp_path / "out").items():
        assert data == KEYS[path]


def test_a_store_that_asks_for_fewer_requests_is_heard_in_the_process_of_the_pull(
    stage: Open, client: Client, tmp_path: Path
) -> None:
    scene = stage(faults=(faults.status(503).every(7).times(12),))
    result = client.pull("s3://b", tmp_path / "out", **scene.options())
    assert files(tmp_path / "out") == KEYS
    assert (result.done, result.failed) == (COUNT, 0)


def test_a_child_that_cannot_be_started_is_done_without(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, module: str) -> None:
        raise BlockingIOError(11, f"Resource temporarily unavailable: {file}, {module}")

    monkeypatch.setattr("fastget.bulk.processes.starting.launch", refuse)
    objects = {f"/b/{key}": stored(data) for key, data in KEYS.items()}
    with ObjectServer(objects, operations=[Listing(objects)]) as server:
        result = client.pull("s3://b", tmp_path / "out", endpoint_url=server.base_url, **OPTIONS)
    assert files(tmp_path / "out") == KEYS
    assert result.processes == 1


def test_two_keys_of_one_name_on_the_way_to_two_processes_do_not_meet(
    stage: Open, client: Client, tmp_path: Path
) -> None:
    """The names are given out by one process."""
    scene = stage()
    urls = [scene.server.url(f"/b/{key}") for key in KEYS for _ in range(2)]
    result = client.pull(urls, tmp_path / "out", **scene.options())
    assert files(tmp_path / "out") == {key.rpartition("/")[2]: data for key, data in KEYS.items()}
    assert (result.done, result.failed) == (COUNT, COUNT)


def test_a_file_that_stands_in_the_way_is_dealt_with_as_by_one_process(
    stage: Open, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "out" / "d0").mkdir(parents=True)
    for key in KEYS:
        if key.startswith("d0/"):
            (tmp_path / "out" / key).write_bytes(b"mine")
    mine = sum(key.startswith("d0/") for key in KEYS)
    scene = stage()
    result = client.pull("s3://b", tmp_path / "out", **scene.options(overwrite=False))
    assert (result.done, result.failed) == (COUNT - mine, mine)
    expected = {key: b"mine" if key.startswith("d0/") else data for key, data in KEYS.items()}
    assert files(tmp_path / "out") == expected


@pytest.mark.parametrize("behaviour", [Behaviour(send_length=False), Behaviour(keep_alive=False)])
def test_servers_of_other_kinds_serve_all_processes(
    stage: Open, client: Client, tmp_path: Path, behaviour: Behaviour
) -> None:
    scene = stage(behaviour=behaviour)
    result = client.pull("s3://b", tmp_path / "out", **scene.options())
    assert files(tmp_path / "out") == KEYS
    assert (result.done, result.failed) == (COUNT, 0)


@pytest.mark.parametrize(
    ("options", "cores", "expected"),
    [
        ({}, 1, 1),
        ({}, 2, 2),
        ({}, 64, AUTOMATIC),
        ({"processes": 8}, 2, 8),
        ({"processes": 1}, 64, 1),
        ({"jobs": 4}, 64, 1),
        ({"jobs": 4, "processes": 8}, 64, 4),
        ({"limit_rate": 1000}, 64, 1),
        ({"split": "part"}, 64, 1),
        ({"max_memory": 2 * MIB}, 64, 2),
    ],
)
def test_how_many_processes_there_may_be(options: dict[str, Any], cores: int, expected: int) -> None:
    assert processes_for(Config(**options), cores) == expected


def test_what_lies_ready_in_a_child_is_a_moment_s_work() -> None:
    pace = Pace()
    assert pace.wanted(0.0, 0, 0, 0) == LEAST_EACH
    assert pace.wanted(0.1, 100, 0, 2) == 100
    assert pace.wanted(0.2, 200, 60, 2) == 40
    assert pace.wanted(0.3, 100_000, 0, 2) == MOST
    assert pace.wanted(0.4, 100_000, MOST + 5, 2) == 0
