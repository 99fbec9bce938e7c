"""The parameters of GetObject as a value: what they are called, and what of a request each of them is.

wire-spec.md rows 3 - 6 and 9 - 22. A range and a part number are no part of it: they belong to one request, these to
all requests of an object.
"""

from __future__ import annotations

import re
from dataclasses import field, fields
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from fastget.config import ENCODING_HINT, is_text
from fastget.errors import ConfigError, ProtocolError
from fastget.records import frozen

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.messages import Headers

Fields = tuple[tuple[str, str], ...]

CUSTOMER_KEY = "x-amz-server-side-encryption-customer-key"
_KEY_BYTES = 32
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_BREAK = re.compile(r"[\r\n\0]")
# Config says sse_c_key where GetObject has three names; the others are called the same.
_OF_CONFIG = (
    "if_match",
    "if_none_match",
    "version_id",
    "response_cache_control",
    "response_content_disposition",
    "response_content_encoding",
    "response_content_language",
    "response_content_type",
    "request_payer",
    "expected_bucket_owner",
    "mirror_destination",
)
_DATES = ("if_modified_since", "if_unmodified_since", "response_expires")
_ALL_OF_CONFIG = (*_OF_CONFIG, *_DATES, "sse_c_key")
_given = attrgetter(*_ALL_OF_CONFIG)
_NOTHING_GIVEN = (None,) * len(_ALL_OF_CONFIG)


@frozen(kw_only=True, slots=False)
class Parameters:
    """What a caller may say of the object that is wanted, by the names of the SDKs in snake case.

    `sse_customer_key` is the key itself; its digest is computed where it is not given. Dates without a time zone are
    in local time, as datetime takes them; the wire has whole seconds. `checksum_mode` is on unless it is None (row 21).
    Raises ConfigError for a text that cannot stand in a header, an empty version, a date beyond all, or a key without
    its algorithm.
    """

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None
    version_id: str | None = None
    response_cache_control: str | None = None
    response_content_disposition: str | None = None
    response_content_encoding: str | None = None
    response_content_language: str | None = None
    response_content_type: str | None = None
    response_expires: datetime | None = None
    sse_customer_algorithm: str | None = None
    sse_customer_key: bytes | None = field(default=None, repr=False)
    sse_customer_key_md5: str | None = field(default=None, repr=False)
    request_payer: str | None = None
    expected_bucket_owner: str | None = None
    checksum_mode: str | None = "ENABLED"
    mirror_destination: str | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, str):
                _check_text(item.name, value)
            elif isinstance(value, datetime):
                _check_moment(item.name, value)
        if self.version_id == "":
            raise ConfigError("version_id is empty", hint="leave it out to have the current version")
        if self.sse_customer_key is not None and self.sse_customer_algorithm is None:
            raise ConfigError("a customer's key goes with its algorithm", hint="it is AES256")

    @staticmethod
    def of(config: Config) -> Parameters:
        """The parameters among the options. Raises ConfigError for a date or a key that cannot be read."""
        # Most objects are asked for without any, and many of them one after the other.
        if _given(config) == _NOTHING_GIVEN:
            return _NONE
        given: dict[str, Any] = {name: getattr(config, name) for name in _OF_CONFIG}
        given |= {name: _moment(name, getattr(config, name)) for name in _DATES}
        key = _customer_key(config.sse_c_key)
        return Parameters(**given, sse_customer_key=key, sse_customer_algorithm="AES256" if key else None)

    def headers(self, *, pinned: bool) -> Fields:
        """The header fields of every request; the conditions only of those that are not pinned to an answer yet."""
        return self._constant if pinned else self._first

    def query(self, *, response: bool = True) -> Fields:
        """The query fields but the version's, which a pin may add; `response` leaves out the response-… ones."""
        return self._overrides if response else ()

    @cached_property
    def conditions(self) -> Fields:
        """The header fields of rows 3 - 6: conditions on the first answer, for http and https as well."""
        return _present(
            ("If-Match", self.if_match),
            ("If-None-Match", self.if_none_match),
            ("If-Modified-Since", _imf_fixdate(self.if_modified_since)),
            ("If-Unmodified-Since", _imf_fixdate(self.if_unmodified_since)),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no message may repeat."""
        return tuple(value for name, value in self._constant if name.startswith(CUSTOMER_KEY))

    def check_answer(self, answer: Headers, display_url: str) -> None:
        """Raises ProtocolError for an answer that names another version than was asked for (row 44), or another
        customer's key than was sent (rows 55, 56).
        """
        asked = self.version_id
        if asked is not None and answer.get("x-amz-version-id") not in (None, asked):
            raise ProtocolError(
                f"{display_url}: another version came than the one that version_id names",
                hint="the store, or something before it, ignores versionId",
                url=display_url,
                is_transient=False,
            )
        name = f"{CUSTOMER_KEY}-MD5"
        sent = next((value for field, value in self._constant if field == name), None)
        if sent is not None and answer.get(name) not in (None, sent):
            raise ProtocolError(
                f"{display_url}: the store has used another key (SSE-C) than the one that was sent",
                hint="check the key, and what stands between here and the store",
                url=display_url,
                is_transient=False,
            )

    @cached_property
    def _first(self) -> Fields:
        return (*self.conditions, *self._constant)

    @cached_property
    def _constant(self) -> Fields:
        return _present(
            ("x-amz-checksum-mode", self.checksum_mode),
            ("x-amz-server-side-encryption-customer-algorithm", self.sse_customer_algorithm),
            (CUSTOMER_KEY, _base64(self.sse_customer_key)),
            (f"{CUSTOMER_KEY}-MD5", self.sse_customer_key_md5 or _md5(self.sse_customer_key)),
            ("x-amz-request-payer", self.request_payer),
            ("x-amz-expected-bucket-owner", self.expected_bucket_owner),
            ("Mirror-Destination", self.mirror_destination),
        )

    @cached_property
    def _overrides(self) -> Fields:
        return _present(
            ("response-cache-control", self.response_cache_control),
            ("response-content-disposition", self.response_content_disposition),
            ("response-content-encoding", self.response_content_encoding),
            ("response-content-language", self.response_content_language),
            ("response-content-type", self.response_content_type),
            ("response-expires", _imf_fixdate(self.response_expires)),
        )


def _present(*items: tuple[str, str | None]) -> Fields:
    return tuple((name, value) for name, value in items if value is not None)


def _moment(name: str, text: str | None) -> datetime | None:
    """The moment that an option names; in UTC where it says no zone. Raises ConfigError."""
    if text is None:
        return None
    from email.utils import parsedate_to_datetime

    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text.strip())
        except (ValueError, TypeError, OverflowError):
            continue
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    raise ConfigError(
        f"{name} is not a date: {text!r}",
        hint="write it as 2026-03-02T10:20:30Z or as Mon, 02 Mar 2026 10:20:30 GMT",
    )


def _check_text(name: str, text: str) -> None:
    if _BREAK.search(text):
        raise ConfigError(f"{name} holds a line break", hint="no header field can hold one")
    if not is_text(text):
        raise ConfigError(f"{name} cannot be written as UTF-8", hint=ENCODING_HINT)


def _check_moment(name: str, moment: datetime) -> None:
    try:
        moment.astimezone(UTC)
    except (OverflowError, ValueError):
        raise ConfigError(f"{name} lies beyond all dates", hint="in UTC, the years go from 1 to 9999") from None


_NONE = Parameters()


def _imf_fixdate(moment: datetime | None) -> str | None:
    """RFC 9110 §5.6.7, and rfc822 in the query of row 15: the same text."""
    if moment is None:
        return None
    from email.utils import format_datetime

    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _customer_key(text: str | None) -> bytes | None:
    """The 32 bytes of row 17, from base64 or hex. Raises ConfigError, which does not quote them."""
    if text is None:
        return None
    from base64 import b64decode

    stripped = text.strip()
    try:
        key = bytes.fromhex(stripped) if _HEX_KEY.fullmatch(stripped) else b64decode(stripped, validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            "sse_c_key is not a key of 32 bytes", hint="give them as base64 (44 characters) or as 64 hex digits"
        )
    return key


def _base64(data: bytes | None) -> str | None:
    from base64 import b64encode

    return None if data is None else b64encode(data).decode("ascii")


def _md5(key: bytes | None) -> str | None:
    """Row 18: S3 wants the key's MD5 beside it, and the SDKs compute it."""
    if key is None:
        return None
    import hashlib

    return _base64(hashlib.md5(key, usedforsecurity=False).digest())
