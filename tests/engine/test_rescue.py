"""Streams that hold a download up are cut, and somebody else goes on where they stood; healthy ones are left alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine import rescue
from fastget.errors import Stalled
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
SIZE = 24 * MIB + 7


@pytest.fixture(autouse=True)
def _quick_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same judgement over shorter times."""
    monkeypatch.setattr("fastget.core.straggler.WINDOW", 0.3)
    monkeypatch.setattr("fastget.core.straggler.FRESH_START", 0.05)
    monkeypatch.setattr(rescue, "WINDOW", 0.3)
    monkeypatch.setattr(rescue, "LOOK", 0.05)


@pytest.fixture(scope="module")
def stored() -> StoredObject:
    return StoredObject(Content.generated(SIZE, seed=31), checksum=Algorithm.CRC64NVME)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.fault("N9")
def test_a_stream_far_slower_than_its_siblings_is_cut_and_finished_by_another(
    stored: StoredObject, destination: Path
) -> None:
    crawl = faults.drip(100_000, rate=30_000).on(ranged=True, request=3)
    with ObjectServer({"/o": stored}, faults=[crawl], behaviour=Behaviour(rate_per_connection=20 * MIB)) as server:
        result = fastget.download(server.url("/o"), destination, connections=4, part_size=2 * MIB, fsync=False)

    assert result.rescues == 1
    assert result.retries == 0
    assert result.verification.verified
    assert digest(destination) == hashlib.sha256(stored.content.read()).hexdigest()
    assert result.bytes_received <= SIZE * 1.05


def test_a_link_that_is_slow_as_a_whole_is_left_alone(stored: StoredObject, destination: Path) -> None:
    with ObjectServer({"/o": stored}, behaviour=Behaviour(rate_per_connection=3 * MIB)) as server:
        result = fastget.download(server.url("/o"), destination, connections=4, part_size=2 * MIB, fsync=False)

    assert (result.rescues, result.retries) == (0, 0)
    assert result.verification.verified


@pytest.mark.fault("N7")
@pytest.mark.parametrize("size", [SIZE, 1 * MIB], ids=["many pieces", "one small object"])
def test_a_stream_that_brings_a_byte_now_and_then_is_no_stream(size: int, destination: Path) -> None:
    stored = StoredObject(Content.generated(size, seed=32), checksum=Algorithm.CRC64NVME)
    drip = faults.drip(100_000, rate=10)
    with ObjectServer({"/o": stored}, faults=[drip]) as server:
        result = fastget.download(
            server.url("/o"), destination, connections=1, part_size=2 * MIB, stall_timeout=1.0, fsync=False
        )

    assert result.retries == 1
    assert result.verification.verified
    assert digest(destination) == hashlib.sha256(stored.content.read()).hexdigest()


def test_a_server_that_only_drips_is_given_up(destination: Path) -> None:
    stored = StoredObject(Content.generated(1 * MIB, seed=33))
    drip = faults.drip(1000, rate=10)
    with (
        ObjectServer({"/o": stored}, faults=[drip.always()]) as server,
        pytest.raises(Stalled, match="bytes a second"),
    ):
        fastget.download(server.url("/o"), destination, stall_timeout=0.5, retries=1)

    assert not destination.exists()
