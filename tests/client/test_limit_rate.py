"""No more bytes a second than were asked for, whatever fetches them; and a limited stream is none that is slow.

Time is not measured: the limit's clock moves by what is slept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget import s3
from fastget.engine.cancellation import Cancellation
from fastget.errors import Cancelled, ConfigError
from fastget.testing import Content, ObjectServer, StoredObject
from fastget.transport import limit

KIB, MIB = 1024, 1024 * 1024
RATE = 100 * KIB
Serve = Callable[..., ObjectServer]


class Clock:
    """A clock that stands still but for those who sleep by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = 1000.0
        self.began = self.now

    def sleeper(self) -> Callable[[Cancellation, float], None]:
        """`Cancellation.wait` by this clock."""

        def wait(scope: Cancellation, seconds: float) -> None:
            scope.check()
            with self._lock:
                until = self.now + seconds
            with self._lock:
                self.now = max(self.now, until)

        return wait

    @property
    def elapsed(self) -> float:
        return self.now - self.began


@pytest.fixture(autouse=True)
def _no_limit_yet() -> Iterator[None]:
    limit.forget()
    yield
    limit.forget()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limit, "monotonic", lambda: clock.now)
    monkeypatch.setattr(Cancellation, "wait", clock.sleeper())
    return clock


def whole(url: str, _: Path) -> None:
    fastget.read(url, limit_rate=RATE)


def sliced(url: str, _: Path) -> None:
    fastget.read(url, 0, 4 * MIB, limit_rate=RATE)


def in_parallel(url: str, path: Path) -> None:
    fastget.download(url, path / "k", limit_rate=RATE, connections=4, part_size=256 * KIB)


def scattered(url: str, _: Path) -> None:
    ranges = [(at * MIB, at * MIB + 700 * KIB) for at in range(6)]
    fastget.read_ranges(url, ranges, limit_rate=RATE, connections=3)


def by_two_clients(url: str, path: Path) -> None:
    with fastget.Client(limit_rate=RATE) as first, fastget.Client(limit_rate=RATE) as second:
        first.download(url, path / "a", connections=2)
        second.download(url, path / "b", connections=2)


def as_a_body(url: str, _: Path) -> None:
    endpoint = url.removesuffix("/b/k")
    found = s3.get_object(Bucket="b", Key="k", endpoint_url=endpoint, no_sign_request=True, limit_rate=RATE)
    with found["Body"] as body:
        body.read()


WHOLE = 6 * MIB + 4321
VERBS: dict[Callable[[str, Path], None], int] = {
    whole: WHOLE,
    sliced: 4 * MIB,
    in_parallel: WHOLE,
    scattered: 6 * 700 * KIB,
    by_two_clients: 2 * WHOLE,
    as_a_body: WHOLE,
}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_every_verb_takes_the_time_that_the_limit_says(
    serve: Serve, stored: StoredObject, clock: Clock, tmp_path: Path, verb: Callable[[str, Path], None]
) -> None:
    verb(serve({"/b/k": stored}).url("/b/k"), tmp_path)
    assert clock.elapsed == pytest.approx(VERBS[verb] / RATE, rel=0.03)


def test_many_small_objects_share_it(serve: Serve, clock: Clock, tmp_path: Path) -> None:
    objects = {f"/b/{number}": StoredObject(Content.generated(20 * KIB, seed=number)) for number in range(100)}
    server = serve(objects)
    result = fastget.pull([server.url(path) for path in objects], tmp_path, limit_rate=RATE, jobs=4, fsync=False)
    assert (result.done, result.failed) == (100, 0)
    assert clock.elapsed == pytest.approx(100 * 20 * KIB / RATE, rel=0.03)


def test_a_stream_below_every_floor_is_no_slow_server(
    serve: Serve, stored: StoredObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For twice as long as a stall takes; its bytes lie here all the while."""
    monkeypatch.setattr("fastget.core.straggler.FLOOR", 1e12)
    monkeypatch.setattr("fastget.engine.workers.rescue.FLOOR", 1e12)
    url = serve({"/b/k": stored}).url("/b/k")
    result = fastget.download(
        url, tmp_path / "k", limit_rate=3 * MIB // 2, connections=2, part_size=3 * MIB, stall_timeout=2.0
    )
    assert (result.retries, result.rescues) == (0, 0)


def test_whoever_sleeps_for_the_limit_is_woken(
    serve: Serve, stored: StoredObject, assert_idle: Callable[[int], None]
) -> None:
    server = serve({"/b/k": stored})
    scope, url = Cancellation(), server.url("/b/k")
    begun = threading.Event()

    def stop(_: Any) -> None:
        begun.set()

    outcome: list[BaseException] = []

    def work() -> None:
        with fastget.Client(limit_rate=1, on_event=stop, connections=2) as client:
            try:
                client.transfer_to_memory(url, None, None, scope)
            except Cancelled as error:
                outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    scope.cancel()
    thread.join(60)
    assert len(outcome) == 1
    assert_idle(server.port)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "5M"])
def test_a_rate_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="limit_rate"):
        fastget.Config(limit_rate=wrong)


def test_the_variable_takes_a_unit() -> None:
    assert fastget.Config.from_environment({"FASTGET_LIMIT_RATE": "5MB"}).limit_rate == 5 * MIB
