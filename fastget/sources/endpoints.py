"""Where the objects of a bucket are asked for, and by whom: botocore's answer, found once and shared.

Where that answer is plain to see (`plain_routes`), botocore is not loaded.
"""

from __future__ import annotations

import threading
from copy import copy
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from fastget.core.messages import Headers, Request
from fastget.core.urls import URL
from fastget.errors import Cancelled, ConfigError, FastgetError
from fastget.records import record
from fastget.sources.accounts import Account, BotocoreAccount, checked, make_account
from fastget.sources.ca_bundles import bundle_for_stores
from fastget.sources.failures import botocore_failures
from fastget.sources.plain_routes import plain_route
from fastget.sources.signing import ALGORITHM, Scope, Signer, encode_key, encode_query
from fastget.warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from fastget.config import Config
    from fastget.sources.capture import CapturingClient
    from fastget.sources.iam import Tokens
    from fastget.sources.settings import S3Settings

_Value = TypeVar("_Value")


class _Making:
    """Something that one thread makes while others wait for it. (concurrent.futures takes milliseconds to load.)"""

    __slots__ = ("_error", "_is_over", "_made")

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._made: Any = None
        self._error: Exception | None = None

    def end(self, made: object, error: Exception | None = None) -> None:
        self._made, self._error = made, error
        self._is_over.set()

    def wait(self) -> Any:
        """What was made. Raises the error of its maker."""
        if not self._is_over.is_set():
            self._is_over.wait()
        if self._error is not None:
            raise self._error
        return self._made

    @property
    def made(self) -> Any:
        """The same, None as long as there is nothing."""
        return self._made


@record
class ObjectRequest:
    """What is to be asked of a bucket, before it has an address and a signature."""

    method: str
    key: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = field(default_factory=Headers)


@record
class BucketRoute:
    """How the objects of one bucket are asked for. `root` is their URL up to the key.

    `signer` signs the requests, or botocore's `client` does, where their signature is of another kind (SigV4A,
    directory buckets); with neither they go unsigned.
    """

    bucket: str
    root: URL
    region: str
    account: Account
    signer: Signer | None
    client: CapturingClient | None = None

    @property
    def can_sign_for_another_time(self) -> bool:
        return self.signer is not None

    def request(self, asked: ObjectRequest, display_url: str, skew: float = 0.0) -> Request:
        """The request for now plus `skew` seconds. Raises what `botocore_failures` raises."""
        if self.client is not None:
            with botocore_failures(display_url):
                return self.client.request(asked.method, self.bucket, asked.key, asked.headers, dict(asked.query))
        url = URL(self.root.origin, self.root.path + encode_key(asked.key), encode_query(asked.query))
        headers = asked.headers
        if self.account.tokens is not None:
            headers = Headers([*headers, ("Authorization", f"Bearer {self.account.tokens.current()}")])
        request = Request(asked.method, url, headers)
        if self.signer is None:
            return request
        moment = datetime.now(UTC) + timedelta(seconds=skew)
        return self.signer.sign(request, self.account.frozen(display_url), moment)


class S3Endpoints:
    """Sessions, clients and routes, each made once for all the threads that need it. Its maker closes it.

    While one thread makes a thing the others that need the same one wait for it; no lock is held meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # as that of a client
        self._found: dict[Hashable, _Making] = {}
        self._regions: dict[tuple[S3Settings, str], str] = {}
        self._skews: dict[S3Settings, float] = {}

    def route(self, settings: S3Settings, bucket: str, display_url: str) -> BucketRoute:
        """The way to `bucket`, in the region that it is known to be in, else in that of the settings.

        Raises CredentialsError, ConfigError, InvalidURL or NetworkError.
        """
        local = self._local(settings, bucket)
        try:
            return self._once((local, bucket), lambda: self._make_route(local, bucket, display_url))
        except FastgetError as error:
            told = error.url or ""
            if told == display_url or not told.startswith(f"{settings.store}://"):
                raise
            raise _of_own(error, told, display_url) from None

    def ca_bundle(self, config: Config) -> str | None:
        """What `bundle_for_stores` finds, the first time. Raises ConfigError."""
        return self._once(("ca_bundle", config.profile, config.endpoint_url), lambda: bundle_for_stores(config))

    def secrets(self, settings: S3Settings, bucket: str) -> tuple[str, ...]:
        """What is known of the keys and tokens that requests go out with; nothing is asked for."""
        making = self._found.get((self._local(settings, bucket), bucket))
        return making.made.account.secrets if making is not None and making.made is not None else ()

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
        self._once(("warning", warning), lambda: warn("fastget", "%s", warning))

    def renew(
        self, settings: S3Settings, stale: BucketRoute, refused: Request, display_url: str, *, is_certain: bool = True
    ) -> None:
        """Read the credentials of `stale` anew, wherever they come from: one caller does, the others wait for it.

        `is_certain`: the store has refused them, and not only what was asked for.
        Raises what `route` and `Tokens.renew` do. The next caller then tries again.
        """
        if stale.account.tokens is not None:
            tokens, token = stale.account.tokens, (refused.headers.get("authorization") or "").partition(" ")[2]
            if is_certain:
                tokens.renew(token)
            else:
                tokens.doubt(token)
            return
        local = self._local(settings, stale.bucket)
        outdated: list[_Making] = []
        with self._lock:
            found = self._found.get((local, stale.bucket))
            if found is not None and found.made is not None and found.made.account is stale.account:
                keys = [key for key in self._found if key == local or (isinstance(key, tuple) and key[0] == local)]
                outdated = [self._found.pop(key) for key in keys if key in self._found]
        _close_clients(outdated)
        self.route(settings, stale.bucket, display_url)

    def close(self) -> None:
        """Close the clients. Safe to call twice."""
        with self._lock:
            found, self._found = self._found, {}
        _close_clients(found.values())

    def _local(self, settings: S3Settings, bucket: str) -> S3Settings:
        region = self._regions.get((settings, bucket)) if self._regions else None
        return settings if region is None else replace(settings, region=region)

    def _once(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        if (making := self._found.get(key)) is None:
            with self._lock:
                making = self._found.setdefault(key, mine := _Making())
            if making is mine:
                self._make(key, making, make)
        made: _Value = making.wait()
        return made

    def _make(self, key: Hashable, making: _Making, make: Callable[[], object]) -> None:
        try:
            making.end(make())
        except BaseException as error:
            # The next caller tries again: credentials may have come, a profile may have been written.
            with self._lock:
                self._found.pop(key, None)
            making.end(None, error if isinstance(error, Exception) else Cancelled("interrupted"))
            raise

    def _make_route(self, settings: S3Settings, bucket: str, display_url: str) -> BucketRoute:
        if settings.store == "cos" and settings.endpoint_url is None:
            raise ConfigError(
                f"{display_url}: a cos:// URL does not say where its bucket is",
                hint="give the bucket's region (us-south), or endpoint_url",
                url=display_url,
            )
        tokens = self._tokens(settings)
        plain = plain_route(settings, bucket)
        if plain is None:
            return self._route_by_botocore(settings, bucket, tokens, display_url)
        return BucketRoute(
            bucket=bucket,
            root=_checked_root(URL.parse(plain.root), tokens),
            region=plain.region,
            account=Account(None if plain.keys is None else checked(plain.keys, display_url), tokens),
            signer=None if plain.keys is None else Signer(Scope(plain.region, "s3")),
        )

    def _route_by_botocore(
        self, settings: S3Settings, bucket: str, tokens: Tokens | None, display_url: str
    ) -> BucketRoute:
        made = self._once(settings, lambda: make_account(settings, tokens, display_url))
        with botocore_failures(display_url):
            sample = made.client.request("GET", bucket, "k", Headers(), {})
        signer = _signer(sample.headers)
        root = replace(sample.url, path=sample.url.path.removesuffix("k"), query=None)
        return BucketRoute(
            bucket=bucket,
            root=_checked_root(root, tokens),
            region=made.client.region,
            account=made.account,
            signer=signer,
            client=None if settings.is_unsigned or signer is not None else made.client,
        )

    def _tokens(self, settings: S3Settings) -> Tokens | None:
        endpoint = settings.token_endpoint
        if endpoint is None:
            return None
        from fastget.sources.iam import Tokens

        return self._once(endpoint, lambda: Tokens(endpoint.fetch))


def _of_own(error: FastgetError, url: str, own_url: str) -> FastgetError:
    """The error of a thread that made in vain what this one waited for, about `own_url` in the place of `url`."""
    own = copy(error)
    own.url = own_url
    own.message = error.message.replace(url, own_url, 1)
    own.args = (own.message,)
    return own


def _checked_root(root: URL, tokens: Tokens | None) -> URL:
    """The URL up to the key. Raises ConfigError for one that a token must not be sent to."""
    if tokens is not None:
        from fastget.sources.iam import check_is_secret

        check_is_secret("an IBM Cloud token", root)
    return root


def _close_clients(found: Iterable[_Making]) -> None:
    for making in found:
        if isinstance(making.made, BotocoreAccount):
            making.made.client.close()


def _signer(headers: Headers) -> Signer | None:
    """Our own signer where botocore's sample is signed in the plain way."""
    algorithm, _, fields = (headers.get("authorization") or "").partition(" ")
    credential = fields.partition(",")[0].strip().removeprefix("Credential=").split("/")
    if algorithm != ALGORITHM or len(credential) < 5 or "x-amz-s3session-token" in headers:
        return None
    return Signer(Scope(region=credential[-3], service=credential[-2]))
