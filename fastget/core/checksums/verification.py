"""The ladder of verification: which declared digests a download is held to, and whether they hold.

A digest that cannot be checked is never failed: it is named as the reason for the rung below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.checksums import combine
from fastget.core.checksums.algorithms import Algorithm
from fastget.events import Method, Verification
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastget.core.checksums.declared import DeclaredDigest
    from fastget.core.layout import PartLayout
    from fastget.core.planner import Chunk

# Among equals: first what any split can be checked by, then the fastest, then the strongest.
_PREFERRED = (
    Algorithm.CRC64NVME,
    Algorithm.CRC32C,
    Algorithm.CRC32,
    Algorithm.XXHASH128,
    Algorithm.XXHASH3,
    Algorithm.XXHASH64,
    Algorithm.SHA256,
    Algorithm.SHA512,
    Algorithm.SHA1,
    Algorithm.MD5,
)
_PREFERENCE = {algorithm: place for place, algorithm in enumerate(_PREFERRED)}
_LADDER = {Method.FULL_OBJECT: 0, Method.COMPOSITE: 1, Method.HTTP_DIGEST: 2}


@record
class Check:
    """One digest that the download is held to. `parts` is the number of parts of a composite one."""

    method: Method
    declared: DeclaredDigest

    @property
    def algorithm(self) -> Algorithm:
        return self.declared.algorithm

    @property
    def parts(self) -> int | None:
        return self.declared.parts

    @property
    def is_ordered(self) -> bool:
        """Whether it needs the whole content from front to back, in one hasher."""
        return self.parts is None and not self.algorithm.is_combinable

    @property
    def needs_whole_parts(self) -> bool:
        """Whether each part has to pass through one hasher in order."""
        return self.parts is not None and not self.algorithm.is_combinable


def ladder(
    declared: Iterable[DeclaredDigest], user: DeclaredDigest | None = None, etag: DeclaredDigest | None = None
) -> tuple[Check, ...]:
    """The checks that are possible, best first: the user's, full-object, composite, HTTP digests, ETag."""
    theirs = [Check(_method_of(digest), digest) for digest in declared]
    theirs.sort(key=_rank)
    mine = [Check(Method.USER_DIGEST, user)] if user else []
    last = [Check(Method.ETAG_MD5, etag)] if etag else []
    return (*mine, *theirs, *last)


def choose(rungs: Sequence[Check], layout_is_known: bool) -> tuple[Check, ...]:
    """The checks to hold the download to: the user's own, and the best of the store's that can be carried out.

    A composite needs the layout of its parts. Beside a user's digest only a check that costs nothing more (a CRC, or
    the same digest of all) is kept. Empty when only the size can be compared.
    """
    if layout_is_known and len(rungs) < 2:
        return tuple(rungs)  # so it is with nearly every object of a list
    possible = [rung for rung in rungs if rung.parts is None or layout_is_known]
    user = [rung for rung in possible if rung.method is Method.USER_DIGEST]
    store = [rung for rung in possible if rung.method is not Method.USER_DIGEST]
    if user:
        own = user[0].algorithm
        store = [one for one in store if one.algorithm.is_combinable or (one.is_ordered and one.algorithm is own)]
    return (*user, *store[:1])


def reason_for_size_only(rungs: Sequence[Check], *, has_checksum_headers: bool) -> str:
    """Why nothing but the size can be compared, in one line."""
    if rungs:
        return unknown_parts(rungs[0])
    if has_checksum_headers:
        return "the checksum that the store sent is not one that can be checked"
    return "the store declared no checksum"


def unknown_parts(check: Check) -> str:
    """Why a composite digest cannot be compared."""
    return f"a composite {check.algorithm} is declared, but the store does not tell where its parts lie"


class Ledger:
    """The digests of what has landed, chunk by chunk, and what they add up to. Not thread-safe: its owner locks."""

    def __init__(self, checks: Sequence[Check], chunks: Sequence[Chunk], layout: PartLayout | None) -> None:
        self._checks = checks
        self._chunks = chunks
        self._layout = layout
        self._parts: dict[int | None, list[Chunk]] = {}
        for chunk in chunks:
            self._parts.setdefault(chunk.part, []).append(chunk)
        # A column for each algorithm: a dictionary for each chunk would take five times the memory.
        self._digests: dict[Algorithm, list[bytes | None]] = {}
        self._ordered: dict[Algorithm, bytes] = {}
        self._of_parts: dict[int, Mapping[Algorithm, bytes]] = {}

    @property
    def chunk_algorithms(self) -> tuple[Algorithm, ...]:
        """What has to be computed of every chunk: what the checks add up, or a CRC to tell a damaged chunk by."""
        algorithms = tuple(dict.fromkeys(check.algorithm for check in self._checks if not check.is_ordered))
        return algorithms or ((Algorithm.CRC32C,) if self._checks else ())

    @property
    def ordered_algorithms(self) -> tuple[Algorithm, ...]:
        """What has to be computed of the whole content, from front to back."""
        return tuple(dict.fromkeys(check.algorithm for check in self._checks if check.is_ordered))

    @property
    def part_algorithms(self) -> tuple[Algorithm, ...]:
        """What needs the bytes of each part from front to back."""
        return tuple(dict.fromkeys(check.algorithm for check in self._checks if check.needs_whole_parts))

    @property
    def cut_parts(self) -> tuple[int, ...]:
        """The parts whose digests cannot be had from their chunks, of which there are several: they are read back."""
        cut = (number for number, chunks in self._parts.items() if number is not None and len(chunks) > 1)
        return tuple(cut) if self.part_algorithms else ()

    def record_part(self, number: int, digests: Mapping[Algorithm, bytes]) -> None:
        """The digests of a part by hashers that saw it in order."""
        self._of_parts[number] = digests

    def copy(self) -> Ledger:
        """Another ledger with the same records, to try others in."""
        twin = Ledger(self._checks, self._chunks, self._layout)
        twin._digests = {algorithm: list(column) for algorithm, column in self._digests.items()}
        twin._ordered = dict(self._ordered)
        twin._of_parts = dict(self._of_parts)
        return twin

    def record(self, index: int, digests: Mapping[Algorithm, bytes]) -> bool:
        """The digests of a landed chunk; a later record of the same chunk replaces the earlier one.

        Always False: a ledger never has enough before the last chunk.
        """
        for algorithm in digests:
            if algorithm not in self._digests:
                self._digests[algorithm] = [None] * len(self._chunks)
        for algorithm, column in self._digests.items():
            column[index] = digests.get(algorithm)
        return False

    def recorded(self, index: int) -> Mapping[Algorithm, bytes]:
        found = ((algorithm, column[index]) for algorithm, column in self._digests.items())
        return {algorithm: digest for algorithm, digest in found if digest is not None}

    def record_ordered(self, algorithm: Algorithm, digest: bytes) -> None:
        """The digest of the whole content by a hasher that saw it in order."""
        self._ordered[algorithm] = digest

    def ordered(self, algorithm: Algorithm) -> bytes:
        """What was recorded of the whole content."""
        return self._ordered[algorithm]

    def part_digest(self, algorithm: Algorithm, number: int) -> bytes:
        """The digest of stored part `number`, as it was recorded, or from its chunks."""
        if algorithm in (found := self._of_parts.get(number, {})):
            return found[algorithm]
        return self._fold(algorithm, self._parts[number])

    def failures(self) -> tuple[tuple[Check, bytes], ...]:
        """The checks that do not hold, each with the digest that was found instead."""
        found = ((check, self._actual(check)) for check in self._checks)
        return tuple((check, actual) for check, actual in found if actual != check.declared.value)

    def _actual(self, check: Check) -> bytes:
        if check.is_ordered:
            return self._ordered[check.algorithm]
        if check.parts is None:
            return self._fold(check.algorithm, self._chunks)
        # Without a layout there is no composite among the checks: `choose` sees to that.
        numbers = range(1, self._layout.count + 1) if self._layout else ()
        return combine.composite(check.algorithm, (self.part_digest(check.algorithm, number) for number in numbers))

    def _fold(self, algorithm: Algorithm, chunks: Sequence[Chunk]) -> bytes:
        if len(chunks) == 1:
            return self._digest(algorithm, chunks[0])
        return combine.fold(algorithm, ((chunk.span.length, self._digest(algorithm, chunk)) for chunk in chunks))

    def _digest(self, algorithm: Algorithm, chunk: Chunk) -> bytes:
        if (digest := self._digests[algorithm][chunk.index]) is None:
            raise KeyError(chunk.index)
        return digest


def verified_by(check: Check) -> Verification:
    """The verdict on a download whose checks all hold; `check` is the best of them."""
    value = check.declared.value.hex()
    origin = f"{check.declared.origin} of {check.parts} parts" if check.parts is not None else check.declared.origin
    return Verification(True, check.method, str(check.algorithm), value, value, 1.0, f"compared with {origin}")


# Why a file counts as the object that no digest tells of.
UNTOUCHED = "neither the file nor the object has changed since it was fetched"


def verified_by_size(reason: str) -> Verification:
    """The verdict on a download that could only be counted."""
    return Verification(False, Method.SIZE, reason=reason)


def difference(check: Check, actual: bytes) -> str:
    """Both digests of a check that does not hold, in words."""
    found, origin, expected = actual.hex(), check.declared.origin, check.declared.value.hex()
    return f"{check.algorithm} of what came is {found}, {origin} says {expected}"


def _method_of(digest: DeclaredDigest) -> Method:
    if not digest.origin.startswith("x-amz-checksum-"):
        return Method.HTTP_DIGEST
    return Method.FULL_OBJECT if digest.parts is None else Method.COMPOSITE


def _rank(check: Check) -> tuple[int, int]:
    return _LADDER[check.method], _PREFERENCE[check.algorithm]
