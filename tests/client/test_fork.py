"""Clients in other processes: forked ones, with connections and downloads of the parent open, and spawned ones.

Each test runs a script of its own, which ends within a minute or fails. Requests tell by their path who made them.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
Script = Callable[..., str]
Start = Callable[..., "subprocess.Popen[str]"]
Await = Callable[[Callable[[], bool], str], None]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

OBJECTS = {f"/{who}": StoredObject(Content.generated(5000, seed=1)) for who in ("parent", "child")}
PRELUDE = """
import hashlib, os, sys, threading, traceback, warnings
import psutil
import fastget

warnings.filterwarnings("ignore", message=".*fork.*")

def in_child(work):
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"

def sockets():
    return [one for one in psutil.Process().net_connections("tcp") if one.raddr]
"""


def connections_of(server: ObjectServer, path: str) -> list[int]:
    return [request.connection for request in server.requests if request.path == path]


IDLE = (
    PRELUDE
    + """
url, bundle = sys.argv[1:]
client = fastget.Client(ca_bundle=bundle or None)
expected = client.read(f"{url}/parent")
assert len(sockets()) == 1

def child():
    assert not sockets(), "the child holds a socket of its parent"
    assert client.read(f"{url}/child") == expected
    assert client.read(f"{url}/child") == expected
    assert len(sockets()) == 1
    client.close()

for _ in range(2):
    in_child(child)
    assert client.read(f"{url}/parent") == expected
client.close()
"""
)


@pytest.mark.fault("X28")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_forked_child_opens_connections_of_its_own_and_leaves_those_of_its_parent_alone(
    serve: Serve, script: Script, tmp_path: Path, scheme: str
) -> None:
    context, bundle = None, ""
    if scheme == "https":
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        bundle = str(tmp_path / "ca.pem")
        authority.cert_pem.write_to_path(bundle)
    server = serve(OBJECTS, tls=context)
    script(IDLE, server.base_url, bundle)
    assert connections_of(server, "/parent") == [1, 1, 1]
    assert connections_of(server, "/child") == [2, 2, 3, 3]


LOCKED = (
    PRELUDE
    + """
url = sys.argv[1]
client = fastget.Client(limit_rate=1 << 30)
client.read(f"{url}/parent")
locked, over = threading.Event(), threading.Event()

def hold():
    (kept,) = client._pools._kept.values()
    pool = kept.enter_result
    with client._lock, client._pools._lock, pool._lock, pool.limit._lock:
        locked.set()
        over.wait()

thread = threading.Thread(target=hold)
thread.start()
locked.wait()
in_child(lambda: client.read(f"{url}/child"))
over.set()
thread.join()
client.read(f"{url}/parent")
client.close()
"""
)


def test_a_fork_while_another_thread_is_inside_the_client_does_not_lock_the_child_out(
    serve: Serve, script: Script
) -> None:
    server = serve(OBJECTS)
    script(LOCKED, server.base_url)
    assert connections_of(server, "/child") == [2]


MIDWAY = (
    PRELUDE
    + """
url, path, digest = sys.argv[1:]
started = threading.Event()
client = fastget.Client(connections=4, part_size=512 * 1024, on_event=lambda _: started.set())
results = []
thread = threading.Thread(target=lambda: results.append(client.download(f"{url}/large", path)))
thread.start()
started.wait()

def child():
    assert client.read(f"{url}/child") == client.read(f"{url}/child")
    client.download(f"{url}/large", f"{path}.child")
    client.close()
    with open(f"{path}.child", "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == digest

in_child(child)
while thread.is_alive():
    in_child(lambda: client.read(f"{url}/child"))
thread.join()
with open(path, "rb") as file:
    assert hashlib.sha256(file.read()).hexdigest() == digest
assert results[0].retries == 0
client.read(f"{url}/parent")
client.close()
"""
)


@pytest.mark.fault("X28")
def test_forks_while_a_download_runs_in_another_thread_harm_neither_side(
    serve: Serve, script: Script, tmp_path: Path
) -> None:
    content = Content.generated(4 * MIB + 99, seed=3)
    large = StoredObject(content)
    server = serve({**OBJECTS, "/large": large}, behaviour=Behaviour(rate_per_connection=2.0 * MIB))
    folder = tmp_path / "out"
    folder.mkdir()
    script(MIDWAY, server.base_url, folder / "object.bin", hashlib.sha256(content.read()).hexdigest())
    assert sorted(file.name for file in folder.iterdir()) == ["object.bin", "object.bin.child"]
    parents = set(connections_of(server, "/parent"))
    assert not parents & set(connections_of(server, "/child"))


IMPORTING = (
    PRELUDE
    + """
import time

url, name = sys.argv[1:]
importing = threading.Event()

class Slow:
    def find_spec(self, wanted, path, target=None):
        if wanted == name:
            importing.set()
            time.sleep(0.2)

sys.meta_path.insert(0, Slow())
client = fastget.Client()
thread = threading.Thread(target=client.read, args=(f"{url}/parent",))
thread.start()
importing.wait()
in_child(lambda: client.read(f"{url}/child"))
thread.join()
client.close()
"""
)


@pytest.mark.parametrize(
    "name", ["awscrt", "awscrt.checksums", "fastget.transport.connection", "fastget.transport.route"]
)
def test_a_fork_while_another_thread_imports_what_a_download_needs_does_not_lock_the_child_out(
    serve: Serve, script: Script, name: str
) -> None:
    """The lock of a module that is being imported outlives the thread that holds it."""
    stored = StoredObject(Content.generated(5000, seed=1), checksum=Algorithm.CRC64NVME)
    server = serve({"/parent": stored, "/child": stored})
    script(IMPORTING, server.base_url, name)
    assert len(connections_of(server, "/child")) == len(connections_of(server, "/parent")) == 1


OF_FEW_CALLS = (
    PRELUDE
    + """
import logging, time  # logging hooks into forks itself
url, name = sys.argv[1:]
importing = threading.Event()

class Slow:
    def find_spec(self, wanted, path, target=None):
        if wanted == name:
            importing.set()
            time.sleep(0.2)

def use(who):
    with client.stream(f"{url}/{who}") as stream:
        assert sum(map(len, stream)) == 5000
    with s3.get_object(Bucket="b", Key=who, endpoint_url=url, no_sign_request=True, client=client)["Body"] as body:
        assert len(body.read()) == 5000

from fastget import s3
sys.meta_path.insert(0, Slow())
client = fastget.Client()
thread = threading.Thread(target=use, args=("parent",))
thread.start()
importing.wait()
in_child(lambda: use("child"))
thread.join()
client.close()
"""
)


@pytest.mark.parametrize(
    "name", ["fastget.engine.reading.streaming", "fastget.sources.endpoints", "fastget.sources.s3"]
)
def test_a_fork_while_another_thread_imports_what_few_calls_need_does_not_lock_the_child_out(
    serve: Serve, script: Script, name: str
) -> None:
    objects = {f"{path}/{who}": OBJECTS[f"/{who}"] for path in ("", "/b") for who in ("parent", "child")}
    script(OF_FEW_CALLS, serve(objects).base_url, name)


OTHERS_BEGIN = (
    PRELUDE
    + """
is_over = False
held = [fastget.Client() for _ in range(2000)]

def make():
    while not is_over:
        fastget.Client()

threads = [threading.Thread(target=make) for _ in range(2)]
for thread in threads:
    thread.start()
sys.setswitchinterval(1e-5)
for _ in range(6):
    in_child(lambda: None)
is_over = True
"""
)


def test_a_fork_while_other_threads_make_clients_goes_through_all_of_them(script: Script) -> None:
    """Each plain function makes one; the fixture has it that nothing is told of an error that nobody could catch."""
    script(OTHERS_BEGIN)


IDLE_CHILD = (
    PRELUDE
    + """
url = sys.argv[1]
client = fastget.Client()
client.read(f"{url}/parent")
child = os.fork()
if not child:
    sys.stdin.read()
    os._exit(0)
client.close()
print("closed", flush=True)
os.waitpid(child, 0)
"""
)


def test_a_child_that_never_uses_the_client_keeps_none_of_its_connections_open(
    serve: Serve, start: Start, await_condition: Await
) -> None:
    server = serve(OBJECTS)
    process = start(IDLE_CHILD, server.base_url)
    assert process.stdout is not None
    assert process.stdout.readline() == "closed\n"
    await_condition(lambda: server.open_connections == 0, "the connection is closed")
    assert process.poll() is None
    _, stderr = process.communicate("", timeout=60)
    assert (process.returncode, stderr) == (0, "")


PROCESSES = """
import multiprocessing, sys
import fastget

def fetch(task):
    client, url = task
    with client:
        return client.read(url), client.config.headers

def fail(task):
    client, url = task
    with client:
        client.read(url + "/none")

if __name__ == "__main__":
    method, url = sys.argv[1:]
    with fastget.Client(headers={"X-Whose": "mine"}, on_event=lambda _: None) as client:
        expected = client.read(f"{url}/parent")
        with multiprocessing.get_context(method).Pool(2) as pool:
            for data, headers in pool.map(fetch, [(client, f"{url}/child")] * 4):
                assert data == expected
                assert headers == {"X-Whose": "mine"}
            try:
                pool.apply(fail, ((client, url),))
            except fastget.errors.NotFound as error:
                assert error.reply.status == 404
                assert error.url == url + "/none"
            else:
                raise AssertionError("an object that is not there was read")
            pool.close()
            pool.join()
        assert client.read(f"{url}/parent") == expected
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_client_and_its_errors_travel_between_processes(serve: Serve, script: Script, method: str) -> None:
    server = serve(OBJECTS)
    script(PROCESSES, method, server.base_url)
    assert connections_of(server, "/parent") == [1, 1]
    assert len(connections_of(server, "/child")) == 4
    assert 1 not in connections_of(server, "/child")
    assert {request.headers.get("x-whose") for request in server.requests} == {"mine"}


STREAMING = (
    PRELUDE
    + """
url, digest, how = sys.argv[1:]
hasher = hashlib.sha256()
stream = fastget.stream(f"{url}/large")
hasher.update(next(stream))

def child():
    try:
        next(stream)
    except fastget.errors.Cancelled as error:
        assert error.hint
    else:
        raise AssertionError("the child reads what its parent reads")
    if how == "close":
        stream.close()
        assert list(stream) == []

in_child(child)
for view in stream:
    hasher.update(view)
assert hasher.hexdigest() == digest
assert stream.result.retries == 0
"""
)


@pytest.mark.fault("X28")
@pytest.mark.parametrize("how", ["close", "leave"])
def test_a_child_leaves_the_stream_of_its_parent_alone(serve: Serve, script: Script, how: str) -> None:
    content = Content.generated(40 * MIB, seed=3)  # more than is fetched ahead
    server = serve({"/large": StoredObject(content)})
    script(STREAMING, server.base_url, hashlib.sha256(content.read()).hexdigest(), how)


BODY = (
    PRELUDE
    + """
from fastget import s3

url, digest = sys.argv[1:]
keys = dict(access_key_id="any", secret_access_key="any", region="us-east-1")
body = s3.get_object(Bucket="bucket", Key="large", endpoint_url=url, **keys)["Body"]
hasher = hashlib.sha256(body.read(1000))

def child():
    try:
        body.read()
    except fastget.errors.Cancelled as error:
        assert error.hint
    else:
        raise AssertionError("the child reads what its parent reads")
    body.close()

in_child(child)
hasher.update(body.read())
assert hasher.hexdigest() == digest
"""
)


@pytest.mark.fault("X28")
def test_a_child_leaves_the_body_of_its_parent_alone(serve: Serve, script: Script) -> None:
    content = Content.generated(20 * MIB, seed=3)
    server = serve({"/bucket/large": StoredObject(content, etag='"opaque"')})
    script(BODY, server.base_url, hashlib.sha256(content.read()).hexdigest())
