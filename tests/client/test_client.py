"""The synchronous client: shared connections, many threads, closing, pickling, options, what it prints of itself."""

from __future__ import annotations

import gc
import hashlib
import pickle
import ssl
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

import fastget
from fastget import s3
from fastget.core.addresses import AddressBook
from fastget.errors import ConfigError, NetworkError, RangeNotSupported
from fastget.events import Done, Event, Method, Started
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject
from fastget.transport import pools

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
AssertIdle = Callable[[int], None]

pytestmark = pytest.mark.usefixtures("no_leaks")

SMALL = {f"/b/{index}": StoredObject(Content.generated(1000 + index, seed=index)) for index in range(20)}


def connections_used(server: ObjectServer) -> set[int]:
    return {request.connection for request in server.requests}


def test_small_reads_in_a_row_share_one_connection(serve: Serve) -> None:
    server = serve(SMALL)
    with fastget.Client() as client:
        for path, stored in SMALL.items():
            assert client.read(server.url(path)) == stored.content.read()
            assert client.head(server.url(path)).size == stored.content.size
            assert client.read(server.url(path), 10, 20) == stored.content.read(10, 20)
    assert connections_used(server) == {1}


def test_a_download_leaves_its_connections_to_the_next_one(
    serve: Serve, stored: StoredObject, destination: Path
) -> None:
    server = serve({"/b/k": stored})
    with fastget.Client(connections=1) as client:
        for _ in range(3):
            client.download(server.url("/b/k"), destination)
    assert connections_used(server) == {1}


def test_one_client_serves_many_threads(serve: Serve, destination: Path) -> None:
    server = serve(SMALL)
    with fastget.Client() as client, ThreadPoolExecutor(8) as executor:

        def fetch(path: str) -> bool:
            file = destination.with_name(path.rpartition("/")[2])
            expected = SMALL[path].content.read()
            client.download(server.url(path), file)
            return client.read(server.url(path)) == expected == file.read_bytes()

        assert all(executor.map(fetch, list(SMALL) * 5))
    assert len(connections_used(server)) < len(server.requests)
    assert len(list(destination.parent.iterdir())) == len(SMALL)


@pytest.mark.fault("N22")
def test_large_objects_in_many_threads_come_out_right(
    serve: Serve, stored: StoredObject, content: Content, destination: Path
) -> None:
    server = serve({"/b/k": stored})
    expected = hashlib.sha256(content.read()).digest()
    with fastget.Client(part_size=MIB, connections=3) as client, ThreadPoolExecutor(6) as executor:
        files = [destination.with_name(f"{index}.bin") for index in range(12)]
        results = list(executor.map(lambda file: client.download(server.url("/b/k"), file), files))
    assert all(result.verification.verified for result in results)
    assert {hashlib.sha256(file.read_bytes()).digest() for file in files} == {expected}


def test_leaving_the_block_closes_every_socket(serve: Serve, assert_idle: AssertIdle, stored: StoredObject) -> None:
    server = serve({"/b/k": stored})
    with fastget.Client(connections=4, part_size=MIB) as client:
        client.read(server.url("/b/k"))
    assert_idle(server.port)


def test_a_closed_client_can_be_used_again_and_closed_again(serve: Serve, assert_idle: AssertIdle) -> None:
    server = serve(SMALL)
    client = fastget.Client()
    for _ in range(2):
        assert client.read(server.url("/b/3")) == SMALL["/b/3"].content.read()
        client.close()
        client.close()
        assert_idle(server.port)
    assert connections_used(server) == {1, 2}


def test_closing_while_a_download_runs_lets_it_finish_and_leaves_nothing_open(
    serve: Serve, assert_idle: AssertIdle, stored: StoredObject, content: Content, destination: Path
) -> None:
    server = serve({"/b/k": stored})
    client = fastget.Client(part_size=MIB, connections=3)

    def close(event: Event) -> None:
        if isinstance(event, Started):
            client.close()

    client.download(server.url("/b/k"), destination, on_event=close)
    assert destination.read_bytes() == content.read()
    client.close()
    assert_idle(server.port)


def test_the_plain_functions_leave_no_connection(serve: Serve, assert_idle: AssertIdle, destination: Path) -> None:
    server = serve(SMALL)
    url, content = server.url("/b/7"), SMALL["/b/7"].content
    assert fastget.read(url) == content.read()
    assert fastget.read(url, -5) == content.read(content.size - 5)
    assert fastget.head(url).size == content.size
    assert fastget.download(url, destination).size == content.size
    assert_idle(server.port)


# Slices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "stop"),
    [(None, None), (0, None), (0, 0), (5, 5), (9, 3), (0, 1), (-1, None), (None, -1), (3 * MIB, None), (-9 * MIB, 7)],
)
def test_a_slice_is_what_the_same_slice_of_the_bytes_is(
    serve: Serve, stored: StoredObject, content: Content, start: int | None, stop: int | None
) -> None:
    server = serve({"/b/k": stored})
    with fastget.Client(connections=3) as client:
        assert client.read(server.url("/b/k"), start, stop) == content.read()[start:stop]


@pytest.mark.parametrize(
    ("start", "stop"), [(1.5, None), (5, 7.0), ("5", None), (0.0, None), ("", None), ("", 5), ([], None)]
)
def test_a_slice_begins_and_ends_at_whole_numbers(serve: Serve, stored: StoredObject, start: Any, stop: Any) -> None:
    server = serve({"/b/k": stored})
    with fastget.Client() as client, pytest.raises(ConfigError, match="whole number"):
        client.read(server.url("/b/k"), start, stop)
    with fastget.Client() as client, pytest.raises(ConfigError, match="whole number"):
        list(client.stream(server.url("/b/k"), start, stop))
    assert not server.requests


def test_a_slice_of_an_object_behind_a_server_without_ranges_is_an_error(
    serve: Serve, stored: StoredObject, assert_idle: AssertIdle
) -> None:
    server = serve({"/b/k": stored}, behaviour=Behaviour(ranges=False))
    with fastget.Client(retries=0) as client, pytest.raises(RangeNotSupported) as caught:
        client.read(server.url("/b/k"), 10, 20)
    assert caught.value.hint
    assert_idle(server.port)


# Options ---------------------------------------------------------------------------------------------------------


def test_options_of_a_call_come_on_top_of_those_of_the_client(serve: Serve, destination: Path) -> None:
    server = serve(SMALL)
    client_events: list[Event] = []
    call_events: list[Event] = []
    with fastget.Client(headers={"X-Whose": "client"}, on_event=client_events.append) as client:
        client.download(server.url("/b/1"), destination)
        client.download(server.url("/b/2"), destination, headers={"X-Whose": "call"}, on_event=call_events.append)
        client.download(server.url("/b/3"), destination)
        assert client.config.headers == {"X-Whose": "client"}
    assert [request.headers.get("x-whose") for request in server.requests] == ["client", "call", "client"]
    assert [event.result.url for event in call_events if isinstance(event, Done)] == [server.url("/b/2")]
    assert sum(isinstance(event, Done) for event in client_events) == 2


def test_a_call_with_connection_options_of_its_own_shares_no_connection(serve: Serve, assert_idle: AssertIdle) -> None:
    server = serve(SMALL)
    with fastget.Client() as client:
        client.read(server.url("/b/1"))
        client.read(server.url("/b/1"), stall_timeout=5.0)
        client.read(server.url("/b/1"))
    assert [request.connection for request in server.requests] == [1, 2, 1]
    assert_idle(server.port)


def test_options_are_given_by_config_keyword_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTGET_CONNECTIONS", "3")
    monkeypatch.setenv("FASTGET_RETRIES", "9")
    assert (fastget.Client(retries=1).config.connections, fastget.Client(retries=1).config.retries) == (3, 1)
    assert fastget.Client(fastget.Config(retries=2), connections=5).config == fastget.Config(retries=2, connections=5)


BAD_OPTIONS = [
    {"nonsense": 1},
    {"connections": 0},
    {"connections": -1},
    {"part_size": 0},
    {"retries": -1},
    {"connect_timeout": 0},
    {"split": "sideways"},
    {"headers": {"X": "a\r\nB: c"}},
    {"headers": {"": "a"}},
    {"addressing_style": "x"},
    {"request_payer": "somebody"},
]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
def test_options_that_cannot_be_meant_are_refused_before_anything_is_asked(
    serve: Serve, destination: Path, options: dict[str, Any]
) -> None:
    server = serve(SMALL)
    with pytest.raises(ConfigError):
        fastget.Client(**options)
    with fastget.Client() as client:
        with pytest.raises(ConfigError):
            client.read(server.url("/b/1"), **options)
        with pytest.raises(ConfigError):
            client.head(server.url("/b/1"), **options)
        with pytest.raises(ConfigError):
            client.download(server.url("/b/1"), destination, **options)
    assert not server.requests
    assert not list(destination.parent.iterdir())


@pytest.mark.parametrize("options", [{"checksum": "nonsense"}, {"version_id": "v"}, {"proxy": "ftp://host"}], ids=str)
def test_options_that_do_not_fit_the_call_are_config_errors(
    serve: Serve, destination: Path, options: dict[str, str]
) -> None:
    server = serve(SMALL)
    with fastget.Client() as client, pytest.raises(ConfigError):
        client.download(server.url("/b/1"), destination, **options)
    assert not list(destination.parent.iterdir())


# Pickling and printing -------------------------------------------------------------------------------------------


@pytest.mark.fault("S21")
def test_a_client_pickles_as_its_options_alone(serve: Serve) -> None:
    server = serve(SMALL)
    with fastget.Client(connections=2, headers={"Authorization": "Bearer abc"}) as client:
        client.read(server.url("/b/1"))
        twin = pickle.loads(pickle.dumps(client))
        with twin:
            assert twin.config == client.config
            assert twin.read(server.url("/b/2")) == SMALL["/b/2"].content.read()
    assert [request.connection for request in server.requests] == [1, 2]


def test_an_event_handler_stays_in_the_process_that_gave_it() -> None:
    client = fastget.Client(retries=3, on_event=lambda _: None)
    twin = pickle.loads(pickle.dumps(client))
    assert twin.config.on_event is None
    assert twin.config.retries == 3
    assert client.config.on_event is not None


@pytest.mark.fault("S12")
@pytest.mark.parametrize("kind", [fastget.Client, fastget.aio.Client])
def test_a_client_prints_itself_without_secrets(kind: type[fastget.Client]) -> None:
    client = kind(
        headers={"Authorization": "Bearer s3cret"}, proxy="http://user:s3cret@host:3128", region="eu-central-1"
    )
    assert "s3cret" not in repr(client)
    assert "eu-central-1" in repr(client)
    assert pickle.loads(pickle.dumps(client)).config.proxy == client.config.proxy


# TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def secured(authority: trustme.CA, serve: Serve) -> ObjectServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return serve(SMALL, tls=context)


def test_a_certificate_of_a_given_authority_is_trusted(
    secured: ObjectServer, authority: trustme.CA, tmp_path: Path, destination: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with fastget.Client(ca_bundle=str(bundle)) as client:
        for index in range(5):
            result = client.download(secured.url(f"/b/{index}"), destination)
            assert result.verification.method is Method.ETAG_MD5
    assert connections_used(secured) == {1}


@pytest.mark.fault("N19")
def test_a_certificate_that_nobody_vouches_for_is_refused_with_a_way_out(
    secured: ObjectServer, destination: Path
) -> None:
    with pytest.raises(NetworkError) as caught:
        fastget.download(secured.url("/b/1"), destination)
    assert "certificate" in str(caught.value)
    assert caught.value.hint
    assert not secured.requests
    assert not list(destination.parent.iterdir())


def test_a_client_that_nobody_closes_takes_its_connections_along(serve: Serve) -> None:
    server = serve({"/b/k": StoredObject(Content.of(b"abc"))})
    client = fastget.Client()
    assert client.read(server.url("/b/k")) == b"abc"
    (kept,) = client._pools._kept.values()
    pool = kept.enter_result
    assert len(pool._idle) == 1
    del client
    gc.collect()
    assert len(pool._idle) == 0


@pytest.mark.parametrize(("owner", "name"), [(AddressBook, "order"), (pools, "Pool")])
def test_a_body_that_nobody_closed_may_be_collected_while_its_client_holds_a_lock(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    """As the garbage collector has it, which runs in whatever thread makes something new."""
    content = Content.generated(5 * MIB)
    server = serve({"/b/k": StoredObject(content)})
    locked: Callable[..., Any] = getattr(owner, name)
    with fastget.Client(endpoint_url=server.base_url, no_sign_request=True) as client:
        left = [s3.get_object(Bucket="b", Key="k", client=client, stall_timeout=7.0)["Body"]]
        assert left[0].read(10) == content.read(0, 10)

        def collect(*given: Any, **named: Any) -> Any:
            left.clear()
            return locked(*given, **named)

        monkeypatch.setattr(owner, name, collect)
        assert client.read("s3://b/k", 0, 20, response_timeout=7.0) == content.read(0, 20)
        assert not left
        assert not client._pools._lent


def test_a_client_may_be_closed_in_the_middle_of_any_call_of_the_same_thread(serve: Serve) -> None:
    """As a signal handler has it: here at the beginning of every function that the call runs."""
    server = serve({"/b/k": StoredObject(Content.of(b"abc"))})
    client = fastget.Client(endpoint_url=server.base_url, no_sign_request=True)
    closed = 0

    def close(_: object, event: str, __: object) -> None:
        nonlocal closed
        if event == "call":
            sys.setprofile(None)
            client.close()
            closed += 1
            sys.setprofile(close)

    for options in ({}, {"stall_timeout": 7.0}):
        for _ in range(2):
            sys.setprofile(close)
            try:
                assert client.read("s3://b/k", 0, 2, **options) == b"ab"
            finally:
                sys.setprofile(None)
    assert closed > 100
    assert not client._pools._lent
    client.close()


def test_a_client_may_end_after_the_names_of_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of a free-threaded interpreter: what a finalizer raises is printed."""
    client = fastget.Client()
    monkeypatch.setattr("fastget.client.sys", None)
    client.__del__()


@pytest.mark.parametrize(
    ("name", "value"), [("checksum", "foo"), ("proxy", "gopher://proxy.example:70"), ("version_id", "a\nb")]
)
def test_a_variable_whose_value_cannot_be_meant_is_named_unless_the_call_says_otherwise(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(f"FASTGET_{name.upper()}", value)
    url = serve({"/b/k": StoredObject(Content.of(b"hello"))}).url("/b/k")
    given: dict[str, Any] = {name: value}
    calls: list[Callable[[], object]] = [
        lambda: fastget.download(url, tmp_path / "k"),
        lambda: fastget.Client(retries=1).read(url),
        lambda: fastget.pull([url], tmp_path),
        lambda: s3.get_object(Bucket="b", Key="k", no_sign_request=True),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=rf"^FASTGET_{name.upper()}: "):
            call()
    assert fastget.read(url, **dict.fromkeys(given)) == b"hello"
    assert fastget.Client(**dict.fromkeys(given)).read(url) == b"hello"
    with pytest.raises(ConfigError) as caught:
        fastget.Client(fastget.Config(**given)).read(url)
    assert "FASTGET" not in str(caught.value)
