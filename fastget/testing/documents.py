"""S3's documents of errors, and the header fields by which it names a request."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from fastget.testing.answer import Answer, Field, document

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_ID = "4442587FB7D0A2F9"
HOST_ID = "uGrkVnBb1TBLfa0Bk0uJ8x9mLZ0fmVRwYqfmGm1p8hVw"


def error(
    status: int,
    code: str,
    message: str,
    elements: Mapping[str, str] | None = None,
    *,
    amazon: bool = True,
) -> Answer:
    """An S3 error document, with `elements` beside Code and Message; plain text where `amazon` is False."""
    if not amazon:
        return document(status, f"{status} {message}\n".encode(), ("Content-Type", "text/plain"))
    inner = {"Code": code, "Message": message, **(elements or {}), "RequestId": REQUEST_ID, "HostId": HOST_ID}
    text = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in inner.items())
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'
    return document(status, xml.encode(), ("Content-Type", "application/xml"), *identifiers(amazon=True))


def identifiers(*, amazon: bool) -> tuple[Field, ...]:
    """The headers by which S3 names a request."""
    return (("x-amz-request-id", REQUEST_ID), ("x-amz-id-2", HOST_ID)) if amazon else ()
