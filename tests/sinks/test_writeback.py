"""Writing back early: after so many bytes, of flushed files alone, and never instead of the flush."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import pytest

from fastget.errors import DestinationError, NoSpace
from fastget.sinks import writeback
from fastget.sinks.file import FileSink
from fastget.sinks.writeback import STRIDE, WriteBack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUFFER = memoryview(bytes(1 << 20))


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that were told to begin."""
    told: list[int] = []
    monkeypatch.setattr(writeback, "_sync_file_range", lambda: told.append)
    return told


def write(sink: FileSink, count: int) -> None:
    sink.open(count * len(BUFFER))
    for number in range(count):
        sink.write_at(number * len(BUFFER), BUFFER)


def test_it_begins_once_a_stride_of_bytes_has_landed(starts: list[int]) -> None:
    one = WriteBack()
    for _ in range(4):
        one.note(7, STRIDE // 2)
    assert starts == [7, 7]


def test_a_file_that_is_flushed_is_written_back_while_it_lands(tmp_path: Path, starts: list[int]) -> None:
    sink = FileSink(tmp_path / "object.bin")
    write(sink, 2 * STRIDE // len(BUFFER))
    assert len(starts) == 2
    sink.discard()


def test_a_file_that_is_not_flushed_is_left_to_the_system(tmp_path: Path, starts: list[int]) -> None:
    sink = FileSink(tmp_path / "object.bin", fsync=False)
    write(sink, 2 * STRIDE // len(BUFFER))
    assert starts == []
    sink.discard()


def test_the_flush_at_the_end_comes_all_the_same(
    tmp_path: Path, starts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr("fastget.sinks.file.flush", flushed.append)
    sink = FileSink(tmp_path / "object.bin")
    write(sink, STRIDE // len(BUFFER))
    sink.publish(STRIDE)
    assert flushed == starts


@pytest.mark.fault("X1")
@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, NoSpace), (errno.EIO, DestinationError)])
def test_bytes_that_find_no_place_on_the_disk_fail_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DestinationError]
) -> None:
    def begin(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    def found() -> Callable[[int], None]:
        return begin

    monkeypatch.setattr(writeback, "_sync_file_range", found)
    sink = FileSink(tmp_path / "object.bin")
    with pytest.raises(kind):
        write(sink, STRIDE // len(BUFFER))
    sink.discard()


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_the_call_is_made_and_what_cannot_be_written_back_is_no_error(tmp_path: Path) -> None:
    begin = writeback._sync_file_range()
    assert begin is not None
    with (tmp_path / "file").open("wb") as file:
        file.write(b"bytes")
        begin(file.fileno())
    reading, writing = os.pipe()
    begin(writing)  # ESPIPE
    os.close(reading)
    os.close(writing)


def test_on_other_systems_everything_is_left_to_the_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert writeback._sync_file_range.__wrapped__() is None
