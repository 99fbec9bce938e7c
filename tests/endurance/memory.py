"""The peak of resident memory above that of the import: whatever the size, the number of objects, or who is slow."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject
from tests.endurance.command import environment, serving
from tests.endurance.measured import DIFFERENT
from tests.endurance.verdict import Verdict

MIB, GIB = 2**20, 2**30
# The promise: 64 MB.
MOST = 64_000_000
_LIMIT = 900.0


@dataclass(frozen=True, slots=True)
class Case:
    """One process: what it does with an object of `size` bytes, or with so many objects."""

    name: str
    verb: str
    size: int
    checksum: Algorithm = Algorithm.CRC64NVME

    @property
    def path(self) -> str:
        return f"/b/{self.size}-{self.checksum}"


LONG = (
    Case("a file of 64 MiB", "file", 64 * MIB),
    Case("a file of 1 GiB, SHA-256", "file", GIB, Algorithm.SHA256),
    Case("8 GiB to /dev/null", "null", 8 * GIB),
    Case("64 GiB to /dev/null", "null", 64 * GIB),
    Case("a slow disk", "slow disk", GIB),
    Case("a slow reader of stream()", "slow reader", GIB),
    Case("100 connections", "connections", GIB),
    Case("a pull of 100,000 objects", "pull", 100_000),
    Case("a pull of 40 files of 24 MiB", "large pull", 24 * MIB),
)
SHORT = (
    Case("a file of 64 MiB", "file", 64 * MIB),
    Case("1 GiB to /dev/null", "null", GIB),
    Case("a slow disk", "slow disk", 64 * MIB),
    Case("a slow reader of stream()", "slow reader", 64 * MIB),
    Case("a pull of 2,000 objects", "pull", 2000),
)


def serve(paths: list[str]) -> None:
    """Serve the objects of these paths, and the small ones, until the input ends: the server's process."""
    objects = {f"/s/{at}": StoredObject(Content.generated(1024 + at, seed=at)) for at in range(DIFFERENT)}
    for path in paths:
        size, _, checksum = path.removeprefix("/b/").partition("-")
        objects[path] = StoredObject(Content.generated(int(size), seed=1), checksum=Algorithm(checksum))
    with ObjectServer(objects) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        sys.stdin.buffer.read()


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Each of the cases in a process of its own."""
    del seed, without
    verdict, cases = Verdict(), SHORT if short else LONG
    paths = sorted({case.path for case in cases if case.verb != "pull"})
    source = f"from tests.endurance.memory import serve; serve({paths!r})"
    with serving(source) as server:
        for case in cases:
            verdict.figures[f"MB for {case.name}"] = _measure(case, server.base_url, verdict)
    return verdict


def _measure(case: Case, base: str, verdict: Verdict) -> float:
    """Its peak above import, in MB."""
    with tempfile.TemporaryDirectory(prefix="fastget-memory-") as folder:
        done = subprocess.run(
            (sys.executable, "-m", "tests.endurance.measured", case.verb, base, case.path, str(case.size)),
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    if done.returncode:
        verdict.failures.append(f"{case.name}: {done.stderr[-300:]}")
        return 0.0
    growth = int(json.loads(done.stdout))
    verdict.require(growth <= MOST, f"{case.name}: {growth} bytes above import")
    return growth / 1e6
