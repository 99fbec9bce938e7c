"""The command as a process of its own, and servers for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fastget.events import Method, Result, Verification
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject

MIB = 1024 * 1024
_HOME = str(Path(__file__).resolve().parents[2])
_COMMAND = (sys.executable, "-m", "fastget")


Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Serve = Callable[..., ObjectServer]


def environment(**variables: str) -> dict[str, str]:
    """The environment of these tests, with the package in it and nothing that would dress the output up."""
    return {**os.environ, "PYTHONPATH": _HOME, "NO_PROXY": "127.0.0.1", "TERM": "xterm", **variables}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `fastget` with these arguments; it is killed with the test."""
    with ExitStack() as processes:

        def begin(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
            # A test run in the background ignores SIGINT, one under nohup SIGHUP; its children would inherit that.
            before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)}
            try:
                process = subprocess.Popen(
                    (*_COMMAND, *arguments),
                    cwd=tmp_path,
                    env=environment(**(env or {})),
                    **{
                        "stdin": subprocess.DEVNULL,
                        "stdout": subprocess.PIPE,
                        "stderr": subprocess.PIPE,
                        **options,
                    },
                )
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield begin


@pytest.fixture
def run(start: Start) -> Run:
    """Run `fastget` with these arguments in `tmp_path` to its end."""

    def run_to_end(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        process = start(*arguments, env=env)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    return run_to_end


@pytest.fixture(scope="session")
def content() -> Content:
    """5 MiB and some bytes."""
    return Content.generated(5 * MIB + 321, seed=11)


@pytest.fixture(scope="session")
def stored(content: Content) -> StoredObject:
    """The content with a checksum of the whole."""
    return StoredObject(content, checksum=Algorithm.CRC64NVME)


@pytest.fixture
def result() -> Result:
    """A finished download."""
    return Result(
        url="http://host/big.bin",
        path="big.bin",
        size=2 * 1024 * MIB,
        etag='"e"',
        version_id=None,
        seconds=1.6,
        bytes_received=2 * 1024 * MIB,
        bytes_resumed=0,
        requests=128,
        retries=0,
        rescues=0,
        repairs=0,
        connections=8,
        split="range",
        verification=Verification(True, Method.FULL_OBJECT, "crc64nvme", "aa", "aa", 1.0, "compared with a header"),
    )
