"""Tokens of IBM Cloud IAM, which take the place of a signature (wire-spec.md §5).

An API key is exchanged for a token that is good for about an hour. The key goes to the token endpoint alone, the
token to the store alone; neither follows a redirect.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.core.urls import URL, is_loopback
from fastget.errors import (
    Cancelled,
    ConfigError,
    CredentialsError,
    FastgetError,
    InvalidURL,
    NetworkError,
    ProtocolError,
    ServerError,
    Throttled,
)
from fastget.records import record
from fastget.sources.failures import botocore_failures
from fastget.sources.replies import safe_text, server_reply
from fastget.warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN_ENDPOINT = "https://iam.cloud.ibm.com/identity/token"  # noqa: S105 - an address
GRANT = "urn:ibm:params:oauth:grant-type:apikey"
# `bx:bx`, the public client of IBM's own tools.
CLIENT = "Basic Yng6Yng="
# Of a token's life, when a new one is asked for, and when the old one is not used any more: as IBM's SDK does.
RENEW_AT, OVER_AT = 0.75, 0.97
# Seconds until a new token is asked for again, where that has failed and the old one is still good.
PATIENCE = 30.0
# Seconds for which a token is taken for good, whatever a store says that denies without telling why.
BEYOND_DOUBT = 60.0
_LARGEST_ANSWER = 64 * 1024
_LONGEST_LIFE = 24 * 3600.0


@record
class Token:
    """A bearer token. The times are those of the clock that `Tokens` goes by, in seconds."""

    value: str = field(repr=False)
    renew_at: float
    over_at: float
    had_at: float = 0.0


@record
class TokenEndpoint:
    """Where tokens come from, for which API key, and how the way there is made. Raises ConfigError for plain http."""

    api_key: str = field(repr=False)
    url: str = TOKEN_ENDPOINT
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    insecure: bool = False
    connect_timeout: float = 10.0
    response_timeout: float = 60.0

    def __post_init__(self) -> None:
        try:
            url = URL.parse(self.url)
        except InvalidURL as error:
            said = f"ibm_auth_endpoint is no address: {error.message}"
            raise ConfigError(said, hint="write it as https://host/path") from None
        if url.userinfo is not None:
            raise ConfigError(
                "ibm_auth_endpoint holds a user name or password", hint="the API key is all that it takes"
            )
        check_is_secret("an IBM Cloud API key", url)

    def fetch(self, clock: Callable[[], float] = time.monotonic) -> Token:
        """A new token.

        Raises CredentialsError where the key is refused, Throttled or ServerError where the endpoint fails,
        ProtocolError for an answer that holds no token, NetworkError.
        """
        from urllib3.exceptions import HTTPError

        asked = clock()
        name = f"the token endpoint {urlsplit(self.url).hostname}"
        try:
            with botocore_failures(name):
                status, headers, body = self._post()
        except NetworkError as error:
            error.hint = "check the network and ibm_auth_endpoint"
            raise
        except HTTPError as error:
            raise NetworkError(f"{name}: the answer broke off ({type(error).__name__})", hint="try again") from None
        if status != 200:
            raise self._refusal(name, status, headers, body)
        found = _document(body)
        value, life = found.get("access_token"), found.get("expires_in")
        is_sound = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value and value
        if not is_sound or not isinstance(life, int | float) or not life > 0:
            raise ProtocolError(f"{name} has sent no token", hint="check ibm_auth_endpoint", is_transient=False)
        life = min(float(life), _LONGEST_LIFE)
        return Token(str(value), asked + life * RENEW_AT, asked + life * OVER_AT, asked)

    def _post(self) -> tuple[int, Headers, bytes]:
        from botocore.awsrequest import AWSRequest
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else {}
        if self.proxy is None:
            proxies = get_environ_proxies(self.url)
        session = URLLib3Session(
            verify=False if self.insecure else (self.ca_bundle or True),
            proxies=proxies,
            timeout=(self.connect_timeout, self.response_timeout),
        )
        form = {"grant_type": GRANT, "response_type": "cloud_iam", "apikey": self.api_key}
        fields = {
            "Accept": "application/json",
            "Authorization": CLIENT,
            "Cache-Control": "no-cache",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        asked = AWSRequest("POST", self.url, fields, urlencode(form).encode(), stream_output=True)
        try:
            answer = session.send(asked.prepare())
            try:
                body = answer.raw.read(_LARGEST_ANSWER)
            finally:
                answer.raw.close()
            return answer.status_code, Headers((str(key), str(text)) for key, text in answer.headers.items()), body
        finally:
            session.close()

    def _refusal(self, name: str, status: int, headers: Headers, body: bytes) -> FastgetError:
        """IBM's own words are those of a JSON document: errorCode BXNIM0415E, errorMessage "Provided API key …"."""
        found, secrets = _document(body), (self.api_key,)
        code, message = (found.get(key) for key in ("errorCode", "errorMessage"))
        reply = replace(
            server_reply(ResponseHead(status, headers, Framing.NONE), b"", secrets),
            code=safe_text(code, secrets) if isinstance(code, str) else None,
            message=safe_text(message, secrets) if isinstance(message, str) else None,
        )
        words = ": ".join(word for word in (reply.code, reply.message) if word)
        said = f"{status} {words}".rstrip()
        if status == 429:
            return Throttled(f"{name} asks for fewer requests ({said})", hint="try later", reply=reply)
        if status >= 500:
            return ServerError(f"{name} failed ({said})", hint="try again later", reply=reply)
        return CredentialsError(
            f"{name} gives no token ({said})", hint="check ibm_api_key_id and ibm_auth_endpoint", reply=reply
        )


class Tokens:
    """The token of one API key, for all threads. One of them renews it; while the old one is good the others go on
    with it, else they wait. No lock is held meanwhile.
    """

    def __init__(self, fetch: Callable[[], Token], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.RLock()
        self._token: Token | None = None
        self._coming: Future[Token] | None = None

    @property
    def last(self) -> str | None:
        """The token in use; None before the first one."""
        token = self._token
        return token.value if token is not None else None

    def current(self) -> str:
        """A token that is good now. Raises what `TokenEndpoint.fetch` does."""
        now = self._clock()
        with self._lock:
            token = self._token
            if token is not None and now < token.renew_at:
                return token.value
            coming, is_mine = self._coming, self._coming is None
            if coming is None:
                coming = self._coming = Future()
        good = token if token is not None and now < token.over_at else None
        if is_mine:
            return self._renew(coming, good).value
        return (good or coming.result()).value

    def renew(self, stale: str) -> None:
        """The store has refused the token `stale`: have another, unless there is one by now."""
        with self._lock:
            if self._token is not None and self._token.value == stale:
                self._token = None
        self.current()

    def doubt(self, stale: str) -> None:
        """The store has denied something to the token `stale`, which may have ended: have another, as `renew` does.

        IBM COS says AccessDenied to a token that has ended, as to one that may not read the object. So this happens
        once a minute at most, and the old token stays where there is no new one.
        """
        with self._lock:
            token = self._token
            if token is not None and token.value == stale and self._clock() - token.had_at < BEYOND_DOUBT:
                return
        try:
            self.renew(stale)
        except FastgetError as error:
            warn("fastget", "there is no new IBM Cloud token: %s", error.message)
            with self._lock:
                if self._token is None and token is not None:
                    self._token = replace(token, had_at=self._clock())

    def _renew(self, coming: Future[Token], good: Token | None) -> Token:
        try:
            token = self._fetch()
        except BaseException as error:
            if good is None or not isinstance(error, FastgetError):
                self._keep(None, coming)
                coming.set_exception(error if isinstance(error, Exception) else Cancelled("interrupted"))
                raise
            warn("fastget", "there is no new IBM Cloud token yet, the old one is still good: %s", error.message)
            token = replace(good, renew_at=self._clock() + PATIENCE)
        self._keep(token, coming)
        coming.set_result(token)
        return token

    def _keep(self, token: Token | None, coming: Future[Token]) -> None:
        with self._lock:
            self._token = token
            if self._coming is coming:
                self._coming = None


def check_is_secret(what: str, url: URL) -> None:
    """Raises ConfigError where a secret would go over plain http to another machine (RFC 6750 §5.3)."""
    if url.origin.scheme != "https" and not is_loopback(url.origin.host):
        raise ConfigError(f"{what} goes over https only", hint=f"write {url.origin.host} as an https endpoint")


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
