"""A disk that fails: at each of the first calls that write, in several ways; one that is too small; a limit."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject
from tests.endurance.command import (
    APPENDING,
    FINISHING,
    WRITE_CLASS,
    begin,
    can_resume,
    command,
    digest_at,
    digest_of,
    end,
    injecting,
)
from tests.endurance.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE = 8 * 2**20 + 5
# So many pieces that one thread makes more calls than are made to fail: strace counts for each thread.
PIECE = "32K"
CALLS = 200
# strace waits more than it works.
AT_ONCE = 3
ERRORS = ("ENOSPC", "EIO", "EDQUOT")
OLD = b"what was there before"
DISK_STATUS = 8


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Each error at each call; then the same download with a whole disk."""
    del without
    verdict = Verdict()
    content = Content.generated(SIZE, seed=seed)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    wanted = digest_of(content)
    with ObjectServer({"/k": stored}) as server, ThreadPoolExecutor(AT_ONCE) as threads:

        def alone(what: Callable[[_Trial], str]) -> str:
            with tempfile.TemporaryDirectory(prefix="fastget-disk-") as folder:
                return what(_Trial(Path(folder), server, wanted, verdict))

        counts = Counter(threads.map(alone, _trials(short=short)))
        room = alone(_Trial.small_disk)
    verdict.figures = {
        "runs": counts.total(),
        "told with path and cause": counts["told"],
        "survived": counts["survived"],
        "past the last call": counts["not met"],
        "wrong, left or untold": len(verdict.failures),
        "disk of 4 MiB": room,
    }
    return verdict


def _trials(*, short: bool) -> Iterator[Callable[[_Trial], str]]:
    """Each error at each of the first calls, at the last ones, at those that append; then limits on the file's size."""
    for number in (1, 5, 30) if short else range(1, CALLS + 1):
        for error in ERRORS[: 1 if short else None]:
            yield partial(_Trial.inject, number=number, error=error)
    for number in range(1, 2 if short else 9):
        for error in ERRORS:
            yield partial(_Trial.inject, number=number, error=error, calls=FINISHING)
    for number in range(1, 3 if short else 41):
        yield partial(_Trial.inject, number=number, error="ENOSPC", calls=APPENDING)
    for limit in (2**20, SIZE - 1):
        yield partial(_Trial.limited, limit=limit)


class _Trial:
    """Downloads over an old file, on a disk that fails."""

    def __init__(self, folder: Path, server: ObjectServer, wanted: bytes, verdict: Verdict) -> None:
        self._folder = folder
        self._trace = folder / "trace"
        self._server = server
        self._wanted = wanted
        self._verdict = verdict

    def inject(self, number: int, error: str, calls: str = WRITE_CLASS) -> str:
        trace = self._trace
        before = injecting(calls, f"error={error}:when={number}", str(trace))
        found = self._fetch(f"{error} at call {number} of {calls[:12]}", before, None, error)
        injected = self._injected()
        if not injected:
            self._verdict.require(found == "survived", f"{error} at call {number}: failed without a fault")
            return "not met"
        is_flush = any("fsync" in line or "fdatasync" in line for line in injected)
        self._verdict.require(not (is_flush and found == "survived"), f"{error} at call {number}: a lost flush")
        return found

    def _injected(self) -> list[str]:
        lines = self._trace.read_text().splitlines() if self._trace.exists() else []
        return [line for line in lines if "(INJECTED)" in line]

    def limited(self, limit: int) -> str:
        def before() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return self._fetch(f"a limit of {limit} bytes", (), before, None)

    def small_disk(self) -> str:
        """A disk with room for half of the object, where one may be mounted."""
        small = self._folder / "small"
        small.mkdir()
        mount = ("mount", "-t", "tmpfs", "-o", "size=4M", "none", str(small))
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            return "not mounted: needs root"
        try:
            status, said = end(begin(command(self._server.url("/k"), "-o", "small/k"), self._folder))
            self._verdict.require(status == DISK_STATUS, f"a small disk: status {status}: {said}")
            self._verdict.require(not [path for path in small.iterdir() if path.name == "k"], "a small disk: a file")
        finally:
            subprocess.run(("umount", "-l", str(small)), check=True)
        return "told"

    def _fetch(self, what: str, before: tuple[str, ...], limit: Callable[[], None] | None, error: str | None) -> str:
        self._trace.unlink(missing_ok=True)
        out = self._folder / "out"
        out.mkdir(exist_ok=True)
        (out / "k").write_bytes(OLD)
        words = (self._server.url("/k"), "-o", "out/k", "-q", "--part-size", PIECE, "--connections", "1")
        status, said = end(begin(command(*words, before=before), self._folder, preexec_fn=limit))
        survived = status == 0
        kept = (out / "k").read_bytes() == OLD
        # Where the message itself could not be written, nobody was told why.
        is_silenced = any("write(2," in line for line in self._injected())
        self._verdict.require(status in (0, DISK_STATUS) or is_silenced, f"{what}: status {status}: {said[:200]}")
        self._verdict.require(survived or kept or self._is_whole(error, said), f"{what}: the old file is gone")
        self._verdict.require(not survived or digest_at(out / "k") == self._wanted, f"{what}: wrong bytes")
        if not survived:
            cause = os.strerror(getattr(errno, error)) if error else "limit on file sizes"
            told = re.search(r"out/k", said) is not None and cause in said
            self._verdict.require(told or is_silenced, f"{what}: not told: {said[:200]}")
            again, said = end(begin(command(*words), self._folder))
            right = again == 0 and digest_at(out / "k") == self._wanted
            self._verdict.require(right, f"{what}: the next run fails: {again} {said[:200]}")
        strays = [path.name for path in out.iterdir() if path.name != "k"]
        self._verdict.require(not strays or not can_resume(), f"{what}: {strays} are left after success")
        for path in out.iterdir():
            path.unlink()
        return "survived" if survived else "told"

    def _is_whole(self, error: str | None, said: str) -> bool:
        """The one failure after the file has its name: the flush of the directory. It stands whole, and is told of."""
        return error is not None and bool(said) and digest_at(self._folder / "out/k") == self._wanted
