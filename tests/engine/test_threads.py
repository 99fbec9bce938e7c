"""Threads that ask side by side: whatever interrupts their start, nobody waits for one that never ran."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fastget
from fastget.engine import threads
from fastget.engine.threads import ask_each
from fastget.errors import FastgetError, NoThreadError
from fastget.testing import Content, ObjectServer, StoredObject


@pytest.fixture
def _without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a thread that never ran waits until the test's own limit."""
    monkeypatch.setattr(threads, "PATIENCE", None)


def _ask_three(stop: Callable[[], None]) -> None:
    list(ask_each(lambda number: number, range(9), 3, "ask", stop))


@pytest.mark.fault("X29")
@pytest.mark.usefixtures("_without_patience")
def test_an_interrupt_within_a_start_waits_for_none_of_the_threads_that_were_to_follow(
    monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    start, stopped = threading.Thread.start, threading.Event()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _ask_three(stopped.set)

    assert stopped.is_set()


@pytest.mark.usefixtures("_without_patience")
def test_a_thread_that_the_system_does_not_give_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    start, stopped = threading.Thread.start, threading.Event()

    def refused(thread: threading.Thread) -> None:
        if thread.name != "ask-1":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(NoThreadError):
        _ask_three(stopped.set)

    assert stopped.is_set()


@pytest.mark.parametrize(
    ("said", "way_out"),
    [
        ("can't start new thread", "ulimit -u"),
        ("can't create new thread at interpreter shutdown", "before the interpreter ends"),
        ("daemon threads are disabled in this (sub)interpreter", "in the main interpreter"),
    ],
)
def test_where_there_is_no_thread_the_way_out_goes_by_the_cause(
    monkeypatch: pytest.MonkeyPatch, said: str, way_out: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(threading.Thread, "__init__", refused)
    with pytest.raises(NoThreadError, match="no thread") as caught:
        list(ask_each(lambda number: number, range(3), 2, "ask", lambda: None))
    assert way_out in (caught.value.hint or "")


@pytest.mark.fault("X29")
@pytest.mark.parametrize("sink", ["file", "device", "stream"])
def test_who_may_be_interrupted_by_a_signal_takes_no_condition_in_several_steps(
    monkeypatch: pytest.MonkeyPatch, content: Content, destination: Path, sink: str
) -> None:
    """An interrupt between them would leave its lock taken, and a thread of the download waiting for it, for ever."""
    enter, main, takers = threading.Condition.__enter__, threading.get_ident(), set()

    def watched(condition: threading.Condition) -> bool:
        if threading.get_ident() == main:
            frame = sys._getframe(1)
            while frame.f_code.co_filename == threading.__file__ and frame.f_back is not None:
                frame = frame.f_back
            takers.add((Path(frame.f_code.co_filename).stem, frame.f_code.co_name))
        return enter(condition)

    monkeypatch.setattr(threading.Condition, "__enter__", watched)
    options = {"connections": 3, "part_size": 256 * 1024}
    with ObjectServer({"/b/k": StoredObject(content)}) as server:
        if sink == "stream":
            with fastget.stream(server.url("/b/k"), **options) as stream:
                assert sum(map(len, stream)) == content.size
        else:
            fastget.download(server.url("/b/k"), destination if sink == "file" else "/dev/null", **options)
    # That of the standard library, of a thread that begins.
    modules = ("job", "threads", "crew", "stream", "handoff", "descriptor", "streaming")
    assert {name for module, name in takers if module in modules} <= {"start"}


@pytest.mark.fault("X29")
def test_an_interrupt_that_the_standard_library_hides_is_no_lack_of_threads(
    monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    """Within its start of a thread, in the return from a wait: the thread runs, with all that was lent to it."""
    start, may_end, ended = threading.Thread.start, threading.Event(), []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("release unlocked lock")

    thread = threads.Thread(lambda: ended.append(may_end.wait()), "hidden")
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        thread.start()
    may_end.set()
    thread.join(None)
    assert ended == [True]


@pytest.mark.parametrize("verb", ["download", "read", "ranges", "stream", "pull"])
def test_where_the_system_gives_no_thread_at_all_that_is_told_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, content: Content, destination: Path, verb: str
) -> None:
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name.startswith("fastget-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with ObjectServer({"/b/k": StoredObject(content)}) as server, fastget.Client(part_size=1024 * 1024) as client:
        url = server.url("/b/k")
        calls: dict[str, Callable[[], object]] = {
            "download": lambda: client.download(url, destination),
            "read": lambda: client.read(url),
            "ranges": lambda: client.read_ranges(url, [(0, 1), (content.size - 1, content.size)]),
            "stream": lambda: list(client.stream(url)),
            "pull": lambda: client.pull([url], destination.parent),
        }
        monkeypatch.setattr(threading.Thread, "start", refused)
        with pytest.raises(FastgetError, match="no thread to be had") as caught:
            calls[verb]()
    assert caught.value.hint
    assert not list(destination.parent.iterdir())
