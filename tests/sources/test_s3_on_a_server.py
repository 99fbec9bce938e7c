from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from botocore.session import Session
from moto.server import ThreadedMotoServer

from fastget.config import Config
from fastget.core.messages import Framing, Headers, Request, ResponseHead
from fastget.core.ranges import Span
from fastget.errors import AccessDenied, CredentialsError, NotFound, SourceChanged
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.resolve import resolve

BODY = bytes(range(256)) * 40
KEYS = ("plain.bin", "a b+c%/ü//x", "dots/../up", "tail/")


@dataclass(frozen=True, slots=True)
class Reply:
    head: ResponseHead
    body: bytes


def send(request: Request) -> Reply:
    """Puts the request on the wire exactly as it stands."""
    origin = request.url.origin
    connection = http.client.HTTPConnection(origin.host, origin.port, timeout=20)
    try:
        connection.putrequest(request.method, request.url.target, skip_host=True, skip_accept_encoding=True)
        for name, value in [("Host", origin.host_header), *request.headers]:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        headers = Headers(answer.getheaders())
    finally:
        connection.close()
    length = headers.get("content-length")
    framing = Framing.NONE if request.method == "HEAD" else Framing.LENGTH if length else Framing.CHUNKED
    size = int(length) if length and framing is Framing.LENGTH else None
    return Reply(ResponseHead(answer.status, headers, framing, size, answer.reason), body)


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = Session().create_client(
        "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.create_bucket(Bucket="bucket")
    for key in KEYS:
        client.put_object(Bucket="bucket", Key=key, Body=BODY, ChecksumAlgorithm="SHA256")
    client.close()
    yield endpoint
    server.stop()


@pytest.mark.parametrize("key", KEYS)
def test_an_object_is_described_and_fetched_in_pinned_ranges(key: str, store: str, endpoints: S3Endpoints) -> None:
    source = resolve(f"s3://bucket/{key}", Config(endpoint_url=store), endpoints)
    first = send(source.get())
    info = source.describe(first.head)
    assert (first.head.status, first.body, info.size) == (200, BODY, len(BODY))
    assert info.etag == f'"{hashlib.md5(BODY).hexdigest()}"'
    assert hashlib.sha256(BODY).digest() in [digest.value for digest in info.declared]
    assert source.describe(send(source.head()).head).size == len(BODY)
    ranged = send(source.get(Span(100, 200), pin=info.pin))
    assert (ranged.head.status, ranged.body) == (206, BODY[100:200])
    assert ranged.head.headers.get("content-range") == f"bytes 100-199/{len(BODY)}"


def test_a_changed_object_is_refused_by_the_pin(store: str, endpoints: S3Endpoints) -> None:
    source = resolve("s3://bucket/plain.bin", Config(endpoint_url=store), endpoints)
    pin = replace(source.describe(send(source.get()).head).pin, etag='"0123456789abcdef0123456789abcdef"')
    reply = send(source.get(Span(0, 10), pin=pin))
    assert type(source.refusal(reply.head, reply.body)) is SourceChanged


@pytest.mark.parametrize(
    ("url", "code"), [("s3://bucket/no/such", "NoSuchKey"), ("s3://no-such-bucket/key", "NoSuchBucket")]
)
def test_what_is_missing_is_not_found(url: str, code: str, store: str, endpoints: S3Endpoints) -> None:
    source = resolve(url, Config(endpoint_url=store), endpoints)
    reply = send(source.get())
    error = source.refusal(reply.head, reply.body)
    assert type(error) is NotFound
    assert error.reply is not None
    assert error.reply.code == code
    assert url in str(error)


def test_the_store_checks_signatures_and_accepts_ours(
    store: str, endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto checks the signature itself once its authentication is switched on."""
    origin = store.removeprefix("http://")
    client = Session().create_client(
        "iam", "us-east-1", endpoint_url=store, aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.create_user(UserName="reader")
    keys = client.create_access_key(UserName="reader")["AccessKey"]
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    client.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
    client.close()
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    source = resolve("s3://bucket/a b+c%/ü//x", Config(endpoint_url=store), endpoints)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    other = resolve("s3://bucket/plain.bin", Config(endpoint_url=store), S3Endpoints())
    connection = http.client.HTTPConnection(origin, timeout=20)
    try:
        connection.request("POST", "/moto-api/reset-auth", body="0")
        assert connection.getresponse().read()
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        accepted = send(source.get(Span(5, 10)))
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        refused = send(other.get())
    finally:
        connection.request("POST", "/moto-api/reset-auth", body="inf")
        connection.getresponse().read()
        connection.close()
    assert (accepted.head.status, accepted.body) == (206, BODY[5:10])
    assert isinstance(other.refusal(refused.head, refused.body), CredentialsError | AccessDenied)
