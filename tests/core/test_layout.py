"""Layouts: what an honest store says about parts, and every known way of saying it wrong (wire-spec.md §3)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.layout import MAXIMUM_PARTS, PartAnswer, PartLayout, read_part_answer
from fastget.core.objectinfo import Pin
from fastget.core.ranges import Span

if TYPE_CHECKING:
    from tests.core.conftest import Answer

part_sizes = st.lists(st.integers(0, 5 * 2**30), min_size=1, max_size=50)
PIN = Pin('"object-3"', None, None, 250)
HONEST = {"Content-Range": "bytes 0-99/250", "x-amz-mp-parts-count": "3", "ETag": '"object-3"'}


@given(sizes=part_sizes)
def test_a_layout_of_sizes_gives_every_part_its_place(sizes: list[int]) -> None:
    layout = PartLayout.of_sizes(sizes)
    spans = [layout.span(number) for number in range(1, layout.count + 1)]
    assert layout.is_proven
    assert (layout.count, layout.size) == (len(sizes), sum(sizes))
    assert [span.length for span in spans] == sizes
    assert spans[0].start == 0
    assert all(one.stop == other.start for one, other in pairwise(spans))


@given(first=st.integers(1, 5 * 2**30), count=st.integers(1, MAXIMUM_PARTS), data=st.data())
def test_a_uniform_layout_has_parts_of_one_size_but_for_the_last(first: int, count: int, data: st.DataObject) -> None:
    last = data.draw(st.integers(1, first))
    size = first * (count - 1) + last
    layout = PartLayout.uniform(size, first if count > 1 else last, count)
    assert layout is not None
    assert (layout.count, layout.size) == (count, size)
    assert {layout.span(number).length for number in range(1, count)} <= {first}
    assert layout.span(count).length == last
    assert layout.is_proven == (count <= 2)


@pytest.mark.parametrize(
    ("size", "first", "count"),
    [
        (250, 100, 2),  # a third part would be needed
        (250, 100, 4),  # and no fourth one
        (250, 0, 1),
        (250, -1, 3),
        (250, 251, 1),  # larger than the object
        (250, 249, 1),
        (250, 100, 0),
        (250, 100, -3),
        (0, 0, 1),
        (MAXIMUM_PARTS + 1, 1, MAXIMUM_PARTS + 1),
        (10**9, 1, 10**9),  # what a hostile server may claim (faults.md A8)
    ],
)
def test_a_first_part_that_cannot_give_so_many_makes_no_uniform_layout(size: int, first: int, count: int) -> None:
    assert PartLayout.uniform(size, first, count) is None


def test_an_answer_that_proves_itself_tells_where_the_part_lies(answer: Answer) -> None:
    head = answer(206, *HONEST.items())
    assert read_part_answer(head, PIN) == PartAnswer(Span(0, 100), 250, 3)
    last = answer(206, *(HONEST | {"Content-Range": "bytes 200-249/250"}).items())
    assert read_part_answer(last, PIN) == PartAnswer(Span(200, 250), 250, 3)


@pytest.mark.parametrize(
    ("status", "changed"),
    [
        pytest.param(200, {}, id="moto and SeaweedFS answer a HEAD with 200"),
        pytest.param(200, {"Content-Range": None, "x-amz-mp-parts-count": None}, id="rclone ignores the part number"),
        pytest.param(404, {}, id="an error with the fields of a part"),
        pytest.param(416, {"Content-Range": "bytes */250"}, id="no such part"),
        pytest.param(206, {"Content-Range": None}, id="Ceph sends no Content-Range"),
        pytest.param(206, {"Content-Range": "bytes 0--1/0"}, id="moto and LocalStack on an empty object"),
        pytest.param(206, {"Content-Range": "bytes */250"}, id="a Content-Range without a span"),
        pytest.param(206, {"Content-Range": "bytes 0-99/*"}, id="a Content-Range without a total"),
        pytest.param(206, {"Content-Range": "bytes 0-99/251"}, id="another total"),
        pytest.param(206, {"Content-Range": "bytes 0-99"}, id="a malformed Content-Range"),
        pytest.param(206, {"x-amz-mp-parts-count": None}, id="not a multipart object"),
        pytest.param(206, {"x-amz-mp-parts-count": "0"}, id="no parts"),
        pytest.param(206, {"x-amz-mp-parts-count": "-3"}, id="a negative count"),
        pytest.param(206, {"x-amz-mp-parts-count": "three"}, id="a count in words"),
        pytest.param(206, {"x-amz-mp-parts-count": "3.0"}, id="a broken count"),
        pytest.param(206, {"x-amz-mp-parts-count": "³"}, id="a count in other digits"),
        pytest.param(206, {"x-amz-mp-parts-count": "10001"}, id="more parts than S3 allows"),
        pytest.param(206, {"x-amz-mp-parts-count": "0100003"}, id="a count that is only small when it is cut"),
        pytest.param(206, {"x-amz-mp-parts-count": "1000000000"}, id="a count to exhaust memory with"),
        pytest.param(206, {"ETag": '"part-1"'}, id="moto and old SeaweedFS send the part's ETag"),
        pytest.param(206, {"ETag": None}, id="no ETag"),
        pytest.param(206, {"ETag": "object-3"}, id="the ETag without its quotes"),
    ],
)
def test_an_answer_that_misses_one_proof_proves_nothing(
    answer: Answer, status: int, changed: dict[str, str | None]
) -> None:
    fields = [(name, value) for name, value in (HONEST | changed).items() if value is not None]
    assert read_part_answer(answer(status, *fields), PIN) is None


@pytest.mark.parametrize("name", list(HONEST))
def test_a_field_that_comes_twice_proves_nothing(answer: Answer, name: str) -> None:
    assert read_part_answer(answer(206, *HONEST.items(), (name, HONEST[name])), PIN) is None


def test_without_an_etag_to_hold_on_to_nothing_is_proven(answer: Answer) -> None:
    fields = [(name, value) for name, value in HONEST.items() if name != "ETag"]
    assert read_part_answer(answer(206, *fields), Pin(None, "version", None, 250)) is None
