"""The acceptance predicate, row by row of faults.md §1 and §2, and against headers that nobody thought of."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.core.objectinfo import Pin
from fastget.core.ranges import Span
from fastget.core.validators import SUCCESS, Accepted, Doubt, Expectation, Refused, judge, judge_identity, looser_pin

if TYPE_CHECKING:
    from tests.core.conftest import Answer

ETAG, MODIFIED = '"e"', "Tue, 01 Jan 2030 00:00:00 GMT"
LATER = "Wed, 02 Jan 2030 00:00:00 GMT"
PIN = Pin(ETAG, None, MODIFIED, 1000)
ASKED = Expectation(Span(100, 200), PIN)
RIGHT = {"Content-Range": "bytes 100-199/1000", "ETag": ETAG}
CHANGED, IGNORED, LAYOUT, UNPROVEN = Doubt.CHANGED, Doubt.RANGE_IGNORED, Doubt.LAYOUT, Doubt.UNPROVEN


def verdict(judged: Accepted | Refused) -> Doubt | Span:
    return judged.doubt if isinstance(judged, Refused) else judged.span


@pytest.mark.fault("H1", "H2", "H3", "H5", "H6", "H7", "H8", "H9", "H10", "H11", "H12", "H16", "H17", "C4")
@pytest.mark.parametrize(
    ("status", "changed", "length", "expected"),
    [
        pytest.param(206, {}, 100, Span(100, 200), id="an honest answer"),
        pytest.param(206, {}, None, Span(100, 200), id="H19: chunked, its length counted later"),
        pytest.param(206, {"ETag": None}, 100, UNPROVEN, id="5: no ETag where there was a strong one"),
        pytest.param(206, {"Content-Range": "bytes 100-149/1000"}, 50, Span(100, 150), id="H5: shorter, and says so"),
        pytest.param(206, {"Content-Range": "bytes 100-100/1000"}, 1, Span(100, 101), id="H5: one byte"),
        pytest.param(206, {"Content-Range": "bytes 100-199/*"}, 100, Span(100, 200), id="H10: the total is pinned"),
        pytest.param(206, {"Content-Encoding": "identity"}, 100, Span(100, 200), id="3: identity is no coding"),
        pytest.param(206, {"Content-Encoding": ""}, 100, Span(100, 200), id="3: neither is an empty field"),
        pytest.param(206, {"Last-Modified": LATER}, 100, Span(100, 200), id="a replica with another date, same ETag"),
        pytest.param(206, {"x-amz-version-id": "v"}, 100, Span(100, 200), id="6: no version is pinned"),
        pytest.param(206, {"x-amz-checksum-crc32": "AAAAAA=="}, 100, Span(100, 200), id="7: a checksum decides later"),
        pytest.param(200, {"Content-Range": None}, 1000, IGNORED, id="H1: the whole object"),
        pytest.param(200, {"Content-Range": None}, 100, IGNORED, id="H1: 200, and the length of the range"),
        pytest.param(200, {"Content-Range": None, "ETag": None}, 300, IGNORED, id="H42: an error document"),
        pytest.param(200, {}, 100, UNPROVEN, id="H2: 200 with the range, where that is no habit of the store"),
        pytest.param(206, {"Content-Range": "bytes 0-99/1000"}, 100, UNPROVEN, id="H3: another start, and says so"),
        pytest.param(206, {"Content-Range": "bytes 101-199/1000"}, 99, UNPROVEN, id="H3: a later start"),
        pytest.param(206, {"Content-Range": "bytes 99-199/1000"}, 101, UNPROVEN, id="H3: an earlier start"),
        pytest.param(206, {}, 100, Span(100, 200), id="H4: shifted bytes, which only a checksum can tell"),
        pytest.param(206, {}, 99, UNPROVEN, id="H6: the length falls short of the range"),
        pytest.param(206, {}, 101, UNPROVEN, id="H6: the length goes past the range"),
        pytest.param(206, {}, 0, UNPROVEN, id="H6: no body at all"),
        pytest.param(206, {"Content-Range": "bytes 100-200/1000"}, 101, UNPROVEN, id="H7: a byte too many"),
        pytest.param(206, {"Content-Range": "bytes 100-999/1000"}, 900, UNPROVEN, id="H7: all the rest"),
        pytest.param(206, {"Content-Range": None}, 100, UNPROVEN, id="H8: no Content-Range"),
        pytest.param(206, {"Content-Range": "bytes 100-199/1001"}, 100, UNPROVEN, id="H9: another total, same ETag"),
        pytest.param(206, {"Content-Range": "bytes 100-199/200"}, 100, UNPROVEN, id="H9: a smaller total, same ETag"),
        pytest.param(206, {"Content-Range": "bytes 100-199/1001", "ETag": None}, 100, UNPROVEN, id="H9: and no ETag"),
        pytest.param(
            206,
            {"Content-Range": None, "Content-Type": "multipart/byteranges; boundary=x"},
            100,
            UNPROVEN,
            id="H11: multipart",
        ),
        pytest.param(206, {"Content-Type": "Multipart/ByteRanges"}, 100, UNPROVEN, id="H11: with a range as well"),
        pytest.param(206, {"Content-Range": "bytes 199-100/1000"}, 100, UNPROVEN, id="H12: last before first"),
        pytest.param(206, {"Content-Range": "bytes 100-1000/1000"}, 901, UNPROVEN, id="H12: last past the total"),
        pytest.param(206, {"Content-Range": "bytes -1-199/1000"}, 100, UNPROVEN, id="H12: negative"),
        pytest.param(206, {"Content-Range": "bytes 100-199"}, 100, UNPROVEN, id="H12: no total"),
        pytest.param(206, {"Content-Range": "items 100-199/1000"}, 100, UNPROVEN, id="H12: another unit"),
        pytest.param(206, {"Content-Range": f"bytes 100-199/{2**64}"}, 100, UNPROVEN, id="H12: 2 to the 64"),
        pytest.param(206, {"Content-Range": "bytes 100-199/1000, bytes 0-1/2"}, 100, UNPROVEN, id="H12: two in one"),
        pytest.param(206, {"Content-Range": "bytes */1000"}, 100, UNPROVEN, id="H12: no span"),
        pytest.param(416, {"Content-Range": "bytes */1000"}, 0, UNPROVEN, id="H13: 416 is for the source to explain"),
        pytest.param(416, {"Content-Range": "bytes */50"}, 0, UNPROVEN, id="H14: and so is this one"),
        pytest.param(206, {"Content-Encoding": "gzip"}, 100, UNPROVEN, id="H17: coded on the fly"),
        pytest.param(206, {"Content-Encoding": "identity, br"}, 100, UNPROVEN, id="H17: among others"),
        pytest.param(206, {"ETag": '"other"'}, 100, CHANGED, id="C4: another ETag, If-Match ignored"),
        pytest.param(206, {"ETag": "e"}, 100, CHANGED, id="5: byte-equal, quotes included"),
        pytest.param(206, {"ETag": 'W/"e"'}, 100, CHANGED, id="5: weakened on the way"),
        pytest.param(206, {"ETag": '"other"', "Content-Encoding": "gzip"}, 100, CHANGED, id="a change comes first"),
        pytest.param(200, {"ETag": '"other"', "Content-Range": None}, 500, CHANGED, id="C4: 200 with a new object"),
        pytest.param(500, {}, 100, UNPROVEN, id="1: an error with a right Content-Range"),
        pytest.param(203, {}, 100, UNPROVEN, id="1: transformed on the way"),
        pytest.param(412, {"Content-Range": None}, 0, UNPROVEN, id="C3: 412 is for the source to explain"),
        pytest.param(304, {"Content-Range": None}, None, UNPROVEN, id="H16: 304"),
    ],
)
def test_the_verdict_on_an_answer_to_a_range(
    answer: Answer, status: int, changed: dict[str, str | None], length: int | None, expected: Doubt | Span
) -> None:
    fields = [(name, value) for name, value in (RIGHT | changed).items() if value is not None]
    head = answer(status, *fields, length=length)
    assert verdict(judge(head, ASKED)) == expected


@pytest.mark.fault("H9")
@pytest.mark.parametrize(
    ("pin", "expected"),
    [
        pytest.param(replace(PIN, etag=None, last_modified=None), CHANGED, id="no ETag"),
        pytest.param(replace(PIN, etag='W/"e"'), CHANGED, id="a weak ETag"),
        pytest.param(replace(PIN, etag=None, version_id="null"), CHANGED, id="the version that names a place"),
        pytest.param(replace(PIN, etag=None, version_id="v1"), UNPROVEN, id="a version of its own"),
    ],
)
def test_another_total_is_another_object_unless_the_answer_was_pinned_to_one_version(
    answer: Answer, pin: Pin, expected: Doubt
) -> None:
    fields = {"Content-Range": "bytes 100-199/1001", "ETag": pin.etag, "x-amz-version-id": pin.version_id}
    head = answer(206, *((name, value) for name, value in fields.items() if value is not None), length=100)
    assert verdict(judge(head, replace(ASKED, pin=pin))) == expected


def test_an_answer_that_names_no_version_serves_where_a_digest_or_the_version_id_tells(answer: Answer) -> None:
    silent = [(name, value) for name, value in RIGHT.items() if name.lower() != "etag"]
    assert judge(answer(206, *silent, length=100), replace(ASKED, content_is_checked=True)) == Accepted(Span(100, 200))
    versioned = replace(ASKED, pin=replace(PIN, version_id="v1"))
    head = answer(206, *silent, ("x-amz-version-id", "v1"), length=100)
    assert judge(head, versioned) == Accepted(Span(100, 200))


@pytest.mark.fault("H19")
@pytest.mark.parametrize("framing", [Framing.CHUNKED, Framing.CLOSE])
def test_a_body_without_a_length_is_accepted_and_counted_by_its_reader(answer: Answer, framing: Framing) -> None:
    head = answer(206, *RIGHT.items(), framing=framing)
    assert judge(head, ASKED) == Accepted(Span(100, 200))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Content-Range", "bytes 100-199/1000", UNPROVEN),
        ("Content-Range", "bytes 0-99/1000", UNPROVEN),
        ("Content-Type", "multipart/byteranges", UNPROVEN),
        ("Content-Encoding", "gzip", UNPROVEN),
        ("ETag", '"other"', CHANGED),
        ("ETag", ETAG, Span(100, 200)),
    ],
)
def test_a_second_line_of_a_field_counts_as_well(answer: Answer, name: str, value: str, expected: Doubt | Span) -> None:
    first = [("Content-Type", "binary/octet-stream"), ("Content-Encoding", "identity"), *RIGHT.items()]
    assert verdict(judge(answer(206, *first, (name, value), length=100), ASKED)) == expected


@pytest.mark.fault("H2")
def test_status_200_with_a_right_content_range_is_accepted_of_a_store_that_is_known_for_it(answer: Answer) -> None:
    lenient = replace(ASKED, full_status_ranges=True)
    assert judge(answer(200, *RIGHT.items(), length=100), lenient) == Accepted(Span(100, 200))
    assert verdict(judge(answer(200, ("ETag", ETAG), length=1000), lenient)) is IGNORED
    other = RIGHT | {"Content-Range": "bytes 0-99/1000"}
    assert verdict(judge(answer(200, *other.items(), length=100), lenient)) is UNPROVEN


@pytest.mark.fault("H18")
def test_a_stored_coding_is_kept_and_must_stay_the_same(answer: Answer) -> None:
    """H18: the bytes, their offsets and their digests are those of the stored coding."""
    asked = Expectation(Span(100, 200), replace(PIN, content_encoding="GZIP"))

    def coded(*codings: str) -> Doubt | Span:
        fields = [*RIGHT.items(), *(("Content-Encoding", coding) for coding in codings)]
        return verdict(judge(answer(206, *fields, length=100), asked))

    assert coded("gzip") == Span(100, 200)
    assert coded("identity, gzip") == Span(100, 200)
    assert coded() is UNPROVEN
    assert coded("br") is UNPROVEN
    assert coded("gzip", "br") is UNPROVEN


def test_a_pinned_version_must_not_change(answer: Answer) -> None:
    asked = Expectation(Span(100, 200), replace(PIN, version_id="v1"))
    right = [*RIGHT.items()]
    assert judge(answer(206, *right, ("x-amz-version-id", "v1"), length=100), asked) == Accepted(Span(100, 200))
    assert judge(answer(206, *right, length=100), asked) == Accepted(Span(100, 200))
    assert verdict(judge(answer(206, *right, ("x-amz-version-id", "v2"), length=100), asked)) is CHANGED


@pytest.mark.parametrize("etag", [None, 'W/"e"'])
def test_without_a_strong_etag_the_date_tells_of_a_change(answer: Answer, etag: str | None) -> None:
    asked = Expectation(Span(100, 200), replace(PIN, etag=etag))
    fields = [("Content-Range", "bytes 100-199/1000"), *([("ETag", etag)] if etag else [])]
    assert verdict(judge(answer(206, *fields, ("Last-Modified", MODIFIED), length=100), asked)) == Span(100, 200)
    assert verdict(judge(answer(206, *fields, length=100), asked)) == Span(100, 200)
    assert verdict(judge(answer(206, *fields, ("Last-Modified", LATER), length=100), asked)) is CHANGED


def test_a_weak_etag_that_differs_is_a_change_all_the_same(answer: Answer) -> None:
    asked = Expectation(Span(100, 200), replace(PIN, etag='W/"e"'))
    fields = RIGHT | {"ETag": 'W/"f"'}
    assert verdict(judge(answer(206, *fields.items(), length=100), asked)) is CHANGED


def test_identity_is_judged_of_any_answer_alike(answer: Answer) -> None:
    refused = judge_identity(answer(404, ("ETag", '"f"')), PIN)
    assert refused == Refused(CHANGED, 'the ETag was "e" and is now "f"')
    assert judge_identity(answer(503), PIN) is None
    assert judge_identity(answer(200, ("ETag", '"f"')), Pin(None, None, None, None)) is None


def test_without_any_known_total_a_range_cannot_be_placed(answer: Answer) -> None:
    asked = Expectation(Span(100, 200), replace(PIN, size=None))
    head = answer(206, *(RIGHT | {"Content-Range": "bytes 100-199/*"}).items(), length=100)
    assert verdict(judge(head, asked)) is UNPROVEN


@pytest.mark.fault("H47", "H50", "H51")
@pytest.mark.parametrize(
    ("status", "content_range", "length", "expected"),
    [
        pytest.param(206, "bytes 100-199/1000", 100, Span(100, 200), id="where it is expected"),
        pytest.param(206, "bytes 100-149/1000", 50, LAYOUT, id="a shorter part"),
        pytest.param(206, "bytes 100-249/1000", 150, LAYOUT, id="a longer part"),
        pytest.param(206, "bytes 150-249/1000", 100, LAYOUT, id="somewhere else"),
        pytest.param(206, "bytes 100-199/999", 100, UNPROVEN, id="of an object of another size"),
        pytest.param(206, None, 100, UNPROVEN, id="Ceph: no Content-Range"),
        pytest.param(206, "bytes 0--1/0", 0, UNPROVEN, id="H51: of an empty object"),
        pytest.param(200, None, 1000, IGNORED, id="H47: the part number is ignored"),
        pytest.param(200, None, 100, IGNORED, id="200 with the length of the part"),
        pytest.param(206, "bytes 100-199/1000", 99, UNPROVEN, id="a length that contradicts it"),
    ],
)
def test_the_verdict_on_an_answer_to_a_part_number(
    answer: Answer, status: int, content_range: str | None, length: int, expected: Doubt | Span
) -> None:
    asked = replace(ASKED, part_number=2)
    fields = [("ETag", ETAG), *([("Content-Range", content_range)] if content_range else [])]
    assert verdict(judge(answer(status, *fields, length=length), asked)) == expected


def test_the_plain_object_is_a_right_answer_to_its_only_part(answer: Answer) -> None:
    asked = Expectation(Span(0, 1000), PIN, part_number=1)
    assert judge(answer(200, ("ETag", ETAG), length=1000), asked) == Accepted(Span(0, 1000))
    assert verdict(judge(answer(200, ("ETag", ETAG), length=999), asked)) is IGNORED
    assert verdict(judge(answer(200, ("ETag", ETAG)), asked)) is IGNORED
    assert verdict(judge(answer(200, ("ETag", '"f"'), length=1000), asked)) is CHANGED


small = st.integers(-1, 12)
header_values = st.one_of(
    st.text(max_size=30),
    st.builds(lambda a, b, total: f"bytes {a}-{b}/{total}", small, small, small | st.just("*")),
    st.from_regex(r"(bytes|Bytes|items)[ =]?[0-9*]{0,2}-?[0-9]{0,2}/?[0-9*]{0,2}", fullmatch=True),
)


@given(
    values=st.lists(header_values, max_size=2),
    status=st.sampled_from([*SUCCESS, 203, 416, 500]),
    start=st.integers(0, 5),
    length=st.integers(1, 6),
    declared=st.none() | st.integers(0, 12),
    part_number=st.none() | st.just(1),
    lenient=st.booleans(),
)
def test_no_content_range_makes_a_body_land_anywhere_but_where_it_was_asked_for(
    values: list[str],
    status: int,
    start: int,
    length: int,
    declared: int | None,
    part_number: int | None,
    lenient: bool,
) -> None:
    asked = Expectation(Span(start, start + length), replace(PIN, size=12), part_number, lenient)
    framing = Framing.CHUNKED if declared is None else Framing.LENGTH
    head = ResponseHead(status, Headers([("Content-Range", value) for value in values]), framing, declared)
    judged = judge(head, asked)
    if isinstance(judged, Refused):
        return
    assert judged.span.start == asked.span.start
    assert judged.span.length > 0
    assert judged.span.stop <= asked.span.stop
    assert declared in (None, judged.span.length)
    assert status == 206 or (status == 200 and lenient)
    assert len(values) == 1
    assert "bytes" in values[0].lower()
    said = [int(number) for number in re.findall("[0-9]+", values[0])]
    assert said in ([judged.span.start, judged.span.stop - 1], [judged.span.start, judged.span.stop - 1, 12])
    assert part_number is None or judged.span == asked.span


VERSIONED = Pin(ETAG, "v", MODIFIED, 1000)


@pytest.mark.row(9)
def test_a_version_that_is_denied_is_dropped_where_the_etag_still_pins() -> None:
    assert looser_pin(VERSIONED, 403, may_refuse_its_etag=False) == PIN
    assert looser_pin(PIN, 403, may_refuse_its_etag=True) is None
    for etag in (None, 'W/"e"'):
        assert looser_pin(replace(VERSIONED, etag=etag), 403, may_refuse_its_etag=True) is None


@pytest.mark.row(3, 82)
def test_an_etag_that_is_refused_takes_other_forms_and_is_left_out_in_the_end() -> None:
    sent, pin = [], PIN
    while (looser := looser_pin(pin, 412, may_refuse_its_etag=True)) is not None:
        pin = looser
        sent.append(pin.if_match)
    assert sent == ["e", None]
    assert looser_pin(PIN, 412, may_refuse_its_etag=False) is None


@pytest.mark.parametrize("status", [400, 404, 416, 500, 503])
def test_no_other_refusal_is_about_the_pin(status: int) -> None:
    assert looser_pin(VERSIONED, status, may_refuse_its_etag=True) is None
