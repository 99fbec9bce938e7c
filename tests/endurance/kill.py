"""kill -9 at random moments, one to five times for each download, and then to its end."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject
from tests.endurance.command import begin, can_resume, command, digest_at, digest_of, end, kill
from tests.endurance.verdict import Verdict

# 128 pieces over 8 connections, about a second and a half on the wire; every other time 4 pieces of 8 MiB, as it is.
SIZE, PIECE, CONNECTIONS = 32 * 2**20, "256K", "8"
RATE = 3 * 2**20
MOMENTS = 200
# What a kill may cost to fetch again, as a share of the object.
COST = 0.10


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Downloads until they were killed so many times."""
    del without
    chance, verdict = random.Random(seed), Verdict()
    content = Content.generated(SIZE, seed=seed)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    wanted, resumes = digest_of(content), can_resume()
    kills = rounds = sent = strays = 0
    worst = 0.0
    behaviour = Behaviour(rate_per_connection=RATE)
    while kills < (3 if short else MOMENTS):
        rounds += 1
        with (
            tempfile.TemporaryDirectory(prefix="fastget-kill-") as name,
            ObjectServer({"/k": stored}, behaviour=behaviour) as server,
        ):
            folder = Path(name)
            pieces = ("--part-size", PIECE) if rounds % 2 else ()
            words = command(server.url("/k"), "-o", "k", "-q", "--connections", CONNECTIONS, *pieces)
            mine = _killed(words, folder, chance, wanted, verdict)
            kills += mine
            status, said = end(begin(words, folder))
            verdict.require(status == 0, f"round {rounds}: the last run ends with {status}: {said[:200]}")
            verdict.require(digest_at(folder / "k") == wanted, f"round {rounds}: wrong bytes")
            left = [path.name for path in folder.iterdir() if path.name != "k"]
            strays += len(left)
            verdict.require(not left or not resumes, f"round {rounds}: {left} are left after success")
            bytes_sent = sum(request.bytes_sent for request in server.requests)
            sent += bytes_sent
            worst = max(worst, (bytes_sent / SIZE - 1) / max(1, mine))
            # What sits in the buffers of the kernel when a process is killed was sent, and is lost: 1 MiB a connection.
            # So is some of it where nobody was killed, when the first stream is cut for others to go on.
            bound = SIZE * (1 + COST * mine) + max(mine, 1) * int(CONNECTIONS) * 2**20
            verdict.require(
                not resumes or bytes_sent <= bound, f"round {rounds}: {bytes_sent / SIZE:.2f} times the bytes"
            )
    verdict.figures = {
        "kills": kills,
        "downloads": rounds,
        "wrong or failed": len(verdict.failures),
        "of the object sent again for a kill": f"{(sent / SIZE - rounds) / max(1, kills):.1%}",
        "in the worst download": f"{worst:.1%}",
        "stray files": strays,
    }
    if not resumes:
        verdict.figures["resume"] = "without"
    return verdict


def _killed(words: list[str], folder: Path, chance: random.Random, wanted: bytes, verdict: Verdict) -> int:
    """One to five runs that are killed; how many of them were still at work then."""
    kills = 0
    for _ in range(chance.randint(1, 5)):
        process = begin(words, folder)
        time.sleep(chance.uniform(0.05, 1.6))
        kills += process.poll() is None
        kill(process)
        process.communicate()
        found = digest_at(folder / "k")
        verdict.require(found in (None, wanted), "wrong bytes stood at the name after a kill")
        if found is not None:
            break
    return kills
