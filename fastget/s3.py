"""GetObject as the AWS and IBM SDKs shape it: their keywords, their answer, and a body that is verified as it is read.

    from fastget import s3
    answer = s3.get_object(Bucket="bucket", Key="key")
    with answer["Body"] as body:
        for chunk in body.iter_chunks():
            ...
    body.verification.verified    # whether a digest of the content was compared, and found equal

To fetch large objects quickly, use `fastget.download`: a body comes over one connection.
"""

from __future__ import annotations

import io
from contextlib import ExitStack, suppress
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict, TypeVar

from fastget.client import Client
from fastget.engine.cancellation import Cancellation
from fastget.engine.reading.body import ObjectBody, open_body
from fastget.errors import ConfigError, NoSpace
from fastget.sinks.memory import letting_go
from fastget.sources.resolve import ErrorsOf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from typing import Unpack

    from _typeshed import WriteableBuffer

    from fastget.events import Verification

__all__ = ["Body", "GetObjectOptions", "get_object"]

_W = TypeVar("_W")
_T = TypeVar("_T")
CHUNK_SIZE = 64 * 1024
_BUFFER_SIZE = 256 * 1024
# Bodies of this size are given memory before they have come: a server may claim any.
_AT_ONCE = 64 * 1024 * 1024
# Options that say how to ask. What to ask for, and what becomes of it, GetObject has its own keywords for.
CONNECTION_OPTIONS = (
    "access_key_id",
    "addressing_style",
    "ca_bundle",
    "connect_timeout",
    "endpoint_url",
    "headers",
    "ibm_api_key_id",
    "ibm_auth_endpoint",
    "insecure",
    "limit_rate",
    "no_sign_request",
    "profile",
    "proxy",
    "region",
    "response_timeout",
    "retries",
    "secret_access_key",
    "session_token",
    "stall_timeout",
    "use_accelerate_endpoint",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
)


class Options(TypedDict, total=False):
    """What `get_object` takes, but for the client. The capitalised keywords are those of the SDKs; the others say how
    to ask.

    `SSECustomerKey` is the key itself, its MD5 is computed; where `SSECustomerKeyMD5` is given, the key is in base64.
    A datetime without a time zone is in UTC, as in the SDKs.
    """

    Bucket: Required[str]
    Key: Required[str]
    IfMatch: str | None
    IfModifiedSince: datetime | str | float | None
    IfNoneMatch: str | None
    IfUnmodifiedSince: datetime | str | float | None
    Range: str | None
    PartNumber: int | None
    VersionId: str | None
    ResponseCacheControl: str | None
    ResponseContentDisposition: str | None
    ResponseContentEncoding: str | None
    ResponseContentLanguage: str | None
    ResponseContentType: str | None
    ResponseExpires: datetime | str | float | None
    SSECustomerAlgorithm: str | None
    SSECustomerKey: str | bytes | None
    SSECustomerKeyMD5: str | None
    RequestPayer: str | None
    ExpectedBucketOwner: str | None
    ChecksumMode: str | None
    MirrorDestination: str | None

    access_key_id: str
    addressing_style: Literal["auto", "path", "virtual"]
    ca_bundle: str
    connect_timeout: float
    endpoint_url: str
    headers: Mapping[str, str]
    ibm_api_key_id: str
    ibm_auth_endpoint: str
    insecure: bool
    limit_rate: int
    no_sign_request: bool
    profile: str
    proxy: str
    region: str
    response_timeout: float
    retries: int
    secret_access_key: str
    session_token: str
    stall_timeout: float
    use_accelerate_endpoint: bool
    use_dualstack_endpoint: bool
    use_fips_endpoint: bool


class GetObjectOptions(Options, total=False):
    """What `get_object` takes; `client` lends its connections and options."""

    client: Client | None


def get_object(**options: Unpack[GetObjectOptions]) -> dict[str, Any]:
    """Ask for an object, or for a range or a part of it; the answer has the fields and types of the SDKs.

    `Body` is a `Body`: read it to its end or close it. A client given as `client` lends its connections and options;
    without one, the body owns what it needs and lets go of it in the end.

    Raises ConfigError, before anything is sent, for keywords that do not exist, cannot be or exclude each other;
    NotModified (304), SourceChanged (412) and the other errors of fastget.errors for what the store refuses.
    """
    return request_object(options, Cancellation())


def request_object(options: Mapping[str, Any], cancellation: Cancellation) -> dict[str, Any]:
    """`get_object`, ended early with Cancelled when `cancellation` is cancelled from another thread."""
    from fastget.sources.getobject import sdk_response
    from fastget.sources.getobject_parameters import Selection

    connection, given = _sorted_out(options)
    client = options.get("client")
    if not isinstance(client, Client | None):
        kind = f"{type(client).__module__}.{type(client).__qualname__}"
        raise ConfigError(f"client is a fastget.Client, not one of type {kind}", hint="aio.s3 takes that of aio, too")
    with ExitStack() as held:
        lender = client or held.enter_context(Client())
        config = lender.configured("s3://", connection)
        selection = Selection.of(given, config)
        pool, endpoints = held.enter_context(lender.lend(config))
        source = selection.source(config, endpoints)
        ours = held.pop_all()
    try:
        with ErrorsOf(source.display_url):
            body = open_body(
                source,
                lambda _: source.request("GET", selection.range, selection.part_number),
                pool,
                cancellation,
                config=config,
                is_of_whole=selection.is_of_whole,
                part_number=selection.part_number,
                on_end=ours.close,
                store=lender.store_of(source),
            )
    except BaseException:
        ours.close()
        raise
    try:
        selection.check_answer(body.head, source.display_url)
    except BaseException:
        body.close()
        raise
    return {"Body": Body(body), **sdk_response(body.head, body.retried)}


def _sorted_out(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that say how to ask, and the keywords of GetObject. Raises ConfigError for any other name."""
    from fastget.sources.getobject_parameters import KEYWORDS

    known = (*KEYWORDS, *CONNECTION_OPTIONS, "client")
    for name in options:
        if name not in known:
            lowered = {word.lower().replace("_", ""): word for word in known}
            near = get_close_matches(name.lower().replace("_", ""), lowered, n=1)
            hint = f"did you mean {lowered[near[0]]}?" if near else "the keywords are those of boto3's get_object"
            raise ConfigError(f"get_object has no keyword {name!r}", hint=hint)
    connection = {name: value for name, value in options.items() if name in CONNECTION_OPTIONS and value is not None}
    return connection, {name: value for name, value in options.items() if name in KEYWORDS}


class _Raw(io.RawIOBase):
    """The body as Python's buffered reader takes it."""

    def __init__(self, body: ObjectBody) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._body.read_into(memoryview(buffer).cast("B"))

    def readall(self) -> bytes:
        left = (self._body.length or 0) - self._body.position
        with letting_go():
            return self._read_exactly(left) if 0 < left <= _AT_ONCE else self._read_on()

    def _read_exactly(self, size: int) -> bytes:
        """All that is left, into memory of its size."""
        # No BytesIO: one that is collected while an error's frames still hold views of it prints a BufferError.
        room, filled = memoryview(bytearray(size)), 0
        while filled < size:
            filled += self._body.read_into(room[filled:])
        return bytes(room)

    def _read_on(self) -> bytes:
        found = io.BytesIO()
        buffer = memoryview(bytearray(_BUFFER_SIZE))
        while count := self._body.read_into(buffer):
            found.write(buffer[:count])
        return found.getvalue()

    def tell(self) -> int:
        return self._body.position

    def close(self) -> None:
        self._body.close()
        super().close()


class Body(io.BufferedReader):
    """The bytes of an answer, verified as they are read: a digest that does not hold raises ChecksumMismatch.

    The last bytes are given out only once everything was found right, so that what has been read to its end is what
    was stored. A connection that breaks is replaced, and the same version read on. `read`, `readinto`, `readline`,
    `tell` and `close` are those of a file; iterating gives chunks, as in the SDKs. One thread reads, any may close: a
    read that waits then ends with Cancelled. A context manager, which closes.
    """

    _left_at: int | None = None

    def __init__(self, body: ObjectBody) -> None:
        super().__init__(_Raw(body), _BUFFER_SIZE)
        self._object_body = body

    # A read that is interrupted gives nothing out, and what it has taken is gone: it is told, or there would be a gap.

    def read(self, amt: int | None = -1) -> bytes:
        """All that is left, or `amt` bytes, fewer only at the end; the name is that of the SDKs."""
        if isinstance(amt, int) and amt > _AT_ONCE:
            return self._take(self._read_up_to, amt)
        return self._take(super().read, amt)

    def _read_up_to(self, amt: int) -> bytes:
        """By and by: the caller may have meant no more than that there be a bound."""
        found = io.BytesIO()
        while left := amt - found.tell():
            if not (piece := super().read(min(left, _AT_ONCE))):
                break
            found.write(piece)
        return found.getvalue()

    def read1(self, size: int = -1, /) -> bytes:
        return self._take(super().read1, size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._take(super().readinto, buffer)

    def readinto1(self, buffer: WriteableBuffer, /) -> int:
        return self._take(super().readinto1, buffer)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._take(super().readline, size)

    def peek(self, size: int = 0, /) -> bytes:
        return self._take(super().peek, size)

    def _take(self, take: Callable[[_W], _T], wanted: _W) -> _T:
        before = None
        try:
            before = super().tell()
            return take(wanted)
        except BaseException as error:
            told = _no_memory() if isinstance(error, MemoryError) else error
            if before is not None and (self.closed or super().tell() != before):
                self._object_body.fail(told)
            if told is not error:
                raise told from error
            raise

    @property
    def verification(self) -> Verification | None:
        """What was compared with what, once the body has been read to its end or closed; None before."""
        return self._object_body.verification

    def iter_chunks(self, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
        """The body in pieces of `chunk_size` bytes, the last one shorter."""
        return iter(partial(self.read, chunk_size), b"")

    def iter_lines(self, chunk_size: int = CHUNK_SIZE, keepends: bool = False) -> Iterator[bytes]:
        """The body by lines, ended as bytes.splitlines has it, without their ends unless `keepends`."""
        pending = b""
        for chunk in self.iter_chunks(chunk_size):
            *lines, pending = (pending + chunk).splitlines(keepends=True)
            for line in lines:
                yield line.splitlines(keepends)[0]
        if pending:
            yield pending.splitlines(keepends)[0]

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """The rest by lines, each with its newline; about `hint` bytes of them, where it is positive."""
        found: list[bytes] = []
        left = hint if hint is not None and hint > 0 else None
        while (left is None or left > 0) and (line := self.readline()):
            found.append(line)
            left = None if left is None else left - len(line)
        return found

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_chunks()

    def __next__(self) -> bytes:
        if chunk := self.read(CHUNK_SIZE):
            return chunk
        raise StopIteration

    def tell(self) -> int:
        """How many bytes have been read, also once it is closed."""
        return super().tell() if self._left_at is None else self._left_at

    def close(self) -> None:
        """Drop what has not been read, which is then not verified; safe in any thread or signal handler, and twice."""
        self._object_body.close()
        with suppress(RuntimeError):  # in a signal handler of the thread that reads, whose read ends with Cancelled now
            position = super().tell()
            if not self.closed:  # else the place in its buffer is lost
                self._left_at = position
            super().close()

    def __repr__(self) -> str:
        body = self._object_body
        return f"<Body of {body.info.url}: {body.position} of {'?' if body.length is None else body.length} bytes>"


def _no_memory() -> NoSpace:
    return NoSpace("there is no memory for what was to be read", hint="read it in pieces, or download to a file")
