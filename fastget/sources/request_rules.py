"""What a store would refuse, told before a request goes out. Each check raises ConfigError, which names the rule.

The rules are those of GetObject: wire-spec.md rows 86, 87, 97, 102, 105, 119, and RFC 9110 §13.2.2 for conditions.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from fastget.core.urls import is_loopback
from fastget.errors import ConfigError
from fastget.sources.parameters import CUSTOMER_KEY, Parameters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from fastget.core.messages import Request
    from fastget.core.urls import Origin

LARGEST_PART_NUMBER = 10_000
LARGEST_HEAD = 8 * 1024
_ENCRYPTION = "x-amz-server-side-encryption"
# What fastget itself decides; a user's value would break the framing, the pin or the place of a range.
OWN_FIELDS = frozenset({
    "connection", "content-length", "expect", "host", "if-range", "keep-alive", "range", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
# What a signature says of itself, beside Authorization, which takes the place of one.
_OF_THE_SIGNATURE = frozenset({"x-amz-date", "x-amz-content-sha256"})
# What only s3:// (and cos://) URLs can carry: option to the header that says it to a plain URL, where there is one.
_S3_ONLY = {
    "version_id": None,
    "request_payer": "x-amz-request-payer",
    "expected_bucket_owner": "x-amz-expected-bucket-owner",
    "sse_c_key": CUSTOMER_KEY,
    "mirror_destination": "Mirror-Destination",
    "response_cache_control": None,
    "response_content_disposition": None,
    "response_content_encoding": None,
    "response_content_language": None,
    "response_content_type": None,
    "response_expires": None,
}


def check_user_headers(headers: Mapping[str, str]) -> None:
    """Refuses a header that belongs to fastget alone, or asks for an encryption, which no GET does (row 87)."""
    for name in headers:
        lowered = name.lower()
        if lowered in OWN_FIELDS:
            raise ConfigError(f"the header {name} is set by fastget itself", hint="leave it out of headers")
        if lowered.startswith(_ENCRYPTION) and not lowered.startswith(f"{_ENCRYPTION}-customer-"):
            raise ConfigError(
                f"the header {name} says how to encrypt, and S3 refuses it on GET",
                hint="leave it out: S3 decrypts by itself; a customer's key goes into sse_c_key",
            )


def check_signed_headers(headers: Collection[str]) -> None:
    """Refuses, for requests that are signed here, a header that the signature sets."""
    for name in headers:
        if name.lower() in _OF_THE_SIGNATURE:
            raise ConfigError(
                f"the header {name} is set by the signature of the request",
                hint="leave it out of headers; who signs by themselves gives Authorization as well",
            )


def check_part(part_number: int | None, *, has_range: bool) -> None:
    """Refuses a part number with a range (row 86), or outside of 1 to 10000 (row 8)."""
    if part_number is None:
        return
    if has_range:
        raise ConfigError("Range and PartNumber exclude each other", hint="a part is a range already: give one of them")
    if not 1 <= part_number <= LARGEST_PART_NUMBER:
        raise ConfigError(f"PartNumber must be from 1 to {LARGEST_PART_NUMBER}, not {part_number}")


def check_conditions(parameters: Parameters) -> None:
    """Refuses conditions that no answer with content can satisfy together (RFC 9110 §13.2.2)."""
    if not parameters.conditions:
        return
    wanted, unwanted = _tags(parameters.if_match), _tags(parameters.if_none_match)
    if wanted and unwanted and ("*" in unwanted or wanted <= unwanted):
        raise ConfigError("if_match and if_none_match contradict each other", hint="no ETag is both: leave one out")
    after, before = parameters.if_modified_since, parameters.if_unmodified_since
    # Each of the dates counts only where its ETag condition is not given (rows 106 - 108).
    if after is None or before is None or wanted or unwanted:
        return
    if after.astimezone() >= before.astimezone():
        raise ConfigError(
            "if_modified_since and if_unmodified_since contradict each other",
            hint="the first has to be the earlier one",
        )


def check_given_twice(parameters: Parameters, headers: Collection[str]) -> None:
    """Refuses a parameter that stands in the user's headers as well."""
    if not headers:
        return
    given = {name.lower() for name in headers}
    for name, _ in parameters.headers(pinned=False):
        if name.lower() in given and name != "x-amz-checksum-mode":
            raise ConfigError(f"{name} is given by an option and as a header", hint="give one of them")


def check_unsigned(parameters: Parameters) -> None:
    """Refuses, for requests without a signature, what S3 takes from signed ones only (rows 19 and 105)."""
    overrides = parameters.query()
    if overrides:
        raise ConfigError(
            f"{overrides[0][0]} needs a signed request, and no_sign_request is set",
            hint="S3 changes the headers of an answer only for those who sign",
        )
    if parameters.request_payer is not None:
        raise ConfigError(
            "request_payer needs a signed request, and no_sign_request is set", hint="nobody pays without a name"
        )


def check_directory_bucket(parameters: Parameters) -> None:
    """Refuses what directory buckets do not have (row 97)."""
    refused = {
        "a customer's key (SSE-C)": parameters.sse_customer_algorithm is not None,
        "versions: version_id can only be null": parameters.version_id not in (None, "null"),
        "requester pays": parameters.request_payer is not None,
    }
    for what, is_given in refused.items():
        if is_given:
            raise ConfigError(f"directory buckets (--x-s3) have no {what}", hint="leave the option out")


def check_http_options(options: object) -> None:
    """Refuses, for http and https URLs, an option that would say nothing there; `options` is a Config."""
    for name, header in _S3_ONLY.items():
        if getattr(options, name) is None:
            continue
        in_query = "versionId" if name == "version_id" else name.replace("_", "-")
        raise ConfigError(
            f"{name} goes with s3:// URLs only",
            hint=f"give it as the header {header}"
            if header is not None
            else f"write it into the URL as ?{in_query}=… where the store takes it",
        )


def check_secrecy(origin: Origin, headers: Iterable[tuple[str, str]]) -> None:
    """Refuses to send a customer's key in the clear, but to this very machine (row 102)."""
    if origin.scheme == "https" or CUSTOMER_KEY not in [name.lower() for name, _ in headers]:
        return
    if not is_loopback(origin.host):
        raise ConfigError("a customer's key (SSE-C) goes over https only", hint="use an https endpoint")


def check_size(request: Request) -> None:
    """Refuses a request whose header fields are too large for S3 (row 119)."""
    size = sum(map(len, chain.from_iterable(request.headers))) + 4 * len(request.headers)
    if size > LARGEST_HEAD:
        raise ConfigError(
            f"the header fields of the request have {size} bytes, and S3 takes {LARGEST_HEAD}",
            hint="give fewer or shorter headers",
        )


def _tags(value: str | None) -> frozenset[str]:
    """The entity tags of a condition, compared weakly, as If-None-Match does; none where there is no condition."""
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in (value or "").split(","))
    return frozenset(tag for tag in tags if tag)
