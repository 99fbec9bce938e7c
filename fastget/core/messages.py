"""HTTP messages as values: a request to send, the head of an answer, and how its body is framed."""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Protocol, Self

from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, KeysView

    from fastget.core.object_moulds import Reading
    from fastget.core.urls import URL

# Header fields whose values are secrets, wherever a message is printed or sent on; a Location may be a presigned URL.
SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "location",
        "proxy-authorization",
        "set-cookie",
        "x-amz-server-side-encryption-customer-key-md5",
    }
)
# x-amz-security-token, x-amz-server-side-encryption-customer-key, x-api-key, private-token and their like.
_SECRET_ENDINGS = ("-token", "-key", "-secret", "-signature")


class Headers:
    """Header fields in the order received, looked up without regard to case."""

    __slots__ = ("_fields", "_items")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple(items)
        self._fields: dict[str, tuple[str, ...]] | None = None

    @classmethod
    def indexed(cls, items: Iterable[tuple[str, str]], values: dict[str, tuple[str, ...]]) -> Self:
        """The same from someone who has looked at every field: `values` are those of each name, in lower case."""
        made = cls(items)
        made._fields = values
        return made

    def get(self, name: str) -> str | None:
        """The first value of a field, or None."""
        values = (self._fields or self._by_name()).get(name.lower())
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, one for each line that carried it."""
        return (self._fields or self._by_name()).get(name.lower(), ())

    def joined(self) -> dict[str, str]:
        """Every field by its name in lower case; one that came on several lines is one value (RFC 9110 §5.2)."""
        return {name: ", ".join(values) for name, values in self._by_name().items()}

    def names(self) -> KeysView[str]:
        """The name of each field once, in lower case."""
        return self._by_name().keys()

    def _by_name(self) -> dict[str, tuple[str, ...]]:
        """Made at the first look-up: the fields of a request that is about to be signed are never looked up."""
        if self._fields is None:
            fields: dict[str, tuple[str, ...]] = {}
            for name, value in self._items:
                key = name.lower()
                fields[key] = (*fields.get(key, ()), value)
            self._fields = fields
        return self._fields

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in (self._fields or self._by_name())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}: {'…' if is_secret(name) else value}" for name, value in self._items)
        return f"Headers({shown})"


def is_secret(name: str) -> bool:
    """Whether a header field may hold a secret: it is not printed, and stays with the origin that it was given for."""
    lowered = name.lower()
    return lowered in SECRET_HEADERS or lowered.endswith(_SECRET_ENDINGS)


def value_bytes(value: str) -> bytes:
    """A field's value for the wire. One that was received as Latin-1, as an ETag, goes back as the same bytes.

    Only what Latin-1 cannot say, which no answer has brought, becomes UTF-8 (RFC 9110 §5.5).
    """
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


class Casting(Protocol):
    """What has seen an answer, and recognises those that are like it."""

    def encode(self, request: Request) -> bytes | None:
        """The bytes of the request's head, for a server that is asked without a proxy; None: in the ordinary way."""
        ...

    def recognise(self, data: bytes) -> tuple[ResponseHead, int] | None:
        """The head that `data` begins with, and its length; None where it has to be read in the ordinary way."""
        ...


@record
class Request:
    """One request, signed and ready to send. It has no body: fastget only reads.

    `public_only`: a redirect from the open internet led here, and must not lead into a private network (faults.md H30).
    `cast`: its answer is likely to be like one that came before.
    """

    method: str
    url: URL
    headers: Headers = field(default_factory=Headers)
    public_only: bool = False
    cast: Casting | None = field(default=None, repr=False, compare=False)


class Framing(Enum):
    """How a body ends (RFC 9112 §6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@record
class ResponseHead:
    """Status line and header fields of an answer, and the framing of the body that follows.

    `content_length` is in bytes and set only where the framing is LENGTH. `is_from_public` is told of redirects alone:
    they came from an address of the open internet, without a proxy. `is_recognised`: it answers a cast of a
    mould, holds the range that was asked for, and is as acceptable as the mould's own was, whose `headers` it shows.
    `reading`: what it says of its object, where it was recognised as being like the answer to another whole object.
    """

    status: int
    headers: Headers
    framing: Framing
    content_length: int | None = None
    reason: str = ""
    is_from_public: bool = False
    is_recognised: bool = False
    reading: Reading | None = field(default=None, repr=False, compare=False)
