"""What happens to each client: the fault, the object that it befalls, and the bytes that are right in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fastget.testing import Algorithm, Behaviour, Content, Fault, StoredObject, faults

SIZE, PART = 8 * 2**20 + 77, 2**20
PARTS = (PART,) * 8 + (77,)
# Inside of the answer, whatever range a client has asked for.
PLACE = 300_000
# All of it takes about a second over 4 connections, so that each has its share.
RATE = 2 * 2**20
SINGLE = "one piece, its MD5 as ETag"
FULL = "multipart, CRC64NVME"
COMPOSITE = "multipart, CRC32C of each part"
_KINDS: dict[str, dict[str, Any]] = {
    SINGLE: {},
    FULL: {"part_sizes": PARTS, "checksum": Algorithm.CRC64NVME},
    COMPOSITE: {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"},
}
# The second request for a range: one that other pieces are on their way with, whichever client it comes from.
_SECOND: dict[str, Any] = {"ranged": True, "request": 2}


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `replaces`: the object that is there from the fault on is right as well."""

    name: str
    make: Callable[[], Fault] | None = None
    kind: str = FULL
    behaviour: dict[str, Any] = field(default_factory=dict)
    replaces: str | None = None
    is_killed: bool = False

    def stored(self) -> StoredObject:
        return _stored(self.kind, seed=1, etag="")

    def faults(self) -> list[Fault]:
        if self.replaces is not None:
            return [faults.replaced(self.other()).on(**_SECOND)]
        return [] if self.make is None else [self.make()]

    def other(self) -> StoredObject:
        return _stored(self.kind, seed=2, etag=self.stored().etag if self.replaces == "same" else "")

    def server_behaviour(self) -> Behaviour:
        return Behaviour(rate_per_connection=RATE, **self.behaviour)


@cache
def _stored(kind: str, seed: int, etag: str) -> StoredObject:
    return StoredObject(Content.generated(SIZE, seed=seed), etag=etag, **_KINDS[kind])


def _once(make: Callable[..., Fault], *given: Any) -> Callable[[], Fault]:
    return lambda: make(*given).on(**_SECOND)


def _from_then_on(make: Callable[..., Fault], *given: Any) -> Callable[[], Fault]:
    return lambda: make(*given).on(**_SECOND).always()


def _damaged(name: str, make: Callable[..., Fault], *given: Any) -> list[Case]:
    return [Case(f"{name}: {kind}", _once(make, *given), kind) for kind in _KINDS]


CASES: tuple[Case, ...] = (
    Case("no fault"),
    Case("connection reset in mid-body", _once(faults.reset, PLACE)),
    Case("connection ends before the declared length", _once(faults.close_mid_body, PLACE)),
    Case("body without a length, cut", _once(faults.body_until_close, 1000)),
    Case("chunked body without its last chunk", _once(faults.chunked_without_end, PLACE)),
    Case("silence in mid-body", _once(faults.stall, PLACE)),
    Case("silence instead of an answer", _once(faults.silence)),
    Case("a byte a second, for ever", _once(faults.drip, PLACE)),
    Case("503, once", _once(faults.slow_down)),
    Case("503 with Retry-After: 2", _once(faults.slow_down, 2)),
    Case("500, once", _once(faults.internal_error)),
    Case("503 to every range from then on", _from_then_on(faults.slow_down)),
    Case("404 from then on", _from_then_on(faults.status, 404)),
    Case("200 and the whole object to a range", _once(faults.range_ignored)),
    Case("another range, honestly labelled", _once(faults.range_shifted, 1000)),
    Case("206 shorter than asked, honestly", _once(faults.short, 1000)),
    Case("206 shorter than its Content-Range", _once(faults.short_of_content_range, 1000)),
    Case("206 with more bytes than asked for", _once(faults.body_longer, 1000)),
    Case("206 without Content-Range", _once(faults.no_content_range)),
    Case("Content-Range with another total, once", _once(faults.other_total, 1000)),
    Case("gzip, unasked", _once(faults.gzip_encoded)),
    Case("multipart/byteranges", _once(faults.multipart_byteranges)),
    Case("an error document as the body of a 206", _once(faults.error_document_as_body)),
    *_damaged("a bit flipped", faults.flip_bit_of_body, PLACE),
    *_damaged("right head, shifted body", faults.body_shifted, 1000),
    Case("replaced; the server heeds If-Match", replaces="other"),
    Case("replaced; it ignores If-Match", replaces="other", behaviour={"if_match": False}),
    Case("replaced under the same ETag", replaces="same"),
    Case("kill -9 half-way", is_killed=True),
)
SHORT = ("connection reset in mid-body", "206 shorter than its Content-Range", f"a bit flipped: {FULL}")
