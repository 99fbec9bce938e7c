"""Sixty keys that lead elsewhere, or into one another: each is a plain file, or refused by name (faults.md S1 - S9)."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.bulk.folder import Folder
from fastget.errors import ProtocolError
from fastget.testing import ObjectServer
from fastget.testing.answer import document
from fastget.testing.received import ReceivedRequest

ServeBucket = Callable[..., ObjectServer]

CLIMBING = ["../x", "a/../../x", "..", "a/..", "../out2/x", "../../../x", "./x", "a/./x", ".", "../canary", "a/../b"]
ABSOLUTE = ["/abs", "//x", "/etc/passwd", "C:\\x", "\\\\srv\\x", "..\\win", "c:x", "a:b", "a\\b", "Z:", "a//b", "//"]
CONTROL = ["a\nb", "a\tb", "esc\x1b[31m", "del\x7f", "c1\x85", "a\rb", "bell\x07", "ls\u2028x", "ps\u2029x"]
LONG = ["x" * 256, "é" * 200, "/".join("d" for _ in range(500)), "x" * 1024, "d/" * 200 + "x"]
OWN = [".a.fastget-journal", "d/.a.0123456789ab.fastget-part", ".fastget-journal"]
REFUSED = [*CLIMBING, *ABSOLUTE, *CONTROL, *LONG, *OWN]
HARMLESS = [
    "plain",
    "...",
    "..x",
    "x..",
    ".hidden",
    "-rf",
    "--help",
    "~",
    "~root/x",
    "$HOME",
    "a b",
    "a%2e%2e%2fb",
    "%2e%2e/x",
    "q?x=1#y",
    "CON",
    "aux.txt",
    "trailing.",
    "ab:c",
    "ü/日本",
    "\U0001f600",
    "x" * 255,
]


def pull(server: ObjectServer, directory: Path, **more: Any) -> fastget.PullResult:
    return fastget.pull("s3://b", directory, endpoint_url=server.base_url, region="us-east-1", fsync=False, **more)


def everything(root: Path) -> set[str]:
    """Every name below, directories but for empty ones of the path to the destination included."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


@pytest.mark.fault("S1", "S2", "S3", "S4", "S8", "S10")
def test_sixty_hostile_keys_make_plain_files_or_failures(
    serve_bucket: ServeBucket, directory: Path, tmp_path: Path
) -> None:
    keys = [*REFUSED, *HARMLESS]
    assert len(keys) >= 60
    (tmp_path / "canary").write_bytes(b"alive")
    server = serve_bucket({key: key.encode() for key in keys})
    result = pull(server, directory)
    found = {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
    assert found == {key: key.encode() for key in HARMLESS}
    assert result.done == len(HARMLESS)
    assert result.failed == len(REFUSED)
    assert not any(character in failure.url for failure in result.failures for character in "\n\r\x1b")
    outside = everything(tmp_path) - {"canary", "a", "a/b", "a/b/out"}
    assert all(name.startswith("a/b/out/") for name in outside)
    assert (tmp_path / "canary").read_bytes() == b"alive"


@pytest.mark.fault("S1")
def test_a_directory_whose_name_begins_alike_is_not_below(serve_bucket: ServeBucket, tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    server = serve_bucket({"../ab/x": b"1", "ok": b"2"})
    result = pull(server, tmp_path / "a")
    assert (result.done, result.failed) == (1, 1)
    assert everything(tmp_path) == {"ab", "a", "a/ok"}


@pytest.mark.fault("S5")
@pytest.mark.parametrize("pair", [("A", "a"), ("é", "e\u0301"), ("d/X", "D/x")])
def test_keys_that_a_file_system_takes_for_one_are_one_file_and_one_failure(
    serve_bucket: ServeBucket, directory: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str]
) -> None:
    monkeypatch.setattr(Folder, "folds_names", lambda _: True)
    server = serve_bucket({key: key.encode() for key in pair})
    result = pull(server, directory)
    assert (result.done, result.failed) == (1, 1)
    assert "another object has the same name" in result.failures[0].error.message
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [min(pair, key=str.encode).encode()]


def test_a_key_whose_file_would_stand_where_a_directory_is_gets_a_hint_that_a_pull_can_follow(
    serve_bucket: ServeBucket, directory: Path
) -> None:
    (directory / "x").mkdir(parents=True)
    result = pull(serve_bucket({"x": b"1"}), directory)
    assert [failure.error.message for failure in result.failures] == [f"{directory / 'x'} is a directory"]
    assert (result.failures[0].error.hint or "").startswith("move it away, or download the object alone")


@pytest.mark.fault("S5")
def test_a_file_system_that_keeps_names_apart_has_both(serve_bucket: ServeBucket, directory: Path) -> None:
    directory.mkdir(parents=True)
    with Folder(directory) as folder:
        if folder.folds_names():
            pytest.skip("this file system folds names")
    assert not list(directory.iterdir())
    server = serve_bucket({"A": b"1", "a": b"2"})
    assert pull(server, directory).done == 2


@pytest.mark.fault("S6")
def test_a_directory_that_is_read_only_has_both_still(
    serve_bucket: ServeBucket, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve_bucket({"A": b"1", "a": b"2"})
    assert pull(server, directory).done == 2
    opened = os.open

    def read_only(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", read_only)
    result = pull(server, directory)
    assert (result.done, result.skipped, result.failed) == (2, 2, 0)


def test_an_empty_directory_that_is_read_only_may_take_two_names_for_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Folder(directory) as folder:
        monkeypatch.setattr("fastget.bulk.folder._PROBE", "no/such/directory")
        assert folder.folds_names()
        (directory / "Name").touch()
        assert not folder.folds_names()


def test_a_key_that_is_a_file_and_a_directory_is_one_of_them(serve_bucket: ServeBucket, directory: Path) -> None:
    server = serve_bucket({"a": b"1", "a/b": b"2", "dir/": b"", "full/": b"bytes"})
    result = pull(server, directory)
    assert result.done == 1
    assert {failure.url for failure in result.failures} < {"s3://b/a", "s3://b/a/b", "s3://b/full/"}
    assert result.failed == 2
    assert not (directory / "dir").exists()


@pytest.mark.fault("S7")
@pytest.mark.parametrize("key", ["link/x", "deep/link/x", "link/more/x"])
def test_a_planted_link_to_a_directory_leads_nowhere(
    serve_bucket: ServeBucket, directory: Path, tmp_path: Path, key: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = directory / key.partition("link")[0]
    place.mkdir(parents=True)
    (place / "link").symlink_to(outside)
    server = serve_bucket({key: b"1", "ok": b"2"})
    result = pull(server, directory)
    assert (result.done, result.failed) == (1, 1)
    assert "symbolic link" in result.failures[0].error.message
    assert not list(outside.iterdir())


@pytest.mark.fault("S7")
def test_a_planted_link_in_the_place_of_a_file_is_replaced(
    serve_bucket: ServeBucket, directory: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    directory.mkdir(parents=True)
    (directory / "a").symlink_to(victim)
    pull(serve_bucket({"a": b"1"}), directory)
    assert victim.read_bytes() == b"precious"
    assert not (directory / "a").is_symlink()
    assert (directory / "a").read_bytes() == b"1"


@pytest.mark.fault("S7")
def test_a_link_that_is_planted_meanwhile_leads_nowhere(directory: Path, tmp_path: Path) -> None:
    """A racer swaps a directory for a link, again and again, while files go there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    stop = threading.Event()

    def race() -> None:
        while not stop.is_set():
            try:
                (directory / "d").rename(tmp_path / "aside")
                (directory / "d").symlink_to(outside)
                (directory / "d").unlink()
                (tmp_path / "aside").rename(directory / "d")
            except OSError:
                continue

    (directory / "d").mkdir(parents=True)
    racer = threading.Thread(target=race)
    racer.start()
    try:
        for _ in range(300):
            with Folder(directory) as folder:
                try:
                    with folder.directory("d") as there:
                        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=there.descriptor))
                except OSError:  # a DestinationError is one
                    continue
    finally:
        stop.set()
        racer.join()
    assert not list(outside.iterdir())


@pytest.mark.fault("S9")
def test_a_listing_that_names_other_keys_ends_the_pull(directory: Path) -> None:
    entry = "<Contents><Key>elsewhere/x</Key><Size>1</Size></Contents>"
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entry}</ListBucketResult>"

    def listing(request: ReceivedRequest) -> Any:
        return document(200, page.encode()) if request.parameter("list-type") else None

    with ObjectServer({}, operations=[listing]) as server, pytest.raises(ProtocolError):
        fastget.pull("s3://b/data/", directory, endpoint_url=server.base_url, region="us-east-1", no_sign_request=True)
    assert not list(directory.iterdir())
