"""`fastget demo`: a small copy of what a stranger sees first."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import STDOUT, Popen
from types import SimpleNamespace

import pytest

from fastget.cli import demo, plain_stream
from fastget.cli.demo_table import Shown, conclusion, explanation
from fastget.cli.plain_stream import PlainStream, measure
from fastget.client import Client
from fastget.config import Config
from fastget.events import Event, Progress, Result, Started
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, process
from fastget.testing.process import ServerProcess

Serve = Callable[..., ObjectServer]


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The demonstration with objects of 8 MiB, its temporary directory in `tmp_path`."""

    def spawn() -> AbstractContextManager[ServerProcess]:
        return process.spawn_server("--objects", "demo", "--size", "8M")

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(process, "spawn_demo_server", spawn)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("COLUMNS", "80")
    return folder


def test_the_demonstration_tells_what_it_did(small_demo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert demo.demo(None) == 0
    out, err = capfd.readouterr()
    assert "A server on this machine plays an object store" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    rows = {line[:14].strip(): re.split(r"\s{2,}", line[14:].strip()) for line in out.splitlines() if line[14:].strip()}
    assert rows[""] == ["composite.bin", "full-object.bin"]
    assert rows["size"] == ["8.00 MiB", "8.00 MiB"]
    assert rows["checksum"] == ["CRC32C of each of 1 part", "CRC64NVME of the whole, 6 parts"]
    assert rows["damaged parts"] == ["1, found and fetched again", "none"]
    assert rows["verified by"] == ["the CRC32C of its parts", "the CRC64NVME of the whole object"]
    assert " for one plain stream: " in out
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "one plain stream",
        "composite.bin",
        "full-object.bin",
    ]


def test_the_demonstration_leaves_nothing_behind(small_demo: Path) -> None:
    demo.demo(None)
    assert list(small_demo.iterdir()) == []


def test_a_server_that_does_not_start_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "spawn_demo_server", lambda: process.spawn_server("--objects", "nonsense"))
    assert demo.demo(None) == 1
    assert capfd.readouterr().err.splitlines()[-2:] == [
        "fastget: the object server did not start: status 2",
        "hint: see what python -m fastget.testing --objects demo says",
    ]


def test_a_url_is_downloaded_into_the_current_directory(
    serve: Serve,
    stored: StoredObject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo.demo(serve({"/b/own.bin": stored}).url("/b/own.bin")) == 0
    assert (tmp_path / "own.bin").stat().st_size == stored.content.size
    out = capfd.readouterr().out
    assert "own.bin" in out
    assert "The plain stream is fastget -x 1 into /dev/null." in out


@pytest.mark.parametrize("url", ["http://h/directory/", "nonsense", "s3://bucket/"])
def test_a_url_without_a_file_name_gets_no_hint_of_flags_that_it_has_not(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert demo.demo(url) == 2
    err = capfd.readouterr().err
    assert "hint: " in err
    assert " -o " not in err


def test_a_url_that_is_not_there_is_3(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    assert demo.demo(serve({}).url("/b/x")) == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("fastget: ")


def test_a_plain_stream_is_measured_for_a_while_and_scaled_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarm goes off once enough was seen, however long that takes here."""
    ring: list[Callable[[], None]] = []

    class Alarm:
        def __init__(self, seconds: float, function: Callable[[], None]) -> None:
            assert seconds == plain_stream.LONGEST
            ring.append(function)

        start = cancel = join = lambda _: None

    monkeypatch.setattr(plain_stream, "threading", SimpleNamespace(Timer=Alarm))
    slow = Behaviour(rate_per_connection=4e6)
    server = serve({"/b/x": StoredObject(Content.generated(1 << 30))}, behaviour=slow)
    events: list[Event] = []
    seen: list[Progress] = []

    def hear(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.received:
            seen.append(event)
            if seen[0].received < event.received:
                ring[0]()

    with Client(Config()) as client:
        plain = measure(client, server.url("/b/x"), hear)
    assert plain is not None
    assert not plain.is_whole
    assert plain.rate == (seen[-1].received - seen[0].received) / (seen[-1].seconds - seen[0].seconds)
    assert plain.time_for(plain.size) == seen[-1].seconds
    assert server.connections == 1
    assert {event.path for event in events if isinstance(event, Started)} == {"one plain stream"}
    assert any(isinstance(event, Progress) for event in events)


def test_a_short_object_is_measured_whole(serve: Serve, stored: StoredObject) -> None:
    with Client(Config()) as client:
        plain = measure(client, serve({"/b/x": stored}).url("/b/x"), lambda _: None)
    assert plain is not None
    assert plain.is_whole
    assert (plain.size, plain.time_for(plain.size)) == (stored.content.size, plain.seconds)


def test_time_is_estimated_from_the_rate_and_measured_where_it_can_be() -> None:
    assert PlainStream(100, 2.0, 50.0, is_whole=False).time_for(600) == 12.0
    assert PlainStream(100, 2.0, 50.0, is_whole=True).time_for(100) == 2.0


def test_the_comparison_says_what_it_rests_on(result: Result) -> None:
    plain = PlainStream(2**26, 3.0, 2**25, is_whole=False)
    shown = Shown("big.bin", result, plain)
    assert conclusion([shown]) == "1.6 s against 1 min 05 s for one plain stream: 40.6 times as fast"
    assert explanation(plain) == f"The plain stream is fastget -x 1 into {os.devnull}, estimated from 3.0 s measured."
    assert conclusion([Shown("big.bin", result, None)]) is None


@pytest.mark.parametrize("moment", ["on its way", "one plain stream"])
def test_ctrl_c_reaches_the_command_alone_and_leaves_nothing(
    start: Callable[..., Popen[bytes]], tmp_path: Path, moment: str
) -> None:
    command = start("demo", env={"TMPDIR": str(tmp_path)}, stderr=STDOUT, start_new_session=True)
    assert command.stdout is not None
    for line in command.stdout:
        if moment in line.decode():
            break
    # To all processes of the session, as a terminal does.
    os.killpg(command.pid, signal.SIGINT)
    # The server shares this pipe, so it has ended once the pipe has.
    rest = command.stdout.read().decode()
    assert command.wait(timeout=30) == 130
    assert rest.strip().splitlines() == ["fastget: interrupted"]
    assert list(tmp_path.iterdir()) == []
