"""What botocore would send: its requests, taken just before they leave, and never sent by it.

The `before-send` event is the public seam that covers every way of addressing and signing (wire-spec.md §5).
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastget.core.messages import Headers, Request
from fastget.core.urls import URL
from fastget.sources.signing import is_signed_field

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPERATIONS = {
    "GET": ("GetObject", "get_object"),
    "HEAD": ("HeadObject", "head_object"),
    "attributes": ("GetObjectAttributes", "get_object_attributes"),
    "list-type": ("ListObjectsV2", "list_objects_v2"),
    "versions": ("ListObjectVersions", "list_object_versions"),
}
# A query field that makes a GET another operation.
_BY_QUERY = ("attributes", "list-type", "versions")
_NO_PARAMETERS = ("list-type", "versions")
_Parameter = Callable[[str], Any]
# Query field to the parameter that sets it; botocore writes the query before its events can.
_PARAMETERS: dict[str, tuple[str, _Parameter]] = {
    "versionId": ("VersionId", str),
    "partNumber": ("PartNumber", int),
    "prefix": ("Prefix", str),
    "delimiter": ("Delimiter", str),
    "max-keys": ("MaxKeys", int),
    "start-after": ("StartAfter", str),
    "continuation-token": ("ContinuationToken", str),
    "key-marker": ("KeyMarker", str),
    "version-id-marker": ("VersionIdMarker", str),
    "encoding-type": ("EncodingType", str),
    # The header that says which ones is given with every request.
    "attributes": ("ObjectAttributes", lambda _: []),
    "response-cache-control": ("ResponseCacheControl", str),
    "response-content-disposition": ("ResponseContentDisposition", str),
    "response-content-encoding": ("ResponseContentEncoding", str),
    "response-content-language": ("ResponseContentLanguage", str),
    "response-content-type": ("ResponseContentType", str),
    "response-expires": ("ResponseExpires", str),
}
# Telling AWS about the SDK is not signed, and would not be true.
_TELLTALES = frozenset({"amz-sdk-invocation-id", "amz-sdk-request", "user-agent", "host"})
# The loggers of botocore that write whole requests, and answers with keys in them, at DEBUG.
_LOGGERS = ("botocore.auth", "botocore.crt.auth", "botocore.endpoint", "botocore.parsers")


class CapturingClient:
    """A botocore S3 client that builds and signs object requests without sending them. Safe in many threads.

    Other requests that it needs (CreateSession of directory buckets) do go out, through botocore.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._calls = _calls
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_is_no_secret)
        for operation, _ in _OPERATIONS.values():
            client.meta.events.register_last(f"before-call.s3.{operation}", self._add_headers)
            client.meta.events.register_first(f"before-send.s3.{operation}", self._take)

    @property
    def region(self) -> str:
        return str(self._client.meta.region_name)

    def request(self, method: str, bucket: str, key: str, headers: Headers, query: Mapping[str, str]) -> Request:
        """The request for an object, or with no key for a page of the bucket's listing, as botocore would send it now.

        `headers` and `query` are on it.

        Raises botocore's own exceptions.
        """
        operation = next((name for name in _BY_QUERY if name in query), method)
        known = ((_PARAMETERS[name], value) for name, value in query.items() if name not in _NO_PARAMETERS)
        parameters = {name: read(value) for (name, read), value in known}
        if key:  # a listing is asked of the bucket
            parameters["Key"] = key
        self._calls.headers = [item for item in headers if is_signed_field(item[0])]
        try:
            getattr(self._client, _OPERATIONS[operation][1])(Bucket=bucket, **parameters)
            taken = self._calls.taken
        finally:
            self._calls.__dict__.clear()
        url, fields = taken
        return Request(method, URL.parse(url), Headers([*_unsigned(headers), *fields]))

    def close(self) -> None:
        self._client.close()

    def _add_headers(self, params: dict[str, Any], **_: Any) -> None:
        given = {name.lower() for name, _ in self._calls.headers}
        kept = {name: value for name, value in params["headers"].items() if name.lower() not in given}
        params["headers"] = {**kept, **dict(self._calls.headers)}

    def _take(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        fields = [(str(name), _text(value)) for name, value in request.headers.items()]
        self._calls.taken = request.url, [item for item in fields if item[0].lower() not in _TELLTALES]
        no_headers: Any = {}
        return AWSResponse(request.url, 200, no_headers, _NoBody())


# What a thread is capturing now.
_calls = threading.local()


def _is_no_secret(record: logging.LogRecord) -> bool:
    """Keeps tokens and customers' keys out of the program's log; what others do with botocore is logged as ever."""
    del record
    return not hasattr(_calls, "headers")


class _NoBody(io.BytesIO):
    """The empty body of the answer that ends botocore's part."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        return iter(())


def _unsigned(headers: Headers) -> list[tuple[str, str]]:
    """botocore would sign these too; something on the way may change them, so they go along unsigned."""
    return [item for item in headers if not is_signed_field(item[0])]


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
