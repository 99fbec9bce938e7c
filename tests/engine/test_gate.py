"""A store that asks for fewer requests gets fewer, from every object and every connection of the process."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.gate import Gate, Passage
from fastget.engine.exchange.stores import Stores
from fastget.errors import Cancelled, ServerReply, Throttled
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults

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
    behaviour = Behaviour(rate_per_connection=16 * MIB)  # so that the first answer does not bring it all
    with ObjectServer({"/o": stored}, behaviour=behaviour, faults=[faults.slow_down().every(2)]) as server:
        result = fastget.download(server.url("/o"), destination, connections=8, part_size=MIB, retries=20, fsync=False)

        assert len(server.requests) <= 2.5 * 33
    assert result.verification.verified
    assert result.retries > 0


def admitted(gate: Gate, most: int = 100) -> int:
    """How many requests may be under way at once; all of them end well."""
    count = next((count for count in range(most) if gate.enter()), most)
    for _ in range(count):
        gate.leave(None)
    return count


@pytest.mark.row(91)
@pytest.mark.fault("H40", "H44")
@pytest.mark.parametrize("code", ["SlowDown", "TooManyRequests", None])
def test_one_refusal_lowers_the_number_of_requests_for_everyone_and_answers_raise_it_again(code: str | None) -> None:
    stores = Stores()
    gate = stores.of("https://store/bucket").gate
    for _ in range(16):
        assert not gate.enter()
    gate.leave(Throttled("slow down", reply=ServerReply(429, code)))
    for _ in range(15):
        gate.leave(None, is_served=False)

    others = stores.of("https://store/bucket").gate
    rounds = [admitted(others) for _ in range(70)]
    assert rounds[0] == 8
    assert rounds == sorted(rounds)
    assert rounds[-1] == 100
    assert others.is_open


@pytest.mark.row(91)
def test_every_verb_passes_the_gate_with_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[Gate] = []
    enter = Gate.enter

    def count(gate: Gate, passage: Passage | None = None) -> float:
        entered.append(gate)
        return enter(gate, passage)

    monkeypatch.setattr(Gate, "enter", count)
    stored = StoredObject(Content.generated(3 * MIB, seed=41), checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/bucket/o": stored}) as server, fastget.Client(part_size=MIB, connections=2) as client:
        url = server.url("/bucket/o")
        client.download(url, tmp_path / "o")
        client.read(url)
        client.read(url, 1, 2 * MIB)
        client.read_ranges(url, [(0, 10), (2 * MIB, 2 * MIB + 10)])
        b"".join(map(bytes, client.stream(url)))
        client.head(url)
        client.pull([url], tmp_path / "many")
        with fastget.Client(endpoint_url=server.base_url, no_sign_request=True) as lent:
            fastget.s3.get_object(client=lent, Bucket="bucket", Key="o")["Body"].read()

        assert len(entered) >= len(server.requests)
        assert len(set(entered)) == 1


def test_all_objects_of_a_store_pass_the_same_gate() -> None:
    stores = Stores()

    assert stores.of("https://store/bucket").gate is stores.of("https://store/bucket").gate
    assert stores.of("https://store/bucket").gate is not stores.of("https://store/other").gate
