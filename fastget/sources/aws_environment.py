"""What the AWS variables and files say, as far as that is plain: read here for a start without botocore.

What is not known to be harmless counts as not plain: whoever reads then gets None and asks botocore, which is the one
truth about all of it (profiles that take on roles, sign-ons, processes, services, defaults modes, ...).
"""

from __future__ import annotations

import os
import re
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastget.records import record
from fastget.sources.signing import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

# They say what is read here, or nothing about where an object lies and how a request for it is signed.
_PLAIN_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_DEFAULT_OUTPUT",
        "AWS_DEFAULT_PROFILE",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_EXECUTION_ENV",
        "AWS_PAGER",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SHARED_CREDENTIALS_FILE",
    }
)
# They are asked only where neither a variable nor a profile holds a key.
_LATER_VARIABLES = frozenset(
    {
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_EC2_METADATA_DISABLED",
    }
)
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_PLAIN_FIELDS = frozenset({*_KEYS, "ca_bundle", "region", "endpoint_url", "output", "s3"})
_FIELDS_OF_THE_CLI = re.compile(r"cli_[a-z_]+")
# What the command line of AWS reads for its own transfers, and the one that counts here.
_PLAIN_S3_FIELDS = frozenset(
    {
        "addressing_style",
        "max_bandwidth",
        "max_concurrent_requests",
        "max_queue_size",
        "multipart_chunksize",
        "multipart_threshold",
        "preferred_transfer_client",
    }
)
_QUOTES = frozenset("\"'\\")
_PROFILE_NAME = re.compile(r"[A-Za-z0-9_.@-]+")

_Section = dict[str, Any]


@record
class AwsEnvironment:
    """What botocore would find too; None or "auto" where nothing is said. Without `keys`, it has to be asked for them.

    `keys` are those of a profile or of the variables, `ca_bundle` the profile's.
    """

    region: str | None = None
    endpoint_url: str | None = None
    addressing_style: str = "auto"
    ca_bundle: str | None = None
    keys: Credentials | None = field(default=None, repr=False)


def plain_environment(profile: str | None) -> AwsEnvironment | None:
    """The variables and files of this process, for the profile of the options or the one in force.

    None where anything is said that this module does not read.
    """
    variables = os.environ
    said = {name for name in variables if name.startswith(("AWS_", "BOTO"))}
    paths = _paths(variables)
    if paths is None or not said <= _PLAIN_VARIABLES | _LATER_VARIABLES:
        return None
    in_force = variables.get("AWS_DEFAULT_PROFILE", variables.get("AWS_PROFILE"))
    found = _profile(paths, in_force if profile is None else profile)
    if found is None:
        return None
    settings, keys = found
    # The variables come before an AWS_PROFILE, but after a profile that was given by name.
    if profile is None and variables.get("AWS_ACCESS_KEY_ID"):
        keys = {key: variables.get(key.upper(), "") for key in _KEYS}
        if not keys["aws_secret_access_key"]:
            return None
    return AwsEnvironment(
        region=variables.get("AWS_DEFAULT_REGION", settings.get("region")) or variables.get("AWS_REGION") or None,
        endpoint_url=variables.get("AWS_ENDPOINT_URL_S3")
        or variables.get("AWS_ENDPOINT_URL")
        or settings.get("endpoint_url")
        or None,
        addressing_style=settings.get("s3", {}).get("addressing_style", "auto"),
        ca_bundle=settings.get("ca_bundle"),
        keys=Credentials(keys[_KEYS[0]], keys[_KEYS[1]], keys.get(_KEYS[2]) or None) if keys else None,
    )


def _paths(variables: Mapping[str, str]) -> tuple[Path, Path] | None:
    """Where the files of configuration and of credentials are, or would be; None beside models of services."""
    config = variables.get("AWS_CONFIG_FILE", "~/.aws/config")
    credentials = variables.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    try:
        # As botocore asks: what may not be looked at, as in another user's home, is not there. A Path would raise.
        if os.path.exists(Path("~/.aws/models").expanduser()):  # noqa: PTH110
            return None
        return Path(os.path.expandvars(config)).expanduser(), Path(os.path.expandvars(credentials)).expanduser()
    except RuntimeError:  # there is no home
        return None


def _profile(paths: tuple[Path, Path], name: str | None) -> tuple[_Section, _Section] | None:
    """The settings of a profile, and the section that holds its keys; None where they are not plain."""
    if name is not None and not _PROFILE_NAME.fullmatch(name):
        return None
    if not any(map(os.path.isfile, paths)):
        return ({}, {}) if name is None else None
    config, credentials = map(_sections, paths)
    return None if config is None or credentials is None else _merged(config, credentials, name)


def _sections(path: Path) -> dict[str, _Section] | None:
    """The sections of a file as botocore reads them; None for a file that it would not take."""
    import configparser

    if not os.path.isfile(path):  # noqa: PTH113  as above
        return {}
    parser = configparser.RawConfigParser()
    try:
        parser.read([path])
        return {
            name: {key: _value(parser.get(name, key)) for key in parser.options(name)} for name in parser.sections()
        }
    except (configparser.Error, ValueError, OSError):
        return None


def _value(text: str) -> str | dict[str, str]:
    """A value, or the lines below it as values of their own. Raises ValueError for lines that are none."""
    if not text.startswith("\n"):
        return text
    pairs = (line.split("=", 1) for line in text.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, value in pairs}


def _merged(
    config: dict[str, _Section], credentials: dict[str, _Section], name: str | None
) -> tuple[_Section, _Section] | None:
    wanted = name or "default"
    heading = wanted if wanted == "default" else f"profile {wanted}"
    if any(_may_mean(wanted, other) for other in config if other != heading):
        return None
    own, shared = config.get(heading), credentials.get(wanted)
    if own is None and shared is None:
        return None if name is not None else ({}, {})
    said = [section for section in (shared, own) if section is not None]
    if not all(_is_plain(*item) for section in said for item in section.items()):
        return None
    settings = {**(own or {}), **(shared or {})}
    keys = next((section for section in said if _KEYS[0] in section), {})
    return (settings, keys) if not keys or (keys[_KEYS[0]] and keys.get(_KEYS[1])) else None


def _may_mean(profile: str, heading: str) -> bool:
    """Whether a heading may be that of a profile, quoted or spaced in another way."""
    return heading.startswith("profile") and (not _QUOTES.isdisjoint(heading) or heading.split()[1:] == [profile])


def _is_plain(name: str, value: str | dict[str, str]) -> bool:
    if isinstance(value, str):
        return (name in _PLAIN_FIELDS and name != "s3") or _FIELDS_OF_THE_CLI.fullmatch(name) is not None
    return name == "s3" and _PLAIN_S3_FIELDS.issuperset(value)
