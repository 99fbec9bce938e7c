"""Content: bytes as a function of their offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.testing.content import BLOCK_SIZE, Content

SIZES = st.integers(0, 3 * BLOCK_SIZE + 17)
WHOLE = Content.generated(3 * BLOCK_SIZE + 17, seed=5).read()


@given(SIZES, SIZES)
def test_a_stretch_is_what_the_whole_holds_there(first: int, second: int) -> None:
    start, stop = sorted((first, second))
    assert Content.generated(len(WHOLE), seed=5).read(start, stop) == WHOLE[start:stop]


@given(st.integers(0, 2 * BLOCK_SIZE), st.integers(0, BLOCK_SIZE), st.integers(0, 40))
def test_a_window_holds_the_bytes_from_its_start(start: int, size: int, skipped: int) -> None:
    window = Content.generated(len(WHOLE), seed=5).window(start, size)
    skipped = min(skipped, size)
    assert window.size == size
    assert window.read(skipped) == WHOLE[start + skipped : start + size]


@given(st.binary(max_size=100), st.integers(0, 100))
def test_content_of_bytes_is_those_bytes(data: bytes, start: int) -> None:
    start = min(start, len(data))
    assert Content.of(data).read(start) == data[start:]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert Content.generated(1000, seed=1).read() == Content.generated(1000, seed=1).read()
    assert Content.generated(1000, seed=1).read() != Content.generated(1000, seed=2).read()


def test_no_two_blocks_of_generated_content_are_equal() -> None:
    content = Content.generated(64 * BLOCK_SIZE)
    starts = {content.read(index * BLOCK_SIZE, index * BLOCK_SIZE + 64) for index in range(64)}
    assert len(starts) == 64


def test_content_of_five_tebibytes_is_read_anywhere_without_being_held() -> None:
    size = 5 * 2**40
    content = Content.generated(size, seed=9)
    assert len(content.read(size - 100, size)) == 100
    assert len(list(content.blocks(2**40 - 3, 2**40 + 3))) == 2


def test_blocks_stay_within_the_limit_and_are_views_of_the_same_memory() -> None:
    content = Content.generated(BLOCK_SIZE)
    blocks = list(content.blocks(limit=1000))
    assert max(sum(len(buffer) for buffer in buffers) for buffers in blocks) == 1000
    first, second = next(content.blocks(100, 200)), next(content.blocks(150, 200))
    assert first[0].obj is second[0].obj


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 11)])
def test_a_stretch_outside_of_the_content_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        Content.generated(10).read(start, stop)
    with pytest.raises(ValueError, match="outside"):
        Content.generated(10).window(start, stop - start)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Content.generated(-1)
