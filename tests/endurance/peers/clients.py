"""Who is compared, with which settings: each a process that makes one file, in pieces of 1 MiB over 4 connections.

Silence is given up after 5 seconds wherever a client lets one say so, and checksums are compared wherever it can. Tries
are left at each client's own number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import package_version, path_of, program_version

BUCKET, KEY = "b", "k"


@dataclass(frozen=True, slots=True)
class Peer:
    """One client. `version` gives None where it is not installed; `command` makes a file of an endpoint's object."""

    name: str
    version: Callable[[], str | None]
    command: Callable[[str, Path], list[str]]


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
        *(path_of("rclone"), "copyto", "--config", "", f":s3:{BUCKET}/{KEY}", str(path), "-q", "--checksum"),
        *("--s3-provider", "Other", "--s3-endpoint", endpoint, "--s3-env-auth", "--s3-region", "us-east-1"),
        *("--multi-thread-streams", "4", "--multi-thread-cutoff", "1M", "--multi-thread-chunk-size", "1M"),
        *("--timeout", "5s", "--contimeout", "5s"),
    ]


def _aria2(endpoint: str, path: Path) -> list[str]:
    return [
        *(path_of("aria2c"), "--no-conf", "--quiet", "--dir", str(path.parent), "--out", path.name),
        *("-x4", "-s4", "-k1M", "--timeout=5", "--connect-timeout=5", "--retry-wait=1", "--lowest-speed-limit=1K"),
        f"{endpoint}/{BUCKET}/{KEY}",
    ]


FASTGET = Peer("fastget", package_version("fastget"), _fastget)
PEERS = (
    FASTGET,
    Peer("boto3", package_version("boto3"), _python("boto3")),
    Peer("awscrt", package_version("awscrt"), _python("awscrt")),
    Peer("obstore", package_version("obstore"), _python("obstore")),
    Peer("rclone", program_version("rclone", "version"), _rclone),
    Peer("aria2", program_version("aria2c", "--version"), _aria2),
)
