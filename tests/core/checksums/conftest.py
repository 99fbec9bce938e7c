"""What the checksum tests share: a slow, independent CRC combination to hold the fast one against."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fastget.core.checksums.algorithms import Algorithm, new_hasher

# The reflected polynomials of wire-spec.md §2.1.
_POLYNOMIALS = {
    Algorithm.CRC32: 0xEDB88320,
    Algorithm.CRC32C: 0x82F63B78,
    Algorithm.CRC64NVME: 0x9A6C9329AC4BC9B5,
}


@pytest.fixture(scope="session")
def digest_of() -> Callable[[Algorithm, bytes], bytes]:
    """The digest of some bytes in one go."""

    def whole(algorithm: Algorithm, data: bytes) -> bytes:
        hasher = new_hasher(algorithm)
        hasher.update(data)
        return hasher.digest()

    return whole


@pytest.fixture(scope="session")
def slow_combine() -> Callable[[Algorithm, bytes, bytes, int], bytes]:
    """crc(A)·x^(8·|B|) mod P XOR crc(B), by multiplication of polynomials over GF(2)."""

    def combined(algorithm: Algorithm, first: bytes, second: bytes, second_length: int) -> bytes:
        polynomial = _POLYNOMIALS[algorithm]
        width = algorithm.digest_size * 8
        shift = _power_of_x(8 * second_length, polynomial, width)
        moved = _product(int.from_bytes(first, "big"), shift, polynomial, width)
        return (moved ^ int.from_bytes(second, "big")).to_bytes(algorithm.digest_size, "big")

    return combined


def _product(left: int, right: int, polynomial: int, width: int) -> int:
    """The product of two reflected polynomials: the highest bit is the coefficient of x to the power of 0."""
    result = 0
    for bit in range(width - 1, -1, -1):
        if left >> bit & 1:
            result ^= right
        right = (right >> 1) ^ (polynomial if right & 1 else 0)
    return result


def _power_of_x(exponent: int, polynomial: int, width: int) -> int:
    result, base = 1 << (width - 1), 1 << (width - 2)
    while exponent:
        if exponent & 1:
            result = _product(result, base, polynomial, width)
        base = _product(base, base, polynomial, width)
        exponent >>= 1
    return result
