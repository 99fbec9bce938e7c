"""Which CA certificates are named for stores: by AWS_CA_BUNDLE, the profile's ca_bundle, or REQUESTS_CA_BUNDLE.

That is botocore's order, and all that it reads. What http:// and https:// URLs heed is in transport/authorities.py.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastget.errors import ConfigError, FastgetError
from fastget.sources.aws_environment import plain_environment

if TYPE_CHECKING:
    from fastget.config import Config

VARIABLE = "AWS_CA_BUNDLE"
OF_REQUESTS = "REQUESTS_CA_BUNDLE"
_PROFILES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")


def bundle_for_stores(config: Config) -> str | None:
    """The file or directory to trust for stores, where no option says it. None: nothing is named, or nothing needed.

    An empty variable names nothing: botocore takes it for an error, or does without any check. Raises ConfigError for
    what cannot be read.
    """
    if config.ca_bundle is not None or config.insecure:
        return None
    said = plain_environment(config.profile)
    endpoint = config.endpoint_url or (said.endpoint_url if said is not None else None) or ""
    if endpoint.lower().startswith("http://"):
        return None
    if path := os.environ.get(VARIABLE):
        _check(path, VARIABLE)
        return path
    path = said.ca_bundle if said is not None else _found_by_botocore(config.profile)
    if path:
        name = config.profile or next(filter(None, map(os.environ.get, _PROFILES)), "default")
        _check(path, f"ca_bundle of the AWS profile {name}")
        return path
    if path := os.environ.get(OF_REQUESTS):
        _check(path, OF_REQUESTS)
    return path or None


def _found_by_botocore(profile: str | None) -> str | None:
    """What the profile says. A profile that cannot be read is told of where its keys are looked for."""
    from botocore.session import Session

    from fastget.sources.failures import botocore_failures

    with suppress(FastgetError), botocore_failures("ca_bundle"):
        found = Session(profile=profile).get_scoped_config().get("ca_bundle")
        return found if isinstance(found, str) else None
    return None


def _check(path: str, name: str) -> None:
    """Raise ConfigError, which says who named the file: whoever opens it later does not know."""
    try:
        if Path(path).is_dir():
            return
        holds_one = b"-----BEGIN" in Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"{name} names {path}, which cannot be read: {reason}",
            hint="name a PEM file of CA certificates there, or give --ca-bundle",
        ) from error
    if not holds_one:
        raise ConfigError(
            f"{name} names {path}, which holds no certificate",
            hint="name a PEM file of CA certificates there, or give --ca-bundle",
        )
