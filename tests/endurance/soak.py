"""Small objects by the hundred thousand, some of which meet a fault: nothing may grow."""

from __future__ import annotations

import gc
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression
from typing import Any

import psutil

import fastget
from fastget.errors import FastgetError
from fastget.testing import Algorithm, Chaos, Content, ObjectServer, StoredObject
from tests.endurance.command import digest_at, digest_of, serving
from tests.endurance.verdict import Verdict

OBJECTS = 100_000
# So many different ones, asked for again and again.
DIFFERENT = 500
PROBABILITY = 0.01
AT_ONCE = 4
# Looks at the process: so many that steps of the allocator, up and down, are no slope.
LOOKS = 100
# Bytes of growth allowed for 10,000 objects, once everything has been used.
SLOPE = 2**20
OPTIONS: dict[str, Any] = {"fsync": False, "retries": 8, "stall_timeout": 5.0, "response_timeout": 10.0}


def stored_objects(seed: int) -> dict[str, StoredObject]:
    """Objects of 1 to 64 KiB; the same ones in the server's process and in the client's."""
    chance = random.Random(seed)
    return {
        f"/b/{number}": StoredObject(
            Content.generated(chance.randint(1024, 65536), seed=number), checksum=Algorithm.CRC64NVME
        )
        for number in range(DIFFERENT)
    }


def serve(seed: int) -> None:
    """Serve them until the input ends: the server's process."""
    with ObjectServer(stored_objects(seed), faults=Chaos(PROBABILITY, seed=seed)) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        while sys.stdin.buffer.read(65536):
            pass
        sys.stdout.write(f"{len(server.faults_happened)}\n")


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """All of them, with looks at the process on the way."""
    del without
    verdict, digests = Verdict(), {path: digest_of(one.content) for path, one in stored_objects(seed).items()}
    total = 2000 if short else OBJECTS
    source = f"from tests.endurance.soak import serve; serve({seed})"
    with serving(source) as server:
        samples = _fetch(server.base_url, digests, total, verdict)
        happened = int(server.stop())
    # The first half fills pools, caches and the allocator's arenas.
    settled = samples[len(samples) // 2 :]
    growth = linear_regression(range(len(settled)), [one[0] for one in settled]).slope * len(samples) / total * 10_000
    verdict.require(short or growth < SLOPE, f"memory grows by {growth / 2**20:.2f} MiB for 10,000 objects")
    verdict.require(max(one[1] for one in settled) <= settled[0][1] + AT_ONCE, "descriptors grow")
    verdict.require(all(later[2] <= first[2] for first, later in pairwise(settled)), "threads grow")
    verdict.figures = {
        "objects": total,
        "faults": happened,
        "wrong or failed": len(verdict.failures),
        "MiB of growth for 10,000 objects": growth / 2**20,
        "descriptors": settled[-1][1],
        "threads": settled[-1][2],
    }
    return verdict


def _fetch(base: str, digests: dict[str, bytes], total: int, verdict: Verdict) -> list[tuple[int, int, int]]:
    """Samples of memory, descriptors and threads."""
    process, paths = psutil.Process(), list(digests)
    with (
        tempfile.TemporaryDirectory(prefix="fastget-soak-") as folder,
        fastget.Client(**OPTIONS) as client,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):

        def fetch(path: str, target: Path) -> None:
            try:
                client.download(base + path, target)
            except FastgetError as error:
                verdict.failures.append(f"{path}: {type(error).__name__}: {error}")
                return
            verdict.require(digest_at(target) == digests[path], f"wrong bytes: {path}")
            target.unlink()

        def fetch_share(worker: int, first: int, last: int) -> None:
            """In a loop of its own: a future for each object would be the growth that is looked for."""
            for number in range(first + worker, last, AT_ONCE):
                fetch(paths[number % len(paths)], Path(folder) / str(worker))

        samples = []
        for look in range(LOOKS):
            first, last = look * total // LOOKS, (look + 1) * total // LOOKS
            for share in [threads.submit(fetch_share, worker, first, last) for worker in range(AT_ONCE)]:
                share.result()
            gc.collect()
            samples.append((process.memory_info().rss, process.num_fds(), process.num_threads()))
    return samples
