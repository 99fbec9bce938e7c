"""Streams: what they may be sent to, readers that stop or go, and nothing that waits for ever."""

from __future__ import annotations

import errno
import io
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from fastget.errors import Cancelled, DestinationError, NoSpace
from fastget.sinks.stream import StreamSink

UntilWaiting = Callable[[StreamSink, int], None]
pytestmark = pytest.mark.usefixtures("no_leaks")


def _stalled(sink: StreamSink, pool: ThreadPoolExecutor) -> Future[None]:
    """A writer whose reader takes nothing: the pipe has become full, and the rest waits in poll(2)."""
    waiting = threading.Event()
    original = os.write

    def write(descriptor: int, data: bytes | memoryview) -> int:
        count = original(descriptor, data)
        if count < len(data):
            waiting.set()
        return count

    patch = pytest.MonkeyPatch()
    patch.setattr(os, "write", write)
    try:
        future = pool.submit(sink.write_at, 0, memoryview(bytes(8 << 20)))
        waiting.wait()
    finally:
        patch.undo()
    return future


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="a pipe cannot be opened anew here")
@pytest.mark.parametrize("ending", ["abort", "discard"])
def test_a_reader_that_has_stopped_reading_holds_nobody(
    pool: ThreadPoolExecutor, pipe: tuple[int, int], ending: str, until_waiting: UntilWaiting
) -> None:
    sink = StreamSink(pipe[1])
    sink.open(None)
    writer = _stalled(sink, pool)
    behind = pool.submit(sink.write_at, 8 << 20, memoryview(bytes(64 << 20)))
    until_waiting(sink, 1)
    getattr(sink, ending)()
    with pytest.raises(Cancelled):
        writer.result()
    with pytest.raises((Cancelled, DestinationError)):
        behind.result()
    sink.discard()
    assert os.get_blocking(pipe[1])


def test_a_reader_that_has_gone_is_a_broken_pipe_for_all_writers(
    pool: ThreadPoolExecutor, pipe: tuple[int, int], until_waiting: UntilWaiting
) -> None:
    sink = StreamSink(pipe[1], window=0)
    sink.open(None)
    behind = pool.submit(sink.write_at, 5, memoryview(b"56789"))
    until_waiting(sink, 1)
    os.close(pipe[0])
    with pytest.raises(DestinationError) as failure:
        sink.write_at(0, memoryview(b"01234"))
    assert isinstance(failure.value.__cause__, BrokenPipeError)
    with pytest.raises(DestinationError) as failure:
        behind.result()
    assert isinstance(failure.value.__cause__, BrokenPipeError)
    with pytest.raises(DestinationError) as failure:
        sink.publish(10)
    assert isinstance(failure.value.__cause__, BrokenPipeError)


def test_a_descriptor_that_does_not_block_is_written_whole(pool: ThreadPoolExecutor, pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    content = random.Random(1).randbytes(1 << 20)
    sink = StreamSink(pipe[1])
    sink.open(None)

    def send() -> None:
        sink.write_at(0, memoryview(content))
        sink.publish(len(content))
        os.close(pipe[1])

    sent = pool.submit(send)
    received = bytearray()
    while data := os.read(pipe[0], 1 << 16):
        received += data
    sent.result()
    assert received == content


def test_the_callers_descriptor_stays_open_and_blocking(pipe: tuple[int, int]) -> None:
    sink = StreamSink(pipe[1])
    sink.open(None)
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    sink.discard()
    assert os.get_blocking(pipe[1])
    os.write(pipe[1], b" and more")
    assert os.read(pipe[0], 100) == b"bytes and more"


def test_a_redirected_output_is_written_from_its_place_on(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab+", buffering=0) as file:
        file.write(b"before ")
        sink = StreamSink(file.fileno())
        sink.open(5)
        sink.write_at(0, memoryview(b"bytes"))
        sink.publish(5)
        file.write(b" after")
    assert (tmp_path / "log").read_bytes() == b"before bytes after"


@pytest.mark.fault("X10")
def test_a_named_pipe_waits_for_its_reader_and_ends_with_the_object(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    sink = StreamSink(path)
    sink.check()
    opening = pool.submit(sink.open, 5)
    received = pool.submit(path.read_bytes)
    opening.result()
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    assert received.result() == b"bytes"
    assert sink.path == str(path)


def test_abort_ends_the_wait_for_the_reader_of_a_named_pipe(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    sink = StreamSink(tmp_path / "pipe")
    opening = pool.submit(sink.open, 5)
    sink.abort()
    with pytest.raises(Cancelled):
        opening.result()
    sink.discard()


@pytest.mark.fault("X1", "X10")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_device_is_no_space() -> None:
    sink = StreamSink("/dev/full")
    sink.check()
    sink.open(5)
    with pytest.raises(NoSpace):
        sink.write_at(0, memoryview(b"bytes"))
    sink.discard()


@pytest.mark.fault("X10")
def test_the_null_device_takes_everything() -> None:
    sink = StreamSink("/dev/null")
    sink.check()
    sink.open(None)
    for number in range(64):
        sink.write_at(number << 20, memoryview(bytes(1 << 20)))
    sink.publish(64 << 20)
    assert sink._front == 64 << 20


def test_targets_that_cannot_be_written_are_refused_before_any_request(pipe: tuple[int, int], tmp_path: Path) -> None:
    unused = os.dup(pipe[1])
    os.close(unused)
    for target in (pipe[0], unused, tmp_path, tmp_path / "missing"):
        with pytest.raises(DestinationError):
            StreamSink(target).check()


def test_a_descriptor_that_cannot_be_written_is_told_with_what_it_is(pipe: tuple[int, int]) -> None:
    with pytest.raises(DestinationError, match=rf"cannot write file descriptor {pipe[0]}: Bad file descriptor"):
        StreamSink(pipe[0]).check()


def test_a_path_that_cannot_be_opened_is_told_with_its_name(tmp_path: Path) -> None:
    sink = StreamSink(tmp_path / "missing")
    with pytest.raises(DestinationError, match=r"cannot open .*missing: No such file"):
        sink.open(5)


class Sparing(io.RawIOBase):
    """A writer that takes at most three bytes at a time, and none after its `budget`."""

    def __init__(self, budget: int) -> None:
        self.received = bytearray()
        self.budget = budget

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview, /) -> int | None:  # type: ignore[override]
        taken = bytes(data[: min(3, self.budget - len(self.received))])
        self.received += taken
        return len(taken) or None


@pytest.mark.fault("X5")
def test_a_writer_that_takes_little_is_written_to_again() -> None:
    target = Sparing(budget=10)
    sink = StreamSink(target)
    sink.open(10)
    sink.write_at(0, memoryview(b"0123456789"))
    sink.publish(10)
    assert target.received == b"0123456789"


def test_a_writer_that_takes_nothing_is_an_error_and_no_endless_loop() -> None:
    sink = StreamSink(Sparing(budget=5))
    sink.open(10)
    with pytest.raises(DestinationError) as failure:
        sink.write_at(0, memoryview(b"0123456789"))
    assert "blocks" in (failure.value.hint or "")
    sink.discard()


def test_a_closed_writer_is_a_destination_error() -> None:
    target = io.BytesIO()
    sink = StreamSink(target)
    sink.open(10)
    target.close()
    with pytest.raises(DestinationError, match="closed file"):
        sink.write_at(0, memoryview(b"0123456789"))
    with pytest.raises(DestinationError, match="closed file"):
        sink.write_at(10, memoryview(b"0123456789"))
    sink.discard()


def test_a_failure_of_the_callers_own_code_comes_through_as_it_is() -> None:
    class Broken(io.RawIOBase):
        def write(self, data: memoryview, /) -> int:  # type: ignore[override]
            raise KeyError("mine")

    sink = StreamSink(Broken())
    sink.open(10)
    with pytest.raises(KeyError, match="mine"):
        sink.write_at(0, memoryview(b"0123456789"))
    with pytest.raises(DestinationError):
        sink.write_at(10, memoryview(b"0123456789"))
    sink.discard()


def test_publishing_flushes_the_writer_and_leaves_it_open(tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb", buffering=1 << 20) as target:
        sink = StreamSink(target)
        sink.open(5)
        sink.write_at(0, memoryview(b"bytes"))
        sink.publish(5)
        assert (tmp_path / "output").read_bytes() == b"bytes"
        assert not target.closed


def test_a_flush_that_fails_is_told(fail: Callable[..., None]) -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sink = StreamSink(Full())
    sink.open(0)
    with pytest.raises(NoSpace):
        sink.publish(0)
