"""What an answer says about the request itself: another region, another time, credentials that are over.

wire-spec.md rows 89 and 92, faults.md H33 to H37.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastget.sources.replies import http_date, server_reply
from fastget.sources.settings import REGION

if TYPE_CHECKING:
    from fastget.core.messages import Request, ResponseHead

_REGION_ELEMENT = re.compile(rb"<Region>([a-z0-9-]{2,63})</Region>")
# The statuses of a request that has to go to another region.
ELSEWHERE = frozenset({301, 302, 307, 400})
# S3 refuses signatures whose time is further than this from its own (seconds).
_LARGEST_SKEW = 15 * 60.0
# A HEAD is refused without a code.
_SKEWED = frozenset({None, "RequestExpired", "RequestTimeTooSkewed"})
# Keys that were changed are unknown to the store, those that ran out are known too well.
_OVER = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "InvalidTokenId",
        "TokenRefreshRequired",
    }
)
_SESSION_TOKENS = ("x-amz-security-token", "x-amz-s3session-token")


def region_named(head: ResponseHead, body: bytes) -> str | None:
    """The region that a bucket is said to be in, by header or, in the error document, by `<Region>`."""
    if head.status not in ELSEWHERE:
        return None
    region = (head.headers.get("x-amz-bucket-region") or "").strip()
    if not region and (found := _REGION_ELEMENT.search(body)):
        region = found[1].decode("ascii")
    return region if REGION.fullmatch(region) else None


def time_named(request: Request, head: ResponseHead, body: bytes) -> datetime | None:
    """The store's time, where the request was signed for one too far from it."""
    if head.status != 403 or server_reply(head, body).code not in _SKEWED:
        return None
    theirs, ours = http_date(head.headers.get("date")), _signed_at(request)
    if theirs is None or ours is None or abs((theirs - ours).total_seconds()) <= _LARGEST_SKEW:
        return None
    return theirs


def refuses_credentials(request: Request, head: ResponseHead, body: bytes) -> bool:
    """Whether the store does not accept the keys or the token themselves, whatever they may be allowed to read."""
    if head.status not in (400, 401, 403):
        return False
    code = server_reply(head, body).code
    if code is not None or head.status == 401:
        return code in _OVER or head.status == 401
    # S3 refuses a HEAD with an expired token as it refuses anything malformed, and has no body to tell the two apart.
    return head.status == 400 and request.method == "HEAD" and any(name in request.headers for name in _SESSION_TOKENS)


def may_refuse_token(request: Request, head: ResponseHead, body: bytes) -> bool:
    """Whether a token in the place of a signature may have ended, though the store only says that access is denied."""
    if head.status != 403 or not (request.headers.get("authorization") or "").startswith("Bearer "):
        return False
    return server_reply(head, body).code in (None, "AccessDenied")


def identity(request: Request) -> tuple[object, ...]:
    """Where a request goes and in whose name: the same for all that one account asks of one bucket in a day."""
    authorization = request.headers.get("authorization") or ""
    scheme, _, rest = authorization.partition(" ")
    credential = rest.partition(",")[0].strip()
    if credential.startswith("Credential="):
        key, *scope = credential.split("/")
        signer: tuple[str, ...] = (scheme, key, *scope[1:])
    else:
        signer = (authorization,)
    return (request.url.origin, signer, *(request.headers.get(name) for name in _SESSION_TOKENS))


def _signed_at(request: Request) -> datetime | None:
    try:
        return datetime.strptime(request.headers.get("x-amz-date") or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
