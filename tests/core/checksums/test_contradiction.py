"""Declared digests that cannot all be true."""

from __future__ import annotations

import hashlib

import pytest

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.declared import DeclaredDigest, contradiction, declared_by_headers
from fastget.core.messages import Headers

MD5 = hashlib.md5(b"123456789").digest()
SHA256 = hashlib.sha256(b"123456789").digest()
CRC32 = bytes.fromhex("cbf43926")
CRC32C = bytes.fromhex("e3069283")


@pytest.mark.fault("C14")
def test_two_digests_of_one_kind_that_differ_are_a_contradiction_that_names_both() -> None:
    declared = [
        DeclaredDigest(Algorithm.MD5, MD5, "content-md5"),
        DeclaredDigest(Algorithm.SHA256, SHA256, "repr-digest"),
        DeclaredDigest(Algorithm.MD5, bytes(16), "x-goog-hash"),
    ]
    line = contradiction(declared)
    assert line == f"content-md5 says md5 {MD5.hex()}, but x-goog-hash says md5 {'00' * 16}"


def test_two_lines_of_one_header_that_differ_are_a_contradiction() -> None:
    headers = Headers([("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32", "AAAAAA==")])
    line = contradiction(declared_by_headers(headers))
    assert line is not None
    assert "cbf43926" in line
    assert "00000000" in line


def test_composites_of_different_part_counts_contradict_each_other() -> None:
    first = DeclaredDigest(Algorithm.MD5, MD5, "x-amz-checksum-md5", 2)
    second = DeclaredDigest(Algorithm.MD5, MD5, "repr-digest", 3)
    assert contradiction([first, second]) == (
        f"x-amz-checksum-md5 says md5 {MD5.hex()}-2, but repr-digest says md5 {MD5.hex()}-3"
    )


@pytest.mark.parametrize(
    "declared",
    [
        [],
        [DeclaredDigest(Algorithm.MD5, MD5, "content-md5")],
        [
            DeclaredDigest(Algorithm.MD5, MD5, "content-md5"),
            DeclaredDigest(Algorithm.MD5, MD5, "x-goog-hash"),
        ],
        [DeclaredDigest(Algorithm.CRC32, CRC32, "a"), DeclaredDigest(Algorithm.CRC32C, CRC32C, "b")],
        [DeclaredDigest(Algorithm.CRC32, CRC32, "a"), DeclaredDigest(Algorithm.CRC32, CRC32C, "b", 2)],
        [
            DeclaredDigest(Algorithm.MD5, MD5, "x-amz-checksum-md5"),
            DeclaredDigest(Algorithm.MD5, bytes(16), "etag"),
        ],
    ],
    ids=["none", "one", "equal", "two algorithms", "whole and composite", "an etag that is no MD5"],
)
def test_what_can_all_be_true_is_no_contradiction(declared: list[DeclaredDigest]) -> None:
    assert contradiction(declared) is None
    assert contradiction(declared[::-1]) is None
