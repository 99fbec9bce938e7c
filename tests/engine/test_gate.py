"""A store that asks for fewer requests gets fewer, from every object and every connection of the process."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.cancellation import Cancellation
from fastget.engine.gate import Gate
from fastget.engine.stores import Stores
from fastget.errors import Cancelled, ServerReply, Throttled
from fastget.testing import Content, ObjectServer, StoredObject, faults

MIB = 1024 * 1024


def throttle(gate: Gate, retry_after: float | None = None) -> None:
    reply = ServerReply(503, "SlowDown", retry_after=retry_after)
    with pytest.raises(Throttled), gate.passing(Cancellation()):
        raise Throttled("slow down", reply=reply)


def test_whoever_comes_after_a_refusal_waits_for_others_to_end() -> None:
    gate, passed = Gate(), threading.Event()

    def pass_through() -> None:
        with gate.passing(Cancellation()):
            passed.set()

    with ExitStack() as first, ExitStack() as second:
        first.enter_context(gate.passing(Cancellation()))
        second.enter_context(gate.passing(Cancellation()))
        throttle(gate)
        waiting = threading.Thread(target=pass_through)
        waiting.start()
        assert not passed.wait(0.2)
        first.close()
        second.close()
        waiting.join(10)

    assert passed.is_set()


def test_a_wait_ends_with_a_cancellation() -> None:
    gate, cancellation = Gate(), Cancellation()
    throttle(gate, retry_after=100)
    outcome: list[BaseException] = []

    def pass_through() -> None:
        try:
            with gate.passing(cancellation):
                raise AssertionError
        except BaseException as error:  # noqa: BLE001
            outcome.append(error)

    waiting = threading.Thread(target=pass_through)
    waiting.start()
    cancellation.cancel()
    waiting.join(10)

    assert [type(error) for error in outcome] == [Cancelled]


@pytest.mark.fault("H40", "H44")
def test_half_of_all_answers_may_be_refusals(destination: Path) -> None:
    stored = StoredObject(Content.generated(32 * MIB, seed=41), checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/o": stored}, faults=[faults.slow_down().every(2)]) as server:
        result = fastget.download(server.url("/o"), destination, connections=8, part_size=MIB, retries=20, fsync=False)

        assert len(server.requests) <= 2.5 * 33
    assert result.verification.verified
    assert result.retries > 0


def test_all_objects_of_a_store_pass_the_same_gate() -> None:
    stores = Stores()

    assert stores.of("https://store/bucket").gate is stores.of("https://store/bucket").gate
    assert stores.of("https://store/bucket").gate is not stores.of("https://store/other").gate
