"""Variables and files of IBM's SDK: what is read of them is what ibm_botocore reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ibm_botocore.session
import pytest

from fastget.config import Config
from fastget.errors import ConfigError
from fastget.sources.settings import S3Settings

HMAC = {"access_key_id": "hmac-id", "secret_access_key": "hmac-secret"}
FILE = {"apikey": "file-key", "cos_hmac_keys": HMAC, "iam_auth_endpoint": "https://iam.example/token"}
WITHOUT_HMAC = {name: value for name, value in FILE.items() if name != "cos_hmac_keys"}

Situation = tuple[dict[str, str], dict[str, Any] | None]
SITUATIONS: dict[str, Situation] = {
    "nothing": ({}, None),
    "an API key": ({"IBM_API_KEY_ID": "key"}, None),
    "an API key with its endpoint": ({"IBM_API_KEY_ID": "key", "IBM_AUTH_ENDPOINT": "https://iam.example/x"}, None),
    "an API key before keys of AWS": (
        {"IBM_API_KEY_ID": "key", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        None,
    ),
    "keys of AWS before the file": ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, FILE),
    "HMAC keys of the file before its API key": ({}, FILE),
    "the file's API key": ({}, WITHOUT_HMAC),
    "a file with nothing in it": ({}, {}),
    "an API key before the file": ({"IBM_API_KEY_ID": "key"}, FILE),
}


def by_ibm() -> tuple[str | None, ...]:
    """API key, token endpoint and HMAC keys as IBM's SDK finds them."""
    found: Any = ibm_botocore.session.Session().get_credentials()
    if found is None:
        return (None, None, None, None)
    if hasattr(found, "api_key_id"):
        return (found.api_key_id, found.auth_endpoint, None, None)
    return (None, None, found.access_key, found.secret_key)


def by_itself() -> tuple[str | None, ...]:
    """The same here. Keys of the AWS variables are botocore's to find."""
    found = S3Settings.of(Config(region="us-south"), "cos")
    return (found.ibm_api_key_id, found.ibm_auth_endpoint, found.access_key_id, found.secret_access_key)


@pytest.fixture(autouse=True)
def _no_files(without_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
@pytest.mark.parametrize("is_named", [True, False], ids=["a named file", "the file of the home"])
def test_credentials_are_those_that_ibms_sdk_finds(
    situation: Situation, is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, contents = situation
    path = tmp_path / "named.json" if is_named else tmp_path / ".bluemix" / "cos_credentials"
    if contents is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(contents))
    if is_named:
        monkeypatch.setenv("COS_CREDENTIALS_FILE", str(path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = by_ibm()
    if expected[2] == variables.get("AWS_ACCESS_KEY_ID", ""):
        expected = (None, None, None, None)
    assert by_itself() == expected


@pytest.mark.parametrize(
    "options",
    [
        {"ibm_api_key_id": "mine"},
        {"access_key_id": "mine", "secret_access_key": "s"},
        {"no_sign_request": True},
        {"profile": "mine"},
        {"headers": {"Authorization": "Bearer mine"}},
    ],
)
def test_an_option_comes_before_all_of_them(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBM_API_KEY_ID", "theirs")
    found = S3Settings.of(Config(region="us-south", **options), "cos")
    assert found.ibm_api_key_id == options.get("ibm_api_key_id")
    assert found.access_key_id == options.get("access_key_id")


@pytest.mark.parametrize(
    ("variables", "options", "expected"),
    [
        ({}, {}, (None, None)),
        ({"AWS_DEFAULT_REGION": "eu-de"}, {}, ("eu-de", "https://s3.eu-de.cloud-object-storage.appdomain.cloud")),
        ({"AWS_REGION": "us"}, {}, ("us", "https://s3.us.cloud-object-storage.appdomain.cloud")),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, {}, (None, None)),
        ({"AWS_ENDPOINT_URL": "https://cos.example"}, {}, (None, "https://cos.example")),
        (
            {"AWS_ENDPOINT_URL_S3": "https://s3.example", "AWS_ENDPOINT_URL": "https://cos.example"},
            {},
            (None, "https://s3.example"),
        ),
        (
            {"AWS_ENDPOINT_URL": "https://cos.example"},
            {"region": "eu-de"},
            ("eu-de", "https://s3.eu-de.cloud-object-storage.appdomain.cloud"),
        ),
        ({"AWS_DEFAULT_REGION": "eu-de"}, {"endpoint_url": "https://mine"}, ("eu-de", "https://mine")),
    ],
)
def test_region_and_endpoint_may_come_from_variables(
    variables: dict[str, str],
    options: dict[str, Any],
    expected: tuple[str | None, str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = S3Settings.of(Config(**options), "cos")
    assert (found.region, found.endpoint_url) == expected


def test_s3_urls_know_nothing_of_ibm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBM_API_KEY_ID", "key")
    assert S3Settings.of(Config()) == S3Settings()


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"cos_hmac_keys": "secret-thing"}', "\udcff"])
def test_a_file_that_cannot_be_read_is_told_without_its_contents(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "credentials.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.setenv("COS_CREDENTIALS_FILE", str(path))
    with pytest.raises(ConfigError, match=r"credentials\.json cannot be read") as caught:
        S3Settings.of(Config(region="us-south"), "cos")
    assert "secret-thing" not in f"{caught.value!r} {caught.value.hint}"


def test_nothing_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBM_API_KEY_ID", "marked-secret")
    assert "marked-secret" not in repr(S3Settings.of(Config(region="us-south"), "cos"))
