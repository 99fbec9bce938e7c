"""kill -9 of pulls of many objects, some of which meet a fault: every file that stands is right, and the rest comes."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from fastget.testing import Algorithm, Behaviour, Chaos, Content, ObjectServer, StoredObject
from fastget.testing.operations.listing import Listing
from tests.endurance.command import CREDENTIALS, begin, command, digest_at, digest_of, end, kill
from tests.endurance.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

TREE = "/b/tree/"
# How many of which sizes at the most: most files of a tree are small, most of its bytes lie in large ones.
SIZES = ((400, 65536), (60, 2**20), (4, 12 * 2**20))
# One that has a journal whatever the seed is.
LARGE = 64 * 2**20
MOMENTS = 60
PROBABILITY = 0.02
RATE = 4 * 2**20
# Up to here nothing is kept of an object that was under way when its pull was killed.
KEPT_FROM = 8 * 2**20
# What a kill may cost of a larger one, as a share of it, and in buffers of the kernel.
COST, BUFFERS = 0.10, 8 * 2**20
# As large as an object may be that is asked for while the one before it is on its way, and let go where that one fails.
AHEAD = 256 * 2**10


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Pulls until they were killed so many times."""
    del without
    chance, verdict = random.Random(seed), Verdict()
    objects = _objects(chance)
    wanted = {path.removeprefix(TREE): digest_of(stored.content) for path, stored in objects.items()}
    total = sum(stored.content.size for stored in objects.values())
    kills = rounds = faults = strays = again = under_way = 0
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
            costs = _Costs(objects, server)
            for _ in range(chance.randint(1, 4)):
                kills += _killed(begin(words, folder, CREDENTIALS), server, chance)
                wrong = [key for key in wanted if digest_at(folder / "out" / key) not in (None, wanted[key])]
                verdict.require(not wrong, f"round {rounds}: wrong bytes stood after a kill: {wrong[:3]}")
                costs.note_kill(folder / "out")
            status, said = end(begin(words, folder, CREDENTIALS))
            verdict.require(status == 0, f"round {rounds}: the last pull ends with {status}: {said[:200]}")
            found = {str(path.relative_to(folder / "out")): path for path in _files(folder / "out")}
            wrong = [key for key in wanted if digest_at(folder / "out" / key) != wanted[key]]
            verdict.require(not wrong, f"round {rounds}: wrong bytes: {wrong[:3]}")
            left = sorted(found.keys() - wanted.keys())
            verdict.require(not left, f"round {rounds}: left after success: {left[:3]}")
            strays += len(left)
            faults += len(server.faults_happened)
            costs.judge(verdict, f"round {rounds}")
            again += costs.again
            under_way += costs.under_way
    verdict.figures = {
        "kills": kills,
        "pulls": rounds,
        "objects": rounds * len(objects),
        "faults": faults,
        "wrong or failed": len(verdict.failures),
        "of the bytes sent again for a kill": f"{again / total / max(1, kills):.1%}",
        "under way then": f"{under_way / total / max(1, kills):.1%}",
        "stray files": strays,
    }
    return verdict


class _Costs:
    """What the kills of one pull may cost to send again, of what was under way, and what they did cost."""

    def __init__(self, objects: Mapping[str, StoredObject], server: ObjectServer) -> None:
        self.under_way = 0
        self.again = 0
        self._sizes = {path: stored.content.size for path, stored in objects.items()}
        self._server = server
        # Each large object by itself, and all others as one.
        self._names = {path: path if size > KEPT_FROM else "the small ones" for path, size in self._sizes.items()}
        # A stream that is cut for others to go on leaves something in buffers, too.
        self._most = Counter(dict.fromkeys(self._names.values(), BUFFERS))
        self._stood: list[tuple[int, set[str]]] = []

    def note_kill(self, out: Path) -> None:
        """What stands now must not be sent again; what else has been asked for since the last kill may be."""
        requests, since = self._server.requests, self._stood[-1][0] if self._stood else 0
        standing = {path for path in self._sizes if (out / path.removeprefix(TREE)).exists()}
        for path in {request.path for request in requests[since:] if request.path in self._sizes} - standing:
            size = self._sizes[path]
            self.under_way += size
            self._most[self._names[path]] += size if size <= KEPT_FROM else int(size * COST) + BUFFERS
        self._stood.append((len(requests), standing))

    def judge(self, verdict: Verdict, what: str) -> None:
        """After the last pull has ended."""
        requests, sent = self._server.requests, Counter[str]()
        for request in requests:
            if (name := self._names.get(request.path)) is not None:
                sent[name] += request.bytes_sent
                # All of it may be asked for again, and the small one that was asked for ahead.
                self._most[name] += self._sizes[request.path] + AHEAD if request.faults else 0
        for path, size in self._sizes.items():
            sent[self._names[path]] -= size
        self.again = sent.total()
        for name, most in self._most.items():
            verdict.require(
                sent[name] <= most, f"{what}: {sent[name]:,} bytes of {name} again, at most {most:,} were lost"
            )
        for since, standing in self._stood:
            twice = [request.path for request in requests[since:] if request.path in standing and request.bytes_sent]
            verdict.require(not twice, f"{what}: sent again though they stood: {twice[:3]}")


def _objects(chance: random.Random) -> dict[str, StoredObject]:
    found: dict[str, StoredObject] = {}
    for count, largest in SIZES:
        for _ in range(count):
            number = len(found)
            content = Content.generated(int(largest ** chance.uniform(0.6, 1.0)) if number else 0, seed=number)
            found[f"{TREE}{number % 7}/{number % 3}/{number}"] = StoredObject(content, checksum=Algorithm.CRC64NVME)
    found[f"{TREE}large"] = StoredObject(Content.generated(LARGE, seed=len(found)), checksum=Algorithm.CRC64NVME)
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
