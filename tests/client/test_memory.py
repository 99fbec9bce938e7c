"""Memory is bounded by configuration, never by the size of an object or by what a server claims.

The bound is a documented promise: 64 MiB above import, at any object size.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
PROMISE = 64 * MIB
Serve = Callable[..., ObjectServer]
Script = Callable[..., str]

# The peak is that of this program image alone: the resident maximum of getrusage(2) outlives exec(2) on Linux.
MEASURE = """
import json, resource, sys
import fastget
from fastget import client, errors

def peak():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

verb, url, path, options = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
before = peak()
outcome = {}
try:
    if verb == "read":
        outcome["size"] = len(fastget.read(url, **options))
    elif verb == "slice":
        outcome["size"] = len(fastget.read(url, 1, 1 << 61, **options))
    else:
        result = fastget.download(url, path, **options)
        outcome.update(size=result.size, verified=result.verification.verified)
except errors.FastgetError as error:
    outcome.update(error=type(error).__name__, hint=error.hint, message=error.message)
print(json.dumps({**outcome, "growth": peak() - before}))
"""


@pytest.fixture(scope="module")
def large() -> StoredObject:
    """512 MiB that nobody holds in memory."""
    return StoredObject(Content.generated(512 * MIB, seed=5), checksum=Algorithm.CRC64NVME)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [{}, {"connections": 32}, {"connections": 1}], ids=str)
@pytest.mark.parametrize("sink", ["/dev/null", "object.bin"])
def test_a_large_download_stays_within_the_promise(
    serve: Serve, script: Script, large: StoredObject, tmp_path: Path, sink: str, options: dict[str, Any]
) -> None:
    server = serve({"/b/k": large})
    path = sink if sink.startswith("/dev/") else tmp_path / sink
    outcome = json.loads(script(MEASURE, "download", server.url("/b/k"), path, json.dumps({"fsync": False, **options})))
    assert (outcome["size"], outcome["verified"]) == (512 * MIB, True)
    assert outcome["growth"] <= PROMISE


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sink", ["/dev/null", "object.bin"])
def test_a_digest_that_needs_the_bytes_in_order_stays_within_the_promise(
    serve: Serve, script: Script, tmp_path: Path, sink: str
) -> None:
    content = Content.generated(256 * MIB, seed=6)
    server = serve({"/b/k": StoredObject(content, checksum=Algorithm.SHA256)})
    path = sink if sink.startswith("/dev/") else tmp_path / sink
    outcome = json.loads(script(MEASURE, "download", server.url("/b/k"), path, json.dumps({"fsync": False})))
    assert (outcome["size"], outcome["verified"]) == (content.size, True)
    assert outcome["growth"] <= PROMISE


ABSURD = {"2^40": 2**40, "2^50": 2**50, "2^62": 2**62}
IMPOSSIBLE = {"2^63": 2**63, "2^70": 2**70}


def claiming(serve: Serve, stored: StoredObject, size: int) -> str:
    """The URL of an object that every answer gives this length."""
    server = serve({"/b/k": stored}, faults=[faults.declared_length(size).on(method=None).always()])
    return server.url("/b/k")


@pytest.mark.fault("C17", "S16")
@pytest.mark.parametrize("options", [{}, {"part_size": MIB}, {"connections": 1}], ids=str)
@pytest.mark.parametrize("size", list(ABSURD))
@pytest.mark.parametrize("verb", ["download", "read", "slice"])
def test_a_length_that_no_disk_and_no_memory_has_is_refused_before_room_is_made(
    serve: Serve, script: Script, destination: Path, stored: StoredObject, verb: str, size: str, options: dict[str, Any]
) -> None:
    url = claiming(serve, stored, ABSURD[size])
    outcome = json.loads(script(MEASURE, verb, url, destination, json.dumps({"retries": 0, **options})))
    assert outcome["error"] == "NoSpace"
    assert outcome["hint"]
    assert outcome["growth"] <= PROMISE
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("C17", "H22")
@pytest.mark.parametrize("size", list(IMPOSSIBLE))
@pytest.mark.parametrize("verb", ["download", "read"])
def test_a_length_that_no_file_can_have_breaks_the_protocol(
    serve: Serve, script: Script, destination: Path, stored: StoredObject, verb: str, size: str
) -> None:
    url = claiming(serve, stored, IMPOSSIBLE[size])
    outcome = json.loads(script(MEASURE, verb, url, destination, json.dumps({"retries": 0})))
    assert outcome["error"] == "ProtocolError"
    assert outcome["growth"] <= PROMISE
    assert not list(destination.parent.iterdir())
