"""What may be shown on a terminal, and whether one is there to be drawn on."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

# Controls (Cc), formatting marks such as bidirectional overrides (Cf), line and paragraph separators (Zl,
# Zp) and lone surrogates (Cs) can rewrite what a reader sees; no server is trusted with them.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """The text with every character that could steer a terminal written as an escape, such as \\x1b."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def can_animate(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a progress bar may be drawn: on a terminal that can move its cursor, unless declined."""
    return stream.isatty() and environ.get("TERM") != "dumb" and not environ.get("FASTGET_NO_PROGRESS")


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
