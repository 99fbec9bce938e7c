"""Plans: chunks tile every object exactly, whatever its size and its parts."""

from __future__ import annotations

from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastget.core.layout import MAXIMUM_PARTS, PartLayout
from fastget.core.planner import (
    LARGEST_CHUNK,
    MAXIMUM_CHUNKS,
    MAXIMUM_CHUNKS_ASKED,
    MIB,
    SMALLEST_CHUNK,
    STREAM_SHARE,
    Chunk,
    Plan,
    chunk_size_for,
    plan_around,
    plan_parts,
    plan_ranges,
    plan_spans,
    plan_stream,
)
from fastget.core.ranges import MAXIMUM_SIZE, Span

GIB = 1024 * MIB
TIB = 1024 * GIB
LARGEST_PART = 5 * GIB
LARGEST_OBJECT = LARGEST_PART * MAXIMUM_PARTS  # 48.8 TiB

sizes = st.one_of(
    st.integers(0, 3 * SMALLEST_CHUNK),
    st.integers(0, LARGEST_OBJECT),
    st.builds(lambda n, delta: max(n * MIB + delta, 0), st.integers(0, 200_000), st.integers(-1, 1)),
)
# Small steps on large objects are bounded to 50,000 chunks, which takes hypothesis long: most are in proportion.
chunk_sizes = st.one_of(st.none(), st.integers(MIB, LARGEST_PART))
connections = st.none() | st.integers(1, 1000)


@st.composite
def layouts(draw: st.DrawFn) -> PartLayout:
    """Parts of any size up to 5 GiB, in runs of equal ones, so that there can be many of them."""
    runs = draw(st.lists(st.tuples(st.integers(0, LARGEST_PART), st.integers(1, 40)), min_size=1, max_size=6))
    return PartLayout.of_sizes(size for size, times in runs for _ in range(times))


def assert_tiles(plan: Plan, size: int) -> None:
    assert plan.size == size
    assert [chunk.index for chunk in plan.chunks] == list(range(len(plan.chunks)))
    assert plan.chunks[0].span.start == 0
    assert plan.chunks[-1].span.stop == size
    assert all(one.span.stop == next_one.span.start for one, next_one in pairwise(plan.chunks))


@given(size=sizes, most=st.integers(1, 1000))
def test_a_chunk_size_that_is_not_asked_for_keeps_within_its_bounds(size: int, most: int) -> None:
    step = chunk_size_for(size, most)
    assert step % MIB == 0
    assert step >= SMALLEST_CHUNK
    assert step <= LARGEST_CHUNK or -(-size // step) > MAXIMUM_CHUNKS // 2
    assert -(-size // step) <= MAXIMUM_CHUNKS


@pytest.mark.fault("C7", "C16")
@given(size=sizes, wanted=connections, chunk_size=chunk_sizes, maximum=chunk_sizes)
@example(size=0, wanted=None, chunk_size=None, maximum=None)
@example(size=1, wanted=4, chunk_size=1, maximum=None)
@example(size=LARGEST_OBJECT, wanted=None, chunk_size=1, maximum=1)
@example(size=MAXIMUM_SIZE, wanted=None, chunk_size=None, maximum=None)
@example(size=2**32, wanted=None, chunk_size=2**32 - 1, maximum=None)
def test_ranges_tile_the_object(size: int, wanted: int | None, chunk_size: int | None, maximum: int | None) -> None:
    plan = plan_ranges(size, connections=wanted, chunk_size=chunk_size, maximum_chunk=maximum)
    assert_tiles(plan, size)
    assert len(plan.chunks) <= MAXIMUM_CHUNKS_ASKED
    assert not any(chunk.by_part_number or chunk.part for chunk in plan.chunks)
    if len(plan.chunks) == 1:
        assert (plan.split, plan.connections) == ("stream", 1)
    else:
        assert (plan.split, plan.connections) == ("range", wanted)
        lead, rest = plan.chunks[: plan.lead], plan.chunks[plan.lead :]
        assert len({chunk.span.length for chunk in lead}) <= 1
        lengths = [chunk.span.length for chunk in rest]
        assert lengths == sorted(lengths, reverse=True)
        assert len(set(lengths[:-1])) <= 2 if chunk_size is None and maximum is None else len(set(lengths[:-1])) == 1
        assert sum(chunk.span.length for chunk in lead) * STREAM_SHARE <= size


def test_what_is_handed_out_last_is_small() -> None:
    plan = plan_ranges(GIB)
    rest = plan.chunks[plan.lead :]

    assert {chunk.span.length for chunk in plan.chunks[: plan.lead]} == {4 * MIB}
    assert rest[0].span.start == GIB // STREAM_SHARE
    assert [chunk.span.length for chunk in rest] == [16 * MIB] * 28 + [8 * MIB] * 56


@pytest.mark.parametrize(("size", "most", "expected"), [
    (4 * GIB, 1, 64 * MIB),
    (4 * GIB, 32, 64 * MIB),
    (4 * GIB, 64, 32 * MIB),
    (4 * GIB, 96, 22 * MIB),
    (GIB, 96, 16 * MIB),
    (GIB // 2, 96, 8 * MIB),
    (64 * GIB, 96, 64 * MIB),
])  # fmt: skip
def test_many_connections_have_two_chunks_each_unless_those_were_small(size: int, most: int, expected: int) -> None:
    assert chunk_size_for(size, most) == expected
    for plan in plan_ranges(size, most_connections=most), plan_ranges(size, connections=most, most_connections=1):
        assert max(chunk.span.length for chunk in plan.chunks) == expected


def test_a_size_that_was_asked_for_is_that_of_all_chunks() -> None:
    plan = plan_ranges(GIB, chunk_size=16 * MIB)

    assert {chunk.span.length for chunk in plan.chunks} == {16 * MIB}
    assert plan.lead == 8


@given(size=st.integers(0, TIB), chunk_size=st.integers(MIB, GIB), maximum=st.integers(MIB, GIB))
def test_a_chunk_is_as_large_as_asked_where_that_gives_no_flood_of_them(
    size: int, chunk_size: int, maximum: int
) -> None:
    plan = plan_ranges(size, chunk_size=chunk_size, maximum_chunk=maximum)
    step = min(chunk_size, maximum)
    if -(-size // step) <= MAXIMUM_CHUNKS_ASKED:
        assert plan.chunks[0].span == Span(0, min(size, step))


@pytest.mark.parametrize("step", [MIB, 10 * MIB])
@pytest.mark.parametrize("times", [1, 2, 7])
@pytest.mark.parametrize("delta", [-1, 0, 1])
def test_sizes_around_a_multiple_of_the_chunk_have_the_right_number_of_chunks(
    step: int, times: int, delta: int
) -> None:
    plan = plan_ranges(step * times + delta, chunk_size=step)
    assert len(plan.chunks) == times + (delta > 0)


@given(layout=layouts(), by_number=st.booleans(), whole=st.booleans(), wanted=connections, chunk_size=chunk_sizes)
@example(layout=PartLayout.of_sizes([0]), by_number=True, whole=True, wanted=None, chunk_size=None)
@example(layout=PartLayout.of_sizes([5, 0, 0, 7, 0]), by_number=True, whole=False, wanted=2, chunk_size=1)
@example(layout=PartLayout.of_sizes([LARGEST_PART] * 9_760), by_number=True, whole=False, wanted=None, chunk_size=1)
def test_chunks_of_parts_tile_the_object_and_never_cross_the_edge_of_a_part(
    layout: PartLayout, by_number: bool, whole: bool, wanted: int | None, chunk_size: int | None
) -> None:
    plan = plan_parts(layout, by_number=by_number, whole_parts=whole, connections=wanted, chunk_size=chunk_size)
    assert_tiles(plan, layout.size)
    assert len(plan.chunks) <= MAXIMUM_CHUNKS_ASKED + layout.count
    assert (plan.layout, plan.connections) == (layout, wanted)
    numbers = [chunk.part for chunk in plan.chunks]
    assert list(dict.fromkeys(numbers)) == list(range(1, layout.count + 1))
    assert numbers == sorted(number for number in numbers if number is not None)
    for chunk in plan.chunks:
        part = layout.span(chunk.part or 0)
        assert part.start <= chunk.span.start <= chunk.span.stop <= part.stop
        assert not (whole and chunk.span != part)
        if chunk.by_part_number:
            assert by_number
            assert chunk.span == part
            assert part.length > 0
        if by_number and chunk.span == part and part.length > 0:
            assert chunk.by_part_number
    assert plan.split == ("part" if any(chunk.by_part_number for chunk in plan.chunks) else "range")


@pytest.mark.fault("C16")
@settings(max_examples=10)
@given(seed=st.integers())
def test_ten_thousand_uneven_parts_are_planned_one_by_one(seed: int) -> None:
    source = Random(seed)
    sizes = [source.randint(0, LARGEST_PART) for _ in range(MAXIMUM_PARTS)]
    plan = plan_parts(PartLayout.of_sizes(sizes), by_number=True, whole_parts=True)
    assert_tiles(plan, sum(sizes))
    assert [chunk.span.length for chunk in plan.chunks] == sizes
    assert [chunk.part for chunk in plan.chunks] == list(range(1, MAXIMUM_PARTS + 1))
    assert [chunk.by_part_number for chunk in plan.chunks] == [size > 0 for size in sizes]


def test_parts_up_to_64_mib_are_asked_for_whole_and_larger_ones_are_cut() -> None:
    layout = PartLayout.of_sizes([LARGEST_CHUNK, LARGEST_CHUNK + 1, 3])
    plan = plan_parts(layout, by_number=True, whole_parts=False, chunk_size=40 * MIB)
    assert [(chunk.part, chunk.by_part_number, chunk.span.length) for chunk in plan.chunks] == [
        (1, True, LARGEST_CHUNK),
        (2, False, 40 * MIB),
        (2, False, LARGEST_CHUNK + 1 - 40 * MIB),
        (3, True, 3),
    ]
    assert plan.split == "part"


def test_a_plan_in_which_no_part_is_asked_for_by_number_is_one_of_ranges() -> None:
    layout = PartLayout.of_sizes([LARGEST_PART, LARGEST_PART])
    assert plan_parts(layout, by_number=True, whole_parts=False).split == "range"
    assert plan_parts(layout, by_number=False, whole_parts=True).split == "range"


@pytest.mark.parametrize(("size", "stop"), [(0, 0), (1, 1), (5 * TIB, 5 * TIB), (None, MAXIMUM_SIZE)])
def test_a_stream_is_one_chunk_from_front_to_back(size: int | None, stop: int) -> None:
    plan = plan_stream(size)
    assert (plan.size, plan.split, plan.connections, plan.layout) == (size, "stream", 1, None)
    assert [chunk.span for chunk in plan.chunks] == [Span(0, stop)]


@st.composite
def leftovers(draw: st.DrawFn) -> tuple[int, list[Span]]:
    """The size of an object, and spans of it that were kept: blocks in runs, with gaps, that end anywhere."""
    spans: list[Span] = []
    position = 0
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 20 * MIB), st.integers(1, 4 * MIB)), max_size=30)):
        start = position + draw(st.sampled_from([0, gap]))
        spans.append(Span(start, start + length))
        position = start + length
    return max(position + draw(st.integers(0, 30 * MIB)), 2 * SMALLEST_CHUNK), spans


@given(leftovers(), st.none() | st.integers(MIB, 64 * MIB))
@example((20 * MIB, [Span(0, 4 * MIB), Span(4 * MIB, 8 * MIB)]), MIB)
def test_a_plan_around_what_was_kept_uses_all_of_it(left: tuple[int, list[Span]], chunk_size: int | None) -> None:
    size, kept = left
    plan = plan_ranges(size, chunk_size=chunk_size)
    around = plan_around(plan, kept)
    assert_tiles(around, size)
    assert around.split == ("range" if len(around.chunks) > 1 else "stream")
    edges = {chunk.span.start for chunk in around.chunks}
    stops = {span.stop: span for span in kept}
    for span in kept:
        follows = span.start
        while follows not in edges:
            follows = stops[follows].start
        chunk = next(chunk for chunk in around.chunks if chunk.span.start == follows)
        assert span.stop <= chunk.span.stop
    longest = max(span.length for span in [*(chunk.span for chunk in plan.chunks), *kept])
    assert all(chunk.span.length <= longest for chunk in around.chunks)
    assert 0 <= around.lead <= len(around.chunks)


@pytest.mark.fault("X21")
@pytest.mark.parametrize("by_parts", [False, True])
def test_crumbs_that_no_download_leaves_do_not_cut_a_plan_into_a_chunk_for_each(by_parts: bool) -> None:
    size = 24 * MIB
    layout = PartLayout.of_sizes([8 * MIB] * 3)
    plan = plan_parts(layout, by_number=True, whole_parts=True) if by_parts else plan_ranges(size)
    crumbs = [Span(offset, offset + 1) for offset in range(0, 200_000, 2)]
    assert plan_around(plan, crumbs) is plan
    assert len(plan_around(plan, crumbs[:100]).chunks) > 100


@given(st.integers(2 * SMALLEST_CHUNK, GIB), st.integers(MIB, 64 * MIB), st.randoms(use_true_random=False))
def test_a_plan_that_can_use_all_that_was_kept_stays(size: int, chunk_size: int, random: Random) -> None:
    plan = plan_ranges(size, chunk_size=chunk_size)
    kept = [Span(chunk.span.start, chunk.span.stop) for chunk in plan.chunks if random.random() < 0.5]
    assert plan_around(plan, kept) is plan


@given(
    leftovers(), st.lists(st.integers(0, 40 * MIB), min_size=1, max_size=8), st.booleans(), st.none() | st.just(3 * MIB)
)
@example((20 * MIB, [Span(4 * MIB, 8 * MIB)]), [5 * MIB, 0, 5 * MIB], True, None)
def test_parts_are_cut_so_that_all_that_was_kept_is_used_and_no_chunk_leaves_its_part(
    left: tuple[int, list[Span]], sizes_of_parts: list[int], whole_parts: bool, chunk_size: int | None
) -> None:
    size, kept = left
    before_last = [part for part, stop in zip(sizes_of_parts, accumulate(sizes_of_parts), strict=True) if stop < size]
    layout = PartLayout.of_sizes([*before_last, size - sum(before_last)])
    plan = plan_parts(layout, by_number=True, whole_parts=whole_parts, chunk_size=chunk_size)
    around = plan_around(plan, kept)
    assert_tiles(around, size)
    assert around.layout is layout
    for chunk in around.chunks:
        assert chunk.part is not None
        part = layout.span(chunk.part)
        assert part.start <= chunk.span.start <= chunk.span.stop <= part.stop
        assert not chunk.by_part_number or chunk.span == part
        # Whatever there is of a chunk lies at its front, without a gap.
        near = [k for k in kept if k.start < chunk.span.stop and chunk.span.start < k.stop]
        held = [Span(max(k.start, chunk.span.start), min(k.stop, chunk.span.stop)) for k in near]
        assert [span.start for span in held] == [chunk.span.start, *(span.stop for span in held)][: len(held)]


def test_parts_of_which_all_that_was_kept_lies_in_front_stay_as_they_are() -> None:
    layout = PartLayout.of_sizes([5 * MIB] * 4)
    plan = plan_parts(layout, by_number=True, whole_parts=True)
    assert plan_around(plan, []) is plan
    assert plan_around(plan, [Span(0, 4 * MIB), Span(4 * MIB, 5 * MIB), Span(10 * MIB, 12 * MIB)]) is plan
    around = plan_around(plan, [Span(MIB, 2 * MIB)])
    assert [(chunk.part, chunk.by_part_number) for chunk in around.chunks][2:] == [
        (1, False),
        (2, True),
        (3, True),
        (4, True),
    ]


def test_a_stream_is_cut_only_around_what_does_not_lie_at_its_front() -> None:
    stream = plan_stream(20 * MIB)
    assert plan_around(stream, []) is stream
    assert plan_around(stream, [Span(0, MIB), Span(MIB, 2 * MIB)]) is stream
    around = plan_around(stream, [Span(MIB, 2 * MIB)])
    assert [chunk.span for chunk in around.chunks] == [Span(0, MIB), Span(MIB, 2 * MIB), Span(2 * MIB, 20 * MIB)]
    assert (around.split, around.connections) == ("range", 1)
    unknown = plan_stream(None)
    assert plan_around(unknown, [Span(MIB, 2 * MIB)]) is unknown


def test_given_spans_are_fetched_as_they_are_and_a_single_one_in_one_stream() -> None:
    first, second = Span(5, 10), Span(100, 130)
    assert plan_spans([], 4) == Plan(0, "stream", (), 1)
    assert plan_spans([first], 4) == Plan(5, "stream", (Chunk(0, first),), 1)
    assert plan_spans([first, second], 4) == Plan(35, "range", (Chunk(0, first), Chunk(1, second)), 4)
    assert plan_spans([first, second], None).connections is None
