"""Who is compared, with which settings: each a process that makes one file, in pieces of 1 MiB over 4 connections.

Silence is given up after 5 seconds wherever a client lets one say so, and checksums are compared wherever it can. Tries
are left at each client's own number.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BUCKET, KEY = "b", "k"


@dataclass(frozen=True, slots=True)
class Peer:
    """One client. `version` gives None where it is not installed; `command` makes a file of an endpoint's object."""

    name: str
    version: Callable[[], str | None]
    command: Callable[[str, Path], list[str]]


def program(name: str) -> str:
    """A program beside this Python, or on the path."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    return beside or shutil.which(name) or name


def _package(name: str) -> Callable[[], str | None]:
    def version() -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    return version


def _program(name: str, question: str) -> Callable[[], str | None]:
    def version() -> str | None:
        try:
            said = subprocess.run([program(name), question], capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            return None
        found = re.search(r"\d+(?:\.\d+)+", said)
        return found[0] if found else None

    return version


def _python(name: str) -> Callable[[str, Path], list[str]]:
    module = f"tests.endurance.peers.{name}_client"
    return lambda endpoint, path: [sys.executable, "-m", module, endpoint, BUCKET, KEY, str(path)]


def _fastget(endpoint: str, path: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "fastget", f"s3://{BUCKET}/{KEY}", "-q", "-o", str(path)),
        *("--endpoint-url", endpoint, "--addressing-style", "path", "--part-size", "1M", "--connections", "4"),
        *("--connect-timeout", "5", "--response-timeout", "5", "--stall-timeout", "5"),
    ]


def _rclone(endpoint: str, path: Path) -> list[str]:
    return [
        *(program("rclone"), "copyto", "--config", "", f":s3:{BUCKET}/{KEY}", str(path), "-q", "--checksum"),
        *("--s3-provider", "Other", "--s3-endpoint", endpoint, "--s3-env-auth", "--s3-region", "us-east-1"),
        *("--multi-thread-streams", "4", "--multi-thread-cutoff", "1M", "--multi-thread-chunk-size", "1M"),
        *("--timeout", "5s", "--contimeout", "5s"),
    ]


def _aria2(endpoint: str, path: Path) -> list[str]:
    return [
        *(program("aria2c"), "--no-conf", "--quiet", "--dir", str(path.parent), "--out", path.name),
        *("-x4", "-s4", "-k1M", "--timeout=5", "--connect-timeout=5", "--retry-wait=1", "--lowest-speed-limit=1K"),
        f"{endpoint}/{BUCKET}/{KEY}",
    ]


FASTGET = Peer("fastget", _package("fastget"), _fastget)
PEERS = (
    FASTGET,
    Peer("boto3", _package("boto3"), _python("boto3")),
    Peer("awscrt", _package("awscrt"), _python("awscrt")),
    Peer("obstore", _package("obstore"), _python("obstore")),
    Peer("rclone", _program("rclone", "version"), _rclone),
    Peer("aria2", _program("aria2c", "--version"), _aria2),
)
