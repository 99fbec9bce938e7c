from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.messages import Headers, Request
from fastget.core.urls import URL, Origin
from fastget.sources import signing
from fastget.sources.signing import Credentials, Scope, Signer, encode_key, encode_query
from fastget.transport.heads import HeadExchange

MOMENT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.sampled_from(
    [
        "a b+c%/../é//x",
        "/leading",
        "trailing/",
        "..",
        "./.",
        "a%2Fb",
        "~._-",
        "100%",
        "?versionId=1#f",
        "日本\n語",
    ]
)
VALUES = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Z")), max_size=30)


def signature_by_botocore(request: Request, credentials: Credentials, scope: Scope, moment: datetime) -> str:
    theirs = AWSRequest(
        method=request.method,
        url=request.url.unredacted,
        headers=dict(request.headers),
    )
    keys = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    auth = S3SigV4Auth(keys, scope.service, scope.region)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda: moment.replace(tzinfo=None))
        auth.add_auth(theirs)
    return str(theirs.headers["Authorization"])


def request_for(key: str, query: list[tuple[str, str]], headers: list[tuple[str, str]], method: str = "GET") -> Request:
    url = URL(Origin("https", "bucket.s3.eu-west-1.amazonaws.com", 443), "/" + encode_key(key), encode_query(query))
    return Request(method, url, Headers(headers))


@given(
    key=KEYS,
    version=st.none() | VALUES,
    part=st.none() | st.integers(1, 10000),
    etag=st.none() | VALUES,
    token=st.none() | st.just("session/token+=="),
    method=st.sampled_from(["GET", "HEAD"]),
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
)
def test_every_request_is_signed_as_botocore_signs_it(
    key: str,
    version: str | None,
    part: int | None,
    etag: str | None,
    token: str | None,
    method: str,
    moment: datetime,
) -> None:
    query = [("versionId", version)] if version is not None else []
    query += [("partNumber", str(part))] if part is not None else []
    headers = [("x-amz-checksum-mode", "ENABLED"), ("Range", "bytes=0-1")]
    headers += [("If-Match", f'"{etag}"')] if etag is not None else []
    request = request_for(key, query, headers, method)
    credentials, scope = Credentials("AKID", "secret", token), Scope("eu-west-1", "s3")
    signed = Signer(scope).sign(request, credentials, moment.replace(tzinfo=UTC))
    assert signed.headers.get("Authorization") == signature_by_botocore(request, credentials, scope, moment)
    assert signed.url == request.url


ASKED = st.tuples(
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from(["a", "b c", "b%20c"]),
    st.sampled_from([(), (("versionId", "1"),), (("versionId", "2"),)]),
    st.sampled_from([(), (("Range", "bytes=0-1"),), (("Range", "bytes=2-3"),), (("X-Amz-Meta", "1"),)]),
    st.sampled_from([None, "token"]),
    st.sampled_from(["one", "two"]),
    st.sampled_from([MOMENT, MOMENT.replace(microsecond=5), MOMENT.replace(second=7), MOMENT.replace(day=4)]),
)


@given(st.lists(ASKED, min_size=2, max_size=8))
def test_what_was_signed_before_changes_no_signature(asked: list[Any]) -> None:
    scope = Scope("eu-west-1", "s3")
    signer = Signer(scope)
    for method, key, query, headers, token, secret, moment in asked:
        request = request_for(key, list(query), list(headers), method)
        credentials = Credentials("AKID", secret, token)
        assert signer.sign(request, credentials, moment) == Signer(scope).sign(request, credentials, moment)


def test_one_signer_serves_many_days_and_many_credentials() -> None:
    signer, scope = Signer(Scope("us-east-1", "s3-object-lambda")), Scope("us-east-1", "s3-object-lambda")
    request = request_for("k", [], [])
    for day in (1, 1, 2, 1):
        for secret in ("one", "two"):
            moment, credentials = MOMENT.replace(day=day), Credentials("AKID", secret)
            expected = signature_by_botocore(request, credentials, scope, moment)
            assert signer.sign(request, credentials, moment).headers.get("Authorization") == expected


def test_names_of_the_client_and_of_codings_are_not_signed() -> None:
    request = request_for("k", [], [("User-Agent", "x"), ("Accept-Encoding", "identity"), ("Accept", "*/*")])
    authorization = Signer(Scope("r", "s3")).sign(request, Credentials("A", "B"), MOMENT).headers.get("Authorization")
    assert authorization is not None
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date," in authorization


def test_the_path_of_a_key_keeps_dots_slashes_and_tildes_and_escapes_everything_else() -> None:
    assert encode_key("a b+c%/../é//~.-_") == "a%20b%2Bc%25/../%C3%A9//~.-_"


@pytest.mark.fault("S12")
def test_no_secret_shows_in_representations() -> None:
    credentials = Credentials("AKIAMARKED", "marked-secret", "marked-token")
    signed = Signer(Scope("r", "s3")).sign(request_for("k", [], []), credentials, MOMENT)
    shown = f"{credentials!r} {credentials} {signed!r} {signed}"
    assert "marked" not in shown.lower()
    assert "Signature=" not in shown


def test_the_empty_body_has_the_digest_that_botocore_sends() -> None:
    from botocore.auth import EMPTY_SHA256_HASH

    assert signing.EMPTY_BODY_SHA256 == EMPTY_SHA256_HASH


def signature_of_the_wire(head: bytes, secret: str) -> str:
    """Holds the signature to the one of a store that hashes a request as it came (Signature Version 4)."""
    line, *rows = head.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    method, target, _ = line.split(b" ")
    path, _, query = target.partition(b"?")
    received = {name.lower(): value.strip() for name, _, value in (row.partition(b":") for row in rows)}
    authorization = received[b"authorization"].decode()
    fields = dict(item.strip().split("=", 1) for item in authorization.partition(" ")[2].split(","))
    names = fields["SignedHeaders"].split(";")
    lines = b"".join(name.encode() + b":" + received[name.encode()] + b"\n" for name in names)
    canonical = b"\n".join([
        method, path, b"&".join(sorted(query.split(b"&"))), lines, ";".join(names).encode(),
        received[b"x-amz-content-sha256"],
    ])  # fmt: skip
    _, date, region, service, _ = fields["Credential"].split("/")
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = "\n".join([
        "AWS4-HMAC-SHA256", received[b"x-amz-date"].decode(), f"{date}/{region}/{service}/aws4_request",
        hashlib.sha256(canonical).hexdigest(),
    ])  # fmt: skip
    assert fields["Signature"] == hmac.digest(key, text.encode(), "sha256").hex()
    return authorization


@pytest.mark.row(3, 31)
@pytest.mark.parametrize("etag", ['"plain"', '"caf\xe9"', '"\xa0nbsp\x85 "', '"日本"'])
def test_what_is_signed_is_what_goes_over_the_wire(etag: str) -> None:
    request = request_for("a b/é", [("versionId", "v 1")], [("If-Match", etag), ("x-amz-mine", "é"), ("Range", "x")])
    signed = Signer(Scope("eu-west-1", "s3")).sign(request, Credentials("AKID", "secret", "token"), MOMENT)
    assert "if-match;" in signature_of_the_wire(HeadExchange().encode(signed), "secret")
