"""The server of a benchmark: nginx, with one configuration file of its own.

`nginx_configuration` writes that file, `Nginx` runs it.
"""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.certificates import Certificates
    from benchmarks.objects import StoredObject

_MODULE_DIRECTORIES = (
    Path("/usr/lib/nginx/modules"),
    Path("/usr/lib64/nginx/modules"),
    Path("/usr/share/nginx/modules"),
)
_LUA_MODULES = ("ndk_http_module.so", "ngx_http_lua_module.so")


class NginxError(Exception):
    """nginx, or a module that a scenario needs, is not there or does not start."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a server answers: over TLS or not, after how long, and how fast.

    `first_byte`: shortest and longest wait before an answer, in seconds, drawn evenly for each request.
    `rate`: bytes per second on each connection. `is_s3`: it declares checksums as Amazon S3 does, else as Google Cloud
    Storage.
    """

    tls: bool = False
    first_byte: tuple[float, float] | None = None
    rate: int | None = None
    is_s3: bool = False


def find_nginx() -> str | None:
    """The nginx program, also where it is not on an ordinary user's path."""
    return shutil.which("nginx") or shutil.which(
        "nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin"
    )


def nginx_configuration(
    directory: Path,
    port: int,
    behaviour: Behaviour,
    stored: StoredObject,
    certificates: Certificates | None = None,
) -> str:
    """The configuration of a server on 127.0.0.1 that offers the files below `directory`/files.

    Answers to requests for a whole object declare its CRC as Google Cloud Storage does (crc32c, always) or
    as Amazon S3 does (crc64nvme, when asked for with x-amz-checksum-mode); answers to ranges declare none.

    Raises NginxError when the behaviour needs a module that is not installed, ValueError for TLS without
    certificates.
    """
    lines = [
        *_main_lines(directory, behaviour),
        "events { worker_connections 1024; }",
        "http {",
        *_indent(_http_lines(directory, behaviour, stored)),
        "    server {",
        *_indent(_server_lines(directory, port, behaviour, certificates), 2),
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _main_lines(directory: Path, behaviour: Behaviour) -> list[str]:
    lines = [
        "daemon off;",
        "worker_processes auto;",
        f'pid "{directory}/nginx.pid";',
        f'error_log "{directory}/error.log";',
    ]
    if os.geteuid() == 0:
        # Started as root its workers would become another user, who cannot read a private directory.
        lines.append(f"user {pwd.getpwuid(0).pw_name};")
    if behaviour.first_byte:
        lines += [f'load_module "{_module(name)}";' for name in _LUA_MODULES]
    return lines


def _http_lines(directory: Path, behaviour: Behaviour, stored: StoredObject) -> list[str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = [
        *(f'{kind}_temp_path "{directory}/{kind}";' for kind in kinds),
        "access_log off;",
        "default_type application/octet-stream;",
        "sendfile on;",
        "tcp_nopush on;",
        "keepalive_requests 1000000;",
        *(_s3_declaration(stored) if behaviour.is_s3 else _google_declaration(stored)),
    ]
    if behaviour.first_byte:
        lines.append("init_worker_by_lua_block { math.randomseed(ngx.now() * 1000 + ngx.worker.pid()) }")
    return lines


def _google_declaration(stored: StoredObject) -> list[str]:
    crc32c = base64.b64encode(stored.crc32c).decode()
    return [
        f'map $http_range $google_hash {{ "" "crc32c={crc32c}"; default ""; }}',
        "add_header x-goog-hash $google_hash;",
    ]


def _s3_declaration(stored: StoredObject) -> list[str]:
    crc64nvme = base64.b64encode(stored.crc64nvme).decode()
    return [
        f'map "$http_range/$http_x_amz_checksum_mode" $crc64nvme {{ "/ENABLED" "{crc64nvme}"; default ""; }}',
        'map $crc64nvme $crc_type { "" ""; default "FULL_OBJECT"; }',
        "add_header x-amz-checksum-crc64nvme $crc64nvme;",
        "add_header x-amz-checksum-type $crc_type;",
        "add_header x-amz-request-id $request_id;",
    ]


def _server_lines(directory: Path, port: int, behaviour: Behaviour, certificates: Certificates | None) -> list[str]:
    lines = [
        f"listen 127.0.0.1:{port}{' ssl' if behaviour.tls else ''} backlog=1024;",
        f'root "{directory}/files";',
    ]
    if behaviour.tls:
        if certificates is None:
            raise ValueError("a server with TLS needs certificates")
        lines += [
            f'ssl_certificate "{certificates.chain}";',
            f'ssl_certificate_key "{certificates.key}";',
            "ssl_protocols TLSv1.2 TLSv1.3;",
            "ssl_buffer_size 16k;",
        ]
    if behaviour.first_byte:
        shortest, longest = behaviour.first_byte
        wait = f"{shortest:.3f} + math.random() * {longest - shortest:.3f}"
        lines.append(f"access_by_lua_block {{ ngx.sleep({wait}) }}")
    if behaviour.rate:
        # nginx pauses after each piece but the last: small pieces hold short answers to the rate too.
        lines += [f"limit_rate {behaviour.rate};", "sendfile_max_chunk 512k;"]
    return lines


def _indent(lines: list[str], levels: int = 1) -> list[str]:
    return ["    " * levels + line for line in lines]


def _module(name: str) -> Path:
    for directory in _MODULE_DIRECTORIES:
        if (directory / name).exists():
            return directory / name
    raise NginxError(f"the nginx module {name} is not installed (Debian: libnginx-mod-http-lua)")


class Nginx:
    """A running nginx, for the length of a `with` block."""

    def __init__(self, program: str, directory: Path, port: int) -> None:
        """`directory` holds nginx.conf, written by the caller, for this port."""
        self._directory = directory
        self._port = port
        self._command = [
            program,
            "-p",
            str(directory),
            "-e",
            str(directory / "error.log"),
            "-c",
            str(directory / "nginx.conf"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """Let nginx read the configuration. Raises NginxError with nginx's own words when it is not valid."""
        result = subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False)
        if result.returncode:
            raise NginxError(f"nginx does not accept its configuration: {result.stderr.strip()}")

    def __enter__(self) -> Self:
        self.check()
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait_until_it_answers(self, timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        log = self._directory / "error.log"
        raise NginxError(f"nginx did not start: {log.read_text().strip() if log.exists() else 'no message'}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
