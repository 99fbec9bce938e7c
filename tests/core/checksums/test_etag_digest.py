"""ETags that are MD5s of the content or of its parts, and all the others."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.declared import DeclaredDigest, etag_digest

MD5 = hashlib.md5(b"123456789").digest()


@pytest.mark.parametrize("etag", [MD5.hex(), f'"{MD5.hex()}"', MD5.hex().upper()])
def test_an_etag_of_32_hex_digits_is_an_md5(etag: str) -> None:
    assert etag_digest(etag) == DeclaredDigest(Algorithm.MD5, MD5, "etag")


@pytest.mark.parametrize("etag", [f"{MD5.hex()}-17", f'"{MD5.hex()}-17"'])
def test_an_etag_with_a_count_is_a_composite_md5(etag: str) -> None:
    assert etag_digest(etag) == DeclaredDigest(Algorithm.MD5, MD5, "etag", 17)


@pytest.mark.parametrize(
    "etag",
    [
        None,
        "",
        '""',
        f'W/"{MD5.hex()}"',
        f'"{MD5.hex()}',
        f'{MD5.hex()}"',
        f'""{MD5.hex()}""',
        f'"{MD5.hex()}-0"',
        f'"{MD5.hex()}-"',
        f'"{MD5.hex()}-1-2"',
        f'"{MD5.hex()}-{"9" * 5000}"',
        f'"{MD5.hex()}0"',
        f'"{MD5.hex()[:-1]}"',
        f'"{MD5.hex()}"\n',
        f'"{"g" * 32}"',
        '"5f3c-61b2a"',
    ],
)
def test_any_other_etag_says_nothing_of_the_bytes(etag: str | None) -> None:
    assert etag_digest(etag) is None


@given(etag=st.one_of(st.text(max_size=50), st.from_regex(r'"?[0-9a-fA-F]{31,33}(-[0-9]{0,3})?"?')))
def test_no_etag_makes_the_reading_fail(etag: str) -> None:
    found = etag_digest(etag)
    assert found is None or (found.algorithm is Algorithm.MD5 and len(found.value) == 16)
