"""IBM Cloud Object Storage: tokens in the place of signatures, compared with what IBM's own SDK sends."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import ibm_boto3
import pytest
from ibm_botocore.config import Config as IbmConfig

from fastget.client import Client
from fastget.config import Config
from fastget.errors import (
    AccessDenied,
    ConfigError,
    CredentialsError,
    FastgetError,
    InvalidURL,
    NetworkError,
    ProtocolError,
    ServerError,
    Throttled,
)
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.iam import PATIENCE, Token, TokenEndpoint, Tokens
from fastget.sources.resolve import resolve
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject
from fastget.testing.answer import Answer, document
from fastget.testing.documents import error
from fastget.testing.received import ReceivedRequest

KIB = 1024
CONTENT = Content.generated(2 * KIB * KIB + 99, seed=3)
STORED = StoredObject(CONTENT, checksum=Algorithm.CRC32)
PATH = "/bucket/a key"
URL = "cos://bucket/a key"
KEY = "marked-api-key"
SLOW = Behaviour(rate_per_connection=8 * KIB * KIB)
HANG = 30.0


class Iam:
    """A token endpoint. Each token is another one; the store refuses those that have `ended`."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.objects: list[ReceivedRequest] = []
        self.life: Any = 3600
        self.answer: Answer | None = None
        self.refusal = error(401, "InvalidToken", "The token has expired.")
        self.ended: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        if request.path == "/identity/token":
            with self._lock:
                self.requests.append(request)
                number = len(self.requests)
            found = {
                "access_token": f"marked-token-{number}",
                "expires_in": self.life,
                "refresh_token": "r",
                "token_type": "Bearer",
            }
            return self.answer or document(200, json.dumps(found).encode(), ("Content-Type", "application/json"))
        with self._lock:
            self.objects.append(request)
        return self.refusal if (request.headers.get("authorization") or "")[7:] in self.ended else None


@pytest.fixture
def iam() -> Iam:
    return Iam()


@pytest.fixture
def store(iam: Iam) -> Iterator[ObjectServer]:
    with ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[iam]) as server:
        yield server


def options(server: ObjectServer, **more: Any) -> dict[str, Any]:
    return {
        "endpoint_url": server.base_url,
        "ibm_api_key_id": KEY,
        "ibm_auth_endpoint": f"{server.base_url}/identity/token",
        **more,
    }


@pytest.mark.parametrize("scheme", ["cos", "s3"])
def test_both_requests_are_those_of_ibms_own_sdk(scheme: str, store: ObjectServer, iam: Iam) -> None:
    theirs = ibm_boto3.client(
        "s3",
        ibm_api_key_id=KEY,
        ibm_auth_endpoint=f"{store.base_url}/identity/token",
        config=IbmConfig(signature_version="oauth", s3={"addressing_style": "path"}),
        endpoint_url=store.base_url,
        region_name="us-south",
    )
    body = theirs.get_object(Bucket="bucket", Key="a key")["Body"]
    assert body.read() == CONTENT.read(0, CONTENT.size)
    theirs.close()
    expected_token, expected_object = iam.requests.pop(), iam.objects.pop()
    with Client(**options(store, region="us-south", connections=1)) as client:
        assert client.read(f"{scheme}://bucket/a key") == CONTENT.read(0, CONTENT.size)
    token, mine = iam.requests[0], iam.objects[0]
    assert (token.method, token.target) == (expected_token.method, expected_token.target)
    assert parse_qs(token.body.decode()) == parse_qs(expected_token.body.decode())
    for name in ("accept", "authorization", "cache-control", "content-type"):
        assert token.headers.get(name) == expected_token.headers.get(name), name
    assert (mine.method, mine.target) == (expected_object.method, expected_object.target)
    assert mine.headers.get("authorization") == "Bearer marked-token-1"
    assert expected_object.headers.get("authorization") == "Bearer marked-token-1"
    for name in ("x-amz-content-sha256", "x-amz-date", "x-amz-security-token"):
        assert mine.headers.get(name) is None
        assert expected_object.headers.get(name) is None


def test_one_token_serves_every_connection_and_every_object(store: ObjectServer, iam: Iam) -> None:
    with Client(**options(store, connections=8, part_size=64 * KIB)) as client:
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
        assert client.read(URL, 5, 10) == CONTENT.read(5, 10)
    assert len(iam.requests) == 1
    assert {request.headers.get("authorization") for request in iam.objects} == {"Bearer marked-token-1"}


@pytest.mark.fault("H36")
@pytest.mark.row(92)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_token_that_ends_in_mid_download_is_replaced_once(status: int, iam: Iam) -> None:
    tickets = iter(range(3))

    def end() -> None:
        iam.ended.add("marked-token-1")

    together = threading.Barrier(3, action=end)

    def gather(request: ReceivedRequest) -> Answer | None:
        if request.range and next(tickets, None) is not None:
            together.wait(HANG)
        return None

    iam.refusal = error(status, "ExpiredToken", "The token has expired.")
    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[gather, iam]) as server,
        Client(**options(server, connections=4, part_size=64 * KIB)) as client,
    ):
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert len(iam.requests) == 2


@pytest.mark.fault("H36")
def test_a_token_that_ends_with_no_other_word_than_a_denial_is_replaced_once(
    iam: Iam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastget.sources.iam.BEYOND_DOUBT", 0.0)
    ticket = iter(range(1))

    def end(request: ReceivedRequest) -> Answer | None:
        if request.range and next(ticket, None) is not None:
            iam.ended.add("marked-token-1")
        return None

    iam.refusal = error(403, "AccessDenied", "Access Denied")
    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[end, iam]) as server,
        Client(**options(server, connections=4, part_size=64 * KIB)) as client,
    ):
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert len(iam.requests) == 2


def test_many_denials_cost_one_new_token_and_the_refusal_counts(
    store: ObjectServer, iam: Iam, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(lambda: Token("fresh", 1e9, 2e9, 0.0), clock=lambda: 0.0)
    assert tokens.current() == "fresh"
    tokens.doubt("fresh")
    assert tokens.last == "fresh"

    iam.refusal = error(403, "AccessDenied", "Access Denied")
    iam.ended |= {f"marked-token-{number}" for number in range(10)}
    with Client(**options(store)) as client:
        for _ in range(5):
            with pytest.raises(AccessDenied):
                client.read(URL)
        assert len(iam.requests) == 1
        monkeypatch.setattr("fastget.sources.iam.BEYOND_DOUBT", 0.0)
        with pytest.raises(AccessDenied):
            client.read(URL)
    assert len(iam.requests) == 2


def test_a_token_in_doubt_stays_where_there_is_no_new_one(clock: Clock) -> None:
    answers: list[Token | FastgetError] = [Token("old", 2000.0, 2300.0, 0.0), NetworkError("lost")]

    def fetch() -> Token:
        found = answers.pop(0)
        if isinstance(found, FastgetError):
            raise found
        return found

    tokens = Tokens(fetch, clock)
    tokens.current()
    tokens.doubt("old")

    assert tokens.current() == "old"
    # There is no other answer left: nobody is asked for the next minute.
    tokens.doubt("old")
    assert tokens.current() == "old"


def test_a_store_that_refuses_a_new_token_too_has_said_its_last_word(store: ObjectServer, iam: Iam) -> None:
    iam.ended = {f"marked-token-{number}" for number in range(9)}
    iam.refusal = error(401, "InvalidToken", "marked-token-2 is not good, nor is marked-api-key")
    with Client(**options(store)) as client, pytest.raises(CredentialsError) as caught:
        client.read(URL)
    assert len(iam.requests) == 2
    assert "marked" not in f"{caught.value} {caught.value.hint} {caught.value.reply}"


@pytest.mark.fault("H35")
def test_a_denial_costs_no_new_token(store: ObjectServer, iam: Iam) -> None:
    iam.ended = {"marked-token-1"}
    iam.refusal = error(403, "AccessDenied", "Access Denied")
    with Client(**options(store)) as client, pytest.raises(AccessDenied):
        client.read(URL)
    assert len(iam.requests) == 1


@pytest.mark.fault("H28", "S15")
@pytest.mark.parametrize("status", [302, 307])
def test_no_token_and_no_key_follow_a_redirect(status: int, store: ObjectServer, iam: Iam) -> None:
    with ObjectServer({PATH: STORED}) as canary:
        iam.ended = {"marked-token-1"}
        iam.refusal = error(status, "Moved", "Elsewhere").with_field("Location", canary.url(PATH))
        with Client(**options(store)) as client, pytest.raises(FastgetError):
            client.read(URL)
        iam.answer = document(status, b"", ("Location", canary.url("/identity/token")))
        with Client(**options(store)) as client, pytest.raises(CredentialsError):
            client.read(URL)
        assert not canary.requests


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (
            document(400, b'{"errorCode": "BXNIM0415E", "errorMessage": "Provided API key marked-api-key not found."}'),
            CredentialsError,
            "BXNIM0415E: Provided API key … not found",
        ),
        (document(403, b"<html>"), CredentialsError, "403"),
        (document(429, b"{}"), Throttled, "fewer requests"),
        (document(503, b"[]"), ServerError, "503"),
        (document(200, b"{}"), ProtocolError, "no token"),
        (document(200, b'{"access_token": "a\\nb", "expires_in": 5}'), ProtocolError, "no token"),
        (document(200, b'{"access_token": "ab", "expires_in": "soon"}'), ProtocolError, "no token"),
        (document(200, b"[" * 50000), ProtocolError, "no token"),
    ],
)
def test_an_endpoint_that_gives_no_token_is_understood(
    answer: Answer, kind: type[FastgetError], says: str, store: ObjectServer, iam: Iam
) -> None:
    iam.answer = answer
    endpoint = TokenEndpoint(KEY, f"{store.base_url}/identity/token", response_timeout=20)
    with pytest.raises(kind, match=says) as caught:
        endpoint.fetch()
    assert type(caught.value) is kind
    assert "marked" not in f"{caught.value} {caught.value.reply}"
    assert not iam.objects


def test_an_endpoint_that_is_not_there_is_a_matter_of_the_network() -> None:
    with ObjectServer({}) as gone:
        url = f"{gone.base_url}/identity/token"
    with pytest.raises(NetworkError) as caught:
        TokenEndpoint(KEY, url, connect_timeout=5).fetch()
    assert "marked" not in str(caught.value)


def test_the_token_is_asked_for_through_the_proxy(store: ObjectServer, iam: Iam) -> None:
    """The object server takes absolute targets as they come through a plain proxy."""
    endpoint = TokenEndpoint(KEY, "http://localhost:1/identity/token", proxy=store.base_url)
    assert endpoint.fetch().value == "marked-token-1"
    assert iam.requests[0].target.startswith("http://localhost:1/")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def numbered(clock: Clock) -> tuple[Callable[[], Token], list[int]]:
    made: list[int] = []

    def fetch() -> Token:
        made.append(len(made) + 1)
        return Token(f"t{len(made)}", clock() + 75, clock() + 97)

    return fetch, made


def test_a_token_is_kept_for_three_quarters_of_its_life(clock: Clock) -> None:
    fetch, made = numbered(clock)
    tokens = Tokens(fetch, clock)
    assert [tokens.current(), tokens.current()] == ["t1", "t1"]
    clock.now += 74
    assert tokens.current() == "t1"
    clock.now += 1
    assert tokens.current() == "t2"
    assert made == [1, 2]


def test_while_one_renews_the_others_go_on_with_the_old_token(clock: Clock) -> None:
    asked, go_on = threading.Event(), threading.Event()
    made: list[str] = []

    def fetch() -> Token:
        made.append(f"t{len(made) + 1}")
        if len(made) == 2:
            asked.set()
            assert go_on.wait(HANG)
        return Token(made[-1], clock() + 75, clock() + 97)

    tokens = Tokens(fetch, clock)
    tokens.current()
    clock.now += 80
    found: list[str] = []
    renewer = threading.Thread(target=lambda: found.append(tokens.current()))
    renewer.start()
    assert asked.wait(HANG)
    assert tokens.current() == "t1"
    clock.now += 40  # the old one is over: whoever comes now waits
    waiter = threading.Thread(target=lambda: found.append(tokens.current()))
    waiter.start()
    go_on.set()
    renewer.join(HANG)
    waiter.join(HANG)
    assert found == ["t2", "t2"]
    assert made == ["t1", "t2"]


def test_an_endpoint_that_fails_costs_nothing_while_the_old_token_is_good(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Token | FastgetError] = [Token("t1", 1075, 1097), NetworkError("no way"), Token("t2", 1200, 1300)]

    def fetch() -> Token:
        answer = answers.pop(0)
        if isinstance(answer, FastgetError):
            raise answer
        return answer

    tokens = Tokens(fetch, clock)
    tokens.current()
    clock.now = 1076
    assert [tokens.current(), tokens.current()] == ["t1", "t1"]
    assert "still good: no way" in caplog.text
    clock.now = 1076 + PATIENCE
    assert tokens.current() == "t2"


def test_an_endpoint_that_fails_is_asked_again_by_the_next_caller(clock: Clock) -> None:
    answers: list[Token | FastgetError] = [NetworkError("no way"), Token("t1", 1075, 1097)]

    def fetch() -> Token:
        answer = answers.pop(0)
        if isinstance(answer, FastgetError):
            raise answer
        return answer

    tokens = Tokens(fetch, clock)
    with pytest.raises(NetworkError):
        tokens.current()
    assert tokens.current() == "t1"


def test_a_refused_token_is_renewed_by_the_first_who_says_so(clock: Clock) -> None:
    fetch, made = numbered(clock)
    tokens = Tokens(fetch, clock)
    tokens.current()
    tokens.renew("t1")
    tokens.renew("t1")
    assert (tokens.current(), made) == ("t2", [1, 2])


# Keys and places ------------------------------------------------------------------------------------------------


@pytest.mark.row(94)
def test_hmac_keys_sign_for_the_endpoint_of_the_region(endpoints: S3Endpoints) -> None:
    config = Config(region="eu-de", access_key_id="ibm-key", secret_access_key="marked-secret")
    source = resolve("cos://bucket/dir/key", config, endpoints)
    request = source.get()
    assert request.url.origin.host in (
        "bucket.s3.eu-de.cloud-object-storage.appdomain.cloud",
        "s3.eu-de.cloud-object-storage.appdomain.cloud",
    )
    assert "/eu-de/s3/aws4_request" in str(request.headers.get("authorization"))
    assert source.display_url == "cos://bucket/dir/key"


def test_a_region_or_an_endpoint_says_where_a_cos_bucket_is(endpoints: S3Endpoints) -> None:
    with pytest.raises(ConfigError, match="where its bucket is"):
        resolve("cos://bucket/key", Config(), endpoints).get()
    with pytest.raises(ConfigError, match="no region"):
        resolve("cos://bucket/key", Config(region="evil.example/"), endpoints)
    private = "https://s3.private.eu-de.cloud-object-storage.appdomain.cloud"
    request = resolve("cos://bucket/key", Config(endpoint_url=private), endpoints).get()
    assert request.url.origin.host.endswith("s3.private.eu-de.cloud-object-storage.appdomain.cloud")


@pytest.mark.parametrize("region", ["us-south", "eu", "ap-geo", "ams03"])
def test_every_kind_of_region_leads_to_its_endpoint(region: str, endpoints: S3Endpoints) -> None:
    request = resolve("cos://bucket/key", Config(region=region, no_sign_request=True), endpoints).get()
    assert request.url.origin.host.endswith(f"s3.{region}.cloud-object-storage.appdomain.cloud")


@pytest.mark.parametrize("url", ["cos://", "cos://bucket", "cos://bucket/", "cos://key:secret@bucket/x"])
def test_a_cos_url_that_names_no_object_is_explained(url: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        resolve(url, Config(region="us"))
    assert "cos://bucket/key" in str(caught.value.hint)
    assert "secret" not in str(caught.value)


@pytest.mark.fault("S19")
@pytest.mark.parametrize(
    "options",
    [
        {"access_key_id": "a", "secret_access_key": "b"},
        {"no_sign_request": True},
        {"ibm_auth_endpoint": "http://iam.example/token"},
        {"ibm_auth_endpoint": "https://me:pw@iam.example/token"},
        {"endpoint_url": "http://store.example"},
    ],
)
def test_keys_that_contradict_each_other_or_go_over_plain_http_are_refused(
    options: dict[str, Any], endpoints: S3Endpoints
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("cos://bucket/key", Config(**{"region": "us", "ibm_api_key_id": KEY, **options}), endpoints).get()
    assert "marked" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["iam.example", "iam.example:443/token", "s3://iam/token", "https://", "https://a:b:c/"]
)
def test_an_address_of_tokens_that_is_none_is_told_as_that(address: str, endpoints: S3Endpoints) -> None:
    config = Config(region="us", ibm_api_key_id=KEY, ibm_auth_endpoint=address)
    with pytest.raises(ConfigError, match=r"^ibm_auth_endpoint ") as caught:
        resolve("cos://bucket/key", config, endpoints).get()
    assert caught.value.hint == "write it as https://host/path"


def test_tokens_that_nobody_gives_are_told_with_who_named_the_place(endpoints: S3Endpoints) -> None:
    config = Config(region="us", ibm_api_key_id=KEY, ibm_auth_endpoint="http://127.0.0.1:1/token")
    with pytest.raises(NetworkError, match=r"token endpoint 127\.0\.0\.1") as caught:
        resolve("cos://bucket/key", config, endpoints).get()
    assert caught.value.hint == "check the network and ibm_auth_endpoint"


@pytest.mark.row(19, 20)
def test_what_cos_ignores_is_said_once(endpoints: S3Endpoints, caplog: pytest.LogCaptureFixture) -> None:
    config = Config(region="us-south", request_payer="requester", expected_bucket_owner="123456789012")
    with caplog.at_level(logging.WARNING, "fastget"):
        resolve("cos://bucket/a", config, endpoints)
        resolve("cos://bucket/b", config, endpoints)
        resolve("s3://bucket/b", config.merged(region=None), endpoints)
    assert sorted(record.getMessage() for record in caplog.records) == [
        "IBM COS ignores expected_bucket_owner",
        "IBM COS ignores request_payer",
    ]


@pytest.mark.row(118)
def test_cos_is_not_asked_for_object_attributes(store: ObjectServer, endpoints: S3Endpoints) -> None:
    with Client(**options(store)) as client:
        info = client.head(URL)
    assert not resolve(URL, Config(region="us-south"), endpoints).traits(info).object_attributes
    assert resolve("s3://bucket/key", Config(), endpoints).traits(info).object_attributes


@pytest.mark.fault("S12")
def test_no_key_and_no_token_shows_anywhere(store: ObjectServer, endpoints: S3Endpoints) -> None:
    source = resolve(URL, Config(**options(store)), endpoints)
    request = source.get()
    endpoint = TokenEndpoint(KEY)
    assert "marked" not in f"{source!r} {request!r} {endpoint!r} {endpoint.url} {Config(ibm_api_key_id=KEY)!r}"
    assert "marked" not in repr(Token("marked-token", 1, 2))
