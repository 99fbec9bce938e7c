"""Redirects to URLs that are good for a while: followed anew once they have ended, once for all, to the same object."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from fastget.client import Client
from fastget.errors import AccessDenied, CredentialsError, FastgetError, NotFound, SourceChanged
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer, document
from fastget.testing.documents import error
from fastget.testing.fault import Fault
from fastget.testing.received import ReceivedRequest

KIB = 1024
CONTENT = Content.generated(2 * KIB * KIB + 99, seed=8)
STORED = StoredObject(CONTENT, checksum=Algorithm.CRC64NVME)
# The first stream alone would otherwise fetch everything before the others have asked.
SLOW = Behaviour(rate_per_connection=8 * KIB * KIB)
PATH = "/files/object.bin"
SECRET = "Bearer marked-secret"
EXPIRED = error(403, "AccessDenied", "Access Denied")
# Only a failure takes this long (seconds).
HANG = 30.0


class Cdn:
    """Serves whoever has a ticket that is good. Some ranges, after `spared` ones, go in together: that ends all."""

    def __init__(self, together: int = 3, spared: int = 0) -> None:
        self.good: set[str] = set()
        self.requests: list[ReceivedRequest] = []
        self.refusal = EXPIRED
        self._spared = iter(range(spared))
        self._left = iter(range(together))
        self._barrier = threading.Barrier(max(together, 1), action=self.good.clear)
        self._lock = threading.Lock()

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        is_range = request.range not in (None, "bytes=0-0")
        if is_range and next(self._spared, None) is None and next(self._left, None) is not None:
            self._barrier.wait(HANG)
        with self._lock:
            self.requests.append(request)
            return None if request.parameter("Signature") in self.good else self.refusal


class Origin:
    """Sends whoever has the secret to the CDN, with a new ticket each time. `answer`, if set, takes its place."""

    def __init__(self, cdn: Cdn, target: Callable[[], str]) -> None:
        self.requests: list[ReceivedRequest] = []
        self.answer: Callable[[int], Answer | None] = lambda _: None
        self._cdn = cdn
        self._target = target

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        self.requests.append(request)
        number = len(self.requests)
        if (own := self.answer(number)) is not None:
            return own
        if request.headers.get("authorization") != SECRET:
            return error(401, "Unauthorized", "who are you?")
        ticket = f"marked-ticket-{number}"
        self._cdn.good.add(ticket)
        return document(302, b"", ("Location", f"{self._target()}?Signature={ticket}&Expires=99999999999"))


class Ground:
    """An origin and its CDN, each a server of its own."""

    def __init__(self, cdn: Cdn, *far: Fault) -> None:
        other = StoredObject(Content.generated(CONTENT.size, seed=9), checksum=Algorithm.CRC64NVME)
        self.cdn = cdn
        self.far = ObjectServer({"/cdn/a": STORED, "/cdn/b": other}, behaviour=SLOW, operations=[cdn], faults=far)
        self.path = "/cdn/a"
        self.origin = Origin(cdn, lambda: self.far.url(self.path))
        self.near = ObjectServer({PATH: STORED}, operations=[self.origin])

    @property
    def url(self) -> str:
        return self.near.url(PATH)

    def __enter__(self) -> Self:
        self.far.__enter__()
        self.near.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.near.__exit__(None, None, None)
        self.far.__exit__(None, None, None)


def client(**options: Any) -> Client:
    return Client(connections=4, part_size=64 * KIB, headers={"Authorization": SECRET}, fsync=False, **options)


@pytest.mark.fault("H38")
def test_a_redirect_to_a_url_that_ends_in_mid_download_is_followed_anew_once_for_all(tmp_path: Path) -> None:
    with Ground(Cdn()) as ground, client() as asking:
        result = asking.download(ground.url, tmp_path / "object")

        assert (tmp_path / "object").read_bytes() == CONTENT.read(0, CONTENT.size)
        assert len(ground.origin.requests) == 2
    assert result.retries == 0
    assert result.verification.verified
    tickets = [request.parameter("Signature") for request in ground.cdn.requests]
    assert set(tickets) == {"marked-ticket-1", "marked-ticket-2"}
    # Nobody comes with the old one again, and everything is asked for on condition that it is the same.
    assert tickets.count("marked-ticket-1") == 4
    asked = [request for request in ground.cdn.requests if request.range not in (None, "bytes=0-0")]
    assert all(request.headers.get("if-match") for request in asked)


@pytest.mark.fault("H28", "S15")
def test_what_the_origin_is_told_in_secret_never_reaches_the_new_place(tmp_path: Path) -> None:
    with Ground(Cdn()) as ground, client() as asking:
        asking.download(ground.url, tmp_path / "object")

    assert all(request.headers.get("authorization") == SECRET for request in ground.origin.requests)
    assert ground.cdn.requests
    assert not any("authorization" in request.headers for request in ground.cdn.requests)


@pytest.mark.fault("H38")
@pytest.mark.parametrize(
    ("read", "spared"),
    [
        (lambda asking, url: asking.read(url, 0, CONTENT.size), 1),
        (lambda asking, url: asking.read(url, -CONTENT.size, CONTENT.size), 0),
        (lambda asking, url: b"".join(asking.read_ranges(url, [(0, CONTENT.size)])), 1),
        (lambda asking, url: b"".join(bytes(view) for view in asking.stream(url)), 0),
        (lambda asking, url: asking.read_into(url, memory := bytearray(CONTENT.size)) and bytes(memory), 0),
    ],
    ids=["slice", "slice from the end", "ranges", "stream", "buffer"],
)
def test_an_answer_that_breaks_off_after_its_url_has_ended_is_continued(
    read: Callable[[Client, str], bytes], spared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastget.core.retry.BASE_DELAY", 0.0001)
    broken = faults.reset(after=300 * KIB).on(method="GET").times(1)
    with Ground(Cdn(together=1, spared=spared), broken) as ground, client() as asking:
        assert read(asking, ground.url) == CONTENT.read(0, CONTENT.size)

        assert {request.parameter("Signature") for request in ground.cdn.requests} > {"marked-ticket-1"}


@pytest.mark.fault("H38")
def test_a_new_place_with_another_object_is_noticed() -> None:
    with Ground(Cdn()) as ground, client() as asking:

        def move(number: int) -> None:
            if number > 1:
                ground.path = "/cdn/b"

        ground.origin.answer = move
        with pytest.raises(SourceChanged):
            asking.read(ground.url)


def test_a_place_that_refuses_for_good_is_not_asked_for_ever() -> None:
    cdn = Cdn()
    with Ground(cdn) as ground, client() as asking:

        def close(number: int) -> Answer | None:
            return (
                document(302, b"", ("Location", f"{ground.far.url(ground.path)}?Signature=bad")) if number > 1 else None
            )

        ground.origin.answer = close
        with pytest.raises(AccessDenied):
            asking.read(ground.url)

        assert len(ground.origin.requests) <= 5
        assert len(cdn.requests) <= 20


def test_a_place_that_refuses_at_once_is_not_looked_for_again() -> None:
    cdn = Cdn()
    with Ground(cdn) as ground, client() as asking:
        ground.origin.answer = lambda _: document(302, b"", ("Location", f"{ground.far.url('/cdn/a')}?Signature=bad"))
        with pytest.raises(AccessDenied):
            asking.read(ground.url)

        assert (len(ground.origin.requests), len(cdn.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [(error(404, "NoSuchKey", "gone"), NotFound), (error(401, "Unauthorized", "not any more"), CredentialsError)],
)
def test_an_origin_that_refuses_by_then_has_the_last_word(said: Answer, expected: type[FastgetError]) -> None:
    with Ground(Cdn()) as ground, client() as asking:
        ground.origin.answer = lambda number: said if number > 1 else None
        with pytest.raises(expected) as caught:
            asking.read(ground.url)

    assert "marked" not in f"{caught.value!r} {caught.value} {caught.value.hint}"


def test_an_origin_that_fails_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastget.core.retry.BASE_DELAY", 0.0001)
    with Ground(Cdn()) as ground, client() as asking:
        ground.origin.answer = lambda number: error(500, "InternalError", "later") if number == 2 else None
        assert asking.read(ground.url) == CONTENT.read(0, CONTENT.size)


def test_an_origin_that_has_the_object_itself_by_then_is_read_from() -> None:
    with Ground(Cdn()) as ground, client() as asking:

        def serve(request: ReceivedRequest) -> Answer | None:
            return None if ground.origin.requests else ground.origin(request)

        ground.near.operations = (serve,)
        assert asking.read(ground.url) == CONTENT.read(0, CONTENT.size)


@pytest.mark.fault("H38")
@pytest.mark.parametrize("status", [400, 401, 403, 410])
def test_every_way_to_say_that_a_url_is_over_is_understood(status: int) -> None:
    cdn = Cdn()
    cdn.refusal = error(status, "ExpiredToken", "The provided token has expired.")
    with Ground(cdn) as ground, client() as asking:
        assert asking.read(ground.url) == CONTENT.read(0, CONTENT.size)


@pytest.mark.fault("H38")
def test_a_signed_url_that_redirects_is_renewed_by_its_function_and_followed_anew() -> None:
    cdn = Cdn()
    called: list[str] = []
    with Ground(cdn) as ground:
        good = {"marked-first"}

        def check(number: int) -> Answer | None:
            if number == 1:
                good.clear()
                return None
            signature = ground.origin.requests[-1].parameter("Signature")
            return None if signature in good else error(403, "AccessDenied", "Request has expired")

        def refresh(url: str) -> str:
            called.append(url)
            good.add("marked-second")
            return f"{ground.url}?Signature=marked-second"

        ground.origin.answer = check
        with client(refresh_url=refresh) as asking:
            found = asking.read(f"{ground.url}?Signature=marked-first")

    assert found == CONTENT.read(0, CONTENT.size)
    assert called == [f"{ground.url}?Signature=marked-first"]
