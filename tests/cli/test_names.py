"""The file that a URL is saved as."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.cli.names import destinations, display_url, file_name
from fastget.errors import ConfigError, DestinationError, InvalidURL


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host/a/b.bin", "b.bin"),
        ("https://host/a/b.bin?X-Amz-Signature=secret#part", "b.bin"),
        ("https://host/a%20b.bin", "a b.bin"),
        ("HTTPS://host/%C3%BCber.bin", "über.bin"),
        ("https://host/a%2520b", "a%20b"),
        ("https://host/...", "..."),
        ("https://host/.hidden", ".hidden"),
        ("s3://bucket/folder/key.bin", "key.bin"),
        ("s3://bucket/a%20b", "a%20b"),
        ("s3://bucket/what?", "what?"),
    ],
)
def test_a_file_is_named_after_the_last_segment(url: str, expected: str) -> None:
    assert file_name(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://host",
        "https://host/",
        "https://host/folder/",
        "https://host/folder/.",
        "https://host/folder/..",
        "https://host/%2e%2e",
        "https://host/%2E%2E%2Fetc%2Fpasswd",
        "https://host/a%2Fb",
        "https://host/a%00b",
        "https://host/a%0Ab",
        "https://host/a%1B%5B31m",
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/folder/..",
        "s3://bucket/a\nb",
    ],
)
def test_a_url_that_names_no_plain_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        file_name(url)
    assert caught.value.hint == "name the file with -o FILE"


def test_text_without_a_scheme_is_no_url() -> None:
    with pytest.raises(InvalidURL, match="lacks a scheme"):
        file_name("host/a.bin")


@given(st.text(min_size=1))
def test_no_url_names_a_file_in_another_directory(segment: str) -> None:
    try:
        name = file_name(f"https://host/{quote(segment, safe='', errors='surrogatepass')}")
    except ConfigError:
        return
    assert Path("/folder", name).parent == Path("/folder")
    assert not {"/", "\0"} & set(name)
    assert name not in ("", ".", "..")


def test_several_urls_go_into_a_directory_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = destinations(["http://host/a", "http://host/b"], None, str(folder))
    assert paths == [str(folder / "a"), str(folder / "b")]
    assert folder.is_dir()


def test_without_a_directory_files_go_into_the_current_one() -> None:
    assert destinations(["http://host/a"], None, None) == ["a"]


def test_an_output_is_taken_as_it_is() -> None:
    assert destinations(["http://host/"], "x/y", None) == ["x/y"]
    assert destinations(["http://host/"], "-", None) == ["-"]


def test_a_file_that_is_called_dash_is_not_standard_output() -> None:
    assert destinations(["http://host/-"], None, None) == ["./-"]


@pytest.mark.parametrize(
    ("urls", "output", "directory", "message"),
    [
        (["http://host/a", "http://host/b"], "x", None, "several URLs"),
        (["http://host/a"], "x", "folder", "contradict"),
        (["http://host/1/a", "http://host/2/a"], None, None, "saved as a"),
    ],
)
def test_flags_that_cannot_be_meant_are_refused_before_anything_is_made(
    urls: list[str], output: str | None, directory: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        destinations(urls, output, directory)


def test_a_directory_that_cannot_be_made_is_a_destination_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError, match="cannot make the directory"):
        destinations(["http://host/a"], None, str(tmp_path / "file" / "folder"))


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@host/x?token=secret",
        "https://host/x?secret",
        "s3://key:secret@bucket/x?secret",
        "ftp://user:secret@host/x",
        "http://user:secret@host:port/x",
        "user:secret@host/x?secret",
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str) -> None:
    assert "secret" not in display_url(url)
    assert display_url(url).endswith(("/x", "/x?…"))
