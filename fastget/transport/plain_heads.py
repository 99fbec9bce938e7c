"""The heads that nearly every server sends, and every request that fastget sends, without a state machine.

What does not have exactly this form (interim answers, folded lines, bare line feeds, codings, a head in several pieces)
is left to h11, which judges it: nothing is accepted here that h11 would refuse. It saves most of the time of a small
object (docs/design/0003-buffers.md), and the loading of h11 where all goes well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A head of this size is still ordinary; regular expressions run over no more.
LARGEST_HEAD = 16 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Visible characters and those beyond ASCII, with blanks between them (RFC 9110 §5.5).
_VALUE = rb"(?:[!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*)?"
_NAME = re.compile(_TOKEN)
_FIELD_VALUE = re.compile(_VALUE)
_TARGET = re.compile(rb"[!-~]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([\t -~\x80-\xff]*))?\r\n")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*(" + _VALUE + rb")[ \t]*\r\n")
_LENGTH = re.compile(rb"[0-9]{1,19}")
# Fields that decide about framing in more ways than a plain length, or that have to be unique.
_UNUSUAL = frozenset({b"transfer-encoding", b"upgrade"})

Field = tuple[bytes, bytes]


def encode(method: bytes, target: bytes, fields: Iterable[Field]) -> bytes | None:
    """The bytes of a request head; None where method, target or a field has not the form that HTTP wants."""
    if not (_NAME.fullmatch(method) and _TARGET.fullmatch(target)):
        return None
    lines = [method, b" ", target, b" HTTP/1.1\r\n"]
    for name, value in fields:
        if not (_NAME.fullmatch(name) and _FIELD_VALUE.fullmatch(value)):
            return None
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def read(data: bytes) -> tuple[int, bytes, list[Field], int] | None:
    """Status, reason, fields and the length of the head that `data` begins with; None where h11 has to look at it."""
    end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
    line = _STATUS_LINE.match(data, 0, end + 2) if end > 0 else None
    if line is None:
        return None
    fields: list[Field] = []
    position = line.end()
    while position < end + 2:
        field = _FIELD.match(data, position, end + 2)
        if field is None:
            return None
        fields.append((field[1], field[2]))
        position = field.end()
    if not _is_plainly_framed(fields):
        return None
    return int(line[1]), line[2] or b"", fields, end + 4


def _is_plainly_framed(fields: list[Field]) -> bool:
    lengths = 0
    for name, value in fields:
        lowered = name.lower()
        if lowered in _UNUSUAL:
            return False
        if lowered == b"content-length":
            lengths += 1
            if lengths > 1 or not _LENGTH.fullmatch(value):
                return False
    return True
