"""Declared digests as stores write them in headers, well and badly."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.declared import (
    DeclaredDigest,
    contradiction,
    declared_by_headers,
    part_digest,
)
from fastget.core.messages import Headers

DigestOf = Callable[[Algorithm, bytes], bytes]

CONTENT = b"123456789"
MD5 = hashlib.md5(CONTENT).digest()
SHA256 = hashlib.sha256(CONTENT).digest()
CRC32 = bytes.fromhex("cbf43926")
CRC32C = bytes.fromhex("e3069283")

every_algorithm = pytest.mark.parametrize("algorithm", Algorithm)


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


# --- x-amz-checksum-* -----------------------------------------------------------------------------


@every_algorithm
@pytest.mark.parametrize("kind", [None, "FULL_OBJECT"])
def test_an_s3_checksum_without_suffix_is_of_the_whole_object(
    algorithm: Algorithm, kind: str | None, digest_of: DigestOf
) -> None:
    value = digest_of(algorithm, CONTENT)
    headers = _s3_headers(algorithm, b64(value), kind)
    expected = DeclaredDigest(algorithm, value, f"x-amz-checksum-{algorithm}")
    assert declared_by_headers(headers) == (expected,)
    assert not expected.is_composite


@every_algorithm
@pytest.mark.parametrize("kind", [None, "COMPOSITE"])
@pytest.mark.parametrize("parts", [1, 2, 10_000])
def test_an_s3_checksum_with_suffix_is_a_composite_of_so_many_parts(
    algorithm: Algorithm, kind: str | None, parts: int, digest_of: DigestOf
) -> None:
    value = digest_of(algorithm, CONTENT)
    (found,) = declared_by_headers(_s3_headers(algorithm, f"{b64(value)}-{parts}", kind))
    assert found == DeclaredDigest(algorithm, value, f"x-amz-checksum-{algorithm}", parts)
    assert found.is_composite


@pytest.mark.fault("C13")
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("y/Q5Jg==", "COMPOSITE", id="composite without its count"),
        pytest.param("y/Q5Jg==-3", "FULL_OBJECT", id="full object with a count"),
        pytest.param("y/Q5Jg==", "SOMETHING_NEW", id="unknown type"),
        pytest.param("y/Q5Jg==", "", id="empty type"),
        pytest.param("y/Q5Jg==-0", None, id="no parts"),
        pytest.param("y/Q5Jg==-", None, id="empty count"),
        pytest.param("y/Q5Jg==--3", None, id="negative count"),
        pytest.param("y/Q5Jg==-3-3", None, id="two counts"),
        pytest.param("y/Q5Jg==-" + "9" * 5000, None, id="endless count"),
        pytest.param("y/Q5Jg==-\u0663", None, id="foreign digit"),
        pytest.param("y/Q5Jg", None, id="no padding"),
        pytest.param("cbf43926", None, id="hex, which decodes to six bytes"),
        pytest.param("rosUhgp5mIg=", None, id="length of another algorithm"),
        pytest.param("", None, id="empty"),
        pytest.param("y/Q5Jg==, y/Q5Jg==", None, id="two in one"),
        pytest.param("****", None, id="no base64"),
    ],
)
def test_an_s3_checksum_that_cannot_be_used_counts_as_absent(text: str, kind: str | None) -> None:
    assert declared_by_headers(_s3_headers(Algorithm.CRC32, text, kind)) == ()


@pytest.mark.fault("C11")
def test_types_that_disagree_make_the_checksum_unusable() -> None:
    lines = [("x-amz-checksum-type", "FULL_OBJECT"), ("x-amz-checksum-type", "COMPOSITE")]
    assert declared_by_headers(Headers([("x-amz-checksum-crc32", "y/Q5Jg=="), *lines])) == ()


@pytest.mark.fault("C12")
def test_the_header_of_an_algorithm_not_known_is_passed_over() -> None:
    headers = Headers([("x-amz-checksum-blake3", "y/Q5Jg=="), ("X-Amz-Checksum-CRC32", " y/Q5Jg== ")])
    assert [found.algorithm for found in declared_by_headers(headers)] == [Algorithm.CRC32]


@pytest.mark.fault("C9")
def test_a_type_without_a_value_declares_nothing() -> None:
    headers = Headers([("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")])
    assert declared_by_headers(headers) == ()


# --- the digests of HTTP --------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("sha-256", Algorithm.SHA256),
        ("sha-512", Algorithm.SHA512),
        ("md5", Algorithm.MD5),
        ("sha", Algorithm.SHA1),
        ("crc32c", Algorithm.CRC32C),
    ],
)
def test_the_algorithms_of_rfc_9530_are_read(field: str, name: str, algorithm: Algorithm, digest_of: DigestOf) -> None:
    value = digest_of(algorithm, CONTENT)
    headers = Headers([(field, f"unixsum=:eHg=:, {name}=:{b64(value)}:, adler=:AAAAAQ==:")])
    assert declared_by_headers(headers) == (DeclaredDigest(algorithm, value, field.lower()),)


@pytest.mark.parametrize(
    "value",
    [
        b64(SHA256),
        f":{b64(SHA256)[:-1]}:",
        f":{b64(MD5)}:",
        f'"{SHA256.hex()}"',
        f":{b64(SHA256)}:, broken=",
    ],
)
def test_a_digest_field_that_is_malformed_or_of_the_wrong_length_counts_as_absent(value: str) -> None:
    assert declared_by_headers(Headers([("Repr-Digest", f"sha-256={value}")])) == ()


def test_several_lines_of_a_digest_field_are_one_dictionary(digest_of: DigestOf) -> None:
    sha512 = digest_of(Algorithm.SHA512, CONTENT)
    lines = [("repr-digest", f"sha-256=:{b64(SHA256)}:"), ("repr-digest", f"sha-512=:{b64(sha512)}:")]
    found = declared_by_headers(Headers(lines))
    assert {(one.algorithm, one.value) for one in found} == {
        (Algorithm.SHA256, SHA256),
        (Algorithm.SHA512, sha512),
    }


@pytest.mark.parametrize("name", ["SHA-256", "sha-256"])
def test_an_instance_digest_is_read_in_any_case(name: str) -> None:
    headers = Headers([("Digest", f"UNIXsum=30637, {name}={b64(SHA256)},MD5={b64(MD5)}")])
    assert declared_by_headers(headers) == (
        DeclaredDigest(Algorithm.SHA256, SHA256, "digest"),
        DeclaredDigest(Algorithm.MD5, MD5, "digest"),
    )


@pytest.mark.parametrize("text", ["0a72a4df", "A72A4DF"])
def test_crc32c_as_instance_digest_is_hex_as_its_registry_has_it(text: str, digest_of: DigestOf) -> None:
    """Both are of the three bytes dog (the example in IANA's registry of HTTP digest algorithms)."""
    (found,) = declared_by_headers(Headers([("Digest", f"crc32c={text}")]))
    assert found == DeclaredDigest(Algorithm.CRC32C, digest_of(Algorithm.CRC32C, b"dog"), "digest")


@pytest.mark.parametrize("value", ["", "SHA-256", "=", ",,,", "SHA-256=", "crc32c=", "crc32c=0a72a4df0", "md5=eHg="])
def test_an_instance_digest_that_cannot_be_read_counts_as_absent(value: str) -> None:
    assert declared_by_headers(Headers([("Digest", value)])) == ()


def test_content_md5_is_read_and_a_malformed_one_is_not() -> None:
    assert declared_by_headers(Headers([("Content-MD5", b64(MD5))])) == (
        DeclaredDigest(Algorithm.MD5, MD5, "content-md5"),
    )
    assert declared_by_headers(Headers([("Content-MD5", MD5.hex())])) == ()


# --- x-goog-hash ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [f"crc32c={b64(CRC32C)},md5={b64(MD5)}"],
        [f"crc32c={b64(CRC32C)}, md5={b64(MD5)}"],
        [f"crc32c={b64(CRC32C)}", f"md5={b64(MD5)}"],
        ["sha3=AAAA", f"crc32c={b64(CRC32C)}", "md5=AAAA", f"md5={b64(MD5)}"],
    ],
)
def test_google_hashes_are_read_from_one_line_or_several(values: list[str]) -> None:
    headers = Headers([("x-goog-hash", value) for value in values])
    assert declared_by_headers(headers) == (
        DeclaredDigest(Algorithm.CRC32C, CRC32C, "x-goog-hash"),
        DeclaredDigest(Algorithm.MD5, MD5, "x-goog-hash"),
    )


@pytest.mark.parametrize(
    ("stored", "sent", "kept"),
    [
        (None, None, True),
        (None, "gzip", True),
        ("identity", None, True),
        ("gzip", "gzip", True),
        ("GZIP", "gzip", True),
        ("gzip", None, False),
        ("gzip", "identity", False),
        ("identity", "gzip", False),
    ],
)
def test_google_hashes_count_only_for_content_that_comes_as_it_is_stored(
    stored: str | None, sent: str | None, kept: bool
) -> None:
    fields = [("x-goog-hash", f"crc32c={b64(CRC32C)}")]
    fields += [("x-goog-stored-content-encoding", stored)] if stored else []
    fields += [("content-encoding", sent)] if sent else []
    assert bool(declared_by_headers(Headers(fields))) is kept


# --- hostile headers ------------------------------------------------------------------------------

_NAMES = [
    *(f"x-amz-checksum-{algorithm}" for algorithm in Algorithm),
    "x-amz-checksum-type",
    "repr-digest",
    "content-digest",
    "digest",
    "content-md5",
    "x-goog-hash",
    "x-goog-stored-content-encoding",
    "content-encoding",
]
_VALUES = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="AZaz09+/=-:;, shacrm5d2", max_size=60),
    st.sampled_from(["COMPOSITE", "FULL_OBJECT", f"sha-256=:{b64(SHA256)}:", b64(MD5), f"{b64(CRC32)}-3"]),
)


@given(fields=st.lists(st.tuples(st.sampled_from(_NAMES), _VALUES), max_size=12))
def test_no_header_makes_the_reading_fail_and_what_is_read_fits_its_algorithm(
    fields: list[tuple[str, str]],
) -> None:
    headers = Headers(fields)
    found = declared_by_headers(headers)
    assert all(len(one.value) == one.algorithm.digest_size for one in found)
    assert all(one.parts is None or one.parts >= 1 for one in found)
    for algorithm in Algorithm:
        own = part_digest(headers, algorithm)
        assert own is None or len(own) == algorithm.digest_size
    line = contradiction(found)
    assert line is None or len(found) >= 2


def test_what_is_declared_of_one_content_agrees(digest_of: DigestOf) -> None:
    fields = [(f"x-amz-checksum-{algorithm}", b64(digest_of(algorithm, CONTENT))) for algorithm in Algorithm]
    fields += [("repr-digest", f"sha-256=:{b64(SHA256)}:"), ("content-md5", b64(MD5))]
    fields += [("x-goog-hash", f"crc32c={b64(CRC32C)},md5={b64(MD5)}")]
    found = declared_by_headers(Headers(fields))
    assert len(found) == len(Algorithm) + 4
    assert contradiction(found) is None


# --- parts ----------------------------------------------------------------------------------------


@every_algorithm
@pytest.mark.parametrize("kind", [None, "COMPOSITE"])
def test_a_part_brings_its_own_digest(algorithm: Algorithm, kind: str | None, digest_of: DigestOf) -> None:
    value = digest_of(algorithm, b"part")
    headers = _s3_headers(algorithm, b64(value), kind)
    assert part_digest(headers, algorithm) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("y/Q5Jg==-3", "COMPOSITE"),
        ("y/Q5Jg==-3", None),
        ("y/Q5Jg==", "FULL_OBJECT"),
        ("y/Q5Jg==", "SOMETHING_NEW"),
        ("rosUhgp5mIg=", "COMPOSITE"),
        ("nonsense", "COMPOSITE"),
    ],
)
def test_a_value_that_is_not_of_the_part_alone_is_no_part_digest(text: str, kind: str | None) -> None:
    assert part_digest(_s3_headers(Algorithm.CRC32, text, kind), Algorithm.CRC32) is None


def test_a_part_has_no_digest_of_an_algorithm_that_the_answer_does_not_name() -> None:
    headers = _s3_headers(Algorithm.CRC32, "y/Q5Jg==", "COMPOSITE")
    assert part_digest(headers, Algorithm.SHA256) is None
    assert part_digest(Headers(), Algorithm.CRC32) is None


def test_two_values_for_one_part_are_none() -> None:
    headers = Headers([("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32", "AAAAAA==")])
    assert part_digest(headers, Algorithm.CRC32) is None


def _s3_headers(algorithm: Algorithm, text: str, kind: str | None) -> Headers:
    fields = [(f"x-amz-checksum-{algorithm}", text)]
    return Headers(fields if kind is None else [*fields, ("x-amz-checksum-type", kind)])
