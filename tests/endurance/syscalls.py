"""kill -9 at the n-th call that changes the disk, for each n; then the same download again."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

# strace makes every call many times slower: a small object, in many pieces. It is large enough for a journal.
SIZE, PIECE = 9 * 2**20 + 3, "32K"
CALLS, LAST = 400, 12
# strace waits more than it works.
AT_ONCE = 3
OLD = b"what was there before"


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Every call in turn, until there are no more; with an old file there, and with none."""
    del without
    verdict, content = Verdict(), Content.generated(SIZE, seed=seed)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    wanted, resumes = digest_of(content), can_resume()
    with ObjectServer({"/k": stored}) as server, ThreadPoolExecutor(AT_ONCE) as threads:
        url = server.url("/k")
        killed = list(threads.map(lambda moment: _try(moment, url, wanted, verdict), _moments(short=short)))
    verdict.figures = {
        "runs": len(killed),
        "killed": sum(killed),
        "past the last call": len(killed) - sum(killed),
        "wrong": len(verdict.failures),
    }
    if not resumes:
        verdict.figures["resume"] = "without"
    return verdict


def _try(moment: tuple[str, int], url: str, wanted: bytes, verdict: Verdict) -> bool:
    """One download that is killed at a call, and then the same again; whether there was such a call."""
    calls, number = moment
    connections = "4" if number % 2 and number < 80 else "1"
    words = (url, "-o", "k", "-q", "--part-size", PIECE, "--connections", connections)
    with tempfile.TemporaryDirectory(prefix="fastget-syscalls-") as name:
        folder = Path(name)
        old = OLD if number % 3 else None
        if old:
            (folder / "k").write_bytes(old)
        was_killed = _killed_at(number, calls, words, folder)
        found = (folder / "k").read_bytes() if (folder / "k").exists() else None
        verdict.require(found == old or digest_at(folder / "k") == wanted, f"call {number}: a wrong file")
        again, said = end(begin(command(*words), folder))
        verdict.require(again == 0, f"call {number}: the next run ends with {again}: {said[:200]}")
        verdict.require(digest_at(folder / "k") == wanted, f"call {number}: wrong bytes")
        left = [path.name for path in folder.iterdir() if path.name != "k"]
        verdict.require(not left or not can_resume(), f"call {number}: {left} are left after success")
    return was_killed


def _moments(*, short: bool) -> list[tuple[str, int]]:
    if short:
        return [(WRITE_CLASS, 40), (FINISHING, 1), (FINISHING, 2)]
    appending = [(APPENDING, at) for at in range(1, CALLS, 10)]
    return (
        [(WRITE_CLASS, at) for at in range(1, CALLS + 1)] + appending + [(FINISHING, at) for at in range(1, LAST + 1)]
    )


def _killed_at(number: int, calls: str, words: tuple[str, ...], folder: Path) -> bool:
    return end(begin(command(*words, before=injecting(calls, f"signal=KILL:when={number}")), folder))[0] != 0
