"""Where a redirect may lead, and what may not follow it there (RFC 9110 §15.4; faults.md H27 - H32)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastget.core.messages import is_secret
from fastget.errors import InvalidURL, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.messages import ResponseHead
    from fastget.core.urls import URL

LONGEST_CHAIN = 10
_STATUSES = frozenset({301, 302, 303, 307, 308})
_BEYOND_ASCII = r"[\x80-\xff]"


def redirect_target(head: ResponseHead, base: URL, display_url: str, shown: Callable[[str], str] = str) -> URL | None:
    """The URL that the answer to `base` points to; None where it is no redirect. It is told as it is `shown`.

    User info in a Location is ignored: a server does not choose the credentials that are sent.
    Raises ProtocolError for several different Locations, another scheme than http and https, a step from
    https down to http, or a Location that is no URL.
    """
    locations = set(head.headers.get_all("location"))
    if head.status not in _STATUSES or not locations:
        return None
    if len(locations) > 1:
        raise ProtocolError(f"{display_url} redirects to several places at once", url=display_url, is_transient=False)
    try:
        target = base.join(_reference(locations.pop()))
    except (InvalidURL, ValueError):
        raise ProtocolError(
            f"{display_url} redirects to something that is no http or https URL",
            hint="check the URL in a browser",
            url=display_url,
            is_transient=False,
        ) from None
    if base.origin.scheme == "https" and target.origin.scheme != "https":
        raise ProtocolError(
            f"{display_url} redirects from https to plain http",
            hint=shown(f"if that is meant, fetch {target} yourself"),
            url=display_url,
            is_transient=False,
        )
    return target


def _reference(location: str) -> str:
    """The Location as text: many servers send raw UTF-8 in it, which arrives as Latin-1.

    Of any other coding, the bytes go back as they are.
    """
    text = location.strip()
    try:
        text = text.encode("latin-1").decode()
    except UnicodeDecodeError:
        text = re.sub(_BEYOND_ASCII, lambda found: f"%{ord(found[0]):02X}", text)
    except UnicodeEncodeError:
        pass  # it is text already
    if any(letter < " " for letter in text):
        raise InvalidURL("the Location holds a control character")
    return text


def stays_with_origin(name: str) -> bool:
    """Whether a header of the user is meant for the origin that it was given for alone.

    Those are the secrets, and what is said to S3: another store's signed URL refuses x-amz- fields (wire-spec.md §5).
    """
    return is_secret(name) or name.lower().startswith("x-amz-")
