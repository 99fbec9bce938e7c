"""Small files that are flushed together: none has its name before its own flush, and what fails harms no other."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.bulk import batch
from fastget.bulk.batch import Batch, places
from fastget.bulk.folder import Folder
from fastget.bulk.items import Item
from fastget.bulk.outcome import Sum
from fastget.bulk.puller import Order, Puller
from fastget.bulk.unserved import Asking
from fastget.config import Config
from fastget.core.checksums.verification import verified_by_size
from fastget.engine.cancellation import Cancellation
from fastget.errors import Cancelled, DestinationError
from fastget.events import Done, Event, Failed, Result
from fastget.sinks.kept import KeptFile
from fastget.sources.protocol import Source
from fastget.sources.resolve import resolve
from fastget.testing import ObjectServer, faults

ServeBucket = Callable[..., ObjectServer]
Flush = Callable[[int], None]


@pytest.fixture(params=["without a name", "with a hidden name"])
def _kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "with a hidden name":
        monkeypatch.setattr("fastget.sinks.whole.create_anonymous", lambda *_: None)


@pytest.fixture
def flushing(monkeypatch: pytest.MonkeyPatch) -> list[Flush]:
    """What is called with a descriptor instead of its flush; the flush itself does no more than promise."""
    called: list[Flush] = []

    def flush(descriptor: int) -> None:
        for one in called:
            one(descriptor)

    monkeypatch.setattr("fastget.sinks.whole.flush", flush)
    return called


@pytest.fixture
def folder(directory: Path) -> Iterator[Folder]:
    with Folder(directory) as found:
        yield found


def add(batch: Batch, folder: Folder, name: str, data: bytes = b"data") -> bool:
    with folder.directory("") as directory:
        sink = KeptFile(folder.shown(name), at=directory.descriptor)
        return batch.add(sink, directory, memoryview(data), None)


def visible(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.startswith(".")}


def fail_on(size: int, error: int) -> Flush:
    def flush(descriptor: int) -> None:
        if os.fstat(descriptor).st_size == size:
            raise OSError(error, os.strerror(error))

    return flush


@pytest.mark.usefixtures("_kind", "no_leaks")
def test_files_appear_after_all_of_them_were_flushed(folder: Folder, directory: Path, flushing: list[Flush]) -> None:
    waiting = Batch(folder, places())
    seen: list[dict[str, bytes]] = []
    flushing.append(lambda _: seen.append(visible(directory)))
    for number in range(3):
        assert add(waiting, folder, str(number))
    assert visible(directory) == {}
    waiting.flush()
    assert seen == [{}, {}, {}]
    assert list(waiting.publish()) == [True, True, True]
    assert {path.name for path in directory.iterdir()} == {"0", "1", "2"}
    waiting.close()


@pytest.mark.usefixtures("_kind", "no_leaks")
def test_what_is_closed_before_it_has_a_name_leaves_nothing(folder: Folder, directory: Path) -> None:
    waiting = Batch(folder, places())
    add(waiting, folder, "a")
    add(waiting, folder, "b")
    waiting.flush()
    waiting.close()
    assert list(directory.iterdir()) == []


@pytest.mark.usefixtures("_kind", "no_leaks")
def test_a_flush_that_fails_is_the_failure_of_one_file(folder: Folder, directory: Path, flushing: list[Flush]) -> None:
    waiting = Batch(folder, places())
    flushing.append(fail_on(2, errno.EIO))
    for name, data in (("a", b"1"), ("b", b"22"), ("c", b"333")):
        add(waiting, folder, name, data)
    waiting.flush()
    first, failed, last = waiting.publish()
    assert (first, last) == (True, True)
    assert isinstance(failed, DestinationError)
    assert failed.path == str(directory / "b")
    assert {path.name for path in directory.iterdir()} == {"a", "c"}


def test_bytes_without_a_place_on_the_disk_are_found_before_the_flush(
    folder: Folder, directory: Path, flushing: list[Flush], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastget.sinks.whole.begin_write_back", fail_on(4, errno.ENOSPC))
    flushed: list[int] = []
    flushing.append(flushed.append)
    waiting = Batch(folder, places())
    add(waiting, folder, "a")
    waiting.flush()
    assert isinstance(next(waiting.publish()), fastget.errors.NoSpace)
    assert flushed == []
    assert list(directory.iterdir()) == []


@pytest.mark.usefixtures("_kind", "no_leaks")
def test_a_name_that_was_taken_meanwhile_stays(folder: Folder, directory: Path) -> None:
    waiting = Batch(folder, places())
    add(waiting, folder, "a")
    add(waiting, folder, "b")
    (directory / "a").write_bytes(b"mine")
    waiting.flush()
    assert list(waiting.publish()) == [False, True]
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {"a": b"mine", "b": b"data"}


@pytest.mark.usefixtures("no_leaks")
def test_no_more_files_wait_than_there_are_places(folder: Folder) -> None:
    left = threading.Semaphore(1)
    one, other = Batch(folder, left), Batch(folder, left)
    assert add(one, folder, "a")
    assert not add(other, folder, "b")
    one.close()
    assert add(other, folder, "b")
    other.close()


def test_the_places_leave_descriptors_to_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "room_for_connections", lambda: 9)
    found = places()
    assert [found.acquire(blocking=False) for _ in range(3)] == [True, True, False]


@pytest.mark.usefixtures("no_leaks")
def test_a_file_that_cannot_be_written_takes_no_place(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    left = threading.Semaphore(1)
    waiting = Batch(folder, left)
    with monkeypatch.context() as patched:
        patched.setattr("fastget.sinks.whole.write_all", refuse)
        with pytest.raises(fastget.errors.NoSpace):
            add(waiting, folder, "a")
    assert add(waiting, folder, "a")
    waiting.close()


def test_a_batch_is_due_when_it_is_full_or_old(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST", 2)
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    waiting = Batch(folder, places())
    found = [waiting.is_due]
    add(waiting, folder, "a")
    found.append(waiting.is_due)
    now += batch.LONGEST * 2
    found.append(waiting.is_due)
    now = 100.0
    add(waiting, folder, "b")
    found.append(waiting.is_due)
    assert found == [False, False, True, True]
    waiting.close()


# In a pull -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_file_of_a_pull_was_flushed_while_it_had_no_name(
    serve_bucket: ServeBucket, directory: Path, flushing: list[Flush], jobs: int
) -> None:
    server = serve_bucket({f"{number:03}": b"x" * number for number in range(200)})
    flushed: dict[int, int] = {}

    def note(descriptor: int) -> None:
        there = os.fstat(descriptor)
        flushed[there.st_ino] = there.st_nlink

    flushing.append(note)
    urls = [server.url(f"/b/{number:03}") for number in range(200)]
    assert fastget.pull(urls, directory, jobs=jobs).done == 200
    assert set(flushed.values()) == {0}
    assert {path.stat().st_ino for path in directory.iterdir()} == set(flushed)


def test_without_flushing_nothing_waits(serve_bucket: ServeBucket, directory: Path, flushing: list[Flush]) -> None:
    flushed: list[int] = []
    flushing.append(flushed.append)
    server = serve_bucket({"a": b"1"})
    assert fastget.pull([server.url("/b/a")], directory, fsync=False).done == 1
    assert flushed == []


def test_an_object_whose_flush_fails_is_named_as_failed(
    serve_bucket: ServeBucket, directory: Path, flushing: list[Flush]
) -> None:
    server = serve_bucket({"a": b"1", "b": b"22", "c": b"333"})
    flushing.append(fail_on(2, errno.EIO))
    heard: list[Event] = []
    urls = [server.url(f"/b/{name}") for name in "abc"]
    result = fastget.pull(urls, directory, on_event=heard.append)
    assert visible(directory) == {"a": b"1", "c": b"333"}
    assert (result.done, result.failed, [failure.path for failure in result.failures]) == (2, 1, ["b"])
    assert {event.result.path for event in heard if isinstance(event, Done)} == {
        str(directory / "a"),
        str(directory / "c"),
    }
    assert [event.url for event in heard if isinstance(event, Failed)] == [urls[1]]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_that_appears_before_the_flush_meets_the_ordinary_rules(
    serve_bucket: ServeBucket, directory: Path, flushing: list[Flush], overwrite: bool
) -> None:
    server = serve_bucket({"a": b"1"})

    def take_the_name(_: int) -> None:
        if not (directory / "a").exists():
            (directory / "a").write_bytes(b"mine")

    flushing.append(take_the_name)
    result = fastget.pull([server.url("/b/a")], directory, overwrite=overwrite)
    assert visible(directory) == {"a": b"1" if overwrite else b"mine"}
    assert (result.done, result.failed) == ((1, 0) if overwrite else (0, 1))


class Landing:
    """Every object is there at once."""

    found_size: int | None = None

    def __init__(self) -> None:
        self.asking = Asking()

    def find(self, *_: Any) -> None:
        return None

    def fetch_small(self, source: Any, sink: Any, config: Config, *, put: Any = None, **_: Any) -> Result | None:
        assert put(memoryview(b"x"), None)
        return Result("u", sink.path, 1, None, None, 0.0, 1, 0, 1, 0, 0, 0, 1, "stream", verified_by_size("of a test"))

    def fetch(self, *_: Any) -> Result:
        raise AssertionError("a small object was fetched in the ordinary way")

    def rest(self) -> None:
        """Nothing is held."""

    def make_room(self) -> None:
        """Nothing is open."""

    failure = None

    def close(self) -> None:
        """Nothing is held."""


def settle_while_stopped(folder: Folder, scope: Cancellation) -> Sum:
    """A file waits for its flush when the pull is stopped."""
    total, config = Sum(), Config()
    batch = Batch(folder, places())
    puller: Puller[Source] = Puller(folder, config, Landing(), total, threading.Semaphore(), batch, scope)
    puller.work(Order(Item("s3://b/a"), resolve("s3://b/a", config), "a"))
    assert (total.done, total.failed) == (0, 0)
    puller.settle()
    puller.close()
    return total


@pytest.mark.usefixtures("_kind", "no_leaks")
def test_what_is_here_when_a_pull_is_stopped_still_appears(
    folder: Folder, directory: Path, flushing: list[Flush], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastget.bulk.puller.GRACE", 60.0)
    scope = Cancellation()
    flushing.append(lambda _: scope.cancel())
    total = settle_while_stopped(folder, scope)
    assert (total.done, total.failed) == (1, 0)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {"a": b"x"}


@pytest.mark.usefixtures("_kind", "no_leaks")
def test_what_is_flushed_too_late_after_a_pull_was_stopped_does_not_appear(
    folder: Folder, directory: Path, flushing: list[Flush], monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = Cancellation()

    def take_long(_: int) -> None:
        scope.cancel()
        monkeypatch.setattr("fastget.bulk.puller.GRACE", -1.0)

    flushing.append(take_long)
    total = settle_while_stopped(folder, scope)
    assert (total.done, total.failed) == (0, 0)
    assert list(directory.iterdir()) == []


@pytest.mark.usefixtures("_kind", "no_leaks")
def test_nothing_more_is_flushed_when_it_is_over(folder: Folder, flushing: list[Flush]) -> None:
    flushed: list[int] = []
    flushing.append(flushed.append)
    waiting = Batch(folder, places())
    for name in "abc":
        add(waiting, folder, name)
    assert not waiting.flush(lambda: len(flushed) == 2)
    assert len(flushed) == 2
    waiting.close()


@pytest.mark.fault("X29")
@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_pull_that_is_stopped_has_what_it_had_received(
    serve_bucket: ServeBucket, directory: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr("fastget.bulk.puller.GRACE", 60.0)
    monkeypatch.setattr(batch, "LONGEST", 1000.0)  # so that nothing but the end settles it
    released = threading.Event()
    held = faults.hold(released, after=None).on(path="/b/held").always()
    server = serve_bucket({"held": b"x", **{f"{number:02}": b"x" * number for number in range(20)}}, faults=[held])
    scope = Cancellation()

    def urls() -> Iterator[str | tuple[str, str]]:
        for number in range(20):
            yield server.url(f"/b/{number:02}")
        for turn in range(jobs):
            yield server.url("/b/held", f"turn={turn}"), f"held{turn}"

    def stop() -> None:
        while sum(request.path == "/b/held" for request in server.requests) < jobs:
            released.wait(0.01)
        scope.cancel()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with fastget.Client(jobs=jobs) as client, pytest.raises(Cancelled):
        client.transfer_many(urls(), directory, scope)
    stopper.join()
    released.set()
    assert visible(directory) == {f"{number:02}": b"x" * number for number in range(20)}
