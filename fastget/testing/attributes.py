"""GetObjectAttributes as S3 answers it, and as others do (wire-spec.md §2.2)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from fastget.testing.answer import Answer, document
from fastget.testing.behaviour import Attributes, Behaviour
from fastget.testing.documents import error, identifiers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.testing.objects import StoredObject, StoredPart
    from fastget.testing.received import ReceivedRequest

LARGEST_PAGE = 1000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_REFUSALS = {
    Attributes.DENIED: (403, "AccessDenied", "Access Denied"),
    Attributes.FAILS: (500, "InternalError", "We encountered an internal error. Please try again."),
    Attributes.NOT_IMPLEMENTED: (501, "NotImplemented", "A header you provided implies functionality not implemented"),
}


def object_attributes(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer:
    """The document, or the refusal of a store that has none."""
    refusal = _REFUSALS.get(behaviour.attributes)
    if refusal is not None:
        return error(*refusal, amazon=behaviour.amazon)
    wanted = {name.strip() for name in (request.headers.get("x-amz-object-attributes") or "").split(",")}
    if wanted == {""}:
        message = (
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty"
        )
        return error(400, "InvalidRequest", message, amazon=behaviour.amazon)
    inner = "".join(_elements(request, stored, behaviour, wanted))
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<GetObjectAttributesResponse xmlns="{_NAMESPACE}">{inner}'
    fields = [("Content-Type", "application/xml"), ("Last-Modified", stored.last_modified)]
    if stored.version_id is not None:
        fields.append(("x-amz-version-id", stored.version_id))
    body = f"{text}</GetObjectAttributesResponse>".encode()
    return document(200, body, *fields, *identifiers(amazon=behaviour.amazon))


def _elements(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour, wanted: set[str]) -> Iterator[str]:
    """What was asked for, in S3's order. The ETag has no quotes here, and a composite checksum no count."""
    if "ETag" in wanted:
        yield f"<ETag>{stored.etag.strip(chr(34))}</ETag>"
    if "Checksum" in wanted and stored.checksum is not None:
        kind = "COMPOSITE" if stored.is_composite else "FULL_OBJECT"
        yield f"<Checksum>{_checksum(stored, stored.digest)}<ChecksumType>{kind}</ChecksumType></Checksum>"
    if "ObjectParts" in wanted and stored.is_multipart:
        yield f"<ObjectParts>{''.join(_parts(request, stored, behaviour))}</ObjectParts>"
    yield "<StorageClass>STANDARD</StorageClass>" if "StorageClass" in wanted else ""
    if "ObjectSize" in wanted:
        yield f"<ObjectSize>{stored.content.size}</ObjectSize>"


def _parts(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Iterator[str]:
    yield f"<PartsCount>{len(stored.parts)}</PartsCount>"
    if not stored.is_composite or behaviour.attributes is Attributes.NO_PARTS:
        return
    after, most = _number(request, "x-amz-part-number-marker", 0), _number(request, "x-amz-max-parts", LARGEST_PAGE)
    left = [part for part in stored.parts if part.number > after]
    page = left[: min(most, LARGEST_PAGE)]
    for part in page:
        yield _part(stored, part)
    yield f"<PartNumberMarker>{after}</PartNumberMarker><MaxParts>{most}</MaxParts>"
    yield f"<NextPartNumberMarker>{page[-1].number if page else after}</NextPartNumberMarker>"
    yield f"<IsTruncated>{str(len(page) < len(left)).lower()}</IsTruncated>"


def _part(stored: StoredObject, part: StoredPart) -> str:
    inner = f"<PartNumber>{part.number}</PartNumber><Size>{part.span.length}</Size>{_checksum(stored, part.digest)}"
    return f"<Part>{inner}</Part>"


def _checksum(stored: StoredObject, digest: bytes) -> str:
    name = f"Checksum{(stored.checksum or '').upper()}"
    return f"<{name}>{b64encode(digest).decode()}</{name}>"


def _number(request: ReceivedRequest, name: str, default: int) -> int:
    text = request.headers.get(name) or ""
    return int(text) if text.isdigit() else default
