"""What the server answers without faults: the rules of S3 (wire-spec.md §2.2, §3, rows 74 to 92)."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastget.testing import (
    Algorithm,
    Behaviour,
    Content,
    EmptyRange,
    ETags,
    HeadPart,
    ObjectServer,
    RangeChecksum,
    StoredObject,
)

DATA = Content.generated(3000, seed=1).read()
PARTS = (1000, 500, 1500)
COMPOSITE = StoredObject(Content.of(DATA), part_sizes=PARTS, checksum=Algorithm.SHA256, checksum_type="COMPOSITE")
FULL_OBJECT = StoredObject(Content.of(DATA), part_sizes=PARTS, checksum=Algorithm.CRC64NVME)
SINGLE = StoredObject(Content.of(DATA), checksum=Algorithm.CRC32C, version_id="v1")
ONE_PART = StoredObject(Content.of(DATA), part_sizes=(3000,), checksum=Algorithm.CRC32, checksum_type="COMPOSITE")
EMPTY = StoredObject(Content.of(b""), checksum=Algorithm.CRC32)
OBJECTS = {
    "/b/composite": COMPOSITE,
    "/b/full": FULL_OBJECT,
    "/b/single": SINGLE,
    "/b/one": ONE_PART,
    "/b/empty": EMPTY,
}
ASKED = {"x_amz_checksum_mode": "ENABLED"}


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer(OBJECTS) as running:
        yield running


def digest_of(answer: Any) -> tuple[str | None, str | None]:
    """The value and type of the checksum headers of an answer."""
    names = [name for name, _ in answer.headers if name.startswith("x-amz-checksum-") and not name.endswith("type")]
    return answer.headers.get(names[0]) if names else None, answer.headers.get("x-amz-checksum-type")


def part_value(stored: StoredObject, number: int) -> str:
    return stored.checksum_fields_of_part(stored.parts[number - 1])[0][1]


@pytest.mark.parametrize("path", ["/b/composite", "/b/full", "/b/single", "/b/one", "/b/empty"])
def test_a_whole_get_has_the_content_and_the_objects_facts(server: ObjectServer, ask: Any, path: str) -> None:
    answer = ask(server, path, **ASKED)
    stored = OBJECTS[path]
    assert answer.status == 200
    assert answer.body == stored.content.read()
    assert answer.headers.get("ETag") == stored.etag
    assert digest_of(answer) == tuple(value for _, value in stored.checksum_fields())
    assert answer.headers.get("x-amz-version-id") == stored.version_id
    assert answer.headers.get("x-amz-mp-parts-count") is None


def test_head_has_the_same_fields_and_no_body(server: ObjectServer, ask: Any) -> None:
    head = ask(server, "/b/composite", method="HEAD", **ASKED)
    assert head.headers.get("Content-Length") == "3000"
    assert digest_of(head) == digest_of(ask(server, "/b/composite", **ASKED))
    assert head.body == b""


def test_checksums_are_sent_only_where_they_are_asked_for(server: ObjectServer, ask: Any) -> None:
    assert digest_of(ask(server, "/b/single")) == (None, None)


RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=10-19", 10, 20),
    ("bytes=2990-", 2990, 3000),
    ("bytes=-7", 2993, 3000),
    ("bytes=-9999", 0, 3000),
    ("bytes=2999-99999999999999999999", 2999, 3000),
]


@pytest.mark.parametrize(("value", "start", "stop"), RANGES)
def test_a_range_is_answered_with_its_bytes(server: ObjectServer, ask: Any, value: str, start: int, stop: int) -> None:
    answer = ask(server, "/b/full", Range=value)
    assert answer.status == 206
    assert answer.body == DATA[start:stop]
    assert answer.headers.get("Content-Range") == f"bytes {start}-{stop - 1}/3000"
    assert answer.headers.get("Content-Length") == str(stop - start)
    assert answer.headers.get("ETag") == FULL_OBJECT.etag


@pytest.mark.parametrize("value", ["bytes=0-1,5-6", "bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=-", "bytes"])
def test_a_range_that_is_none_or_many_is_answered_with_the_whole(server: ObjectServer, ask: Any, value: str) -> None:
    answer = ask(server, "/b/full", Range=value)
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers.get("Content-Range") is None


@pytest.mark.parametrize("value", ["bytes=3000-3001", "bytes=-0"])
def test_a_range_outside_of_the_object_cannot_be_satisfied(server: ObjectServer, ask: Any, value: str) -> None:
    answer = ask(server, "/b/full", Range=value)
    assert answer.status == 416
    assert b"<Code>InvalidRange</Code>" in answer.body
    assert b"<ActualObjectSize>3000</ActualObjectSize>" in answer.body
    assert f"<RangeRequested>{value}</RangeRequested>".encode() in answer.body


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_part_of_a_composite_object_has_its_own_digest_and_the_objects_etag(
    server: ObjectServer, ask: Any, number: int
) -> None:
    span = COMPOSITE.parts[number - 1].span
    answer = ask(server, f"/b/composite?partNumber={number}", **ASKED)
    assert (answer.status, answer.body) == (206, DATA[span.start : span.stop])
    assert answer.headers.get("Content-Range") == f"bytes {span.start}-{span.stop - 1}/3000"
    assert answer.headers.get("x-amz-mp-parts-count") == "3"
    assert answer.headers.get("ETag") == COMPOSITE.etag
    assert digest_of(answer) == (part_value(COMPOSITE, number), "COMPOSITE")


def test_a_part_of_a_full_object_one_has_no_digest_at_all(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/full?partNumber=2", **ASKED)
    assert (answer.status, answer.body) == (206, DATA[1000:1500])
    assert digest_of(answer) == (None, None)


def test_the_only_part_of_a_composite_object_has_the_parts_digest(server: ObjectServer, ask: Any) -> None:
    assert digest_of(ask(server, "/b/one?partNumber=1", **ASKED)) == (part_value(ONE_PART, 1), "COMPOSITE")
    assert part_value(ONE_PART, 1) != ONE_PART.checksum_fields()[0][1].partition("-")[0]


def test_part_one_of_an_object_without_parts_is_the_whole_as_a_range(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/single?partNumber=1", **ASKED)
    assert (answer.status, answer.body) == (206, DATA)
    assert answer.headers.get("Content-Range") == "bytes 0-2999/3000"
    assert answer.headers.get("x-amz-mp-parts-count") is None
    assert digest_of(answer) == (SINGLE.checksum_fields()[0][1], "FULL_OBJECT")


def test_head_of_a_part_tells_its_size_and_the_number_of_parts(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/composite?partNumber=1", method="HEAD", **ASKED)
    assert (answer.status, answer.body) == (206, b"")
    assert answer.headers.get("Content-Length") == "1000"
    assert answer.headers.get("Content-Range") == "bytes 0-999/3000"
    assert answer.headers.get("x-amz-mp-parts-count") == "3"


CHECKSUMS_OF_RANGES = [
    ("/b/composite", "bytes=1000-1499", (part_value(COMPOSITE, 2), "COMPOSITE")),
    ("/b/composite", "bytes=1000-1498", (None, None)),
    ("/b/composite", "bytes=0-2999", (COMPOSITE.checksum_fields(suffix=False)[0][1], "COMPOSITE")),
    ("/b/full", "bytes=1000-1499", (None, None)),
    ("/b/full", "bytes=0-2999", (FULL_OBJECT.checksum_fields()[0][1], "FULL_OBJECT")),
    ("/b/single", "bytes=0-9", (None, None)),
    ("/b/single", "bytes=0-", (SINGLE.checksum_fields()[0][1], "FULL_OBJECT")),
]


@pytest.mark.parametrize(("path", "value", "expected"), CHECKSUMS_OF_RANGES)
def test_a_range_has_a_digest_only_where_it_is_a_part_or_everything(
    server: ObjectServer, ask: Any, path: str, value: str, expected: tuple[str | None, str | None]
) -> None:
    assert digest_of(ask(server, path, Range=value, **ASKED)) == expected


def test_a_part_number_past_the_last_cannot_be_satisfied(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/composite?partNumber=4")
    assert answer.status == 416
    assert b"<Code>InvalidPartNumber</Code>" in answer.body
    assert b"<ActualPartCount>3</ActualPartCount>" in answer.body


@pytest.mark.parametrize("number", ["0", "10001", "x", ""])
def test_a_part_number_that_is_none_is_refused(server: ObjectServer, ask: Any, number: str) -> None:
    answer = ask(server, f"/b/composite?partNumber={number}")
    assert (answer.status, b"InvalidArgument" in answer.body) == (400, True)


def test_a_range_and_a_part_number_together_are_refused(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/composite?partNumber=1", Range="bytes=0-1")
    assert answer.status == 400
    assert b"Cannot specify both Range header and partNumber query parameter" in answer.body


def test_a_key_that_is_not_there_is_named_in_the_404(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/no%20such/key")
    assert answer.status == 404
    assert b"<Code>NoSuchKey</Code>" in answer.body
    assert b"<Key>no such/key</Key>" in answer.body


ETAG = SINGLE.etag
EARLIER, LATER = "Sun, 01 Mar 2026 00:00:00 GMT", "Tue, 03 Mar 2026 00:00:00 GMT"
CONDITIONS = [
    ({"If_Match": ETAG}, 200),
    ({"If_Match": ETAG.strip('"')}, 200),
    ({"If_Match": "*"}, 200),
    ({"If_Match": f'"other", {ETAG}'}, 200),
    ({"If_Match": '"other"'}, 412),
    ({"If_Match": f"W/{ETAG}"}, 412),
    ({"If_Unmodified_Since": LATER}, 200),
    ({"If_Unmodified_Since": EARLIER}, 412),
    ({"If_Match": ETAG, "If_Unmodified_Since": EARLIER}, 200),
    ({"If_None_Match": ETAG}, 304),
    ({"If_None_Match": '"other"'}, 200),
    ({"If_Modified_Since": LATER}, 304),
    ({"If_Modified_Since": EARLIER}, 200),
    ({"If_Modified_Since": "garbage"}, 200),
    ({"If_None_Match": ETAG, "If_Modified_Since": EARLIER}, 304),
]


@pytest.mark.parametrize(("headers", "status"), CONDITIONS)
def test_conditions_are_evaluated_in_the_order_of_the_standard(
    server: ObjectServer, ask: Any, headers: dict[str, str], status: int
) -> None:
    answer = ask(server, "/b/single", **headers)
    assert answer.status == status
    assert status == 200 or DATA not in answer.body


def test_a_failed_condition_is_named(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/single", If_Match='"other"', Range="bytes=0-1")
    assert b"<Code>PreconditionFailed</Code>" in answer.body
    assert b"<Condition>If-Match</Condition>" in answer.body


def test_a_304_has_an_etag_and_neither_body_nor_length(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/single", If_None_Match=ETAG)
    assert (answer.headers.get("ETag"), answer.headers.get("Content-Length"), answer.body) == (
        ETAG,
        None,
        b"",
    )


def test_a_range_of_an_empty_object_cannot_be_satisfied(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/empty", Range="bytes=0-0")
    assert (answer.status, b"<ActualObjectSize>0</ActualObjectSize>" in answer.body) == (416, True)


def test_part_one_of_an_empty_object_is_empty(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/empty?partNumber=1")
    assert (answer.status, answer.body, answer.headers.get("Content-Range")) == (206, b"", None)


def test_a_version_is_found_by_its_id_after_it_was_replaced(server: ObjectServer, ask: Any) -> None:
    server.put("/b/single", StoredObject(Content.of(b"new"), version_id="v2"))
    assert ask(server, "/b/single").body == b"new"
    assert ask(server, "/b/single?versionId=v1").body == DATA
    assert ask(server, "/b/single?versionId=v3").status == 404


def test_response_parameters_replace_header_fields(server: ObjectServer, ask: Any) -> None:
    answer = ask(server, "/b/single?response-content-type=text%2Fplain&response-expires=never")
    assert answer.headers.get_all("Content-Type") == ("text/plain",)
    assert answer.headers.get("Expires") == "never"


def test_a_request_without_a_required_header_is_denied(ask: Any) -> None:
    stored = StoredObject(Content.of(DATA), required_headers={"x-amz-request-payer": "requester"})
    with ObjectServer({"/b/k": stored}) as server:
        assert ask(server).status == 403
        assert ask(server, x_amz_request_payer="requester").status == 200


BEHAVIOURS: list[tuple[Behaviour, str, dict[str, str], Callable[[Any], object], object]] = [
    (
        Behaviour(ranges=False),
        "/b/full",
        {"Range": "bytes=0-1"},
        lambda a: (a.status, len(a.body)),
        (200, 3000),
    ),
    (
        Behaviour(part_numbers=False),
        "/b/full?partNumber=1",
        {},
        lambda a: (a.status, len(a.body)),
        (200, 3000),
    ),
    (Behaviour(if_match=False), "/b/full", {"If_Match": '"x"'}, lambda a: a.status, 200),
    (Behaviour(if_match_unquoted_only=True), "/b/single", {"If_Match": ETAG}, lambda a: a.status, 412),
    (
        Behaviour(if_match_unquoted_only=True),
        "/b/single",
        {"If_Match": ETAG.strip('"')},
        lambda a: a.status,
        200,
    ),
    (Behaviour(etags=ETags.WEAK), "/b/single", {}, lambda a: a.headers.get("ETag"), f"W/{ETAG}"),
    (Behaviour(etags=ETags.WEAK), "/b/single", {"If_Match": f"W/{ETAG}"}, lambda a: a.status, 412),
    (Behaviour(etags=ETags.UNQUOTED), "/b/single", {}, lambda a: a.headers.get("ETag"), ETAG.strip('"')),
    (Behaviour(etags=ETags.NONE), "/b/single", {}, lambda a: a.headers.get("ETag"), None),
    (Behaviour(accept_ranges=None), "/b/single", {}, lambda a: a.headers.get("Accept-Ranges"), None),
    (
        Behaviour(partial_status=200),
        "/b/full",
        {"Range": "bytes=0-1"},
        lambda a: (a.status, a.body),
        (200, DATA[:2]),
    ),
    (Behaviour(checksums=False), "/b/full", ASKED, digest_of, (None, None)),
    (
        Behaviour(range_checksum=RangeChecksum.OBJECT),
        "/b/single",
        {"Range": "bytes=0-1", **ASKED},
        digest_of,
        (SINGLE.checksum_fields()[0][1], "FULL_OBJECT"),
    ),
    (
        Behaviour(range_checksum=RangeChecksum.NONE),
        "/b/composite?partNumber=1",
        ASKED,
        digest_of,
        (None, None),
    ),
    (Behaviour(empty_range=EmptyRange.WHOLE), "/b/empty", {"Range": "bytes=0-0"}, lambda a: a.status, 200),
    (
        Behaviour(empty_range=EmptyRange.IMPOSSIBLE),
        "/b/empty",
        {"Range": "bytes=0-0"},
        lambda a: (a.status, a.headers.get("Content-Range")),
        (206, "bytes 0--1/0"),
    ),
    (
        Behaviour(total_on_416=True),
        "/b/single",
        {"Range": "bytes=5000-"},
        lambda a: a.headers.get("Content-Range"),
        "bytes */3000",
    ),
    (Behaviour(amazon=False), "/b/none", {}, lambda a: (a.status, b"<Error>" in a.body), (404, False)),
    (
        Behaviour(send_length=False),
        "/b/single",
        {},
        lambda a: (a.headers.get("Content-Length"), a.headers.get("Transfer-Encoding")),
        (None, "chunked"),
    ),
]


@pytest.mark.parametrize(("behaviour", "target", "headers", "fact", "expected"), BEHAVIOURS)
def test_a_behaviour_changes_what_it_names(
    ask: Any,
    behaviour: Behaviour,
    target: str,
    headers: dict[str, str],
    fact: Callable[[Any], object],
    expected: object,
) -> None:
    with ObjectServer(OBJECTS, behaviour=behaviour) as server:
        assert fact(ask(server, target, **headers)) == expected


def test_other_stores_answer_head_of_a_part_in_their_own_ways(ask: Any) -> None:
    target = "/b/composite?partNumber=2"
    with ObjectServer(OBJECTS, behaviour=Behaviour(head_part=HeadPart.WHOLE_SIZE)) as server:
        answer = ask(server, target, method="HEAD")
        assert (answer.status, answer.headers.get("Content-Length")) == (200, "3000")
    with ObjectServer(OBJECTS, behaviour=Behaviour(head_part=HeadPart.PART_ETAG)) as server:
        answer = ask(server, target, method="HEAD")
        assert (answer.status, answer.headers.get("Content-Length")) == (200, "500")
        assert answer.headers.get("ETag") == COMPOSITE.parts[1].etag
        assert answer.headers.get("Content-Range") is None


def test_a_head_may_forget_the_suffix_of_a_composite(ask: Any) -> None:
    with ObjectServer(OBJECTS, behaviour=Behaviour(composite_suffix_on_head=False)) as server:
        head, whole = (
            ask(server, "/b/composite", method="HEAD", **ASKED),
            ask(server, "/b/composite", **ASKED),
        )
    value, kind = digest_of(whole)
    assert (value, kind) == (COMPOSITE.checksum_fields()[0][1], "COMPOSITE")
    assert digest_of(head) == (str(value).removesuffix("-3"), None)


def test_a_server_without_head_refuses_it(ask: Any) -> None:
    with ObjectServer(OBJECTS, behaviour=Behaviour(head=False)) as server:
        assert ask(server, "/b/single", method="HEAD").status == 405


def test_stored_gzip_is_inflated_for_clients_that_do_not_accept_it(ask: Any, curl: Any) -> None:
    packed = gzip.compress(DATA)
    stored = StoredObject(Content.of(packed), headers={"Content-Encoding": "gzip"})
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(transcodes_gzip=True)) as server:
        assert curl(server.url("/b/k"), "-r", "0-9").output == DATA
        assert curl(server.url("/b/k"), "-r", "0-9", "-H", "Accept-Encoding: gzip").output == packed[:10]
        assert ask(server).headers.get("Content-Length") is None
