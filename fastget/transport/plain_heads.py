"""The heads that nearly every server sends, and every request that fastget sends, without a state machine.

What does not have exactly this form (interim answers, folded lines, bare line feeds, codings, a head in several pieces)
is left to h11, which judges it: nothing is accepted here that h11 would refuse. It saves most of the time of a small
object (docs/design/0003-buffers.md), and the loading of h11 where all goes well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from fastget.core.messages import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

# A head of this size is still ordinary; regular expressions run over no more.
LARGEST_HEAD = 16 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# Visible characters and those beyond ASCII, with blanks between them (RFC 9110 §5.5).
_VALUE = rb"(?:[!-~\x80-\xff]++(?:[ \t]++[!-~\x80-\xff]++)*+)?+"
_NAME = re.compile(_TOKEN)
_FIELD_VALUE = re.compile(_VALUE)
_TARGET = re.compile(rb"[!-~]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([\t -~\x80-\xff]*))?\r\n")
# Nothing in it is tried twice, whatever a server sends.
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[ \t]*+" + _VALUE + rb"[ \t]*+\r\n)*+")
_LENGTH = re.compile(r"[0-9]{1,19}", re.ASCII)
# Fields that are the same in many requests, and never a secret.
_SAID_AGAIN = frozenset(
    {
        b"Accept",
        b"Accept-Encoding",
        b"Host",
        b"User-Agent",
        b"Want-Repr-Digest",
        b"X-Amz-Content-SHA256",
        b"x-amz-checksum-mode",
    }
)
# Fields that decide about framing in more ways than a plain length, or that have to be unique.
_UNUSUAL = ("transfer-encoding", "upgrade")

Field = tuple[bytes, bytes]


def encode(method: bytes, target: bytes, fields: Iterable[Field]) -> bytes | None:
    """The bytes of a request head; None where method, target or a field has not the form that HTTP wants."""
    if not (_NAME.fullmatch(method) and _TARGET.fullmatch(target)):
        return None
    lines = [method, b" ", target, b" HTTP/1.1\r\n"]
    for name, value in fields:
        line = _kept_line(name, value) if name in _SAID_AGAIN else _line(name, value)
        if line is None:
            return None
        lines.append(line)
    lines.append(b"\r\n")
    return b"".join(lines)


def _line(name: bytes, value: bytes) -> bytes | None:
    if not (_NAME.fullmatch(name) and _FIELD_VALUE.fullmatch(value)):
        return None
    return b"%b: %b\r\n" % (name, value)


_kept_line = lru_cache(maxsize=64)(_line)


def read(data: bytes) -> tuple[int, str, Headers, int] | None:
    """Status, reason, fields and the length of the head that `data` begins with; None where h11 has to look at it."""
    end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
    line = _STATUS_LINE.match(data, 0, end + 2) if end > 0 else None
    if line is None or _FIELDS.fullmatch(data, line.end(), end + 2) is None:
        return None
    headers = _headers(data[line.end() : end].decode("latin-1")) if line.end() < end else Headers()
    if not _is_plainly_framed(headers):
        return None
    return int(line[1]), (line[2] or b"").decode("latin-1"), headers, end + 4


def _headers(text: str) -> Headers:
    """The fields of lines that are known to be fields; each is looked at once."""
    items: list[tuple[str, str]] = []
    values: dict[str, tuple[str, ...]] = {}
    for line in text.split("\r\n"):
        name, _, value = line.partition(":")
        value = value.strip(" \t")
        items.append((name, value))
        lowered = name.lower()
        values[lowered] = (*values[lowered], value) if lowered in values else (value,)
    return Headers.indexed(items, values)


def _is_plainly_framed(headers: Headers) -> bool:
    if any(name in headers for name in _UNUSUAL):
        return False
    lengths = headers.get_all("content-length")
    return not lengths or (len(lengths) == 1 and _LENGTH.fullmatch(lengths[0]) is not None)
