"""Header fields that every request of every source carries, and how the user's own are put among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastget.core.objectinfo import Pin
    from fastget.core.ranges import Span

# fastget.__version__ stands above this layer; a test holds the two together.
USER_AGENT = "fastget/0.1.0"

# What fastget itself decides; a user's value would break the framing, the pin or the place of a range.
_OWN_FIELDS = frozenset({
    "connection", "content-length", "expect", "host", "if-range", "keep-alive", "range", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
# The caller's own condition goes with the first request; the later ones are pinned (wire-spec.md rows 3 - 6).
_CONDITIONS = frozenset({"if-match", "if-modified-since", "if-none-match", "if-unmodified-since"})


def check_user_headers(headers: Mapping[str, str]) -> None:
    """Raises ConfigError for a header that belongs to fastget alone."""
    for name in headers:
        if name.lower() in _OWN_FIELDS:
            raise ConfigError(f"the header {name} is set by fastget itself", hint="leave it out of headers")


def plain_headers() -> list[tuple[str, str]]:
    """What goes with every request. Bytes come as stored, so that sizes, ranges and digests mean them."""
    return [("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity")]


def range_headers(span: Span | None, part_number: int | None, pin: Pin | None) -> list[tuple[str, str]]:
    """The fields that say which bytes of which version are wanted."""
    if span is not None and part_number is not None:
        raise ValueError("a request asks for a span or for a part, never for both (wire-spec.md row 86)")
    fields = [("Range", span.header)] if span is not None else []
    if pin is None:
        return fields
    if pin.if_match is not None:
        fields.append(("If-Match", pin.if_match))
    elif pin.last_modified is not None:
        fields.append(("If-Unmodified-Since", pin.last_modified))
    return fields


def with_user_headers(
    fields: Iterable[tuple[str, str]], user: Iterable[tuple[str, str]], pin: Pin | None
) -> list[tuple[str, str]]:
    """`fields` with the user's put over them; a pinned request leaves out the user's conditions."""
    chosen = [(name, value) for name, value in user if pin is None or name.lower() not in _CONDITIONS]
    replaced = {name.lower() for name, _ in chosen}
    return [*((name, value) for name, value in fields if name.lower() not in replaced), *chosen]


def plain_name(name: str) -> str:
    """A decoded name where it may be that of a file in any folder; empty where it holds a separator or a control
    character (Unicode's C0, C1 and DEL), or is `.` or `..`.
    """
    if name in (".", "..") or any(letter in "/\\" or _is_control(letter) for letter in name):
        return ""
    return name


def _is_control(letter: str) -> bool:
    return letter < " " or "\x7f" <= letter <= "\x9f"
