"""`fastget pull` at a shell: exit statuses, what is said, lists from files and pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults
from fastget.testing.operations.listing import Listing

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Serve = Callable[..., ObjectServer]

DATA = {"a": b"one", "b": b"two", "sub/c": b"three"}
OBJECTS = {f"/b/{key}": StoredObject(Content.of(data), checksum=Algorithm.CRC64NVME) for key, data in DATA.items()}


@pytest.fixture
def server(serve: Serve) -> ObjectServer:
    return serve(OBJECTS, operations=[Listing(OBJECTS)])


def at(server: ObjectServer) -> list[str]:
    return ["--endpoint-url", server.base_url, "--no-sign-request"]


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_a_prefix_is_pulled_and_pulled_again(run: Run, server: ObjectServer, tmp_path: Path) -> None:
    first = run("pull", "s3://b", "-d", "out", *at(server))
    assert (first.returncode, first.stdout) == (0, b"")
    assert first.stderr.decode().startswith("3 of 3 objects, 11 B in ")
    assert files(tmp_path / "out") == DATA
    again = run("pull", "s3://b/", "-d", "out", *at(server))
    assert again.returncode == 0
    assert b"3 were here already" in again.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="names are of UTF-8 there in every locale")
def test_a_name_that_the_locale_has_no_bytes_for_fails_alone(run: Run, serve: Serve, tmp_path: Path) -> None:
    objects = {f"/b/{key}": StoredObject(Content.of(b"data")) for key in ("a", "日", "z")}
    server = serve(objects, operations=[Listing(objects)])
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    outcome = run("pull", "s3://b", "-d", "out", *at(server), env=ascii_alone)
    assert outcome.returncode == 1
    assert b"becomes no file: its name cannot be written in ascii" in outcome.stderr
    assert files(tmp_path / "out") == {"a": b"data", "z": b"data"}


def test_a_list_is_read_from_a_file_and_from_a_pipe(
    run: Run, start: Start, server: ObjectServer, tmp_path: Path
) -> None:
    text = f"# two\n{server.url('/b/a')}\n\n{server.url('/b/b')}\n  out=d/two\n"
    (tmp_path / "list.txt").write_text(text)
    assert run("pull", "-i", "list.txt", "-d", "file", "-q").returncode == 0
    piped = start("pull", "-i", "-", "-d", "pipe", "-q", stdin=subprocess.PIPE)
    _, stderr = piped.communicate(text.encode(), timeout=60)
    assert (piped.returncode, stderr) == (0, b"")
    assert files(tmp_path / "file") == files(tmp_path / "pipe") == {"a": b"one", "d/two": b"two"}


def test_a_list_that_comes_slowly_does_not_hold_back_what_is_told(start: Start, server: ObjectServer) -> None:
    process = start("pull", "-i", "-", "-d", "out", "--json", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{server.url('/b/a')}\n{server.url('/b/b')}\n".encode())
    process.stdin.flush()
    told = next(event for event in map(json.loads, process.stdout) if event.get("done"))  # the list goes on
    assert (told["event"], told["done"]) == ("pullprogress", 1)
    stdout, _ = process.communicate(b"", timeout=60)
    assert json.loads(stdout.splitlines()[-1])["done"] == 2
    assert process.returncode == 0


def test_some_that_fail_are_named_and_the_others_are_there(run: Run, server: ObjectServer, tmp_path: Path) -> None:
    urls = [server.url("/b/a"), server.url("/b/none", "key=hunter2"), "nonsense", server.url("/b/b")]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    done = run("pull", "-i", "list.txt", "-d", "out")
    assert done.returncode == 1
    said = done.stderr.decode()
    assert server.url("/b/none") in said
    assert "nonsense" in said
    assert "2 of 4 objects" in said
    assert "2 failed" in said
    assert "hunter2" not in said
    assert files(tmp_path / "out") == {"a": b"one", "b": b"two"}


def test_many_failures_are_counted_when_enough_are_named(run: Run, server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"nonsense{number}\n" for number in range(130)))
    done = run("pull", "-i", "list.txt", "-d", "out")
    assert done.returncode == 1
    assert done.stderr.count(b"fastget: nonsense") == 100
    assert b"30 more objects failed" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["s3://b", "-i", "list.txt"], ["s3://b", "--checksum", "md5=00"], ["-i", "list.txt", "-o", "x"]]
)
def test_what_contradicts_itself_is_a_usage_error(run: Run, arguments: list[str]) -> None:
    done = run("pull", *arguments, "-d", "out")
    assert done.returncode == 2


def test_a_directory_has_to_be_named(run: Run) -> None:
    assert run("pull", "s3://b").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-i", "missing.txt"], 2, "the list missing.txt cannot be read"),
        (["-i", ""], 2, "the list '' cannot be read"),
        (["http://127.0.0.1:1/x/"], 2, "name the bucket as s3://"),
        (["s3://none"], 3, "bucket"),
    ],
)
def test_what_cannot_be_listed_says_so(
    run: Run, server: ObjectServer, arguments: list[str], status: int, words: str
) -> None:
    done = run("pull", *arguments, "-d", "out", *at(server))
    assert done.returncode == status
    assert words in done.stderr.decode()


def closed_input() -> None:
    os.close(0)


def input_for_writing() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 0)


@pytest.mark.parametrize("prepare", [closed_input, input_for_writing])
def test_a_standard_input_that_cannot_be_read_says_so(start: Start, prepare: Callable[[], None]) -> None:
    process = start("pull", "-i", "-", "-d", "out", stdin=None, preexec_fn=prepare)
    _, stderr = process.communicate(timeout=60)
    assert stderr.startswith(b"fastget: the list on standard input cannot be read: ")
    assert process.returncode == 2


def test_a_list_that_breaks_off_while_it_is_read_says_so(run: Run) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("this system has no file that can be opened and not be read")
    done = run("pull", "-i", "/proc/self/mem", "-d", "out")
    assert done.stderr.startswith(b"fastget: the list /proc/self/mem cannot be read: ")
    assert done.returncode == 2


def test_a_line_that_means_nothing_is_named(run: Run, server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{server.url('/b/a')}\n  split=5\n")
    done = run("pull", "-i", "list.txt", "-d", "out")
    assert done.returncode == 2
    assert b"line 2" in done.stderr


def test_a_command_that_cannot_begin_counts_no_objects(run: Run) -> None:
    done = run("pull", "-i", "missing.txt", "-d", "out")
    assert b"object" not in done.stderr


def test_a_prefix_without_keys_is_told(run: Run, server: ObjectServer) -> None:
    done = run("pull", "s3://b/nothing/", "-d", "out", *at(server))
    assert done.returncode == 0
    assert b"no key begins with s3://b/nothing/" in done.stderr


def test_a_program_reads_a_line_for_each_object_and_one_for_all(run: Run, server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{server.url('/b/a')}\n{server.url('/b/none')}\n")
    done = run("pull", "-i", "list.txt", "-d", "out", "--json")
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    by_event = {line["event"]: line for line in lines}
    assert by_event["done"]["url"] == server.url("/b/a")
    assert by_event["failed"]["exit_code"] == 3
    summary = by_event["summary"]
    assert (summary["done"], summary["failed"], summary["skipped"], summary["unverified"]) == (1, 1, 0, 0)
    assert done.returncode == summary["exit_code"] == 1


def test_a_program_reads_of_every_failure_and_people_of_the_first_hundred(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"nonsense{number}\n" for number in range(130)))
    done = run("pull", "-i", "list.txt", "-d", "out", "--json")
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    told = [line for line in lines if line["event"] == "failed"]
    assert {line["url"] for line in told} == {f"nonsense{number}" for number in range(130)}
    assert all(line["exit_code"] == 2 and line["hint"] for line in told)
    assert len(told) == lines[-1]["failed"] == 130
    assert done.stderr.count(b"fastget: nonsense") == 100


def test_what_has_failed_before_the_list_breaks_off_is_named(run: Run, server: ObjectServer, tmp_path: Path) -> None:
    urls = [server.url("/b/none"), "nonsense", server.url("/b/a")]
    (tmp_path / "list.txt").write_text("\n".join([*urls, server.url("/b/b"), "  split=5\n"]))
    done = run("pull", "-i", "list.txt", "-d", "out", "--json")
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["url"] for line in lines if line["event"] == "failed"} == {*urls[:2], None}
    assert (lines[-1]["done"], lines[-1]["failed"], lines[-1]["skipped"], lines[-1]["unverified"]) == (1, 3, 0, 0)
    said = run("pull", "-i", "list.txt", "-d", "out").stderr.decode()
    assert urls[0] in said
    assert "nonsense" in said
    assert "line 5" in said
    assert "1 object so far" in said
    assert said.endswith("2 failed\n")
    assert done.returncode == 2


def test_a_pull_that_is_cut_short_counts_what_it_could_not_verify(run: Run, serve: Serve, tmp_path: Path) -> None:
    url = serve({"/b/x": StoredObject(Content.of(b"data"), etag='"opaque"')}).url("/b/x")
    (tmp_path / "list.txt").write_text(f"{url}\n{url}\n  out=y\n  split=5\n")
    done = run("pull", "-i", "list.txt", "-d", "out", "--json")
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["event"], summary["done"], summary["unverified"]) == ("summary", 1, 1)
    assert b"1 not verified" in run("pull", "-i", "list.txt", "-d", "again").stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_whole_files_and_nothing_else(
    start: Start, serve: Serve, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    reached, release = threading.Event(), threading.Event()
    hold = faults.hold(release, after=1, reached=reached).on(path="/b/b")
    server = serve(OBJECTS, operations=[Listing(OBJECTS)], faults=[hold])
    process = start("pull", "s3://b", "-d", "out", "-j", "1", *at(server))
    assert reached.wait(60)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    release.set()
    assert process.returncode == status
    assert b"interrupted" in stderr
    assert b"failed" not in stderr
    assert b"Traceback" not in stderr
    # Small files get their names by the batch.
    assert files(tmp_path / "out") in ({}, {"a": b"one"})


def test_an_interrupt_while_modules_are_loaded_is_told_as_any_other(start: Start, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Early:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'fastget.bulk.pull':\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Early())\n"
    )
    home = str(Path(__file__).resolve().parents[2])
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/k\n")
    arguments = ("pull", "-i", "list.txt", "-d", "out", "--json")
    process = start(*arguments, env={"PYTHONPATH": f"{hook}:{home}"})
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert stderr.startswith(b"fastget: interrupted\nhint: the same command")
    assert [json.loads(line)["event"] for line in stdout.splitlines()] == ["failed", "summary"]
