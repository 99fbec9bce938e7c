"""Every option, once: its name, its default, its meaning and its environment variable.

The keyword arguments, the CLI flags and the `FASTGET_*` variables are all derived from `Config`; a test compares
the lists. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields, replace
from typing import Any, Literal, NoReturn, Self

from fastget.errors import ConfigError
from fastget.events import EventHandler  # noqa: TC001  as above
from fastget.records import frozen

MIB = 1024 * 1024
LEAST_MEMORY = MIB

# Patterns that few starts need are compiled where they are used: docs/design/0004.
_SIZE = r"(?ai)([0-9]{1,19})(?:\.([0-9]{1,9}))?\s*(?:([kmgt])(?:i?b)?|b)?"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
CHOICES: dict[str, tuple[str | None, ...]] = {
    "split": ("auto", "part", "range"),
    "addressing_style": ("auto", "path", "virtual"),
    "request_payer": ("requester", None),
}
_WHOLE_NUMBERS = {
    "connections": range(1, 1001),
    "jobs": range(1, 1001),
    "processes": range(1, 257),
    "part_size": range(1, 2**63),
    "limit_rate": range(1, 2**63),
    "max_memory": range(LEAST_MEMORY, 2**63),
    "retries": range(1_000_001),
}
# Options that flags and variables also take with a unit.
SIZES = frozenset({"part_size", "limit_rate", "max_memory"})
_SECONDS = ("connect_timeout", "response_timeout", "stall_timeout")
# What the annotations of the fields are made of, for people and for a check. Literals are checked with the choices.
_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "None": ("None", lambda value: value is None),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "str": ("text", lambda value: isinstance(value, str)),
    "Mapping[str, str]": ("a mapping of names to values", lambda value: isinstance(value, Mapping)),
    "Callable[[str], str]": ("a function", callable),
    "EventHandler": ("a function", callable),
}
# The names of files may be any bytes.
_PATHS = frozenset({"ca_bundle"})
ENCODING_HINT = "check the encoding of the terminal, or of the file it comes from"
_LONGEST_QUOTE = 80
_LEAST = {0: "zero or more", 1: "more than zero", LEAST_MEMORY: f"at least 1 MiB ({LEAST_MEMORY})"}
# Sockets count a timeout in milliseconds, in 31 bits.
_LONGEST_TIMEOUT = 2_000_000.0
# RFC 9110 §5.1 and §5.5.
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_BREAK = r"[\r\n\0]"
_SURROGATE = "[\ud800-\udfff]"


def parse_size(text: str) -> int:
    """Read a size such as `16M`, `16MiB` or `1.5g` as bytes; the letters mean powers of 1024, as curl's do."""
    match = re.fullmatch(_SIZE, text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a size", hint="write it as 16M, 16MiB or a number of bytes")
    whole, fraction, unit = match[1], match[2] or "", (match[3] or "b").lower()
    return (int(whole + fraction) << 10 * "bkmgt".index(unit)) // int("1" + "0" * len(fraction))


class _Fixed(dict[str, str]):
    """A dict that stays as it is. Unlike a mappingproxy it can be pickled, copied, and written as JSON."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("the headers of a Config do not change: merged(headers=…) gives a changed copy")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, str]]]:
        return type(self), (dict(self),)


def _option(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"meaning": meaning, "secret": secret})


@frozen(kw_only=True, slots=False)
class Config:
    """The options of a client or of one call. Immutable; `merged()` gives a changed copy."""

    connections: int | None = _option(
        None, "connections for one object (default: found by measuring, at most 32, of an object store 96)"
    )
    processes: int | None = _option(
        None,
        "processes that share one large object (default: 1), or the small ones of a pull (default: as many as pay)",
    )
    jobs: int | None = _option(
        None, "objects that a pull fetches at a time (default: found by measuring, at most 32, of an object store 96)"
    )
    part_size: int | None = _option(None, "size of a byte-range piece (default: chosen by object size)")
    split: Literal["auto", "part", "range"] = _option(
        "auto", "how an object is cut: auto, part (stored parts) or range (byte ranges)"
    )
    limit_rate: int | None = _option(
        None, "bytes a second that all transfers with this option may receive together (default: no limit)"
    )
    max_memory: int = _option(
        32 * MIB, "bytes that the buffers of all transfers with this option may have together (default: 32 MiB)"
    )
    retries: int = _option(5, "times that one piece is asked for again before the download fails")
    connect_timeout: float = _option(10.0, "seconds to wait for a connection and its TLS handshake")
    response_timeout: float = _option(60.0, "seconds to wait for the first byte of an answer")
    stall_timeout: float = _option(30.0, "seconds without a single byte before a connection is given up")
    checksum: str | None = _option(None, "digest that the object must have, as ALGORITHM=HEX (sha-256=…)")
    require_verified: bool = _option(False, "refuse, before the transfer, what cannot be verified by a digest")
    overwrite: bool = _option(True, "replace a file that is already there")
    resume: bool = _option(True, "go on with an interrupted download, and skip a file that is already here")
    fsync: bool = _option(True, "flush the file and its directory to disk before the download counts as done")
    headers: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,
        hash=False,
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
    access_key_id: str | None = _option(None, "access key to sign with, instead of a profile's", secret=True)
    secret_access_key: str | None = _option(None, "the access key's secret", secret=True)
    session_token: str | None = _option(None, "token that goes with temporary keys", secret=True)
    ibm_api_key_id: str | None = _option(None, "IBM Cloud API key, for a token instead of a signature", secret=True)
    ibm_auth_endpoint: str | None = _option(None, "where IBM Cloud tokens come from (default: IBM Cloud IAM)")
    use_dualstack_endpoint: bool = _option(False, "use the endpoint of AWS that has IPv6 as well")
    use_fips_endpoint: bool = _option(False, "use the endpoint of AWS with FIPS 140 cryptography")
    use_accelerate_endpoint: bool = _option(False, "use the transfer acceleration endpoint of AWS")
    sse_c_key: str | None = _option(None, "customer's key (SSE-C), 32 bytes as base64 or hex", secret=True)
    mirror_destination: str | None = _option(None, "IBM COS vault of a mirror to read from")
    if_match: str | None = _option(None, "fetch only if the object has this ETag, quotes included")
    if_none_match: str | None = _option(None, "fetch only if the object has another ETag than this, quotes included")
    if_modified_since: str | None = _option(None, "fetch only if the object is newer than this date (ISO 8601 or HTTP)")
    if_unmodified_since: str | None = _option(None, "fetch only if the object is not newer than this date")
    response_cache_control: str | None = _option(None, "Cache-Control that the store shall answer with")
    response_content_disposition: str | None = _option(None, "Content-Disposition that the store shall answer with")
    response_content_encoding: str | None = _option(None, "Content-Encoding that the store shall answer with")
    response_content_language: str | None = _option(None, "Content-Language that the store shall answer with")
    response_content_type: str | None = _option(None, "Content-Type that the store shall answer with")
    response_expires: str | None = _option(None, "Expires that the store shall answer with, as a date")
    refresh_url: Callable[[str], str] | None = field(
        default=None,
        repr=False,
        compare=False,
        metadata={"meaning": "called with a signed URL that has expired, gives a new one", "secret": False},
    )
    on_event: EventHandler | None = field(
        default=None, repr=False, compare=False, metadata={"meaning": "called with every event", "secret": False}
    )

    def __post_init__(self) -> None:
        _check(self)
        # A copy: what the caller does to the mapping later changes nothing here.
        object.__setattr__(self, "headers", _Fixed(self.headers))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """The options of the `FASTGET_*` variables, with `options` on top; those that are None are passed over.

        An empty variable counts as not set, but for FASTGET_PROXY, where it means no proxy at all. Raises ConfigError
        for a value that its option cannot have.
        """
        values = os.environ if environ is None else environ
        names = environment_names()
        found = {name: _read(name, values[at]) for name, at in names.items() if values.get(at)}
        if values.get(names["proxy"]) == "":
            found["proxy"] = ""
        return cls(**found).merged(**{name: value for name, value in options.items() if value is not None})

    @classmethod
    def of(cls, given: object, **options: Any) -> Config:
        """The config that is given, or that of the environment for None, with options on top.

        Raises ConfigError, also for anything else that is given.
        """
        config = cls.from_environment() if given is None else given
        if not isinstance(config, Config):
            hint = "options are given by name, as in Client(connections=8), and a URL to the verbs"
            raise ConfigError(f"{type(config).__name__!r} stands where a Config is expected", hint=hint)
        return config.merged(**options)

    def merged(self, **options: Any) -> Self:
        """A copy with the given options changed.

        Raises ConfigError for an option that does not exist or a value that it cannot have.
        """
        if not options:
            return self
        unknown = sorted(set(options) - {item.name for item in fields(self)})
        if unknown:
            raise ConfigError(f"there is no option {unknown[0]!r}", hint="the options are the fields of fastget.Config")
        return replace(self, **options)


def environment_names() -> dict[str, str]:
    """Option name to environment variable, for every option that a variable can hold."""
    names = [item.name for item in fields(Config) if item.name not in ("on_event", "refresh_url", "headers")]
    return {name: f"FASTGET_{name.upper()}" for name in names}


def _read(name: str, text: str) -> Any:
    """The value of one variable. Raises ConfigError, which names the variable."""
    variable = environment_names()[name]
    try:
        value = _parse(name, text)
        Config(**{name: value})
    except ConfigError as error:
        raise ConfigError(f"{variable}: {error.message}", hint=error.hint) from None
    except ValueError:
        raise ConfigError(f"{variable} holds {text!r}, which is not a value for it") from None
    return value


def _parse(name: str, text: str) -> Any:
    if name in SIZES:
        return parse_size(text)
    if "bool" in KINDS[name]:
        return _flag(text)
    if "int" in KINDS[name]:
        return int(text)
    return float(text) if "float" in KINDS[name] else text


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE | _FALSE:
        return lowered in _TRUE
    raise ValueError(text)


# What the values of each option can be, as its annotation has it: ("int", "None"); nothing where there are `CHOICES`.
# Taken apart once, and as text: to resolve the annotations takes longer than all else here.
KINDS: dict[str, tuple[str, ...]] = {
    item.name: () if str(item.type).startswith("Literal") else tuple(str(item.type).split(" | "))
    for item in fields(Config)
}


def _check(config: Config) -> None:
    for name, kinds in KINDS.items():
        value = getattr(config, name)
        if kinds and not any(_CHECKS[kind][1](value) for kind in kinds):
            expected = " or ".join(_CHECKS[kind][0] for kind in kinds)
            raise ConfigError(f"{name} must be {expected}, not {_given(name, value)}")
        if isinstance(value, str) and name not in _PATHS and not is_text(value):
            raise ConfigError(f"{name} holds bytes that are no text", hint=ENCODING_HINT)
    for name, choices in CHOICES.items():
        value = getattr(config, name)
        if value not in choices:
            named = " or ".join(choice for choice in choices if choice)
            raise ConfigError(f"{name} can only be {named}, not {value!r}")
    for name, allowed in _WHOLE_NUMBERS.items():
        value = getattr(config, name)
        is_found_out = value is None and name != "retries"
        if not is_found_out and value not in allowed:
            least = _LEAST[allowed.start]
            raise ConfigError(f"{name} must be {least}, a whole number of at most {allowed[-1]}, not {value!r}")
    for name in _SECONDS:
        value = getattr(config, name)
        if not 0 < value <= _LONGEST_TIMEOUT:
            raise ConfigError(f"{name} must be more than 0 and at most {_LONGEST_TIMEOUT:.0f} seconds, not {value!r}")
    _check_headers(config.headers)


def _given(name: str, value: object) -> str:
    """What an option was given, for people: its type alone where the text may be long, or a secret."""
    is_quotable = (
        isinstance(value, bool | int | float | str) and not Config.__dataclass_fields__[name].metadata["secret"]
    )
    if value is None or (is_quotable and len(repr(value)) <= _LONGEST_QUOTE):
        return repr(value)
    return f"one of type {_type_name(value)}"


def _type_name(value: object) -> str:
    """With its module, where the name alone may be that of another type: numpy has a bool, too."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _check_headers(headers: Mapping[str, str]) -> None:
    """The value of a header may be a secret: no message quotes it."""
    for name, value in headers.items():
        if not isinstance(name, str) or not re.fullmatch(_HEADER_NAME, name):
            raise ConfigError("a header has no name that HTTP allows", hint="give each header as NAME: VALUE")
        if not isinstance(value, str):
            raise ConfigError(f"headers must hold text, and that of {name} is one of type {_type_name(value)}")
        if re.search(_HEADER_BREAK, value):
            raise ConfigError(f"the header {name} holds a line break", hint="give each header as NAME: VALUE")
        if not is_text(value):
            raise ConfigError(f"the header {name} holds bytes that are no text", hint=ENCODING_HINT)


def is_text(value: str) -> bool:
    """Whether it can be sent: what a shell hands over in another encoding than its own becomes surrogates."""
    return value.isascii() or re.search(_SURROGATE, value) is None
