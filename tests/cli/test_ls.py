"""`fastget ls`: a line for each key, for people and for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess, Popen
from typing import Any

import pytest

from fastget.cli.ls import Style, entry_text
from fastget.core.objectinfo import ObjectInfo
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject
from fastget.testing.answer import Answer, document
from fastget.testing.operations.listing import DeleteMarker, Listing
from fastget.testing.received import ReceivedRequest

Run = Callable[..., "CompletedProcess[bytes]"]
Start = Callable[..., "Popen[bytes]"]
Serve = Callable[..., ObjectServer]

STORED = StoredObject(Content.generated(2048), checksum=Algorithm.CRC64NVME)
OBJECTS = {f"/b/{key}": STORED for key in ("a.txt", "dir/b.txt", "dir/sub/c.txt", "esc\x1b[31m")}
SECRETS = {"AWS_ACCESS_KEY_ID": "AKIAMARKED", "AWS_SECRET_ACCESS_KEY": "marked", "TZ": "UTC"}


@pytest.fixture
def ls(run: Run, serve: Serve) -> Callable[..., CompletedProcess[bytes]]:
    """ls(arguments…): the command on a server that lists in pages of two."""

    def listed(*arguments: str, objects: Any = None) -> CompletedProcess[bytes]:
        server = serve({}, operations=[Listing(objects or OBJECTS, page_size=2)])
        return run("ls", *arguments, "--endpoint-url", server.base_url, env=SECRETS)

    return listed


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_an_entry_looks_as_the_aws_command_shows_it() -> None:
    info = ObjectInfo("s3://b/d/k", 1536, last_modified="2026-03-02T10:20:30.000Z", key="d/k", version_id="v")
    assert entry_text(info, Style()) == "2026-03-02 10:20:30       1536 d/k"
    assert entry_text(info, Style("d/", human=True)) == "2026-03-02 10:20:30   1.50 KiB k"
    assert entry_text(info, Style(versions=True)) == "2026-03-02 10:20:30       1536 v d/k"
    marker = ObjectInfo("s3://b/k", None, key="k", version_id="m", is_delete_marker=True)
    assert entry_text(marker, Style(versions=True)).split() == ["deleted", "m", "k"]
    prefix = ObjectInfo("s3://b/d/", None, key="d/", is_prefix=True)
    assert entry_text(prefix, Style()) == "                           PRE d/"


@pytest.mark.parametrize(
    ("zone", "time_of_store", "shown"),
    [("EST5", "0001-01-01T00:00:00Z", "1-01-01 00:00:00"), ("JST-9", "9999-12-31T23:59:59Z", "9999-12-31 23:59:59")],
)
def test_a_time_that_no_calendar_has_here_is_shown_as_the_store_says_it(
    monkeypatch: pytest.MonkeyPatch, zone: str, time_of_store: str, shown: str
) -> None:
    with monkeypatch.context() as variables:
        variables.setenv("TZ", zone)
        time.tzset()
        text = entry_text(ObjectInfo("s3://b/k", 1, last_modified=time_of_store, key="k"), Style())
    time.tzset()
    assert shown in text


def test_one_level_is_listed_by_default(ls: Run) -> None:
    outcome = ls("s3://b/dir/")
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert outcome.stdout.decode().splitlines() == [
        "2026-03-02 10:20:30       2048 b.txt",
        "                           PRE sub/",
    ]
    assert [line.split()[-1] for line in ls("s3://b").stdout.decode().splitlines()] == ["a.txt", "dir/", "esc\\x1b[31m"]


def test_everything_is_listed_with_whole_names_on_demand(ls: Run) -> None:
    lines = ls("-r", "s3://b/dir").stdout.decode().splitlines()
    assert [line.split()[-1] for line in lines] == ["dir/b.txt", "dir/sub/c.txt"]
    assert ls("-r", "--start-after", "dir/b.txt", "s3://b").stdout.count(b"\n") == 2
    summed = ls("s3://b", "--delimiter", ".").stdout.decode().splitlines()
    assert [line.split()[-1] for line in summed] == ["a.", "dir/b.", "dir/sub/c.", "esc\\x1b[31m"]


def test_json_is_a_line_for_each_entry(ls: Run) -> None:
    lines = [json.loads(line) for line in ls("s3://b", "--json").stdout.splitlines()]
    assert [(line["event"], line["key"], line["is_prefix"]) for line in lines] == [
        ("entry", "a.txt", False),
        ("entry", "dir/", True),
        ("entry", "esc\x1b[31m", False),
    ]
    assert (lines[0]["size"], lines[0]["etag"]) == (2048, STORED.etag)
    assert (lines[0]["checksum_algorithms"], lines[0]["checksum_type"]) == (["CRC64NVME"], "FULL_OBJECT")


def test_versions_come_with_their_ids(ls: Run) -> None:
    versions = {"/b/k": [StoredObject(Content.of(b"x"), version_id="v1"), DeleteMarker("v2")]}
    lines = ls("--versions", "s3://b", objects=versions).stdout.decode().splitlines()
    assert [line.split()[2:] for line in lines] == [["deleted", "v2", "k"], ["1", "v1", "k"]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("s3://",), 2, b"names no bucket"),
        (("https://h/dir/?sig=marked",), 2, b"cannot be listed"),
        (("-r", "--delimiter", "/", "s3://b"), 2, b"contradict"),
        (("s3://none/",), 3, b"no such bucket"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(ls: Run, arguments: tuple[str, ...], code: int, said: bytes) -> None:
    outcome = ls(*arguments, "--json")
    assert outcome.returncode == code
    assert said in outcome.stderr
    assert outcome.stderr.startswith(b"fastget: ")
    (line,) = outcome.stdout.splitlines()
    assert json.loads(line)["event"] == "failed"
    assert b"marked" not in outcome.stdout + outcome.stderr


def endless(request: ReceivedRequest) -> Answer:
    turn = int(request.parameter("continuation-token") or 0)
    entries = "".join(f"<Contents><Key>{turn:08}/{index:04}</Key></Contents>" for index in range(1000))
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{turn + 1}</NextContinuationToken>"
    return document(200, f"<ListBucketResult>{more}{entries}</ListBucketResult>".encode())


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_nobody_reading_any_more_is_141(start: Start, serve: Serve, arguments: tuple[str, ...]) -> None:
    server = serve({}, operations=[endless])
    process = start("ls", "-r", "s3://b", "--endpoint-url", server.base_url, *arguments, env=SECRETS)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_ctrl_c_is_130(start: Start, serve: Serve) -> None:
    server = serve({}, operations=[endless])
    process = start("ls", "-r", "s3://b", "--endpoint-url", server.base_url, env=SECRETS)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(2)
    process.stdout.read()
    assert process.wait(timeout=60) == 130


@pytest.mark.parametrize(("prefix", "flags"), [("nothing/", ()), ("nothing", ("-r",)), ("dir/b.txt/", ("--versions",))])
def test_a_prefix_that_no_key_begins_with_is_told_as_not_found(
    ls: Callable[..., CompletedProcess[bytes]], prefix: str, flags: tuple[str, ...]
) -> None:
    done = ls(f"s3://b/{prefix}", *flags)
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.decode().splitlines() == [f"fastget: no key begins with s3://b/{prefix}"]


@pytest.mark.parametrize(
    ("prefix", "keys", "code", "shown"),
    [
        ("", (), 0, []),
        ("/dir/", ("dir/b.txt",), 0, ["b.txt"]),
        ("", ("dir/b.txt",), 0, ["dir/b.txt"]),
        ("/dir/", (), 3, []),
    ],
)
def test_an_access_point_is_listed_as_its_bucket_is(
    run: Run, serve: Serve, prefix: str, keys: tuple[str, ...], code: int, shown: list[str]
) -> None:
    entries = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    page = f"<ListBucketResult>{entries}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()
    proxy = serve({}, operations=[lambda request: document(200, page) if "myap-" in request.target else None])
    url = f"s3://arn:aws:s3:us-east-1:123456789012:accesspoint/myap{prefix}"
    done = run("ls", url, "--endpoint-url", "http://store.example", "--proxy", proxy.base_url, env=SECRETS)
    assert (done.returncode, [line.split()[-1] for line in done.stdout.decode().splitlines()]) == (code, shown)


def test_a_program_is_told_of_a_prefix_without_keys_as_well(ls: Callable[..., CompletedProcess[bytes]]) -> None:
    done = ls("s3://b/nothing/", "--json")
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, line["event"], line["error"], line["exit_code"]) == (3, "failed", "NotFound", 3)


def test_an_empty_bucket_and_the_end_of_a_listing_are_no_failures(ls: Callable[..., CompletedProcess[bytes]]) -> None:
    empty = {"/b/x": [DeleteMarker("v")]}
    for done in (ls("s3://b", objects=empty), ls("s3://b/dir/", "--start-after", "dir/z")):
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
