"""What the network does to a download: it is cut, delayed, dropped, led astray."""

from __future__ import annotations

import itertools
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.config import Config
from fastget.core.messages import Request
from fastget.core.urls import URL
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.line import Line
from fastget.errors import Cancelled, NetworkError, SourceChanged, Stalled
from fastget.events import Done, Event, Progress, Result, Retried
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.transport import resolver
from fastget.transport.pool import Pool

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
Fetch = Callable[..., Result]
Check = Callable[[], None]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Proxied = Callable[..., str]
# Where somebody does keep silent. Elsewhere a busy machine is no silence.
IMPATIENT: dict[str, Any] = {"stall_timeout": 0.5, "response_timeout": 1.0}


@pytest.fixture
def proxied(haproxy: str, tmp_path: Path) -> Iterator[Proxied]:
    """Put haproxy in front of a server, with more lines of its own; gives the URL of its port."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(server: ObjectServer, *rules: str) -> str:
        # Nobody else can get the port, and connections wait in its queue until haproxy takes them.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            running.append(start(listener, server, rules))
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def start(listener: socket.socket, server: ObjectServer, rules: Sequence[str]) -> subprocess.Popen[bytes]:
        lines = [
            "defaults",
            " mode http",
            " timeout connect 5s",
            " timeout client 30s",
            " timeout server 30s",
            "frontend in",
            f" bind fd@{listener.fileno()}",
            *(f" {rule}" for rule in rules),
            " default_backend out",
            "backend out",
            f" server one 127.0.0.1:{server.port}",
        ]
        path = tmp_path / "haproxy.cfg"
        path.write_text("\n".join(lines) + "\n")
        return subprocess.Popen((haproxy, "-q", "-db", "-f", str(path)), pass_fds=[listener.fileno()])

    yield begin
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch, answers: Callable[[str, int], list[tuple[str, int]]]) -> Iterator[None]:
    """Names lead where `answers` says, address and port; it may raise what a resolver raises."""

    def getaddrinfo(host: bytes, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in answers(host.decode(), port)]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


def leading_to(monkeypatch: pytest.MonkeyPatch, *servers: ObjectServer) -> AbstractContextManager[None]:
    """Every name has an address for each of these servers."""
    return resolving(monkeypatch, lambda *_: [("127.0.0.1", server.port) for server in servers])


@contextmanager
def taken_port() -> Iterator[int]:
    """A port on which nobody listens, and which nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("", 0))
        yield taken.getsockname()[1]


@pytest.mark.fault("N7")
def test_a_server_that_drips_can_be_left_at_any_moment(
    serve: Serve, stored: StoredObject, assert_absent: Check
) -> None:
    """Whether it is also cut by itself is a matter of the floor under the rate; the caller never has to wait for it."""
    from fastget.engine.cancellation import Cancellation

    server = serve({"/k": stored}, faults=[faults.drip(after=100, rate=20).always()])
    cancellation = Cancellation()

    def handle(event: Event) -> None:
        if isinstance(event, Progress) and event.received:
            cancellation.cancel()

    with fastget.Client(on_event=handle) as client, pytest.raises(Cancelled):
        client.transfer_to_memory(server.url("/k"), None, None, cancellation)


@pytest.mark.fault("N8")
def test_a_slow_start_is_waited_for(serve: Serve, stored: StoredObject, fetch: Fetch, assert_arrived: Check) -> None:
    server = serve({"/k": stored}, faults=[faults.slow_start(until=2000, rate=4000).always()])
    result = fetch(server.url("/k"))
    assert_arrived()
    assert result.retries == 0


@pytest.mark.fault("N9")
def test_others_fetch_everything_else_while_one_connection_stands_still(
    serve: Serve, stored: StoredObject, content: Content, fetch: Fetch, assert_arrived: Check
) -> None:
    release, piece = threading.Event(), 256 * 1024
    server = serve({"/k": stored}, faults=[faults.hold(release, after=10).on(request=2)])

    def handle(event: Event) -> None:
        if isinstance(event, Progress) and event.received >= content.size - 2 * piece:
            release.set()

    fetch(server.url("/k"), part_size=piece, stall_timeout=60.0, on_event=handle)
    assert_arrived()
    assert release.is_set()


@pytest.mark.fault("N12")
def test_a_server_behind_a_silent_drop_is_a_stall(
    serve: Serve, stored: StoredObject, proxied: Proxied, fetch: Fetch, assert_absent: Check
) -> None:
    base = proxied(serve({"/k": stored}), "http-request silent-drop")
    with pytest.raises(Stalled):
        fetch(f"{base}/k", retries=1, **IMPATIENT)
    assert_absent()


@pytest.mark.fault("N12", "N5")
def test_a_connection_that_is_dropped_in_the_middle_is_replaced(
    serve: Serve, stored: StoredObject, proxied: Proxied, fetch: Fetch, assert_arrived: Check
) -> None:
    server = serve({"/k": stored})
    base = proxied(server, "http-request silent-drop if { hdr_cnt(range) gt 0 } { rand(100) lt 30 }")
    fetch(f"{base}/k", part_size=MIB // 2, retries=20, **IMPATIENT)
    assert_arrived()


@pytest.mark.fault("H44", "H40")
def test_a_real_proxy_that_refuses_every_second_request_is_outlasted(
    serve: Serve, stored: StoredObject, proxied: Proxied, fetch: Fetch, assert_arrived: Check
) -> None:
    rule = "http-request return status 503 hdr Retry-After 0 if { rand(100) lt 50 }"
    fetch(f"{proxied(serve({'/k': stored}), rule)}/k", part_size=MIB, retries=30)
    assert_arrived()


@pytest.mark.fault("N14")
def test_a_name_server_that_keeps_silent_is_asked_again(
    serve: Serve, stored: StoredObject, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_arrived: Check
) -> None:
    server, asked = serve({"/k": stored}), itertools.count()

    def answers(host: str, port: int) -> list[tuple[str, int]]:
        assert host == "store.example"
        if next(asked) == 0:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [("127.0.0.1", server.port)]

    with resolving(monkeypatch, answers):
        result = fetch("http://store.example/k")
    assert_arrived()
    assert result.retries == 1


@pytest.mark.fault("N15")
def test_a_dead_address_is_passed_over(
    serve: Serve, stored: StoredObject, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_arrived: Check
) -> None:
    server = serve({"/k": stored})
    with resolving(monkeypatch, lambda *_: [("127.0.0.2", server.port), ("127.0.0.1", server.port)]):
        result = fetch("http://store.example/k")
    assert_arrived()
    assert result.retries == 0


@pytest.mark.fault("N15", "C1")
def test_what_one_address_damages_is_fetched_again_from_another(
    serve: Serve, content: Content, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_arrived: Check
) -> None:
    sizes = (MIB, MIB, content.size - 2 * MIB)
    stored = StoredObject(content, part_sizes=sizes, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    bad = serve({"/k": stored}, faults=[faults.flip_bit(offset=MIB + 100).always()])
    good = serve({"/k": stored})
    with leading_to(monkeypatch, bad, good):
        result = fetch("http://store.example/k", connections=1)
    assert_arrived()
    assert bad.requests
    assert result.repairs >= 1
    assert result.verification.verified


@pytest.mark.fault("N15", "H44")
@pytest.mark.parametrize("first", ["good", "busy"])
@pytest.mark.parametrize("verb", ["head", "read", "slice", "ranges", "stream", "download"])
def test_what_one_address_puts_off_is_asked_of_another(
    serve: Serve, stored: StoredObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, first: str
) -> None:
    content = stored.content
    good = serve({"/k": stored})
    always = [faults.slow_down(retry_after=0).on(method=method).always() for method in ("GET", "HEAD")]
    busy = serve({"/k": stored}, faults=always)
    ports = (good.port, busy.port) if first == "good" else (busy.port, good.port)
    url, apart = "http://store.example/k", [(at, at + 1000) for at in range(0, content.size - 1000, MIB // 2)]
    with (
        resolving(monkeypatch, lambda *_: [("127.0.0.1", port) for port in ports]),
        fastget.Client(connections=3, part_size=MIB // 4, retries=3, fsync=False) as client,
    ):
        match verb:
            case "head":
                assert client.head(url).size == content.size
            case "read":
                assert client.read(url) == content.read()
            case "slice":
                assert client.read(url, 5, -5) == content.read(5, content.size - 5)
            case "ranges":
                assert [bytes(one) for one in client.read_ranges(url, apart)] == [content.read(*one) for one in apart]
            case "stream":
                with client.stream(url) as stream:
                    assert b"".join(map(bytes, stream)) == content.read()
            case _:
                client.download(url, tmp_path / "object")
                assert (tmp_path / "object").read_bytes() == content.read()
    assert good.requests
    assert first == "good" or busy.requests


@pytest.mark.fault("N15", "H44")
def test_where_the_other_address_is_dead_connections_are_used_again_after_one_has_put_something_off(
    serve: Serve, stored: StoredObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve({"/k": stored}, faults=[faults.slow_down().on(method="HEAD", request=1)])
    request = Request("HEAD", URL.parse("http://store.example/k"))
    with (
        taken_port() as dead,
        resolving(monkeypatch, lambda *_: [("127.0.0.1", dead), ("127.0.0.1", server.port)]),
        closing(Pool(Config())) as pool,
        Line(pool, Cancellation()) as line,
    ):
        for _ in range(5):
            if line.send(request).status == 503:
                line.note_put_off()
            line.finish()
    assert [request.connection for request in server.requests] == [1, 2, 2, 2, 2]


@pytest.mark.fault("N15", "H9")
def test_ranges_with_another_total_are_asked_of_another_address(
    serve: Serve, stored: StoredObject, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_arrived: Check
) -> None:
    good = serve({"/k": stored})
    lying = [faults.reset(after=1000).on(request=1), faults.other_total().always()]
    bad = serve({"/k": stored}, faults=lying)
    with leading_to(monkeypatch, bad, good):
        result = fetch("http://store.example/k", connections=1, retries=3)
    assert_arrived()
    assert bad.requests
    assert good.requests
    assert 1 <= result.retries <= 3


@pytest.mark.fault("N15", "N5")
def test_an_address_that_never_answers_is_not_taken_for_a_server_that_serves_few_at_once(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = StoredObject(Content.generated(12 * MIB, seed=91), checksum=Algorithm.CRC64NVME)
    silent = serve({"/k": stored}, faults=[faults.silence().always()])
    good = serve({"/k": stored}, behaviour=Behaviour(rate_per_connection=1.2e6))
    with (
        leading_to(monkeypatch, good, silent),
        fastget.Client(connections=4, part_size=MIB, resume=False, fsync=False) as client,
    ):
        results = [client.download("http://store.example/k", tmp_path / name) for name in ("one", "two")]
    assert [result.connections for result in results] == [4, 4]
    assert [result.retries for result in results] == [0, 0]
    assert all(result.verification.verified for result in results)
    assert 1 <= len(silent.requests) <= 2


@pytest.mark.fault("N15", "N5")
def test_a_pull_asks_an_address_that_never_answers_no_more(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {f"/{number}": StoredObject(Content.generated(20_000, seed=number)) for number in range(60)}
    silent = serve(stored, faults=[faults.silence().always()])
    good = serve(stored, behaviour=Behaviour(first_byte_delay=(0.02, 0.03)))
    urls = [f"http://store.example{path}" for path in stored]
    with leading_to(monkeypatch, good, silent), fastget.Client(jobs=8, processes=1, fsync=False) as client:
        first = client.pull(urls, tmp_path / "first")
        asked = len(silent.requests)
        second = client.pull(urls, tmp_path / "second")
    assert asked
    assert len(silent.requests) == asked
    assert [(result.done, result.failed) for result in (first, second)] == [(60, 0)] * 2


@pytest.mark.fault("N15", "N5")
def test_a_pull_goes_on_with_all_its_threads_where_an_address_never_answers(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {f"/{number}": StoredObject(Content.generated(100, seed=number)) for number in range(100)}
    silent = serve(stored, faults=[faults.silence().always()])
    good = serve(stored, behaviour=Behaviour(first_byte_delay=(0.3, 0.3)))
    urls = [f"http://store.example{path}" for path in stored]
    alive: list[int] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Done):
            alive.append(sum(thread.name.startswith("fastget-pull") for thread in threading.enumerate()))

    with leading_to(monkeypatch, good, silent):
        result = fastget.pull(urls, tmp_path, jobs=8, processes=1, fsync=False, on_event=on_event)
    assert (result.done, result.jobs) == (100, 8)
    assert silent.requests
    assert alive[70] == 8


@pytest.mark.fault("N15", "N5")
def test_an_address_that_falls_silent_is_left_for_another(
    serve: Serve, stored: StoredObject, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_arrived: Check
) -> None:
    silent = serve({"/k": stored}, faults=[faults.stall(after=1000).always()])
    good = serve({"/k": stored})
    with leading_to(monkeypatch, silent, good):
        result = fetch("http://store.example/k", connections=1, stall_timeout=1.0)
    assert_arrived()
    assert silent.requests
    assert result.retries >= 1


@pytest.mark.fault("N15")
def test_addresses_that_are_all_dead_are_named_in_the_error(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_absent: Check
) -> None:
    with (
        taken_port() as port,
        resolving(monkeypatch, lambda *_: [("127.0.0.2", port), ("127.0.0.3", port)]),
        pytest.raises(NetworkError, match=r"store\.example \(127\.0\.0\.2, 127\.0\.0\.3\) port 80"),
    ):
        fetch("http://store.example/k", retries=1)
    assert_absent()


@pytest.mark.fault("N16", "C4")
@pytest.mark.parametrize("if_match", [True, False], ids=["If-Match honoured", "If-Match ignored"])
def test_a_name_that_leads_to_another_machine_midway_mixes_nothing(
    serve: Serve, content: Content, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_absent: Check, if_match: bool
) -> None:
    release = threading.Event()
    first = serve({"/k": StoredObject(content)}, faults=[faults.hold(release, after=10).on(request=1)])
    other = StoredObject(Content.generated(content.size, seed=77))
    ignoring = () if if_match else (faults.if_match_ignored().always(),)
    second = serve({"/k": other}, faults=ignoring)
    ports = itertools.chain([first.port], itertools.repeat(second.port))
    monkeypatch.setattr(resolver, "LIFETIME", 0.0)
    with resolving(monkeypatch, lambda *_: [("127.0.0.1", next(ports))]), pytest.raises(SourceChanged):
        fetch("http://store.example/k", stall_timeout=30.0)
    release.set()
    assert_absent()


@pytest.mark.fault("N16")
def test_a_replica_with_the_same_etag_goes_on_where_the_first_machine_stopped(
    serve: Serve, stored: StoredObject, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_arrived: Check
) -> None:
    first = serve({"/k": stored}, faults=[faults.reset(after=MIB + 10).on(request=1), faults.reset(after=0).always()])
    second = serve({"/k": stored})
    ports = itertools.chain([first.port], itertools.repeat(second.port))
    with resolving(monkeypatch, lambda *_: [("127.0.0.1", next(ports))]):
        fetch("http://store.example/k")
    assert_arrived()


@pytest.mark.fault("N15", "C4")
@pytest.mark.parametrize("if_match", [True, False], ids=["If-Match honoured", "If-Match ignored"])
def test_ranges_that_one_address_has_of_another_version_are_asked_of_the_first(
    serve: Serve, content: Content, monkeypatch: pytest.MonkeyPatch, if_match: bool
) -> None:
    unhurried = Behaviour(rate_per_connection=4 * MIB)
    first = serve({"/k": StoredObject(content)}, behaviour=unhurried)
    ignoring = () if if_match else (faults.if_match_ignored().always(),)
    other = serve({"/k": StoredObject(Content.generated(content.size, seed=77))}, faults=ignoring)
    asked = [(0, 2 * MIB), *((start, start + 1000) for start in range(3 * MIB, content.size - 1000, MIB))]
    with leading_to(monkeypatch, first, other):
        found = fastget.read_ranges("http://store.example/k", asked, connections=2)
    assert [bytes(one) for one in found] == [content.read(*span) for span in asked]
    assert other.requests


@pytest.mark.fault("N17")
def test_connections_that_close_as_they_are_used_again_cost_no_retry(
    serve: Serve, stored: StoredObject, content: Content
) -> None:
    server = serve({"/k": stored}, faults=[faults.close_idle_connection().always()])
    with fastget.Client(retries=0) as client:
        for start in range(0, 20_000, 1000):
            assert client.read(server.url("/k"), start, start + 1000) == content.read(start, start + 1000)


@pytest.mark.fault("N18")
def test_a_peer_that_resets_every_few_requests_is_outlasted(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_arrived: Check
) -> None:
    unhurried = Behaviour(rate_per_connection=4 * MIB)
    server = serve({"/k": stored}, behaviour=unhurried, faults=[faults.reset(after=1000).on(ranged=True).every(10)])
    seen: list[Event] = []
    result = fetch(server.url("/k"), part_size=64 * 1024, on_event=seen.append)
    assert_arrived()
    assert result.retries == len([event for event in seen if isinstance(event, Retried)]) > 0


@pytest.mark.fault("N10")
def test_a_refused_connection_is_asked_for_so_many_times_and_no_more(fetch: Fetch) -> None:
    seen: list[Event] = []
    with taken_port() as port, pytest.raises(NetworkError, match=f"127.0.0.1 port {port}"):
        fetch(f"http://127.0.0.1:{port}/k", retries=2, on_event=seen.append)
    assert [event.attempt for event in seen if isinstance(event, Retried)] == [1, 2]


@pytest.mark.fault("N23")
def test_a_real_proxy_that_wants_a_password_is_named_without_the_one_that_was_given(
    serve: Serve, stored: StoredObject, proxied: Proxied, fetch: Fetch
) -> None:
    base = proxied(serve({"/k": stored}), "http-request return status 407")
    proxy = base.replace("http://", "http://me:marked-secret@")
    with pytest.raises(NetworkError, match="proxy") as caught:
        fetch("http://store.example/k", proxy=proxy)
    assert "marked-secret" not in f"{caught.value!r} {caught.value} {caught.value.hint}"


@pytest.mark.fault("N27", "X27")
def test_with_32_descriptors_a_download_over_64_connections_completes(
    serve: Serve, run: Run, stored: StoredObject, content: Content, tmp_path: Path
) -> None:
    server = serve({"/k": stored})

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    done = run(server.url("/k"), "-o", "k", "--connections", "64", "--part-size", "32K", limit=limit)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "k").read_bytes() == content.read(0, content.size)


@pytest.mark.fault("N22")
def test_tls_connections_of_many_threads_never_meet(
    content: Content, tmp_path: Path, serve: Serve, fetch: Fetch, assert_arrived: Check
) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.num_tickets = 0  # a session is never resumed
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    stored = StoredObject(content, checksum=Algorithm.CRC32C)
    server = serve({"/k": stored}, tls=context, faults=[faults.reset(after=5000).every(7)])
    fetch(server.url("/k"), ca_bundle=str(bundle), connections=16, part_size=64 * 1024, connect_timeout=10.0)
    assert_arrived()


@pytest.mark.fault("N20")
def test_a_body_that_tls_cuts_is_never_whole(
    tmp_path: Path, content: Content, serve: Serve, fetch: Fetch, assert_absent: Check
) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    stored = StoredObject(content, etag='"opaque"')
    cut = [faults.truncated_close(after=MIB).always(), faults.field("ETag", None).always()]
    server = serve({"/k": stored}, tls=context, faults=cut)
    with pytest.raises(NetworkError):
        fetch(server.url("/k"), ca_bundle=str(bundle), retries=1, connect_timeout=10.0)
    assert_absent()
