"""Routes that are found without botocore are those that botocore finds; what it alone can know is left to it."""

from __future__ import annotations

from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fastget.core.messages import Headers
from fastget.core.urls import URL
from fastget.errors import FastgetError
from fastget.sources.accounts import make_account
from fastget.sources.plain_routes import plain_route
from fastget.sources.settings import S3Settings

EXPRESS = "base--use1-az4--x-s3"
ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap"


@pytest.fixture(autouse=True)
def nobody_else(without_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def by_botocore(asked: S3Settings, bucket: str) -> tuple[str, str, str | None, tuple[str, str, str | None] | None]:
    """The URL of the object `k`, the region, the scope of its signature, and the keys."""
    made = make_account(asked, None, "s3://bucket/k")
    try:
        sample = made.client.request("GET", bucket, "k", Headers(), {})
        scope = (sample.headers.get("authorization") or "").partition(",")[0].split("/")[2:4]
        url = str(URL(sample.url.origin, sample.url.path))
        if asked.is_unsigned:
            return url, made.client.region, None, None
        keys = made.account.frozen("s3://bucket/k")
        return url, made.client.region, "/".join(scope), (keys.access_key, keys.secret_key, keys.token)
    finally:
        made.client.close()


def by_itself(asked: S3Settings, bucket: str) -> tuple[str, str, str | None, tuple[str, str, str | None] | None] | None:
    found = plain_route(asked, bucket)
    if found is None:
        return None
    url = str(URL.parse(f"{found.root}k"))
    if found.keys is None:
        return url, found.region, None, None
    keys = found.keys.access_key, found.keys.secret_key, found.keys.token
    return url, found.region, f"{found.region}/s3", keys


KEYS = "aws_access_key_id = FILEKEY\naws_secret_access_key = file-secret\n"
# What is plain of each thing, and what is odd about it.
REGIONS = (
    ["us-east-1", "eu-west-1", "me-central-1", "ap-southeast-4"],
    [
        "cn-north-1",
        "us-gov-west-1",
        "aws-global",
        "auto",
        "s3-external-1",
        "fips-us-east-1",
        "us-iso-east-1",
        "x_y",
        "",
    ],
)
ENDPOINTS = (
    ["http://127.0.0.1:9000", "https://store.example/", "https://s3.eu-de.cloud-object-storage.appdomain.cloud"],
    [
        "https://store.example/prefix",
        "https://s3.us-west-2.amazonaws.com",
        "http://[::1]:9000",
        "http://a_b:1",
        "x",
        "",
    ],
)
BUCKETS = (
    ["bucket", "my-bucket-1", "dotted.bucket.name", "1.2.3.4", "a1b"],
    ["Big_Bucket", "ab", "x--y", ARN, "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", "a..b", "-a-", "a.-b"],
)
STYLES = (["auto", "path"], ["virtual"])
PROFILES = (["dev", "default"], ["missing", ""])
LINES = (
    [
        [],
        ["region = eu-central-1\n"],
        [KEYS],
        [f"{KEYS}aws_session_token = file-token\n", "output = json\ncli_pager =\n"],
        ["region = ap-south-1\n", KEYS, "endpoint_url = http://127.0.0.1:9001\n"],
        [KEYS, "s3 =\n  addressing_style = path\n  max_concurrent_requests = 20\n"],
    ],
    [
        [KEYS, "s3 =\n  use_accelerate_endpoint = true\n"],
        [KEYS, "s3 =\n  nonsense\n"],
        ["use_dualstack_endpoint = true\n"],
        ["endpoint_url = http://127.0.0.1:9001\n", "ignore_configured_endpoint_urls = true\n"],
        [KEYS, "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = default\n"],
        ["s3_us_east_1_regional_endpoint = regional\n"],
        [KEYS, "aws_security_token = old\n"],
        ["aws_access_key_id = HALF\n"],
        ["nonsense\n"],
    ],
)
HEADINGS = (["default", "profile dev"], ["dev", 'profile "dev"', "profile  dev", "profile default", "profilex dev"])
KEY_VARIABLES = (
    [
        (),
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    ],
    [("AWS_ACCESS_KEY_ID",), ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN")],
)


@dataclass(frozen=True)
class Situation:
    options: dict[str, Any]
    bucket: str
    variables: dict[str, str]
    files: dict[str, str]


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Options, variables and files, with one or two odd things among them now and then."""

    def one_of(choices: tuple[list[Any], list[Any]]) -> Any:
        return draw(st.sampled_from(choices[draw(st.sampled_from([0] * 12 + [1]))]))

    def some_of(choices: dict[str, tuple[list[Any], list[Any]]]) -> dict[str, Any]:
        names = draw(st.sets(st.sampled_from(sorted(choices))))
        return {name: one_of(choices[name]) for name in sorted(names)}

    options = {"addressing_style": one_of(STYLES), "anonymous": draw(st.booleans())}
    options |= some_of({"region": REGIONS, "endpoint_url": ENDPOINTS, "profile": (["dev", None], ["missing"])})
    variables = some_of({"AWS_REGION": REGIONS, "AWS_DEFAULT_REGION": REGIONS, "AWS_ENDPOINT_URL": ENDPOINTS})
    variables |= some_of({"AWS_ENDPOINT_URL_S3": ENDPOINTS, "AWS_PROFILE": PROFILES, "AWS_DEFAULT_PROFILE": PROFILES})
    variables |= {name: f"of {name}" for name in one_of(KEY_VARIABLES)}
    files = {}
    for name in draw(st.sets(st.sampled_from(["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"]))):
        sections = {one_of(HEADINGS): one_of(LINES) for _ in range(draw(st.integers(1, 3)))}
        files[name] = "".join(f"[{heading}]\n{''.join(lines)}" for heading, lines in sections.items())
    return Situation(options, one_of(BUCKETS), variables, files)


@pytest.mark.row(93, 94)
@given(situation=situations())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_answered_here_botocore_answers_too(situation: Situation, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            path = tmp_path / name
            path.unlink(missing_ok=True)
            if name in situation.files:
                path.write_text(situation.files[name])
            patch.setenv(name, str(path))
        for name, value in situation.variables.items():
            patch.setenv(name, value)
        asked = S3Settings(**situation.options)
        mine = by_itself(asked, situation.bucket)
        event("plain" if mine is not None else "left to botocore")
        if mine is not None:
            assert mine == by_botocore(asked, situation.bucket)


PLAIN: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"region": "eu-west-1", "access_key_id": "A", "secret_access_key": "s"}, {}, ""),
    ({"anonymous": True}, {}, ""),
    ({"anonymous": True, "endpoint_url": "http://127.0.0.1:9000", "addressing_style": "path"}, {}, ""),
    ({"ibm_api_key_id": "k", "endpoint_url": "https://s3.us-south.cloud-object-storage.appdomain.cloud"}, {}, ""),
    ({}, {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-west-2"}, ""),
    ({}, {}, f"[default]\nregion = eu-west-1\noutput = json\n{KEYS}"),
    ({"profile": "dev"}, {}, f"[default]\nrole_arn = r\n[profile dev]\n{KEYS}"),
    ({}, {"AWS_PROFILE": "dev"}, f"[profile dev-2]\n[profile dev]\n{KEYS}s3 =\n  max_queue_size = 5\n"),
]


@pytest.mark.parametrize(("options", "variables", "config"), PLAIN)
def test_what_is_plain_needs_no_botocore(
    options: dict[str, Any], variables: dict[str, str], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Path(environ["AWS_CONFIG_FILE"]).write_text(config)
    asked = S3Settings(**options)
    found = by_itself(asked, "bucket")
    assert found is not None
    assert found == by_botocore(asked, "bucket")


NOT_PLAIN: list[tuple[str, dict[str, Any], str, dict[str, str], str]] = [
    ("an access point", {}, ARN, {}, ""),
    ("a directory bucket", {}, EXPRESS, {}, ""),
    ("an alias", {}, "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", {}, ""),
    ("Object Lambda", {}, "my-olap-uk8unzxzn9agvfbd9bdc7rbohdryquse1a--ol-s3", {}, ""),
    ("a name that is none", {}, "a", {}, ""),
    ("dual-stack", {"use_dualstack_endpoint": True}, "bucket", {}, ""),
    ("FIPS", {"use_fips_endpoint": True}, "bucket", {}, ""),
    ("acceleration", {"use_accelerate_endpoint": True}, "bucket", {}, ""),
    ("another partition", {"region": "cn-north-1"}, "bucket", {}, ""),
    ("the government's", {"region": "us-gov-west-1"}, "bucket", {}, ""),
    ("no region", {"region": "aws-global"}, "bucket", {}, ""),
    ("no region of anyone", {"region": "aws-global", "endpoint_url": "http://127.0.0.1:9000"}, "bucket", {}, ""),
    (
        "a bucket before the host",
        {"endpoint_url": "https://s.example", "addressing_style": "virtual"},
        "bucket",
        {},
        "",
    ),
    ("an endpoint of AWS", {"endpoint_url": "https://s3.eu-west-1.amazonaws.com"}, "bucket", {}, ""),
    ("an endpoint with a path", {"endpoint_url": "https://store.example/prefix"}, "bucket", {}, ""),
    ("keys that end", {}, "bucket", {"AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00Z"}, ""),
    ("a role", {}, "bucket", {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"}, ""),
    ("dual-stack by variable", {}, "bucket", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, ""),
    ("a variable of tomorrow", {}, "bucket", {"AWS_OF_TOMORROW": ""}, ""),
    ("a profile that is missing", {}, "bucket", {"AWS_PROFILE": "missing"}, "[default]\n"),
    ("a profile without a file", {"profile": "dev"}, "bucket", {}, ""),
    ("dual-stack by profile", {}, "bucket", {}, "[default]\nuse_dualstack_endpoint = true\n"),
    ("acceleration by profile", {}, "bucket", {}, "[default]\ns3 =\n  use_accelerate_endpoint = true\n"),
    ("services", {}, "bucket", {}, "[default]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://x\n"),
    ("a field of tomorrow", {}, "bucket", {}, "[default]\ntomorrow = 1\n"),
    ("a file that is broken", {}, "bucket", {}, "[default\n"),
    ("a profile written otherwise", {"profile": "dev"}, "bucket", {}, f"[profile 'dev']\n{KEYS}"),
    ("a profile without keys", {"profile": "dev"}, "bucket", {}, "[profile dev]\nregion = eu-west-1\n"),
]


@pytest.mark.parametrize(
    ("options", "bucket", "variables", "config"), [row[1:] for row in NOT_PLAIN], ids=[row[0] for row in NOT_PLAIN]
)
def test_what_only_botocore_can_know_is_left_to_it(
    options: dict[str, Any],
    bucket: str,
    variables: dict[str, str],
    config: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"} | variables).items():
        monkeypatch.setenv(name, value)
    if config:
        Path(environ["AWS_CONFIG_FILE"]).write_text(config)
    assert plain_route(S3Settings(**options), bucket) is None


def test_without_keys_botocore_is_asked_for_them() -> None:
    assert plain_route(S3Settings(), "bucket") is None
    with pytest.raises(FastgetError, match="no AWS credentials") as caught:
        make_account(S3Settings(), None, "s3://bucket/k")
    assert "AWS_ACCESS_KEY_ID" in (caught.value.hint or "")


def test_who_has_no_keys_for_ibm_is_told_of_those_of_ibm() -> None:
    settings = S3Settings(store="cos", endpoint_url="https://s3.us-south.cloud-object-storage.appdomain.cloud")
    with pytest.raises(FastgetError, match="no IBM credentials") as caught:
        make_account(settings, None, "cos://bucket/k")
    assert "IBM_API_KEY_ID" in (caught.value.hint or "")


def test_models_of_services_in_the_home_are_left_to_botocore(tmp_path: Path) -> None:
    assert plain_route(S3Settings(anonymous=True), "bucket") is not None
    (tmp_path / ".aws" / "models").mkdir(parents=True)
    assert plain_route(S3Settings(anonymous=True), "bucket") is None


def test_a_home_that_cannot_be_looked_into_is_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is forbidden to the root of a test run; a name that is too long fails in the same way.
    monkeypatch.setenv("HOME", str(tmp_path / ("x" * 300)))
    monkeypatch.delenv("AWS_CONFIG_FILE", raising=False)
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE", raising=False)
    assert plain_route(S3Settings(anonymous=True), "bucket") is not None
    monkeypatch.setenv("AWS_PROFILE", "dev")
    assert plain_route(S3Settings(anonymous=True), "bucket") is None


def test_no_key_shows_in_a_route() -> None:
    asked = S3Settings(access_key_id="AKIAMARKED", secret_access_key="marked", session_token="marked-token")
    found = plain_route(asked, "bucket")
    assert found is not None
    assert "marked" not in repr(found).lower()
