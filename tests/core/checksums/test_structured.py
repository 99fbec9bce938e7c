"""Dictionaries of byte sequences, read as RFC 9651 has them read."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.checksums.structured import byte_sequences, decode_base64

# The content and digests of RFC 9530 §1.2 and §2: {"hello": "world"} and a line feed.
HELLO = b'{"hello": "world"}\n'
HELLO_SHA256 = "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="


def test_the_example_of_rfc_9530_is_read() -> None:
    found = byte_sequences([f"sha-256=:{HELLO_SHA256}:"])
    assert found == {"sha-256": hashlib.sha256(HELLO).digest()}


@pytest.mark.parametrize(
    "lines",
    [
        ["a=:YQ==:,b=:Yg==:"],
        ["a=:YQ==:, \t b=:Yg==:"],
        ["a=:YQ==:", "b=:Yg==:"],
        ["  a=:YQ==:,b=:Yg==:  "],
        ['a=:YQ==:;q;*w="x,y\\"";v=?1, b=:Yg==:'],
        ["a=1.5, a=:YQ==:, b=:Yg==:"],
        ["a=:eHg=:, b=:Yg==:, a=:YQ==:"],
        ["a=:YQ==:, b=:Yg==:, c=?1, d, e=@-1, f=tok/en:*, g=-17, h=12.125, *i.-_=()"],
        ['a=:YQ==:, b=:Yg==:, c=( 1 "x" :eHg=:;p=2 tok );q, d=%"caf%c3%a9"'],
    ],
)
def test_every_way_to_write_the_same_members_is_read(lines: list[str]) -> None:
    assert byte_sequences(lines) == {"a": b"a", "b": b"b"}


@pytest.mark.parametrize(
    "broken",
    [
        "a=:YQ==",
        "a=YQ==",
        "a=:YQ==:,",
        ",a=:YQ==:",
        "a=:YQ==:,,b=:Yg==:",
        "a=:YQ==: b=:Yg==:",
        "a=:YQ==:; q=",
        "a=:YQ==:;Q=1",
        "a =:YQ==:",
        "a= :YQ==:",
        "A=:YQ==:",
        "1=:YQ==:",
        "a=:YQ:",
        "a=:Y!==:",
        "a=:YQ==YQ==:",
        "a=:YQ-_:",
        "a=:YQ==:, b=1234567890123456",
        "a=:YQ==:, b=1.2345",
        "a=:YQ==:, b=1.",
        "a=:YQ==:, b=?2",
        'a=:YQ==:, b="unclosed',
        'a=:YQ==:, b="\\n"',
        "a=:YQ==:, b=(1",
        "a=:YQ==:, b=(1(2))",
        'a=:YQ==:, b=(1"x")',
        'a=:YQ==:, b=%"%C3"',
        "a=:YQ==:, b=\u00e9",
        "a=:YQ==:\n",
        "\u00a0a=:YQ==:",
    ],
)
def test_a_field_that_breaks_the_syntax_anywhere_gives_nothing(broken: str) -> None:
    assert byte_sequences([broken]) == {}


def test_the_last_of_repeated_keys_counts_even_if_it_is_no_byte_sequence() -> None:
    assert byte_sequences(["a=:YQ==:", "a=:Yg==:"]) == {"a": b"b"}
    assert byte_sequences(["a=:YQ==:, a=7"]) == {}


@pytest.mark.parametrize("lines", [[], [""], ["   "]])
def test_a_field_without_members_gives_nothing(lines: list[str]) -> None:
    assert byte_sequences(lines) == {}


@given(
    members=st.dictionaries(
        st.from_regex(r"[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True), st.binary(max_size=70), max_size=5
    )
)
def test_what_is_written_is_read_back(members: dict[str, bytes]) -> None:
    field = ", ".join(f"{key}=:{base64.b64encode(value).decode()}:" for key, value in members.items())
    assert byte_sequences([field]) == members


@given(lines=st.lists(st.text(alphabet=st.sampled_from('ab=:,;()"\\ \t%?@.-*19YQ/+é\0\n')), max_size=4))
def test_no_text_makes_the_reading_fail(lines: list[str]) -> None:
    found = byte_sequences(lines)
    assert all(isinstance(value, bytes) for value in found.values())


@pytest.mark.parametrize(
    "hostile",
    [
        "a=(" + " " * 200_000,
        "a=(" + "1 " * 100_000,
        "a=(" + ":YQ==: " * 50_000 + "!",
        'a="' + "\\\\" * 100_000,
        "a=1" + ";a" * 100_000 + "!",
        "a=1" + "; " * 100_000,
        "a=1" + " " * 200_000 + "!",
        "a=1," * 50_000,
        "a=" + "9" * 200_000,
        "a=:" + "A" * 200_001 + ":",
        "a" * 200_000 + "!",
    ],
    ids=lambda text: text[:8],
)
def test_long_hostile_fields_are_refused_in_one_pass(hostile: str) -> None:
    assert byte_sequences([hostile]) == {}


@given(value=st.binary(max_size=80))
def test_base64_is_read_back(value: bytes) -> None:
    assert decode_base64(base64.b64encode(value).decode()) == value


@pytest.mark.parametrize(
    "text", ["Y", "YQ", "YQ=", "YQ===", "=YQ=", "Y Q==", "YQ==\n", "YQ==YQ==", "Y-_=", "é===", "YQ==-3"]
)
def test_anything_else_is_no_base64(text: str) -> None:
    assert decode_base64(text) is None
