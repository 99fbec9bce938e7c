"""The flag that shares one object among processes."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

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


def test_a_number_of_processes_that_cannot_be_is_refused_in_one_line(run: Run) -> None:
    refused = run("http://127.0.0.1:9/k.bin", "--processes", "0")
    assert refused.returncode == 2
    assert b"processes must be more than zero" in refused.stderr
