"""`fastget get` as a process of its own: standard output, standard error and exit status, each by itself."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults

Run = Callable[..., CompletedProcess[bytes]]
Serve = Callable[..., ObjectServer]


def data_of(content: Content) -> bytes:
    return content.read(0, content.size)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def events_of(outcome: CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def test_a_url_alone_is_downloaded_into_the_current_directory(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path
) -> None:
    url = serve({"/b/file.bin": stored}).url("/b/file.bin")
    outcome = run(url)
    assert outcome.returncode == 0
    assert outcome.stdout == b""
    (line,) = outcome.stderr.decode().splitlines()
    assert line.startswith("file.bin: 5.00 MiB in ")
    assert line.endswith(", verified by the CRC64NVME of the whole object")
    assert (tmp_path / "file.bin").read_bytes() == data_of(stored.content)
    assert names_in(tmp_path) == ["file.bin"]


def test_get_and_flags_before_the_url_mean_the_same(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path
) -> None:
    url = serve({"/b/file.bin": stored}).url("/b/file.bin")
    assert run("get", url, "-o", "one").returncode == 0
    assert run("-x", "2", "--part-size", "1M", "-o", "two", url).returncode == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == data_of(stored.content)


def test_quiet_says_nothing(run: Run, serve: Serve, stored: StoredObject) -> None:
    outcome = run("-q", serve({"/b/x": stored}).url("/b/x"))
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, b"", b"")


def test_quiet_says_nothing_however_much_else_is_asked_for_but_of_an_error(
    run: Run, serve: Serve, stored: StoredObject
) -> None:
    server = serve({"/b/x": stored})
    assert run("-q", "-v", server.url("/b/x")).stderr == b""
    (told, *details) = run("-q", "-v", server.url("/b/none"), "-o", "y").stderr.decode().splitlines()
    assert told.startswith("fastget: ")
    assert "  error: NotFound, exit status 3" in details


def test_a_directory_is_made_for_several_urls(run: Run, serve: Serve, stored: StoredObject, tmp_path: Path) -> None:
    server = serve({"/b/one": stored, "/b/t%77o": stored, "/b/two": stored})
    outcome = run("get", server.url("/b/one"), server.base_url + "/b/t%77o", "-d", "new/folder")
    assert outcome.returncode == 0
    assert names_in(tmp_path / "new/folder") == ["one", "two"]
    lines = outcome.stderr.decode().splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["new/folder/one", "new/folder/two"]
    assert lines[2].startswith("2 of 2 objects, 10.0 MiB in ")


def test_standard_output_gets_the_bytes_and_people_the_rest(run: Run, serve: Serve, stored: StoredObject) -> None:
    outcome = run("get", serve({"/b/x": stored}).url("/b/x"), "-o", "-", "-k", "1M")
    assert outcome.returncode == 0
    assert outcome.stdout == data_of(stored.content)
    assert outcome.stderr.startswith(b"standard output: 5.00 MiB")


def test_standard_error_as_the_destination_is_told_as_that(run: Run, serve: Serve, stored: StoredObject) -> None:
    done = run(serve({"/k": stored}).url("/k"), "-o", "/dev/stderr")
    assert done.returncode == 0
    assert b"/dev/stderr: " in done.stderr
    assert b"standard output" not in done.stderr


def test_a_file_that_is_there_is_replaced(run: Run, serve: Serve, stored: StoredObject, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    assert run(serve({"/b/x": stored}).url("/b/x")).returncode == 0
    assert (tmp_path / "x").read_bytes() == data_of(stored.content)


def test_no_clobber_leaves_a_file_that_is_there_alone(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    outcome = run(serve({"/b/x": stored}).url("/b/x"), "-n")
    assert outcome.returncode == 8
    assert outcome.stderr.startswith(b"fastget: ")
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_name_of_an_unfinished_download_is_refused_before_it_stands_in_a_journals_place(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path
) -> None:
    server = serve({"/small": stored, "/.small.fastget-journal": stored})
    for arguments in ([server.url("/small"), "-o", ".small.fastget-journal"], [server.url("/.small.fastget-journal")]):
        done = run(*arguments)
        assert done.returncode == 8
        assert b"a name of fastget's own unfinished files" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert run(server.url("/small")).returncode == 0


def test_a_digest_that_holds_is_told(run: Run, serve: Serve, stored: StoredObject) -> None:
    digest = hashlib.sha256(data_of(stored.content)).hexdigest()
    outcome = run(serve({"/b/x": stored}).url("/b/x"), "--checksum", f"sha-256={digest}")
    assert outcome.returncode == 0
    assert b"verified by the SHA256 that was given" in outcome.stderr


@pytest.mark.fault("S23")
def test_a_digest_that_does_not_hold_leaves_nothing(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path
) -> None:
    outcome = run(serve({"/b/x": stored}).url("/b/x"), "--checksum", f"sha-256={'0' * 64}")
    assert outcome.returncode == 7
    assert b"hint: " in outcome.stderr
    assert names_in(tmp_path) == []


def test_what_cannot_be_verified_is_told_and_can_be_refused(run: Run, serve: Serve, tmp_path: Path) -> None:
    bare = StoredObject(Content.generated(1000), etag='"not-a-digest"')
    url = serve({"/b/x": bare}).url("/b/x")
    assert b"not verified: " in run(url).stderr
    (tmp_path / "x").unlink()
    assert run(url, "--require-verified").returncode == 7
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (faults.access_denied(), 4),
        (faults.archived(), 4),
        (faults.status(404), 3),
        (faults.status(403, "InvalidAccessKeyId", "No such key."), 4),
        (faults.internal_error(), 5),
        (faults.refuse_connection(), 5),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_refusal_has_its_exit_status_and_one_clear_line(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path, fault: Any, status: int
) -> None:
    server = serve({"/b/x": stored}, faults=[fault.always()])
    outcome = run(server.url("/b/x"), "--retries", "0")
    assert outcome.returncode == status
    assert outcome.stdout == b""
    first = outcome.stderr.decode().splitlines()[0]
    assert first.startswith("fastget: ")
    assert server.base_url in first
    assert b"Traceback" not in outcome.stderr
    assert names_in(tmp_path) == []


def test_an_object_that_changes_under_way_has_its_exit_status(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path
) -> None:
    other = replace(stored, content=Content.generated(stored.content.size, seed=99), etag='"other"')
    behaviour = Behaviour(rate_per_connection=4 * 2**20)  # so that there is a second request
    server = serve({"/b/x": stored}, behaviour=behaviour, faults=[faults.replaced(other).on(request=2)])
    outcome = run(server.url("/b/x"), "-k", "1M", "-x", "2")
    assert outcome.returncode == 6
    assert names_in(tmp_path) == []


def test_the_ids_that_a_server_gives_a_request_are_shown(run: Run, serve: Serve) -> None:
    outcome = run(serve({}).url("/b/x"))
    assert outcome.returncode == 3
    assert b"NoSuchKey" in outcome.stderr
    assert b"  ids: request " in outcome.stderr


def test_a_repair_is_told(run: Run, serve: Serve, content: Content, tmp_path: Path) -> None:
    sizes = (2 * 2**20, 2 * 2**20, content.size - 4 * 2**20)
    stored = StoredObject(content, part_sizes=sizes, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    server = serve({"/b/x": stored}, faults=[faults.flip_bit(offset=3 * 2**20)])
    outcome = run(server.url("/b/x"), "-v")
    assert outcome.returncode == 0
    assert b"arrived damaged, and are fetched again" in outcome.stderr
    assert b"1 damaged piece fetched again, verified by the CRC32C of its parts" in outcome.stderr
    assert (tmp_path / "x").read_bytes() == data_of(content)


@pytest.mark.fault("H41")
def test_one_failure_among_several_is_1_and_the_others_are_there(
    run: Run, serve: Serve, stored: StoredObject, tmp_path: Path
) -> None:
    server = serve({"/b/x": stored, "/b/z": stored})
    outcome = run("get", server.url("/b/x"), server.url("/b/missing"), server.url("/b/z"))
    assert outcome.returncode == 1
    assert names_in(tmp_path) == ["x", "z"]
    assert outcome.stderr.decode().splitlines()[-1].endswith(", 1 failed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get"], "Missing argument"),
        (["get", "http://h/x", "--no-such-flag"], "No such option"),
        (["no-such-verb"], "No such command"),
        (["gett", "http://127.0.0.1:1/k"], "No such command 'gett' (did you mean get?)"),
        (["get", "http://h/1", "http://h/2", "-o", "x"], "-o names one file"),
        (["get", "http://h/1", "-o", "x", "-d", "y"], "contradict"),
        (["get", "http://h/1", "-o", "-", "--json"], "both write to standard output"),
        (["get", "http://h/1", "-o", "/dev/stdout", "--json"], "both write to standard output"),
        (["get", "http://h/1", "-o", "/dev/fd/1", "--json"], "both write to standard output"),
        (["http://h/"], "http://h/ ends in no plain file name"),
        (["http://h/%2e%2e%2fx"], "no plain file name"),
        (["s3://bucket"], "s3://bucket names a bucket, not an object"),
        (["s3://bucket/"], "fastget: s3://bucket names a bucket, not an object"),
        (["http://h/x", "h.example/x"], "h.example/x: "),
        (["ftp://h/x"], "ftp"),
        (["host.example/x"], "lacks a scheme"),
        (["http://h/x", "-k", "many"], "is not a size"),
        (["http://h/x", "-x", "0"], "connections must be more than zero"),
        (["http://h/x", "--checksum", "md5=12"], "12"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    outcome = run(*arguments)
    assert outcome.returncode == 2
    assert outcome.stdout == b""
    lines = outcome.stderr.decode().splitlines()
    assert lines[0].startswith("fastget: ")
    assert message in lines[0]
    assert lines[-1].startswith("hint: ")
    assert names_in(tmp_path) == []


def test_a_variable_sets_an_option(run: Run, serve: Serve, stored: StoredObject) -> None:
    url = serve({"/b/x": stored}).url("/b/x")
    assert run(url, env={"FASTGET_REQUIRE_VERIFIED": "1", "FASTGET_CONNECTIONS": "1"}).returncode == 0
    outcome = run(url, env={"FASTGET_CONNECTIONS": "many"})
    assert outcome.returncode == 2
    assert b"FASTGET_CONNECTIONS" in outcome.stderr


@pytest.mark.fault("S12")
def test_headers_reach_the_server_and_stay_secret(run: Run, serve: Serve, stored: StoredObject) -> None:
    server = serve({"/b/x": stored})
    outcome = run(server.url("/b/x", "token=secret"), "-H", "Authorization: Bearer secret", "-v", "--json")
    assert outcome.returncode == 0
    assert server.requests[0].headers.get("Authorization") == "Bearer secret"
    assert b"secret" not in outcome.stdout + outcome.stderr


def test_json_tells_every_event_and_a_summary(run: Run, serve: Serve, stored: StoredObject) -> None:
    url = serve({"/b/x": stored}).url("/b/x")
    outcome = run(url, "--json")
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    events = events_of(outcome)
    assert {event["v"] for event in events} == {1}
    assert [event["event"] for event in events if event["event"] != "progress"] == [
        "started",
        "done",
        "summary",
    ]
    done, summary = events[-2:]
    assert (done["url"], done["path"], done["size"]) == (url, "x", stored.content.size)
    assert done["verification"]["verified"] is True
    assert (summary["done"], summary["failed"], summary["exit_code"]) == (1, 0, 0)


def test_json_tells_errors_as_events(run: Run, serve: Serve) -> None:
    url = serve({}).url("/b/x")
    outcome = run(url, "--json")
    assert outcome.returncode == 3
    failed, summary = events_of(outcome)
    assert (failed["event"], failed["url"], failed["error"], failed["exit_code"]) == (
        "failed",
        url,
        "NotFound",
        3,
    )
    assert failed["reply"]["code"] == "NoSuchKey"
    assert summary["exit_code"] == 3
    assert outcome.stderr.startswith(b"fastget: ")


def test_json_tells_a_bad_url_as_an_event(run: Run) -> None:
    outcome = run("http://h/", "--json")
    assert outcome.returncode == 2
    assert [event["event"] for event in events_of(outcome)] == ["failed", "summary"]


@pytest.mark.fault("X29")
@pytest.mark.parametrize("limit", ["-", "--json"])
def test_a_reader_that_leaves_ends_the_command_quietly(start: Callable[..., Any], serve: Serve, limit: str) -> None:
    stored = StoredObject(Content.generated(64 * 2**20))
    url = serve({"/b/x": stored}, behaviour=Behaviour(rate_per_connection=4e6)).url("/b/x")
    arguments = ("get", url, "-o", "-") if limit == "-" else ("get", url, "--json")
    process = start(*arguments)
    assert process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""


def test_help_into_a_reader_that_has_left_is_quiet(start: Callable[..., Any]) -> None:
    source, target = os.pipe()
    os.close(source)
    process = start("get", "--help", stdout=target)
    os.close(target)
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""


@pytest.mark.fault("S10")
def test_a_server_cannot_steer_the_terminal(run: Run, serve: Serve) -> None:
    fault = faults.status(403, "Denied\x9b31m", "\u202eno\x85").always()
    outcome = run(serve({"/b/x": StoredObject(Content.of(b"x"))}, faults=[fault]).url("/b/x"))
    text = outcome.stderr.decode()
    assert outcome.returncode == 4
    assert text.replace("\n", "").isprintable()


def test_a_defect_is_one_line_and_verbose_adds_where(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import fastget.client\nfastget.client.Client.__init__ = None\n")
    env = {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path(__file__).resolve().parents[2])))}
    outcome = run("http://h/x", env=env)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith(b"fastget: defect in fastget: TypeError")
    assert b"Traceback" not in outcome.stderr
    assert b"Traceback" in run("http://h/x", "-v", env=env).stderr
