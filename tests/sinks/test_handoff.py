"""From one thread to another, block by block: the taker's view ends with the block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fastget import buffers
from fastget.sinks.handoff import Handoff

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_block_is_the_writers_own_memory_where_only_one_thread_runs_at_a_time(
    monkeypatch: pytest.MonkeyPatch, has_lock: bool
) -> None:
    """Otherwise slices that the taker keeps would be counted with the writer's, without a lock."""
    monkeypatch.setattr(buffers, "HAS_LOCK", has_lock)
    handoff, memory = Handoff(), memoryview(bytearray(b"0123456789"))
    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(handoff.write, memory[:4])
        taken = handoff.take()
        assert taken is not None
        assert bytes(taken) == b"0123"
        assert taken.readonly
        assert (taken.obj is memory.obj) == has_lock
        handoff.give_back()
        written.result()
    with pytest.raises(ValueError, match="released"):
        taken[0]
    handoff.end()
    assert handoff.take() is None
