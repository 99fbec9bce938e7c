"""What must not leak, must not be followed, must not be believed."""

from __future__ import annotations

import gzip
import ipaddress
import logging
import os
import pickle
import pty
import re
import socket
import subprocess
import sys
import traceback
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import fastget
from fastget.core.ranges import Span
from fastget.core.urls import is_loopback
from fastget.errors import FastgetError, NetworkError
from fastget.events import Event, Result
from fastget.testing import Algorithm, Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer, Segment
from fastget.testing.received import ReceivedRequest
from fastget.transport.dial import is_public

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
Fetch = Callable[..., Result]
Check = Callable[[], None]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
NotFound = Callable[[str, str], None]


# Redirects into private networks -------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
    "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1%lo",
    "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1", "2002:7f00:1::1", "2001:db8::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.fault("H30")
@pytest.mark.parametrize(("address", "expected"), [(one, False) for one in PRIVATE] + [(one, True) for one in PUBLIC])
def test_an_address_is_public_or_not(address: str, expected: bool) -> None:
    assert is_public(address) is expected


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Declare an address of this machine to be one of the open internet; 127.0.0.1 stays private."""

    def declare(address: str) -> None:
        def judge(other: str) -> bool:
            return other == address or is_public(other)

        monkeypatch.setattr("fastget.transport.dial.is_public", judge)
        monkeypatch.setattr("fastget.transport.route.is_public", judge)

    return declare


@pytest.fixture
def redirecting(raw: Callable[..., Any]) -> Callable[[str, str], Any]:
    """A server at an address that sends every request elsewhere."""

    def begin(address: str, location: str) -> Any:
        def handle(server: Any, connection: socket.socket, _: int) -> None:
            while server.read_head(connection):
                connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

        return raw(handle, address)

    return begin


@pytest.mark.fault("H30", "S15")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_from_the_internet_into_a_private_network_is_refused(
    serve: Serve,
    stored: StoredObject,
    fetch: Fetch,
    redirecting: Callable[[str, str], Any],
    internet: Callable[[str], None],
    assert_absent: Check,
    host: str,
) -> None:
    private = serve({"/k": stored})
    public = redirecting("127.0.0.2", f"http://{host}:{private.port}/k")
    internet("127.0.0.2")
    with pytest.raises(NetworkError, match="private network"):
        fetch(public.url())
    assert not private.requests
    assert private.connections == 0
    assert len(public.heads) == 1
    assert_absent()


@pytest.mark.fault("H30")
def test_a_redirect_is_refused_at_every_hop_and_over_connections_that_are_there(
    serve: Serve,
    stored: StoredObject,
    content: Content,
    redirecting: Callable[[str, str], Any],
    internet: Callable[[str], None],
) -> None:
    private = serve({"/k": stored})
    second = redirecting("127.0.0.2", private.url("/k"))
    first = redirecting("127.0.0.2", second.url())
    internet("127.0.0.2")
    with fastget.Client() as client:
        # The user may name a private host, and its connection is then kept.
        assert client.read(private.url("/k")) == content.read(0, content.size)
        asked = len(private.requests)
        with pytest.raises(NetworkError, match="private network"):
            client.read(first.url())
    assert len(private.requests) == asked


@pytest.mark.fault("H30")
def test_a_private_host_may_redirect_to_another(
    serve: Serve,
    stored: StoredObject,
    fetch: Fetch,
    redirecting: Callable[[str, str], Any],
    internet: Callable[[str], None],
    assert_arrived: Check,
) -> None:
    private = serve({"/k": stored})
    internet("127.0.0.3")
    fetch(redirecting("127.0.0.2", private.url("/k")).url())
    assert_arrived()


@pytest.mark.fault("H30")
def test_of_several_addresses_only_the_public_ones_are_asked(
    serve: Serve,
    stored: StoredObject,
    fetch: Fetch,
    redirecting: Callable[[str, str], Any],
    internet: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that leads to both kinds of address, as one of an attacker may."""
    private = serve({"/k": stored})
    public = redirecting("127.0.0.2", f"http://both.example:{private.port}/k")
    internet("127.0.0.2")
    real = socket.getaddrinfo

    def getaddrinfo(host: bytes, port: int, *arguments: Any, **options: Any) -> Any:
        if host != b"both.example":
            return real(host, port, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (to, port)) for to in ("127.0.0.1", "127.0.0.2")]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(NetworkError):
            fetch(public.url(), retries=0)
    assert private.connections == 0


@pytest.mark.fault("H30")
def test_with_real_addresses_of_the_internet_a_redirect_to_this_machine_is_refused(
    server_not_found: NotFound, script: Run, tmp_path: Path
) -> None:
    """In a network namespace of its own, where the loopback device has a public address as well."""
    source = """
        import fastget, os, pathlib, sys
        from fastget.testing import Content, ObjectServer, StoredObject, faults
        if len(sys.argv) == 1:
            commands = f"ip link set lo up && ip addr add 8.8.4.4/32 dev lo && exec {sys.executable} {__file__} inside"
            os.execvp("unshare", ["unshare", "--net", "--map-root-user", "sh", "-c", commands])
        import socket, threading
        with ObjectServer({"/k": StoredObject(Content.of(b"secret"))}) as private:
            public = socket.create_server(("8.8.4.4", 8080))
            def serve():
                while True:
                    connection, _ = public.accept()
                    connection.recv(65536)
                    answer = f"HTTP/1.1 302 Found\\r\\nLocation: {private.url('/k')}\\r\\nContent-Length: 0\\r\\n\\r\\n"
                    connection.sendall(answer.encode())
                    connection.close()
            threading.Thread(target=serve, daemon=True).start()
            try:
                print(fastget.read("http://8.8.4.4:8080/x"))
            except fastget.FastgetError as error:
                print(type(error).__name__, "private network" in str(error), private.connections)
    """
    done = script(source)
    if b"unshare" in done.stderr or b"Operation not permitted" in done.stderr or b"ip: not found" in done.stderr:
        server_not_found("network namespaces", "root or unprivileged user namespaces; apt-get install iproute2")
    assert done.stdout.split() == [b"NetworkError", b"True", b"0"], done.stderr


@pytest.mark.fault("H30")
def test_every_address_that_is_called_public_is_one_for_the_registry_too() -> None:
    assert all(ipaddress.ip_address(one).is_global for one in ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])


# Credentials without encryption --------------------------------------------------------------------------------------


@pytest.mark.fault("S19")
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("LOCALHOST.", True), ("a.localhost", True),
        ("::1", True), ("127.0.0.1.evil.example", False), ("localhost.evil.example", False), ("10.0.0.1", False),
        ("store.example", False), ("1127.0.0.1", False),
    ],
)  # fmt: skip
def test_a_host_is_this_machine_or_not(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """store.example is this machine, by another name."""
    real = socket.getaddrinfo

    def getaddrinfo(host: bytes, port: int, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == b"store.example" else host, port, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


KEYS = {"access_key_id": "AK", "secret_access_key": "s"}


@pytest.mark.fault("S19")
@pytest.mark.parametrize(
    ("url", "options", "warned"),
    [
        ("http://store.example:{port}/k", {"headers": {"Authorization": "Bearer marked"}}, True),
        ("http://me:marked@store.example:{port}/k", {}, True),
        ("http://store.example:{port}/k", {"headers": {"X-Other": "x"}}, False),
        ("http://127.0.0.1:{port}/k", {"headers": {"Authorization": "Bearer marked"}}, False),
        ("s3://b/k", {"endpoint_url": "http://store.example:{port}", **KEYS}, True),
        ("s3://b/k", {"endpoint_url": "http://store.example:{port}", "no_sign_request": True}, False),
    ],
)  # fmt: skip
def test_credentials_that_go_out_unencrypted_are_warned_of_once(
    serve: Serve,
    stored: StoredObject,
    named: None,
    caplog: pytest.LogCaptureFixture,
    url: str,
    options: dict[str, Any],
    warned: bool,
) -> None:
    server = serve({"/k": stored, "/b/k": stored})
    options = {
        name: value.format(port=server.port) if isinstance(value, str) else value for name, value in options.items()
    }
    with caplog.at_level(logging.WARNING, "fastget"), fastget.Client(addressing_style="path", **options) as client:
        for _ in range(2):
            client.read(url.format(port=server.port), connections=4, part_size=256 * 1024)
    messages = [record.getMessage() for record in caplog.records if record.name == "fastget.transport"]
    assert len(messages) == warned
    assert all("store.example" in message and "marked" not in message for message in messages)


@pytest.mark.fault("S19")
def test_the_command_tells_of_it_in_a_line(serve: Serve, stored: StoredObject, script: Run) -> None:
    source = """
        import socket, sys
        from fastget.__main__ import main
        real = socket.getaddrinfo
        socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1", *rest, **more)
        sys.argv[0] = "fastget"
        main()
    """
    port = serve({"/k": stored}).port
    done = script(source, f"http://me:marked@store.example:{port}/k", "-o", "k")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"unencrypted") == 1
    assert b"marked" not in done.stderr


# Secrets -------------------------------------------------------------------------------------------------------------

MARKED = "MARKEDSECRET"
_NOISY = """
    import logging, pickle, sys, traceback
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    import fastget
    options = {
        "access_key_id": "AKIAVISIBLE",
        "secret_access_key": "MARKEDSECRET-key",
        "session_token": "MARKEDSECRET-token",
        "headers": {"X-Api-Key": "MARKEDSECRET-header"},
        "retries": 1,
        "stall_timeout": 0.3,
        "response_timeout": 1.0,
        "part_size": 2**20,
        "connections": 4,
        "addressing_style": "path",
        "endpoint_url": sys.argv[1],
        "on_event": print,
    }
    urls = [
        "s3://b/k",
        sys.argv[1] + "/b/k?X-Amz-Signature=MARKEDSECRET-signature&X-Amz-Credential=MARKEDSECRET-credential",
        sys.argv[1].replace("http://", "http://me:MARKEDSECRET-password@") + "/b/k?token=MARKEDSECRET-query",
        sys.argv[1].replace("http://", "http://me:MARKEDSECRET-password@") + "/b/missing?sig=MARKEDSECRET-query",
        "http://me:MARKEDSECRET-password@[broken/k?sig=MARKEDSECRET-query",
    ]
    with fastget.Client(**options) as client:
        print(repr(client), client.config, pickle.dumps(client.config.headers) and "")
        for number, url in enumerate(urls):
            try:
                print(client.download(url, f"out-{number}"))
            except fastget.FastgetError as error:
                traceback.print_exc()
                print(repr(error), error.hint, error.reply, error.url, error.args, error.__dict__)
                print(pickle.dumps(error))
"""


# Those that hold a secret here; the rest of the message would be cut off.
_TOLD = ("x-amz-security-token", "authorization", "x-api-key")


def echoed(request: ReceivedRequest, answer: Answer) -> Answer:
    """A refusal that repeats what was asked, as a server's page for debugging may."""
    told = [request.target, *(value for name, value in request.headers if name.lower() in _TOLD)]
    refusal = faults.status(403, "SignatureDoesNotMatch", " ".join(told))
    assert refusal.edit is not None
    return refusal.edit(request, answer)


def told_otherwise(request: ReceivedRequest, answer: Answer) -> Answer:
    """The same, decoded as a server sees it, in plain text and in a header field."""
    fields = {name.lower(): value for name, value in request.headers}
    scheme, _, token = fields.get("authorization", "").partition(" ")
    told = [b64decode(token).decode()] if scheme == "Basic" else [token]
    told += [unquote(request.target), fields.get("x-api-key", ""), fields.get("x-amz-security-token", "")]
    page = " ".join(told).encode()
    return replace(
        answer,
        status=403,
        fields=(("Content-Type", "text/plain"), ("Location", request.target), ("x-amz-error-code", told[0][:60])),
        segments=(Segment(Content.of(page), Span(0, len(page))),),
        span=None,
    )


SECRET_FAULTS = {
    "told otherwise": (Fault(name="told", edit=told_otherwise).always(),),
    "none": (),
    "reset": (faults.reset(after=1000).every(3),),
    "refused": (faults.status(403, "SignatureDoesNotMatch", "MARKED is not shown here").always(),),
    "echo": (Fault(name="echo", edit=echoed).always(),),
    "garbage": (faults.garbage(b"MARKEDless garbage\r\n").always(),),
    "redirect": (faults.redirect("/elsewhere?X-Amz-Signature=MARKEDSECRET-signature").always(),),
    "stall": (faults.stall(after=100).always(),),
    "damage": (faults.flip_bit(offset=MIB).always(),),
}


@pytest.mark.fault("S12")
@pytest.mark.parametrize("name", list(SECRET_FAULTS))
def test_no_secret_shows_in_anything_that_a_run_leaves(
    serve: Serve, stored: StoredObject, script: Run, tmp_path: Path, name: str
) -> None:
    server = serve({"/b/k": stored}, faults=SECRET_FAULTS[name])
    done = script(_NOISY, server.base_url)
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        assert MARKED.encode() not in text, re.findall(rb".{80}MARKEDSECRET.{40}", text)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "script.py":
            assert MARKED.encode() not in path.read_bytes(), path.name


@pytest.mark.fault("S12")
def test_no_secret_hides_in_the_causes_of_an_error(serve: Serve, stored: StoredObject) -> None:
    server = serve({"/k": stored}, faults=[faults.garbage().always()])
    url = server.url("/k", f"X-Amz-Signature={MARKED}").replace("http://", f"http://u:{MARKED}@")
    seen: list[Event] = []
    with pytest.raises(FastgetError) as caught:
        fastget.read(url, retries=1, headers={"Authorization": MARKED}, on_event=seen.append)
    error: BaseException | None = caught.value
    while error is not None:
        assert MARKED not in f"{error!r} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__
    assert MARKED not in "".join(traceback.format_exception(caught.value))
    assert MARKED.encode() not in pickle.dumps(caught.value)
    assert MARKED not in repr(seen)


# The terminal --------------------------------------------------------------------------------------------------------

# Cursor up, to the start, erase, colours: what a bar draws itself with.
_OWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ALLOWED_FINALS = set("ABCDGHJKmhl")
_HOSTILE_TEXT = "a\x1b]0;title\x07b\x1b[2Jc\x9bd\u202ee\u2066f\x7fg\x08h\ri\u2028j"


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """What the command draws on a terminal of its own."""
    main, side = pty.openpty()
    home = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        (sys.executable, "-m", "fastget", *arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": home, "NO_PROXY": "127.0.0.1", "TERM": "xterm"},
        stdin=side, stdout=side, stderr=side,
    )  # fmt: skip
    os.close(side)
    drawn = b""
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:  # nobody holds the other side any more
            break
        if not data:
            break
        drawn += data
    os.close(main)
    process.wait(60)
    return drawn.decode()


@pytest.mark.fault("S10", "S11")
@pytest.mark.parametrize("verb", ["get", "stat", "ls"])
@pytest.mark.parametrize("where", ["key", "etag", "message", "server", "location", "reason"])
def test_a_server_cannot_steer_a_terminal_by_anything_that_it_says(
    raw: Callable[..., Any], tmp_path: Path, where: str, verb: str
) -> None:
    text = _HOSTILE_TEXT.replace("\r", "").encode("utf-8")
    field = text.replace(b"\x1b", b"\x9b").replace(b"\x07", b"").replace(b"\x08", b"").replace(b"\x7f", b"")
    answers = {
        "key": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "etag": b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: "' + field + b'"\r\n\r\nx',
        "message": b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n" + text,
        "server": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nServer: " + field + b"\r\n\r\nx",
        "location": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[" + field + b"\r\n\r\n",
        "reason": b"HTTP/1.1 418 " + field + b"\r\nContent-Length: 0\r\n\r\n",
    }

    def handle(server: Any, connection: socket.socket, _: int) -> None:
        if server.read_head(connection):
            connection.sendall(answers[where])

    server = raw(handle)
    from urllib.parse import quote

    url = server.url("/" + (quote(_HOSTILE_TEXT) if where == "key" else "k"))
    output = ["-o", "k", "-v"] if verb == "get" else []
    drawn = on_a_terminal(verb, url, *output, cwd=tmp_path)
    assert drawn
    finals = {match[-1] for match in _OWN.findall(drawn)}
    assert finals <= _ALLOWED_FINALS
    assert "\x1b[2J" not in drawn
    rest = _OWN.sub("", drawn)
    foreign = [letter for letter in rest if not letter.isprintable() and letter not in "\r\n\t"]
    assert not foreign


# Names, bombs, files of others ---------------------------------------------------------------------------------------


@pytest.mark.fault("S14")
def test_a_decompression_bomb_stays_what_it_is(serve: Serve, fetch: Fetch, destination: Path) -> None:
    bomb = gzip.compress(bytes(64 * MIB), 9, mtime=0)
    stored = StoredObject(Content.of(bomb), headers={"Content-Encoding": "gzip"}, checksum=Algorithm.SHA256)
    server = serve({"/k": stored})
    fetch(server.url("/k"))
    assert destination.read_bytes() == bomb
    assert server.requests[0].headers.get("Accept-Encoding") == "identity"


@pytest.mark.fault("S18")
@pytest.mark.parametrize("name", ['attachment; filename="../../evil"', "attachment; filename=other", "x" * 5000])
def test_a_file_name_that_the_server_sends_is_ignored(
    serve: Serve, content: Content, run: Run, tmp_path: Path, name: str
) -> None:
    stored = StoredObject(content, headers={"Content-Disposition": name})
    assert run(serve({"/b/mine": stored}).url("/b/mine")).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.fault("S20")
def test_netrc_is_never_read(serve: Serve, stored: StoredObject, run: Run, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password MARKEDSECRET\ndefault login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    server = serve({"/k": stored})
    environment = {"HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc")}
    assert run(server.url("/k"), "-o", "k", env=environment).returncode == 0
    assert all("Authorization" not in request.headers for request in server.requests)


@pytest.mark.fault("S13")
def test_nothing_that_is_written_on_the_way_can_be_read_by_others(
    serve: Serve, stored: StoredObject, fetch: Fetch, destination: Path
) -> None:
    modes: set[int] = set()

    def look(event: Event) -> None:
        for path in destination.parent.iterdir():
            if path != destination:
                modes.add(path.stat().st_mode & 0o777)

    before = os.umask(0)
    try:
        fetch(serve({"/k": stored}, faults=[faults.reset(after=5000).every(3)]).url("/k"), on_event=look)
    finally:
        os.umask(before)
    # None where the file has no name until it is whole.
    assert modes <= {0o600}
    assert destination.stat().st_mode & 0o777 == 0o666


@pytest.mark.fault("S21")
def test_no_module_of_the_package_unpickles_or_evaluates() -> None:
    package = Path(fastget.__file__).parent
    forbidden = re.compile(r"\b(?:pickle|marshal|shelve|dill)\.loads?\(|(?<![.\w])(?:eval|exec)\(")
    # The processes of one transfer speak over a pair of sockets that has no name and that nobody else holds.
    own_processes = {package / "engine" / room for room in ("children", "processes")}
    modules = [path for path in package.rglob("*.py") if path.parent not in own_processes]
    assert modules
    assert not [path.name for path in modules if forbidden.search(path.read_text(encoding="utf-8"))]
