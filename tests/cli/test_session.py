"""The command at a terminal, which here is a pseudo-terminal."""

from __future__ import annotations

import os
import re
import select
import struct
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from subprocess import Popen

import pytest

from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults

Start = Callable[..., "Popen[bytes]"]
Serve = Callable[..., ObjectServer]

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


@dataclass
class Terminal:
    """The outer end of a pseudo-terminal, and all that has been shown on it."""

    outer: int
    inner: int
    shown: str = field(default="")

    def read(self) -> str:
        """What has come since the last read; empty once nobody has the inner end open."""
        ready, _, _ = select.select([self.outer], [], [], 60)
        assert ready, "nothing was written to the terminal for a minute"
        try:
            text = os.read(self.outer, 65536).decode(errors="replace")
        except OSError:  # how Linux says that the inner end is closed
            return ""
        self.shown += text
        return text

    def read_until(self, text: str) -> None:
        while text not in self.shown:
            assert self.read(), f"the command ended without showing {text!r}: {self.shown!r}"

    def read_to_end(self) -> str:
        while self.read():
            pass
        return self.shown

    @property
    def plain(self) -> str:
        return _SEQUENCE.sub("", self.shown)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    outer, inner = os.openpty()
    ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    opened = Terminal(outer, inner)
    yield opened
    os.close(outer)
    if opened.inner >= 0:
        os.close(opened.inner)


@pytest.fixture
def begin(start: Start, terminal: Terminal) -> Start:
    """Start the command with the terminal as its standard error (and what else is asked for)."""

    def begin_at_terminal(
        *arguments: str, env: dict[str, str] | None = None, stdout: int | None = None, **options: object
    ) -> Popen[bytes]:
        target = terminal.inner if stdout is None else stdout
        process = start(*arguments, env=env, stdout=target, stderr=terminal.inner, **options)
        os.close(terminal.inner)
        terminal.inner = -1
        return process

    return begin_at_terminal


@pytest.fixture
def url(serve: Serve, stored: StoredObject) -> str:
    """An object that takes about a second on two connections."""
    return serve({"/b/big.bin": stored}, behaviour=Behaviour(rate_per_connection=2.5e6)).url("/b/big.bin")


def test_a_terminal_gets_a_bar_and_then_one_line(begin: Start, terminal: Terminal, url: str, tmp_path: Path) -> None:
    process = begin(url, "-x", "2", "-k", "1M")
    terminal.read_until("left, 2 connections")
    terminal.read_to_end()
    assert process.wait(timeout=60) == 0
    assert "━" in terminal.shown
    assert re.search(r"[0-9.]+ of 5\.00 MiB, [0-9.]+ [KM]iB/s, ", terminal.plain)
    assert "verified by the CRC64NVME of the whole object" in terminal.plain
    assert _COLOR.search(terminal.shown)
    assert (tmp_path / "big.bin").stat().st_size > 5 * 2**20


def test_the_cursor_is_never_hidden(begin: Start, terminal: Terminal, url: str) -> None:
    process = begin(url)
    assert "\x1b[?25l" not in terminal.read_to_end()
    assert process.wait(timeout=60) == 0


def test_no_color_leaves_the_bar_without_colors(begin: Start, terminal: Terminal, url: str) -> None:
    process = begin(url, "-x", "2", "-k", "1M", env={"NO_COLOR": "1"})
    terminal.read_until("left, 2 connections")
    terminal.read_to_end()
    assert process.wait(timeout=60) == 0
    assert "━" in terminal.shown
    assert not _COLOR.search(terminal.shown)


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"FASTGET_NO_PROGRESS": "1"}], ids=lambda v: next(iter(v)))
def test_a_bar_can_be_declined(begin: Start, terminal: Terminal, url: str, variables: dict[str, str]) -> None:
    process = begin(url, env=variables)
    shown = terminal.read_to_end()
    assert process.wait(timeout=60) == 0
    assert "\x1b" not in shown
    assert shown.startswith("big.bin: 5.00 MiB in ")
    assert shown.count("\n") == 1


def test_quiet_shows_nothing_on_a_terminal(begin: Start, terminal: Terminal, url: str) -> None:
    process = begin(url, "-q")
    assert terminal.read_to_end() == ""
    assert process.wait(timeout=60) == 0


def test_a_pipe_gets_the_bytes_while_the_terminal_gets_the_bar(
    begin: Start, terminal: Terminal, url: str, stored: StoredObject, tmp_path: Path
) -> None:
    target = os.open(tmp_path / "stdout", os.O_WRONLY | os.O_CREAT)
    process = begin("get", url, "-o", "-", stdout=target)
    os.close(target)
    terminal.read_to_end()
    assert process.wait(timeout=60) == 0
    assert "standard output ━" in terminal.plain
    assert (tmp_path / "stdout").read_bytes() == stored.content.read(0, stored.content.size)


def test_an_object_that_goes_to_the_terminal_has_no_bar_drawn_into_it(
    begin: Start, terminal: Terminal, serve: Serve
) -> None:
    url = serve({"/b/x": StoredObject(Content.of(b"plain text\n"))}).url("/b/x")
    process = begin("get", url, "-o", "-")
    shown = terminal.read_to_end()
    assert process.wait(timeout=60) == 0
    assert shown.startswith("plain text\r\nstandard output: 11 B in ")
    assert "\x1b" not in shown


def test_ctrl_c_at_a_terminal_leaves_a_line_and_no_file(
    begin: Start, terminal: Terminal, serve: Serve, tmp_path: Path
) -> None:
    slow = StoredObject(Content.generated(1 << 30))
    url = serve({"/b/big.bin": slow}, behaviour=Behaviour(rate_per_connection=2e6)).url("/b/big.bin")
    process = begin(url, "--no-resume")
    terminal.read_until("of 1.00 GiB")
    process.send_signal(2)
    terminal.read_to_end()
    assert process.wait(timeout=30) == 130
    assert terminal.plain.rstrip().endswith("big.bin: interrupted")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("S10")
def test_a_server_cannot_steer_the_terminal(begin: Start, terminal: Terminal, serve: Serve) -> None:
    fault = faults.status(403, "Denied\x9b31m", "\u202eno").always()
    stored = StoredObject(Content.of(b"x"), checksum=Algorithm.CRC32C)
    process = begin(serve({"/b/x": stored}, faults=[fault]).url("/b/x"), env={"NO_COLOR": "1"})
    terminal.read_to_end()
    assert process.wait(timeout=60) == 4
    assert not {"\x9b", "\u202e"} & set(terminal.shown)
    assert "access is denied" in terminal.plain
