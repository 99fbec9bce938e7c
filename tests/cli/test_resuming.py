"""What people and programs are told of downloads that go on, and of files that are here already."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Serve = Callable[..., ObjectServer]

MIB = 1024 * 1024
SIZE = 16 * MIB
OPTIONS = ("--connections", "1", "--part-size", "4M")
CONTENT = Content.generated(SIZE, seed=5)
STORED = StoredObject(CONTENT, checksum=Algorithm.CRC64NVME)


@pytest.fixture
def interrupted(serve: Serve, start: Start) -> str:
    """The URL of an object whose download got an interrupt after 9 MiB."""
    release, reached = threading.Event(), threading.Event()
    held = faults.hold(release, after=9 * MIB, reached=reached).on(request=1)
    server = serve({"/k.bin": STORED}, faults=[held])
    process = start(server.url("/k.bin"), *OPTIONS)
    assert reached.wait(60)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    release.set()
    assert process.returncode == 130
    said = stderr.decode()
    assert "of 16.0 MiB are kept" in said
    assert "hint: the same command goes on from where it stood" in said
    return server.url("/k.bin")


def test_the_same_command_goes_on_and_says_so(interrupted: str, run: Run, tmp_path: Path) -> None:
    done = run(interrupted, *OPTIONS)
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert "k.bin: goes on, " in said
    assert "of 16.0 MiB are here already" in said
    assert (tmp_path / "k.bin").read_bytes() == CONTENT.read()
    assert [path.name for path in tmp_path.iterdir()] == ["k.bin"]


def test_quiet_says_nothing_of_going_on(interrupted: str, run: Run) -> None:
    assert run(interrupted, "-q", *OPTIONS).stderr == b""


def test_programs_are_told_by_events(interrupted: str, run: Run) -> None:
    lines = [json.loads(line) for line in run(interrupted, "--json", *OPTIONS).stdout.splitlines()]
    (resumed,) = [line for line in lines if line["event"] == "resumed"]
    (done,) = [line for line in lines if line["event"] == "done"]
    assert 0 < resumed["landed"] == done["bytes_resumed"]
    assert done["bytes_received"] + done["bytes_resumed"] == SIZE
    lines = [json.loads(line) for line in run(interrupted, "--json", *OPTIONS).stdout.splitlines()]
    assert [line["event"] for line in lines if line["event"] != "progress"] == ["unchanged", "done", "summary"]
    assert lines[-2]["was_here"] is True


def test_a_finished_download_is_not_repeated(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve({"/k.bin": STORED})
    assert run(server.url("/k.bin")).returncode == 0
    before = (tmp_path / "k.bin").stat().st_mtime_ns
    done = run(server.url("/k.bin"))
    assert done.returncode == 0
    assert done.stderr.decode().startswith("k.bin: is already here, 16.0 MiB, verified by the CRC64NVME")
    assert (tmp_path / "k.bin").stat().st_mtime_ns == before
    assert "16.0 MiB in " in run(server.url("/k.bin"), "--no-resume").stderr.decode()


def test_a_changed_object_is_begun_anew_with_a_word_about_it(serve: Serve, start: Start, run: Run) -> None:
    release, reached = threading.Event(), threading.Event()
    server = serve({"/k.bin": STORED}, faults=[faults.hold(release, after=9 * MIB, reached=reached).on(request=1)])
    process = start(server.url("/k.bin"), *OPTIONS)
    assert reached.wait(60)
    process.kill()
    process.wait()
    release.set()
    server.put("/k.bin", StoredObject(Content.generated(SIZE, seed=6)))
    done = run(server.url("/k.bin"), *OPTIONS)
    assert done.returncode == 0
    assert "k.bin: begins anew: the object has changed since: ETag was" in done.stderr.decode()


def test_a_second_command_for_the_same_file_is_refused_while_the_first_one_works(
    serve: Serve, start: Start, run: Run, tmp_path: Path
) -> None:
    release, reached = threading.Event(), threading.Event()
    server = serve({"/k.bin": STORED}, faults=[faults.hold(release, after=9 * MIB, reached=reached).on(request=1)])
    first = start(server.url("/k.bin"), *OPTIONS)
    assert reached.wait(60)
    second = run(server.url("/k.bin"), *OPTIONS)
    assert second.returncode == 8
    assert f"another fastget is downloading to k.bin (process {first.pid}" in second.stderr.decode()
    assert b"hint: wait for it, or choose another name" in second.stderr
    release.set()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert (tmp_path / "k.bin").read_bytes() == CONTENT.read()
