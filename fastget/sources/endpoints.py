"""Where the objects of a bucket are asked for, and by whom: botocore's answer, found once and shared."""

from __future__ import annotations

import os
import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from fastget.core.messages import Headers, Request
from fastget.core.urls import URL
from fastget.errors import Cancelled, ConfigError, CredentialsError
from fastget.sources.capture import CapturingClient
from fastget.sources.failures import NO_CREDENTIALS_HINT, botocore_failures
from fastget.sources.signing import ALGORITHM, Credentials, Scope, Signer, encode_key, encode_query

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fastget.config import Config
    from fastget.sources.iam import TokenEndpoint, Tokens

DEFAULT_REGION = "us-east-1"
# The endpoints of IBM Cloud Object Storage: s3.eu-de.cloud-object-storage.appdomain.cloud and its like, and older ones.
_IBM_HOSTS = re.compile(r"(?:^|\.)(?:cloud-object-storage\.[a-z]+\.cloud|objectstorage\.softlayer\.net)$")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+){0,5}", re.ASCII)
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
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    use_dualstack_endpoint: bool = False
    use_fips_endpoint: bool = False
    use_accelerate_endpoint: bool = False
    store: str = "s3"
    ibm_api_key_id: str | None = field(default=None, repr=False)
    ibm_auth_endpoint: str | None = None

    @classmethod
    def of(cls, config: Config, store: str = "s3") -> Self:
        """The settings in `config`, for a URL of the scheme `store`: s3 or cos.

        An Authorization header of the user takes the place of a signature.
        Raises ConfigError for an endpoint with user info in it, half a key, or a region that IBM COS cannot have.
        """
        _check_keys(config)
        brings_its_own = any(name.lower() == "authorization" for name in config.headers)
        if "@" in urlsplit(config.endpoint_url or "").netloc:
            raise ConfigError("endpoint_url holds a user name or password", hint="S3 takes keys: give a profile")
        return cls(
            endpoint_url=config.endpoint_url or _ibm_endpoint(store, config.region),
            region=config.region,
            profile=config.profile,
            anonymous=config.no_sign_request or brings_its_own,
            addressing_style=config.addressing_style,
            proxy=config.proxy,
            ca_bundle=config.ca_bundle,
            insecure=config.insecure,
            connect_timeout=config.connect_timeout,
            response_timeout=config.response_timeout,
            access_key_id=config.access_key_id,
            secret_access_key=config.secret_access_key,
            session_token=config.session_token,
            use_dualstack_endpoint=config.use_dualstack_endpoint,
            use_fips_endpoint=config.use_fips_endpoint,
            use_accelerate_endpoint=config.use_accelerate_endpoint,
            store=store,
            ibm_api_key_id=None if brings_its_own else config.ibm_api_key_id,
            ibm_auth_endpoint=config.ibm_auth_endpoint,
        )

    @property
    def token_endpoint(self) -> TokenEndpoint | None:
        """Where the token comes from that takes the place of a signature. Raises ConfigError for plain http."""
        if self.ibm_api_key_id is None:
            return None
        from fastget.sources.iam import TOKEN_ENDPOINT, TokenEndpoint

        return TokenEndpoint(
            api_key=self.ibm_api_key_id,
            url=self.ibm_auth_endpoint or TOKEN_ENDPOINT,
            proxy=self.proxy,
            ca_bundle=self.ca_bundle,
            insecure=self.insecure,
            connect_timeout=self.connect_timeout,
            response_timeout=self.response_timeout,
        )

    @property
    def is_unsigned(self) -> bool:
        """Whether requests carry no signature: nothing at all, or a token."""
        return self.anonymous or self.ibm_api_key_id is not None

    @property
    def is_ibm(self) -> bool:
        """Whether the endpoint is IBM Cloud Object Storage's."""
        if self.store == "cos" or self.ibm_api_key_id is not None:
            return True
        return _IBM_HOSTS.search(urlsplit(self.endpoint_url or "").hostname or "") is not None


def _ibm_endpoint(store: str, region: str | None) -> str | None:
    """The public endpoint of a region (us-south) or of a group of them (us, eu, ap), where one is given."""
    if store != "cos" or region is None:
        return None
    if not _REGION.fullmatch(region):
        raise ConfigError(f"there is no region {region!r} of IBM COS", hint="they look like us-south, eu-de, us, eu")
    return f"https://s3.{region}.cloud-object-storage.appdomain.cloud"


def _check_keys(config: Config) -> None:
    if config.ibm_api_key_id is not None and (config.access_key_id is not None or config.no_sign_request):
        raise ConfigError(
            "ibm_api_key_id takes the place of a signature", hint="leave out access_key_id and no_sign_request"
        )
    if (config.access_key_id is None) != (config.secret_access_key is None):
        raise ConfigError("access_key_id and secret_access_key go together", hint="give both, or neither")
    if config.access_key_id is None:
        if config.session_token is not None:
            raise ConfigError("session_token goes with access_key_id and secret_access_key", hint="give all three")
        return
    if config.no_sign_request:
        raise ConfigError("no_sign_request and an access key contradict each other", hint="give one of them")


@dataclass(frozen=True, slots=True)
class ObjectRequest:
    """What is to be asked of a bucket, before it has an address and a signature."""

    method: str
    key: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = field(default_factory=Headers)


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

    @property
    def secrets(self) -> tuple[str, ...]:
        """What requests carry that no message may repeat: a token in the place of a signature, or of temporary keys."""
        held = getattr(self.account.credentials, "__dict__", {})
        tokens = self.account.tokens
        # Asked for by its public name, one that can be refreshed might be, over the network.
        found = (tokens.last if tokens is not None else None, held.get("_token"), held.get("token"))
        return tuple(secret for secret in found if secret)

    @property
    def can_sign_for_another_time(self) -> bool:
        return self.signer is not None

    def request(self, asked: ObjectRequest, display_url: str, skew: float = 0.0) -> Request:
        """The request for now plus `skew` seconds. Raises what `botocore_failures` raises."""
        if self.signer is None and not self.anonymous:
            return self._captured(asked, display_url)
        url = URL(self.root.origin, self.root.path + encode_key(asked.key), encode_query(asked.query))
        headers = asked.headers
        if self.account.tokens is not None:
            headers = Headers([*headers, ("Authorization", f"Bearer {self.account.tokens.current()}")])
        request = Request(asked.method, url, headers)
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
        self._skews: dict[S3Settings, float] = {}

    def route(self, settings: S3Settings, bucket: str, display_url: str) -> BucketRoute:
        """The way to `bucket`, in the region that it is known to be in, else in that of the settings.

        Raises CredentialsError, ConfigError, InvalidURL or NetworkError.
        """
        local = self._local(settings, bucket)
        return self._once((local, bucket), lambda: self._make_route(local, bucket, display_url))

    def remember_region(self, settings: S3Settings, bucket: str, region: str) -> None:
        """The bucket turned out to live in `region`: from now on it is asked for there."""
        self._regions[settings, bucket] = region

    def skew(self, settings: S3Settings) -> float:
        """Seconds by which the store's clock is ahead of this machine's, where that matters."""
        return self._skews.get(settings, 0.0) if self._skews else 0.0

    def remember_time(self, settings: S3Settings, theirs: datetime) -> None:
        """The store has another time than this machine: signatures are made for its."""
        self._skews[settings] = (theirs - datetime.now(UTC)).total_seconds()

    def say_once(self, warning: str) -> None:
        """Log a warning, the first time."""
        import logging

        self._once(("warning", warning), lambda: logging.getLogger("fastget").warning("%s", warning))

    def renew(self, settings: S3Settings, stale: BucketRoute, refused: Request, display_url: str) -> None:
        """Read the credentials of `stale` anew, wherever they come from: one caller does, the others wait for it.

        Raises what `route` and `Tokens.renew` do. The next caller then tries again.
        """
        if stale.account.tokens is not None:
            stale.account.tokens.renew((refused.headers.get("authorization") or "").partition(" ")[2])
            return
        local = self._local(settings, stale.bucket)
        with self._lock:
            found = self._found.get(local)
            is_current = found is not None and found.done() and found.result() is stale.account
            if is_current:
                outdated = [key for key in self._found if key == local or (isinstance(key, tuple) and key[0] == local)]
                for key in outdated:
                    del self._found[key]
        if is_current:
            stale.account.client.close()
        self.route(settings, stale.bucket, display_url)

    def close(self) -> None:
        """Close the clients. Safe to call twice."""
        with self._lock:
            found, self._found = self._found, {}
        for future in found.values():
            made = future.result() if future.done() and future.exception() is None else None
            if isinstance(made, Account):
                made.client.close()

    def _local(self, settings: S3Settings, bucket: str) -> S3Settings:
        region = self._regions.get((settings, bucket)) if self._regions else None
        return settings if region is None else replace(settings, region=region)

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
        if settings.store == "cos" and settings.endpoint_url is None:
            raise ConfigError(
                f"{display_url}: a cos:// URL does not say where its bucket is",
                hint="give the bucket's region (us-south), or endpoint_url",
                url=display_url,
            )
        account = self._once(settings, lambda: _make_account(settings, self._tokens(settings), display_url))
        with botocore_failures(display_url):
            sample = account.client.request("GET", bucket, "k", Headers(), {})
        if account.tokens is not None:
            from fastget.sources.iam import check_is_secret

            check_is_secret("an IBM Cloud token", sample.url)
        return BucketRoute(
            bucket=bucket,
            root=replace(sample.url, path=sample.url.path.removesuffix("k"), query=None),
            region=account.client.region,
            anonymous=settings.is_unsigned,
            account=account,
            signer=_signer(sample.headers),
        )

    def _tokens(self, settings: S3Settings) -> Tokens | None:
        endpoint = settings.token_endpoint
        if endpoint is None:
            return None
        from fastget.sources.iam import Tokens

        return self._once(endpoint, lambda: Tokens(endpoint.fetch))


def _signer(headers: Headers) -> Signer | None:
    """Our own signer where botocore's sample is signed in the plain way."""
    algorithm, _, fields = (headers.get("authorization") or "").partition(" ")
    credential = fields.partition(",")[0].strip().removeprefix("Credential=").split("/")
    if algorithm != ALGORITHM or len(credential) < 5 or "x-amz-s3session-token" in headers:
        return None
    return Signer(Scope(region=credential[-3], service=credential[-2]))


def _make_account(settings: S3Settings, tokens: Tokens | None, display_url: str) -> Account:
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
