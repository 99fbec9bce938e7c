"""One retry budget for an endpoint: a store that fails is left alone, however many objects are asked of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fastget
from fastget.client import Client
from fastget.core.checksums.algorithms import Algorithm
from fastget.core.retry import LEAST_WIDTH
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.retries import Attempts
from fastget.engine.exchange.stores import Store, Stores
from fastget.errors import AccessDenied, FastgetError, NetworkError, ServerError, ServerReply, Throttled
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.fault import Fault

MIB = 1024 * 1024
RETRIES = 2
OBJECTS = 60
ALL = RETRIES * LEAST_WIDTH
LOST = NetworkError("lost")
FAILED = ServerError("failed", reply=ServerReply(500))
REFUSED = Throttled("slow down", reply=ServerReply(503))


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastget.core.retry.BASE_DELAY", 0.0001)


def small_objects() -> dict[str, StoredObject]:
    return {f"/bucket/o{number}": StoredObject(Content.of(b"abc")) for number in range(OBJECTS)}


def spent(store: Store, error: FastgetError = LOST, most: int = 1000) -> int:
    """How many retries there were; none is left."""
    return next((count for count in range(most) if not store.may_retry(error, RETRIES)), most)


VERBS: dict[str, Callable[[Client, str, Path], object]] = {
    "download": lambda client, url, path: client.download(url, path),
    "read": lambda client, url, _: client.read(url),
    "read a slice": lambda client, url, _: client.read(url, 1, 2),
    "read_into": lambda client, url, _: client.read_into(url, bytearray(3)),
    "head": lambda client, url, _: client.head(url),
    "read_ranges": lambda client, url, _: client.read_ranges(url, [(0, 2)]),
    "stream": lambda client, url, _: list(client.stream(url)),
}


@pytest.mark.fault("H41", "N10")
@pytest.mark.row(91)
@pytest.mark.parametrize("failing", [faults.internal_error, faults.slow_down])
@pytest.mark.parametrize("verb", VERBS)
def test_a_dead_store_is_not_asked_for_every_object_as_often_as_for_one(
    verb: str, failing: Callable[[], Fault], tmp_path: Path
) -> None:
    stored = small_objects()
    dead = (failing().always(), failing().on(method="HEAD").always())
    with ObjectServer(stored, faults=dead) as server, Client(retries=RETRIES) as client:
        for path in stored:
            with pytest.raises((ServerError, Throttled)):
                VERBS[verb](client, server.url(path), tmp_path / "o")
        asked = len(server.requests)

    # A HEAD that is refused is asked again as a GET, each of them once at least.
    firsts = 2 * OBJECTS if verb == "head" and failing is faults.internal_error else OBJECTS
    assert asked == firsts + ALL


@pytest.mark.fault("H41")
def test_a_pull_has_one_budget_for_all_of_its_objects(tmp_path: Path) -> None:
    stored = small_objects()
    with ObjectServer(stored, faults=[faults.internal_error().always()]) as server:
        result = fastget.pull([server.url(path) for path in stored], tmp_path, retries=RETRIES, jobs=1)
        asked = len(server.requests)

    assert len(result.failures) == OBJECTS
    # A small object's first request is repeated in the ordinary way until it is plain that this is no help.
    assert asked <= OBJECTS + ALL + ALL // 2


def test_what_a_download_has_spent_every_other_verb_lacks(tmp_path: Path) -> None:
    stored = small_objects()
    dead = (faults.internal_error().always(), faults.internal_error().on(method="HEAD").always())
    with ObjectServer(stored, faults=dead) as server, Client(retries=RETRIES) as client:
        for path in list(stored)[:LEAST_WIDTH]:
            with pytest.raises(ServerError):
                client.download(server.url(path), tmp_path / "o")
        for verb, ask in VERBS.items():
            before = len(server.requests)
            with pytest.raises(ServerError):
                ask(client, server.url("/bucket/o0"), tmp_path / "o")

            assert len(server.requests) - before == (2 if verb == "head" else 1)


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_an_object_alone_is_asked_for_as_often_as_ever(retries: int, tmp_path: Path) -> None:
    stored = {"/o": StoredObject(Content.of(b"abc"))}
    with ObjectServer(stored, faults=[faults.internal_error().always()]) as server:
        with pytest.raises(ServerError):
            fastget.download(server.url("/o"), tmp_path / "o", retries=retries)

        assert len(server.requests) == retries + 1


@pytest.mark.fault("H41")
def test_a_pull_of_many_objects_with_some_faults_loses_none(tmp_path: Path) -> None:
    stored = {f"/o{number}": StoredObject(Content.of(b"abc")) for number in range(10 * OBJECTS)}
    with ObjectServer(stored, faults=[faults.internal_error().every(10)]) as server:
        result = fastget.pull([server.url(path) for path in stored], tmp_path, retries=RETRIES, fsync=False)

    assert not result.failures


def test_pieces_that_fail_spend_what_objects_would_have(tmp_path: Path) -> None:
    large = StoredObject(Content.generated(12 * MIB, seed=3), checksum=Algorithm.CRC64NVME)
    cut = faults.reset(after=10).on(ranged=True).always()
    broken = faults.internal_error().on(ranged=False, request=2).always()
    behaviour = Behaviour(rate_per_connection=8 * MIB)  # so that the first answer does not bring it all
    with (
        ObjectServer({"/bucket/large": large, **small_objects()}, behaviour=behaviour, faults=[cut, broken]) as server,
        Client(retries=RETRIES) as client,
    ):
        with pytest.raises(NetworkError):
            client.download(server.url("/bucket/large"), tmp_path / "large", part_size=MIB, connections=4)
        before = len(server.requests)
        for path in small_objects():
            with pytest.raises(ServerError):
                client.read(server.url(path))

        assert len(server.requests) - before < OBJECTS + ALL


def test_what_has_failed_at_one_endpoint_costs_another_nothing() -> None:
    stored = small_objects()
    with (
        ObjectServer(stored, faults=[faults.internal_error().always()]) as bad,
        ObjectServer(stored, faults=[faults.internal_error().times(RETRIES)]) as flaky,
        Client(retries=RETRIES) as client,
    ):
        for path in stored:
            with pytest.raises(ServerError):
                client.read(bad.url(path))

        assert client.read(flaky.url("/bucket/o0")) == b"abc"


def test_all_buckets_of_an_endpoint_have_one_reserve() -> None:
    stores = Stores()
    assert spent(stores.of("https://store/bucket")) == ALL

    assert spent(stores.of("https://store/other")) == 0
    assert spent(stores.of("https://else/bucket")) == ALL


def test_a_reserve_outlives_what_is_known_of_its_store() -> None:
    now = 0.0
    stores = Stores(clock=lambda: now)
    store = stores.of("https://store/bucket")
    spent(store)
    now = 1e9

    assert stores.of("https://store/bucket") is not store
    assert spent(stores.of("https://store/bucket")) == 0


def test_a_forked_child_begins_with_a_reserve_of_its_own() -> None:
    stores = Stores()
    spent(stores.of("https://store/bucket"))
    stores.forget()

    assert spent(stores.of("https://store/bucket")) == ALL


def test_many_connections_have_more_retries_than_few() -> None:
    store, scope = Store(), Cancellation()
    passing = [store.gate.passing(scope) for _ in range(50)]
    for one in passing:
        one.__enter__()
    for one in passing:
        one.__exit__(None, None, None)

    assert spent(store) == RETRIES * 50


@pytest.mark.row(91)
def test_a_store_that_refuses_and_serves_spends_nothing() -> None:
    store = Store()
    for _ in range(10):
        assert all(store.may_retry(REFUSED, RETRIES) for _ in range(10))
        store.succeed()

    assert spent(store) == ALL


def test_what_comes_too_early_for_a_store_that_serves_spends_nothing(tmp_path: Path) -> None:
    store, early = Store(), ServerError("too early", reply=ServerReply(425))
    for _ in range(10):
        assert all(store.may_retry(early, RETRIES) for _ in range(10))
        store.succeed()
    assert spent(store) == ALL
    stored = StoredObject(Content.of(b"abc"))
    with ObjectServer({"/k": stored}, faults=[faults.status(425).times(2)]) as server, Client() as client:
        assert client.download(server.url("/k"), tmp_path / "k").retries == 2


def test_many_threads_never_spend_more_than_there_is() -> None:
    store, counts = Store(), [0] * 8

    def spend(number: int) -> None:
        counts[number] = spent(store)

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == ALL


def test_a_request_is_repeated_so_many_times_in_a_row_and_what_it_has_brought_begins_the_row_anew() -> None:
    attempts = Attempts(RETRIES, Store())
    assert [attempts.after(FAILED) >= 0.0 for _ in range(RETRIES)] == [True] * RETRIES
    with pytest.raises(ServerError):
        attempts.after(FAILED)
    attempts.begin_anew()
    attempts.after(FAILED)

    assert attempts.count == 1


def test_what_another_attempt_cannot_mend_spends_nothing() -> None:
    store = Store()
    for _ in range(100):
        with pytest.raises(AccessDenied):
            Attempts(RETRIES, store).after(AccessDenied("no"))

    assert spent(store) == ALL
