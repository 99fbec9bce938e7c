"""A descriptor that is closed while threads use it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Event, Thread

import pytest

from fastget.sinks.descriptor import SharedDescriptor

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_closing_waits_for_the_uses_that_have_begun_and_refuses_later_ones(tmp_path: Path) -> None:
    number = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)
    shared = SharedDescriptor(number)
    inside, leave, closing = Event(), Event(), Event()

    def use() -> None:
        with shared as descriptor:
            inside.set()
            leave.wait()
            os.pwrite(descriptor, b"late", 0)

    def close() -> None:
        closing.set()
        shared.close()

    user, closer = Thread(target=use), Thread(target=close)
    user.start()
    inside.wait()
    closer.start()
    closing.wait()
    assert os.fstat(number)
    leave.set()
    user.join()
    closer.join()
    assert (tmp_path / "file").read_bytes() == b"late"
    with pytest.raises(OSError) as failure, shared:
        pass
    assert failure.value.errno == errno.EBADF
    with pytest.raises(OSError):
        os.fstat(number)


def test_closing_twice_closes_once(tmp_path: Path) -> None:
    shared = SharedDescriptor(os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY))
    shared.close()
    other = os.open(tmp_path / "file", os.O_WRONLY)  # has taken the number
    shared.close()
    assert os.fstat(other)
    os.close(other)
