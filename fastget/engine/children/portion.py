"""What one of several processes gets of the options."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastget.config import Config


def share_of(connections: int | None, processes: int) -> int | None:
    """The connections of one process where `connections` are wanted of all of them."""
    return None if connections is None else max(1, -(-connections // processes))


def without_secrets(config: Config) -> Config:
    """What a child needs of the options: how connections are made, how long to wait, and no keys."""
    values: dict[str, Any] = {"on_event": None, "refresh_url": None}
    for item in fields(config):
        if item.metadata.get("secret") and item.name != "proxy":
            values[item.name] = {} if item.default is MISSING else item.default
    return config.merged(**values)
