"""`--json`: one line an event, for programs."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from threading import Thread
from typing import Any

import pytest

from fastget.cli.exit_codes import ExitCode
from fastget.cli.json_events import JsonReporter, write_line
from fastget.cli.signals import Interrupted, clean_stop
from fastget.cli.wording import Summary
from fastget.errors import NotFound
from fastget.events import Done, Failed, Method, Progress, Repaired, Result, Retried, Started

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    """What has been written to standard output, a dictionary a line."""
    return lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "event",
    [
        Started("u", "p", 5, '"e"', None, "range", 1, 1, Method.SIZE, None),
        Progress("u", 1, 2, None, 0, 3, 0.5),
        Retried("u", 0, 5, 1, 0.1, "reset"),
        Repaired("u", 0, 5, "digest"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_is_a_line_with_its_name_and_fields(event: Any, lines: Lines) -> None:
    JsonReporter().handle(event)
    (line,) = lines()
    assert line.pop("v") == 1
    assert line.pop("event") == type(event).__name__.lower()
    assert line == {field.name: getattr(event, field.name) for field in fields(event)}


def test_the_outcome_is_written_once(result: Result, lines: Lines) -> None:
    reporter = JsonReporter()
    reporter.handle(Done(result))
    reporter.finished(result)
    reporter.handle(Failed("u", "NotFound", "no"))
    reporter.failed(NotFound("no"), "u", ExitCode.NOT_FOUND)
    done, failed = lines()
    assert done == {"v": 1, "event": "done", **result.as_dict()}
    assert (failed["event"], failed["url"], failed["exit_code"]) == ("failed", "u", 3)


def test_a_failure_is_on_standard_error_as_well(capfd: pytest.CaptureFixture[str]) -> None:
    JsonReporter().failed(NotFound("no such object"), "http://h/x", ExitCode.NOT_FOUND)
    assert capfd.readouterr().err == "fastget: http://h/x: no such object\n"


def test_the_summary_is_a_line(lines: Lines) -> None:
    JsonReporter().summarize(Summary(1, 2, 5, 0.5, 1))
    assert lines() == [{"v": 1, "event": "summary", "done": 1, "failed": 2, "size": 5, "seconds": 0.5, "exit_code": 1}]


@pytest.mark.fault("S10", "S11")
def test_lines_are_ascii_whatever_a_server_sends(capfd: pytest.CaptureFixture[str]) -> None:
    write_line("x", {"text": "\x1b \u202e ü \udcff \n"})
    out = capfd.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert json.loads(out)["text"] == "\x1b \u202e ü \udcff \n"


def test_lines_of_several_threads_stay_whole(lines: Lines) -> None:
    reporter = JsonReporter()
    event = Retried("u" * 5000, 0, 5, 1, 0.1, "reset")

    def write() -> None:
        for _ in range(50):
            reporter.handle(event)

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["url"] for line in lines()] == ["u" * 5000] * 200


def test_a_reader_that_has_gone_stops_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = os.pipe()
    os.close(source)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with os.fdopen(target, "w", closefd=False) as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            reporter = JsonReporter()
            worker = Thread(target=reporter.handle, args=(Progress("u", 1, 1, None, 0, 1, 0.1),))
            with pytest.raises(Interrupted):
                _wait_for(worker)
            monkeypatch.undo()
            os.dup2(os.open(os.devnull, os.O_WRONLY), target)
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(target)
    assert isinstance(reporter.lost, BrokenPipeError)


def _wait_for(worker: Thread) -> None:
    with clean_stop():
        worker.start()
        worker.join()
        signal.pause()


@pytest.mark.parametrize("otherwise", [signal.default_int_handler, signal.SIG_IGN], ids=["heeded", "ignored"])
def test_a_reader_that_has_gone_when_an_object_of_a_pull_is_done_stops_it_too(
    result: Result, monkeypatch: pytest.MonkeyPatch, otherwise: Any
) -> None:
    """Also in the background, where a shell has Ctrl-C ignored."""

    def refuse(_: bytes) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("fastget.cli.json_events.write_output", refuse)
    reporter = JsonReporter()
    before = signal.signal(signal.SIGINT, otherwise)
    try:
        with pytest.raises(Interrupted), clean_stop():
            reporter.finished(result)
    finally:
        signal.signal(signal.SIGINT, before)
    assert isinstance(reporter.lost, BrokenPipeError)
