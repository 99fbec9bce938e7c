"""Refusals, redirects, and objects that change under way (faults.md H13 to H16, H27 to H41, C3 to C5)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core.messages import Framing
from fastget.testing.answer import Answer, document
from fastget.testing.documents import error
from fastget.testing.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastget.testing.objects import StoredObject
    from fastget.testing.received import ReceivedRequest

# The codes that S3 gives to a bare status.
_CODES = {
    400: ("InvalidRequest", "The request is not valid."),
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
    429: ("TooManyRequests", "Please reduce your request rate."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    501: ("NotImplemented", "A header you provided implies functionality that is not implemented."),
    503: ("SlowDown", "Please reduce your request rate."),
}


def status(
    number: int,
    code: str | None = None,
    message: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    elements: Mapping[str, str] | None = None,
) -> Fault:
    """A refusal with an S3 error document; `elements` stand in it beside Code and Message."""
    usual_code, usual_message = _CODES.get(number, ("InternalError", "Refused."))
    refusal = error(number, code or usual_code, message or usual_message, elements)
    refusal = refusal.with_more_fields(*(headers or {}).items())
    return Fault(name=f"status-{number}", edit=lambda _, __: refusal)


def slow_down(retry_after: int | str | None = None, number: int = 503) -> Fault:
    """503 SlowDown, or 429, with a Retry-After in seconds, as a date, or as anything (H40, H44)."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return replace(status(number, headers=headers), name="slow-down")


def internal_error() -> Fault:
    """500 InternalError (H41)."""
    return replace(status(500), name="internal-error")


def access_denied() -> Fault:
    """403 AccessDenied (H35)."""
    return replace(status(403), name="access-denied")


def expired_token() -> Fault:
    """400 ExpiredToken (H36)."""
    return replace(status(400, "ExpiredToken", "The provided token has expired."), name="expired-token")


def time_skewed() -> Fault:
    """403 RequestTimeTooSkewed (H37)."""
    message = "The difference between the request time and the current time is too large."
    return replace(status(403, "RequestTimeTooSkewed", message), name="time-skewed")


def archived(storage_class: str = "GLACIER") -> Fault:
    """403 InvalidObjectState: the object lies in an archive (wire-spec.md row 75)."""
    message = "The operation is not valid for the object's storage class"
    refusal = status(403, "InvalidObjectState", message, elements={"StorageClass": storage_class})
    return replace(refusal, name="archived").always()


def delete_marker(*, of_version: bool = False) -> Fault:
    """404 where the current version is a delete marker, 405 where the requested one is (rows 79, 80)."""
    headers = {"x-amz-delete-marker": "true", "x-amz-version-id": "marker-1"}
    if of_version:
        message = "The specified method is not allowed against this resource."
        refusal = status(405, "MethodNotAllowed", message, headers=headers, elements={"ResourceType": "DeleteMarker"})
    else:
        refusal = status(404, headers=headers)
    return replace(refusal, name="delete-marker").always()


def no_range_support() -> Fault:
    """501 to every Range or partNumber, as an Object Lambda access point gives (row 90)."""
    return replace(status(501), name="no-range-support").on(ranged=True).always()


def moved_to_region(region: str, number: int = 301) -> Fault:
    """301 or 307 with the region that the bucket lies in, or 400 AuthorizationHeaderMalformed (H33, H34)."""
    headers = {"x-amz-bucket-region": region}
    codes = {301: "PermanentRedirect", 307: "TemporaryRedirect", 400: "AuthorizationHeaderMalformed"}
    message = f"The bucket lies in the region '{region}'"
    refusal = status(number, codes[number], message, headers=headers, elements={"Region": region})
    return replace(refusal, name="moved-to-region")


def redirect(location: str, number: int = 302) -> Fault:
    """A redirect to `location`, in which {target} stands for path and query of the request (H27 to H31)."""

    def edit(request: ReceivedRequest, _: Answer) -> Answer:
        return document(number, b"", ("Location", location.format(target=request.target)))

    return Fault(name="redirect", edit=edit)


def unsatisfiable(total: int | None = None) -> Fault:
    """416; with `total`, that size in Content-Range and in the document (H13, H14)."""
    size = {} if total is None else {"ActualObjectSize": str(total)}
    headers = {} if total is None else {"Content-Range": f"bytes */{total}"}
    refusal = status(416, "InvalidRange", "The requested range is not satisfiable", headers=headers, elements=size)
    return replace(refusal, name="unsatisfiable")


def precondition_failed() -> Fault:
    """412, whatever the request's conditions (H15)."""
    message = "At least one of the pre-conditions you specified did not hold"
    refusal = status(412, "PreconditionFailed", message, elements={"Condition": "If-Match"})
    return replace(refusal, name="precondition-failed")


def not_modified() -> Fault:
    """304 to a request that had no condition (H16)."""
    return Fault(name="not-modified", edit=lambda _, __: Answer(304, framing=Framing.NONE))


def replaced(stored: StoredObject) -> Fault:
    """Another object under the same path, from this request on (C3 to C5, H39)."""
    return Fault(name="replaced", replacement=stored)


def field(name: str, value: str | None) -> Fault:
    """A header field replaced, added, or with None taken away."""
    return Fault(name="field", edit=lambda _, answer: answer.with_field(name, value))
