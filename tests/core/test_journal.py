"""What a journal says, and how much of a damaged or hostile one is believed."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from fastget.core import journal
from fastget.core.journal import (
    LARGEST_BLOCK,
    MAXIMUM_BLOCKS,
    MAXIMUM_JOURNAL,
    PREAMBLE,
    SMALLEST_BLOCK,
    Claim,
    Header,
    Identity,
    Owner,
    block_size_for,
    encode_claim,
    encode_farewell,
    encode_header,
    encode_withdrawal,
    read_journal,
)
from fastget.core.objectinfo import ObjectInfo
from fastget.core.ranges import MAXIMUM_SIZE, Span

TOKEN = "0123456789ab"
SIZE = 10_000
OWNER = Owner(TOKEN, "host", "boot", "4026531836", 42, 123456)
IDENTITY = Identity("https://host/key", "", SIZE, '"etag"', "v1", "Sat, 21 Nov 2026 09:00:00 GMT", ("x:crc32:00:",))
HEADER = Header(OWNER, IDENTITY, "ba9876543210")
START = encode_header(HEADER)

spans = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(lambda pair: Span(*sorted(pair)))
claims = st.builds(Claim, spans.filter(lambda span: span.length > 0), st.binary(min_size=8, max_size=8))


def _claim(start: int, stop: int, digest: bytes = b"8 bytes.") -> bytes:
    return encode_claim(TOKEN, Claim(Span(start, stop), digest))


def _spans(data: bytes) -> list[tuple[int, int]]:
    found = read_journal(data)
    assert found is not None
    return [(claim.span.start, claim.span.stop) for claim in found.claims]


def test_what_was_written_is_read() -> None:
    found = read_journal(START + _claim(0, 10) + _claim(20, 30, b"another.") + encode_farewell(TOKEN))
    assert found is not None
    assert found.header == HEADER
    assert found.claims == (Claim(Span(0, 10), b"8 bytes."), Claim(Span(20, 30), b"another."))
    assert found.is_released


def test_an_owner_that_goes_on_after_a_farewell_has_not_left() -> None:
    found = read_journal(START + encode_farewell(TOKEN) + _claim(0, 10))
    assert found is not None
    assert not found.is_released


@given(st.lists(st.one_of(claims, spans), max_size=40))
@example([Claim(Span(0, 2), b"8 bytes."), Span(1, 1)])
def test_claims_lie_apart_and_the_last_word_on_each_byte_counts(records: list[Claim | Span]) -> None:
    data = START
    holds: dict[int, Claim | None] = {}
    for record in records:
        span = record.span if isinstance(record, Claim) else record
        touched = {claim for at in range(span.start, span.stop) if (claim := holds.get(at)) is not None}
        for ended in touched:
            holds.update(dict.fromkeys(range(ended.span.start, ended.span.stop)))
        if isinstance(record, Claim):
            data += encode_claim(TOKEN, record)
            holds.update(dict.fromkeys(range(span.start, span.stop), record))
        else:
            data += encode_withdrawal(TOKEN, record)
    found = read_journal(data)
    assert found is not None
    expected = sorted({claim for claim in holds.values() if claim is not None}, key=lambda claim: claim.span)
    assert list(found.claims) == expected


@pytest.mark.fault("X21")
@given(st.integers(0, len(START) + 200), st.data())
def test_a_torn_journal_says_what_was_whole_and_a_torn_header_nothing(cut: int, data: st.DataObject) -> None:
    records = [_claim(at, at + 10) for at in range(0, 50, 10)]
    torn = (START + b"".join(records))[:cut]
    rest = data.draw(st.sampled_from([b"", bytes(4096), b"\xff" * 100]))
    found = read_journal(torn + rest)
    if cut < len(START):
        assert found is None
    else:
        assert found is not None
        assert len(found.claims) == min((cut - len(START)) // len(records[0]), len(records))


@pytest.mark.fault("X21")
@given(st.integers(0, len(START) + 3 * len(_claim(0, 1)) - 1), st.integers(0, 7))
def test_a_flipped_bit_ends_what_is_read(at: int, bit: int) -> None:
    data = bytearray(START + _claim(0, 10) + _claim(10, 20) + _claim(20, 30))
    data[at] ^= 1 << bit
    found = read_journal(bytes(data))
    if at < len(START):
        assert found is None
    else:
        assert found is not None
        assert len(found.claims) == (at - len(START)) // len(_claim(0, 1))


@pytest.mark.fault("X21", "S21")
@given(st.binary(max_size=400))
def test_nothing_that_a_file_holds_is_an_error(data: bytes) -> None:
    assert read_journal(data) is None
    read_journal(PREAMBLE + data)
    read_journal(START + data)


@pytest.mark.fault("X22")
def test_records_of_another_journal_are_not_believed() -> None:
    foreign = encode_claim("ffffffffffff", Claim(Span(0, 10), b"8 bytes."))
    assert _spans(START + foreign + _claim(10, 20)) == []


@pytest.mark.fault("X21")
def test_another_version_of_the_format_is_not_read() -> None:
    assert read_journal(START.replace(PREAMBLE, b"fastget\x02", 1)) is None


def _with_header(payload: bytes) -> bytes:
    """A journal with this header, its checksum right."""
    framed = struct.pack(">IB", len(payload), 1) + payload
    return PREAMBLE + framed + xxhash.xxh3_64_digest(framed, 0)


def _changed(**facts: object) -> bytes:
    header = json.loads(START[len(PREAMBLE) + 5 : -8])
    for path, value in facts.items():
        place, _, name = path.rpartition("__")
        (header[place] if place else header)[name] = value
    return _with_header(json.dumps(header).encode())


@pytest.mark.parametrize(
    "facts",
    [
        {"part": "../../etc/pw"},
        {"part": "0123456789aB"},
        {"part": 5},
        {"owner__token": "/" * 12},
        {"owner__token": TOKEN + "\n"},
        {"owner__pid": -1},
        {"owner__pid": True},
        {"owner__started": "1"},
        {"owner__host": None},
        {"owner__unknown": 1},
        {"identity__size": MAXIMUM_SIZE + 1},
        {"identity__size": 1.5},
        {"identity__etag": 5},
        {"identity__declared": [5]},
        {"identity__declared": 5},
        {"identity": []},
        {"owner": None},
    ],
    ids=str,
)
def test_a_header_of_the_wrong_shape_is_refused(facts: dict[str, object]) -> None:
    assert read_journal(_changed()) is not None
    assert read_journal(_changed(**facts)) is None


@pytest.mark.parametrize(
    "payload",
    [b"[" * 60_000, b"9" * 60_000, b'{"owner":', b"\xff\xfe", b"null", b"{}"],
    ids=["deep", "number", "torn", "no text", "null", "empty"],
)
def test_a_header_that_is_no_object_is_refused(payload: bytes) -> None:
    assert read_journal(_with_header(payload)) is None


def test_claims_beyond_the_object_and_empty_ones_are_passed_over() -> None:
    raw = [(0, SIZE + 1), (5, 5), (9, 3), (2**64 - 1, 2**64 - 1), (SIZE - 1, SIZE)]
    data = START
    for start, stop in raw:
        payload = struct.pack(">QQ", start, stop) + b"8 bytes."
        data += journal._frame(2, payload, int(TOKEN, 16))
    assert _spans(data) == [(SIZE - 1, SIZE)]


@pytest.mark.fault("X21")
def test_a_record_that_claims_to_be_huge_ends_what_is_read() -> None:
    assert _spans(START + _claim(0, 10) + struct.pack(">IB", 2**32 - 1, 2) + bytes(100)) == [(0, 10)]


@pytest.mark.fault("X21")
def test_no_more_is_read_than_the_largest_journal() -> None:
    one = len(_claim(0, 1))
    data = START + b"".join(_claim(at % SIZE, at % SIZE + 1) for at in range(MAXIMUM_JOURNAL // one + 10))
    assert len(_spans(data)) == SIZE


@given(st.integers(1, MAXIMUM_SIZE))
def test_blocks_are_small_and_their_number_is_bounded(size: int) -> None:
    block = block_size_for(size)
    assert block % SMALLEST_BLOCK == 0
    assert -(-size // block) <= MAXIMUM_BLOCKS
    assert block <= LARGEST_BLOCK or size > 256 * 2**30
    claim = len(_claim(0, 1))
    assert len(START) + -(-size // block) * claim < MAXIMUM_JOURNAL


@given(st.integers(20 * 2**20, 512 * 2**20))
def test_eight_workers_lose_less_than_a_tenth_of_the_object_with_the_process(size: int) -> None:
    block = block_size_for(size)
    assert 8 * block <= size / 10
    assert size // block <= 256, "each claim costs a call of the system"


# Identities ------------------------------------------------------------------------------------------------------


def _identity(query: str = "", **facts: Any) -> Identity:
    found = Identity.of(
        "https://host/key", query, ObjectInfo("https://host/key", **{"size": 10, "etag": '"e"', **facts})
    )
    assert found is not None
    return found


def test_an_object_of_unknown_size_has_no_identity() -> None:
    assert Identity.of("https://host/key", "", ObjectInfo("https://host/key", None)) is None


@pytest.mark.fault("X22", "X25")
@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"size": 11}, "size was 10, and is 11"),
        ({"etag": '"f"'}, 'ETag was "e", and is "f"'),
        ({"version_id": "v"}, ""),
    ],
)
def test_a_changed_object_is_told(facts: dict[str, Any], said: str) -> None:
    difference = _identity().difference(_identity(**facts))
    assert difference is not None
    assert said in difference


def test_the_date_counts_only_where_no_strong_etag_does() -> None:
    assert _identity(last_modified="a").difference(_identity(last_modified="b")) is None
    assert _identity(etag='W/"e"', last_modified="a").difference(_identity(etag='W/"e"', last_modified="b"))
    assert _identity(last_modified="a").version == _identity(last_modified="b").version


@pytest.mark.fault("X22")
def test_another_query_is_another_object_and_another_signature_is_not() -> None:
    signed = "id=5&X-Amz-Date=1&X-Amz-Signature=2&X-Amz-Security-Token=3"
    again = "id=5&X-Amz-Date=4&X-Amz-Signature=5&X-Amz-Security-Token=6"
    assert _identity(signed).difference(_identity(again)) is None
    assert _identity("id=5").difference(_identity("id=6")) == "it was begun from another URL"


@pytest.mark.fault("S12")
def test_no_secret_of_a_url_is_written() -> None:
    identity = _identity("token=marked-secret&X-Amz-Signature=marked-signature")
    assert b"marked" not in encode_header(Header(OWNER, identity, TOKEN))
