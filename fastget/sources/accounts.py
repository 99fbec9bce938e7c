"""Who asks a store: keys that are plain to see, or a botocore session, its client, and the credentials it finds."""

from __future__ import annotations

import os
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any

from fastget.errors import ConfigError, CredentialsError
from fastget.records import record
from fastget.sources.failures import NO_CREDENTIALS_HINT, NO_IBM_CREDENTIALS_HINT, botocore_failures
from fastget.sources.plain_routes import DEFAULT_REGION
from fastget.sources.signing import Credentials

if TYPE_CHECKING:
    from fastget.sources.capture import CapturingClient
    from fastget.sources.iam import Tokens
    from fastget.sources.settings import S3Settings

_KEYS = ("access_key", "secret_key", "token")
# What botocore reads before it looks for keys anywhere.
_NUMBERS_FOR_KEYS = ("metadata_service_timeout", "metadata_service_num_attempts")
# What no key has, and no header field can hold: control characters, and what a shell hands over that is no UTF-8.
_FOREIGN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_FOREIGN_HINT = "look at what gives it: a file with CRLF at the ends of its lines, a copy with a character too many"


@record
class Account:
    """Credentials, plain or botocore's (None: requests go unsigned), or `tokens` in the place of a signature."""

    credentials: Any = field(repr=False)
    tokens: Tokens | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Keys and tokens, as far as they are known now: a store may name them to whoever asks it."""
        keys = self.credentials
        if isinstance(keys, Credentials):
            found = [keys.access_key, keys.secret_key, keys.token]
        else:
            # Asked for by its public name, one that can be refreshed might be, over the network.
            held = getattr(keys, "__dict__", {})
            found = [held.get(f"{start}{name}") for name in _KEYS for start in ("", "_")]
        found.append(self.tokens.last if self.tokens is not None else None)
        return tuple(filter(None, found))

    def frozen(self, display_url: str) -> Credentials:
        """The credentials of this moment; botocore refreshes them when they are about to expire."""
        if isinstance(self.credentials, Credentials):
            return self.credentials
        with botocore_failures(display_url, CredentialsError):
            found = self.credentials.get_frozen_credentials()
        return checked(Credentials(found.access_key, found.secret_key, found.token), display_url)


@record
class BotocoreAccount:
    """An account as botocore finds it, and the client that draws on the same credentials."""

    account: Account
    client: CapturingClient


def checked(keys: Credentials, display_url: str) -> Credentials:
    """The keys. Raises CredentialsError for some that nothing can be signed with, and does not show them."""
    named = {"access key": keys.access_key, "secret key": keys.secret_key, "session token": keys.token or ""}
    for name, value in named.items():
        if (fault := _fault(value)) is not None:
            raise CredentialsError(
                f"{display_url}: the {name} of the credentials {fault}", hint=_FOREIGN_HINT, url=display_url
            )
    return keys


def _fault(value: object) -> str | None:
    """Why this is no key, or None."""
    if not isinstance(value, str):
        return "is no text"
    if (found := _FOREIGN.search(value)) is None:
        return None
    if found[0] in "\r\n":
        return "holds the end of a line"
    return "holds a control character" if found[0] < "\x80" else "is no UTF-8"


def make_account(settings: S3Settings, tokens: Tokens | None, display_url: str) -> BotocoreAccount:
    """The account that the settings name, read now from wherever its credentials come.

    Raises CredentialsError where there are none, ConfigError, InvalidURL or NetworkError.
    """
    from botocore.session import Session

    from fastget.sources.capture import CapturingClient

    with botocore_failures(display_url):
        session = Session(profile=settings.profile)
        _check_s3_section(session, display_url)
        if settings.access_key_id is not None:
            session.set_credentials(settings.access_key_id, settings.secret_access_key, settings.session_token)
        _check_numbers(session, looks_for_keys=not (settings.access_key_id or settings.is_unsigned), url=display_url)
    # Asked before the client is, which would ask too: what keeps them away is no matter of its settings.
    with botocore_failures(display_url, CredentialsError):
        credentials = None if settings.is_unsigned else session.get_credentials()
    with botocore_failures(display_url):
        client = session.create_client(
            "s3",
            region_name=settings.region or _default_region(session),
            endpoint_url=settings.endpoint_url,
            verify=False if settings.insecure else settings.ca_bundle,
            config=_client_config(settings),
        )
    if credentials is None and not settings.is_unsigned:
        client.close()
        owner, hint = ("IBM", NO_IBM_CREDENTIALS_HINT) if settings.store == "cos" else ("AWS", NO_CREDENTIALS_HINT)
        raise CredentialsError(f"{display_url}: there are no {owner} credentials", hint=hint, url=display_url)
    account = Account(credentials, tokens)
    if credentials is not None:
        try:
            account.frozen(display_url)  # what keeps them from being had is told as theirs, and not as a setting
        except BaseException:
            client.close()
            raise
    return BotocoreAccount(account, CapturingClient(client))


def _check_s3_section(session: Any, display_url: str) -> None:
    """Raises ConfigError where a profile has a value for `s3`, which botocore takes for a section unseen."""
    if isinstance(session.get_scoped_config().get("s3", {}), str):
        raise ConfigError(
            f"{display_url}: s3 is no section in the AWS config file: a value, or nothing, stands in its place",
            hint="write its settings on indented lines below `s3 =`, such as `addressing_style = path`, or take s3 out",
            url=display_url,
        )


def _check_numbers(session: Any, *, looks_for_keys: bool, url: str) -> None:
    """Raises ConfigError for one that is none: botocore's error has the value alone."""
    for name in ("max_attempts", *(_NUMBERS_FOR_KEYS if looks_for_keys else ())):
        try:
            session.get_config_variable(name)
        except ValueError as error:
            raise ConfigError(
                f"{url}: {name} is no whole number ({error})",
                hint=f"look at {name} in the AWS config file, and at AWS_{name.upper()}",
                url=url,
            ) from error


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
