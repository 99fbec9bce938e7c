"""kill -9 of pulls of many objects, some of which meet a fault: every file that stands is right, and the rest comes."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from pathlib import Path

from fastget.testing import Algorithm, Behaviour, Chaos, Content, ObjectServer, StoredObject
from fastget.testing.operations.listing import Listing
from tests.endurance.command import CREDENTIALS, begin, command, digest_at, digest_of, end, kill
from tests.endurance.verdict import Verdict

# How many of which sizes at the most: most files of a tree are small, most of its bytes lie in large ones.
SIZES = ((400, 65536), (60, 2**20), (4, 12 * 2**20))
MOMENTS = 60
PROBABILITY = 0.02
RATE = 4 * 2**20
# Bytes sent for each kill, as a share of all: the objects under way are small ones, and pieces of large ones.
COST = 0.10


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Pulls until they were killed so many times."""
    del without
    chance, verdict = random.Random(seed), Verdict()
    objects = _objects(chance)
    wanted = {path.removeprefix("/b/tree/"): digest_of(stored.content) for path, stored in objects.items()}
    total = sum(stored.content.size for stored in objects.values())
    kills = rounds = faults = strays = sent = 0
    while kills < (1 if short else MOMENTS):
        rounds += 1
        with (
            tempfile.TemporaryDirectory(prefix="fastget-pulls-") as name,
            ObjectServer(
                objects,
                behaviour=Behaviour(rate_per_connection=RATE),
                faults=Chaos(PROBABILITY, seed=seed * 1000 + rounds),
                operations=[Listing(objects, page_size=100)],
            ) as server,
        ):
            folder = Path(name)
            words = command(
                *("pull", "s3://b/tree/", "-d", "out", "-q", "--endpoint-url", server.base_url),
                *("--stall-timeout", "3", "--response-timeout", "5"),
            )
            for _ in range(chance.randint(1, 4)):
                kills += _killed(begin(words, folder, CREDENTIALS), server, chance)
                wrong = [key for key in wanted if digest_at(folder / "out" / key) not in (None, wanted[key])]
                verdict.require(not wrong, f"round {rounds}: wrong bytes stood after a kill: {wrong[:3]}")
            status, said = end(begin(words, folder, CREDENTIALS))
            verdict.require(status == 0, f"round {rounds}: the last pull ends with {status}: {said[:200]}")
            found = {str(path.relative_to(folder / "out")): path for path in _files(folder / "out")}
            wrong = [key for key in wanted if digest_at(folder / "out" / key) != wanted[key]]
            verdict.require(not wrong, f"round {rounds}: wrong bytes: {wrong[:3]}")
            left = sorted(found.keys() - wanted.keys())
            verdict.require(not left, f"round {rounds}: left after success: {left[:3]}")
            strays += len(left)
            faults += len(server.faults_happened)
            sent += sum(request.bytes_sent for request in server.requests)
    again = (sent / total - rounds) / max(1, kills)
    verdict.require(short or again <= COST, f"{again:.1%} of the bytes are sent again for a kill")
    verdict.figures = {
        "kills": kills,
        "pulls": rounds,
        "objects": rounds * len(objects),
        "faults": faults,
        "wrong or failed": len(verdict.failures),
        "of the bytes sent again for a kill": f"{again:.1%}",
        "stray files": strays,
    }
    return verdict


def _objects(chance: random.Random) -> dict[str, StoredObject]:
    found: dict[str, StoredObject] = {}
    for count, largest in SIZES:
        for _ in range(count):
            number = len(found)
            content = Content.generated(int(largest ** chance.uniform(0.6, 1.0)) if number else 0, seed=number)
            found[f"/b/tree/{number % 7}/{number % 3}/{number}"] = StoredObject(content, checksum=Algorithm.CRC64NVME)
    return found


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def _killed(process: subprocess.Popen[bytes], server: ObjectServer, chance: random.Random) -> bool:
    """Kill it some time after its first request; whether it was still at work."""
    known = len(server.requests)
    while process.poll() is None and len(server.requests) == known:
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 2.5))
    was_running = process.poll() is None
    kill(process)
    process.communicate()
    return was_running
