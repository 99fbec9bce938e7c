"""How many bytes a worker receives at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import pytest

from fastget.core.urls import Origin
from fastget.engine.workers import reception
from fastget.engine.workers.reception import LARGE_BUFFER, SMALL_BUFFER, UNALIGNED, Reception

if TYPE_CHECKING:
    from fastget.engine.exchange.line import Line

PAGE = 4096


@pytest.fixture(autouse=True)
def always_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(reception, "QUICK", math.inf)


class EndlessLine:
    """Whatever is asked for is there at once."""

    def __init__(self, scheme: str) -> None:
        self.origin = Origin(scheme, "host", 443)

    def read_some(self, left: int, place: memoryview) -> int:
        return min(left, len(place))


def strides(scheme: str, total: int, buffer_size: int) -> list[int]:
    worker = Reception(cast("Line", EndlessLine(scheme)), None)
    found: list[int] = []
    own = memoryview(bytearray(buffer_size))
    while (left := total - sum(found)) > 0:
        worker.receive(sum(found), left, own, lambda data, is_written: found.append(len(data)))
    return found


def test_plain_strides_fill_the_buffer() -> None:
    assert strides("http", 4 * LARGE_BUFFER + SMALL_BUFFER, LARGE_BUFFER) == [SMALL_BUFFER] + 4 * [LARGE_BUFFER]


@pytest.mark.parametrize("size", [SMALL_BUFFER, LARGE_BUFFER])
def test_no_two_strides_over_tls_of_64_lie_to_their_records_the_same_way(size: int) -> None:
    found = strides("https", 70 * size, size)
    assert sum(found) == 70 * size
    # Records are as long as four pages: how far a stride's place in its page is from theirs is told by its offset.
    offsets = [sum(found[:number]) % PAGE for number in range(1, 65)]
    assert sorted(offsets) == list(range(0, PAGE, UNALIGNED))


def test_a_buffer_of_one_record_is_filled_over_tls_as_well() -> None:
    assert strides("https", 8 * 16384, 16384) == 8 * [16384]
