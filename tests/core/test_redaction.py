"""What a server repeats of a request is struck out: by its text in any spelling, and by what it is called."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.redaction import SHOWN, without_secrets

KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY="
MARK = "MARKEDSECRETabcdef0123456789"

NAMED = {
    "query of version 4": f"GET /b/k?X-Amz-Date=20260101&X-Amz-Credential={MARK}&X-Amz-Signature={MARK} HTTP/1.1",
    "query of version 2": f"/b/k?AWSAccessKeyId={MARK}&Expires=1&Signature={MARK}",
    "signature alone": f"the signature we got: Signature={MARK}, and not another",
    "encoded query": f"/b/k%3FX-Amz-Signature%3D{MARK}",
    "authorization of version 4": (
        f"Authorization: AWS4-HMAC-SHA256 Credential={MARK}/20260101/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={MARK}"
    ),
    "authorization without its name": f"got AWS4-HMAC-SHA256 Credential={MARK}/x,SignedHeaders=host,Signature={MARK}",
    "authorization of version 2": f"bad AWS {MARK}:{MARK}=",
    "bearer": f"the token Bearer {MARK}.{MARK} is not for this bucket",
    "session token": f"X-Amz-Security-Token: {MARK}/+==",
    "express session": f"x-amz-s3session-token={MARK}",
    "customer's key": f"x-amz-server-side-encryption-customer-key: {MARK}=",
    "its digest": f"x-amz-server-side-encryption-customer-key-MD5={MARK}==",
    "json": f'{{"access_token": "{MARK}", "apikey":"{MARK}"}}',
    "html": f"<td>Signature</td> Signature>{MARK}<",
    "user info": f"http://user:{MARK}@host/path was asked for",
    "other clouds": f"x-goog-signature={MARK} x-oss-signature={MARK} sig={MARK} q-signature={MARK}",
    "json web token": f"the assertion eyJ{MARK}.eyJ{MARK}.{MARK} is not valid",
    "token of a role": f"WebIdentityToken={MARK}, SAMLAssertion={MARK}",
    "cloudfront": f"Policy={MARK}&Key-Pair-Id={MARK}",
}


@pytest.mark.fault("S12")
@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED)
def test_what_is_called_a_secret_is_struck_out_though_nobody_knows_its_value(text: str) -> None:
    shown = without_secrets(text)

    assert MARK not in shown
    assert SHOWN in shown


@pytest.mark.fault("S12")
@pytest.mark.parametrize(
    "spelling", [KEY, quote(KEY), quote(KEY, safe=""), quote(quote(KEY, safe="")), KEY.replace("+", "&#43;")]
)
def test_a_known_secret_is_struck_out_however_it_is_written(spelling: str) -> None:
    shown = without_secrets(f"we do not know {spelling} here", [KEY])

    assert shown.startswith("we do not know ")
    assert "K7MDENG" not in shown


@pytest.mark.fault("S12")
def test_what_a_field_holds_is_a_secret_without_its_scheme_too() -> None:
    basic = "Basic " + b64encode(b"me:secret:word").decode()
    shown = without_secrets(f"{MARK} and secret:word and {KEY}", [f"Bearer {MARK}", basic, f"a=1; session={KEY}"])

    assert shown == f"{SHOWN} and {SHOWN} and {SHOWN}"


def test_a_name_without_a_password_is_the_secret_itself() -> None:
    basic = "Basic " + b64encode(b"ghp-marked-token:").decode()
    assert "marked" not in without_secrets("no such user: ghp-marked-token", [basic])


@pytest.mark.parametrize(
    "text",
    [
        "The specified key does not exist.",
        "The provided token has expired.",
        "The request signature we calculated does not match the signature you provided. Check your key.",
        "The AWS Access Key Id you provided does not exist in our records.",
        "Provided API key could not be found.",
        "Bearer token is missing",
        "Error loading SSO Token: Token for my-session does not exist",
        "Your Key is too long: 2000 bytes",
        "at 12:30 the part 7 had crc32c=abc",
        "Which version? The one of today.",
    ],
)
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text


def test_the_word_token_stays_and_a_token_that_is_called_so_does_not() -> None:
    for text in (
        f"Authorization: Token {MARK}",
        f"token: Token{MARK}",
        f"token: {MARK} x",
        f"Token: Token token={MARK}",
    ):
        assert MARK not in without_secrets(text)


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=3))
def test_anything_can_be_looked_through(text: str, secrets: list[str]) -> None:
    shown = without_secrets(text, secrets)
    for secret in secrets:
        if len(secret) >= 4 and SHOWN not in secret and secret.isalpha() and secret.isascii():
            assert secret not in shown or secret in SHOWN
