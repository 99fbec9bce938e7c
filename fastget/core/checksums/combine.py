"""Digests of pieces made into the digest of the whole (wire-spec.md §2.3, §2.4).

A CRC whose initial value equals its final XOR satisfies crc(A‖B) = crc(A)·x^(8·|B|) mod P XOR crc(B), so
pieces may be fetched and checked in any order and folded afterwards. All three CRCs of S3 are of that kind.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm, new_hasher

if TYPE_CHECKING:
    from collections.abc import Iterable

# The polynomial P of each CRC without its highest term; the lowest bit stands for the highest power of x, as in the
# CRCs themselves.
_POLYNOMIALS = {
    Algorithm.CRC32: 0xEDB88320,
    Algorithm.CRC32C: 0x82F63B78,
    Algorithm.CRC64NVME: 0x9A6C9329AC4BC9B5,
}


def combine(algorithm: Algorithm, first: bytes, second: bytes, second_length: int) -> bytes:
    """The CRC of two adjacent pieces from the CRC of each; `second_length` in bytes, up to 2**64 - 1.

    Raises ValueError where the algorithm is no CRC, a digest has not its length, or the length is negative.
    """
    return fold(algorithm, ((0, first), (second_length, second)))


def fold(algorithm: Algorithm, pieces: Iterable[tuple[int, bytes]]) -> bytes:
    """The CRC of the whole from its pieces in order, each as (length in bytes, digest); no pieces, no bytes.

    Raises ValueError as `combine` does.
    """
    if not algorithm.is_combinable:
        raise ValueError(f"{algorithm} digests of pieces cannot be combined")
    value = 0  # the CRC of no bytes
    for length, digest in pieces:
        value = _multiply(algorithm, _shift(algorithm, length), value) ^ _number(algorithm, digest)
    return value.to_bytes(algorithm.digest_size, "big")


def composite(algorithm: Algorithm, part_digests: Iterable[bytes]) -> bytes:
    """The COMPOSITE digest of a multipart object: the digest of its parts' raw digests, put together.

    Raises ValueError where a part's digest has not the algorithm's length.
    """
    hasher = new_hasher(algorithm)
    for digest in part_digests:
        _check_length(algorithm, digest)
        hasher.update(digest)
    return hasher.digest()


@lru_cache(maxsize=256)
def _shift(algorithm: Algorithm, length: int) -> int:
    """x^(8·length) mod P, by squaring; pieces have few different lengths, so that it is seldom computed."""
    if length < 0:
        raise ValueError(f"a piece cannot have {length} bytes")
    one = 1 << (8 * algorithm.digest_size - 1)
    result, power = one, one >> 8
    while length:
        if length & 1:
            result = _multiply(algorithm, result, power)
        power = _multiply(algorithm, power, power)
        length >>= 1
    return result


def _multiply(algorithm: Algorithm, first: int, second: int) -> int:
    """The product of two polynomials mod P."""
    polynomial = _POLYNOMIALS[algorithm]
    term = 1 << (8 * algorithm.digest_size - 1)
    product = 0
    while first:
        if first & term:
            product ^= second
            first ^= term
        second = second >> 1 ^ (polynomial if second & 1 else 0)
        term >>= 1
    return product


def _number(algorithm: Algorithm, digest: bytes) -> int:
    _check_length(algorithm, digest)
    return int.from_bytes(digest, "big")


def _check_length(algorithm: Algorithm, digest: bytes) -> None:
    if len(digest) != algorithm.digest_size:
        raise ValueError(f"a {algorithm} digest has {algorithm.digest_size} bytes, not {len(digest)}")
