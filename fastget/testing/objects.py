"""Stored objects: content with the identity and the digests that S3 would give it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from fastget.core.checksums.algorithms import Algorithm, Hasher, new_hasher
from fastget.core.checksums.combine import composite
from fastget.core.ranges import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastget.testing.content import Content

ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]
Fields = tuple[tuple[str, str], ...]

# Past this size an ETag is no MD5, because MD5 would cost seconds; the object then says that KMS encrypts it,
# which is how S3 tells that an ETag is not one (wire-spec.md §2.6).
MD5_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as it was uploaded: where it lies, its digest (empty without a checksum) and its own ETag."""

    number: int
    span: Span
    digest: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object.

    `part_sizes` are those of a multipart upload, in bytes and in order; None is an object that was put in one
    piece. `part_numbers` are 1, 2, 3, … unless the upload left some out. `checksum_type` counts only where there are
    parts. `etag` is given with its quotes, or computed as S3 does: the MD5 of the content, for parts the MD5 of their
    MD5s and `-N`. `headers` are added to every answer, such as `x-amz-meta-…`, `Repr-Digest` or `Content-Encoding`.
    Requests without the `required_headers` (`x-amz-request-payer`, those of SSE-C, `Authorization`) are refused with
    403.

    Raises ValueError where the parts do not add up to the content.
    """

    content: Content
    etag: str = ""
    part_sizes: tuple[int, ...] | None = None
    part_numbers: tuple[int, ...] | None = None
    checksum: Algorithm | None = None
    checksum_type: ChecksumType = "FULL_OBJECT"
    version_id: str | None = None
    content_type: str = "binary/octet-stream"
    last_modified: str = "Mon, 02 Mar 2026 10:20:30 GMT"
    headers: Mapping[str, str] = field(default_factory=dict)
    required_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    parts: tuple[StoredPart, ...] = field(init=False, repr=False)
    digest: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spans = _tiles(self.content.size, self.part_sizes)
        has_md5 = not self.etag and self.content.size <= MD5_LIMIT
        numbers = self.part_numbers or range(1, len(spans) + 1)
        numbered = zip(numbers, spans, strict=True)
        parts = tuple(_stored_part(self, number, span, has_md5=has_md5) for number, span in numbered)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "digest", self._digest())
        if not self.etag and not has_md5:
            kms = {"x-amz-server-side-encryption": "aws:kms"}
            object.__setattr__(self, "headers", {**kms, **self.headers})
        if not self.etag:
            object.__setattr__(self, "etag", self._etag())

    @property
    def is_multipart(self) -> bool:
        return self.part_sizes is not None

    @property
    def is_composite(self) -> bool:
        return self.is_multipart and self.checksum_type == "COMPOSITE"

    def checksum_fields(self, *, suffix: bool = True) -> Fields:
        """The checksum headers of the whole object; without the suffix, those of a HEAD that forgets `-N`."""
        if not self.is_composite:
            return self._fields(self.digest)
        if suffix:
            return self._fields(self.digest, f"-{len(self.parts)}")
        return self._fields(self.digest)[:1]

    def checksum_fields_of_part(self, part: StoredPart) -> Fields:
        """Those of a part that was asked for by its number (wire-spec.md §2.2)."""
        if self.is_composite:
            return self._fields(part.digest)
        return self._fields(self.digest) if len(self.parts) == 1 else ()

    def checksum_fields_of(self, span: Span) -> Fields:
        """Those of a range (wire-spec.md §2.2).

        A part's own where the range is exactly that part of a COMPOSITE object, the object's where it covers
        everything (a composite one loses its `-N` there), else none.
        """
        if self.is_composite:
            exact = next((part for part in self.parts if part.span == span), None)
            if exact is not None:
                return self.checksum_fields_of_part(exact)
        return self._fields(self.digest) if span == Span(0, self.content.size) else ()

    def _fields(self, digest: bytes, suffix: str = "") -> Fields:
        if self.checksum is None:
            return ()
        value = b64encode(digest).decode() + suffix
        kind = "COMPOSITE" if self.is_composite else "FULL_OBJECT"
        return ((f"x-amz-checksum-{self.checksum}", value), ("x-amz-checksum-type", kind))

    def _digest(self) -> bytes:
        if self.checksum is None:
            return b""
        if self.is_composite:
            return composite(self.checksum, (part.digest for part in self.parts))
        return digest_of(self.content, Span(0, self.content.size), self.checksum)

    def _etag(self) -> str:
        if not self.is_multipart:
            return self.parts[0].etag
        joined = b"".join(bytes.fromhex(part.etag.strip('"')) for part in self.parts)
        return f'"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(self.parts)}"'


class _Crc32c:
    """CRC32C by another implementation than the client's: a defect of one cannot hide in both."""

    def __init__(self) -> None:
        from awscrt.checksums import crc32c

        # Declared for bytes alone, it takes every C-contiguous buffer.
        self._update = cast("Callable[[memoryview | bytes, int], int]", crc32c)
        self._value = 0

    def update(self, data: memoryview | bytes, /) -> None:
        self._value = self._update(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def digest_of(content: Content, span: Span, algorithm: Algorithm) -> bytes:
    """The raw digest of a stretch of content."""
    hasher: Hasher = _Crc32c() if algorithm is Algorithm.CRC32C else new_hasher(algorithm)
    for buffers in content.blocks(span.start, span.stop):
        for buffer in buffers:
            hasher.update(buffer)
    return hasher.digest()


def _tiles(size: int, part_sizes: tuple[int, ...] | None) -> list[Span]:
    """The spans of parts that lie end to end."""
    sizes = (size,) if part_sizes is None else part_sizes
    if sum(sizes) != size or not sizes or min(sizes) < 0:
        raise ValueError(f"parts of {sum(sizes)} bytes do not make an object of {size}")
    spans, start = [], 0
    for length in sizes:
        spans.append(Span(start, start + length))
        start += length
    return spans


def _stored_part(stored: StoredObject, number: int, span: Span, *, has_md5: bool) -> StoredPart:
    needs_digest = stored.checksum is not None and stored.is_composite
    digest = digest_of(stored.content, span, stored.checksum) if stored.checksum and needs_digest else b""
    if has_md5:
        md5 = digest_of(stored.content, span, Algorithm.MD5)
    else:
        sample = stored.content.read(span.start, min(span.start + 4096, span.stop))
        md5 = hashlib.md5(b"%d %d %b" % (number, span.length, sample), usedforsecurity=False).digest()
    return StoredPart(number, span, digest, f'"{md5.hex()}"')
