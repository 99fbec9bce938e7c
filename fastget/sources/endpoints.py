"""Where the objects of a bucket are asked for, and by whom: botocore's answer, found once and shared."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from fastget.core.messages import Headers, Request
from fastget.errors import Cancelled, ConfigError, CredentialsError
from fastget.sources.capture import CapturingClient
from fastget.sources.failures import NO_CREDENTIALS_HINT, botocore_failures
from fastget.sources.signing import ALGORITHM, Credentials, Scope, Signer, encode_key, encode_query

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fastget.config import Config
    from fastget.core.urls import URL

DEFAULT_REGION = "us-east-1"
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """The options that decide about sessions, endpoints and signatures."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    addressing_style: str = "auto"
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    insecure: bool = False
    connect_timeout: float = 10.0
    response_timeout: float = 60.0

    @classmethod
    def of(cls, config: Config) -> Self:
        """The settings in `config`. An Authorization header of the user takes the place of a signature.

        Raises ConfigError for an endpoint with user info in it.
        """
        brings_its_own = any(name.lower() == "authorization" for name in config.headers)
        if "@" in urlsplit(config.endpoint_url or "").netloc:
            raise ConfigError("endpoint_url holds a user name or password", hint="S3 takes keys: give a profile")
        return cls(
            endpoint_url=config.endpoint_url,
            region=config.region,
            profile=config.profile,
            anonymous=config.no_sign_request or brings_its_own,
            addressing_style=config.addressing_style,
            proxy=config.proxy,
            ca_bundle=config.ca_bundle,
            insecure=config.insecure,
            connect_timeout=config.connect_timeout,
            response_timeout=config.response_timeout,
        )


@dataclass(frozen=True, slots=True)
class ObjectRequest:
    """What is to be asked of a bucket, before it has an address and a signature."""

    method: str
    key: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = field(default_factory=Headers)


@dataclass(frozen=True, slots=True)
class Account:
    """A session, its client, and the credentials that both draw on (None where requests go unsigned)."""

    client: CapturingClient
    credentials: Any = field(repr=False)

    def frozen(self, display_url: str) -> Credentials:
        """The credentials of this moment; botocore refreshes them when they are about to expire."""
        with botocore_failures(display_url, CredentialsError):
            found = self.credentials.get_frozen_credentials()
        return Credentials(found.access_key, found.secret_key, found.token)


@dataclass(frozen=True, slots=True)
class BucketRoute:
    """How the objects of one bucket are asked for. `root` is their URL up to the key.

    `signer` signs the requests; without one they go unsigned (`anonymous`), or botocore signs them,
    for their signature is of another kind (SigV4A, directory buckets).
    """

    bucket: str
    root: URL
    region: str
    anonymous: bool
    account: Account
    signer: Signer | None

    def request(self, asked: ObjectRequest, display_url: str, skew: float = 0.0) -> Request:
        """The request for now plus `skew` seconds. Raises what `botocore_failures` raises."""
        if self.signer is None and not self.anonymous:
            return self._captured(asked, display_url)
        path = self.root.path + encode_key(asked.key)
        url = replace(self.root, path=path, query=encode_query(asked.query))
        request = Request(asked.method, url, asked.headers)
        if self.signer is None:
            return request
        moment = datetime.now(UTC) + timedelta(seconds=skew)
        return self.signer.sign(request, self.account.frozen(display_url), moment)

    def _captured(self, asked: ObjectRequest, display_url: str) -> Request:
        with botocore_failures(display_url):
            return self.account.client.request(asked.method, self.bucket, asked.key, asked.headers, dict(asked.query))


class S3Endpoints:
    """Sessions, clients and routes, each made once for all the threads that need it. Its maker closes it.

    While one thread makes a thing the others that need the same one wait for it; no lock is held meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Hashable, Future[Any]] = {}
        self._regions: dict[tuple[S3Settings, str], str] = {}

    def route(self, settings: S3Settings, bucket: str, region: str | None, display_url: str) -> BucketRoute:
        """The way to `bucket`; `region` overrides that of the settings.

        Raises CredentialsError, ConfigError, InvalidURL or NetworkError.
        """
        chosen = region or self._regions.get((settings, bucket)) or settings.region
        local = replace(settings, region=chosen)
        return self._once((local, bucket), lambda: self._make_route(local, bucket, display_url))

    def remember_region(self, settings: S3Settings, bucket: str, region: str) -> None:
        """The bucket turned out to live in `region`: the next source of it starts there."""
        self._regions[settings, bucket] = region

    def close(self) -> None:
        """Close the clients. Safe to call twice."""
        with self._lock:
            found, self._found = self._found, {}
        for future in found.values():
            made = future.result() if future.done() and future.exception() is None else None
            if isinstance(made, Account):
                made.client.close()

    def _once(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        with self._lock:
            future = self._found.get(key)
            mine = future is None
            if future is None:
                future = self._found[key] = Future()
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                # The next caller tries again: credentials may have come, a profile may have been written.
                with self._lock:
                    self._found.pop(key, None)
                future.set_exception(error if isinstance(error, Exception) else Cancelled("interrupted"))
                raise
        return cast("_Value", future.result())

    def _make_route(self, settings: S3Settings, bucket: str, display_url: str) -> BucketRoute:
        account = self._once(settings, lambda: _make_account(settings, display_url))
        with botocore_failures(display_url):
            sample = account.client.request("GET", bucket, "k", Headers(), {})
        return BucketRoute(
            bucket=bucket,
            root=replace(sample.url, path=sample.url.path.removesuffix("k"), query=None),
            region=account.client.region,
            anonymous=settings.anonymous,
            account=account,
            signer=_signer(sample.headers),
        )


def _signer(headers: Headers) -> Signer | None:
    """Our own signer where botocore's sample is signed in the plain way."""
    algorithm, _, fields = (headers.get("authorization") or "").partition(" ")
    credential = fields.partition(",")[0].strip().removeprefix("Credential=").split("/")
    if algorithm != ALGORITHM or len(credential) < 5 or "x-amz-s3session-token" in headers:
        return None
    return Signer(Scope(region=credential[-3], service=credential[-2]))


def _make_account(settings: S3Settings, display_url: str) -> Account:
    from botocore.session import Session

    with botocore_failures(display_url):
        session = Session(profile=settings.profile)
        client = session.create_client(
            "s3",
            region_name=settings.region or _default_region(session),
            endpoint_url=settings.endpoint_url,
            verify=False if settings.insecure else settings.ca_bundle,
            config=_client_config(settings),
        )
    with botocore_failures(display_url, CredentialsError):
        credentials = None if settings.anonymous else session.get_credentials()
    if credentials is None and not settings.anonymous:
        client.close()
        raise CredentialsError(
            f"{display_url}: there are no AWS credentials", hint=NO_CREDENTIALS_HINT, url=display_url
        )
    return Account(CapturingClient(client), credentials)


def _default_region(session: Any) -> str:
    return session.get_config_variable("region") or os.environ.get("AWS_REGION") or DEFAULT_REGION


def _client_config(settings: S3Settings) -> Any:
    from botocore import UNSIGNED
    from botocore.config import Config as ClientConfig

    options: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        "read_timeout": settings.response_timeout,
    }
    if settings.anonymous:
        options["signature_version"] = UNSIGNED
    if settings.addressing_style != "auto":
        options["s3"] = {"addressing_style": settings.addressing_style}
    if settings.proxy is not None:
        options["proxies"] = {"http": settings.proxy, "https": settings.proxy}
    return ClientConfig(**options)
