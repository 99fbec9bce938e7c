"""The journal of an unfinished download: what it says, and how much of that may be read.

    preamble   8 bytes   the name and the version of the format
    record    [length u32][kind u8][payload][xxh3-64 of all that, seeded]     big-endian, again and again

The first record is the header: JSON, with the owner, the identity of the object and the name of the part file. The
others are claims (these bytes have landed, and have this xxh3), withdrawals of claims, and the owner's farewell. The
header's checksum has seed 0, that of the others a seed taken from the owner's token: records of another journal,
which a file system may show after a crash, are not believed.

Reading stops at the first record that is not whole; nothing that a file holds makes it raise, or take more memory than
the limits below. What is claimed is never believed: whoever reads it holds the bytes to the digests (faults.md X20).
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastget.core.objectinfo import is_strong
from fastget.core.ranges import MAXIMUM_SIZE, Span
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.core.objectinfo import ObjectInfo

PREAMBLE = b"fastget\x01"
# A hundred thousand claims; a journal that is longer was not written by this program, or says nothing new any more.
MAXIMUM_JOURNAL = 4 * 1024 * 1024
MAXIMUM_HEADER = 64 * 1024
# A block is what each worker loses at most with the process: so small a share of the object that eight of them lose
# less than a tenth of it, but no smaller, as each claim costs a call of the system (docs/design/0006-resume.md).
USUAL_BLOCKS = 128
SMALLEST_BLOCK = 256 * 1024
LARGEST_BLOCK = 4 * 1024 * 1024
# Past 256 GiB blocks grow beyond that, or their claims would not fit.
MAXIMUM_BLOCKS = 65_536

_HEADER, _CLAIM, _WITHDRAWAL, _FAREWELL = 1, 2, 3, 4
_FRAME = struct.Struct(">IB")
_SPAN = struct.Struct(">QQ")
_DIGEST_SIZE = 8
_TOKEN = re.compile(r"[0-9a-f]{12}")
# Of what a signed URL says beside its object: it is another one with every signature.
_SIGNATURE = (
    r"(?i)(?:x-amz-|x-goog-)(?:algorithm|credential|date|expires|signature|signedheaders|security-token)"
    r"|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id|sig|se|st|sv|sp|sr|skoid|sktid|skt|ske|sks|skv"
)


@record
class Identity:
    """What tells an object, and its version, from any other.

    `url` is the redacted form, `query` a hash of what the query says beside a signature; `declared` are the digests
    that the store declares, as `origin:algorithm:hex`.
    """

    url: str
    query: str
    size: int
    etag: str | None = None
    version_id: str | None = None
    last_modified: str | None = None
    declared: tuple[str, ...] = ()

    @classmethod
    def of_place(cls, url: str, query: str) -> Identity:
        """What can be said before the object has been asked for."""
        return cls(url, _hash_query(query), 0)

    @classmethod
    def of(cls, url: str, query: str, info: ObjectInfo) -> Identity | None:
        """The identity of an object asked for by this URL and query; None where its size is not known."""
        if info.size is None:
            return None
        declared = sorted([f"{d.origin}:{d.algorithm}:{d.value.hex()}:{d.parts or ''}" for d in info.declared])
        return cls(url, _hash_query(query), info.size, info.etag, info.version_id, info.last_modified, tuple(declared))

    @property
    def place(self) -> str:
        """A hash of where the object is; 16 hex digits."""
        return _hash(self.url, self.query)

    @property
    def version(self) -> str:
        """A hash of all that names the content, and does not differ between machines that serve the same."""
        date = None if is_strong(self.etag) else self.last_modified
        return _hash(self.size, self.etag, self.version_id, date, self.declared)

    def difference(self, other: Identity) -> str | None:
        """Why bytes of the two must not be put together, for people; None where they are of one version."""
        if (self.url, self.query) != (other.url, other.query):
            return "it was begun from another URL"
        named = [("size", "size"), ("etag", "ETag"), ("version_id", "version"), ("declared", "checksum")]
        if not is_strong(self.etag):
            named.append(("last_modified", "date"))
        for field, word in named:
            before, now = getattr(self, field), getattr(other, field)
            if before != now:
                shown = f": {word} was {before}, and is {now}" if field in ("size", "etag") else f": another {word}"
                return f"the object has changed since{shown}"
        return None


@record
class Owner:
    """The process that writes a journal. `boot` and `namespace` are empty where the system does not tell them."""

    token: str
    host: str
    boot: str
    namespace: str
    pid: int
    started: int


@record
class Header:
    """`part` is the random half of the part file's name."""

    owner: Owner
    identity: Identity
    part: str


@record
class Claim:
    """These bytes were written to the part file, and had this xxh3-64 (raw, big-endian)."""

    span: Span
    digest: bytes


@record
class Journal:
    """What could be read. `claims` lie apart and in order; `is_released`: its owner has left it to others."""

    header: Header
    claims: tuple[Claim, ...]
    is_released: bool


def block_size_for(size: int) -> int:
    """Bytes of one claim for an object of `size` bytes: a power of two."""
    block = SMALLEST_BLOCK
    while block < LARGEST_BLOCK and 2 * block * USUAL_BLOCKS <= size:
        block *= 2
    while -(-size // block) > MAXIMUM_BLOCKS:
        block *= 2
    return block


def encode_header(header: Header) -> bytes:
    """The start of a journal."""
    import json

    payload = json.dumps(asdict(header), separators=(",", ":")).encode("ascii")
    return PREAMBLE + _frame(_HEADER, payload, 0)


def encode_claim(token: str, claim: Claim) -> bytes:
    return _frame(_CLAIM, _SPAN.pack(claim.span.start, claim.span.stop) + claim.digest, _seed(token))


def encode_withdrawal(token: str, span: Span) -> bytes:
    """Nothing that was claimed of these bytes holds any more."""
    return _frame(_WITHDRAWAL, _SPAN.pack(span.start, span.stop), _seed(token))


def encode_farewell(token: str) -> bytes:
    """The owner stops here: whoever comes next may go on."""
    return _frame(_FAREWELL, b"", _seed(token))


def read_journal(data: bytes) -> Journal | None:
    """What the start of a file says, as far as it is whole; None where that is no journal of this version."""
    data = data[:MAXIMUM_JOURNAL]
    if not data.startswith(PREAMBLE):
        return None
    first = _unframe(data, len(PREAMBLE), 0)
    header = _read_header(first[1]) if first is not None and first[0] == _HEADER else None
    if first is None or header is None:
        return None
    claims = _Claims(header.identity.size)
    is_released = False
    for kind, payload in _records(data, first[2], _seed(header.owner.token)):
        is_released = kind == _FAREWELL
        if kind == _CLAIM and len(payload) == _SPAN.size + _DIGEST_SIZE:
            start, stop = _SPAN.unpack_from(payload)
            claims.add(start, stop, payload[_SPAN.size :])
        elif kind == _WITHDRAWAL and len(payload) == _SPAN.size:
            start, stop = _SPAN.unpack_from(payload)
            if start < stop:
                claims.withdraw(start, stop)
    return Journal(header, claims.found(), is_released)


class _Claims:
    """Spans that lie apart: a later claim ends the earlier ones that it touches, whose digests it has made untrue."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._starts: list[int] = []
        self._claims: list[tuple[int, bytes]] = []

    def add(self, start: int, stop: int, digest: bytes) -> None:
        if start < stop <= self._size:
            at = self.withdraw(start, stop)
            self._starts.insert(at, start)
            self._claims.insert(at, (stop, digest))

    def withdraw(self, start: int, stop: int) -> int:
        """End what touches these bytes; the index at which they would stand."""
        first = bisect_left(self._starts, start)
        if first and self._claims[first - 1][0] > start:
            first -= 1
        last = bisect_left(self._starts, stop)
        del self._starts[first:last], self._claims[first:last]
        return first

    def found(self) -> tuple[Claim, ...]:
        pairs = zip(self._starts, self._claims, strict=True)
        return tuple(Claim(Span(start, stop), digest) for start, (stop, digest) in pairs)


def _records(data: bytes, position: int, seed: int) -> Iterator[tuple[int, bytes]]:
    while (found := _unframe(data, position, seed)) is not None:
        kind, payload, position = found
        yield kind, payload


def _frame(kind: int, payload: bytes, seed: int) -> bytes:
    framed = _FRAME.pack(len(payload), kind) + payload
    return framed + _checksum(framed, seed)


def _unframe(data: bytes, position: int, seed: int) -> tuple[int, bytes, int] | None:
    """The record at `position`: its kind, its payload, and where the next one is; None where it is not whole."""
    begin = position + _FRAME.size
    if begin > len(data):
        return None
    length, kind = _FRAME.unpack_from(data, position)
    end = begin + length
    if length > MAXIMUM_HEADER or end + _DIGEST_SIZE > len(data):
        return None
    if _checksum(data[position:end], seed) != data[end : end + _DIGEST_SIZE]:
        return None
    return kind, data[begin:end], end + _DIGEST_SIZE


def _checksum(data: bytes, seed: int) -> bytes:
    import xxhash

    return xxhash.xxh3_64_digest(data, seed)


def _seed(token: str) -> int:
    return int(token, 16)


def _read_header(payload: bytes) -> Header | None:
    import json

    try:
        found = json.loads(payload)
        owner, identity, part = found["owner"], found["identity"], found["part"]
        header = Header(Owner(**owner), Identity(**{**identity, "declared": tuple(identity["declared"])}), part)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return header if _is_sound(header) else None


def _is_sound(header: Header) -> bool:
    owner, identity = header.owner, header.identity
    optional = (identity.etag, identity.version_id, identity.last_modified)
    return (
        all(_is_token(token) for token in (owner.token, header.part))
        and all(isinstance(text, str) for text in (owner.host, owner.boot, owner.namespace, identity.url))
        and all(isinstance(text, str) for text in (identity.query, *identity.declared))
        and all(text is None or isinstance(text, str) for text in optional)
        and all(_is_number(number) for number in (owner.pid, owner.started, identity.size))
    )


def _is_token(value: Any) -> bool:
    """Tokens become parts of file names: nothing else may (faults.md X23)."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAXIMUM_SIZE


def _hash(*facts: object) -> str:
    import xxhash

    return xxhash.xxh3_64_hexdigest(repr(facts).encode("utf-8", "backslashreplace"))


def _hash_query(query: str) -> str:
    if not query:
        return ""
    fields = filter(None, query.split("&"))
    text = "&".join(field for field in fields if not re.fullmatch(_SIGNATURE, field.partition("=")[0]))
    if not text:
        return ""
    from hashlib import blake2b  # it may hold secrets: this hash cannot be turned back

    return blake2b(text.encode(), digest_size=8).hexdigest()
