"""The digests that a store, or the caller, declares for an object (wire-spec.md §2.2, §2.6, §6).

A declaration that cannot be read (bad base64, wrong length, unknown algorithm or type) counts as absent: it
proves nothing about the bytes (faults.md C9 to C13). Nothing that a server sends makes these functions raise.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.structured import byte_sequences, decode_base64
from fastget.errors import ConfigError
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastget.core.messages import Headers

# Each store has one or two of them: they are compiled where they are used.
_ETAG = r'(?P<quote>"?)(?P<digest>[0-9a-fA-F]{32})(?:-(?P<parts>[1-9][0-9]{0,8}))?(?P=quote)'
_CHECKSUM = r"(?P<digest>[A-Za-z0-9+/=]+)(?:-(?P<parts>[1-9][0-9]{0,8}))?"
_HEX = r"(?:[0-9a-fA-F]{2})+"
_SHORT_HEX = r"[0-9a-fA-F]{1,8}"
# The separator of an SRI value is a dash (sha256-BASE64), which names may hold as well (sha-256): what
# follows it is of the name where no more than three digits stand there alone.
_USER_DIGEST = r"(?i)(?P<name>[a-z0-9]+(?:[-_](?:[0-9]{1,3}|nvme)(?![a-z0-9+/]))?+)[=:-](?P<value>.+)"

_S3_FIELD = "x-amz-checksum-"
_S3_ORIGINS = {f"{_S3_FIELD}{algorithm}": algorithm for algorithm in Algorithm}
# The names of RFC 9530 §5, in lower case those of RFC 3230 too.
_HTTP_NAMES = {
    "crc32c": Algorithm.CRC32C,
    "md5": Algorithm.MD5,
    "sha": Algorithm.SHA1,
    "sha-256": Algorithm.SHA256,
    "sha-512": Algorithm.SHA512,
}
_GOOG_NAMES = {"crc32c": Algorithm.CRC32C, "md5": Algorithm.MD5}
# What a caller may write, without dashes and underscores.
_USER_NAMES = {algorithm.value: algorithm for algorithm in Algorithm} | {
    "sha": Algorithm.SHA1,
    "xxh64": Algorithm.XXHASH64,
    "xxh3": Algorithm.XXHASH3,
    "xxh364": Algorithm.XXHASH3,
    "xxh128": Algorithm.XXHASH128,
    "xxh3128": Algorithm.XXHASH128,
}
_USER_HINT = "write sha-256=HEX; known are " + ", ".join(Algorithm)


@record
class DeclaredDigest:
    """A digest that someone vouches for.

    `value` is the raw digest; `origin` names who said so: a header field in lower case, or 'user'. `parts` is
    the N of a COMPOSITE value (the digest of N parts' digests), None for a digest of the whole content.
    """

    algorithm: Algorithm
    value: bytes
    origin: str
    parts: int | None = None

    @property
    def is_composite(self) -> bool:
        return self.parts is not None

    def __str__(self) -> str:
        suffix = "" if self.parts is None else f"-{self.parts}"
        return f"{self.origin} says {self.algorithm} {self.value.hex()}{suffix}"


def declared_by_headers(headers: Headers) -> tuple[DeclaredDigest, ...]:
    """The digests of the whole object in a 200 answer to a plain GET or HEAD; never to be asked of a 206.

    Reads the ten x-amz-checksum-*, Repr-Digest and Content-Digest (RFC 9530; on a 200 the content is the
    representation), Digest (RFC 3230), Content-MD5 (RFC 1864) and x-goog-hash. `etag_digest` reads the ETag.
    """
    found: list[DeclaredDigest] = []
    names = headers.names()
    if not names.isdisjoint(_S3_ORIGINS):
        found += _s3_digests(headers)
    for name, read in _READERS.items():
        if name in names:
            found += read(headers)
    return tuple(found)


def part_digest(headers: Headers, algorithm: Algorithm) -> bytes | None:
    """A part's own digest in the answer to ?partNumber=k, where there is one (wire-spec.md §2.2).

    A value with a `-N` suffix is the object's composite, and one of type FULL_OBJECT that of all parts.
    """
    if headers.get_all("x-amz-checksum-type") not in ((), ("COMPOSITE",)):
        return None
    values = headers.get_all(f"x-amz-checksum-{algorithm}")
    return _base64_digest(algorithm, values[0]) if len(values) == 1 else None


def etag_digest(etag: str | None) -> DeclaredDigest | None:
    """What an ETag says if it is an MD5, or the MD5 of N parts' MD5s; None for one that is neither, or weak.

    Whether an ETag of this form is an MD5 depends on the provider (wire-spec.md §2.6): the caller judges.
    """
    match = re.fullmatch(_ETAG, etag or "")
    if match is None:
        return None
    parts = int(match["parts"]) if match["parts"] else None
    return DeclaredDigest(Algorithm.MD5, bytes.fromhex(match["digest"]), "etag", parts)


def contradiction(declared: Sequence[DeclaredDigest]) -> str | None:
    """A line that names two declarations which cannot both be true, or None (faults.md C14).

    ETags stay out of it: one that looks like an MD5 need not be one (encrypted objects).
    """
    if len(declared) < 2:
        return None
    seen: dict[tuple[Algorithm, bool], DeclaredDigest] = {}
    for digest in declared:
        if digest.origin == "etag":
            continue
        earlier = seen.setdefault((digest.algorithm, digest.is_composite), digest)
        if (earlier.value, earlier.parts) != (digest.value, digest.parts):
            return f"{earlier}, but {digest}"
    return None


def user_digest(text: str) -> DeclaredDigest:
    """The caller's own digest: sha-256=HEX as aria2 writes it, sha-256:HEX, or sha256-BASE64 as in SRI.

    Every algorithm is known under its usual spellings, and a value may be hex or base64. Raises ConfigError.
    """
    match = re.fullmatch(_USER_DIGEST, text.strip())
    if match is None:
        raise ConfigError(f"not a checksum: {text!r}", hint=_USER_HINT)
    algorithm = _USER_NAMES.get(match["name"].lower().replace("-", "").replace("_", ""))
    if algorithm is None:
        raise ConfigError(f"unknown checksum algorithm {match['name']!r}", hint=_USER_HINT)
    written = match["value"]
    value = bytes.fromhex(written) if re.fullmatch(_HEX, written) else decode_base64(written)
    if value is None or len(value) != algorithm.digest_size:
        size = algorithm.digest_size
        raise ConfigError(
            f"{written!r} is no {algorithm} checksum",
            hint=f"{algorithm} has {size} bytes: write {size * 2} hex digits, or base64",
        )
    return DeclaredDigest(algorithm, value, "the given checksum")


def _s3_digests(headers: Headers) -> Iterator[DeclaredDigest]:
    types = headers.get_all("x-amz-checksum-type")
    if types not in ((), ("FULL_OBJECT",), ("COMPOSITE",)):
        return
    names = headers.names()
    for origin, algorithm in _S3_ORIGINS.items():
        for text in headers.get_all(origin) if origin in names else ():
            match = re.fullmatch(_CHECKSUM, text.strip())
            value = _base64_digest(algorithm, match["digest"]) if match else None
            if match is None or value is None:
                continue
            parts = int(match["parts"]) if match["parts"] else None
            kind = "FULL_OBJECT" if parts is None else "COMPOSITE"
            # A COMPOSITE without its count (moto's HEAD) looks like a digest of the whole, and is none.
            if types in ((), (kind,)):
                yield DeclaredDigest(algorithm, value, origin, parts)


def _structured_digests(headers: Headers, origin: str) -> Iterator[DeclaredDigest]:
    for name, value in byte_sequences(headers.get_all(origin)).items():
        algorithm = _HTTP_NAMES.get(name)
        if algorithm is not None and len(value) == algorithm.digest_size:
            yield DeclaredDigest(algorithm, value, origin)


def _instance_digests(headers: Headers) -> Iterator[DeclaredDigest]:
    for name, text in _pairs(headers, "digest"):
        algorithm = _HTTP_NAMES.get(name.lower())
        if algorithm is None:
            continue
        # The registry of RFC 3230 writes CRC32C alone in hex, leading zeros optional.
        value = _short_hex(text) if algorithm is Algorithm.CRC32C else _base64_digest(algorithm, text)
        if value is not None:
            yield DeclaredDigest(algorithm, value, "digest")


def _content_md5(headers: Headers) -> Iterator[DeclaredDigest]:
    for text in headers.get_all("content-md5"):
        value = _base64_digest(Algorithm.MD5, text)
        if value is not None:
            yield DeclaredDigest(Algorithm.MD5, value, "content-md5")


def _goog_digests(headers: Headers) -> Iterator[DeclaredDigest]:
    """x-goog-hash is of the stored bytes, so it says nothing of content that was unpacked on the way."""
    stored = headers.get("x-goog-stored-content-encoding")
    if stored is not None and _encoding(stored) != _encoding(headers.get("content-encoding")):
        return
    for name, text in _pairs(headers, "x-goog-hash"):
        algorithm = _GOOG_NAMES.get(name)
        value = _base64_digest(algorithm, text) if algorithm else None
        if algorithm is not None and value is not None:
            yield DeclaredDigest(algorithm, value, "x-goog-hash")


def _pairs(headers: Headers, name: str) -> Iterator[tuple[str, str]]:
    """The members of a field of the form a=b, c=d. The first = divides; base64 may end with more."""
    for line in headers.get_all(name):
        for member in line.split(","):
            key, divider, value = member.strip().partition("=")
            if divider:
                yield key, value


def _encoding(value: str | None) -> str:
    return (value or "").strip().lower() or "identity"


def _base64_digest(algorithm: Algorithm, text: str) -> bytes | None:
    value = decode_base64(text.strip())
    return value if value is not None and len(value) == algorithm.digest_size else None


def _short_hex(text: str) -> bytes | None:
    return bytes.fromhex(text.zfill(8)) if re.fullmatch(_SHORT_HEX, text) else None


# In the order in which digests are looked for.
_READERS: dict[str, Callable[[Headers], Iterator[DeclaredDigest]]] = {
    "repr-digest": lambda headers: _structured_digests(headers, "repr-digest"),
    "content-digest": lambda headers: _structured_digests(headers, "content-digest"),
    "digest": _instance_digests,
    "content-md5": _content_md5,
    "x-goog-hash": _goog_digests,
}
# The fields that hold digests, by their names in lower case.
DIGEST_FIELDS = frozenset(_S3_ORIGINS) | frozenset(_READERS)
