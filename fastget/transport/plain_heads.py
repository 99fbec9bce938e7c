"""The heads that nearly every server sends, and every request that fastget sends, without a state machine.

What does not have exactly this form (interim answers, folded lines, bare line feeds, codings, a head in several pieces)
is left to h11, which judges it: nothing is accepted here that h11 would refuse. It saves most of the time of a small
object (docs/design/0003-buffers.md), and the loading of h11 where all goes well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from fastget.core.messages import Headers, value_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

# A head of this size is still ordinary; regular expressions run over no more.
LARGEST_HEAD = 16 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# Visible characters and those beyond ASCII, with blanks between them (RFC 9110 §5.5).
_VALUE = rb"(?:[!-~\x80-\xff]++(?:[ \t]++[!-~\x80-\xff]++)*+)?+"
_OF_VALUES = bytes([*b"\t ", *range(0x21, 0x7F), *range(0x80, 0x100)])
_NAME = re.compile(_TOKEN)
_TARGET = re.compile(r"[!-~]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([\t -~\x80-\xff]*))?\r\n")
# Nothing in it is tried twice, whatever a server sends.
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[ \t]*+" + _VALUE + rb"[ \t]*+\r\n)*+")
_BLANKS = frozenset(" \t")
_LENGTH = re.compile(r"[0-9]{1,19}", re.ASCII)
# Fields that decide about framing in more ways than a plain length, or that have to be unique.
_UNUSUAL = ("transfer-encoding", "upgrade")

Field = tuple[str, str]
# Longer ones are seldom said again. At most so many are kept, by each interpreter.
_LONGEST_KEPT = 64
_MOST_KEPT = 256


def encode(method: str, target: str, fields: Sequence[Field]) -> bytes | None:
    """The bytes of a request head; None where method, target or a field has not the form that HTTP wants."""
    if not (_is_token(method) and _TARGET.fullmatch(target)):
        return None
    for name, value in fields:
        if not _is_token(name) or value[:1] in _BLANKS or value[-1:] in _BLANKS:
            return None
    lines = [f"{name}: {value}\r\n" for name, value in fields]
    text = "".join(lines)
    said = text.encode() if text.isascii() else b"".join(map(value_bytes, lines))
    # No control character but the ends of these lines.
    if said.translate(None, _OF_VALUES) != b"\r\n" * len(lines):
        return None
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), target.encode(), said)


@lru_cache(maxsize=_MOST_KEPT)
def _is_token(text: str) -> bool:
    """The same few names are said in every request."""
    return text.isascii() and _NAME.fullmatch(text.encode()) is not None


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
        field, lowered = _known_field(line) if len(line) <= _LONGEST_KEPT else _field(line)
        items.append(field)
        values[lowered] = (*values[lowered], field[1]) if lowered in values else (field[1],)
    return Headers.indexed(items, values)


def _field(line: str) -> tuple[Field, str]:
    """Name and value of a line, and the name in lower case."""
    name, _, value = line.partition(":")
    return (name, value.strip(" \t")), name.lower()


# A server says much the same with every answer: its name, the type, that ranges are served.
_known_field = lru_cache(maxsize=_MOST_KEPT)(_field)


def _is_plainly_framed(headers: Headers) -> bool:
    if any(name in headers for name in _UNUSUAL):
        return False
    lengths = headers.get_all("content-length")
    return not lengths or (len(lengths) == 1 and _LENGTH.fullmatch(lengths[0]) is not None)
