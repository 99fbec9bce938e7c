"""Real servers for the tests: each a process of its own, started at its first use and ended with the session.

Every worker of pytest-xdist has its own servers. rclone and moto come with the test requirements; nginx and
LocalStack are used where they are found (CONTRIBUTING.md).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import botocore.config
import botocore.session
import psutil
import pytest
import trustme

KIB, MIB = 1024, 1024 * 1024
SIZES = (
    0,
    1,
    256 * KIB - 1,
    256 * KIB + 1,
    8 * MIB - 1,
    8 * MIB,
    8 * MIB + 1,
    41_944_043,
)  # the last is a prime
BUCKET = "samples"
ACCESS_KEY, SECRET_KEY = "fastget-tests", "a-secret-of-the-tests"
HERE = Path(__file__).parent
START_TIMEOUT = 90.0
NotFound = Callable[[str, str], NoReturn]


@pytest.fixture(autouse=True)
def _asked_for_ranges(two_to_begin_with: None) -> None:
    """What a server does with ranges shows only where some are asked for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An object that every server holds."""

    name: str
    path: Path
    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that holds the samples below `base_url`, and the options by which fastget reaches it.

    `client` is botocore's, where the server speaks S3.
    """

    base_url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    client: Any = None

    def url(self, name: str) -> str:
        return self.base_url + name


# Objects


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """For all that the servers keep: objects, configuration and logs."""
    with tempfile.TemporaryDirectory(prefix="fastget-servers-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def documents(folder: Path) -> Path:
    """The root of the file servers; to rclone, its folders are buckets."""
    (folder / "documents" / BUCKET).mkdir(parents=True)
    return folder / "documents"


@pytest.fixture(scope="session")
def samples(documents: Path) -> Mapping[int, Sample]:
    """Every sample by its size."""
    return {size: _make_sample(documents / BUCKET, size) for size in SIZES}


def _make_sample(directory: Path, size: int) -> Sample:
    path = directory / f"{size}.bin"
    content = random.Random(size).randbytes(size)
    path.write_bytes(content)
    return Sample(path.name, path, content)


@pytest.fixture(params=SIZES, ids=str)
def sample(request: pytest.FixtureRequest, samples: Mapping[int, Sample]) -> Sample:
    """Each of the samples in turn."""
    return samples[request.param]


@pytest.fixture(scope="session")
def medium(samples: Mapping[int, Sample]) -> Sample:
    """A sample of 8 MiB and a byte."""
    return samples[8 * MIB + 1]


@pytest.fixture(scope="session")
def large(samples: Mapping[int, Sample]) -> Sample:
    """A sample of 40 MiB and some bytes."""
    return samples[SIZES[-1]]


# Processes


class StartError(Exception):
    """A server's process ended, or was not ready in time; the message holds what it had to say."""


class StartServer(Protocol):
    def __call__(self, name: str, *command: str | Path) -> int:
        """Start a server and wait until it listens; returns its lowest port."""
        ...


@pytest.fixture(scope="session")
def start_server(folder: Path) -> Iterator[StartServer]:
    with ExitStack() as running:

        def start(name: str, *command: str | Path) -> int:
            log = folder / f"{name}.log"
            process = running.enter_context(_process(command, log))
            _wait(process, log, lambda: bool(_listening_ports(process.pid)))
            return min(_listening_ports(process.pid))

        yield start


@contextmanager
def _process(
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, and where there is setpriv also with a test run that is killed."""
    guard = shutil.which("setpriv")
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*([guard, "--pdeathsig", "TERM"] if guard else []), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            pass_fds=descriptors,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + START_TIMEOUT
    while not is_ready():
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)  # the pause between two looks; it ends at once when the process does
        if process.returncode is not None or time.monotonic() > give_up:
            raise StartError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


def _listening_ports(pid: int) -> list[int]:
    """Asked of the system and not of the port: another process may have been given the same one."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return []
    return [found.laddr.port for found in connections if found.status == psutil.CONN_LISTEN]


# nginx


@pytest.fixture(scope="session")
def certificate_authority(folder: Path) -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(folder: Path, certificate_authority: trustme.CA) -> Path:
    """The file that makes the TLS server of the tests trusted."""
    path = folder / "ca.pem"
    certificate_authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def _nginx_ports(
    folder: Path,
    documents: Path,
    samples: Mapping[int, Sample],
    certificate_authority: trustme.CA,
    start_server: StartServer,
    server_not_found: NotFound,
) -> tuple[int, int]:
    """The ports of nginx for http and for https."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        server_not_found("nginx", "apt-get install nginx")
    _fill_nginx_folder(folder, documents, samples, certificate_authority)
    for _ in range(2):
        with suppress(StartError):  # nginx cannot choose a port: one that was free a moment ago may be taken
            return _start_nginx(program, folder, documents, start_server)
    return _start_nginx(program, folder, documents, start_server)


def _fill_nginx_folder(folder: Path, documents: Path, samples: Mapping[int, Sample], ca: trustme.CA) -> None:
    certificate = ca.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(folder / "server.pem"), append=True)
    (folder / "passwords").write_text("reader:{PLAIN}let me in\n")
    text = b"the same line again and again\n" * 40_000
    (documents / BUCKET / "lines.txt.gz").write_bytes(gzip.compress(text))
    digests = (
        f"/with-digest/{sample.name} sha-256=:{b64encode(bytes.fromhex(sample.sha256)).decode()}:;\n"
        for sample in samples.values()
    )
    (folder / "digests.map").write_text("".join(digests))


def _start_nginx(program: str, folder: Path, documents: Path, start_server: StartServer) -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for reserved in (first, second):
            reserved.bind(("127.0.0.1", 0))
        http, tls = sorted((first.getsockname()[1], second.getsockname()[1]))
    words = {
        "DOCUMENTS": str(documents),
        "FOLDER": str(folder),
        "HTTP_PORT": str(http),
        "TLS_PORT": str(tls),
        "USER": "user root;" if os.geteuid() == 0 else "",
    }
    text = (HERE / "nginx.conf").read_text()
    for word, value in words.items():
        text = text.replace(word, value)
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    start_server("nginx", program, "-p", folder, "-c", configuration, "-e", folder / "error.log")
    return http, tls


@pytest.fixture(scope="session")
def nginx(_nginx_ports: tuple[int, int]) -> Server:
    """nginx over plain http; its locations are explained in nginx.conf."""
    return Server(f"http://127.0.0.1:{_nginx_ports[0]}/{BUCKET}/")


@pytest.fixture(scope="session")
def nginx_tls(_nginx_ports: tuple[int, int], ca_bundle: Path) -> Server:
    """The same nginx over TLS, with a certificate of the tests' own authority."""
    return Server(f"https://127.0.0.1:{_nginx_ports[1]}/{BUCKET}/", {"ca_bundle": str(ca_bundle)})


# rclone, moto and LocalStack


@pytest.fixture(scope="session")
def rclone_http(start_server: StartServer, documents: Path, samples: Mapping[int, Sample]) -> Server:
    """`rclone serve http`: ranges, a date, and no ETag."""
    port = start_server("rclone-http", *_rclone("http"), documents)
    return Server(f"http://127.0.0.1:{port}/{BUCKET}/")


@pytest.fixture(scope="session")
def rclone_s3(start_server: StartServer, documents: Path, samples: Mapping[int, Sample]) -> Server:
    """`rclone serve s3`: the only server here that checks signatures; the ETag is the MD5 of the content."""
    port = start_server("rclone-s3", *_rclone("s3"), "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", documents)
    return _s3_server(port)


def _rclone(protocol: str) -> tuple[str, ...]:
    program = str(Path(sys.executable).with_name("rclone"))
    return program, "serve", protocol, "--addr", "127.0.0.1:0", "--config", os.devnull


@pytest.fixture(scope="session")
def moto(start_server: StartServer, samples: Mapping[int, Sample]) -> Server:
    """moto's server: no ranges by part number, checksums only where one was given."""
    port = start_server("moto", sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
    return _filled(_s3_server(port), samples)


@pytest.fixture(scope="session")
def localstack(
    folder: Path,
    samples: Mapping[int, Sample],
    localstack_python: str | None,
    server_not_found: NotFound,
) -> Iterator[Server]:
    """LocalStack in a network of its own, behind localstack_relay.py: parts, and checksums of every kind."""
    if not localstack_python:
        server_not_found("LocalStack", "set FASTGET_LOCALSTACK_PYTHON, see CONTRIBUTING.md")
    if missing := [tool for tool in ("unshare", "setpriv", "ip") if shutil.which(tool) is None]:
        server_not_found("LocalStack", f"it needs {', '.join(missing)}: apt-get install util-linux iproute2")
    home, log = folder / "localstack", folder / "localstack.log"
    home.mkdir()
    relay = [sys.executable, str(HERE / "localstack_relay.py")]
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        command = ["unshare", "--map-root-user", "--net", *relay, str(listening.fileno()), localstack_python]
        environment = {"HOME": str(home), "TMPDIR": str(home)}
        server = _s3_server(listening.getsockname()[1])
        with _process(command, log, environment, descriptors=[listening.fileno()]) as process:
            _wait(process, log, lambda: _is_healthy(server.options["endpoint_url"]))
            yield _filled(server, samples)


def _is_healthy(endpoint_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_localstack/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _s3_server(port: int) -> Server:
    endpoint_url = f"http://127.0.0.1:{port}"
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=botocore.config.Config(
            proxies={},
            s3={"addressing_style": "path"},
            signature_version="s3v4",
            request_checksum_calculation="when_required",
        ),
    )
    return Server(f"s3://{BUCKET}/", {"endpoint_url": endpoint_url}, client)


def _filled(server: Server, samples: Mapping[int, Sample]) -> Server:
    server.client.create_bucket(Bucket=BUCKET)
    for sample in samples.values():
        server.client.put_object(Bucket=BUCKET, Key=sample.name, Body=sample.content)
    return server


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that the S3 servers know, where fastget looks for one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


# Oracles


@pytest.fixture(scope="session")
def curl() -> Callable[..., bytes]:
    """The body that curl gets for a URL; further arguments are curl's own."""

    def fetch(url: str, *arguments: str) -> bytes:
        command = ["curl", "--silent", "--show-error", "--fail", "--location", *arguments, url]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    return fetch
