"""A server that serves the whole object and refuses every range of it: the first answer is the download then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.cancellation import Cancellation
from fastget.errors import AccessDenied, Cancelled, FastgetError, NetworkError, NotFound, ServerError, SourceChanged
from fastget.events import Event, Progress, Started
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.behaviour import ETags

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1024 * 1024
OPTIONS: dict[str, Any] = {"part_size": MIB, "connections": 4, "retries": 1}
STATUSES = (400, 403, 404, 405, 406, 409, 410, 413, 416, 451, 501, 505)
# What may be over in a moment: it is asked again, and the first answer flows on meanwhile.
FAILURES = (408, 425, 429, 500, 502, 503, 504, 520, 529, 598)


def _refusing(status: int = 403) -> Behaviour:
    return Behaviour(rate_per_connection=16 * MIB, range_refusal=status, amazon=False)


def _plain_gets(server: ObjectServer) -> int:
    return sum(request.method == "GET" and request.range is None for request in server.requests)


@pytest.mark.fault("H14", "H35", "H39")
@pytest.mark.parametrize("status", STATUSES)
def test_whatever_a_range_is_refused_with_the_first_answer_brings_it_all(
    content: Content, content_digest: str, destination: Path, status: int
) -> None:
    with ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing(status)) as server:
        result = fastget.download(server.url("/k"), destination, **OPTIONS)
    assert hashlib.sha256(destination.read_bytes()).hexdigest() == content_digest
    assert _plain_gets(server) == 1
    assert (result.bytes_received, result.split) == (content.size, "stream")
    assert any(request.range for request in server.requests)


@pytest.mark.fault("H35", "H41")
@pytest.mark.parametrize("status", FAILURES)
@pytest.mark.parametrize("retries", [0, 1])
def test_a_server_that_fails_at_every_range_is_read_in_the_first_answer(
    content: Content, content_digest: str, destination: Path, status: int, retries: int
) -> None:
    with ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing(status)) as server:
        result = fastget.download(server.url("/k"), destination, **{**OPTIONS, "retries": retries})
    assert hashlib.sha256(destination.read_bytes()).hexdigest() == content_digest
    assert _plain_gets(server) == 1
    assert result.bytes_received == content.size
    assert any(request.range for request in server.requests)


@pytest.mark.fault("H41")
def test_a_server_that_fails_at_ranges_for_a_while_serves_them_then(content: Content, destination: Path) -> None:
    failing = faults.internal_error().on(ranged=True).times(4)
    behaviour = Behaviour(rate_per_connection=4 * MIB)
    with ObjectServer({"/k": StoredObject(content)}, behaviour=behaviour, faults=[failing]) as server:
        result = fastget.download(server.url("/k"), destination, **{**OPTIONS, "retries": 0})
        served = [request for request in server.requests if request.range and request.status == 206]
    assert destination.read_bytes() == content.read()
    assert served
    assert result.bytes_received == content.size


@pytest.mark.fault("H41")
def test_a_server_that_fails_at_ranges_once_its_first_answer_has_broken_ends_the_download(
    content: Content, destination: Path
) -> None:
    broken = faults.close_mid_body(after=2 * MIB).on(ranged=False)
    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing(500), faults=[broken]) as server,
        pytest.raises(ServerError, match="500"),
    ):
        fastget.download(server.url("/k"), destination, **OPTIONS)
    assert not destination.exists()


@pytest.mark.fault("H41")
def test_a_server_that_fails_at_ranges_after_it_has_served_some_ends_the_download(
    content: Content, destination: Path
) -> None:
    failing = faults.internal_error().on(request=2, ranged=True).always()
    behaviour = Behaviour(rate_per_connection=4 * MIB)
    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=behaviour, faults=[failing]) as server,
        pytest.raises(ServerError),
    ):
        fastget.download(server.url("/k"), destination, **{**OPTIONS, "connections": 2, "retries": 0})
    assert not destination.exists()


def _into(url: str) -> bytes:
    buffer = bytearray(6 * MIB + 4321)
    fastget.read_into(url, buffer, **OPTIONS)
    return bytes(buffer)


@pytest.mark.fault("H35")
@pytest.mark.parametrize(
    "fetch",
    [
        lambda url: fastget.read(url, **OPTIONS),
        _into,
        lambda url: b"".join(bytes(view) for view in fastget.stream(url, **OPTIONS)),
    ],
    ids=["read", "read_into", "stream"],
)
def test_so_it_does_for_every_way_to_fetch_the_whole(content: Content, fetch: Callable[[str], bytes]) -> None:
    with ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing()) as server:
        assert fetch(server.url("/k")) == content.read()
    assert _plain_gets(server) == 1


@pytest.mark.fault("H35")
def test_so_it_does_in_a_pull(content: Content, tmp_path: Path) -> None:
    with ObjectServer({"/a": StoredObject(content), "/b": StoredObject(content)}, behaviour=_refusing()) as server:
        result = fastget.pull([server.url("/a"), server.url("/b")], tmp_path, **OPTIONS)
    assert (result.done, result.failed) == (2, 0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == content.read()


def test_the_next_object_of_the_same_server_begins_with_one_connection(content: Content) -> None:
    begun: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, Started):
            begun.append(event.connections)

    options = {**OPTIONS, "connections": None}
    with (
        ObjectServer({"/b/k": StoredObject(content)}, behaviour=_refusing()) as server,
        fastget.Client(on_event=note, **options) as client,
    ):
        assert client.read(server.url("/b/k")) == client.read(server.url("/b/k"))
    assert begun == [2, 1]


def test_a_part_of_it_stays_refused_in_the_servers_words(content: Content) -> None:
    with ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing()) as server:
        with pytest.raises(AccessDenied, match="403"):
            fastget.read_ranges(server.url("/k"), [(5, 10), (3 * MIB, 4 * MIB)])
        with pytest.raises(AccessDenied, match="403"):
            fastget.read(server.url("/k"), start=-10)


@pytest.mark.fault("H35")
def test_a_first_answer_that_breaks_is_asked_for_anew(content: Content, content_digest: str, destination: Path) -> None:
    broken = faults.close_mid_body(after=2 * MIB).on(ranged=False)
    with ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing(), faults=[broken]) as server:
        result = fastget.download(server.url("/k"), destination, **OPTIONS)
    assert hashlib.sha256(destination.read_bytes()).hexdigest() == content_digest
    assert (_plain_gets(server), result.split) == (2, "stream")


def _streamed(url: str, **options: Any) -> tuple[bytearray, FastgetError | None]:
    """What came, and what ended it."""
    got = bytearray()
    try:
        with fastget.stream(url, **{**OPTIONS, **options}) as stream:
            for view in stream:
                got += view
    except FastgetError as error:
        return got, error
    return got, None


@pytest.mark.fault("H35", "H1")
@pytest.mark.parametrize("stored", [{}, {"etag": '"opaque"'}, {"checksum": Algorithm.SHA256}], ids=str)
@pytest.mark.parametrize(
    "behaviour",
    [_refusing(), _refusing(501), Behaviour(ranges=False), Behaviour(ranges=False, accept_ranges="none")],
    ids=["403", "501", "ignored", "none"],
)
@pytest.mark.parametrize("breaks", [1, 4])
def test_a_pipe_whose_stream_breaks_gets_the_rest_from_a_new_one_of_the_whole(
    content: Content, stored: dict[str, Any], behaviour: Behaviour, breaks: int
) -> None:
    behaviour = replace(behaviour, rate_per_connection=16 * MIB, amazon=bool(stored.get("checksum")))
    cuts = [
        faults.close_mid_body(after=MIB + number * 300_000).on(ranged=False, request=number + 1)
        for number in range(breaks)
    ]
    with ObjectServer({"/k": StoredObject(content, **stored)}, behaviour=behaviour, faults=cuts) as server:
        got, error = _streamed(server.url("/k"))
        whole = [request for request in server.requests if request.method == "GET" and request.range is None]
    assert error is None
    assert got == content.read()
    assert len(whole) == 1 + breaks
    assert all(request.headers.get("if-match") for request in whole[1:])


@pytest.mark.fault("H35")
def test_a_pipe_whose_streams_break_for_ever_ends(content: Content) -> None:
    broken = faults.close_mid_body(after=2 * MIB).on(ranged=False).always()
    with ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing(), faults=[broken]) as server:
        got, error = _streamed(server.url("/k"), retries=20)
        assert _plain_gets(server) == 5
    assert isinstance(error, NetworkError)
    assert "cannot go on" in str(error)
    assert content.read().startswith(got)


@pytest.mark.fault("H35", "C3", "C4", "H53")
@pytest.mark.parametrize("if_match", [True, False])
@pytest.mark.parametrize("size", [0, 1])
def test_a_pipe_whose_stream_breaks_gets_nothing_of_another_version(
    content: Content, *, if_match: bool, size: int
) -> None:
    other = StoredObject(Content.generated(content.size + size, seed=98))
    turns = [
        faults.close_mid_body(after=2 * MIB).on(ranged=False, request=1),
        faults.replaced(other).on(ranged=False, request=2),
    ]
    behaviour = replace(_refusing(), if_match=if_match)
    with ObjectServer({"/k": StoredObject(content)}, behaviour=behaviour, faults=turns) as server:
        got, error = _streamed(server.url("/k"))
    assert isinstance(error, SourceChanged)
    assert content.read().startswith(got)


@pytest.mark.fault("H35")
@pytest.mark.parametrize("etags", [ETags.WEAK, ETags.NONE])
def test_what_has_left_through_a_pipe_cannot_be_begun_anew_without_a_strong_etag(
    content: Content, etags: ETags
) -> None:
    broken = faults.close_mid_body(after=2 * MIB).on(ranged=False)
    behaviour = replace(_refusing(), etags=etags)
    with ObjectServer({"/k": StoredObject(content)}, behaviour=behaviour, faults=[broken]) as server:
        got, error = _streamed(server.url("/k"))
    assert isinstance(error, NetworkError)
    assert "cannot go on" in str(error)
    assert content.read().startswith(got)


@pytest.mark.fault("H35")
@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_pipe_whose_stream_breaks_and_is_refused_ends_in_the_servers_words(content: Content, status: int) -> None:
    turns = [
        faults.close_mid_body(after=2 * MIB).on(ranged=False, request=1),
        replace(faults.status(status).on(ranged=False, request=2).always()),
    ]
    with ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing(), faults=turns) as server:
        got, error = _streamed(server.url("/k"))
    assert isinstance(error, AccessDenied | SourceChanged | ServerError)
    assert content.read().startswith(got)


@pytest.mark.fault("H35", "X18")
def test_a_download_that_was_stopped_is_fetched_anew_where_the_rest_is_refused(destination: Path) -> None:
    content = Content.generated(9 * MIB, seed=5)
    scope = Cancellation()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.landed >= 4 * MIB:
            scope.cancel()

    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing()) as server,
        fastget.Client(**OPTIONS) as client,
    ):
        with pytest.raises(Cancelled):
            client.transfer_to_file(server.url("/k"), destination, scope, on_event=stop)
        client.download(server.url("/k"), destination)
    assert destination.read_bytes() == content.read()
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("H35")
def test_a_download_that_was_stopped_keeps_what_has_landed_where_everything_is_refused(destination: Path) -> None:
    content = Content.generated(9 * MIB, seed=5)
    scope = Cancellation()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.landed >= 4 * MIB:
            scope.cancel()

    denied = faults.access_denied().on(request=2, ranged=False).times(1)
    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=_refusing(), faults=[denied]) as server,
        fastget.Client(**OPTIONS) as client,
    ):
        with pytest.raises(Cancelled):
            client.transfer_to_file(server.url("/k"), destination, scope, on_event=stop)
        with pytest.raises(AccessDenied):
            client.download(server.url("/k"), destination)
        server.behaviour = Behaviour(amazon=False)
        result = client.download(server.url("/k"), destination)
    assert destination.read_bytes() == content.read()
    assert result.bytes_resumed > 0


@pytest.mark.fault("H14", "H39")
@pytest.mark.parametrize("status", [404, 410, 416])
@pytest.mark.parametrize(
    "head",
    [faults.status(404), faults.access_denied(), faults.other_etag(), faults.other_checksum("ETag", None)],
    ids=["gone", "HEAD denied", "another ETag", "no ETag"],
)
def test_an_object_that_a_head_does_not_show_unchanged_is_gone(
    content: Content, destination: Path, status: int, head: Any
) -> None:
    with (
        ObjectServer(
            {"/k": StoredObject(content)}, behaviour=_refusing(status), faults=[head.on(method="HEAD").always()]
        ) as server,
        pytest.raises((SourceChanged, NotFound)),
    ):
        fastget.download(server.url("/k"), destination, **OPTIONS)
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("H35")
def test_a_range_that_is_refused_after_others_were_served_ends_the_download(
    content: Content, destination: Path
) -> None:
    # One range at a time beside the stream: the first is served before the next is asked for.
    denied = faults.access_denied().on(request=2, ranged=True).always()
    behaviour = Behaviour(rate_per_connection=4 * MIB)
    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=behaviour, faults=[denied]) as server,
        pytest.raises(AccessDenied),
    ):
        fastget.download(server.url("/k"), destination, **{**OPTIONS, "connections": 2})
    assert not destination.exists()
