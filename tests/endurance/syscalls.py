"""kill -9 at the n-th call that changes the disk, for each n; then the same download again."""

from __future__ import annotations

import tempfile
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
OLD = b"what was there before"


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Every call in turn, until there are no more; with an old file there, and with none."""
    del without
    verdict, content = Verdict(), Content.generated(SIZE, seed=seed)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    wanted, resumes = digest_of(content), can_resume()
    killed = runs = past = 0
    with ObjectServer({"/k": stored}) as server:
        for calls, number in _moments(short=short):
            connections = "4" if number % 2 and number < 80 else "1"
            words = (server.url("/k"), "-o", "k", "-q", "--part-size", PIECE, "--connections", connections)
            with tempfile.TemporaryDirectory(prefix="fastget-syscalls-") as name:
                folder, runs = Path(name), runs + 1
                old = OLD if number % 3 else None
                if old:
                    (folder / "k").write_bytes(old)
                was_killed = _killed_at(number, calls, words, folder)
                killed += was_killed
                past += not was_killed
                found = (folder / "k").read_bytes() if (folder / "k").exists() else None
                verdict.require(found == old or digest_at(folder / "k") == wanted, f"call {number}: a wrong file")
                again, said = end(begin(command(*words), folder))
                verdict.require(again == 0, f"call {number}: the next run ends with {again}: {said[:200]}")
                verdict.require(digest_at(folder / "k") == wanted, f"call {number}: wrong bytes")
                left = [path.name for path in folder.iterdir() if path.name != "k"]
                verdict.require(not left or not resumes, f"call {number}: {left} are left after success")
    verdict.figures = {"runs": runs, "killed": killed, "past the last call": past, "wrong": len(verdict.failures)}
    if not resumes:
        verdict.figures["resume"] = "without"
    return verdict


def _moments(*, short: bool) -> list[tuple[str, int]]:
    if short:
        return [(WRITE_CLASS, 40), (FINISHING, 1), (FINISHING, 2)]
    appending = [(APPENDING, at) for at in range(1, CALLS, 10)]
    return (
        [(WRITE_CLASS, at) for at in range(1, CALLS + 1)] + appending + [(FINISHING, at) for at in range(1, LAST + 1)]
    )


def _killed_at(number: int, calls: str, words: tuple[str, ...], folder: Path) -> bool:
    return end(begin(command(*words, before=injecting(calls, f"signal=KILL:when={number}")), folder))[0] != 0
