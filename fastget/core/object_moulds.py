"""The answers about whole objects of one store are alike, but for what tells one object from another.

A mould is made of an answer that was read, described and judged in the ordinary way. It recognises the heads of others
that differ in nothing by which answers are judged, and reads from them what they say of their objects. What it does not
recognise is read, described and judged as any other.
"""

from __future__ import annotations

import re
from base64 import b64encode
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

from fastget.core.checksums.declared import DIGEST_FIELDS, DeclaredDigest
from fastget.core.checksums.structured import decode_base64
from fastget.core.messages import Framing, Headers, ResponseHead, is_secret
from fastget.core.moulds import ANYTHING, is_plainly_framed
from fastget.core.objectinfo import ObjectInfo
from fastget.core.ranges import MAXIMUM_SIZE
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastget.core.messages import Request

# Fields that may differ from object to object, and the groups of the pattern that their values are taken from.
_TAKEN_OVER = {
    "content-length": "size",
    "content-type": "content_type",
    "etag": "etag",
    "last-modified": "last_modified",
    "x-amz-version-id": "version_id",
}
# As a `Reading` has them.
_TOLD = ("etag", "version_id", "last_modified", "content_type")
# Fields by which answers are framed, described or judged, and those that begin like these, have to stay the same; but
# not these exceptions, which say nothing.
_JUDGED = frozenset({"accept-ranges", "connection", "server", "transfer-encoding", "upgrade"})
_JUDGED_KINDS = ("content-", "ibm-", "x-amz-", "x-goog-")
_MEANINGLESS = frozenset(
    {
        "x-amz-expiration",
        "x-amz-id-2",
        "x-amz-request-id",
        "x-goog-generation",
        "x-goog-metageneration",
        "x-goog-stored-content-length",
    }
)
_MEANINGLESS_KINDS = ("x-amz-meta-", "x-goog-meta-")
_TARGET = re.compile("[!-~]+")
# The methods that ask about a whole object, and what frames the body of an answer to each.
_FRAMINGS = {"GET": Framing.LENGTH, "HEAD": Framing.NONE}
# What stands before the one digest of a field, in base64: nothing, its name, or its name in a structured field.
_BEFORE_DIGEST = re.compile("(?:[A-Za-z0-9-]+=:?)?")


@record
class Reading:
    """What a recognised answer says of its object; in all else that is `like` the one that the mould was made of."""

    like: ObjectInfo
    size: int
    etag: str | None
    version_id: str | None
    last_modified: str | None
    content_type: str | None
    declared: tuple[DeclaredDigest, ...]

    def info(self, url: str, head: ResponseHead) -> ObjectInfo:
        """The description of the object at `url`, in redacted form; `head` is the one that this was read from."""
        like = self.like
        return ObjectInfo(
            url=url,
            size=self.size,
            etag=self.etag,
            version_id=self.version_id,
            last_modified=self.last_modified,
            content_type=self.content_type,
            content_encoding=like.content_encoding,
            accepts_ranges=like.accepts_ranges,
            storage_class=like.storage_class,
            declared=self.declared,
            headers=head.headers,
        )


class ObjectMould:
    """For plain requests of one method to one store; a `Casting` of each of them.

    `like` describes the object that it was made of.
    """

    __slots__ = (
        "_digests",
        "_fields",
        "_framing",
        "_method",
        "_origin",
        "_pattern",
        "_reason",
        "_rest",
        "_said",
        "_size",
        "_told",
        "_varying",
        "like",
    )

    def __init__(self, request: Request, encoded: bytes, head: ResponseHead, info: ObjectInfo) -> None:
        self._method = request.method
        self._origin = request.url.origin
        # A signed request is good for itself alone.
        self._said = None if any(is_secret(name) for name, _ in request.headers) else request.headers
        self._rest = encoded.removeprefix(f"{request.method} {request.url.target}".encode())
        self._framing = head.framing
        self._reason = head.reason
        self.like = info
        self._fields = tuple(head.headers)
        self._pattern = re.compile("".join(_lines(head, info.declared)))
        group = self._pattern.groupindex
        self._varying = [
            (place, name, group[_group(place, name)] - 1)
            for place, (name, _) in enumerate(self._fields)
            if _varies(name.lower())
        ]
        self._digests = [
            (one.algorithm, one.origin, group[f"digest{number}"] - 1) for number, one in enumerate(info.declared)
        ]
        self._size = group["size"] - 1
        # Behind what the groups hold stands None, for what an answer of this mould does not tell.
        self._told = itemgetter(*(group.get(name, 0) - 1 for name in _TOLD))

    @classmethod
    def of(cls, request: Request, encoded: bytes, head: ResponseHead, info: ObjectInfo) -> Self | None:
        """From a plain request, its bytes on the wire, and the head of the answer, which `info` describes.

        None where they are no mould for others: an answer that does not tell the size by its length, ends its
        connection, or is unusual in its form.
        """
        framing = _FRAMINGS.get(request.method)
        if framing is None or info.size is None or not _is_plain(head, framing):
            return None
        if not _tells_apart(head.headers, info.declared):
            return None
        return cls(request, encoded, head, info)

    def encode(self, request: Request) -> bytes | None:
        """The bytes of a request's head, for a server that is asked without a proxy; None for one that is not alike."""
        target = request.url.target
        is_alike = (
            request.headers == self._said
            and request.method == self._method
            and request.url.origin == self._origin
            and _TARGET.fullmatch(target) is not None
        )
        return f"{self._method} {target}".encode() + self._rest if is_alike else None

    def recognise(self, data: bytes) -> tuple[ResponseHead, int] | None:
        """The head that `data` begins with, and its length; None where it has to be read in the ordinary way."""
        match = self._pattern.match(data.decode("latin-1"))
        if match is None:
            return None
        said: tuple[Any, ...] = (*match.groups(), None)
        size, declared = int(said[self._size]), []
        for algorithm, origin, group in self._digests:
            value = decode_base64(said[group])
            if value is None:
                return None
            declared.append(DeclaredDigest(algorithm, value, origin))
        if size > MAXIMUM_SIZE:
            return None
        fields = list(self._fields)
        for place, name, group in self._varying:
            fields[place] = (name, said[group])
        etag, version_id, last_modified, content_type = self._told(said)
        reading = Reading(self.like, size, etag, version_id, last_modified, content_type, tuple(declared))
        length = size if self._framing is Framing.LENGTH else None
        head = ResponseHead(200, Headers(fields), self._framing, length, self._reason, reading=reading)
        return head, match.end()


def _is_plain(head: ResponseHead, framing: Framing) -> bool:
    """Whether the head is plainly framed in this way, and says once what is taken over."""
    return (
        head.status == 200
        and is_plainly_framed(head, framing)
        and not any(len(head.headers.get_all(name)) > 1 for name in _TAKEN_OVER)
    )


def _tells_apart(headers: Headers, declared: Sequence[DeclaredDigest]) -> bool:
    """Whether each digest is the only one of one field, and that its only one."""
    found = [_digest_in(name, value, declared) for name, value in headers]
    return sorted(number for number in found if number is not None) == list(range(len(declared)))


def _lines(head: ResponseHead, declared: Sequence[DeclaredDigest]) -> Iterator[str]:
    """The head as a regular expression."""
    yield re.escape(f"HTTP/1.1 200 {head.reason}" if head.reason else "HTTP/1.1 200") + r"\r\n"
    for place, (name, value) in enumerate(head.headers):
        yield re.escape(f"{name}: ")
        pattern = _value(name.lower(), value, _digest_in(name, value, declared), declared)
        yield f"(?P<{_group(place, name)}>{pattern})" if _varies(name.lower()) else pattern
        yield r"\r\n"
    yield r"\r\n"


def _value(name: str, value: str, number: int | None, declared: Sequence[DeclaredDigest]) -> str:
    """What may stand in the place of a field's value; `number` is that of the digest in it."""
    if number is not None:
        text = _base64(declared[number])
        before, _, after = value.partition(text)
        letters = text.rstrip("=")
        digest = f"(?P<digest{number}>[A-Za-z0-9+/]{{{len(letters)}}}{text[len(letters) :]})"
        return re.escape(before) + digest + re.escape(after)
    if name == "content-length":
        return "[0-9]{1,19}"
    return ANYTHING if name not in DIGEST_FIELDS and _varies(name) else re.escape(value)


def _varies(name: str) -> bool:
    """Whether the value of a field, its name in lower case, may be another one."""
    if name in _TAKEN_OVER or name in _MEANINGLESS or name in DIGEST_FIELDS or name.startswith(_MEANINGLESS_KINDS):
        return True
    return name not in _JUDGED and not name.startswith(_JUDGED_KINDS)


def _group(place: int, name: str) -> str:
    return _TAKEN_OVER.get(name.lower(), f"field{place}")


def _digest_in(name: str, value: str, declared: Sequence[DeclaredDigest]) -> int | None:
    """Which of the digests a field holds, where it holds nothing else."""
    lowered = name.lower()
    for number, digest in enumerate(declared):
        before, found, after = value.partition(_base64(digest))
        if (
            digest.origin == lowered
            and digest.parts is None
            and found
            and after in ("", ":")
            and _BEFORE_DIGEST.fullmatch(before)
        ):
            return number
    return None


def _base64(digest: DeclaredDigest) -> str:
    return b64encode(digest.value).decode("ascii")
