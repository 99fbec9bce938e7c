"""Who asks a store: a botocore session, its client, and the credentials that it finds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastget.errors import CredentialsError
from fastget.sources.capture import CapturingClient
from fastget.sources.failures import NO_CREDENTIALS_HINT, botocore_failures
from fastget.sources.signing import Credentials

if TYPE_CHECKING:
    from fastget.sources.iam import Tokens
    from fastget.sources.settings import S3Settings

DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Account:
    """A session, its client, and the credentials that both draw on (None where requests go unsigned).

    `tokens` take the place of a signature where there are some.
    """

    client: CapturingClient
    credentials: Any = field(repr=False)
    tokens: Tokens | None = field(default=None, repr=False)

    def frozen(self, display_url: str) -> Credentials:
        """The credentials of this moment; botocore refreshes them when they are about to expire."""
        with botocore_failures(display_url, CredentialsError):
            found = self.credentials.get_frozen_credentials()
        return Credentials(found.access_key, found.secret_key, found.token)


def make_account(settings: S3Settings, tokens: Tokens | None, display_url: str) -> Account:
    """The account that the settings name, read now from wherever its credentials come.

    Raises CredentialsError where there are none, ConfigError, InvalidURL or NetworkError.
    """
    from botocore.session import Session

    with botocore_failures(display_url):
        session = Session(profile=settings.profile)
        if settings.access_key_id is not None:
            session.set_credentials(settings.access_key_id, settings.secret_access_key, settings.session_token)
        client = session.create_client(
            "s3",
            region_name=settings.region or _default_region(session),
            endpoint_url=settings.endpoint_url,
            verify=False if settings.insecure else settings.ca_bundle,
            config=_client_config(settings),
        )
    with botocore_failures(display_url, CredentialsError):
        credentials = None if settings.is_unsigned else session.get_credentials()
    if credentials is None and not settings.is_unsigned:
        client.close()
        raise CredentialsError(
            f"{display_url}: there are no AWS credentials", hint=NO_CREDENTIALS_HINT, url=display_url
        )
    return Account(CapturingClient(client), credentials, tokens)


def _default_region(session: Any) -> str:
    return session.get_config_variable("region") or os.environ.get("AWS_REGION") or DEFAULT_REGION


def _client_config(settings: S3Settings) -> Any:
    from botocore import UNSIGNED
    from botocore.config import Config as ClientConfig

    options: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        "read_timeout": settings.response_timeout,
        # Whether checksums are asked for is the caller's to say (wire-spec.md row 21).
        "response_checksum_validation": "when_required",
    }
    # No signature version otherwise: a global one would turn off the sessions of directory buckets (wire-spec.md §5).
    if settings.is_unsigned:
        options["signature_version"] = UNSIGNED
    # What is not asked for is left to the AWS config file.
    options |= {name: True for name in ("use_dualstack_endpoint", "use_fips_endpoint") if getattr(settings, name)}
    if addressing := _addressing(settings):
        options["s3"] = addressing
    if settings.proxy is not None:
        options["proxies"] = {"http": settings.proxy, "https": settings.proxy}
    return ClientConfig(**options)


def _addressing(settings: S3Settings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if settings.addressing_style != "auto":
        found["addressing_style"] = settings.addressing_style
    if settings.use_accelerate_endpoint:
        found["use_accelerate_endpoint"] = True
    return found
