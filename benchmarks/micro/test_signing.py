"""Signature Version 4: fastget's signer beside botocore's, and the whole of what one more piece of an object costs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from fastget.config import Config
from fastget.core.messages import Headers, Request
from fastget.core.objectinfo import Pin
from fastget.core.ranges import Span
from fastget.core.urls import URL
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.s3 import S3Source
from fastget.sources.signing import Credentials, Scope, Signer

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

# The key pair of Amazon's own documentation; it opens nothing.
_ACCESS_KEY, _SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_URL = "https://bucket.s3.us-east-1.amazonaws.com/a/large/object.bin"
_FIELDS = {"Range": "bytes=0-8388607", "If-Match": '"0123456789abcdef0123456789abcdef-12"'}


def test_signing_with_fastget(benchmark: BenchmarkFixture) -> None:
    signer = Signer(Scope("us-east-1", "s3"))
    credentials = Credentials(_ACCESS_KEY, _SECRET_KEY)
    request = Request("GET", URL.parse(_URL), Headers(_FIELDS.items()))
    signed = benchmark(signer.sign, request, credentials, datetime.now(UTC))
    assert "/us-east-1/s3/aws4_request" in (signed.headers.get("Authorization") or "")


def test_signing_with_botocore(benchmark: BenchmarkFixture) -> None:
    signer = S3SigV4Auth(BotocoreCredentials(_ACCESS_KEY, _SECRET_KEY), "s3", "us-east-1")

    def sign() -> AWSRequest:
        request = AWSRequest("GET", _URL, headers=_FIELDS)
        signer.add_auth(request)
        return request

    assert "/us-east-1/s3/aws4_request" in benchmark(sign).headers["Authorization"]


def test_the_next_piece_of_an_object(benchmark: BenchmarkFixture) -> None:
    """From the source to the signed request, with every kind of parameter; the bar is 60 µs."""
    endpoints = S3Endpoints()
    config = Config(
        access_key_id=_ACCESS_KEY,
        secret_access_key=_SECRET_KEY,
        session_token="token" * 80,
        request_payer="requester",
        expected_bucket_owner="123456789012",
        region="us-east-1",
    )
    source = S3Source.of("s3://bucket/a/large/object.bin", config, endpoints)
    pin = Pin(_FIELDS["If-Match"], "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY", None, 2**30)
    request = benchmark(lambda: source.get(span=Span(0, 8388608), pin=pin))
    assert request.headers.get("Range") == _FIELDS["Range"]
    endpoints.close()
