"""Combined digests against whole ones, against slow arithmetic for huge lengths, and against AWS."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.combine import combine, composite, fold

DigestOf = Callable[[Algorithm, bytes], bytes]
SlowCombine = Callable[[Algorithm, bytes, bytes, int], bytes]

COMBINABLE = [algorithm for algorithm in Algorithm if algorithm.is_combinable]
every_crc = pytest.mark.parametrize("algorithm", COMBINABLE)
every_other = pytest.mark.parametrize("algorithm", [a for a in Algorithm if not a.is_combinable])


@every_crc
@given(first=st.binary(max_size=3000), second=st.binary(max_size=3000))
def test_two_pieces_combine_to_the_digest_of_both(
    algorithm: Algorithm, first: bytes, second: bytes, digest_of: DigestOf
) -> None:
    combined = combine(algorithm, digest_of(algorithm, first), digest_of(algorithm, second), len(second))
    assert combined == digest_of(algorithm, first + second)


@pytest.mark.fault("C16")
@every_crc
@given(data=st.data())
def test_any_length_up_to_2_to_the_63_agrees_with_slow_arithmetic(
    algorithm: Algorithm, data: st.DataObject, slow_combine: SlowCombine
) -> None:
    digests = st.binary(min_size=algorithm.digest_size, max_size=algorithm.digest_size)
    first, second = data.draw(digests), data.draw(digests)
    length = data.draw(st.one_of(st.integers(1, 2**63), st.sampled_from([2**31, 2**32, 2**40, 2**62, 2**63])))
    expected = slow_combine(algorithm, first, second, length)
    assert combine(algorithm, first, second, length) == expected
    assert fold(algorithm, [(1, first), (length, second)]) == expected


@every_crc
def test_the_slow_arithmetic_agrees_with_whole_digests(
    algorithm: Algorithm, digest_of: DigestOf, slow_combine: SlowCombine
) -> None:
    first, second = b"123456", b"789"
    combined = slow_combine(algorithm, digest_of(algorithm, first), digest_of(algorithm, second), len(second))
    assert combined == digest_of(algorithm, first + second)


@every_crc
@given(content=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_pieces_at_any_cuts_fold_to_the_digest_of_the_whole(
    algorithm: Algorithm, content: bytes, cuts: list[int], digest_of: DigestOf
) -> None:
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[start:stop] for start, stop in pairwise(edges)]
    folded = fold(algorithm, ((len(piece), digest_of(algorithm, piece)) for piece in pieces))
    assert folded == digest_of(algorithm, content)


@every_crc
@given(data=st.data())
def test_runs_may_be_folded_in_any_grouping(algorithm: Algorithm, data: st.DataObject) -> None:
    piece = st.tuples(st.integers(0, 2**50), st.binary(min_size=algorithm.digest_size, max_size=algorithm.digest_size))
    pieces = data.draw(st.lists(piece, min_size=1, max_size=6))
    at = data.draw(st.integers(0, len(pieces)))
    front, back = pieces[:at], pieces[at:]
    runs = [(sum(length for length, _ in run), fold(algorithm, run)) for run in (front, back)]
    assert fold(algorithm, runs) == fold(algorithm, pieces)


@every_crc
def test_no_pieces_fold_to_the_digest_of_no_bytes(algorithm: Algorithm, digest_of: DigestOf) -> None:
    assert fold(algorithm, []) == digest_of(algorithm, b"") == bytes(algorithm.digest_size)


@pytest.mark.fault("C20")
@every_crc
def test_a_single_piece_folds_to_its_own_digest(algorithm: Algorithm, digest_of: DigestOf) -> None:
    digest = digest_of(algorithm, b"123456789")
    assert fold(algorithm, [(9, digest)]) == digest


@pytest.mark.fault("C19", "C20")
@every_crc
def test_empty_pieces_before_between_and_after_change_nothing(algorithm: Algorithm, digest_of: DigestOf) -> None:
    empty = (0, digest_of(algorithm, b""))
    front, back = (4, digest_of(algorithm, b"1234")), (5, digest_of(algorithm, b"56789"))
    folded = fold(algorithm, [empty, front, empty, empty, back, empty])
    assert folded == digest_of(algorithm, b"123456789")


@pytest.mark.fault("C6")
@every_crc
def test_the_order_of_pieces_matters(algorithm: Algorithm, digest_of: DigestOf) -> None:
    front, back = (4, digest_of(algorithm, b"1234")), (5, digest_of(algorithm, b"56789"))
    assert fold(algorithm, [back, front]) == digest_of(algorithm, b"567891234")
    assert fold(algorithm, [back, front]) != fold(algorithm, [front, back])


@pytest.mark.parametrize(
    ("algorithm", "recorded"),
    [
        (Algorithm.CRC32, "qSEQSA=="),
        (Algorithm.CRC32C, "eTdAQA=="),
        (Algorithm.CRC64NVME, "ZMNX55lZurA="),
    ],
)
def test_parts_fold_to_the_full_object_value_recorded_from_aws(
    algorithm: Algorithm, recorded: str, digest_of: DigestOf
) -> None:
    """An object of the letter a, stored as parts of 5,242,881, 5,242,881 and 10 bytes (wire-spec.md §2.3)."""
    large, small = b"a" * 5_242_881, b"a" * 10
    pieces = [(len(part), digest_of(algorithm, part)) for part in (large, large, small)]
    assert base64.b64encode(fold(algorithm, pieces)).decode() == recorded


@every_other
def test_digests_that_cannot_be_combined_are_refused(algorithm: Algorithm) -> None:
    digest = bytes(algorithm.digest_size)
    with pytest.raises(ValueError, match=f"{algorithm} digests of pieces cannot be combined"):
        combine(algorithm, digest, digest, 1)
    with pytest.raises(ValueError, match="cannot be combined"):
        fold(algorithm, [])


@every_crc
def test_a_digest_of_the_wrong_length_is_refused(algorithm: Algorithm) -> None:
    digest = bytes(algorithm.digest_size)
    for wrong in (b"", digest[:-1], digest + b"\0"):
        with pytest.raises(ValueError, match=f"has {algorithm.digest_size} bytes"):
            combine(algorithm, digest, wrong, 1)
        with pytest.raises(ValueError, match=f"has {algorithm.digest_size} bytes"):
            fold(algorithm, [(1, wrong)])


@every_crc
def test_a_negative_length_is_refused(algorithm: Algorithm) -> None:
    digest = bytes(algorithm.digest_size)
    with pytest.raises(ValueError):
        combine(algorithm, digest, digest, -1)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_composite_is_the_digest_of_the_raw_part_digests_put_together(
    algorithm: Algorithm, digest_of: DigestOf
) -> None:
    digests = [digest_of(algorithm, part) for part in (b"first", b"second", b"")]
    assert composite(algorithm, iter(digests)) == digest_of(algorithm, b"".join(digests))


def test_the_md5_composite_is_the_multipart_etag() -> None:
    parts = [b"a" * 5_242_881, b"b"]
    digests = [hashlib.md5(part).digest() for part in parts]
    assert composite(Algorithm.MD5, digests) == hashlib.md5(digests[0] + digests[1]).digest()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_composite_of_digests_of_the_wrong_length_is_refused(algorithm: Algorithm) -> None:
    with pytest.raises(ValueError, match=f"has {algorithm.digest_size} bytes"):
        composite(algorithm, [bytes(algorithm.digest_size - 1)])
