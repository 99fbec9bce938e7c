"""Dictionaries of byte sequences in header fields (RFC 9651): the form of Repr-Digest and Content-Digest.

The whole dictionary is checked, members of other types included, because RFC 9651 §4.2 has a field that
breaks its syntax anywhere ignored as a whole. Quantifiers are possessive: no input makes the matching slow.
"""

from __future__ import annotations

import binascii
import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_KEY = r"[a-z*][a-z0-9_.*-]*+"
_BARE_ITEM = (
    r"(?:"
    r"-?[0-9]{1,12}+\.[0-9]{1,3}+(?![0-9.])|-?[0-9]{1,15}+(?![0-9.])"  # decimal, integer
    r'|"(?:[ !#-\[\]-~]|\\["\\])*+"'  # string
    r"|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*+"  # token
    r"|:[A-Za-z0-9+/=]*+:"  # byte sequence
    r"|\?[01]"  # boolean
    r"|@-?[0-9]{1,15}+(?![0-9.])"  # date
    r'|%"(?:[ !#$&-~]|%[0-9a-f]{2})*+"'  # display string
    r")"
)
_PARAMETERS = rf"(?:; *+{_KEY}(?:={_BARE_ITEM})?+)*+"
_INNER_LIST = rf"\( *+(?:{_BARE_ITEM}{_PARAMETERS}(?: ++|(?=\))))*+\)"
_MEMBER = rf"(?P<key>{_KEY})(?:=(?:(?P<item>{_BARE_ITEM})|{_INNER_LIST}))?+{_PARAMETERS}"
_COMMA = re.compile(r"[ \t]*+,[ \t]*+")


@cache
def _member() -> re.Pattern[str]:
    """Compiled where there is a field to read: it takes 2 ms, and few servers send one."""
    return re.compile(_MEMBER)


def byte_sequences(lines: Iterable[str]) -> dict[str, bytes]:
    """The byte sequences of a dictionary field by key, from all its lines.

    Parameters and values of other types are passed over. A malformed field gives nothing at all; of a key
    that is repeated the last value counts (RFC 9651 §4.2.2).
    """
    text = ",".join(lines).strip(" ")
    found: dict[str, bytes] = {}
    position = 0
    while position < len(text):
        member = _member().match(text, position)
        if member is None:
            return {}
        key, item = member["key"], member["item"]
        found.pop(key, None)
        if item is not None and item.startswith(":"):
            value = decode_base64(item[1:-1])
            if value is None:
                return {}
            found[key] = value
        position = member.end()
        if position < len(text):
            comma = _COMMA.match(text, position)
            if comma is None or comma.end() == len(text):
                return {}
            position = comma.end()
    return found


def decode_base64(text: str) -> bytes | None:
    """Standard base64 with its padding (RFC 4648 §4), or None where the text is anything else."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
