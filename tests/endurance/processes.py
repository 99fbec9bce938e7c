"""Several processes with one destination, one of them killed; with flock, and where it does nothing."""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path

from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject
from tests.endurance.command import begin, can_resume, command, digest_at, digest_of, end, kill
from tests.endurance.verdict import Verdict

SIZE, PIECE = 6 * 2**20 + 1, "256K"
ROUNDS = 50


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Rounds, with flock and without in turns."""
    del without
    chance, verdict = random.Random(seed), Verdict()
    content = Content.generated(SIZE, seed=seed)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    wanted, resumes = digest_of(content), can_resume()
    started = killed = succeeded = strays = 0
    rounds = 2 if short else ROUNDS
    with ObjectServer({"/k": stored}, behaviour=Behaviour(rate_per_connection=4 * 2**20)) as server:
        for number in range(rounds):
            with tempfile.TemporaryDirectory(prefix="fastget-processes-") as name:
                folder, count = Path(name), 2 if short else chance.randint(2, 8)
                words = command(
                    server.url("/k"), "-o", "k", "-q", "--part-size", PIECE, "--connections", "2", flock=number % 2 == 0
                )
                running = [begin(words, folder) for _ in range(count)]
                time.sleep(chance.uniform(0.1, 1.2))
                victim = running.pop(chance.randrange(count)) if chance.random() < 0.7 else None
                if victim is not None:
                    kill(victim)
                    victim.communicate()
                ends = [end(process) for process in running]
                started += count
                killed += victim is not None
                succeeded += sum(status == 0 for status, _ in ends)
                where = f"round {number}, {count} processes, {'with' if number % 2 == 0 else 'without'} flock"
                verdict.require(all(status is not None for status, _ in ends), f"{where}: one hung")
                verdict.require(not any("defect" in said for _, said in ends), f"{where}: {ends}")
                verdict.require(any(status == 0 for status, _ in ends), f"{where}: none succeeded: {ends}")
                verdict.require(digest_at(folder / "k") == wanted, f"{where}: wrong bytes")
                verdict.require(not _writers(folder / "k"), f"{where}: somebody still holds the file")
                left = [path.name for path in folder.iterdir() if path.name != "k"]
                strays += len(left)
                verdict.require(not left or not resumes or victim is not None, f"{where}: {left} are left")
    verdict.figures = {
        "rounds": rounds,
        "processes": started,
        "killed": killed,
        "succeeded": succeeded,
        "wrong": len(verdict.failures),
        "stray files": strays,
    }
    if not resumes:
        verdict.figures["resume"] = "without"
    return verdict


def _writers(path: Path) -> list[str]:
    """The descriptors of any process that lead to a file, where /proc tells."""
    found = []
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) == str(path):  # noqa: PTH115  a Path would resolve nothing either
                found.append(str(descriptor))
        except OSError:  # the process, or the descriptor, has gone
            continue
    return found
