"""Checksums: one receive buffer through each algorithm, and digests of pieces made into one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fastget.core.checksums.algorithms import Algorithm, new_hasher
from fastget.core.checksums.combine import combine, composite, fold

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

_BUFFER = 256 * 1024
_PIECES = 10_000
_COMBINABLE = [algorithm for algorithm in Algorithm if algorithm.is_combinable]


def _digest(algorithm: Algorithm, data: bytes) -> bytes:
    hasher = new_hasher(algorithm)
    hasher.update(data)
    return hasher.digest()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_one_buffer_of_256_kib(benchmark: BenchmarkFixture, algorithm: Algorithm) -> None:
    buffer = memoryview(bytearray(os.urandom(_BUFFER)))
    hasher = new_hasher(algorithm)
    benchmark.extra_info["bytes"] = _BUFFER
    benchmark(hasher.update, buffer)
    assert len(hasher.digest()) == algorithm.digest_size


@pytest.mark.parametrize("algorithm", _COMBINABLE)
def test_combining_two_pieces(benchmark: BenchmarkFixture, algorithm: Algorithm) -> None:
    first, second = os.urandom(1000), os.urandom(_BUFFER)
    digests = (_digest(algorithm, first), _digest(algorithm, second))
    assert benchmark(combine, algorithm, *digests, len(second)) == _digest(algorithm, first + second)


@pytest.mark.parametrize("algorithm", _COMBINABLE)
def test_folding_10_000_pieces(benchmark: BenchmarkFixture, algorithm: Algorithm) -> None:
    piece = os.urandom(1000)
    pieces = [(len(piece), _digest(algorithm, piece))] * _PIECES
    assert benchmark(fold, algorithm, pieces) == _digest(algorithm, piece * _PIECES)


@pytest.mark.parametrize("algorithm", [Algorithm.SHA256, Algorithm.CRC32C])
def test_composite_of_10_000_parts(benchmark: BenchmarkFixture, algorithm: Algorithm) -> None:
    part = _digest(algorithm, b"part")
    assert benchmark(composite, algorithm, [part] * _PIECES) == _digest(algorithm, part * _PIECES)
