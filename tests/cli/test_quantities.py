"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.cli.quantities import count_text, percent_text, rate_text, seconds_text, share_text, size_text
from fastget.config import parse_size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1024, "1.00 KiB"),
        (1536 * 1024, "1.50 MiB"),
        (64 * 1024**2, "64.0 MiB"),
        (640 * 1024**2, "640 MiB"),
        (5 * 1024**4, "5.00 TiB"),
        (2**63 - 1, "8.00 EiB"),
    ],
)
def test_sizes_have_three_digits_and_their_unit(size: int, expected: str) -> None:
    assert size_text(size) == expected


@given(st.integers(0, 2**49))
def test_a_size_that_is_read_back_is_nearly_the_same(size: int) -> None:
    text = size_text(size)
    assert len(text) <= len("0.98 KiB")
    assert abs(parse_size(text) - size) <= size * 0.01 + 1


def test_a_share_names_a_common_unit_once() -> None:
    assert share_text(12 * 1024**2, 64 * 1024**2) == "12.0 of 64.0 MiB"
    assert share_text(900 * 1024, 64 * 1024**2) == "900 KiB of 64.0 MiB"
    assert share_text(5, 5) == "5 of 5 B"


def test_rates_are_sizes_a_second() -> None:
    assert rate_text(1.25 * 1024**3) == "1.25 GiB/s"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1.0, "0.00 s"),
        (0.0, "0.00 s"),
        (0.043, "0.04 s"),
        (0.1, "0.1 s"),
        (3.14, "3.1 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3600 * 2 + 190, "2 h 03 min"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, expected: str) -> None:
    assert seconds_text(seconds) == expected


def test_nouns_agree_with_their_numbers() -> None:
    assert count_text(1, "connection") == "1 connection"
    assert count_text(8, "connection") == "8 connections"
    assert count_text(2, "retry", "retries") == "2 retries"


def test_only_the_whole_is_a_hundred_percent() -> None:
    assert percent_text(0.999999) == "99%"
    assert percent_text(1.0) == "100%"
    assert percent_text(0.0) == "0%"
