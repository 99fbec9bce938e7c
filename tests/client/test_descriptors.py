"""However few descriptors there are, a transfer works: with fewer connections, and without failures to count."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastget.engine.descriptors import MARGIN, are_exhausted, room_for_connections
from fastget.errors import NetworkError
from fastget.testing import Content, ObjectServer, StoredObject

KIB = 1024
Serve = Callable[..., ObjectServer]
Script = Callable[..., str]

LIMITED = """
import json, os, resource, sys
import fastget
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
"""
DOWNLOAD = (
    LIMITED
    + """
most = 0
def hear(event):
    global most
    most = max(most, len(os.listdir("/dev/fd")))
result = fastget.download(sys.argv[1], "object.bin", connections=64, part_size=32 * 1024, on_event=hear)
print(json.dumps({"size": result.size, "retries": result.retries, "connections": result.connections, "most": most}))
"""
)
# All but three of the descriptors are taken once the first connection stands.
CROWDED = (
    LIMITED
    + """
from fastget.engine.workers import crew
crew.room_for_connections = lambda: None
taken = []
def hear(event):
    if not taken and type(event).__name__ == "Started":
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            for one in taken[-3:]:
                os.close(one)
result = fastget.download(sys.argv[1], "object.bin", connections=16, part_size=32 * 1024, on_event=hear, retries=0)
print(json.dumps({"size": result.size, "retries": result.retries, "connections": result.connections}))
"""
)
READ = (
    LIMITED
    + """
import hashlib
options = {"connections": 64, "part_size": 32 * 1024, "retries": 0}
hasher = hashlib.sha256()
with fastget.stream(sys.argv[1], **options) as stream:
    for view in stream:
        hasher.update(view)
size = stream.result.size
ranges = [(start, start + 10) for start in range(0, size - 10, size // 50)]
found = fastget.read_ranges(sys.argv[1], ranges, **options)
whole = fastget.read(sys.argv[1], **options)
print(json.dumps([
    hasher.hexdigest() == hashlib.sha256(whole).hexdigest(),
    all(view == whole[start:stop] for view, (start, stop) in zip(found, ranges)),
    hasher.hexdigest(),
]))
"""
)
PULL = (
    LIMITED
    + """
result = fastget.pull([(url, f"{at % 40}/{at}") for at, url in enumerate(sys.argv[1:])], "all", jobs=32)
print(json.dumps({"done": result.done, "failures": [str(one.error) for one in result.failures], "jobs": result.jobs}))
"""
)


@pytest.mark.fault("X27")
def test_with_32_descriptors_there_are_fewer_connections_and_no_failures(
    serve: Serve, script: Script, stored: StoredObject, content: Content, tmp_path: Path
) -> None:
    outcome = json.loads(script(DOWNLOAD, serve({"/k": stored}).url("/k")))
    assert (outcome["size"], outcome["retries"]) == (content.size, 0)
    assert 1 < outcome["connections"] < 16
    assert outcome["most"] <= 32 - MARGIN // 2
    assert (tmp_path / "object.bin").read_bytes() == content.read()


@pytest.mark.fault("N27", "X27")
def test_workers_that_get_no_descriptor_leave_the_work_to_the_others(
    serve: Serve, script: Script, stored: StoredObject, content: Content, tmp_path: Path
) -> None:
    outcome = json.loads(script(CROWDED, serve({"/k": stored}).url("/k")))
    assert (outcome["size"], outcome["retries"]) == (content.size, 0)
    assert (tmp_path / "object.bin").read_bytes() == content.read()


@pytest.mark.fault("X27")
def test_with_32_descriptors_many_objects_go_to_many_directories(serve: Serve, script: Script, tmp_path: Path) -> None:
    objects = {f"/b/{at}": StoredObject(Content.generated(9 * KIB, seed=at)) for at in range(200)}
    objects["/b/large"] = StoredObject(Content.generated(20 * 1024 * KIB, seed=1000))
    server = serve(objects)
    outcome = json.loads(script(PULL, *(server.url(path) for path in objects)))
    assert (outcome["done"], outcome["failures"]) == (201, [])


@pytest.mark.fault("X27")
def test_with_32_descriptors_streams_ranges_and_reads_come_without_a_retry(
    serve: Serve, script: Script, stored: StoredObject, content: Content
) -> None:
    outcome = json.loads(script(READ, serve({"/k": stored}).url("/k")))
    assert outcome == [True, True, hashlib.sha256(content.read()).hexdigest()]


@pytest.mark.fault("X27")
def test_the_command_works_under_the_ulimit_of_its_shell(
    serve: Serve, stored: StoredObject, content: Content, tmp_path: Path
) -> None:
    url, path = serve({"/k": stored}).url("/k"), tmp_path / "object.bin"
    line = 'ulimit -n 24 && exec "$@"'
    words = ("-m", "fastget", url, "-o", str(path), "--connections", "64", "-k", "32K", "--retries", "0", "-q")
    done = subprocess.run(
        ("sh", "-c", line, "sh", sys.executable, *words), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_bytes() == content.read()


def test_what_is_open_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    monkeypatch.setattr(os, "listdir", lambda _: ["0"] * 31)
    assert room_for_connections() == (100 - 30 - MARGIN) // 2
    monkeypatch.setattr(os, "listdir", lambda _: ["0"] * 99)
    assert room_for_connections() == 0
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert room_for_connections() is None


def test_exhaustion_is_told_from_other_failures_by_its_cause() -> None:
    error = NetworkError("cannot connect")
    assert not are_exhausted(error)
    error.__cause__ = OSError(errno.ECONNREFUSED, "refused")
    assert not are_exhausted(error)
    error.__cause__ = OSError(errno.EMFILE, "too many open files")
    assert are_exhausted(error)
