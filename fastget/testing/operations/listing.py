"""Listings as S3 makes them: ListObjects, ListObjectsV2 and ListObjectVersions, in pages."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from fastget.testing.answer import Answer, document
from fastget.testing.documents import error, identifiers
from fastget.testing.objects import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastget.testing.received import ReceivedRequest

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# Of another operation on a bucket: its query has one of these.
_OTHERS = frozenset({"location", "session", "uploads", "versioning", "acl", "policy", "tagging", "lifecycle"})


@dataclass(frozen=True, slots=True)
class DeleteMarker:
    """What stands for a key that was deleted."""

    version_id: str
    last_modified: str = "Mon, 02 Mar 2026 10:20:30 GMT"


Stored = StoredObject | DeleteMarker


@dataclass(frozen=True, slots=True)
class _Name:
    """A line of a listing: a key, or a prefix that sums up the keys that begin with it."""

    text: str
    is_prefix: bool = False


class Listing:
    """An operation that lists the objects of an object server.

    `objects` are those of the server by their paths (`/bucket/key`), each alone or with all of its versions, the oldest
    first (a key without any makes the bucket exist); the mapping may change while it is in use. A page has at most
    `page_size` names. Stores that do otherwise: `encodes` is False where encoding-type is ignored, `knows_second` where
    list-type=2 is (the first version answers).
    """

    def __init__(
        self,
        objects: Mapping[str, Stored | Sequence[Stored]],
        *,
        page_size: int = 1000,
        encodes: bool = True,
        knows_second: bool = True,
    ) -> None:
        self._objects = objects
        self._page_size = page_size
        self._encodes = encodes
        self._knows_second = knows_second

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        """The page that is asked for; None for a request of another kind."""
        bucket, _, key = request.path.removeprefix("/").partition("/")
        names = {name for name, _ in request.query}
        if request.method != "GET" or not bucket or key or names & _OTHERS or request.path in self._objects:
            return None
        versions = self._versions_in(f"{bucket}/")
        if not versions:
            return error(404, "NoSuchBucket", "The specified bucket does not exist", {"BucketName": bucket})
        return _Page(self, request, bucket, versions).answer()

    def _versions_in(self, bucket: str) -> dict[str, Sequence[Stored]]:
        """The versions of every key of a bucket, in the order of their UTF-8 bytes, the newest last."""
        found = {
            path.removeprefix("/")[len(bucket) :]: stored if isinstance(stored, Sequence) else (stored,)
            for path, stored in self._objects.items()
            if path.removeprefix("/").startswith(bucket)
        }
        return {key: found[key] for key in sorted(found, key=lambda key: key.encode("utf-8", "surrogateescape"))}


class _Page:
    """One answer in the making."""

    def __init__(
        self, listing: Listing, request: ReceivedRequest, bucket: str, versions: dict[str, Sequence[Stored]]
    ) -> None:
        self._request = request
        self._bucket = bucket
        self._versions = versions
        self._all_versions = request.parameter("versions") is not None
        self._second = listing._knows_second and request.parameter("list-type") == "2"
        self._encodes = listing._encodes and request.parameter("encoding-type") == "url"
        self._prefix = request.parameter("prefix") or ""
        self._delimiter = request.parameter("delimiter") or ""
        self._size = min(listing._page_size, int(request.parameter("max-keys") or 1000))

    def answer(self) -> Answer:
        lines = self._lines()
        page = list(islice(lines, self._size))
        is_truncated = bool(page) and next(lines, None) is not None
        body = "".join(self._entry(*line) for line in page)
        root = "ListVersionsResult" if self._all_versions else "ListBucketResult"
        fields = {
            "Name": self._bucket,
            "Prefix": self._encoded(self._prefix),
            **({"Delimiter": self._encoded(self._delimiter)} if self._delimiter else {}),
            **({"EncodingType": "url"} if self._encodes else {}),
            "MaxKeys": str(self._size),
            **({"KeyCount": str(len(page))} if self._second else {}),
            "IsTruncated": str(is_truncated).lower(),
            **(self._next(*page[-1]) if is_truncated else {}),
        }
        xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{_elements(fields)}{body}</{root}>'
        return document(200, xml.encode(), ("Content-Type", "application/xml"), *identifiers(amazon=True))

    # What is in it -----------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[tuple[_Name, Stored | None, bool]]:
        """Name, version and whether it is the current one, from where the page begins."""
        after, after_version = self._begin()
        summed = ""
        for key, versions in self._versions.items():
            if not key.startswith(self._prefix):
                continue
            name = self._named(key)
            if name.is_prefix:
                if name.text != summed and not _comes_before(name.text, after) and self._listed(versions):
                    summed = name.text
                    yield name, None, False
                continue
            for stored in self._listed(versions):
                if key == after and after_version is not None:
                    after_version = None if _version(stored) == after_version else after_version
                    continue
                if not _comes_before(key, after) or (key == after and self._all_versions and self._is_resumed()):
                    yield name, stored, stored is versions[-1]

    def _listed(self, versions: Sequence[Stored]) -> Sequence[Stored]:
        """Newest first; the current ones alone, unless all versions are asked for."""
        if self._all_versions or not versions:
            return versions[::-1]
        return versions[-1:] if isinstance(versions[-1], StoredObject) else ()

    def _named(self, key: str) -> _Name:
        end = key.find(self._delimiter, len(self._prefix)) if self._delimiter else -1
        return _Name(key[: end + len(self._delimiter)], is_prefix=True) if end >= 0 else _Name(key)

    def _is_resumed(self) -> bool:
        return self._request.parameter("version-id-marker") is not None

    def _begin(self) -> tuple[str, str | None]:
        """The name after which the page begins, and the version after which, where that is inside of a key."""
        parameter = self._request.parameter
        if self._all_versions:
            return parameter("key-marker") or "", parameter("version-id-marker")
        if not self._second:
            return parameter("marker") or "", None
        token = parameter("continuation-token")
        return (urlsafe_b64decode(token).decode() if token else parameter("start-after") or ""), None

    def _next(self, name: _Name, stored: Stored | None, _: bool) -> dict[str, str]:
        if self._all_versions:
            marker = {"NextKeyMarker": self._encoded(name.text)}
            return marker if stored is None else {**marker, "NextVersionIdMarker": _version(stored)}
        if self._second:
            return {"NextContinuationToken": urlsafe_b64encode(name.text.encode()).decode()}
        # The first version names the place only where there is a delimiter.
        return {"NextMarker": self._encoded(name.text)} if self._delimiter else {}

    # As XML ------------------------------------------------------------------------------------------------------

    def _entry(self, name: _Name, stored: Stored | None, is_latest: bool) -> str:
        if stored is None:
            return f"<CommonPrefixes><Prefix>{escape(self._encoded(name.text))}</Prefix></CommonPrefixes>"
        when = parsedate_to_datetime(stored.last_modified).astimezone(UTC)
        fields = {"Key": self._encoded(name.text), "LastModified": f"{when:%Y-%m-%dT%H:%M:%S}.000Z"}
        if self._all_versions:
            fields |= {"VersionId": _version(stored), "IsLatest": str(is_latest).lower()}
        if isinstance(stored, DeleteMarker):
            return f"<DeleteMarker>{_elements(fields)}</DeleteMarker>"
        fields |= {"ETag": stored.etag, "Size": str(stored.content.size)}
        if stored.checksum is not None:
            fields["ChecksumAlgorithm"] = str(stored.checksum).upper()
            fields["ChecksumType"] = "COMPOSITE" if stored.is_composite else "FULL_OBJECT"
        fields["StorageClass"] = stored.headers.get("x-amz-storage-class", "STANDARD")
        kind = "Version" if self._all_versions else "Contents"
        return f"<{kind}>{_elements(fields)}</{kind}>"

    def _encoded(self, name: str) -> str:
        return quote_plus(name, safe="/") if self._encodes else name


def _comes_before(name: str, after: str) -> bool:
    """Whether a listing that begins after `after` leaves `name` out."""
    return bool(after) and name.encode("utf-8", "surrogateescape") <= after.encode("utf-8", "surrogateescape")


def _version(stored: Stored) -> str:
    return stored.version_id or "null"


def _elements(fields: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
