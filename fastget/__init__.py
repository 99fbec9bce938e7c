"""Parallel, verified downloads from S3, S3-compatible stores and HTTP(S).

    import fastget
    result = fastget.download("https://host/big.bin", "big.bin")
    result.verification.method    # how the bytes were checked

Importing this module loads none of the machinery: the names below are fetched when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastget import aio, errors, events, s3
    from fastget.bulk.outcome import PullFailure, PullResult
    from fastget.client import Client
    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.errors import FastgetError
    from fastget.events import Method, Result, Verification
    from fastget.verbs import download, head, ls, pull, read, read_into, read_ranges, stream

__all__ = [
    "Client",
    "Config",
    "FastgetError",
    "Method",
    "ObjectInfo",
    "PullFailure",
    "PullResult",
    "Result",
    "Verification",
    "__version__",
    "aio",
    "download",
    "errors",
    "events",
    "head",
    "ls",
    "pull",
    "read",
    "read_into",
    "read_ranges",
    "s3",
    "stream",
]

__version__ = "0.1.0"

_HOMES = {
    "Client": "client",
    "Config": "config",
    "FastgetError": "errors",
    "Method": "events",
    "ObjectInfo": "core.objectinfo",
    "PullFailure": "bulk.outcome",
    "PullResult": "bulk.outcome",
    "Result": "events",
    "Verification": "events",
    "download": "verbs",
    "head": "verbs",
    "ls": "verbs",
    "pull": "verbs",
    "read": "verbs",
    "read_into": "verbs",
    "read_ranges": "verbs",
    "stream": "verbs",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"fastget.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"fastget.{name}")
    raise AttributeError(f"module 'fastget' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
