"""Faults at random, thousands of them, over many objects of all sizes at once."""

from __future__ import annotations

import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastget
from fastget.errors import FastgetError
from fastget.testing import Algorithm, Chaos, Content, ObjectServer, StoredObject
from fastget.testing.chaos import LYING, TRANSIENT, Draw
from tests.endurance.command import digest_at, digest_of
from tests.endurance.verdict import Verdict

PROBABILITY = 0.15
AT_ONCE = 6
# A lie about a whole object is the truth about another one: only ranges can be seen to be wrong.
RANGED: tuple[Draw, ...] = tuple(
    lambda chance, answer, draw=draw: draw(chance, answer).on(ranged=True)  # type: ignore[misc]
    for draw in LYING
)
OPTIONS: dict[str, Any] = {
    "part_size": 128 * 1024,
    "connections": 4,
    "retries": 12,
    "fsync": False,
    "stall_timeout": 5.0,
    "response_timeout": 10.0,
}


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """All objects again and again, until so many faults have happened."""
    del without
    count, wanted, largest = (20, 60, 2**21) if short else (200, 10_000, 2**26)
    chance = random.Random(seed)
    objects = {f"/b/{number}": _stored(chance, number, largest) for number in range(count)}
    digests = {path: digest_of(stored.content) for path, stored in objects.items()}
    verdict = Verdict()
    quiet = _pass(objects, digests, None, verdict)
    chaos = Chaos(PROBABILITY, seed=seed, limit=wanted, draws=(*TRANSIENT, *RANGED))
    times: list[float] = []
    sent = passes = 0
    while len(chaos.happened) < wanted and verdict.passed:
        found = _pass(objects, digests, chaos, verdict)
        times += found[0]
        sent += found[1]
        passes += 1
    # A client that drops an answer has the server's last bytes in the buffers of the kernel, without faults as well.
    usual = quiet[1] * max(1, passes)
    slower = _p99(times) / max(_p99(quiet[0]), 1e-9)
    verdict.require(len(chaos.happened) >= wanted, f"only {len(chaos.happened)} faults have happened")
    verdict.require(short or sent <= 1.25 * usual, f"the server sent {sent / usual:.3f} times what it sends otherwise")
    verdict.require(short or slower <= 5, f"p99 of an object takes {slower:.1f} times as long")
    verdict.figures = {
        "faults": len(chaos.happened),
        "downloads": len(times),
        "wrong or failed": len(verdict.failures),
        "times the bytes without faults": sent / usual,
        "times the p99 without faults": slower,
    }
    return verdict


def _stored(chance: random.Random, number: int, largest: int) -> StoredObject:
    """Sizes from nothing to the largest, most of them small; the checksums take turns."""
    size = 0 if number == 0 else int(largest ** chance.uniform(0.2, 1.0))
    content = Content.generated(size, seed=number)
    if number % 3 == 0 and size > 1000:
        cut = chance.randrange(1, size)
        return StoredObject(content, part_sizes=(cut, size - cut), checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    return StoredObject(content, checksum=Algorithm.CRC64NVME if number % 3 == 1 else Algorithm.CRC32)


def _pass(
    objects: dict[str, StoredObject], digests: dict[str, bytes], chaos: Chaos | None, verdict: Verdict
) -> tuple[list[float], int]:
    """Every object once: the seconds of each, and the bytes that the server has sent."""
    with (
        tempfile.TemporaryDirectory(prefix="fastget-chaos-") as folder,
        ObjectServer(objects, faults=chaos or ()) as server,
        fastget.Client(**OPTIONS) as client,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):

        def fetch(path: str) -> float:
            target = Path(folder) / path.rpartition("/")[2]
            began = time.monotonic()
            try:
                client.download(server.url(path), target)
            except FastgetError as error:
                verdict.failures.append(f"{path}: {type(error).__name__}: {error}")
            seconds = time.monotonic() - began
            verdict.require(digest_at(target) in (None, digests[path]), f"wrong bytes: {path}")
            target.unlink(missing_ok=True)
            return seconds

        times = list(threads.map(fetch, objects))
        verdict.require(not list(Path(folder).iterdir()), "files are left")
        return times, sum(request.bytes_sent for request in server.requests)


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]
