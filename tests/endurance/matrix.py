"""One fault in a download: every kind, with every kind of checksum, over few and many connections, anywhere."""

from __future__ import annotations

import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastget
from fastget.engine.cancellation import Cancellation
from fastget.errors import FastgetError
from fastget.events import Method, Result
from fastget.testing import Algorithm, Behaviour, Content, Fault, ObjectServer, StoredObject, faults
from tests.endurance.command import digest_at, digest_of
from tests.endurance.verdict import Verdict

SIZE, PIECE = 2 * 2**20 + 77, 256 * 1024
PARTS = (700_001, 5, 900_000, SIZE - 700_001 - 5 - 900_000)
STALL = 0.5
# A run that has not ended so many seconds after its stall timeout hangs.
PATIENCE = 10.0
ETAG = '"opaque"'
CHECKSUMS: dict[str, dict[str, Any]] = {
    "none": {},
    "full-object": {"checksum": Algorithm.CRC64NVME},
    "composite": {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"},
}
CONNECTIONS = (1, 4, 16)
SEEDS = 20
# Most of the time is spent in waiting for one more try.
AT_ONCE = 6
Make = Callable[[int], Fault]


def _other(*, same_etag: bool) -> StoredObject:
    return StoredObject(
        Content.generated(SIZE, seed=99), etag=ETAG if same_etag else '"new"', **CHECKSUMS["full-object"]
    )


# Made for a place in the answer, a byte offset. The second half: what the right outcome is, but for being wrong.
RECOVERED: dict[str, Make] = {
    "range-ignored": lambda _: faults.range_ignored(),
    "partial-as-200": lambda _: faults.partial_as_200(),
    "shifted, honest": lambda at: faults.range_shifted(1 + at % 1000),
    "short, honest": lambda at: faults.short(1 + at % 1000),
    "short, lying": lambda at: faults.short_of_content_range(1 + at % 1000),
    "too long": lambda at: faults.body_longer(1 + at % 1000),
    "no Content-Range": lambda _: faults.no_content_range(),
    "other total": lambda at: faults.other_total(1 + at % 1000),
    "gzip": lambda _: faults.gzip_encoded(),
    "byteranges": lambda _: faults.multipart_byteranges(),
    "chunked, cut": lambda at: faults.chunked_without_end(after=at),
    "ended by close, cut": lambda at: faults.body_until_close(cut=1 + at % 1000),
    "fin": lambda at: faults.close_mid_body(after=at),
    "rst": lambda at: faults.reset(after=at),
    "stall": lambda at: faults.stall(after=at),
    "drip": lambda at: faults.drip(after=at),
    "503": lambda _: faults.slow_down(),
    "error document": lambda _: faults.error_document_as_body(),
}
DAMAGED: dict[str, Make] = {
    "shifted, lying": lambda at: faults.body_shifted(1 + at % 1000),
    "bit flipped": lambda at: faults.flip_bit_of_body(at, bit=at % 8),
}
ENDED: dict[str, Make] = {
    "replaced, 412": lambda _: faults.precondition_failed(),
    "redirects in a circle": lambda _: faults.redirect("{target}").always(),
}
# Another object of the same kind, from then on, under this ETag.
REPLACED = {"replaced, same ETag": ETAG, "replaced": '"new"'}
FAULTS = (*RECOVERED, *DAMAGED, *ENDED, *REPLACED)


@dataclass(frozen=True, slots=True)
class Case:
    """One download. `name` is that of the fault."""

    name: str
    checksum: str
    connections: int
    seed: int

    def __str__(self) -> str:
        return f"{self.name}, {self.checksum}, {self.connections} connections, seed {self.seed}"

    def faults(self) -> list[Fault]:
        chance = random.Random(str(self))
        fault = self._fault(chance.randrange(PIECE // 2))
        if self.connections > 1:
            return [fault.on(request=chance.randint(1, 6), ranged=True)]
        # A single connection reads on in its first answer: that one has to end for there to be a second request.
        return [faults.reset(after=chance.randrange(SIZE // 2)).on(request=1), fault.on(request=1, ranged=True)]

    def _fault(self, place: int) -> Fault:
        if self.name in REPLACED:
            other = Content.generated(SIZE, seed=99)
            return faults.replaced(StoredObject(other, etag=REPLACED[self.name], **CHECKSUMS[self.checksum]))
        return (RECOVERED | DAMAGED | ENDED)[self.name](place)


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """All cases; in the short form, one of sixty."""
    names = [name for name in FAULTS if name not in without]
    cases = [
        Case(name, checksum, connections, seed * 1000 + number)
        for name in names
        for checksum in CHECKSUMS
        for connections in CONNECTIONS
        for number in range(SEEDS)
    ]
    if short:
        cases = [case for index, case in enumerate(cases) if index % 60 == 7]
    verdict, outcomes, met = Verdict(), Counter[str](), Counter[str]()
    content = Content.generated(SIZE, seed=seed)
    stored = {name: StoredObject(content, etag=ETAG, **kind) for name, kind in CHECKSUMS.items()}
    wanted = digest_of(content)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        tried = list(threads.map(lambda case: _try(case, stored[case.checksum], wanted), cases))
    for case, (outcome, has_happened) in zip(cases, tried, strict=True):
        outcomes[outcome] += 1
        if case.name in RECOVERED and has_happened:
            met[outcome] += 1
        verdict.require(_may_be(case, outcome), f"{outcome}: {case}")
    recovered = met["ok"] / max(1, met.total())
    verdict.require(recovered >= 0.99, f"only {recovered:.2%} of the faults that pass were recovered from")
    verdict.figures = {
        "runs": len(cases),
        "faults": len(names),
        "wrong": outcomes["wrong"],
        "hung": outcomes["hung"],
        "left at the final name after an error": outcomes["left"],
        "untyped errors": outcomes["crash"],
        "recovered": f"{recovered:.1%}",
        "ended in a typed error": outcomes["error"],
        "unseen without a checksum, and said so": outcomes["unseen"],
    }
    if without:
        verdict.figures["left out"] = " and ".join(without)
    return verdict


def _may_be(case: Case, outcome: str) -> bool:
    if outcome == "unseen":
        return case.name in (*DAMAGED, "replaced, same ETag") and case.checksum == "none"
    return outcome in ("ok", "error")


def _try(case: Case, stored: StoredObject, wanted: bytes) -> tuple[str, bool]:
    """How it ended, and whether the fault has happened."""
    behaviour = Behaviour(rate_per_connection=16 * 2**20)
    with (
        tempfile.TemporaryDirectory(prefix="fastget-matrix-") as folder,
        ObjectServer({"/b/k": stored}, behaviour=behaviour, faults=case.faults()) as server,
    ):
        path = Path(folder) / "k"
        outcome = _outcome(case, server.url("/b/k"), path, wanted)
        return outcome, len(server.faults_happened) > (case.connections == 1)


def _outcome(case: Case, url: str, path: Path, wanted: bytes) -> str:
    ended: list[Result | BaseException] = []
    cancellation = Cancellation()
    options: dict[str, Any] = {"connections": case.connections, "part_size": PIECE, "fsync": False}
    timeouts: dict[str, Any] = {"stall_timeout": STALL, "response_timeout": STALL, "connect_timeout": 5.0}

    def work() -> None:
        try:
            with fastget.Client(**options, **timeouts) as client:
                ended.append(client.transfer_to_file(url, path, cancellation))
        except BaseException as error:  # noqa: BLE001  any other than a FastgetError is a failure
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(STALL + PATIENCE)
    if thread.is_alive():
        cancellation.cancel()
        thread.join()
        return "hung"
    return _judged(ended[0], digest_at(path), wanted)


def _judged(ended: Result | BaseException, digest: bytes | None, wanted: bytes) -> str:
    if isinstance(ended, Result):
        if digest == wanted:
            return "ok"
        return "unseen" if not ended.verification.verified and ended.verification.method is Method.SIZE else "wrong"
    if digest is not None:
        return "left"
    return "error" if isinstance(ended, FastgetError) else "crash"
