"""Ctrl-C and SIGTERM at random moments: how long the command takes to end, and what it leaves."""

from __future__ import annotations

import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults
from tests.endurance.command import begin, command, digest_at, digest_of, end
from tests.endurance.verdict import Verdict

# About a second and a half on the wire.
SIZE, PIECE, CONNECTIONS = 32 * 2**20, "256K", "8"
RATE = 3 * 2**20
MOMENTS = 200
# Seconds from the signal to the end of the process.
BOUND = 2.0
# What keeps a client waiting: nothing of it may keep it from ending.
TROUBLES = (
    faults.silence().always(),
    faults.stall(after=300_000).always(),
    faults.slow_down(retry_after=60).always(),
    faults.drip(after=300_000).always(),
)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Downloads that are told to end: of a healthy server, where a fifth one goes on to its end; and of a mute one."""
    del without
    chance, verdict = random.Random(seed), Verdict()
    content = Content.generated(SIZE, seed=seed)
    wanted = digest_of(content)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    seconds: list[float] = []
    strays = before = rounds = 0
    while len(seconds) < (4 if short else MOMENTS):
        rounds += 1
        trouble = None if rounds % 2 else TROUBLES[rounds // 2 % len(TROUBLES)]
        with (
            tempfile.TemporaryDirectory(prefix="fastget-signals-") as name,
            ObjectServer(
                {"/k": stored}, behaviour=Behaviour(rate_per_connection=RATE), faults=[trouble] if trouble else ()
            ) as server,
        ):
            folder = Path(name)
            words = command(server.url("/k"), "-o", "k", "-q", "--part-size", PIECE, "--connections", CONNECTIONS)
            for number in range(2 if short else 4):
                found = _told(begin(words, folder), SIGNALS[number % 2], folder / "k", server, chance, verdict)
                before += found is None
                seconds += [] if found is None else [found]
                verdict.require(digest_at(folder / "k") in (None, wanted), "wrong bytes stood at the name")
            if trouble is None:
                strays += _finish(words, folder, wanted, verdict)
    slowest = max(seconds)
    verdict.require(slowest <= BOUND, f"{slowest:.2f} s from the signal to the end")
    verdict.figures = {
        "signals": len(seconds),
        "past the end": before,
        "s to the end at the median": sorted(seconds)[len(seconds) // 2],
        "s at the most": slowest,
        "wrong, hung or failed": len(verdict.failures),
        "stray files": strays,
    }
    return verdict


def _finish(words: list[str], folder: Path, wanted: bytes, verdict: Verdict) -> int:
    """The same download to its end; how many files it leaves beside its own."""
    status, said = end(begin(words, folder))
    verdict.require(status == 0, f"the last run ends with {status}: {said[:200]}")
    verdict.require(digest_at(folder / "k") == wanted, "wrong bytes")
    left = [path.name for path in folder.iterdir() if path.name != "k"]
    verdict.require(not left, f"{left} are left after success")
    return len(left)


def _told(
    process: subprocess.Popen[bytes],
    number: signal.Signals,
    path: Path,
    server: ObjectServer,
    chance: random.Random,
    verdict: Verdict,
) -> float | None:
    """Seconds from the signal to the end; None where the download was done before it."""
    known = len(server.requests)
    while process.poll() is None and len(server.requests) == known:
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 1.2))
    began = time.monotonic()
    process.send_signal(number)
    status, said = end(process)
    took = time.monotonic() - began
    if status == 0 or (status == -number and path.exists()):
        return None  # the second: it had done its work, and no longer heeded signals
    verdict.require(status == 128 + number, f"{number.name}: it ends with {status}: {said[:200]}")
    return took
