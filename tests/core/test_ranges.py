"""Spans and Content-Range: exact round trips, and nothing read into a header that it does not say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.ranges import MAXIMUM_SIZE, ContentRange, Span

offsets = st.integers(0, MAXIMUM_SIZE)


@st.composite
def placed(draw: st.DrawFn) -> tuple[int, int, int]:
    """Start, stop and total of a span that is not empty and lies inside."""
    start, stop, total = sorted(draw(st.lists(offsets, min_size=3, max_size=3)))
    return (start, stop, total) if start < stop else (0, total, total)


@given(one=offsets, other=offsets)
def test_a_span_knows_its_length(one: int, other: int) -> None:
    start, stop = sorted((one, other))
    assert Span(start, stop).length == stop - start


@pytest.mark.parametrize(("start", "stop"), [(-1, 0), (2, 1), (-2, -1)])
def test_what_is_no_span_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="not a span"):
        Span(start, stop)


def test_the_wire_counts_the_last_byte_in() -> None:
    assert Span(0, 1).header == "bytes=0-0"
    assert Span(500, 1000).header == "bytes=500-999"
    with pytest.raises(ValueError, match="empty"):
        _ = Span(7, 7).header


@given(where=placed().filter(lambda found: found[0] < found[1]))
def test_a_content_range_reads_back_as_it_was_written(where: tuple[int, int, int]) -> None:
    start, stop, total = where
    assert ContentRange.parse(f"bytes {start}-{stop - 1}/{total}") == ContentRange(Span(start, stop), total)
    assert ContentRange.parse(f"bytes {start}-{stop - 1}/*") == ContentRange(Span(start, stop), None)
    assert ContentRange.parse(f"bytes */{total}") == ContentRange(None, total)


@pytest.mark.fault("H12")
@given(numbers=st.lists(st.integers(-2, 2**65), min_size=3, max_size=3))
def test_whatever_numbers_it_holds_it_is_refused_or_lies_inside_of_its_total(numbers: list[int]) -> None:
    first, last, total = numbers
    found = ContentRange.parse(f"bytes {first}-{last}/{total}")
    if 0 <= first <= last < total <= MAXIMUM_SIZE:
        assert found == ContentRange(Span(first, last + 1), total)
    else:
        assert found is None


@given(text=st.one_of(st.text(), st.from_regex(r"bytes [0-9*-]{0,6}/[0-9*]{0,3}", fullmatch=True)))
def test_any_text_is_read_exactly_or_not_at_all(text: str) -> None:
    found = ContentRange.parse(text)
    if found is not None:
        place = "*" if found.span is None else f"{found.span.start}-{found.span.stop - 1}"
        said = text.strip(" \t").lower()
        normal = f"bytes {place}/{'*' if found.total is None else found.total}"
        assert [part.lstrip("0") for part in _parts(said)] == [part.lstrip("0") for part in _parts(normal)]


def _parts(text: str) -> list[str]:
    return text.replace("/", " ").replace("-", " ").split(" ")


def test_the_name_of_the_unit_knows_no_case() -> None:
    assert ContentRange.parse("Bytes 0-1/2") == ContentRange(Span(0, 2), 2)


@pytest.mark.fault("H12")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes ",
        "bytes 0-1",
        "bytes 0-1/",
        "bytes=0-1/2",
        "bytes  0-1/2",
        "bytes 0 - 1/2",
        "bytes 0-1 /2",
        "0-1/2",
        "items 0-1/2",
        "bytes 1-0/2",
        "bytes 0-2/2",
        "bytes 5-9/5",
        "bytes 0-0/0",
        "bytes 0--1/0",
        "bytes -1-0/2",
        "bytes -0/2",
        "bytes +0-1/2",
        "bytes 0x0-1/2",
        "bytes 0-1/2, bytes 2-3/4",
        "bytes 0-1,3-4/9",
        "bytes */*",
        "bytes 0-*/2",
        "bytes */-1",
        "bytes 0-18446744073709551615/18446744073709551616",
        "bytes 0-1/9223372036854775808",
        "bytes 0-9223372036854775807/*",
        "bytes */9999999999999999999",
        "bytes 0-1/99999999999999999999",
        "bytes 0-1/2\xa0",
        "bytes \u0660-\u0661/\u0662",
        "bytes 0-1/2\n",
    ],
)
def test_a_malformed_content_range_is_refused(text: str) -> None:
    assert ContentRange.parse(text) is None
