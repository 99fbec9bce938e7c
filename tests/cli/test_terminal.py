"""What may be shown, and where a bar may be drawn."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.cli.terminal import can_animate, printable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.fault("S10")
@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in shown)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f"),
        ("\x9b", "\\x9b"),
        ("\u202e", "\\u202e"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_an_escape_names_the_character(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"FASTGET_NO_PROGRESS": "1"}, False),
        ({"FASTGET_NO_PROGRESS": ""}, True),
        ({"NO_COLOR": "1"}, True),
    ],
)
def test_a_bar_is_drawn_on_a_terminal_unless_it_is_declined(environ: dict[str, str], expected: bool) -> None:
    assert can_animate(Terminal(), environ) is expected
    assert not can_animate(io.StringIO(), environ)
