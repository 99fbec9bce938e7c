"""Warnings of the library at a shell: one whole line each, in the command's words, and none in the picture of a bar."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from rich.console import Console

from fastget.cli.bar import BarReporter
from fastget.cli.warnings import NEEDED, hear_warnings
from fastget.events import Method, Started
from fastget.testing import Behaviour, ObjectServer, StoredObject
from fastget.warn import before_warnings, warn

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Serve = Callable[..., ObjectServer]

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SAID = "fastget: warning: {url}?… is a signed URL that is good until "


@pytest.fixture
def url(serve: Serve, stored: StoredObject) -> str:
    """A signed URL that ends in a minute, of an object that takes about a second."""
    server = serve({"/b/big.bin": stored}, behaviour=Behaviour(rate_per_connection=2.5e6))
    return server.url("/b/big.bin")


@pytest.fixture
def signed(url: str) -> str:
    return f"{url}?X-Amz-Date={datetime.now(UTC):%Y%m%dT%H%M%SZ}&X-Amz-Expires=60&X-Amz-Signature=5ec2e75ec2e7"


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """The lines that this process is told."""
    lines: list[str] = []
    before = warnings.showwarning
    yield lines
    warnings.showwarning = before
    hear_warnings()
    warnings.showwarning = before
    before_warnings(lambda: None)


@pytest.mark.parametrize("flags", [[], ["-v"], ["--json"]], ids=["plain", "verbose", "json"])
def test_a_warning_is_a_line_of_standard_error(url: str, signed: str, run: Run, flags: list[str]) -> None:
    done = run(signed, *flags)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.decode().splitlines() if "warning" in line]
    assert line.startswith(_SAID.format(url=url))
    assert all(json.loads(line)["v"] == 1 for line in done.stdout.splitlines())


def test_quiet_leaves_it_out(signed: str, run: Run) -> None:
    assert run(signed, "-q").stderr == b""


@pytest.mark.parametrize("verb", ["stat", "bench"])
def test_every_verb_words_it_alike(url: str, signed: str, run: Run, verb: str) -> None:
    done = run(verb, signed)
    assert any(line.startswith(_SAID.format(url=url)) for line in done.stderr.decode().splitlines())


def test_on_a_terminal_it_stands_above_the_bar(url: str, signed: str, start: Start) -> None:
    outer, inner = os.openpty()
    process = start(signed, "-x", "2", "-k", "1M", stdout=inner, stderr=inner)
    os.close(inner)
    shown = b""
    with suppress(OSError):  # nobody has the inner end open any more
        while data := os.read(outer, 65536):
            shown += data
    os.close(outer)
    assert process.wait(60) == 0
    lines = [_SEQUENCE.sub("", line).strip() for line in re.split(r"\r?\n|\r", shown.decode())]
    assert [line for line in lines if line.startswith(_SAID.format(url=url))]
    assert sum("warning" in line for line in lines) == 1
    assert any("━" in line for line in lines)


def test_what_another_library_writes_to_standard_error_stands_above_the_bar() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=100, force_terminal=True, no_color=True, highlight=False, _environ={})
    before = sys.stderr
    reporter = BarReporter(console=console)
    reporter.handle(Started("http://h/k", "k", 10**9, None, None, "range", 10, 4, Method.SIZE, None))
    print("Connection pool is full", file=sys.stderr)
    reporter.close()
    assert sys.stderr is before
    lines = [_SEQUENCE.sub("", line).strip() for line in re.split(r"\r?\n|\r", screen.getvalue())]
    assert "Connection pool is full" in lines


def test_a_line_cannot_steer_the_terminal_and_has_one_line(heard: list[str]) -> None:
    hear_warnings(heard.append)
    warn("fastget", "%s is\nodd", "\x1b[2Ja name")
    assert heard == ["fastget: warning: \\x1b[2Ja name is odd"]


def test_quiet_leaves_the_warning_of_credentials_that_others_can_read(heard: list[str]) -> None:
    hear_warnings(heard.append, quiet=True)
    warn("fastget", "something")
    warn(NEEDED, "credentials go to %s unencrypted", "http://h")
    assert heard == ["fastget: warning: credentials go to http://h unencrypted"]


def test_warnings_of_python_are_told_as_well(heard: list[str]) -> None:
    hear_warnings(heard.append)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        hear_warnings(heard.append)
        warnings.warn("Python 3.x is too old\nfor this library", DeprecationWarning, stacklevel=1)
    assert heard == ["fastget: warning: Python 3.x is too old for this library"]
