"""Header fields that every request of every source carries, and how the user's own are put among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastget.sources.request_rules import check_part

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from fastget.core.objectinfo import Pin

# fastget.__version__ stands above this layer; a test holds the two together.
USER_AGENT = "fastget/0.1.0"

_PLAIN = (("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity"))

# What nearly all names are like, and nothing that the rules below look for.
_ORDINARY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# The caller's own condition goes with the first request; the later ones are pinned (wire-spec.md rows 3 - 6).
_CONDITIONS = frozenset({"if-match", "if-modified-since", "if-none-match", "if-unmodified-since"})


def plain_headers() -> tuple[tuple[str, str], ...]:
    """What goes with every request. Bytes come as stored, so that sizes, ranges and digests mean them."""
    return _PLAIN


def range_headers(range_header: str | None, part_number: int | None, pin: Pin | None) -> list[tuple[str, str]]:
    """The fields that say which bytes of which version are wanted. Raises ConfigError for a range of a part."""
    check_part(part_number, has_range=range_header is not None)
    fields = [("Range", range_header)] if range_header is not None else []
    if pin is None:
        return fields
    if pin.if_match is not None:
        fields.append(("If-Match", pin.if_match))
    elif pin.last_modified is not None:
        fields.append(("If-Unmodified-Since", pin.last_modified))
    return fields


def with_user_headers(
    fields: Iterable[tuple[str, str]], user: Collection[tuple[str, str]], pin: Pin | None
) -> list[tuple[str, str]]:
    """`fields` with the user's put over them; a pinned request leaves out the user's conditions."""
    if not user:
        return list(fields)
    chosen = [(name, value) for name, value in user if pin is None or name.lower() not in _CONDITIONS]
    replaced = {name.lower() for name, _ in chosen}
    return [*((name, value) for name, value in fields if name.lower() not in replaced), *chosen]


def plain_name(name: str) -> str:
    """A decoded name where it may be that of a file in any folder; empty where it holds a separator or a control
    character (Unicode's C0, C1 and DEL), or is `.` or `..`.
    """
    if _ORDINARY_NAME.fullmatch(name):
        return name
    if name in (".", "..") or any(letter in "/\\" or _is_control(letter) for letter in name):
        return ""
    return name


def _is_control(letter: str) -> bool:
    return letter < " " or "\x7f" <= letter <= "\x9f"
