"""The server as a process of its own, and its sets of objects."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from fastget.testing import Algorithm, Behaviour, ObjectServer, sets
from fastget.testing.__main__ import main
from fastget.testing.process import spawn_demo_server, spawn_server
from fastget.testing.sets import ObjectSet

MIB = 2**20


def test_a_server_process_serves_what_it_says(curl: Any) -> None:
    with spawn_server("--objects", "small", "--count", "3", "--size", "1000") as server:
        assert [served.size for served in server.objects] == [1000] * 3
        bodies = {curl(url).output for url in server.urls}
        assert {len(body) for body in bodies} == {1000}
        assert len(bodies) == 3


def test_a_server_process_ends_with_its_block(curl: Any) -> None:
    with spawn_server("--objects", "large", "--size", "1M", "--rate", "100M", "--delay", "0-0.001") as server:
        assert len(curl(server.urls[0]).output) == MIB
    assert curl(server.urls[0]).status == 7
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_a_terminal_does_not_interrupt_a_server_process() -> None:
    with spawn_server("--objects", "small", "--count", "1") as server:
        assert os.getpgid(server.pid) == server.pid != os.getpgid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_server_process_ends_on_sigterm() -> None:
    command = (sys.executable, "-m", "fastget.testing", "--objects", "small", "--count", "1")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"base_url": "http://127.0.0.1:')
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_server_process_that_cannot_start_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="did not start: status 2"), spawn_server("--objects", "nonsense"):
        pytest.fail("it started")
    assert "nonsense" in capfd.readouterr().err


def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        command = (sys.executable, "-m", "fastget.testing", "--objects", "small", "--count", "1", "--port", port)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"cannot listen on port {port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--port", "70000"),
        ("--count", "-3"),
        ("--size", "x"),
        ("--size", "0"),
        ("--rate", "0"),
        ("--delay", "x"),
        ("--delay", "0.06-0.03"),
        ("--delay", "nan"),
    ],
)
def test_a_value_that_cannot_be_is_told_in_a_line(capsys: pytest.CaptureFixture[str], flag: str, value: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([flag, value])
    assert ended.value.code == 2
    assert f"error: argument {flag}: {value!r} is no" in capsys.readouterr().err


@pytest.mark.parametrize("objects", ["demo", "large", "small"])
def test_every_set_is_served_as_slowly_as_is_said(monkeypatch: pytest.MonkeyPatch, objects: str) -> None:
    served: list[Behaviour] = []

    def serve(chosen: ObjectSet, port: int) -> ObjectServer:
        served.append(chosen.behaviour)
        raise OSError(port, "none is needed")

    monkeypatch.setattr(ObjectSet, "serve", serve)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        main(["--objects", objects, "--size", "1M", "--count", "1", "--rate", "5M", "--delay", "1-2"])
    assert [(each.rate_per_connection, each.first_byte_delay) for each in served] == [(5 << 20, (1, 2))]


def test_the_demo_server_names_its_two_objects(curl: Any) -> None:
    with spawn_demo_server() as server:
        kinds = [(served.checksum, served.checksum_type) for served in server.objects]
        assert kinds == [("crc32c", "COMPOSITE"), ("crc64nvme", "FULL_OBJECT")]
        head = curl("-I", server.urls[0] + "?partNumber=1", "-H", "x-amz-checksum-mode: ENABLED").output
        assert b"x-amz-mp-parts-count: %d" % server.objects[0].parts in head


def test_the_demo_flips_one_bit_of_one_part_once(ask: Any) -> None:
    size = 40 * MIB
    offset = size * 3 // 5
    around = f"bytes={offset}-{offset}"
    with sets.demo(size).serve() as server:
        damaged, right = (ask(server, "/demo/composite.bin", Range=around).body for _ in range(2))
        assert damaged[0] ^ right[0] == 8
        assert server.faults_happened == ("flip-bit",)
        twice = {ask(server, "/demo/full-object.bin", Range=around).body for _ in range(2)}
        assert len(twice) == 1


@pytest.mark.parametrize("size", [1, MIB, 33 * MIB + 7, 300 * MIB])
def test_the_demo_can_have_any_size(size: int) -> None:
    composite, full_object = sets.demo(size).objects.values()
    assert composite.content.size == full_object.content.size == size
    assert (composite.checksum, full_object.checksum) == (Algorithm.CRC32C, Algorithm.CRC64NVME)
    assert composite.is_composite
    assert full_object.is_multipart
