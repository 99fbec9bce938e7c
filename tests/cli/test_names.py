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


@pytest.mark.fault("S1", "S3")
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
        "https://host/a%5Cb",
        "s3://bucket/folder/..",
        "s3://bucket/a\nb",
    ],
)
def test_a_url_that_names_no_plain_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        file_name(url)
    assert caught.value.hint == "name the file with -o FILE"


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/a"])
def test_a_bucket_alone_lacks_a_key_and_not_a_file_name(url: str) -> None:
    with pytest.raises(InvalidURL, match="names a bucket, not an object") as caught:
        file_name(url)
    assert (caught.value.hint or "").startswith("write it as s3://bucket/key")


def test_text_without_a_scheme_is_no_url() -> None:
    with pytest.raises(InvalidURL, match="lacks a scheme") as caught:
        file_name("host/a.bin")
    assert caught.value.url == "host/a.bin"
    assert "-d DIR" in (caught.value.hint or "")


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/images/"])
def test_a_prefix_is_told_to_be_for_pull(url: str) -> None:
    with pytest.raises((InvalidURL, ConfigError)) as caught:
        file_name(url)
    assert "fastget pull" in (caught.value.hint or "")


@pytest.mark.parametrize("url", ["host/a?X-Amz-Signature=secret", "http://user:sec/ret@h/secret", "user:secret@host/x"])
def test_a_url_that_cannot_be_read_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        file_name(url)
    assert "sec" not in f"{caught.value} {caught.value.hint} {caught.value.url}"


@pytest.mark.fault("S1", "S2")
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


def test_a_directory_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="'' is not the name of a directory"):
        destinations(["http://h/a.bin"], None, "")


def test_a_directory_that_cannot_be_made_is_a_destination_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError, match="cannot make the directory"):
        destinations(["http://host/a"], None, str(tmp_path / "file" / "folder"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/x?token=secret", "https://host/x?…"),
        ("https://host/x?secret", "https://host/x?…"),
        ("https://host/x#secret", "https://host/x"),
        ("s3://bucket/folder/x", "s3://bucket/folder/x"),
        ("host/x?secret", "host/x"),
        ("host/x#secret", "host/x"),
        ("s3://bucket", "s3://bucket"),
        ("http://host:port/x?secret", "http://host:port/x"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert display_url(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:sec/ret@h/x", "http://…"),
        ("http://user:sec?ret@h/x", "http://…"),
        ("HTTPS://user:secret@host:port/x", "https://…"),
        ("s3://key:secret@bucket/x", "s3://…"),
        ("s3://key:sec/ret@bucket/x", "s3://…"),
        ("ftp://user:sec/ret@host/x", "ftp://…"),
        ("user:secret@host/x", "…"),
        ("user:sec/ret@host/x?u=https://other", "…"),
        ("http:/user:sec/ret@host/x", "…"),
    ],
)
def test_of_a_url_that_cannot_be_read_only_the_scheme_is_shown(url: str, shown: str) -> None:
    assert display_url(url) == shown
