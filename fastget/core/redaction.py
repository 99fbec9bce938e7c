"""Secrets struck out of what others say, above all a server that repeats what it was asked.

Known ones by their text, however it is written; others by their names, as those of signatures that are made anew for
each request: nobody knows them any more when the answer comes.
"""

from __future__ import annotations

import re
from base64 import b64decode
from contextlib import suppress
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHOWN = "…"
# Shorter values are no secrets, and would be struck out of every message.
_SHORTEST = 4
# So long are the values among several in one text that are taken for secrets on their own.
_SHORTEST_TOKEN = 8
_ODD = re.compile(r"[^A-Za-z0-9/=._-]")
# "?a=b" of a URL, signed or not; what precedes the @ of one; an Authorization of AWS, GCS, or with a token.
_QUERY = re.compile(r"(\?)(?=[^\s\"'<>]*(?:=|%3[Dd]))[^\s\"'<>]+")
_USER = re.compile(r"(://)[^\s/@\"'<>]+@")
_SIGNED = re.compile(r"\b((?:AWS4|GOOG4)-[A-Z0-9-]+)([ ,]+(?:Credential|SignedHeaders|Signature)=[^\s,&<>\"']+)+")
_SCHEME = re.compile(r"\b(AWS[ \t]+)[\w-]+:[\w+/=-]{8,}|\b((?:Bearer|Basic|OSS|Token)[ \t]+)[\w.~+/=:-]{16,}")
# A JSON Web Token (RFC 7519), whatever it is called.
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
# The fields of signed queries, of headers and of forms: S3 (versions 2 and 4), CloudFront, GCS, Azure, OSS, COS, OAuth.
_NAMES = (
    r"(?:x-(?:amz|goog|oss|cos|ibm|ms)-)?(?:signature(?:provided)?|credential|security-token|s3session-token|policy)",
    r"(?:aws|oss|google)?access-?(?:key-?)?id(?=\W)",
    r"awsaccesskeyid|key-pair-id|q-signature|q-ak|sig|x-[a-z0-9-]*-(?:token|key|secret)",
    r"x-amz-server-side-encryption-customer-key(?:-md5)?|(?:copy-source-)?sse-?c(?:ustomer)?-?key(?:-md5)?",
    r"(?:access|id|refresh|session|iam|auth|security|webidentity)?[_-]?token|samlassertion|(?:ibm[_-]?)?api[_-]?key(?:[_-]id)?",
    r"(?:aws_)?secret(?:[_-]?access)?[_-]?key|client[_-]?secret|password|passwd|(?:set-)?cookie",
    r"(?:proxy-)?authorization",
)
# "Error loading SSO Token: Token for X does not exist": a sentence goes on, and a value does not.
_NO_VALUE = r"…|(?<=: )Token\s"
_NAMED = re.compile(
    rf"(?<![A-Za-z0-9])({'|'.join(_NAMES)})([\"']?[ \t]*(?:=|:|>|%3[Dd])[ \t]*[\"']?)(?!{_NO_VALUE})[^\s&<>\"',;]+",
    re.IGNORECASE,
)


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with an ellipsis in the place of each of `secrets`, as it is or encoded, and of whatever is named one."""
    for secret in _spellings(secrets):
        text = text.replace(secret, SHOWN)
    text = _JWT.sub(SHOWN, text)
    text = _SIGNED.sub(rf"\1 {SHOWN}", _USER.sub(rf"\1{SHOWN}@", text))
    text = _SCHEME.sub(lambda found: f"{found[1] or found[2]}{SHOWN}", text)
    return _NAMED.sub(rf"\1\2{SHOWN}", _QUERY.sub(rf"\1{SHOWN}", text))


def repeats_secret(text: str, secrets: tuple[str, ...]) -> bool:
    """Whether `text` holds one of `secrets`, as it is or encoded; short ones are in many a text by chance."""
    return any(secret in text for secret in _long_spellings(secrets))


def secret_parameters(query: str) -> tuple[str, ...]:
    """The values in a query that are secrets by the names that they have."""
    found = parse_qsl(query, keep_blank_values=True)
    return tuple(value for name, value in found if _NAMED.fullmatch(f"{name}=x"))


@lru_cache(maxsize=16)
def _long_spellings(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Kept, because every answer is looked through."""
    return tuple(one for one in _spellings(secrets) if len(one) >= _SHORTEST_TOKEN)


def _numbered(found: re.Match[str]) -> str:
    """The character as HTML writes it by its number."""
    return f"&#{ord(found[0])};"


def _parts(secret: str) -> Iterator[str]:
    """The value of a field, and what it holds: a token behind its scheme, a password (RFC 7617), each cookie."""
    yield secret
    scheme, _, rest = secret.partition(" ")
    if rest and "=" not in scheme:
        yield rest
    if scheme.lower() == "basic":
        with suppress(ValueError):
            plain = b64decode(rest).decode("utf-8", "replace")
            user, _, password = plain.partition(":")
            yield from (plain, password or user)  # a name without a password is a token
    for cookie in secret.split(";") if "=" in secret else ():
        value = cookie.partition("=")[2].strip()
        if len(value) >= _SHORTEST_TOKEN:
            yield value


def _spellings(secrets: Iterable[str]) -> Iterator[str]:
    """Each secret in the ways in which a server may write it, longest first."""
    found: set[str] = set()
    for secret in (part for given in secrets for part in _parts(given)):
        for plain in (secret, unquote(secret), unquote_plus(secret)):
            coded = quote(plain, safe="")
            found |= {plain, escape(plain), escape(plain, quote=False), _ODD.sub(_numbered, plain)}
            found |= {coded, coded.lower(), quote(plain), quote(coded)}
    return iter(sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True))
