"""GetObjectAttributes: the sizes and digests of an object's parts, in pages (wire-spec.md §2.2).

S3 lists parts only where they have a checksum of their own (COMPOSITE), and where the caller may
`s3:GetObjectAttributes`. The operation knows no If-Match: whoever asks compares ETag and version.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.structured import decode_base64
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from xml.etree.ElementTree import Element

    from fastget.core.messages import ResponseHead

# A page of 1000 parts with SHA-512 digests has 250 KB.
LARGEST_PAGE = 2 * 1024 * 1024
PAGE_SIZE = 1000
QUERY = ("attributes", "")
_LONGEST_NUMBER = 19
_TAGS = {f"Checksum{algorithm.value.upper()}": algorithm for algorithm in Algorithm}


@record
class ListedPart:
    """A part as the store lists it: its number, its size in bytes, its raw digests."""

    number: int
    size: int
    digests: Mapping[Algorithm, bytes] = field(default_factory=dict)


@record
class AttributesPage:
    """One page. `etag` is as the document has it, without quotes; `next_marker` is None on the last page."""

    etag: str | None
    version_id: str | None
    size: int | None
    parts: tuple[ListedPart, ...]
    next_marker: int | None


def attributes_headers(after: int) -> tuple[tuple[str, str], ...]:
    """What asks for the parts beyond number `after`."""
    fields = (("x-amz-object-attributes", "ETag,Checksum,ObjectParts,ObjectSize"), ("x-amz-max-parts", str(PAGE_SIZE)))
    return (*fields, ("x-amz-part-number-marker", str(after))) if after else fields


def read_page(head: ResponseHead, body: bytes) -> AttributesPage | None:
    """The page that a 200 answer holds; None for anything else than such a document.

    A store that does not know the operation may send the object itself. A document type could define entities without
    end, so none is read (faults.md S17).
    """
    if len(body) > LARGEST_PAGE or b"GetObjectAttributes" not in body[:1000] or b"<!" in body:
        return None
    from xml.etree import ElementTree as ET

    try:
        root = ET.fromstring(body)  # noqa: S314  (no document type: checked above)
    except (ET.ParseError, ValueError, LookupError):
        return None
    listed = _child(root, "ObjectParts")
    return AttributesPage(
        etag=(_text(root, "ETag") or "").strip('"') or None,
        version_id=head.headers.get("x-amz-version-id"),
        size=_number(root, "ObjectSize"),
        parts=tuple(_parts(listed)),
        next_marker=_next_marker(listed),
    )


def _parts(listed: Element | None) -> Iterator[ListedPart]:
    """The parts up to the first one that cannot be read: a layout with a gap is none."""
    for item in listed if listed is not None else ():
        if _local_name(item) not in ("Part", "Parts", "member"):
            continue
        number, size = _number(item, "PartNumber"), _number(item, "Size")
        if number is None or size is None:
            return
        yield ListedPart(number, size, dict(_digests(item)))


def _digests(part: Element) -> Iterator[tuple[Algorithm, bytes]]:
    for item in part:
        algorithm = _TAGS.get(_local_name(item))
        value = decode_base64((item.text or "").strip()) if algorithm else None
        if algorithm is not None and value is not None and len(value) == algorithm.digest_size:
            yield algorithm, value


def _next_marker(listed: Element | None) -> int | None:
    if listed is None or (_text(listed, "IsTruncated") or "").lower() != "true":
        return None
    return _number(listed, "NextPartNumberMarker")


def _number(element: Element, name: str) -> int | None:
    text = _text(element, name) or ""
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_number else None


def _text(element: Element, name: str) -> str | None:
    found = _child(element, name)
    return None if found is None else (found.text or "").strip()


def _child(element: Element, name: str) -> Element | None:
    return next((item for item in element if _local_name(item) == name), None)


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
