"""The flag that shares one object among processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults
from fastget.testing.received import ReceivedRequest

Start = Callable[..., "subprocess.Popen[bytes]"]
Serve = Callable[..., ObjectServer]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

MIB = 1024 * 1024
SIZE = 128 * MIB
HANG = 60.0


def test_a_large_object_is_shared_and_the_result_says_among_how_many(
    start: Start, serve: Serve, tmp_path: Path, busy_children: Callable[..., list[psutil.Process]]
) -> None:
    content = Content.generated(SIZE, seed=31)
    released = threading.Event()
    waits = (
        faults.hold(released).on(ranged=False).always(),
        faults.hold(released, after=None).on(ranged=True, request=2).always(),
    )
    server = serve({"/k.bin": StoredObject(content, checksum=Algorithm.CRC64NVME)}, faults=waits)
    process = start(server.url("/k.bin"), "--processes", "2", "--connections", "4", "--json", "--no-fsync")
    deadline = time.monotonic() + HANG
    while process.poll() is None and not busy_children(server.port, process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    released.set()
    stdout, stderr = process.communicate(timeout=HANG)
    assert (process.returncode, stderr) == (0, b"")
    done = [line for line in map(json.loads, stdout.splitlines()) if line["event"] == "done"]
    assert [line["processes"] for line in done] == [2]
    assert (tmp_path / "k.bin").read_bytes() == content.read()


class Pulled:
    """A pull of small objects, shared by two processes; the server answers once both have asked."""

    COUNT = 300

    def __init__(self, start: Start, serve: Serve, directory: Path, *flags: str) -> None:
        self._released = threading.Event()
        self.data = {f"{number:03}": hashlib.sha256(bytes([number % 256])).digest() for number in range(self.COUNT)}
        objects = {f"/b/{name}": StoredObject(Content.of(data)) for name, data in self.data.items()}
        self.server = serve(objects, operations=[self._wait])
        (directory / "list.txt").write_text("".join(f"{self.server.url('/b/' + name)}\n" for name in self.data))
        self.directory = directory / "out"
        arguments = ("pull", "-i", "list.txt", "-d", "out", "--processes", "2", *flags)
        self.process = start(*arguments, start_new_session=True)

    def _wait(self, _: ReceivedRequest) -> None:
        assert self._released.wait(HANG)

    def child(self) -> psutil.Process:
        """The second process, once it has asked for an object; nothing is answered before."""
        deadline = time.monotonic() + HANG
        while True:
            for child in psutil.Process(self.process.pid).children():
                if any(link.raddr and link.raddr.port == self.server.port for link in child.net_connections("tcp")):
                    return child
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def release(self) -> None:
        self._released.set()

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.directory.iterdir()}


def test_a_pull_is_shared_with_a_process_that_stood_by(start: Start, serve: Serve, tmp_path: Path) -> None:
    pulled = Pulled(start, serve, tmp_path)
    child = pulled.child()
    assert child.cmdline() == psutil.Process(pulled.process.pid).cmdline()  # forked; none was started
    pulled.release()
    _, stderr = pulled.process.communicate(timeout=HANG)
    assert (pulled.process.returncode, stderr.splitlines()[1:]) == (0, [])
    assert stderr.decode().startswith(f"{pulled.COUNT} of {pulled.COUNT} objects")
    assert pulled.files() == pulled.data
    assert not child.is_running()


def test_what_a_process_that_stood_by_held_when_it_was_killed_is_fetched(
    start: Start, serve: Serve, tmp_path: Path
) -> None:
    pulled = Pulled(start, serve, tmp_path)
    pulled.child().kill()
    pulled.release()
    _, stderr = pulled.process.communicate(timeout=HANG)
    assert pulled.process.returncode == 0
    assert b"has ended early (status -9)" in stderr
    assert pulled.files() == pulled.data


def test_ctrl_c_ends_both_processes_and_leaves_whole_files_alone(start: Start, serve: Serve, tmp_path: Path) -> None:
    pulled = Pulled(start, serve, tmp_path)
    child = pulled.child()
    os.killpg(pulled.process.pid, signal.SIGINT)  # as a terminal does
    pulled.release()
    _, stderr = pulled.process.communicate(timeout=HANG)
    assert pulled.process.returncode == 130
    assert b"interrupted" in stderr
    assert not child.is_running()
    assert pulled.files().items() <= pulled.data.items()


def test_a_number_of_processes_that_cannot_be_is_refused_in_one_line(run: Run) -> None:
    refused = run("http://127.0.0.1:9/k.bin", "--processes", "0")
    assert refused.returncode == 2
    assert b"processes must be more than zero" in refused.stderr
