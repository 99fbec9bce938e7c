"""Many objects by one call: all of them there and checked, whatever fails named, nothing outside of the directory."""

from __future__ import annotations

import collections
import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import fastget
from fastget.bulk.items import from_lines
from fastget.core.governor import FAR, MANY, START
from fastget.engine.small.plain import LARGEST
from fastget.errors import (
    AccessDenied,
    ChecksumMismatch,
    ConfigError,
    DestinationError,
    InvalidURL,
    NotFound,
    ServerError,
)
from fastget.events import Done, Event, Failed, PullProgress, Unchanged
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.received import ReceivedRequest

MIB = 1024 * 1024
ServeBucket = Callable[..., ObjectServer]


def options(server: ObjectServer, **more: Any) -> dict[str, Any]:
    return {"endpoint_url": server.base_url, "region": "us-east-1", **more}


def pull(server: ObjectServer, directory: Path, url: str = "s3://b", **more: Any) -> fastget.PullResult:
    return fastget.pull(url, directory, **options(server, **more))


def files(directory: Path) -> dict[str, bytes]:
    """Every file below, by its path."""
    found = (path for path in directory.rglob("*") if not path.is_dir())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_a_prefix_becomes_files_below_the_directory(serve_bucket: ServeBucket, directory: Path) -> None:
    keys = {"data/a": b"one", "data/sub/b c": b"", "data/sub/ü/日": b"three", "other": b"no"}
    server = serve_bucket(keys, page_size=2)
    result = pull(server, directory, "s3://b/data/")
    assert files(directory) == {"a": b"one", "sub/b c": b"", "sub/ü/日": b"three"}
    assert (result.done, result.failed, result.skipped, result.verified) == (3, 0, 0, 3)
    assert (result.size, result.bytes_received, result.is_complete) == (8, 8, True)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("", {"da", "data/a", "data/sub/b"}), ("da", {"da", "data/a", "data/sub/b"}), ("data/s", {"sub/b"})],
)
def test_a_key_is_named_from_the_last_slash_of_the_prefix_on(
    serve_bucket: ServeBucket, directory: Path, prefix: str, expected: set[str]
) -> None:
    server = serve_bucket({"da": b"0", "data/a": b"1", "data/sub/b": b"2"})
    pull(server, directory, f"s3://b/{prefix}")
    assert set(files(directory)) == expected


def test_a_list_of_urls_becomes_files_of_their_last_parts(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"x/one.bin": b"1", "y/two%20.bin": b"2", "three": b"3"})
    result = fastget.pull(
        [server.url("/b/x/one.bin", "X=1"), "s3://b/y/two%20.bin", (server.url("/b/three"), "deep/er/3.bin")],
        directory,
        **options(server),
    )
    assert result.done == 3
    assert files(directory) == {"one.bin": b"1", "two%20.bin": b"2", "deep/er/3.bin": b"3"}


def test_large_and_small_objects_come_side_by_side(serve_bucket: ServeBucket, directory: Path) -> None:
    large = Content.generated(20 * MIB + 17, seed=3)
    keys: dict[str, Any] = {f"{number:02}": os.urandom(1000 * number) for number in range(20)}
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME, part_sizes=(8 * MIB, 8 * MIB, 4 * MIB + 17))
    server = serve_bucket({**keys, "large": stored})
    result = pull(server, directory)
    assert result.done == result.verified == 21
    found = files(directory)
    assert found.pop("large") == bytes(large.read(0, large.size))
    assert found == keys


def test_a_distant_object_store_is_asked_for_many_objects_at_once_from_its_first_answer_on(
    serve_bucket: ServeBucket, directory: Path
) -> None:
    """Two are under way when it comes; from the third on, nobody is answered before as many ask as there are to be."""
    numbers, together = itertools.count(1), threading.Barrier(MANY)

    def answer(_: ReceivedRequest) -> None:
        if next(numbers) > START:
            together.wait(30.0)

    keys = {f"{number:02}": b"small" for number in range(START + MANY)}
    distant = Behaviour(first_byte_delay=(2 * FAR, 2 * FAR))
    server = serve_bucket(keys, behaviour=distant, operations=[answer])
    result = fastget.pull([server.url(f"/b/{key}") for key in keys], directory, retries=0)
    assert (result.done, result.failed) == (len(keys), 0)
    assert not together.broken


class Asked:
    """Answers no request for a key from 3 on before that for the next key has come; notes whether it ever did."""

    def __init__(self, count: int, patience: float) -> None:
        self._events = [threading.Event() for _ in range(count)]
        self._patience = patience
        self.came: list[bool] = []

    def __call__(self, request: ReceivedRequest) -> None:
        number = int(request.path.rpartition("/")[2])
        self._events[number].set()
        if 3 <= number < len(self._events) - 1:
            self.came.append(self._events[number + 1].wait(self._patience))


def test_near_by_the_next_object_is_asked_for_while_one_is_on_its_way(
    serve_bucket: ServeBucket, directory: Path
) -> None:
    keys = {f"{number:02}": bytes([number]) * 100 for number in range(12)}
    asked = Asked(len(keys), 30.0)
    server = serve_bucket(keys, operations=[asked])
    result = fastget.pull([server.url(f"/b/{key}") for key in keys], directory, processes=1)
    assert result.done == result.verified == len(keys)
    assert files(directory) == keys
    assert asked.came == [True] * 8
    assert len(server.requests) == len(keys)


def test_no_more_objects_are_asked_for_at_once_than_the_caller_says(serve_bucket: ServeBucket, directory: Path) -> None:
    keys = {f"{number:02}": bytes([number]) * 100 for number in range(7)}
    asked = Asked(len(keys), 0.05)
    server = serve_bucket(keys, operations=[asked])
    result = fastget.pull([server.url(f"/b/{key}") for key in keys], directory, jobs=1)
    assert (result.done, server.connections) == (len(keys), 1)
    assert asked.came == [False] * 3


@pytest.mark.parametrize("is_flushed", [True, False])
def test_each_small_object_of_a_prefix_is_asked_for_once_though_some_are_large_and_some_are_here(
    serve_bucket: ServeBucket, directory: Path, is_flushed: bool
) -> None:
    large = bytes(Content.generated(3 * LARGEST, seed=1).read(0, 3 * LARGEST))
    bodies = {
        f"{number // 7}/{number:02}": large if number % 4 == 1 else bytes([number]) * number for number in range(40)
    }
    server = serve_bucket(bodies)
    assert pull(server, directory, fsync=is_flushed).done == 40
    missing = [key for number, key in enumerate(bodies) if number % 3]
    for key in missing:
        (directory / key).unlink()
    server.forget_requests()
    result = pull(server, directory, fsync=is_flushed, processes=1)
    assert (result.done, result.skipped, result.failed) == (40, 40 - len(missing), 0)
    assert files(directory) == bodies
    found = collections.Counter(request.path for request in server.requests if request.method == "GET")
    assert {found[f"/b/{key}"] for key in missing if len(bodies[key]) <= LARGEST} == {1}


def test_an_object_that_fails_keeps_no_other_away(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1", "c": b"3"})
    urls = [server.url("/b/a"), server.url("/b/missing"), server.url("/b/c"), "ftp://host/x", "http://host/"]
    result = fastget.pull(urls, directory)
    assert files(directory) == {"a": b"1", "c": b"3"}
    assert (result.done, result.failed, result.is_complete) == (2, 3, False)
    assert {type(failure.error) for failure in result.failures} == {NotFound, InvalidURL, ConfigError}
    with pytest.raises(fastget.FastgetError):
        result.raise_for_failures()


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_an_object_is_asked_for_no_more_often_than_it_may_be(
    serve_bucket: ServeBucket, directory: Path, retries: int
) -> None:
    server = serve_bucket({"a": b"1"}, faults=[faults.status(500, "InternalError", "try later").always()])
    result = fastget.pull([server.url("/b/a")], directory, retries=retries)
    (failure,) = result.failures
    assert isinstance(failure.error, ServerError)
    assert failure.error.reply is not None
    assert (failure.error.reply.code, failure.error.reply.message) == ("InternalError", "try later")
    assert len(server.requests) == 1 + retries


def test_two_urls_of_one_name_are_one_file_and_one_failure(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"x/a": b"first", "y/a": b"second"})
    result = fastget.pull([server.url("/b/x/a"), server.url("/b/y/a")], directory)
    assert files(directory) == {"a": b"first"}
    assert [failure.url for failure in result.failures] == [server.url("/b/y/a")]


def test_damaged_bytes_make_no_file(serve_bucket: ServeBucket, directory: Path) -> None:
    damage = faults.flip_bit(offset=1).on(path="/b/a").always()
    server = serve_bucket({"a": b"1" * 50, "b": b"2" * 50}, faults=[damage])
    result = pull(server, directory)
    assert files(directory) == {"b": b"2" * 50}
    assert [type(failure.error) for failure in result.failures] == [ChecksumMismatch]


def test_what_is_here_and_the_same_is_skipped(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1", "b": b"2", "c": b"3"})
    pull(server, directory)
    (directory / "b").write_bytes(b"x")
    (directory / "c").unlink()
    before = len(server.requests)
    result = pull(server, directory)
    assert files(directory) == {"a": b"1", "b": b"2", "c": b"3"}
    assert (result.done, result.skipped) == (3, 1)
    asked = [(request.method, request.path) for request in server.requests[before:]]
    assert ("GET", "/b/a") not in asked
    assert {("GET", "/b/b"), ("GET", "/b/c")} <= set(asked)


def test_an_object_that_was_replaced_is_fetched_again(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"old"})
    pull(server, directory)
    server.put("/b/a", StoredObject(Content.of(b"new"), checksum=Algorithm.CRC64NVME))
    assert pull(server, directory).skipped == 0
    assert files(directory) == {"a": b"new"}


def test_what_is_here_is_left_alone_without_overwrite(serve_bucket: ServeBucket, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "a").write_bytes(b"mine")
    server = serve_bucket({"a": b"1", "b": b"2"})
    result = pull(server, directory, overwrite=False)
    assert files(directory) == {"a": b"mine", "b": b"2"}
    assert isinstance(result.failures[0].error, DestinationError)


@pytest.mark.parametrize("option", [{"checksum": "md5=" + 32 * "0"}, {"version_id": "v"}])
def test_an_option_of_one_object_is_refused(directory: Path, option: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        fastget.pull([], directory, **option)
    assert not directory.exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "s3://", "", "file:///x"])
def test_what_is_no_prefix_is_refused(directory: Path, url: str) -> None:
    with pytest.raises(InvalidURL):
        fastget.pull(url, directory)


def test_nothing_asked_for_is_nothing_done(directory: Path) -> None:
    result = fastget.pull([], directory)
    assert (result.done, result.failed, result.jobs) == (0, 0, 0)
    assert files(directory) == {}


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError):
        fastget.pull([], tmp_path / "file" / "out")


def test_a_listing_that_is_refused_is_an_error(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1"}, faults=[faults.status(403)])
    with pytest.raises(AccessDenied):
        pull(server, directory)


def test_a_list_that_breaks_off_leaves_what_was_named_before(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1"})

    def urls() -> Iterator[str]:
        yield server.url("/b/a")
        raise NotFound("the list ends here")

    with pytest.raises(NotFound, match="the list ends here"):
        fastget.pull(urls(), directory)
    assert files(directory) == {"a": b"1"}


@pytest.mark.parametrize("error", [ValueError("no more"), OSError(5, "no more"), TimeoutError("no more")])
def test_what_an_iterable_raises_comes_once_what_it_has_named_is_here(
    serve_bucket: ServeBucket, directory: Path, error: Exception
) -> None:
    keys = {f"{number:02}": b"1" for number in range(40)}
    server = serve_bucket(keys)

    def urls() -> Iterator[str]:
        for key in keys:
            yield server.url(f"/b/{key}")
        raise error

    with pytest.raises(type(error), match="no more") as caught:
        fastget.pull(urls(), directory, jobs=1)
    assert caught.value is error
    assert files(directory) == keys


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("jobs", [1, 3])
def test_an_interrupt_ends_everything_and_leaves_whole_files(
    serve_bucket: ServeBucket, directory: Path, jobs: int
) -> None:
    keys = {f"{number:03}": b"x" * 1000 for number in range(300)}
    server = serve_bucket(keys)
    came = threading.Event()

    def urls() -> Iterator[str]:
        for number, key in enumerate(keys):
            if number == 100:
                came.wait(60)
                raise KeyboardInterrupt
            yield server.url(f"/b/{key}")

    def hear(event: Event) -> None:
        if isinstance(event, Done):
            came.set()

    came.set()
    with pytest.raises(KeyboardInterrupt):
        fastget.pull(urls(), directory, jobs=jobs, on_event=hear)
    assert all(data == b"x" * 1000 for name, data in files(directory).items())
    assert not [name for name in files(directory) if name.startswith(".")]


def test_events_tell_of_every_object_and_of_all_together(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1", "b": b"2"})
    heard: list[Event] = []
    caller = threading.get_ident()

    def hear(event: Event) -> None:
        assert threading.get_ident() == caller
        heard.append(event)

    urls = [server.url("/b/a"), server.url("/b/b"), server.url("/b/none"), "nonsense"]
    fastget.pull(urls, directory, on_event=hear)
    assert sum(isinstance(event, Done) for event in heard) == 2
    assert {event.error for event in heard if isinstance(event, Failed)} == {"NotFound", "InvalidURL"}
    again: list[Event] = []
    fastget.pull(urls[:2], directory, on_event=again.append)
    assert sum(isinstance(event, Unchanged) for event in again) == 2
    assert all(isinstance(event, Done | Unchanged | PullProgress) for event in again)


def test_each_failure_is_told_by_one_event_wherever_it_comes_from(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1", "file/b": b"2", "directory": b"3", "c": bytes(LARGEST + 1)})
    (directory / "directory").mkdir(parents=True)
    (directory / "file").write_bytes(b"in the way")
    heard: list[Event] = []
    urls = [(server.url(f"/b/{key}"), key) for key in ("a", "file/b", "directory", "none", "a/b", "c")]
    result = fastget.pull(urls, directory, on_event=heard.append)
    told = [(event.url, event.error) for event in heard if isinstance(event, Failed)]
    assert sorted(told) == sorted((failure.url, type(failure.error).__name__) for failure in result.failures)
    assert (result.done, result.failed) == (2, 4)


def test_what_makes_no_file_of_a_list_is_told_as_a_name_with_what_the_list_can_say(
    serve_bucket: ServeBucket, directory: Path
) -> None:
    url = serve_bucket({"a": b"1"}).url("/b/a")
    result = fastget.pull([url, url, (url, "../a"), (url, ".a.fastget-journal")], directory)
    told = [str(failure.error) for failure in result.failures]
    assert (result.done, len(told)) == (1, 3)
    assert [failure.error.hint for failure in result.failures] == ["name the file: out=NAME below the URL"] * 3
    assert told[0].startswith(f"{directory / 'a'} cannot be written: another object has the same name")
    assert all(text.startswith("the name becomes no file: it ") for text in told[1:])


@pytest.mark.parametrize(("name", "words"), [("", "the name is empty"), ("a/", "the name ends in a slash")])
def test_a_name_that_is_none_of_a_file_is_refused_for_what_it_is(directory: Path, name: str, words: str) -> None:
    result = fastget.pull([("http://127.0.0.1:9/a", name)], directory)
    assert words in str(result.failures[0].error)


def test_the_bytes_of_a_large_object_count_while_they_come(serve_bucket: ServeBucket, directory: Path) -> None:
    release = threading.Event()
    large = StoredObject(Content.generated(9 * MIB, seed=2), checksum=Algorithm.CRC64NVME)
    server = serve_bucket({"large": large}, faults=[faults.hold(release, after=MIB).always()])
    seen: list[PullProgress] = []

    def hear(event: Event) -> None:
        if isinstance(event, PullProgress):
            seen.append(event)
            if event.received or len(seen) > 100:
                release.set()

    result = fastget.pull([server.url("/b/large")], directory, on_event=hear)
    assert result.done == 1
    counts = [progress.received for progress in seen]
    assert 0 < counts[-1] <= result.bytes_received
    assert counts == sorted(counts)
    assert len(seen) <= 100


def test_an_item_may_bring_its_own_digest(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1", "b": b"2"})
    wrong = "md5=" + "0" * 32
    right = f"md5={hashlib.md5(b'1').hexdigest()}"
    lines = [server.url("/b/a"), f"  checksum={right}", server.url("/b/b"), f"  checksum={wrong}"]
    result = fastget.pull(from_lines(lines), directory)
    assert files(directory) == {"a": b"1"}
    assert isinstance(result.failures[0].error, ChecksumMismatch)


def test_no_secret_of_a_url_is_in_the_result(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({})
    result = fastget.pull([server.url("/b/a", "X-Amz-Signature=hunter2"), "http://me:hunter2@"], directory, retries=0)
    assert result.failed == 2
    assert "hunter2" not in repr(result)


def test_the_awaitable_verb_gives_the_same(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1"})
    result = anyio.run(lambda: fastget.aio.pull("s3://b", directory, **options(server)))
    assert result.done == 1
    assert files(directory) == {"a": b"1"}
