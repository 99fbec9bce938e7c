"""Lists as aria2 reads them: a URL a line, and its options below it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.bulk.items import Item, Pause, from_lines, from_urls
from fastget.errors import ConfigError

MD5 = "md5=" + "0" * 32


def test_each_url_has_its_line_and_its_options() -> None:
    lines = [
        "\ufeffhttps://host/a\n",
        "# a remark\n",
        "\n",
        "  https-is-no-option-here=\n".replace("https-is-no-option-here=", "out=x/y z"),
        f"\t{MD5}\n".replace("md5", "checksum=md5"),
        "s3://bucket/b c\r\n",
        "https://host/c   ",
    ]
    assert list(from_lines(lines)) == [
        Item("https://host/a", "x/y z", checksum=MD5),
        Item("s3://bucket/b c"),
        Item("https://host/c"),
    ]


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["  out=x"], 1),
        (["https://host/a", "  split=4"], 2),
        (["https://host/a", "  out"], 2),
        (["https://host/a", "  out="], 2),
        (["https://host/a", "", "x" * 70_000], 3),
        (["s3://bucket/a", "https://host/a\thttps://mirror/a"], 2),
        (["https://host/a", "\0 \0o\0u\0t\0"], 2),
    ],
)
def test_a_line_that_means_nothing_is_named(lines: list[str], number: int) -> None:
    with pytest.raises(ConfigError, match=f"line {number} "):
        list(from_lines(lines))


def test_a_list_of_another_form_is_told_as_that() -> None:
    for line in ("\udcff\udcfeh\0t\0t\0p\0", "https://host/a\0" * 10_000):
        with pytest.raises(ConfigError, match="line 1 of the list holds a NUL") as caught:
            list(from_lines([line]))
        assert "UTF-8" in (caught.value.hint or "")


def test_an_indented_remark_is_a_remark() -> None:
    assert list(from_lines(["https://host/a", "  # later:", "  #out=x", "  out=y"])) == [Item("https://host/a", "y")]


def test_a_digest_that_cannot_be_read_is_refused_by_its_line() -> None:
    with pytest.raises(ConfigError, match="line 2 "):
        list(from_lines(["https://host/a", "  checksum=md5=12"]))


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=20), max_size=6))
def test_no_list_fails_otherwise(lines: list[str]) -> None:
    try:
        items = list(from_lines(lines))
    except ConfigError:
        return
    assert all(isinstance(item, Item) and item.url and not item.url[0].isspace() for item in items)


def test_a_pause_is_passed_on_and_its_url_still_has_its_options() -> None:
    lines = ["https://host/a", None, "  out=b"]
    assert list(from_urls(from_lines(lines))) == [Pause(), Item("https://host/a", "b")]


def test_urls_come_alone_or_with_a_name() -> None:
    assert list(from_urls(["u", ("v", "n"), Item("w")])) == [Item("u"), Item("v", "n"), Item("w")]


@pytest.mark.parametrize("given_", [3, None, ("u",), ("u", 3), b"u"])
def test_what_is_no_url_is_refused(given_: Any) -> None:
    with pytest.raises(ConfigError):
        list(from_urls([given_]))


def test_no_secret_is_printed() -> None:
    assert "hunter2" not in repr(Item("https://me:hunter2@host/a?sig=hunter2"))
