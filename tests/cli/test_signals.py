"""Ctrl-C, SIGTERM, a terminal that is closed, and a second one."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen, run
from textwrap import dedent

import pytest

from fastget.cli.signals import Interrupted, clean_stop
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject

Start = Callable[..., "Popen[bytes]"]
Serve = Callable[..., ObjectServer]

# So slow that nothing worth keeping lands meanwhile, on a busy machine too.
SLOW = Behaviour(rate_per_connection=1e4)


@pytest.fixture
def slow_url(serve: Serve) -> str:
    """An object that takes longer than any test."""
    return serve({"/b/x": StoredObject(Content.generated(1 << 30))}, behaviour=SLOW).url("/b/x")


def wait_for_bytes(process: Popen[bytes]) -> None:
    """Wait until the transfer has begun to land."""
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "progress":
            return
    pytest.fail("the command ended before its first progress")


@pytest.mark.fault("X29")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_stops_cleanly(
    start: Start, slow_url: str, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    process = start("get", slow_url, "--json")
    wait_for_bytes(process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert stderr.decode() == f"fastget: {slow_url}: interrupted\n"
    failed, summary = [json.loads(line) for line in stdout.splitlines()][-2:]
    assert (failed["event"], failed["error"], failed["exit_code"]) == ("failed", "Cancelled", status)
    assert (summary["event"], summary["exit_code"]) == ("summary", status)
    assert list(tmp_path.iterdir()) == []


_INTERRUPTED_AT_ONCE = """
    import os, signal, sys

    wanted = sys.argv[1]

    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == wanted:
                sys.meta_path.remove(self)
                os.kill(os.getpid(), signal.SIGINT)

    sys.meta_path.insert(0, Finder())
    from fastget.__main__ import command
    sys.argv[1:] = ["get", "http://127.0.0.1:1/k"]
    sys.exit(command())
"""


@pytest.mark.fault("X29")
@pytest.mark.parametrize("module", ["fastget.cli.app", "fastget.config", "click"])
def test_an_interrupt_while_the_command_is_being_loaded_ends_it_without_a_word(tmp_path: Path, module: str) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = run(
            (sys.executable, "-c", dedent(_INTERRUPTED_AT_ONCE), module), cwd=tmp_path, capture_output=True, check=False
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.fault("X29")
def test_a_file_that_was_there_survives_a_signal(start: Start, slow_url: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    process = start("get", slow_url, "--json")
    wait_for_bytes(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_the_urls_after_an_interrupted_one_are_not_begun(start: Start, slow_url: str) -> None:
    process = start("get", slow_url, slow_url + "2", "--json")
    wait_for_bytes(process)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert {json.loads(line).get("url", slow_url) for line in stdout.splitlines()} == {slow_url}


@pytest.mark.fault("X29")
@pytest.mark.parametrize("flags", [(), ("--json",), ("-v",)])
def test_a_closed_terminal_ends_the_command_cleanly(
    start: Start, slow_url: str, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    terminal, line = pty.openpty()
    process = start("get", slow_url, *flags, stdin=line, stdout=line, stderr=line)
    os.close(line)
    while not (_part_files(tmp_path) and os.read(terminal, 1 << 16)):
        pass
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=30) == 129
    assert list(tmp_path.iterdir()) == []


def _part_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".fastget-part")]


def test_hanging_up_twice_is_no_reason_to_hurry() -> None:
    """The terminal and the shell both send it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def interrupted() -> None:
        with clean_stop():
            try:
                signal.raise_signal(signal.SIGHUP)
            finally:
                signal.raise_signal(signal.SIGHUP)

    try:
        with pytest.raises(Interrupted) as caught:
            interrupted()
        assert caught.value.signal_number == signal.SIGHUP
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


class Deaf:
    """The interpreter only prints what a finalizer raises."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_meets_a_finalizer_is_not_lost() -> None:
    is_over = threading.Event()
    before = signal.getsignal(signal.SIGTERM), sys.unraisablehook

    def interrupted() -> None:
        with clean_stop():
            Deaf()
            is_over.wait(60)

    with pytest.raises(Interrupted) as caught:
        interrupted()
    assert caught.value.signal_number == signal.SIGTERM
    assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before


def test_nor_is_it_where_it_comes_again_before_the_finalizer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    start, slow = threading.Timer.start, [True, True]

    def start_slowly(timer: threading.Timer) -> None:
        start(timer)
        if slow and slow.pop():
            threading.Event().wait(0.5)  # until it is interrupted

    monkeypatch.setattr(threading.Timer, "start", start_slowly)
    test_a_signal_that_meets_a_finalizer_is_not_lost()
    assert not slow


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with clean_stop():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_signal_beside_the_first_is_the_same_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """timeout(1) sends two: one to the command, one to its group."""
    again = []

    def wait(_: float) -> None:
        again.append(signal.getsignal(signal.SIGTERM))
        again.append(signal.getsignal(signal.SIGINT))

    monkeypatch.setattr("fastget.cli.signals.sleep", wait)
    with pytest.raises(Interrupted), clean_stop():
        signal.raise_signal(signal.SIGTERM)

    assert again == [signal.SIG_IGN, signal.SIG_IGN]


def test_after_the_first_signal_a_second_one_kills() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def interrupted() -> None:
        with clean_stop():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                seen.append(signal.getsignal(signal.SIGTERM))

    with pytest.raises(Interrupted) as caught:
        interrupted()
    assert caught.value.signal_number == signal.SIGTERM
    assert seen == [signal.SIG_DFL]
    assert signal.getsignal(signal.SIGTERM) is before
