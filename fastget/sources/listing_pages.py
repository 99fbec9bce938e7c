"""One page of a bucket's listing, read from the bytes of its XML as they arrive.

The parser is expat itself: a document type is refused before an entity could be defined in it (faults.md S17), and
whatever a server can make large is bounded (faults.md S16).
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote_to_bytes
from xml.parsers.expat import ExpatError, ParserCreate

from fastget.core.messages import Headers
from fastget.core.objectinfo import ObjectInfo
from fastget.core.ranges import MAXIMUM_SIZE
from fastget.errors import ProtocolError
from fastget.records import record
from fastget.sources.replies import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.parsers.expat import XMLParserType

# A page has at most 1000 keys of 1024 bytes, each of which may be written as %XX; the rest of an entry is small.
LARGEST_PAGE = 16 * 1024 * 1024
MOST_ENTRIES = 10_000
LONGEST_TEXT = 16 * 1024
DEEPEST = 16
# The parser keeps every name that it has met, and takes its time for each element; an entry has a dozen.
MOST_NAMES = 200
MOST_ELEMENTS = 30 * MOST_ENTRIES
_ROOTS = frozenset({"ListBucketResult", "ListVersionsResult", "Error"})
_ENTRIES = frozenset({"Contents", "Version", "DeleteMarker"})
# What a store writes as %XX where it is asked to; all else in a page, tokens among it, stands as it is.
_ENCODED = frozenset({"Key", "NextMarker", "NextKeyMarker"})
# Of an entry, what is no word about it: its key, and what it is an entry of.
_NAMES = frozenset({"Key", "kind"})
_NO_HEADERS = Headers()


@record
class Page:
    """What one answer lists, in its own order, and where to go on.

    `objects` are those that are listed by their keys (with their versions and delete markers where these were asked
    for), `prefixes` what stands for several. `is_truncated` is None where the page does not say. `next` has the
    `Next…` elements of the page by name.
    """

    objects: tuple[ObjectInfo, ...] = ()
    prefixes: tuple[ObjectInfo, ...] = ()
    is_truncated: bool | None = None
    next: Mapping[str, str] = field(default_factory=dict)


class PageReader:
    """Reads one page: `feed` its bytes in any pieces, then `close`.

    `bucket_url` (`s3://bucket/`) is what the keys come after in the URLs of the entries. Both methods raise
    ProtocolError, with `url` in it, for anything but a listing within the bounds of this module. What repeats one of
    `secrets` counts as not sent; keys alone are names, which nobody could use with something left out.
    """

    def __init__(self, bucket_url: str, url: str, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = secrets
        self._bucket_url = bucket_url
        self._url = url
        self._received = 0
        self._elements = 0
        self._known_names: set[str] = set()
        self._path: list[str] = []
        self._text: list[str] = []
        self._text_length = 0
        self._entry: dict[str, str] = {}
        self._algorithms: list[str] = []
        self._found: list[dict[str, str]] = []
        self._prefixes: list[str] = []
        self._top: dict[str, str] = {}
        self._is_error = False
        self._parser = self._make_parser()

    def feed(self, data: bytes | memoryview) -> None:
        """The next bytes of the page."""
        self._received += len(data)
        if self._received > LARGEST_PAGE:
            self._refuse(f"a page of it is larger than {LARGEST_PAGE} bytes")
        self._parse(bytes(data), final=False)

    def close(self) -> Page:
        """The page, once all of it is here."""
        self._parse(b"", final=True)
        del self._parser  # it refers to this reader, and a page is too large to wait for the garbage collector
        if self._is_error:
            said = self._shown(self._top.get("Error") or "it does not say why")
            self._refuse(f"the store failed in the middle of it: {said}", is_transient=True)
        is_encoded = self._top.get("EncodingType") == "url"
        following = {name: text for name, text in self._top.items() if name.startswith("Next") and text}
        return Page(
            tuple(self._info(found, is_encoded=is_encoded) for found in _without_echoes(self._found, self._secrets)),
            tuple(self._prefix(found, is_encoded=is_encoded) for found in self._prefixes),
            _flag(self._top.get("IsTruncated")),
            {name: _decoded(text) if is_encoded and name in _ENCODED else text for name, text in following.items()},
        )

    # The parser's callbacks ------------------------------------------------------------------------------------

    def _make_parser(self) -> XMLParserType:
        parser = ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        return parser

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except ExpatError as error:
            # Cut short, it may come whole the next time; what is wrong in the middle stays wrong.
            self._refuse(f"it is no well-formed XML ({self._shown(str(error))})", is_transient=final)
        except (UnicodeError, LookupError, ValueError):
            self._refuse("it is in no known encoding")

    def _doctype(self, *_: object) -> NoReturn:
        self._refuse("it has a document type, which no store sends")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            self._refuse(f"a page of it has more than {MOST_ELEMENTS} elements")
        if attributes or tag not in self._known_names:
            self._know(tag, *attributes)
        name = tag.rpartition(":")[2]
        if not self._path and name not in _ROOTS:
            self._refuse(f"it is a document of another kind ({self._shown(name)})", hint="check endpoint_url")
        self._is_error = self._is_error or (not self._path and name == "Error")
        self._path.append(name)
        if len(self._path) > DEEPEST:
            self._refuse("its elements are nested too deep")
        self._text.clear()
        self._text_length = 0
        if len(self._path) == 2 and name in _ENTRIES:
            self._entry = {"kind": name}
            self._algorithms = []

    def _know(self, *names: str) -> None:
        self._known_names.update(names)
        if len(self._known_names) > MOST_NAMES:
            self._refuse(f"a page of it has more than {MOST_NAMES} kinds of elements")

    def _characters(self, text: str) -> None:
        self._text_length += len(text)
        if self._text_length > LONGEST_TEXT:
            self._refuse(f"an element of it is longer than {LONGEST_TEXT} characters")
        self._text.append(text)

    def _end(self, _: str) -> None:
        path, text = self._path, "".join(self._text)
        name = path.pop()
        self._text.clear()
        self._text_length = 0
        if not path:
            return
        inside = path[1] if len(path) > 1 else ""
        if inside in _ENTRIES:
            self._end_in_entry(path, name, text)
        elif inside == "CommonPrefixes":
            if name == "Prefix":
                self._count()
                self._prefixes.append(text)
        elif len(path) == 1:
            self._end_at_top(path[0], name, text)

    def _end_in_entry(self, path: list[str], name: str, text: str) -> None:
        if name == "ChecksumAlgorithm":
            self._algorithms.append(text)
        elif len(path) == 2:
            self._entry[name] = text
        else:  # Owner/DisplayName, RestoreStatus/IsRestoreInProgress, …
            self._entry[f"{path[2]}/{name}"] = text

    def _end_at_top(self, root: str, name: str, text: str) -> None:
        if name in _ENTRIES:
            self._entry["algorithms"] = " ".join(self._algorithms)
            self._count()
            self._found.append(self._entry)
            self._entry = {}
        elif root == "Error":
            said = self._top.get("Error")
            if name in ("Code", "Message"):
                self._top["Error"] = f"{said}: {text}" if said else text
        else:
            self._top[name] = text

    def _count(self) -> None:
        if len(self._found) + len(self._prefixes) >= MOST_ENTRIES:
            self._refuse(f"a page of it has more than {MOST_ENTRIES} entries")

    # From elements to facts ------------------------------------------------------------------------------------

    def _prefix(self, found: str, *, is_encoded: bool) -> ObjectInfo:
        prefix = _decoded(found) if is_encoded else found
        return ObjectInfo(self._bucket_url + prefix, None, key=prefix, is_prefix=True, headers=_NO_HEADERS)

    def _info(self, found: dict[str, str], *, is_encoded: bool) -> ObjectInfo:
        key = found.get("Key", "")
        if not key:
            self._refuse("an entry of it has no key")
        key = _decoded(key) if is_encoded else key
        is_marker = found["kind"] == "DeleteMarker"
        return ObjectInfo(
            url=self._bucket_url + key,
            size=None if is_marker else self._size(found.get("Size")),
            etag=found.get("ETag") or None,
            version_id=found.get("VersionId") or None,
            last_modified=found.get("LastModified") or None,
            storage_class=found.get("StorageClass") or None,
            key=key,
            is_latest=_flag(found.get("IsLatest")),
            is_delete_marker=is_marker,
            checksum_algorithms=tuple(found.get("algorithms", "").split()),
            checksum_type=found.get("ChecksumType") or None,
            owner=found.get("Owner/DisplayName") or found.get("Owner/ID") or None,
            restore=_restore(found),
            headers=_NO_HEADERS,
        )

    def _size(self, text: str | None) -> int | None:
        """A missing size is not known; one that is no number, or that no object can have, is a lie."""
        if text is None or not text.strip():
            return None
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20) or int(digits) > MAXIMUM_SIZE:
            self._refuse("an entry of it has an impossible size")
        return int(digits)

    def _shown(self, text: str) -> str:
        return safe_text(text, self._secrets)

    def _refuse(self, why: str, *, hint: str | None = None, is_transient: bool = False) -> NoReturn:
        raise bad_listing(self._url, why, hint=hint, is_transient=is_transient)


def _without_echoes(entries: list[dict[str, str]], secrets: tuple[str, ...]) -> list[dict[str, str]]:
    if not secrets:
        return entries
    from fastget.core.redaction import repeats_secret

    # Nearly always all of them are looked through in vain: together, that is one look.
    told = "\n".join(text for entry in entries for name, text in entry.items() if name not in _NAMES)
    if not repeats_secret(told, secrets):
        return entries
    return [
        {name: text for name, text in entry.items() if name in _NAMES or not repeats_secret(text, secrets)}
        for entry in entries
    ]


def bad_listing(url: str, why: str, *, hint: str | None = None, is_transient: bool = False) -> ProtocolError:
    """The error for a listing that cannot be believed."""
    return ProtocolError(
        f"{url}: the listing cannot be used: {why}",
        hint=hint or "nothing of it is left out in silence; if the store answers like this again, ask its support",
        url=url,
        is_transient=is_transient,
    )


def order_of(key: str) -> bytes:
    """What keys are ordered by: general purpose buckets list in the order of their UTF-8 bytes."""
    return key.encode("utf-8", "surrogateescape")


def _decoded(text: str) -> str:
    """A name that was written as %XX. Bytes that are no UTF-8 are kept as lone surrogates, as Python's own are."""
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")


def _flag(text: str | None) -> bool | None:
    return {"true": True, "false": False}.get((text or "").strip().lower())


def _restore(found: Mapping[str, str]) -> str | None:
    """What a page says of a restored copy, in the words of the x-amz-restore header."""
    ongoing = found.get("RestoreStatus/IsRestoreInProgress")
    if ongoing is None:
        return None
    until = found.get("RestoreStatus/RestoreExpiryDate")
    said = f'ongoing-request="{ongoing.strip().lower()}"'
    return f'{said}, expiry-date="{until}"' if until else said
