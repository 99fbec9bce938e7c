"""Answers that are not what was asked for: each fault does what its name says, and nothing else."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.messages import Headers
from fastget.core.ranges import ContentRange, Span
from fastget.testing import Algorithm, Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer, Segment
from fastget.testing.received import ReceivedRequest

DATA = Content.generated(5000, seed=1).read()
STORED = StoredObject(Content.of(DATA), part_sizes=(2000, 3000), checksum=Algorithm.CRC32C)
REQUEST = ReceivedRequest("GET", "/b/k", "/b/k", (), Headers(), 1)


def serving(*chosen: Fault) -> ObjectServer:
    return ObjectServer({"/b/k": STORED}, faults=chosen)


def ranged(ask: Any, fault: Fault) -> Any:
    """The answer to a range of the bytes 100 to 199 under this fault, which then is over."""
    with serving(fault) as server:
        answer = ask(server, Range="bytes=100-199")
        assert server.faults_happened == (fault.name,)
        assert server.requests[0].faults == (fault.name,)
        assert ask(server, Range="bytes=100-199").body == DATA[100:200]
    return answer


def differing(first: bytes, second: bytes) -> list[tuple[int, int]]:
    """Index and changed bits of every byte that differs."""
    assert len(first) == len(second)
    return [(index, one ^ two) for index, (one, two) in enumerate(zip(first, second, strict=True)) if one != two]


def test_one_bit_is_flipped_the_first_time_its_byte_is_sent(ask: Any) -> None:
    with serving(faults.flip_bit(offset=2500, bit=3)) as server:
        assert ask(server, Range="bytes=0-999").body == DATA[:1000]
        assert ask(server, method="HEAD").status == 200
        assert not server.requests[-1].faults
        assert differing(ask(server, "/b/k?partNumber=2").body, DATA[2000:]) == [(500, 8)]
        assert server.faults_happened == ("flip-bit",)
        assert ask(server).body == DATA


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=2500-2500"}, {"Range": "bytes=-2501"}])
def test_a_bit_is_flipped_by_whatever_request_reaches_it(ask: Any, headers: dict[str, str]) -> None:
    with serving(faults.flip_bit(offset=2500)) as server:
        damaged, right = ask(server, **headers).body, ask(server, **headers).body
    assert [bits for _, bits in differing(damaged, right)] == [1]


def test_a_stream_that_stops_before_the_byte_leaves_the_flip_for_the_next(ask: Any) -> None:
    with serving(faults.flip_bit(offset=2500), faults.close_mid_body(after=2500)) as server:
        assert ask(server).body == DATA[:2500]
        assert differing(ask(server).body, DATA) == [(2500, 1)]


def test_a_bit_of_one_body_is_flipped(ask: Any) -> None:
    assert differing(ranged(ask, faults.flip_bit_of_body(7, bit=7)).body, DATA[100:200]) == [(7, 128)]


@pytest.mark.parametrize("fault", [faults.range_ignored(), faults.part_number_ignored()], ids=lambda it: it.name)
def test_the_whole_object_comes_instead_of_a_part(ask: Any, fault: Fault) -> None:
    with serving(fault) as server:
        answer = ask(server, "/b/k?partNumber=1")
    assert (answer.status, answer.body, answer.headers.get("Content-Range")) == (200, DATA, None)


def test_the_whole_object_comes_instead_of_a_range(ask: Any) -> None:
    answer = ranged(ask, faults.range_ignored())
    assert (answer.status, answer.body, answer.headers.get("Content-Range")) == (200, DATA, None)


def test_a_range_comes_under_status_200(ask: Any) -> None:
    answer = ranged(ask, faults.partial_as_200())
    assert (answer.status, answer.body) == (200, DATA[100:200])
    assert answer.headers.get("Content-Range") == "bytes 100-199/5000"


def test_an_if_match_that_fails_is_passed_over(ask: Any) -> None:
    with serving(faults.if_match_ignored()) as server:
        assert ask(server, If_Match='"other"').status == 200
        assert ask(server, If_Match='"other"').status == 412


def test_a_range_carries_the_checksum_of_the_whole(ask: Any) -> None:
    with serving(faults.object_checksum_on_range()) as server:
        answer = ask(server, Range="bytes=0-9", x_amz_checksum_mode="ENABLED")
    assert answer.headers.get("x-amz-checksum-crc32c") == STORED.checksum_fields()[0][1]


def test_another_range_comes_honestly_labelled(ask: Any) -> None:
    answer = ranged(ask, faults.range_shifted(by=5))
    assert answer.headers.get("Content-Range") == "bytes 105-204/5000"
    assert answer.body == DATA[105:205]


def test_other_bytes_come_under_the_right_label(ask: Any) -> None:
    answer = ranged(ask, faults.body_shifted(by=5))
    assert answer.headers.get("Content-Range") == "bytes 100-199/5000"
    assert answer.body == DATA[105:205]


def test_a_whole_body_is_turned_round(ask: Any) -> None:
    with serving(faults.body_shifted(by=5)) as server:
        assert ask(server).body == DATA[5:] + DATA[:5]


def test_a_range_is_short_and_says_so(ask: Any) -> None:
    answer = ranged(ask, faults.short(by=10))
    assert answer.headers.get("Content-Range") == "bytes 100-189/5000"
    assert answer.body == DATA[100:190]


def test_of_a_range_that_is_shorter_than_what_is_left_out_one_byte_comes(ask: Any) -> None:
    answer = ranged(ask, faults.short(by=10**6))
    assert len(answer.body) == 1


def test_a_body_is_short_of_its_content_range(ask: Any) -> None:
    answer = ranged(ask, faults.short_of_content_range(by=10))
    assert answer.headers.get("Content-Range") == "bytes 100-199/5000"
    assert (answer.headers.get("Content-Length"), answer.body) == ("90", DATA[100:190])


def test_a_body_is_longer_than_its_content_range(ask: Any) -> None:
    answer = ranged(ask, faults.body_longer(by=10))
    assert answer.headers.get("Content-Range") == "bytes 100-199/5000"
    assert (answer.headers.get("Content-Length"), answer.body) == ("110", DATA[100:200] + b"\xee" * 10)


def test_a_body_ends_with_the_connection_and_too_early(ask: Any) -> None:
    answer = ranged(ask, faults.body_until_close(cut=10))
    assert (answer.headers.get("Content-Length"), answer.body) == (None, DATA[100:190])


def test_zeros_come_instead_of_the_content(ask: Any) -> None:
    assert ranged(ask, faults.zeroed()).body == bytes(100)


def test_a_206_lacks_its_content_range(ask: Any) -> None:
    answer = ranged(ask, faults.no_content_range())
    assert (answer.status, answer.headers.get("Content-Range"), answer.body) == (206, None, DATA[100:200])


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        (faults.content_range("bytes {last}-{first}/{total}"), "bytes 199-100/5000"),
        (faults.content_range("octets {first}-{last}/{total}"), "octets 100-199/5000"),
        (
            faults.content_range("bytes -{first}-{last}/18446744073709551616"),
            "bytes -100-199/18446744073709551616",
        ),
        (faults.other_total(by=1), "bytes 100-199/5001"),
        (faults.unknown_total(), "bytes 100-199/*"),
    ],
)
def test_a_content_range_is_not_the_true_one(ask: Any, fault: Fault, value: str) -> None:
    answer = ranged(ask, fault)
    assert answer.headers.get_all("Content-Range") == (value,)
    assert answer.body == DATA[100:200]


def test_two_content_ranges_contradict_each_other(ask: Any) -> None:
    values = ranged(ask, faults.many_content_ranges()).headers.get_all("Content-Range")
    assert len({ContentRange.parse(value) for value in values}) == 2


def test_a_range_is_wrapped_in_byteranges(ask: Any) -> None:
    answer = ranged(ask, faults.multipart_byteranges())
    assert answer.headers.get("Content-Type").startswith("multipart/byteranges; boundary=")
    assert answer.headers.get("Content-Range") is None
    assert b"Content-Range: bytes 100-199/5000\r\n\r\n" + DATA[100:200] + b"\r\n--" in answer.body


def test_a_body_is_packed_unasked(ask: Any) -> None:
    answer = ranged(ask, faults.gzip_encoded())
    assert answer.headers.get("Content-Encoding") == "gzip"
    assert answer.headers.get("Content-Range") == "bytes 100-199/5000"
    assert gzip.decompress(answer.body) == DATA[100:200]


def test_an_error_document_comes_as_the_body_of_a_range(ask: Any) -> None:
    answer = ranged(ask, faults.error_document_as_body())
    assert (answer.status, answer.headers.get("Content-Range")) == (206, "bytes 100-199/5000")
    assert answer.body.startswith(b"<?xml")


def test_an_answer_has_another_etag(ask: Any) -> None:
    answer = ranged(ask, faults.other_etag('"new"'))
    assert (answer.headers.get_all("ETag"), answer.body) == (('"new"',), DATA[100:200])


def test_an_answer_has_another_checksum_or_none(ask: Any) -> None:
    wrong = faults.other_checksum("x-amz-checksum-crc32c", "AAAAAA==")
    missing = faults.other_checksum("x-amz-checksum-crc32c", None).on(request=2)
    with serving(wrong, missing) as server:
        values = [ask(server, x_amz_checksum_mode="ENABLED").headers.get("x-amz-checksum-crc32c") for _ in range(3)]
    assert values == ["AAAAAA==", None, STORED.checksum_fields()[0][1]]


@given(st.integers(1, 60), st.integers(-70, 70), st.data())
def test_a_shifted_range_stays_in_the_object_and_is_another_one(size: int, by: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size - 1))
    span = Span(start, data.draw(st.integers(start + 1, size)))
    content = Content.generated(size)
    plain = Answer(206, (), (Segment(content, span, is_object=True),), span, size)
    edit = faults.range_shifted(by=by).edit
    assert edit is not None
    moved = edit(REQUEST, plain)
    assert moved.span is not None
    assert moved.segments[0].span == moved.span
    assert moved.length == span.length
    assert 0 <= moved.span.start <= moved.span.stop <= size
    assert ContentRange.parse(moved.get("Content-Range") or "") == ContentRange(moved.span, size)
