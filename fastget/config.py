"""Every option, once: its name, its default, its meaning and its environment variable.

The keyword arguments, the CLI flags and the `FASTGET_*` variables are all derived from `Config`; a test compares
the lists. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self, get_type_hints

from fastget.errors import ConfigError
from fastget.events import EventHandler

MIB = 1024 * 1024
Split = Literal["auto", "part", "range"]
SPLITS: tuple[Split, ...] = ("auto", "part", "range")

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def parse_size(text: str) -> int:
    """Read a size such as `16M`, `16MiB` or `1.5g` as bytes; the letters mean powers of 1024, as curl's do."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a size", hint="write it as 16M, 16MiB or a number of bytes")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


def _option(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of a client or of one call. Immutable; `merged()` gives a changed copy."""

    connections: int | None = _option(None, "connections for one object (default: found by measuring, at most 32)")
    part_size: int | None = _option(None, "size of a byte-range piece (default: chosen by object size)")
    split: Split = _option("auto", "how an object is cut: auto, part (stored parts) or range (byte ranges)")
    retries: int = _option(5, "times that one piece is asked for again before the download fails")
    connect_timeout: float = _option(10.0, "seconds to wait for a connection and its TLS handshake")
    response_timeout: float = _option(60.0, "seconds to wait for the first byte of an answer")
    stall_timeout: float = _option(30.0, "seconds without a single byte before a connection is given up")
    checksum: str | None = _option(None, "digest that the object must have, as ALGORITHM=HEX (sha-256=…)")
    require_verified: bool = _option(False, "refuse, before the transfer, what cannot be verified by a digest")
    overwrite: bool = _option(True, "replace a file that is already there")
    fsync: bool = _option(True, "flush the file and its directory to disk before the download counts as done")
    headers: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,
        metadata={"meaning": "request header to add, as NAME: VALUE (repeatable)", "secret": True},
    )
    proxy: str | None = _option(None, "proxy URL (default: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)", secret=True)
    ca_bundle: str | None = _option(None, "file of CA certificates to trust instead of the system's")
    insecure: bool = _option(False, "do not check TLS certificates and host names")
    endpoint_url: str | None = _option(None, "S3 endpoint to use instead of AWS, as https://host[:port]")
    region: str | None = _option(None, "S3 region (default: profile, environment, us-east-1)")
    profile: str | None = _option(None, "AWS profile to take credentials and region from")
    no_sign_request: bool = _option(False, "send S3 requests unsigned, for public buckets")
    request_payer: str | None = _option(None, "who pays for the request: requester")
    version_id: str | None = _option(None, "version of the object to fetch")
    expected_bucket_owner: str | None = _option(None, "account that must own the bucket")
    addressing_style: Literal["auto", "path", "virtual"] = _option("auto", "S3 bucket in the path or in the host name")
    on_event: EventHandler | None = field(
        default=None, repr=False, compare=False, metadata={"meaning": "called with every event", "secret": False}
    )

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """The options of the `FASTGET_*` variables, with `options` on top.

        Raises ConfigError for a value that its option cannot have.
        """
        values = os.environ if environ is None else environ
        found = {
            name: _read(name, values[variable])
            for name, variable in environment_names().items()
            if variable in values
        }
        return cls(**{**found, **{name: value for name, value in options.items() if value is not None}})

    def merged(self, **options: Any) -> Self:
        """A copy with the given options changed.

        Raises ConfigError for an option that does not exist or a value that it cannot have.
        """
        unknown = sorted(set(options) - {item.name for item in fields(self)})
        if unknown:
            raise ConfigError(f"there is no option {unknown[0]!r}", hint="the options are the fields of fastget.Config")
        return replace(self, **options) if options else self


def environment_names() -> dict[str, str]:
    """Option name to environment variable, for every option that a variable can hold."""
    return {item.name: f"FASTGET_{item.name.upper()}" for item in fields(Config) if item.name not in ("on_event", "headers")}


def _read(name: str, text: str) -> Any:
    kind = str(get_type_hints(Config)[name])
    try:
        if "bool" in kind:
            return _flag(text)
        if name == "part_size":
            return parse_size(text)
        if "int" in kind:
            return int(text)
        return float(text) if "float" in kind else text
    except ValueError:
        raise ConfigError(f"FASTGET_{name.upper()} holds {text!r}, which is not a value for it") from None


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE | _FALSE:
        return lowered in _TRUE
    raise ValueError(text)


def _check(config: Config) -> None:
    positive = ("connections", "part_size", "connect_timeout", "response_timeout", "stall_timeout")
    for name in positive:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ConfigError(f"{name} must be more than zero, not {value}")
    if config.retries < 0:
        raise ConfigError(f"retries must not be negative, not {config.retries}")
    if config.split not in SPLITS:
        raise ConfigError(f"split must be one of {', '.join(SPLITS)}, not {config.split!r}")
    if config.addressing_style not in ("auto", "path", "virtual"):
        raise ConfigError(f"addressing_style must be auto, path or virtual, not {config.addressing_style!r}")
    if config.request_payer not in (None, "requester"):
        raise ConfigError("request_payer can only be 'requester'")
    for name, value in config.headers.items():
        if re.search(r"[\r\n\0]", name + value) or not name.strip():
            raise ConfigError("a header holds a line break", hint="give each header as NAME: VALUE, one a flag")
