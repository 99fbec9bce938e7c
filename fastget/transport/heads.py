"""Request heads out and response heads in; the bounds that h11 leaves to its user are kept here.

Ordinary heads are read in one go (`plain_heads`); h11 reads everything else, and is loaded only for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.messages import Framing, Headers, Request, ResponseHead, value_bytes
from fastget.core.ranges import MAXIMUM_SIZE
from fastget.errors import ConfigError, ProtocolError
from fastget.records import record
from fastget.transport import plain_heads

if TYPE_CHECKING:
    import h11

    from fastget.core.messages import Casting


MAXIMUM_HEAD_BYTES = 300 * 1024
MAXIMUM_FIELDS = 5000
MAXIMUM_INTERIM_ANSWERS = 16

_START = b"HTTP/1."
_BODILESS = frozenset({204, 304})
# What h11 says only to those who know its inside.
_PLAINER = {
    "Only Transfer-Encoding": "it has a transfer coding other than chunked, which nobody asked for",
    "Received server _SWITCH": "it switches to another protocol, which nobody asked for",
    "Receive buffer too long": "its head is too long",
    "InformationalResponse status_code": "its status is less than 100",
}


@record
class Reception:
    """A head, whether the server keeps the connection open after it, and the bytes that came behind it."""

    head: ResponseHead
    is_kept_alive: bool
    surplus: bytes


class HeadExchange:
    """One request and the head of its answer. Of a body, only what came along with the head passes here."""

    def __init__(self) -> None:
        self._request: tuple[str, str, list[plain_heads.Field]] = ("", "", [])
        self._reader: h11.Connection | None = None
        self._seen = bytearray()
        self._interim_answers = 0

    def encode(self, request: Request, *, target: str | None = None, extra: Headers | None = None) -> bytes:
        """The bytes of a request head. `target` replaces the origin form (RFC 9112 §3.2); `extra` is added.

        Raises ConfigError for a field that HTTP does not allow, one with a line break for example.
        """
        fields = [*request.headers, *(extra or ())]
        if "host" not in [name.lower() for name, _ in fields]:
            fields.insert(0, ("Host", request.url.origin.host_header))
        return self._serialise(request.method, target or request.url.target, fields)

    def encode_connect(self, authority: str, extra: Headers) -> bytes:
        """The bytes of a CONNECT request to a proxy; `authority` is host:port (RFC 9110 §9.3.6)."""
        return self._serialise("CONNECT", authority, [("Host", authority), *extra])

    def _serialise(self, method: str, target: str, fields: list[tuple[str, str]]) -> bytes:
        self._request = method, target, fields
        data = plain_heads.encode(method, target, fields)
        if data is None:
            raise not_allowed()
        return data

    def feed(self, data: memoryview) -> Reception | None:
        """Take received bytes; the final answer's head once it is complete, or None.

        Raises ProtocolError for what is not HTTP/1.0 or 1.1, breaks its syntax, or goes past the bounds.
        """
        if self._reader is None and (reception := self._read_plainly(bytes(data))) is not None:
            return reception
        self._seen += data
        if not self._seen.startswith(_START[: len(self._seen)]):
            raise ProtocolError(
                "the server does not answer in HTTP/1.1", hint="check the scheme and the port of the URL"
            )
        return self._read_by_h11(bytes(data))

    def _read_plainly(self, data: bytes) -> Reception | None:
        found = plain_heads.read(data)
        if found is None:
            return None
        status, reason, headers, length = found
        return self._reception(status, reason, headers, b"1.1", data[length:])

    def _read_by_h11(self, data: bytes) -> Reception | None:
        import h11

        try:
            if self._reader is None:
                self._reader = self._begin_reader()
            self._reader.receive_data(data)
            return self._next_head(self._reader)
        except h11.RemoteProtocolError as error:
            # Its own text quotes the answer, in which a server may have repeated what it was told.
            raise ProtocolError(f"the server's answer breaks HTTP: {unquoted(error)}") from None

    def _begin_reader(self) -> h11.Connection:
        import h11

        reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAXIMUM_HEAD_BYTES)
        method, target, fields = self._request
        encoded = [(name.encode(), value_bytes(value)) for name, value in fields]
        reader.send(h11.Request(method=method, target=target, headers=encoded))
        reader.send(h11.EndOfMessage())
        return reader

    def _next_head(self, reader: h11.Connection) -> Reception | None:
        import h11

        while True:
            event = reader.next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                return self._final(event, reader.trailing_data[0])
            self._pass_over(reader)

    def _pass_over(self, reader: h11.Connection) -> None:
        self._interim_answers += 1
        if self._interim_answers > MAXIMUM_INTERIM_ANSWERS:
            raise ProtocolError(f"the server sent more than {MAXIMUM_INTERIM_ANSWERS} interim (1xx) answers")
        del self._seen[:]
        self._seen += reader.trailing_data[0]

    def _final(self, event: h11.Response, surplus: bytes) -> Reception:
        _check_syntax(self._seen[: len(self._seen) - len(surplus)], event)
        headers = Headers(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()
        )
        check_count(headers)
        reason = event.reason.decode("latin-1")
        return self._reception(event.status_code, reason, headers, event.http_version, surplus)

    def _reception(self, status: int, reason: str, headers: Headers, version: bytes, surplus: bytes) -> Reception:
        framing, length = framing_of(self._request[0], status, headers)
        head = ResponseHead(status, headers, framing, length, reason)
        is_kept_alive = framing is not Framing.CLOSE and _is_kept_alive(version, headers)
        return Reception(head, is_kept_alive, surplus)


class CastExchange(HeadExchange):
    """The same for a request that has a mould: an answer that is like the mould's own is recognised, not read."""

    def __init__(self, request: Request, cast: Casting) -> None:
        super().__init__()
        self._whole = request
        self._cast = cast

    def encode(self, request: Request, *, target: str | None = None, extra: Headers | None = None) -> bytes:
        """As for any request. A proxy wants it in another form than the one that the mould has."""
        encoded = self._cast.encode(request) if target is None else None
        return super().encode(request, target=target, extra=extra) if encoded is None else encoded

    def feed(self, data: memoryview) -> Reception | None:
        """As for any request."""
        if not self._seen:
            received = bytes(data)
            recognised = self._cast.recognise(received)
            if recognised is not None:
                head, length = recognised
                return Reception(head, True, received[length:])
            super().encode(self._whole)  # only now is it of interest what was asked
        return super().feed(data)


def not_allowed() -> ConfigError:
    """The error for a field or a target that no request may hold. It may be a secret, and is not quoted."""
    return ConfigError(
        "the request holds a header field or a target that HTTP does not allow",
        hint="look for line breaks, other control characters and blanks around a value in headers and URL",
    )


def check_count(headers: Headers) -> None:
    """Raise ProtocolError where an answer has more fields than any needs."""
    if len(headers) > MAXIMUM_FIELDS:
        raise ProtocolError(f"the answer has more than {MAXIMUM_FIELDS} header fields")


def unquoted(error: Exception) -> str:
    """What h11 has against an answer, without the bytes that it quotes behind a colon."""
    said = str(error).partition(": ")[0][:200]
    return next((plain for begins, plain in _PLAINER.items() if said.startswith(begins)), said)


def _check_syntax(raw: bytearray, event: h11.Response) -> None:
    if event.http_version not in (b"1.0", b"1.1"):
        raise ProtocolError(f"the server answers in HTTP/{event.http_version.decode('ascii')}, which does not exist")
    if b"\n " in raw or b"\n\t" in raw:  # h11 unfolds; a fold is obsolete, and a way to smuggle
        raise ProtocolError("the answer holds a folded header line (RFC 9112 §5.2)")


def framing_of(method: str, status: int, headers: Headers) -> tuple[Framing, int | None]:
    """How the body ends, in the order of RFC 9112 §6.3; h11 has refused all codings but one `chunked`."""
    if method == "HEAD" or status in _BODILESS or (method == "CONNECT" and 200 <= status < 300):
        return Framing.NONE, None
    if "transfer-encoding" in headers:
        return Framing.CHUNKED, None
    declared = headers.get("content-length")
    if declared is None:
        return Framing.CLOSE, None
    length = int(declared.partition(",")[0])
    if length > MAXIMUM_SIZE:
        raise ProtocolError("the answer declares a length that no object can have")
    return Framing.LENGTH, length


def _is_kept_alive(version: bytes, headers: Headers) -> bool:
    said = headers.get_all("connection")
    if not said and version == b"1.1" and "transfer-encoding" not in headers:
        return True
    options = {option.strip().lower() for value in said for option in value.split(",")}
    if "close" in options:
        return False
    if "transfer-encoding" in headers and ("content-length" in headers or version == b"1.0"):
        return False  # a message that was framed twice, or faultily, ends its connection (RFC 9112 §6.1)
    return version == b"1.1" or "keep-alive" in options
