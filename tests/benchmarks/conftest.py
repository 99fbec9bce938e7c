"""What the tests of the benchmarks share: nginx, a stored object and made-up figures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks.comparison import Entry, Outcome
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import Machine
from benchmarks.measurement import Measurement
from benchmarks.nginx import find_nginx
from benchmarks.objects import StoredObject, create_object
from benchmarks.scenarios import SCENARIOS

_RUNS_IN_CI = os.environ.get("CI") == "true"


@pytest.fixture
def nginx(server_not_found: Callable[[str, str], NoReturn]) -> str:
    """The nginx program. Without it the test is skipped, but fails where CI is true."""
    found = find_nginx()
    if found is None and _RUNS_IN_CI:
        pytest.fail("nginx is not installed", pytrace=False)
    if found is None:
        server_not_found("nginx", "apt install nginx libnginx-mod-http-lua")
    return found


@pytest.fixture
def stored(tmp_path: Path) -> StoredObject:
    """100,000 random bytes where a server of this directory would offer them."""
    bucket = tmp_path / "files" / "benchmark"
    bucket.mkdir(parents=True)
    return create_object(bucket / "object.bin", 100_000)


@pytest.fixture
def machine() -> Machine:
    return Machine(
        measured_at="2026-01-01T00:00:00+00:00",
        system="Linux 6.1",
        processor="Example 1",
        cores=2,
        memory=8 * 1024**3,
        load_average=0.5,
        file_system="ext4",
        python="3.11.0",
        call_nanoseconds=120.4,
        nginx="1.22.1",
        peak_memory_floor=9 * 1024**2,
    )


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """10^9 bytes: curl in 2, 1 and 4 seconds, s5cmd in half a second, aria2 missing, axel failed."""
    known = {contender.name: contender for contender in CONTENDERS}
    file = str(tmp_path / "downloads" / "object.bin")
    entries = [
        Entry(known["aria2"], None, [], known["aria2"].checks, problem="missing (apt install aria2)"),
        Entry(
            known["curl"], "8.1", ["/usr/bin/curl", "-o", file], known["curl"].checks, [_run(2.0), _run(1.0), _run(4.0)]
        ),
        Entry(
            known["axel"], "2.17", ["/usr/bin/axel", "-o", file], known["axel"].checks, problem="failed: exit 1: a | b"
        ),
        Entry(known["s5cmd"], "2.3", ["/opt/s5cmd", "cp", file], known["s5cmd"].checks, [_run(0.5)]),
    ]
    return Outcome(SCENARIOS[0], 10**9, tmp_path, entries)


def _run(seconds: float) -> Measurement:
    return Measurement(seconds, user_seconds=seconds / 10, system_seconds=0.25, peak_memory=16 * 1024**2)
