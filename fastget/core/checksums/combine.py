"""Digests of pieces made into the digest of the whole (wire-spec.md §2.3, §2.4).

A CRC whose initial value equals its final XOR satisfies crc(A‖B) = crc(A)·x^(8·|B|) mod P XOR crc(B), so
pieces may be fetched and checked in any order and folded afterwards. All three CRCs of S3 are of that kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm, new_hasher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def combine(algorithm: Algorithm, first: bytes, second: bytes, second_length: int) -> bytes:
    """The CRC of two adjacent pieces from the CRC of each; `second_length` in bytes, up to 2**64 - 1.

    Raises ValueError where the algorithm is no CRC, a digest has not its length, or the length is negative.
    """
    value = _combiner(algorithm)(_number(algorithm, first), _number(algorithm, second), second_length)
    return value.to_bytes(algorithm.digest_size, "big")


def fold(algorithm: Algorithm, pieces: Iterable[tuple[int, bytes]]) -> bytes:
    """The CRC of the whole from its pieces in order, each as (length in bytes, digest); no pieces, no bytes.

    Raises ValueError as `combine` does.
    """
    join = _combiner(algorithm)
    value = 0  # the CRC of no bytes
    for length, digest in pieces:
        value = join(value, _number(algorithm, digest), length)
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


def _combiner(algorithm: Algorithm) -> Callable[[int, int, int], int]:
    if not algorithm.is_combinable:
        raise ValueError(f"{algorithm} digests of pieces cannot be combined")
    from awscrt import checksums

    match algorithm:
        case Algorithm.CRC32:
            return checksums.combine_crc32
        case Algorithm.CRC32C:
            return checksums.combine_crc32c
        case _:
            return checksums.combine_crc64nvme


def _number(algorithm: Algorithm, digest: bytes) -> int:
    _check_length(algorithm, digest)
    return int.from_bytes(digest, "big")


def _check_length(algorithm: Algorithm, digest: bytes) -> None:
    if len(digest) != algorithm.digest_size:
        raise ValueError(f"a {algorithm} digest has {algorithm.digest_size} bytes, not {len(digest)}")
