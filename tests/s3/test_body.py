"""The body of get_object: every byte, verified at its end, resumed where the way breaks."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import fastget
from fastget.core.checksums.algorithms import new_hasher
from fastget.core.ranges import Span
from fastget.engine.exchange.moulding import FIRST_DUE
from fastget.engine.reading.body import ObjectBody
from fastget.errors import (
    Cancelled,
    ChecksumMismatch,
    NetworkError,
    ProtocolError,
    ServerError,
    SourceChanged,
    Unverifiable,
)
from fastget.events import Method
from fastget.s3 import Body
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, RangeChecksum, StoredObject, faults
from fastget.testing.answer import Answer, Segment, literal
from fastget.testing.behaviour import Attributes, EmptyRange
from fastget.testing.quirks import QUIRKS
from fastget.testing.received import ReceivedRequest

Ask = Callable[..., dict[str, Any]]
Serve = Callable[..., ObjectServer]

CONTENT = Content.generated(300_000, seed=5)
DATA = CONTENT.read()
NO_PARTS = Behaviour(part_numbers=False, attributes=Attributes.NO_PARTS)
PARTS = (100_000, 0, 120_000, 80_000)
# A connection may bring all of it at once, or nothing more than this before it breaks.
BREAK = 200_000


def whole(algorithm: Algorithm | None = Algorithm.CRC64NVME, **options: Any) -> StoredObject:
    return StoredObject(CONTENT, checksum=algorithm, **options)


def in_parts(algorithm: Algorithm = Algorithm.SHA256, **options: Any) -> StoredObject:
    return whole(algorithm, part_sizes=PARTS, checksum_type="COMPOSITE", **options)


# Verification ----------------------------------------------------------------------------------------------------


@pytest.mark.row(24, *range(32, 43))
@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("make", [whole, in_parts])
def test_a_body_read_to_its_end_is_verified(
    serve: Serve, get: Ask, make: Callable[..., StoredObject], algorithm: Algorithm
) -> None:
    answer = get(serve({"/b/k": make(algorithm)}))
    body = answer["Body"]
    assert not body.verification
    assert body.read() == DATA
    assert body.verification.verified
    assert body.verification.coverage == 1.0
    assert body.verification.algorithm == algorithm
    assert body.verification.method is (Method.FULL_OBJECT if make is whole else Method.COMPOSITE)


@pytest.mark.row(24, *range(32, 43))
@pytest.mark.parametrize("offset", [0, 150_000, len(DATA) - 1])
@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("make", [whole, in_parts])
def test_a_flipped_bit_is_found_at_the_end(
    serve: Serve, get: Ask, make: Callable[..., StoredObject], algorithm: Algorithm, offset: int
) -> None:
    server = serve({"/b/k": make(algorithm)}, faults=[faults.flip_bit(offset)])
    body = get(server)["Body"]
    with pytest.raises(ChecksumMismatch) as caught:
        body.read()
    assert caught.value.algorithm == algorithm
    assert caught.value.expected != caught.value.actual
    assert not body.verification.verified
    with pytest.raises(ChecksumMismatch):
        body.read(1)


def test_objects_that_are_answered_alike_are_told_apart(
    serve: Serve, get: Ask, sdk_client: Callable[[str, ObjectServer], Any]
) -> None:
    """After some answers of a store the next are recognised, and say and hold what each of them does all the same."""
    datas = [Content.generated(1000 + number, seed=number) for number in range(12)]
    objects = {
        f"/b/{number}": StoredObject(
            data,
            checksum=Algorithm.CRC32C,
            content_type=f"text/{number}",
            headers={"x-amz-meta-number": str(number)},
        )
        for number, data in enumerate(datas)
    }
    server = serve(objects, faults=[faults.flip_bit(3).on(path="/b/11")])
    theirs = sdk_client("aws", server)
    for number, data in enumerate(datas[:-1]):
        answer, expected = get(server, Key=str(number)), theirs.get_object(Bucket="b", Key=str(number))
        body = answer.pop("Body")
        expected.pop("Body").close()
        assert body.read() == data.read()
        assert (body.verification.verified, body.verification.algorithm) == (True, Algorithm.CRC32C)
        assert (body._object_body.head.reading is not None) == (number >= FIRST_DUE)
        ours, metadata = answer.pop("ResponseMetadata"), expected.pop("ResponseMetadata")
        assert answer == expected
        assert {**ours["HTTPHeaders"], "date": ""} == {**metadata["HTTPHeaders"], "date": ""}
    with pytest.raises(ChecksumMismatch):
        get(server, Key="11")["Body"].read()


@pytest.mark.parametrize("size", [1, 7, 64 * 1024, len(DATA)])
def test_a_reader_that_stops_at_the_declared_length_learns_of_it_too(serve: Serve, get: Ask, size: int) -> None:
    answer = get(serve({"/b/k": whole()}, faults=[faults.flip_bit(3)]))

    def read() -> None:
        for _ in range(0, answer["ContentLength"], size):
            answer["Body"].read(size)

    with pytest.raises(ChecksumMismatch):
        read()


def test_an_etag_that_is_the_md5_verifies_where_nothing_better_is_declared(serve: Serve, get: Ask) -> None:
    body = get(serve({"/b/k": whole(None)}))["Body"]
    assert body.read() == DATA
    assert (body.verification.method, body.verification.verified) == (Method.ETAG_MD5, True)


def test_an_etag_that_is_not_the_md5_verifies_nothing_in_a_store_that_only_follows_s3(serve: Serve, get: Ask) -> None:
    body = get(serve({"/b/k": whole(None, etag='"00000000000000000000000000000000"')}))["Body"]
    assert body.read() == DATA
    assert not body.verification.verified
    assert "ETag" in body.verification.reason


def test_a_digest_of_http_verifies(serve: Serve, get: Ask) -> None:
    import base64

    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    stored = whole(None, headers={"Repr-Digest": f"sha-256=:{digest}:"})
    body = get(serve({"/b/k": stored}))["Body"]
    assert body.read() == DATA
    assert (body.verification.method, body.verification.verified) == (Method.HTTP_DIGEST, True)


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=5-99"}], ids=["whole", "range"])
def test_where_verification_is_required_a_body_without_a_digest_gives_nothing_out(
    serve: Serve, client_of: Any, await_gone: Any, asked: dict[str, Any]
) -> None:
    server = serve({"/b/k": whole(None, etag='"an-etag-of-another-kind"')})
    client = client_of(server, require_verified=True)
    answer = fastget.s3.get_object(Bucket="b", Key="k", client=client, **asked)
    for _ in range(2):
        with pytest.raises(Unverifiable, match="cannot be verified: the store declare"):
            answer["Body"].read(1)
    await_gone(server)


def test_where_verification_is_required_what_proves_nothing_in_the_end_is_refused_before_its_last_bytes(
    serve: Serve, client_of: Any
) -> None:
    server = serve({"/b/k": whole(None, etag='"00000000000000000000000000000000"'), "/b/good": whole()})
    client = client_of(server, require_verified=True)
    with pytest.raises(Unverifiable, match="the ETag is not the MD5"):
        fastget.s3.get_object(Bucket="b", Key="k", client=client)["Body"].read()
    body = fastget.s3.get_object(Bucket="b", Key="good", client=client)["Body"]
    assert body.read() == DATA
    assert body.verification.verified


def test_a_body_without_any_digest_says_so(serve: Serve, get: Ask) -> None:
    body = get(serve({"/b/k": whole(None, etag='"opaque"')}))["Body"]
    assert body.read() == DATA
    assert body.verification == fastget.Verification(False, Method.SIZE, reason="the store declared no checksum")


def test_a_composite_whose_parts_nobody_tells_falls_back_to_what_can_be_checked(serve: Serve, get: Ask) -> None:
    stored = in_parts(etag='"opaque"')
    body = get(serve({"/b/k": stored}, behaviour=NO_PARTS))["Body"]
    assert body.read() == DATA
    assert not body.verification.verified
    assert "parts" in body.verification.reason


def test_a_store_that_tells_nothing_of_parts_is_asked_once(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": in_parts()}, behaviour=Behaviour(part_numbers=False, attributes=Attributes.NOT_IMPLEMENTED))
    for is_asked in (True, False):
        server.forget_requests()
        assert get(server)["Body"].read() == DATA
        assert is_asked is any("attributes" in request.target or request.part_number for request in server.requests)


def test_parts_of_the_usual_sizes_are_found_without_the_store(serve: Serve, get: Ask) -> None:
    stored = StoredObject(
        Content.generated(9 * 2**20, seed=1),
        part_sizes=(8 * 2**20, 2**20),
        checksum=Algorithm.SHA1,
        checksum_type="COMPOSITE",
    )
    body = get(serve({"/b/k": stored}, behaviour=NO_PARTS))["Body"]
    assert body.read() == stored.content.read()
    assert body.verification.method is Method.COMPOSITE


@pytest.mark.parametrize("fault", [faults.flip_bit(offset=5), faults.reset(after=1000)], ids=["flip", "reset"])
def test_an_error_that_is_kept_keeps_no_memory_of_a_read(serve: Serve, get: Ask, fault: Any) -> None:
    server = serve({"/b/k": StoredObject(Content.generated(3_000_001), checksum=Algorithm.CRC32C)}, faults=[fault])
    with pytest.raises((ChecksumMismatch, NetworkError)) as caught, get(server, retries=0)["Body"] as body:
        body.read()
    held = [one for one in gc.get_objects() if type(one) is io.BytesIO and not one.closed]
    assert 3_000_001 not in [len(one.getvalue()) for one in held]
    assert caught.value.__traceback__ is not None


def test_digests_that_contradict_each_other_fail_the_body(serve: Serve, get: Ask) -> None:
    import base64

    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    stored = whole(Algorithm.SHA256, headers={"Repr-Digest": f"sha-256=:{other}:"})
    with pytest.raises(ChecksumMismatch, match="contradict"):
        get(serve({"/b/k": stored}))["Body"].read()


# Ranges and parts ------------------------------------------------------------------------------------------------


@pytest.mark.row(7, 49)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", DATA[:1]),
        ("bytes=5-99", DATA[5:100]),
        ("bytes=299999-", DATA[-1:]),
        ("bytes=-7", DATA[-7:]),
        ("bytes=0-", DATA),
        ("bytes=-999999", DATA),
        ("bytes=299990-400000", DATA[299_990:]),
        (f"bytes=299990-{2**64 - 1}", DATA[299_990:]),
        (f"bytes=-{2**64 - 1}", DATA),
    ],
)
def test_a_range_brings_its_bytes(serve: Serve, get: Ask, text: str, expected: bytes) -> None:
    server = serve({"/b/k": in_parts()})
    answer = get(server, Range=text)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentLength"] == len(expected)
    assert answer["Body"].read() == expected
    assert not answer["Body"].verification.verified
    assert len(server.requests) == 1


@pytest.mark.row(7, 49)
@pytest.mark.parametrize(
    "fault",
    [
        faults.range_shifted(),
        faults.no_content_range(),
        faults.many_content_ranges(),
        faults.content_range("bytes 0-9/*"),
        faults.content_range("bytes 100-50/300000"),
        faults.content_range("items 100-199/300000"),
    ],
)
@pytest.mark.parametrize("status", [206, 200])
@pytest.mark.parametrize("text", ["bytes=100-199", f"bytes=100-{2**64 - 1}"])
def test_other_bytes_than_were_asked_for_are_refused(
    serve: Serve, get: Ask, fault: Any, status: int, text: str
) -> None:
    server = serve({"/b/k": whole()}, behaviour=Behaviour(partial_status=status), faults=[fault.always()])
    with pytest.raises(ProtocolError, match=text):
        get(server, Range=text)


@pytest.mark.row(7, 49)
@pytest.mark.parametrize("text", ["bytes=-5", "bytes=0-", "bytes=0-9"])
def test_a_range_of_an_empty_object_is_empty_where_the_store_answers_it(serve: Serve, get: Ask, text: str) -> None:
    """As MinIO does; most others answer 416, or 200."""
    answer = get(
        serve({"/b/k": StoredObject(Content.of(b""))}, behaviour=Behaviour(empty_range=EmptyRange.IMPOSSIBLE)),
        Range=text,
    )
    assert (answer["ContentRange"], answer["ContentLength"]) == ("bytes 0--1/0", 0)
    assert answer["Body"].read() == b""


@pytest.mark.row(7, 49)
@pytest.mark.parametrize(("text", "named"), [("bytes=3-", "bytes 0--1/0"), ("bytes=-5", "bytes 0--1/5")])
def test_an_empty_answer_to_a_range_that_has_bytes_is_refused(serve: Serve, get: Ask, text: str, named: str) -> None:
    nothing = Answer(206, (("Content-Range", named),))
    with pytest.raises(ProtocolError, match="other bytes"):
        get(serve(operations=[lambda _: nothing]), Range=text)


@pytest.mark.fault("H6", "H7", "H42")
@pytest.mark.row(30, 49)
@pytest.mark.parametrize("asked", [{"Range": "bytes=100-99999"}, {"Range": "bytes=-5000"}, {"PartNumber": 3}], ids=str)
@pytest.mark.parametrize("status", [206, 200])
@pytest.mark.parametrize(
    "fault", [faults.error_document_as_body(), faults.short_of_content_range(50), faults.body_longer(50)]
)
def test_a_body_of_another_length_than_its_content_range_is_refused(
    serve: Serve, get: Ask, asked: dict[str, Any], status: int, fault: Any
) -> None:
    server = serve({"/b/k": in_parts()}, behaviour=Behaviour(partial_status=status), faults=[fault])
    with pytest.raises(ProtocolError, match=r"a body of \d+ bytes came as the bytes \d+-\d+ of the object"):
        get(server, **asked)


@pytest.mark.fault("H1")
@pytest.mark.row(7, 49)
@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize("text", ["bytes=100-199", "bytes=0-99", "bytes=100-", "bytes=-7", f"bytes=100-{2**64 - 1}"])
def test_a_range_that_a_store_without_ranges_answers_with_the_whole_object_is_refused(
    serve: Serve, get: Ask, text: str, has_length: bool
) -> None:
    server = serve({"/b/k": whole()}, behaviour=Behaviour(ranges=False, send_length=has_length))
    with pytest.raises(ProtocolError, match=f"the whole object came, and not {text} of it") as caught:
        get(server, Range=text)
    assert "ignores ranges" in (caught.value.hint or "")


@pytest.mark.row(7, 49)
@pytest.mark.parametrize("text", ["bytes=0-", "bytes=0-299999", "bytes=-300000", f"bytes=0-{2**64 - 1}", "bytes=9-0"])
def test_a_range_of_all_there_is_may_be_answered_with_the_whole_object(serve: Serve, get: Ask, text: str) -> None:
    answer = get(serve({"/b/k": whole()}, behaviour=Behaviour(ranges=False)), Range=text)
    assert answer["Body"].read() == DATA
    assert answer["Body"].verification.verified


@pytest.mark.row(7, 49)
@pytest.mark.parametrize("text", ["bytes=0-99", "bytes=5-", "bytes=-7"])
def test_an_empty_object_may_come_whole_whatever_the_range(serve: Serve, get: Ask, text: str) -> None:
    behaviour = Behaviour(empty_range=EmptyRange.WHOLE)
    answer = get(serve({"/b/k": StoredObject(Content.of(b""))}, behaviour=behaviour), Range=text)
    assert answer["Body"].read() == b""


@pytest.mark.row(49)
def test_a_part_of_the_object_is_no_answer_where_all_of_it_was_asked_for(serve: Serve, get: Ask) -> None:
    some = Answer(206, (("Content-Range", "bytes 0-9/300000"),), (literal(DATA[:10]),))
    server = serve({}, operations=[lambda _: some])
    with pytest.raises(ProtocolError, match="206"):
        get(server, retries=0)


@pytest.mark.row(7, 109)
def test_several_ranges_bring_the_whole_object(serve: Serve, get: Ask) -> None:
    answer = get(serve({"/b/k": whole()}), Range="bytes=0-1,5-6")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["Body"].read() == DATA
    assert answer["Body"].verification.verified


@pytest.mark.row(7, 50, 109)
@pytest.mark.parametrize("asked", [{"Range": "bytes=0-1,5-6"}, {"Range": "bytes= 0-1"}, {"PartNumber": 2}], ids=str)
def test_several_ranges_in_one_body_are_refused(serve: Serve, get: Ask, asked: dict[str, Any]) -> None:
    """nginx and Apache answer so; S3 sends the whole object. Their frames would pass for bytes of the object."""
    parts = literal(b"--x\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n--x--\r\n")
    answer = Answer(206, (("Content-Type", "multipart/byteranges; boundary=x"),), (parts,))
    with pytest.raises(ProtocolError, match="several ranges came in one body") as caught:
        get(serve(operations=[lambda _: answer]), **asked)
    assert "one range" in (caught.value.hint or "")


@pytest.mark.row(8, 62, 110)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_part_is_verified_by_its_own_digest(serve: Serve, get: Ask, number: int, algorithm: Algorithm) -> None:
    sizes = (100_000, 50_000, 70_000, 80_000)
    stored = whole(algorithm, part_sizes=sizes, checksum_type="COMPOSITE")
    answer = get(serve({"/b/k": stored}), PartNumber=number)
    start = sum(sizes[: number - 1])
    assert answer["PartsCount"] == 4
    assert answer["Body"].read() == DATA[start : start + sizes[number - 1]]
    found = answer["Body"].verification
    assert (found.verified, found.method, found.coverage) == (True, Method.COMPOSITE, sizes[number - 1] / len(DATA))
    assert f"part {number}" in found.reason


@pytest.mark.row(8)
def test_a_flipped_bit_in_a_part_is_found(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": in_parts()}, faults=[faults.flip_bit(150_000)])
    with pytest.raises(ChecksumMismatch):
        get(server, PartNumber=3)["Body"].read()


@pytest.mark.row(8)
def test_the_only_part_is_verified_as_the_whole_object(serve: Serve, get: Ask) -> None:
    body = get(serve({"/b/k": whole(Algorithm.SHA256)}), PartNumber=1)["Body"]
    assert body.read() == DATA
    assert (body.verification.verified, body.verification.coverage) == (True, 1.0)


@pytest.mark.row(8, 110)
@pytest.mark.parametrize("stored", [whole(part_sizes=PARTS), in_parts()], ids=["full", "composite"])
def test_a_part_that_a_store_without_parts_answers_with_the_whole_object_is_refused(
    serve: Serve, get: Ask, stored: StoredObject
) -> None:
    server = serve({"/b/k": stored}, behaviour=NO_PARTS)
    for number in (1, 3):
        with pytest.raises(ProtocolError, match=f"the whole object came, and not part {number} of it") as caught:
            get(server, PartNumber=number)
        assert "Range" in (caught.value.hint or "")


@pytest.mark.row(8, 110)
@pytest.mark.parametrize("stored", [whole(), whole(part_sizes=(len(DATA),))], ids=["no parts", "one part"])
def test_the_only_part_may_be_answered_with_the_whole_object(serve: Serve, get: Ask, stored: StoredObject) -> None:
    first = get(serve({"/b/k": stored}, behaviour=NO_PARTS), PartNumber=1)["Body"]
    assert first.read() == DATA
    assert first.verification.verified


def part_in_full(stored: StoredObject, damaged: bytes = b"") -> Callable[[ReceivedRequest], Answer | None]:
    """A store that sends the third part in a 200, with the digest of the whole object, as Ceph does."""

    hasher = new_hasher(Algorithm.CRC64NVME)
    hasher.update(DATA)

    def operation(request: ReceivedRequest) -> Answer | None:
        if request.method != "GET" or request.part_number != 3:
            return None
        fields = {
            "ETag": stored.etag,
            "x-amz-mp-parts-count": "4",
            "x-amz-checksum-crc64nvme": base64.b64encode(hasher.digest()).decode(),
            "x-amz-checksum-type": "FULL_OBJECT",
        }
        body = damaged or DATA[100_000:220_000]
        return Answer(200, tuple(fields.items()), (Segment(Content.of(body), Span(0, len(body)), is_object=True),))

    return operation


@pytest.mark.row(8, 110)
def test_a_part_in_a_200_is_not_held_to_the_digest_of_the_whole_object(serve: Serve, get: Ask) -> None:
    stored = whole(part_sizes=PARTS)
    body = get(serve({"/b/k": stored}, operations=[part_in_full(stored)]), PartNumber=3)["Body"]
    assert body.read() == DATA[100_000:220_000]
    assert not body.verification.verified
    assert "whole object along with a part" in body.verification.reason


@pytest.mark.row(8)
def test_a_whole_object_in_a_200_to_a_part_is_held_to_its_digest(serve: Serve, get: Ask) -> None:
    stored = whole()
    damaged = bytes([DATA[0] ^ 1]) + DATA[1:]
    with pytest.raises(ChecksumMismatch):
        get(serve({"/b/k": stored}, operations=[part_in_full(stored, damaged)]), PartNumber=3)["Body"].read()


@pytest.mark.row(8)
def test_a_part_in_a_200_that_breaks_off_is_not_read_on_as_if_it_were_the_start_of_the_object(
    serve: Serve, get: Ask
) -> None:
    stored = whole(part_sizes=PARTS)
    server = serve({"/b/k": stored}, operations=[part_in_full(stored)], faults=[faults.close_mid_body(after=50_000)])
    with pytest.raises(NetworkError):
        get(server, PartNumber=3)["Body"].read()
    assert len(server.requests) == 1


@pytest.mark.row(7, 8)
def test_a_range_that_is_a_part_is_verified_by_the_digest_that_comes_with_it(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": in_parts()})
    body = get(server, Range="bytes=100000-219999")["Body"]
    assert body.read() == DATA[100_000:220_000]
    assert body.verification.verified
    assert len(server.requests) == 1


@pytest.mark.row(7, 8)
def test_a_flipped_bit_in_a_range_that_is_a_part_is_found(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": in_parts()}, faults=[faults.flip_bit(150_000)])
    with pytest.raises(ChecksumMismatch):
        get(server, Range="bytes=100000-219999")["Body"].read()


@pytest.mark.parametrize("keywords", [{"PartNumber": 3}, {"Range": "bytes=100000-219999"}, {"Range": "bytes=7-9"}])
def test_the_digest_of_the_object_sent_along_with_a_part_of_it_fails_nothing(
    serve: Serve, get: Ask, keywords: dict[str, Any]
) -> None:
    behaviour = Behaviour(range_checksum=RangeChecksum.OBJECT)
    server = serve({"/b/k": whole(Algorithm.CRC32, part_sizes=PARTS)}, behaviour=behaviour)
    body = get(server, **keywords)["Body"]
    assert body.read() in DATA
    assert not body.verification.verified


# Sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.row(24, 30)
@pytest.mark.parametrize("size", [0, 1, 2, 65_536])
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.SHA256])
def test_small_and_empty_objects_are_read_and_verified(serve: Serve, get: Ask, size: int, algorithm: Algorithm) -> None:
    stored = StoredObject(Content.generated(size, seed=1), checksum=algorithm)
    answer = get(serve({"/b/k": stored}))
    assert answer["ContentLength"] == size
    assert answer["Body"].read(0) == b""
    assert answer["Body"].read() == stored.content.read()
    assert answer["Body"].read() == b""
    assert answer["Body"].verification.verified


def test_a_body_of_unknown_length_is_read_and_verified(serve: Serve, get: Ask) -> None:
    answer = get(serve({"/b/k": whole()}, behaviour=Behaviour(send_length=False)))
    assert "ContentLength" not in answer
    assert answer["Body"].read() == DATA
    assert answer["Body"].verification.verified


def test_a_flipped_bit_in_a_body_of_unknown_length_is_found(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": whole()}, behaviour=Behaviour(send_length=False), faults=[faults.flip_bit(9)])
    with pytest.raises(ChecksumMismatch):
        get(server)["Body"].read()


# A file to read --------------------------------------------------------------------------------------------------


def lines_object() -> StoredObject:
    return StoredObject(Content.of(b"one\ntwo\r\nthree\rfour\n\nlast"), checksum=Algorithm.CRC32)


def test_reads_of_any_size_bring_the_bytes_in_order(serve: Serve, get: Ask) -> None:
    body = get(serve({"/b/k": whole()}))["Body"]
    assert body.readable()
    assert not body.seekable()
    assert not body.writable()
    assert body.read(0) == b""
    assert body.tell() == 0
    assert body.read(5) == DATA[:5]
    assert body.tell() == 5
    buffer = bytearray(100_000)
    assert body.readinto(buffer) == 100_000
    assert bytes(buffer) == DATA[5:100_005]
    assert body.read(10**9) == DATA[100_005:]
    assert body.tell() == len(DATA)
    assert body.read(1) == body.read() == b""
    assert body.readinto(buffer) == 0


@pytest.mark.parametrize("size", [1, 3, 1000, 10**6])
def test_chunks_and_lines_are_those_of_the_sdks(serve: Serve, get: Ask, sdk_client: Any, size: int) -> None:
    server = serve({"/b/k": lines_object()})
    theirs = sdk_client("aws", server)

    def pair() -> tuple[Any, Any]:
        return get(server)["Body"], theirs.get_object(Bucket="b", Key="k")["Body"]

    for read in (
        lambda body: list(body.iter_chunks(size)),
        lambda body: list(body.iter_lines(size)),
        lambda body: list(body.iter_lines(size, keepends=True)),
        b"".join,
        lambda body: body.readlines(),
    ):
        ours, other = pair()
        assert read(ours) == read(other)
        ours.close()
        other.close()


def test_a_body_is_a_file_for_those_who_want_one(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": lines_object()})
    with get(server)["Body"] as body:
        assert isinstance(body, Body)
        assert isinstance(body, io.BufferedIOBase)
        assert body.readline() == b"one\n"
        assert body.peek(1)[:1] == b"t"
        assert list(io.TextIOWrapper(body, newline=""))[-1] == "last"


@pytest.mark.parametrize("amt", [0, 5, -1, None])
def test_how_much_to_read_may_be_named_as_in_the_sdks(serve: Serve, get: Ask, sdk_client: Any, amt: int | None) -> None:
    server = serve({"/b/k": lines_object()})
    with get(server)["Body"] as ours, sdk_client("aws", server).get_object(Bucket="b", Key="k")["Body"] as theirs:
        assert ours.read(amt=amt) == theirs.read(amt=amt)


@pytest.mark.parametrize("amt", [2**40, sys.maxsize, 2**70])
def test_a_bound_is_no_amount_of_memory(serve: Serve, get: Ask, sdk_client: Any, amt: int) -> None:
    server = serve({"/b/k": whole()})
    assert get(server)["Body"].read(amt) == DATA
    assert sdk_client("aws", server).get_object(Bucket="b", Key="k")["Body"].read(amt) == DATA
    body = get(server)["Body"]
    assert body.read(5) + next(body.iter_chunks(amt)) == DATA
    assert (body.read(amt), body.tell(), body.verification.verified) == (b"", len(DATA), True)


def test_a_read_beyond_what_is_taken_at_once_brings_just_that_much(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, get: Ask
) -> None:
    monkeypatch.setattr(fastget.s3, "_AT_ONCE", 1000)
    body = get(serve({"/b/k": whole()}))["Body"]
    assert (body.read(2500), body.read(1001), body.tell()) == (DATA[:2500], DATA[2500:3501], 3501)
    assert body.read(len(DATA)) == DATA[3501:]


def test_as_many_lines_are_read_as_the_hint_has_bytes(serve: Serve, get: Ask) -> None:
    lines = [b"line %d\n" % number for number in range(50)]
    server = serve({"/b/k": StoredObject(Content.of(b"".join(lines)))})
    oracle = io.BytesIO(b"".join(lines))
    with get(server)["Body"] as body:
        for hint in (1, 7, 8, 100, None):
            assert body.readlines(hint) == oracle.readlines(hint)


def test_the_time_for_many_lines_grows_with_their_number(
    serve: Serve, get: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Line(bytes):
        """One whose length is asked for, counted."""

        asked = 0

        def __len__(self) -> int:
            Line.asked += 1
            return 2

    server = serve({"/b/k": StoredObject(Content.of(b"x\n"))})
    with get(server)["Body"] as body:
        monkeypatch.setattr(body, "readline", lambda: Line(b"x\n"))
        assert len(body.readlines(2000)) == 1000
    assert Line.asked <= 2000


def test_next_gives_chunks_until_the_end(serve: Serve, get: Ask) -> None:
    body = get(serve({"/b/k": lines_object()}))["Body"]
    assert next(body) == b"one\ntwo\r\nthree\rfour\n\nlast"
    with pytest.raises(StopIteration):
        next(body)


@pytest.mark.parametrize("size", [0, 5, -1])
def test_a_closed_body_tells_how_much_of_it_was_read(serve: Serve, get: Ask, sdk_client: Any, size: int) -> None:
    server = serve({"/b/k": lines_object()})
    ours, theirs = get(server)["Body"], sdk_client("aws", server).get_object(Bucket="b", Key="k")["Body"]
    assert ours.read(size) == theirs.read(size)
    for _ in range(2):
        ours.close()
        theirs.close()
        assert ours.tell() == theirs.tell()


def test_its_repr_tells_how_far_it_is(serve: Serve, get: Ask) -> None:
    body = get(serve({"/b/k": lines_object()}))["Body"]
    body.read()
    assert repr(body) == "<Body of s3://b/k: 25 of 25 bytes>"


# Closing ---------------------------------------------------------------------------------------------------------


def test_a_body_closed_early_verifies_nothing_and_drops_its_connection(serve: Serve, get: Ask, await_gone: Any) -> None:
    content = Content.generated(30_000_000, seed=2)
    server = serve({"/b/k": StoredObject(content, checksum=Algorithm.CRC32)})
    with get(server)["Body"] as body:
        assert body.read(10) == content.read(0, 10)
    assert not body.verification.verified
    assert "left after" in body.verification.reason
    with pytest.raises(ValueError, match="closed"):
        body.read(1)
    body.close()
    await_gone(server)


def test_a_body_read_to_its_end_gives_its_connection_back(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": whole()})
    for _ in range(3):
        get(server)["Body"].read()
    assert server.connections == 1


def test_closing_from_another_thread_wakes_a_read_that_waits(serve: Serve, get: Ask, await_gone: Any) -> None:
    release, reached = threading.Event(), threading.Event()
    server = serve({"/b/k": whole()}, faults=[faults.hold(release, after=1000, reached=reached)])
    body = get(server)["Body"]
    failures: list[Exception] = []

    def read() -> None:
        try:
            body.read()
        except (fastget.FastgetError, ValueError) as error:
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert reached.wait(30)
        body.close()
        thread.join(30)
        assert not thread.is_alive()
    finally:
        release.set()
    assert [type(error) for error in failures] in ([Cancelled], [ValueError])
    await_gone(server)


def test_a_body_that_nobody_closes_leaves_nothing_open(serve: Serve, no_leaks: None) -> None:
    server = serve({"/b/k": whole()})
    answer = fastget.s3.get_object(
        Bucket="b",
        Key="k",
        endpoint_url=server.base_url,
        region="us-east-1",
        addressing_style="path",
        no_sign_request=True,
    )
    del answer
    gc.collect()
    server.close()


def test_without_a_client_everything_is_let_go_of_at_the_end(serve: Serve, await_gone: Any) -> None:
    server = serve({"/b/k": whole()})
    answer = fastget.s3.get_object(
        Bucket="b",
        Key="k",
        endpoint_url=server.base_url,
        region="us-east-1",
        addressing_style="path",
        access_key_id="A",
        secret_access_key="S",
    )
    assert answer["Body"].read() == DATA
    await_gone(server)


def test_a_refusal_without_a_client_lets_go_of_everything(serve: Serve, await_gone: Any) -> None:
    server = serve({})
    with pytest.raises(fastget.errors.NotFound):
        fastget.s3.get_object(
            Bucket="b", Key="k", endpoint_url=server.base_url, no_sign_request=True, region="eu-west-1"
        )
    await_gone(server)


# A way that breaks -----------------------------------------------------------------------------------------------


@pytest.mark.row(3, 7, 9, 24)
@pytest.mark.parametrize("fault", [faults.reset, faults.close_mid_body])
def test_a_body_that_breaks_off_is_read_on_from_where_it_stands(serve: Serve, get: Ask, fault: Any) -> None:
    stored = whole(version_id="v 1", headers={"x-amz-meta-a": "b"})
    server = serve({"/b/k": stored}, faults=[fault(after=BREAK).on(request=1)])
    answer = get(server, RequestPayer="requester", ResponseContentType="text/x", IfNoneMatch='"other"')
    assert answer["Body"].read() == DATA
    assert answer["Body"].verification.verified
    first, second = server.requests
    assert second.range is not None
    assert second.range.endswith(f"-{len(DATA) - 1}")
    assert second.headers.get("if-match") == stored.etag
    assert second.headers.get("if-none-match") is None
    assert second.headers.get("x-amz-request-payer") == "requester"
    assert "versionId=v%201" in second.target
    assert "response-content-type=text%2Fx" in second.target
    assert first.range is None


@pytest.mark.parametrize(
    ("keywords", "start", "stop"),
    [({"Range": "bytes=1000-250000"}, 1000, 250_001), ({"PartNumber": 3}, 100_000, 220_000)],
)
def test_a_range_and_a_part_are_read_on_as_well(
    serve: Serve, get: Ask, keywords: dict[str, Any], start: int, stop: int
) -> None:
    server = serve({"/b/k": in_parts()}, faults=[faults.close_mid_body(after=60_000).on(request=1)])
    body = get(server, **keywords)["Body"]
    assert body.read() == DATA[start:stop]
    assert body.verification.verified is ("PartNumber" in keywords)
    assert server.requests[1].range == f"bytes={start + 60_000}-{stop - 1}"


@pytest.mark.row(3, 7, 24)
@pytest.mark.parametrize("breaks", [1, 2])
@pytest.mark.parametrize("read", [lambda body: body.read(), b"".join], ids=["read", "chunks"])
def test_a_body_of_unknown_length_is_read_on_as_well(serve: Serve, get: Ask, read: Any, breaks: int) -> None:
    cuts = [faults.close_mid_body(after=60_000).on(ranged=None, request=number + 1) for number in range(breaks)]
    server = serve({"/b/k": whole()}, behaviour=Behaviour(send_length=False), faults=cuts)
    answer = get(server)
    assert "ContentLength" not in answer
    assert read(answer["Body"]) == DATA
    assert answer["Body"].verification.verified
    assert [request.range is not None for request in server.requests] == [False] + [True] * breaks
    assert {request.headers.get("if-match") for request in server.requests[1:]} == {whole().etag}


@pytest.mark.fault("N7")
@pytest.mark.parametrize("sends_length", [True, False])
def test_a_body_that_comes_a_byte_now_and_then_is_read_on(serve: Serve, get: Ask, *, sends_length: bool) -> None:
    dripping = faults.drip(after=BREAK, rate=20).on(request=1)
    server = serve({"/b/k": whole()}, behaviour=Behaviour(send_length=sends_length), faults=[dripping])
    assert get(server, stall_timeout=0.3)["Body"].read() == DATA
    assert [request.range is not None for request in server.requests] == [False, True]


@pytest.mark.parametrize("if_match", [True, False])
def test_a_body_of_unknown_length_is_not_read_on_with_another_version(
    serve: Serve, get: Ask, *, if_match: bool
) -> None:
    cut = faults.close_mid_body(after=BREAK).on(request=1)
    behaviour = Behaviour(send_length=False, if_match=if_match)
    server = serve({"/b/k": whole()}, behaviour=behaviour, faults=[cut])
    body = get(server)["Body"]
    server.put("/b/k", StoredObject(Content.generated(300_000, seed=6)))
    with pytest.raises(SourceChanged):
        body.read()


@pytest.mark.parametrize(
    ("etag", "keywords"), [('W/"weak"', {}), ('"strong"', {"PartNumber": 1})], ids=["weak", "maybe-a-part"]
)
def test_a_body_of_unknown_length_that_nothing_ties_ends_with_its_connection(
    serve: Serve, get: Ask, etag: str, keywords: dict[str, Any]
) -> None:
    cut = faults.close_mid_body(after=BREAK).on(ranged=None, request=1)
    stored = whole(etag=etag)
    server = serve({"/b/k": stored}, behaviour=Behaviour(send_length=False, part_numbers=False), faults=[cut])
    with pytest.raises(NetworkError):
        get(server, **keywords)["Body"].read()
    assert len(server.requests) == 1


@pytest.mark.fault("N3")
@pytest.mark.parametrize("cut", [0, 1, BREAK])
def test_a_body_that_only_ends_with_its_connection_is_held_to_the_length_of_head(
    serve: Serve, get: Ask, cut: int
) -> None:
    server = serve({"/b/k": whole(None, etag='"opaque"')}, faults=[faults.truncated_close(after=cut).on(request=1)])
    assert get(server)["Body"].read() == DATA
    assert [request.method for request in server.requests] == ["GET", "HEAD", "GET"]


@pytest.mark.fault("N3")
def test_a_head_that_fails_for_a_moment_is_asked_again_for_that_length(serve: Serve, get: Ask) -> None:
    cut, failing = faults.truncated_close(after=BREAK).on(request=1), faults.status(503).on(method="HEAD").times(1)
    server = serve({"/b/k": whole(None, etag='"opaque"')}, faults=[cut, failing])
    assert get(server)["Body"].read() == DATA
    assert [request.method for request in server.requests] == ["GET", "HEAD", "HEAD", "GET"]


@pytest.mark.fault("N3")
@pytest.mark.parametrize(
    ("etag", "of_head"),
    [('W/"weak"', None), ('"opaque"', faults.status(403)), ('"opaque"', faults.field("ETag", '"another"'))],
    ids=["weak", "refused", "another"],
)
def test_a_body_whose_length_nobody_tells_ends_with_its_connection(
    serve: Serve, get: Ask, etag: str, of_head: Any
) -> None:
    chosen = [faults.body_until_close().on(method="GET").always()]
    chosen += [of_head.on(method="HEAD").always()] if of_head is not None else []
    server = serve({"/b/k": whole(None, etag=etag)}, faults=chosen)
    assert get(server)["Body"].read() == DATA


@pytest.mark.fault("N3")
def test_a_body_that_stays_shorter_than_head_says_is_an_error(serve: Serve, get: Ask) -> None:
    cut = faults.truncated_close(after=BREAK).on(request=1)
    server = serve({"/b/k": whole(None, etag='"opaque"')}, behaviour=Behaviour(ranges=False), faults=[cut])
    with pytest.raises(NetworkError):
        get(server, retries=1)["Body"].read()


def test_a_body_whose_end_is_lost_is_not_taken_for_one_that_changed(serve: Serve, get: Ask) -> None:
    cut = faults.chunked_without_end().on(request=1)
    server = serve({"/b/k": whole()}, behaviour=Behaviour(send_length=False), faults=[cut])
    with pytest.raises(NetworkError, match="nothing behind its 300000 bytes"):
        get(server)["Body"].read()
    assert len(server.requests) == 2


@pytest.mark.fault("H13")
@pytest.mark.parametrize(
    "framing", [faults.chunked(), faults.body_until_close(), None], ids=["chunked", "close", "length"]
)
@pytest.mark.parametrize("size", [0, 300_000])
def test_a_body_whose_end_alone_is_lost_is_whole_where_the_store_says_so(
    serve: Serve, get: Ask, size: int, framing: Any
) -> None:
    stored = StoredObject(Content.generated(size, seed=5), checksum=Algorithm.CRC64NVME)
    chosen = [faults.chunked_without_end().on(request=1), *([] if framing is None else [framing.on(request=2)])]
    server = serve({"/b/k": stored}, behaviour=Behaviour(total_on_416=True), faults=chosen)
    body = get(server)["Body"]
    assert body.read() == DATA[:size]
    assert body.verification.verified
    assert [request.status for request in server.requests] == [200, 416]
    assert get(server)["Body"].read() == DATA[:size]


@pytest.mark.fault("H13", "H14")
@pytest.mark.parametrize(
    ("etag", "total", "field"),
    [('"strong"', 299_999, None), ('"strong"', 300_001, None), ('"strong"', 300_000, '"another"')],
    ids=["shorter", "longer", "another"],
)
def test_a_body_whose_end_is_lost_is_not_taken_for_whole_on_other_words(
    serve: Serve, get: Ask, etag: str, total: int, field: str | None
) -> None:
    refusal = [faults.unsatisfiable(total=total).on(request=2)]
    refusal += [faults.field("ETag", field).on(request=2)] if field is not None else []
    server = serve({"/b/k": whole(None, etag=etag)}, faults=[faults.chunked_without_end().on(request=1), *refusal])
    with pytest.raises(NetworkError):
        get(server, retries=0)["Body"].read()


def test_a_flipped_bit_behind_the_break_is_found(serve: Serve, get: Ask) -> None:
    chosen = [faults.close_mid_body(after=BREAK).on(request=1), faults.flip_bit(BREAK + 5).on(request=2)]
    server = serve({"/b/k": whole()}, faults=chosen)
    with pytest.raises(ChecksumMismatch):
        get(server)["Body"].read()


def test_an_object_that_was_replaced_meanwhile_ends_the_body(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": whole()}, faults=[faults.close_mid_body(after=BREAK).on(request=1)])
    body = get(server)["Body"]
    server.put("/b/k", StoredObject(Content.generated(300_000, seed=6)))
    with pytest.raises(SourceChanged):
        body.read()
    with pytest.raises(SourceChanged):
        body.read()


def test_an_object_that_was_deleted_meanwhile_ends_the_body(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": whole()}, faults=[faults.close_mid_body(after=BREAK).on(request=1)])
    body = get(server)["Body"]
    server.remove("/b/k")
    with pytest.raises(SourceChanged):
        body.read()


def test_retries_come_to_an_end(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": whole()}, faults=[faults.close_mid_body(after=100).always()])
    with pytest.raises(NetworkError):
        get(server, retries=2)["Body"].read()
    assert len(server.requests) == 3


def test_a_store_that_fails_in_between_is_asked_again(serve: Serve, get: Ask) -> None:
    chosen = [faults.close_mid_body(after=BREAK).on(request=1), faults.internal_error().on(request=2)]
    server = serve({"/b/k": whole()}, faults=chosen)
    body = get(server)["Body"]
    assert body.read() == DATA
    assert [request.status for request in server.requests] == [200, 500, 206]


def test_a_first_answer_that_fails_is_asked_for_again_and_counted(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": whole()}, faults=[faults.internal_error().on(request=1)])
    answer = get(server)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert answer["Body"].read() == DATA
    with pytest.raises(ServerError):
        get(serve({"/b/k": whole()}, faults=[faults.internal_error()]), retries=0)


def test_without_anything_that_ties_two_answers_the_break_is_the_end(serve: Serve, get: Ask) -> None:
    from fastget.testing import ETags

    server = serve(
        {"/b/k": whole(None)}, behaviour=Behaviour(etags=ETags.NONE), faults=[faults.close_mid_body(after=BREAK)]
    )
    with pytest.raises(NetworkError):
        get(server)["Body"].read()
    assert len(server.requests) == 1


def test_a_server_that_ignores_the_range_is_not_believed(serve: Serve, get: Ask) -> None:
    chosen = [faults.close_mid_body(after=BREAK).on(request=1), faults.range_ignored()]
    server = serve({"/b/k": whole()}, faults=chosen)
    body = get(server)["Body"]
    assert body.read() == DATA
    assert [request.status for request in server.requests] == [200, 200, 206]


@pytest.mark.row(9)
def test_who_may_not_read_by_version_is_served_by_the_etag(serve: Serve, get: Ask) -> None:
    chosen = [faults.close_mid_body(after=BREAK).on(request=1), faults.access_denied().on(request=2)]
    server = serve({"/b/k": whole(version_id="v1")}, faults=chosen)
    assert get(server)["Body"].read() == DATA
    assert ["versionId" in request.target for request in server.requests] == [False, True, False]


@pytest.mark.row(3, 31)
@pytest.mark.parametrize(("name", "form"), [("aws", '"{}"'), ("spaces", "{}"), ("seaweedfs-3.97", None)])
def test_a_store_that_refuses_its_own_etag_is_read_on_from_as_well(
    serve: Serve, get: Ask, name: str, form: str | None
) -> None:
    stored = QUIRKS[name].dress(whole())
    accepted = None if form is None else form.format(stored.etag.strip('"'))
    breaking = faults.close_mid_body(after=BREAK).on(ranged=False).always()
    # What a store takes is remembered by its name: a bucket of its own for each.
    server = serve({f"/{name}/k": stored}, behaviour=QUIRKS[name].behaviour, faults=[breaking])
    for _ in range(2):
        assert get(server, Bucket=name)["Body"].read() == DATA
    served = [request.headers.get("If-Match") for request in server.requests if request.status == 206]
    assert served == [accepted] * 2
    refused = [request for request in server.requests if request.status == 412]
    assert len(refused) == {"aws": 0, "spaces": 1, "seaweedfs-3.97": 2}[name]


@pytest.mark.parametrize("name", ["aws", "spaces", "seaweedfs-3.97"])
def test_an_object_that_was_replaced_ends_the_body_whatever_the_store_takes(serve: Serve, get: Ask, name: str) -> None:
    other = QUIRKS[name].dress(StoredObject(Content.generated(CONTENT.size, seed=9)))
    chosen = [faults.close_mid_body(after=BREAK).on(request=1), faults.replaced(other).on(request=2).always()]
    bucket = f"{name}-replaced"
    stored = QUIRKS[name].dress(whole())
    server = serve({f"/{bucket}/k": stored}, behaviour=QUIRKS[name].behaviour, faults=chosen)
    with pytest.raises(SourceChanged):
        get(server, Bucket=bucket)["Body"].read()


def test_a_weak_etag_does_not_teach_what_a_store_takes(serve: Serve, get: Ask) -> None:
    spaces, breaking = QUIRKS["spaces"], faults.close_mid_body(after=BREAK).on(ranged=False).always()
    weak, strong = whole(etag='W/"weak"', version_id="v1"), whole()
    objects = {"/weak/w": spaces.dress(weak), "/weak/k": spaces.dress(strong)}
    server = serve(objects, behaviour=spaces.behaviour, faults=[breaking])
    for key in "wk":
        assert get(server, Bucket="weak", Key=key)["Body"].read() == DATA


def test_a_body_may_be_closed_in_the_middle_of_a_read_of_the_same_thread(
    serve: Serve, get: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a signal handler has it: the read ends with Cancelled."""
    body = get(serve({"/b/k": whole()}))["Body"]
    receive = ObjectBody._receive

    def interrupted(reader: ObjectBody, buffer: memoryview) -> int:
        body.close()
        return receive(reader, buffer)

    monkeypatch.setattr(ObjectBody, "_receive", interrupted)
    with pytest.raises(Cancelled):
        body.read()
    body.close()
    assert body.closed
    assert not body.verification.verified
