"""Many ranges of one object: each is what the same slice of the bytes is, of one version, or there is a typed error."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from mmap import mmap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.core.store_memory import StoreFacts
from fastget.engine.workers.crew import governor_for
from fastget.errors import (
    AccessDenied,
    ConfigError,
    FastgetError,
    NetworkError,
    NotFound,
    RangeNotSupported,
    SourceChanged,
    Throttled,
    Unverifiable,
)
from fastget.testing import Behaviour, Content, ETags, Fault, ObjectServer, StoredObject, faults
from fastget.testing.quirks import QUIRKS

KIB, MIB = 1024, 1024 * 1024
SIZE = 6 * MIB + 4321
QUICK: dict[str, Any] = {"connections": 4}
# Where somebody keeps silent, and there alone: elsewhere a busy machine is no silence.
IMPATIENT: dict[str, Any] = {**QUICK, "stall_timeout": 0.5, "response_timeout": 1.0}
# Far enough apart for a request each.
APART = [(at, at + 5000) for at in range(0, SIZE - 5000, 300 * KIB)]

# Faults that a second request sets right, in the first answer as well as in a later one.
PASSING: dict[str, Fault] = {
    "reset": faults.reset(after=1000),
    "reset before answer": faults.reset_before_answer(),
    "vanish before answer": faults.vanish_before_answer(),
    "close mid-body": faults.close_mid_body(after=1000),
    "stall": faults.stall(after=1000),
    "silence": faults.silence(),
    "206 without Content-Range": faults.no_content_range(),
    "206 elsewhere": faults.range_shifted(),
    "short, honest": faults.short(by=1000),
    "short, lying": faults.short_of_content_range(by=1000),
    "longer body": faults.body_longer(),
    "body until close, cut": faults.body_until_close(cut=100),
    "many Content-Ranges": faults.many_content_ranges(),
    "malformed Content-Range": faults.content_range("bytes banana"),
    "unknown total": faults.unknown_total(),
    "multipart/byteranges": faults.multipart_byteranges(),
    "503": faults.slow_down(),
    "503 with Retry-After": faults.slow_down(retry_after=0),
    "500": faults.internal_error(),
    "range ignored": faults.range_ignored(),
    "416": faults.unsatisfiable(),
}
MUTE = ("stall", "silence")
# One odd answer at the very start decides: nothing has shown yet that the server serves ranges, or it pins the rest.
NOT_AT_FIRST = {"range ignored"}
NOT_LATER = {"416"}

SPANS = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(0, 70_000)).map(lambda pair: (pair[0], min(sum(pair), SIZE))),
    max_size=30,
)


@pytest.fixture(scope="module")
def stored(content: Content) -> StoredObject:
    return StoredObject(content, checksum=Algorithm.CRC64NVME)


@pytest.fixture(scope="module")
def server(stored: StoredObject) -> Iterator[ObjectServer]:
    with ObjectServer({"/b/k": stored}) as running:
        yield running


def slices(content: Content, ranges: list[tuple[int, int]]) -> list[bytes]:
    """The oracle: slicing the bytes."""
    return [content.read(start, stop) if stop > start else b"" for start, stop in ranges]


@given(ranges=SPANS)
@settings(deadline=None, max_examples=25)
def test_every_range_is_what_the_same_slice_of_the_bytes_is(
    server: ObjectServer, content: Content, ranges: list[tuple[int, int]]
) -> None:
    with fastget.Client(connections=3) as client:
        found = client.read_ranges(server.url("/b/k"), ranges)
    assert [bytes(one) for one in found] == slices(content, ranges)


@pytest.mark.parametrize("connections", [None, 1, 2, 7])
def test_ranges_come_in_the_order_asked_over_any_number_of_connections(
    server: ObjectServer, content: Content, connections: int | None
) -> None:
    asked = [*reversed(APART), (10, 20), (0, 0), (15, 40), (12, 14), (10, 20), (SIZE - 1, SIZE), (SIZE, SIZE)]
    found = fastget.read_ranges(server.url("/b/k"), asked, connections=connections)
    assert [bytes(one) for one in found] == slices(content, asked)


def test_the_first_answer_is_the_only_discovery(stored: StoredObject) -> None:
    with ObjectServer({"/b/k": stored}) as server:
        fastget.read_ranges(server.url("/b/k"), APART, connections=3)
        assert [request.method for request in server.requests] == ["GET"] * len(APART)
        matches = [request.headers.get("if-match") for request in server.requests]
        assert matches.count(None) == 1
        assert set(matches[1:]) == {stored.etag}


def test_neighbours_share_a_request_and_what_lies_between_them_goes_nowhere(
    stored: StoredObject, content: Content
) -> None:
    asked = [(at, at + 1000) for at in range(0, 200_000, 2000)]
    with ObjectServer({"/b/k": stored}) as server:
        found = fastget.read_ranges(server.url("/b/k"), asked)
        assert len(server.requests) == 1
    assert [bytes(one) for one in found] == slices(content, asked)


def test_no_ranges_are_no_requests(stored: StoredObject) -> None:
    with ObjectServer({"/b/k": stored}) as server:
        assert fastget.read_ranges(server.url("/b/k"), []) == []
        assert [bytes(one) for one in fastget.read_ranges(server.url("/b/k"), [(5, 5), (0, 0)])] == [b"", b""]
        assert not server.requests


# Into memory of the caller -----------------------------------------------------------------------------------------


def test_one_buffer_takes_the_ranges_one_after_another(server: ObjectServer, content: Content) -> None:
    asked = [(100, 200), (SIZE - 50, SIZE), (0, 10), (150, 300)]
    into = bytearray(b"\xaa") * 320
    found = fastget.read_ranges(server.url("/b/k"), asked, into)
    assert into == b"".join(slices(content, asked)) + b"\xaa" * 10
    assert [bytes(one) for one in found] == slices(content, asked)


def test_each_range_goes_into_a_buffer_of_its_own(server: ObjectServer, content: Content) -> None:
    asked = [(1000, 1064), (0, 5), (3 * MIB, 3 * MIB + 4096)]
    numbers, small, mapped = array("d", [0.0]) * 8, bytearray(7), mmap(-1, 4096)
    found = fastget.read_ranges(server.url("/b/k"), asked, [numbers, small, mapped])
    expected = slices(content, asked)
    assert (numbers.tobytes(), bytes(small), mapped[:]) == (expected[0], expected[1] + b"\0\0", expected[2])
    assert [len(one) for one in found] == [64, 5, 4096]
    for one in found:
        one.release()


@pytest.mark.parametrize(
    ("into", "words"),
    [
        (bytearray(29), "30 bytes, the buffer 29"),
        ([bytearray(10), bytearray(20), bytearray(1)], "2 ranges and 3 buffers"),
        ([bytearray(10), bytearray(19)], "range 1 has 20 bytes, its buffer 19"),
        (bytes(30), "read-only"),
        ([bytearray(10), bytes(20)], "read-only"),
    ],
)
def test_buffers_that_do_not_fit_are_refused_before_any_request(stored: StoredObject, into: object, words: str) -> None:
    with ObjectServer({"/b/k": stored}) as server:
        with pytest.raises(ConfigError, match=words):
            fastget.read_ranges(server.url("/b/k"), [(0, 10), (10, 30)], into)  # type: ignore[arg-type]
        assert not server.requests


# What cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [(-1, 5), (5, 4), (0, 2**63), (0.0, 5), ("0", 5), (None, 5), (5,), (1, 2, 3), 5])
def test_what_is_no_range_is_refused_by_its_number(server: ObjectServer, asked: Any) -> None:
    with pytest.raises(ConfigError, match="range 1 is"):
        fastget.read_ranges(server.url("/b/k"), [(0, 5), asked])


@pytest.mark.parametrize("asked", [(SIZE - 5, SIZE + 1), (SIZE, SIZE + 1), (9 * SIZE, 9 * SIZE + 5), (0, 2**62)])
@pytest.mark.parametrize("others", [[], [(0, 10)]], ids=["alone", "with others"])
def test_a_range_beyond_the_end_is_an_error_that_names_it(
    server: ObjectServer, others: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    with pytest.raises(RangeNotSupported) as caught:
        fastget.read_ranges(server.url("/b/k"), [*others, asked])
    assert f"range {len(others)}, ({asked[0]}, {asked[1]})" in caught.value.message
    assert f"{SIZE} bytes" in caught.value.message


def test_no_range_of_an_empty_object_can_be_read() -> None:
    with ObjectServer({"/b/k": StoredObject(Content.of(b""))}) as server, pytest.raises(RangeNotSupported):
        fastget.read_ranges(server.url("/b/k"), [(0, 1)])


def test_a_server_without_ranges_is_an_error(stored: StoredObject) -> None:
    without = Behaviour(ranges=False)
    with (
        ObjectServer({"/b/k": stored}, behaviour=without) as server,
        pytest.raises(RangeNotSupported, match="ignores ranges"),
    ):
        fastget.read_ranges(server.url("/b/k"), APART)


@pytest.mark.parametrize("options", [{"require_verified": True}, {"checksum": "sha-256=" + 64 * "0"}])
def test_ranges_have_no_digest_to_require(server: ObjectServer, options: dict[str, Any]) -> None:
    with pytest.raises(Unverifiable):
        fastget.read_ranges(server.url("/b/k"), [(0, 5)], **options)


@pytest.mark.parametrize(
    ("fault", "error"),
    [(faults.access_denied(), AccessDenied), (faults.status(404, "NoSuchKey", "no such key"), NotFound)],
    ids=["403", "404"],
)
def test_a_refusal_is_the_error_that_it_is_elsewhere(
    stored: StoredObject, fault: Fault, error: type[FastgetError]
) -> None:
    with ObjectServer({"/b/k": stored}, faults=[fault.always()]) as server, pytest.raises(error):
        fastget.read_ranges(server.url("/b/k"), APART, **QUICK)


# Faults on the way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PASSING if name not in NOT_AT_FIRST])
def test_a_fault_in_the_first_answer_is_set_right(stored: StoredObject, content: Content, name: str) -> None:
    with ObjectServer({"/b/k": stored}, faults=[PASSING[name]]) as server:
        found = fastget.read_ranges(server.url("/b/k"), APART, **(IMPATIENT if name in MUTE else QUICK))
        assert server.faults_happened
    assert [bytes(one) for one in found] == slices(content, APART)


@pytest.mark.parametrize("name", [name for name in PASSING if name not in NOT_LATER])
def test_a_fault_in_a_later_answer_is_set_right(stored: StoredObject, content: Content, name: str) -> None:
    with ObjectServer({"/b/k": stored}, faults=[PASSING[name].on(request=5)]) as server:
        found = fastget.read_ranges(server.url("/b/k"), APART, **(IMPATIENT if name in MUTE else QUICK))
        assert server.faults_happened
    assert [bytes(one) for one in found] == slices(content, APART)


@pytest.mark.parametrize("name", [name for name in PASSING if name not in NOT_LATER])
def test_a_fault_after_many_answers_that_were_alike_is_set_right(
    stored: StoredObject, content: Content, name: str
) -> None:
    with ObjectServer({"/b/k": stored}, faults=[PASSING[name].on(request=8)]) as server:
        options = {**(IMPATIENT if name in MUTE else QUICK), "connections": 1}
        found = fastget.read_ranges(server.url("/b/k"), APART, **options)
        assert server.faults_happened
    assert [bytes(one) for one in found] == slices(content, APART)


def test_each_request_for_a_range_says_the_same_but_for_the_range(stored: StoredObject) -> None:
    with ObjectServer({"/b/k": stored}) as server:
        fastget.read_ranges(server.url("/b/k"), APART, connections=1)
        told = [[field for field in request.headers if field[0] != "Range"] for request in server.requests[1:]]
        asked = [request.headers.get("range") for request in server.requests]
    assert told == [told[0]] * (len(APART) - 1)
    assert asked == [f"bytes={start}-{stop - 1}" for start, stop in APART]


def test_all_ranges_of_one_worker_come_over_one_connection(stored: StoredObject) -> None:
    with ObjectServer({"/b/k": stored}) as server, fastget.Client(connections=1) as client:
        client.read_ranges(server.url("/b/k"), APART)
        client.read_ranges(server.url("/b/k"), APART)
        assert len({request.connection for request in server.requests}) == 1


def test_what_has_landed_of_a_merged_request_is_not_asked_for_again(stored: StoredObject, content: Content) -> None:
    asked = [(at, at + 30_000) for at in range(0, 900_000, 60_000)]
    with ObjectServer({"/b/k": stored}, faults=[faults.close_mid_body(after=400_000)]) as server:
        found = fastget.read_ranges(server.url("/b/k"), asked)
        first, second = server.requests
        assert first.range is not None
        assert second.headers.get("range") == f"bytes=400000-{asked[-1][1] - 1}"
    assert [bytes(one) for one in found] == slices(content, asked)


@pytest.mark.parametrize("request_number", [2, 9])
@pytest.mark.parametrize("ignores", [False, True], ids=["If-Match honoured", "If-Match ignored"])
def test_an_object_that_changes_midway_is_never_mixed(stored: StoredObject, request_number: int, ignores: bool) -> None:
    other = StoredObject(Content.generated(SIZE, seed=8))
    injected = [faults.replaced(other).on(request=request_number)]
    if ignores:
        injected.append(faults.if_match_ignored().always())
    with ObjectServer({"/b/k": stored}, faults=injected) as server, pytest.raises(SourceChanged):
        fastget.read_ranges(server.url("/b/k"), APART, **QUICK)


def test_a_store_that_stays_throttled_is_given_up(stored: StoredObject) -> None:
    throttled = faults.slow_down(retry_after=0).on(request=4).always()
    with ObjectServer({"/b/k": stored}, faults=[throttled]) as server, pytest.raises(Throttled):
        fastget.read_ranges(server.url("/b/k"), APART, retries=2, **QUICK)


def test_ranges_follow_a_redirect_once_for_all(stored: StoredObject, content: Content) -> None:
    with ObjectServer({"/b/k": stored}) as target:
        moved = faults.redirect(target.url("/b/k"), 307).always()
        with ObjectServer({"/b/k": stored}, faults=[moved]) as server:
            found = fastget.read_ranges(server.url("/b/k"), APART)
            assert len(server.requests) == 1
    assert [bytes(one) for one in found] == slices(content, APART)


# Stores of all kinds -----------------------------------------------------------------------------------------------


# Object Lambda refuses ranges, with a 501 (wire-spec.md row 90).
WITH_RANGES = [name for name in QUIRKS if name != "object-lambda"]


def on_store(name: str, stored: StoredObject, *injected: Fault) -> ObjectServer:
    return ObjectServer({"/b/k": QUIRKS[name].dress(stored)}, behaviour=QUIRKS[name].behaviour, faults=injected)


@pytest.mark.parametrize("name", WITH_RANGES)
def test_every_store_gives_the_right_ranges(stored: StoredObject, content: Content, name: str) -> None:
    with on_store(name, stored) as server:
        options = {"endpoint_url": server.base_url, "no_sign_request": True, **QUICK}
        found = fastget.read_ranges("s3://b/k", APART, **options)
        assert [bytes(one) for one in found] == slices(content, APART)
        assert fastget.read("s3://b/k", 1000, 5 * MIB, **options) == content.read(1000, 5 * MIB)


@pytest.mark.row(90)
def test_a_store_that_refuses_ranges_is_an_error(stored: StoredObject) -> None:
    with on_store("object-lambda", stored) as server, pytest.raises(RangeNotSupported):
        fastget.read_ranges("s3://b/k", APART, endpoint_url=server.base_url, no_sign_request=True)


@pytest.mark.parametrize("name", WITH_RANGES)
def test_no_store_gets_two_versions_of_ranges_mixed(stored: StoredObject, content: Content, name: str) -> None:
    other = Content.generated(SIZE, seed=8)
    replaced = faults.replaced(QUIRKS[name].dress(StoredObject(other))).on(request=9)
    with on_store(name, stored, replaced) as server:
        options = {"endpoint_url": server.base_url, "no_sign_request": True, **QUICK}
        try:
            found = [bytes(one) for one in fastget.read_ranges("s3://b/k", APART, **options)]
        except SourceChanged:
            return
    assert found in (slices(content, APART), slices(other, APART))


# Nothing to pin to -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("etags", [ETags.WEAK, ETags.NONE])
def test_without_a_strong_etag_all_ranges_come_out_of_one_answer(
    stored: StoredObject, content: Content, etags: ETags
) -> None:
    asked = [(0, 5000), (MIB, MIB + 10), (3 * MIB, 4 * MIB)]
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(etags=etags)) as server:
        found = fastget.read_ranges(server.url("/b/k"), asked)
        assert [request.headers.get("range") for request in server.requests] == [
            "bytes=0-4999",
            f"bytes=0-{4 * MIB - 1}",
        ]
    assert [bytes(one) for one in found] == slices(content, asked)


def test_without_a_strong_etag_an_answer_that_breaks_off_is_an_error(stored: StoredObject) -> None:
    broken = faults.close_mid_body(after=2 * MIB).on(request=2)
    without = Behaviour(etags=ETags.NONE)
    with (
        ObjectServer({"/b/k": stored}, behaviour=without, faults=[broken]) as server,
        pytest.raises(NetworkError, match="nothing ties a second one"),
    ):
        fastget.read_ranges(server.url("/b/k"), [(0, 10), (3 * MIB, 4 * MIB)])


# Slices begin with the range itself --------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (5, MIB), (3 * MIB, None), (SIZE - 1, 10 * SIZE)])
def test_a_slice_from_the_front_takes_one_request(
    stored: StoredObject, content: Content, start: int, stop: int | None
) -> None:
    with ObjectServer({"/b/k": stored}) as server:
        assert fastget.read(server.url("/b/k"), start, stop) == content.read()[start:stop]
        assert [request.method for request in server.requests] == ["GET"]


def test_a_slice_behind_the_end_is_empty(server: ObjectServer) -> None:
    assert fastget.read(server.url("/b/k"), SIZE, SIZE + 5) == b""
    assert fastget.read(server.url("/b/k"), 5 * SIZE) == b""


def test_a_long_slice_is_read_over_several_connections() -> None:
    content = Content.generated(40 * MIB + 11, seed=3)
    with ObjectServer({"/b/k": StoredObject(content)}) as server:
        found = fastget.read(server.url("/b/k"), 77, 39 * MIB, connections=3)
        assert found == content.read(77, 39 * MIB)
        assert len(server.requests) > 3
        assert {request.method for request in server.requests} == {"GET"}


def test_many_short_ranges_begin_over_four_connections_or_as_many_as_are_asked_for() -> None:
    facts = StoreFacts()
    assert governor_for(None, 100, facts).wanted < governor_for(None, 100, facts, at_least=4).wanted == 4
    assert governor_for(None, 3, facts, at_least=4).wanted == 3
    assert governor_for(2, 100, facts, at_least=4).wanted == 2
    assert governor_for(None, 100, StoreFacts(connections=9), at_least=4).wanted == 9


@pytest.mark.parametrize("ranges", [5, None])
def test_what_is_no_list_of_ranges_is_told(server: ObjectServer, ranges: Any) -> None:
    server.forget_requests()
    with pytest.raises(ConfigError, match="the ranges are no list"):
        fastget.read_ranges(server.url("/b/k"), ranges)
    assert not server.requests


def test_what_is_neither_a_buffer_nor_some_is_told(server: ObjectServer) -> None:
    into: Any = 5
    server.forget_requests()
    with pytest.raises(ConfigError, match="into is no buffer and no list") as caught:
        fastget.read_ranges(server.url("/b/k"), [(0, 5)], into)
    assert caught.value.hint
    assert not server.requests
