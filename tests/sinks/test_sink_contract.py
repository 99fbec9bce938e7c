"""What every sink keeps (fastget/sinks/protocol.py)."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from fastget.errors import Cancelled, DestinationError

pytestmark = pytest.mark.usefixtures("no_leaks")

SIZES = (0, 1, 4097, 3 << 20)
FILES = ("file", "new-file", "unflushed-file", "kept-file", "journalled-file")
hidden_only = pytest.mark.parametrize("subject", [*FILES, "memory"], indirect=True)
seekable_only = pytest.mark.parametrize("subject", [*FILES, "memory", "buffer"], indirect=True)
streams_only = pytest.mark.parametrize("subject", ["pipe", "named-pipe", "redirected", "writer"], indirect=True)


def _pieces(size: int, seed: int) -> list[tuple[int, int]]:
    """Spans that tile `size` bytes, of random lengths, in a random order."""
    chance = random.Random(seed)
    cuts = sorted({0, size, *(chance.randrange(size + 1) for _ in range(40))})
    spans = list(pairwise(cuts))
    chance.shuffle(spans)
    return spans


def _write(subject: Any, content: bytes, spans: list[tuple[int, int]], threads: int) -> None:
    """Write the spans from several threads, each from one buffer of its own that is filled again at once."""
    start = Barrier(threads)

    def work(number: int) -> None:
        own = bytearray(len(content))
        start.wait()
        for first, last in spans[number::threads]:
            own[: last - first] = content[first:last]
            subject.sink.write_at(first, memoryview(own)[: last - first])
            own[: last - first] = bytes(last - first)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, number) for number in range(threads)]:
            done.result()


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def _fill(subject: Any, content: bytes) -> None:
    subject.sink.write_at(0, memoryview(content))


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("size", SIZES)
def test_publishing_shows_exactly_the_bytes_that_several_threads_wrote_in_any_order(
    subject: Any, size: int, known: bool
) -> None:
    content = random.Random(size).randbytes(size)
    subject.sink.check()
    subject.sink.open(size if known else None)
    _write(subject, content, _pieces(size, seed=size), threads=4)
    subject.sink.publish(size)
    visible = subject.visible()
    assert visible[:size] == content
    assert not visible[size:].strip(b"\0")  # only a caller's larger buffer has more, which stays as it was
    assert subject.strays() == []


@pytest.mark.fault("C7")
@pytest.mark.parametrize("seed", range(4))
def test_any_cut_and_order_gives_the_same_bytes(subject: Any, seed: int) -> None:
    content = random.Random(seed).randbytes(random.Random(seed).randrange(100_000))
    subject.sink.open(None if seed % 2 else len(content))
    _write(subject, content, _pieces(len(content), seed), threads=3)
    subject.sink.publish(len(content))
    assert subject.visible()[: len(content)] == content


@hidden_only
def test_nothing_is_visible_before_it_is_published(subject: Any) -> None:
    subject.sink.open(5)
    _fill(subject, b"bytes")
    assert subject.visible() is None
    subject.sink.discard()


def test_discarding_leaves_nothing(subject: Any) -> None:
    subject.sink.open(5)
    _fill(subject, b"bytes")
    subject.sink.discard()
    assert subject.strays() == []
    assert subject.visible() is None if subject.is_hidden else True
    with pytest.raises(DestinationError):
        _fill(subject, b"bytes")


def test_discarding_is_safe_at_any_time_and_more_than_once(subject: Any) -> None:
    subject.sink.discard()
    subject.sink.discard()
    assert not (subject.visible() or b"").strip(b"\0")


def test_discarding_after_publishing_keeps_what_is_published(subject: Any) -> None:
    subject.sink.open(5)
    _fill(subject, b"bytes")
    subject.sink.publish(5)
    subject.sink.discard()
    subject.sink.discard()
    assert subject.visible()[:5] == b"bytes"


def test_what_was_not_written_cannot_be_published(subject: Any) -> None:
    subject.sink.open(None)
    _fill(subject, b"byte")
    with pytest.raises(DestinationError):
        subject.sink.publish(1 << 30)
    if subject.is_hidden:
        assert subject.visible() is None
    subject.sink.discard()


def test_writing_needs_an_open_sink(subject: Any) -> None:
    with pytest.raises(DestinationError):
        _fill(subject, b"bytes")
    with pytest.raises(DestinationError):
        subject.sink.publish(0)


def test_a_published_sink_takes_no_more_bytes(subject: Any) -> None:
    subject.sink.open(5)
    _fill(subject, b"bytes")
    subject.sink.publish(5)
    with pytest.raises(DestinationError):
        subject.sink.write_at(5, memoryview(b"more"))
    assert subject.visible()[:9].rstrip(b"\0") == b"bytes"


def test_a_sink_cannot_be_opened_twice(subject: Any) -> None:
    subject.sink.open(5)
    with pytest.raises(DestinationError):
        subject.sink.open(5)
    subject.sink.discard()


def test_after_abort_nothing_is_written_or_published(subject: Any) -> None:
    subject.sink.open(10)
    _fill(subject, b"bytes")
    subject.sink.abort()
    subject.sink.abort()
    with pytest.raises(Cancelled):
        subject.sink.write_at(5, memoryview(b"bytes"))
    with pytest.raises(Cancelled):
        subject.sink.publish(5)
    subject.sink.discard()
    assert subject.strays() == []
    if subject.is_hidden:
        assert subject.visible() is None


@seekable_only
def test_seekable_sinks_read_back_and_write_again(subject: Any) -> None:
    subject.sink.open(10)
    _fill(subject, b"0123456789")
    subject.sink.write_at(4, memoryview(b"xy"))
    found = bytearray(4)
    assert subject.sink.is_seekable
    assert subject.sink.read_at(3, memoryview(found)) == 4
    assert bytes(found) == b"3xy6"
    subject.sink.publish(10)
    assert subject.visible()[:10] == b"0123xy6789"


@seekable_only
def test_seekable_sinks_are_opened_again_once_they_were_discarded(subject: Any) -> None:
    subject.sink.open(10)
    _fill(subject, b"0123456789")
    subject.sink.discard()
    subject.sink.open(5)
    _fill(subject, b"bytes")
    subject.sink.publish(5)
    assert subject.visible()[:5] == b"bytes"


@seekable_only
def test_reading_back_stops_at_the_end(subject: Any) -> None:
    size = 3 << 20
    subject.sink.open(size)
    subject.sink.write_at(size - 2, memoryview(b"yz"))
    found = bytearray(10)
    assert subject.sink.read_at(size - 2, memoryview(found)) == 2
    assert subject.sink.read_at(size, memoryview(found)) == 0
    assert found == b"yz" + bytes(8)
    subject.sink.discard()


@streams_only
def test_streams_say_that_they_cannot_be_read_back(subject: Any) -> None:
    subject.sink.open(10)
    assert not subject.sink.is_seekable
    with pytest.raises(DestinationError):
        subject.sink.read_at(0, memoryview(bytearray(4)))
    subject.sink.discard()


@pytest.mark.parametrize("ending", ["publish", "refused", "abort", "discard"])
def test_no_descriptor_stays_open_however_it_ends(subject: Any, ending: str) -> None:
    before = _open_descriptors()
    subject.sink.check()
    subject.sink.open(5)
    _fill(subject, b"bytes")
    if ending == "publish":
        subject.sink.publish(5)
    elif ending == "refused":
        with pytest.raises(DestinationError):
            subject.sink.publish(1 << 30)
    elif ending == "abort":
        subject.sink.abort()
    subject.sink.discard()
    subject.visible()
    assert _open_descriptors() <= before
