"""The same faults for fastget and for five clients that people trust; what lies under the file's name afterwards."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastget.testing import ObjectServer
from tests.endurance.command import CREDENTIALS, begin, digest_at, digest_of, kill
from tests.endurance.peers.cases import CASES, SHORT, SIZE, Case
from tests.endurance.peers.clients import BUCKET, FASTGET, KEY, PEERS, Peer
from tests.endurance.verdict import Verdict

# Seconds after which a client hangs: each gives up silence after 5 where it can be told to.
LIMIT = 60.0
TRIES, AT_ONCE = 3, 3
RIGHT, ERROR, PARTIAL, WRONG, HUNG = "right", "error", "partial", "WRONG", "HUNG"
FINE = (RIGHT, ERROR)


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Every case with every client that is installed. What peers do is noted; only fastget can fail."""
    del seed
    verdict = Verdict()
    versions = {peer.name: version for peer in PEERS if (version := peer.version()) is not None}
    peers = [peer for peer in PEERS if peer.name in versions and peer.name not in without]
    cases = [case for case in CASES if not short or case.name in SHORT]
    pairs = [(case, peer) for case in cases for peer in peers for _ in range(1 if short else TRIES)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = list(threads.map(lambda pair: _try(*pair), pairs))
    cells: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (case, peer), outcome in zip(pairs, outcomes, strict=True):
        cells[case.name, peer.name][outcome] += 1
        verdict.require(peer is not FASTGET or outcome in FINE, f"fastget, {case.name}: {outcome}")
    verdict.figures = {"cases": len(cases), "runs": len(pairs)}
    for peer in peers:
        verdict.figures[f"of {peer.name}"] = _bad(sum((cells[case.name, peer.name] for case in cases), Counter()))
    verdict.table = {
        "tries": 1 if short else TRIES,
        "clients": [f"{peer.name} {versions[peer.name]}" for peer in peers],
        "rows": [[case.name, *(_shown(cells[case.name, peer.name]) for peer in peers)] for case in cases],
    }
    return verdict


def _bad(found: Counter[str]) -> str:
    return f"{found[WRONG]} wrong, {found[PARTIAL]} left partial, {found[HUNG]} hung"


def _shown(found: Counter[str]) -> str:
    """One word where all tries ended alike, else each with its number."""
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{outcome} {number} of {found.total()}" for outcome, number in found.most_common())


def _try(case: Case, peer: Peer) -> str:
    with (
        tempfile.TemporaryDirectory(prefix="fastget-peers-") as name,
        ObjectServer(
            {f"/{BUCKET}/{KEY}": case.stored()}, behaviour=case.server_behaviour(), faults=case.faults()
        ) as server,
    ):
        folder = Path(name)
        # The file lies in a directory of its own: whatever else a client leaves is its own affair.
        (folder / "out").mkdir()
        path = folder / "out" / "k"
        process = begin(peer.command(server.base_url, path), folder, CREDENTIALS)
        if case.is_killed:
            _kill_half_way(process, server)
        status = _end(process)
        if status is None:
            return HUNG
        if case.faults() and not server.faults_happened:
            return "not met"
        return _judged(case, path, succeeded=status == 0)


def _kill_half_way(process: subprocess.Popen[bytes], server: ObjectServer) -> None:
    while process.poll() is None and sum(request.bytes_sent for request in server.requests) < SIZE // 2:
        time.sleep(0.01)
    kill(process)


def _end(process: subprocess.Popen[bytes]) -> int | None:
    """The exit status, or None after the limit."""
    try:
        process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        kill(process)
        process.communicate()
        return None
    return process.returncode


def _judged(case: Case, path: Path, *, succeeded: bool) -> str:
    found = digest_at(path)
    right = [digest_of(case.stored().content)]
    if case.replaces is not None:
        right.append(digest_of(case.other().content))
    if found in right:
        return RIGHT if succeeded else "error, though right"
    if succeeded:
        return WRONG
    return ERROR if found is None else PARTIAL
