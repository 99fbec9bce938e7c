from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from os import environ
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config as BotoConfig
from botocore.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastget.config import Config
from fastget.core.messages import Request, ResponseHead
from fastget.core.objectinfo import Pin
from fastget.core.ranges import Span
from fastget.errors import ConfigError, CredentialsError, InvalidURL
from fastget.sources.endpoints import S3Endpoints, _Making
from fastget.sources.failures import botocore_failures
from fastget.sources.protocol import Correction
from fastget.sources.s3 import S3Source

Answer = Callable[..., ResponseHead]
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.sampled_from(
    ["a b+c%/../é//x", "/leading", "trailing/", "..", "a%2Fb", "~._-!*'()", "?v=1#f", "日本", "a\nb"]
)
PIN = Pin(etag='"abc"', version_id=None, last_modified=None, size=100)
MRAP = "arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap"
OBJECT_LAMBDA = "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/my-ap"


class Nothing(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Any:
        return iter(())


class Oracle:
    """The requests that botocore itself would send; its clients are kept, as making one takes long."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.seen: list[Any] = []

    def sent(self, operation: str, arguments: dict[str, Any], **client_options: Any) -> Any:
        file = Path(environ["AWS_CONFIG_FILE"])
        name = f"{file.read_text() if file.exists() else ''} {sorted(client_options.items())}"
        if name not in self.clients:
            self.clients[name] = Session().create_client("s3", **client_options)
            self.clients[name].meta.events.register_first("before-send.s3", self._take)
        getattr(self.clients[name], operation)(**arguments)
        return self.seen.pop()

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def _take(self, request: Any, **_: Any) -> AWSResponse:
        no_headers: Any = {}
        self.seen.append(request)
        return AWSResponse(request.url, 200, no_headers, Nothing())


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    kept = Oracle()
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[S3Endpoints]:
    endpoints = S3Endpoints()
    yield endpoints
    endpoints.close()


def freeze(patch: pytest.MonkeyPatch, moment: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment

    def now(remove_tzinfo: bool = True) -> datetime:
        return moment.replace(tzinfo=None) if remove_tzinfo else moment

    patch.setattr("botocore.auth.get_current_datetime", now)
    # Where awscrt is installed, its signer takes the place of botocore's own.
    patch.setattr("botocore.crt.auth.get_current_datetime", now)
    patch.setattr("fastget.sources.endpoints.datetime", Clock)


def assert_same(mine: Request, theirs: Any) -> None:
    assert mine.method == theirs.method
    assert mine.url.unredacted == theirs.url.replace(":443/", "/")
    their_headers = {name.lower(): value for name, value in theirs.headers.items()}
    for name in (
        "authorization",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "range",
        "if-match",
    ):
        value = their_headers.get(name)
        assert mine.headers.get(name) == (value.decode() if isinstance(value, bytes) else value), name


MOMENT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "client_options"),
    [
        ({}, {"region_name": "us-east-1"}),
        ({"region": "eu-west-1"}, {"region_name": "eu-west-1"}),
        ({"region": "cn-north-1"}, {"region_name": "cn-north-1"}),
        (
            {"region": "eu-west-1", "addressing_style": "path"},
            {"region_name": "eu-west-1", "config": BotoConfig(s3={"addressing_style": "path"})},
        ),
        (
            {"endpoint_url": "http://127.0.0.1:9000"},
            {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9000"},
        ),
        (
            {"endpoint_url": "https://store.example/prefix/", "region": "auto"},
            {"region_name": "auto", "endpoint_url": "https://store.example/prefix/"},
        ),
        (
            {"endpoint_url": "https://store.example:443", "addressing_style": "virtual"},
            {
                "region_name": "us-east-1",
                "endpoint_url": "https://store.example:443",
                "config": BotoConfig(s3={"addressing_style": "virtual"}),
            },
        ),
    ],
)
@pytest.mark.parametrize(
    "bucket", ["bucket", "dotted.bucket.name", "arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap"]
)
@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_requests_are_those_of_botocore(
    options: dict[str, Any],
    client_options: dict[str, Any],
    bucket: str,
    operation: str,
    shared: S3Endpoints,
    oracle: Oracle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if bucket.startswith("arn:") and options.get("region") != "eu-west-1":
        bucket = "other-bucket"
    freeze(monkeypatch, MOMENT)
    common: dict[str, Any] = {
        "version_id": "v 1+/",
        "request_payer": "requester",
        "expected_bucket_owner": "123456789012",
    }
    source = S3Source.of(f"s3://{bucket}/a b+c%/../é//x", Config(**options, **common), shared)
    mine = source.get(part_number=3, pin=PIN) if operation == "get_object" else source.head(part_number=3, pin=PIN)
    arguments = {
        "Bucket": bucket,
        "Key": "a b+c%/../é//x",
        "VersionId": "v 1+/",
        "PartNumber": 3,
        "IfMatch": '"abc"',
        "RequestPayer": "requester",
        "ExpectedBucketOwner": "123456789012",
        "ChecksumMode": "ENABLED",
    }
    assert_same(mine, oracle.sent(operation, arguments, **client_options))


@pytest.mark.parametrize(
    "settings_in_file",
    [
        "use_dualstack_endpoint = true",
        "s3 =\n  use_accelerate_endpoint = true",
        "s3 =\n  addressing_style = path",
    ],
)
def test_settings_of_the_aws_config_file_hold(
    settings_in_file: str, endpoints: S3Endpoints, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:

    Path(environ["AWS_CONFIG_FILE"]).write_text(f"[default]\nregion = eu-central-1\n{settings_in_file}\n")
    freeze(monkeypatch, MOMENT)
    mine = S3Source.of("s3://bucket/key", Config(), endpoints).get(Span(0, 10))
    arguments = {"Bucket": "bucket", "Key": "key", "Range": "bytes=0-9", "ChecksumMode": "ENABLED"}
    theirs = oracle.sent("get_object", arguments)
    assert_same(mine, theirs)


def test_the_profile_of_the_options_gives_region_and_keys(
    endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:

    Path(environ["AWS_CONFIG_FILE"]).write_text(
        "[profile other]\nregion = ap-south-1\naws_access_key_id = OTHERKEY\naws_secret_access_key = s\n"
    )
    request = S3Source.of("s3://bucket/key", Config(profile="other"), endpoints).get()
    assert request.url.origin.host == "bucket.s3.ap-south-1.amazonaws.com"
    assert "Credential=OTHERKEY/" in str(request.headers.get("Authorization"))


@pytest.mark.fault("H26")
@given(key=KEYS, start=st.integers(0, 2**40), length=st.integers(1, 2**30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_key_is_written_and_signed_as_botocore_does(
    key: str, start: int, length: int, shared: S3Endpoints, oracle: Oracle
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        freeze(patch, MOMENT)
        span = Span(start, start + length)
        mine = S3Source.of(f"s3://bucket/{key}", Config(), shared).get(span, pin=PIN)
        arguments = {
            "Bucket": "bucket",
            "Key": key,
            "Range": span.header,
            "IfMatch": '"abc"',
            "ChecksumMode": "ENABLED",
        }
        assert_same(mine, oracle.sent("get_object", arguments, region_name="us-east-1"))


@pytest.mark.usefixtures("without_credentials")
def test_unsigned_requests_need_no_credentials_and_carry_no_signature(endpoints: S3Endpoints) -> None:
    request = S3Source.of("s3://bucket/a b", Config(no_sign_request=True), endpoints).get(Span(0, 2), pin=PIN)
    assert request.url.unredacted == "https://bucket.s3.amazonaws.com/a%20b"
    assert (request.headers.get("Range"), request.headers.get("If-Match")) == ("bytes=0-1", '"abc"')
    assert request.headers.get("x-amz-checksum-mode") == "ENABLED"
    assert "Authorization" not in request.headers
    assert "X-Amz-Date" not in request.headers


@pytest.mark.usefixtures("without_credentials")
def test_an_authorization_header_of_the_user_takes_the_place_of_a_signature(endpoints: S3Endpoints) -> None:
    config = Config(
        headers={"Authorization": "Bearer token"},
        endpoint_url="https://s3.eu-de.cloud-object-storage.example",
    )
    request = S3Source.of("s3://bucket/key", config, endpoints).get()
    assert request.headers.get_all("Authorization") == ("Bearer token",)
    assert "x-amz-content-sha256" not in request.headers


@pytest.mark.usefixtures("without_credentials")
def test_missing_credentials_are_told_with_a_way_out(endpoints: S3Endpoints) -> None:
    source = S3Source.of("s3://bucket/key", Config(), endpoints)
    for _ in range(2):
        with pytest.raises(CredentialsError) as caught:
            source.get()
        assert "--no-sign-request" in str(caught.value.hint)
        assert "--profile" in str(caught.value.hint)


def test_credentials_that_come_later_are_found(endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    source = S3Source.of("s3://bucket/key", Config(), endpoints)
    with pytest.raises(CredentialsError):
        source.get()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "LATEKEY")
    assert "LATEKEY" in str(source.get().headers.get("Authorization"))


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"profile": "nope"}, ConfigError, "nope"),
        ({"endpoint_url": "not a url"}, ConfigError, "endpoint"),
        ({"region": "eu west"}, ConfigError, "region"),
    ],
)
def test_wrong_settings_are_config_errors_and_not_exceptions_of_botocore(
    options: dict[str, Any], kind: type[Exception], says: str, endpoints: S3Endpoints
) -> None:
    with pytest.raises(kind, match=says) as caught:
        S3Source.of("s3://bucket/key", Config(**options), endpoints).get()
    assert caught.value.__cause__ is None


def test_an_aws_config_file_that_is_none_is_no_matter_of_credentials(endpoints: S3Endpoints) -> None:
    Path(environ["AWS_CONFIG_FILE"]).write_bytes(b"[default]\nregion = \xff\n")
    with pytest.raises(ConfigError, match="config file") as caught:
        S3Source.of("s3://bucket/key", Config(), endpoints).get()
    assert "AWS config file" in str(caught.value.hint)


@pytest.mark.parametrize("line", ["s3 = foo", "s3 ="])
@pytest.mark.parametrize("options", [{}, {"no_sign_request": True}, {"access_key_id": "a", "secret_access_key": "b"}])
def test_an_s3_section_that_is_none_is_no_matter_of_credentials(
    endpoints: S3Endpoints, line: str, options: dict[str, Any]
) -> None:
    Path(environ["AWS_CONFIG_FILE"]).write_text(f"[default]\n{line}\nregion = eu-central-1\n")
    with pytest.raises(ConfigError, match="s3 is no section in the AWS config file") as caught:
        S3Source.of("s3://bucket/key", Config(**options), endpoints).get()
    assert "below `s3 =`" in str(caught.value.hint)


_KEYS = {"access_key_id": "a", "secret_access_key": "b"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("max_attempts", {}),
        ("max_attempts", {"no_sign_request": True}),
        ("max_attempts", _KEYS),
        ("metadata_service_timeout", {}),
        ("metadata_service_num_attempts", {}),
    ],
)
def test_a_number_that_is_none_in_the_aws_config_file_is_told_by_its_name(
    endpoints: S3Endpoints, name: str, options: dict[str, Any]
) -> None:
    Path(environ["AWS_CONFIG_FILE"]).write_text(f"[default]\n{name} = foo\n")
    with pytest.raises(ConfigError, match=f"{name} is no whole number .*'foo'") as caught:
        S3Source.of("s3://bucket/key", Config(**options), endpoints).get()
    assert f"AWS_{name.upper()}" in str(caught.value.hint)


@pytest.mark.parametrize("options", [{"no_sign_request": True}, _KEYS])
def test_how_to_ask_for_keys_is_no_matter_where_they_are_not_asked_for(
    endpoints: S3Endpoints, options: dict[str, Any]
) -> None:
    Path(environ["AWS_CONFIG_FILE"]).write_text("[default]\nmetadata_service_timeout = foo\n")
    assert (
        S3Source.of("s3://bucket/key", Config(**options), endpoints).get().url.origin.host == "bucket.s3.amazonaws.com"
    )


def test_a_bucket_name_that_cannot_be_is_an_invalid_url(endpoints: S3Endpoints) -> None:
    with pytest.raises(InvalidURL, match="bucket"):
        S3Source.of("s3://no_such*bucket/key", Config(), endpoints).get()


def test_a_failing_credential_process_is_a_credentials_error(endpoints: S3Endpoints) -> None:

    Path(environ["AWS_CONFIG_FILE"]).write_text("[profile broken]\ncredential_process = false\n")
    with pytest.raises(CredentialsError) as caught:
        S3Source.of("s3://bucket/key", Config(profile="broken"), endpoints).get()
    assert caught.value.hint


@pytest.mark.parametrize("bucket", ["bucket", "no.plain--x-s3"], ids=["plain", "by botocore"])
@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AWS_ACCESS_KEY_ID", "AKIAODD\r", "the access key of the credentials holds the end of a line"),
        ("AWS_ACCESS_KEY_ID", "AKIAODD\udcff", "the access key of the credentials is no UTF-8"),
        ("AWS_SECRET_ACCESS_KEY", "odd\udcff", "the secret key of the credentials is no UTF-8"),
        ("AWS_SECRET_ACCESS_KEY", "odd\r", "the secret key of the credentials holds the end of a line"),
        ("AWS_SESSION_TOKEN", "odd\n", "the session token of the credentials holds the end of a line"),
        ("AWS_SESSION_TOKEN", "odd\x01", "the session token of the credentials holds a control character"),
    ],
)
def test_keys_that_nothing_can_be_signed_with_are_told_and_not_shown(
    variable: str, value: str, says: str, bucket: str, endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    source = S3Source.of(f"s3://{bucket}/key", Config(), endpoints)
    with pytest.raises(CredentialsError, match=says) as caught:
        source.get()
    assert "odd" not in f"{caught.value} {caught.value.hint}".lower()
    monkeypatch.setenv(variable, "mended")
    if bucket == "bucket":
        source.get()


def test_keys_of_the_options_and_of_a_program_are_held_to_the_same(endpoints: S3Endpoints) -> None:
    Path(environ["AWS_CONFIG_FILE"]).write_text(
        """[profile odd]\ncredential_process = echo '{"Version": 1, "AccessKeyId": "A\\r", "SecretAccessKey": "s"}'\n"""
    )
    for config in (Config(profile="odd"), Config(access_key_id="A\r", secret_access_key="s")):
        with pytest.raises(CredentialsError, match="the access key of the credentials holds the end of a line"):
            S3Source.of("s3://bucket/key", config, endpoints).get()


ROLE = "role_arn = arn:aws:iam::123456789012:role/x\n"
SSO = "sso_start_url = https://sso.test/start\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("credential_process = no-such-program", "no-such-program"),
        ("role_arn = arn:aws:iam::123456789012:role/x\nweb_identity_token_file = no-such-file", "no-such-file"),
        ("credential_process = printf '[]'", "AttributeError"),
        (
            """credential_process = printf '{"Version": 1, "AccessKeyId": 1, "SecretAccessKey": 2}'""",
            "access key .* is no text",
        ),
        (SSO, "SSO"),
        (ROLE, "source_profile"),
    ],
)
def test_credentials_that_botocore_does_not_get_are_a_credentials_error(
    settings: str, says: str, endpoints: S3Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Path(environ["AWS_CONFIG_FILE"]).write_text(f"[profile broken]\n{settings}\n")
    with pytest.raises(CredentialsError, match=says) as caught:
        S3Source.of("s3://bucket/key", Config(profile="broken"), endpoints).get()
    assert caught.value.hint
    assert "endpoint_url" not in caught.value.hint
    assert "both the access key" not in caught.value.hint
    assert caught.value.__cause__ is None


def test_a_code_that_nobody_is_there_to_type_is_a_credentials_error() -> None:
    # What botocore's prompt for the code of a profile with mfa_serial raises where nobody answers it.
    with (
        pytest.raises(CredentialsError, match=r"s3://bucket/key: .*MFA") as caught,
        botocore_failures("s3://bucket/key"),
    ):
        raise EOFError
    assert "terminal" in str(caught.value.hint)


_UNDATED = '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "junk"}'


@pytest.mark.parametrize(
    ("variables", "settings", "says"),
    [
        ({"AWS_CREDENTIAL_EXPIRATION": "junk"}, "", "junk"),
        ({}, f"credential_process = echo '{_UNDATED}'", "junk"),
        ({}, "credential_process = echo 'never closed", "quot"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://store.test/keys"}, "", "store.test"),
    ],
)
def test_credentials_that_cannot_be_read_are_told_as_credentials(
    variables: dict[str, str], settings: str, says: str, endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "AWS_CREDENTIAL_EXPIRATION" not in variables:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Path(environ["AWS_CONFIG_FILE"]).write_text(f"[default]\n{settings}\n")
    with pytest.raises(CredentialsError, match=rf"credentials cannot be read \(.*{says}") as caught:
        S3Source.of("s3://bucket/key", Config(), endpoints).get()
    assert "what gives the credentials" in str(caught.value.hint)


def test_an_expiry_that_cannot_be_read_after_a_renewal_is_told_as_one_of_credentials(
    endpoints: S3Endpoints, tmp_path: Path
) -> None:
    script = tmp_path / "process.sh"
    soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    first, later = _UNDATED.replace("junk", soon), _UNDATED
    script.write_text(f"if mkdir {tmp_path}/asked; then echo '{first}'; else echo '{later}'; fi 2>/dev/null\n")
    Path(environ["AWS_CONFIG_FILE"]).write_text(f"[profile short]\ncredential_process = sh {script}\n")
    with pytest.raises(CredentialsError, match=r"credentials cannot be read \(.*junk"):
        S3Source.of("s3://bucket/key", Config(profile="short"), endpoints).get()


def test_refreshed_credentials_are_seen_by_the_next_request(endpoints: S3Endpoints, tmp_path: Any) -> None:

    counter = tmp_path / "count"
    # Keys that expire within the minute are refreshed before each use.
    expiry = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    script = tmp_path / "process.sh"
    script.write_text(
        f"echo x >> {counter}; n=$(wc -l < {counter} | tr -d ' ')\n"
        f'echo "{{\\"Version\\": 1, \\"AccessKeyId\\": \\"KEY$n\\", \\"SecretAccessKey\\": \\"s\\", '
        f'\\"SessionToken\\": \\"t\\", \\"Expiration\\": \\"{expiry}\\"}}"\n'
    )
    Path(environ["AWS_CONFIG_FILE"]).write_text(f"[profile short]\ncredential_process = sh {script}\n")
    source = S3Source.of("s3://bucket/key", Config(profile="short"), endpoints)
    used = [str(source.get().headers.get("Authorization")).partition("/")[0].rpartition("=")[2] for _ in range(3)]
    assert len(set(used)) == 3


def test_signatures_of_another_kind_are_left_to_botocore(endpoints: S3Endpoints) -> None:
    source = S3Source.of(
        f"s3://{MRAP}/some key",
        Config(version_id="v 1", headers={"X-Amz-Mine": "1", "X-Plain": "2"}),
        endpoints,
    )
    request = source.get(part_number=2, pin=PIN)
    assert request.url.unredacted == (
        "https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com/some%20key?versionId=v%201&partNumber=2"
    )
    authorization = str(request.headers.get("Authorization"))
    assert authorization.startswith("AWS4-ECDSA-P256-SHA256 ")
    for name in ("if-match", "x-amz-checksum-mode", "x-amz-mine", "x-amz-region-set"):
        assert f";{name}" in authorization or f"={name}" in authorization
    assert "x-plain" not in authorization
    assert request.headers.get("X-Plain") == "2"
    assert request.headers.get_all("User-Agent") == source.head().headers.get_all("User-Agent")
    assert [name for name, _ in request.headers if name.lower() in ("host", "amz-sdk-request")] == []


def test_object_lambda_answers_are_not_held_to_the_original(endpoints: S3Endpoints, answer: Answer) -> None:
    source = S3Source.of(f"s3://{OBJECT_LAMBDA}/key", Config(), endpoints)
    assert "/s3-object-lambda/aws4_request" in str(source.get().headers.get("Authorization"))
    head = answer(200, {"x-amz-checksum-crc32c": "4waSgw==", "x-amz-request-id": "1", "ETag": '"abc"'})
    info = source.describe(head)
    assert info.declared == ()
    assert (source.traits(info).part_numbers, source.traits(info).etag_is_md5) == (False, False)
    plain = S3Source.of("s3://bucket/key", Config(), endpoints)
    assert len(plain.describe(head).declared) == 1


@pytest.mark.parametrize(
    ("bucket", "fields", "etag_is_md5"),
    [
        ("bucket", {"x-amz-request-id": "1"}, True),
        ("bucket", {}, False),
        ("bucket", {"x-amz-request-id": "1", "x-amz-server-side-encryption": "aws:kms"}, False),
        ("base--use1-az4--x-s3", {"x-amz-request-id": "1"}, False),
    ],
)
def test_traits_of_s3(
    bucket: str, fields: dict[str, str], etag_is_md5: bool, endpoints: S3Endpoints, answer: Answer
) -> None:
    source = S3Source.of(f"s3://{bucket}/key", Config(), endpoints)
    traits = source.traits(source.describe(answer(200, fields)))
    assert (traits.part_numbers, traits.full_status_ranges, traits.etag_is_md5) == (True, True, etag_is_md5)


def test_a_pinned_version_is_asked_for_by_every_request(endpoints: S3Endpoints) -> None:
    source = S3Source.of("s3://bucket/key", Config(), endpoints)
    pinned = replace(PIN, version_id="pinned")
    assert source.get(Span(0, 1), pin=pinned).url.query == "versionId=pinned"
    assert source.get(Span(0, 1), pin=pinned.without_version()).url.query is None
    weak = Pin(etag='W/"abc"', version_id="v1", last_modified=None, size=1)
    assert source.get(Span(0, 1), pin=weak).url.query == "versionId=v1"
    chosen = S3Source.of("s3://bucket/key", Config(version_id="null"), endpoints)
    assert chosen.get(Span(0, 1), pin=PIN).url.query == "versionId=null"


@pytest.mark.fault("H33", "H34")
@pytest.mark.row(89)
@pytest.mark.parametrize("status", [301, 307, 400])
@pytest.mark.parametrize("by_header", [True, False])
def test_a_bucket_in_another_region_is_asked_again_there(
    by_header: bool, status: int, endpoints: S3Endpoints, answer: Answer
) -> None:
    source = S3Source.of("s3://bucket/key", Config(version_id="v"), endpoints)
    request = source.get()
    head = answer(status, {"x-amz-bucket-region": "eu-west-1"} if by_header else {})
    body = b"" if by_header else b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
    assert source.corrected(request, head, body) is Correction.REGION
    moved = source.get()
    assert moved.url.unredacted == "https://bucket.s3.eu-west-1.amazonaws.com/key?versionId=v"
    assert "/eu-west-1/s3/aws4_request" in str(moved.headers.get("Authorization"))
    assert source.corrected(moved, head, body) is None
    # Another thread asked before the region was known: it goes there too.
    assert source.corrected(request, head, body) is Correction.REGION
    later = S3Source.of("s3://bucket/other", Config(version_id="v"), endpoints)
    assert later.get().url.origin.host == "bucket.s3.eu-west-1.amazonaws.com"


@pytest.mark.row(89)
@pytest.mark.parametrize(
    ("status", "region"),
    [
        (301, "us-east-1"),
        (301, "evil.example/"),
        (301, ""),
        (301, "EU"),
        (404, "eu-west-1"),
        (403, "eu-west-1"),
    ],
)
def test_no_other_answer_moves_the_source(status: int, region: str, endpoints: S3Endpoints, answer: Answer) -> None:
    source = S3Source.of("s3://bucket/key", Config(), endpoints)
    head = answer(status, {"x-amz-bucket-region": region, "Location": "https://evil.example/"})
    assert source.corrected(source.get(), head, b"<Error><Region>a/b</Region></Error>") is None
    assert source.redirected(head) is None


@pytest.mark.fault("H37")
@pytest.mark.row(92)
def test_a_clock_that_is_off_is_corrected_by_the_stores(endpoints: S3Endpoints, answer: Answer) -> None:
    source = S3Source.of("s3://bucket/key", Config(), endpoints)
    request = source.get()
    ahead = datetime.now(UTC) + timedelta(hours=3)
    skewed = answer(403, {"Date": format_datetime(ahead, usegmt=True)})
    denied = b"<Error><Code>AccessDenied</Code></Error>"
    assert source.corrected(request, skewed, denied) is None
    assert source.corrected(request, skewed, b"") is Correction.CLOCK
    corrected = source.get()
    signed_at = datetime.strptime(str(corrected.headers.get("X-Amz-Date")), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(signed_at - ahead) < timedelta(minutes=5)
    assert source.corrected(corrected, skewed, b"") is None
    now = format_datetime(datetime.now(UTC), usegmt=True)
    assert source.corrected(request, answer(403, {"Date": now}), b"") is None
    assert source.corrected(request, answer(403), b"") is None


@pytest.mark.fault("S12")
def test_no_secret_shows_anywhere(endpoints: S3Endpoints, answer: Answer) -> None:
    config = Config(
        headers={"x-amz-server-side-encryption-customer-key": "marked-customer-key"},
        proxy="http://u:marked-pw@proxy:1",
    )
    source = S3Source.of("s3://bucket/key", config, endpoints)
    request = source.get()
    error = source.refusal(answer(403), b"<Error><Code>X</Code><Message>marked-customer-key</Message></Error>")
    route = endpoints.route(source.settings, "bucket", "s3://bucket/key")
    shown = f"{source!r} {source.settings!r} {request!r} {error!r} {error.reply!r} {endpoints!r} {route!r}"
    assert "marked" not in shown
    assert "Signature=" not in shown


@pytest.mark.fault("S10", "S11")
def test_a_key_is_printed_without_control_characters(endpoints: S3Endpoints) -> None:
    source = S3Source.of("s3://bucket/a\x1b[31m\u202eb\nc d", Config(), endpoints)
    assert source.display_url == "s3://bucket/a%1B[31m%E2%80%AEb%0Ac d"


def test_many_threads_share_one_client(endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    create = Session.create_client

    def counting(self: Session, *arguments: Any, **options: Any) -> Any:
        made.append("client")
        return create(self, *arguments, **options)

    monkeypatch.setattr(Session, "create_client", counting)
    found: list[Request] = []

    def ask(number: int) -> None:
        source = S3Source.of(f"s3://bucket-{number % 2}/key-{number}", Config(region="cn-north-1"), endpoints)
        found.extend(source.get(Span(n, n + 1)) for n in range(20))

    threads = [Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(found) == 160
    assert {request.url.origin.host for request in found} == {
        "bucket-0.s3.cn-north-1.amazonaws.com.cn",
        "bucket-1.s3.cn-north-1.amazonaws.com.cn",
    }


def test_captured_requests_of_many_threads_do_not_mix(endpoints: S3Endpoints) -> None:
    wrong: list[str] = []

    def ask(number: int) -> None:
        source = S3Source.of(f"s3://{MRAP}/key-{number}", Config(headers={"x-amz-mine": str(number)}), endpoints)
        for n in range(5):
            request = source.get(Span(n, n + number + 1))
            right = request.url.path == f"/key-{number}" and request.headers.get("x-amz-mine") == str(number)
            if not right or request.headers.get("Range") != f"bytes={n}-{n + number}":
                wrong.append(str(request))

    threads = [Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("bucket", ["bucket", "other"])
def test_whoever_waits_for_what_another_makes_in_vain_is_told_of_its_own_object(
    endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    begun, waits = Event(), Event()
    wait = _Making.wait

    def make_in_vain(_: Any, __: Any, display_url: str) -> Any:
        begun.set()
        assert waits.wait(60)
        raise CredentialsError(f"{display_url}: there are none", hint="hint", url=display_url)

    def waiting(making: _Making) -> Any:
        waits.set()
        return wait(making)

    monkeypatch.setattr("fastget.sources.endpoints.make_account", make_in_vain)
    monkeypatch.setattr(_Making, "wait", waiting)
    found: list[CredentialsError] = []

    def ask(url: str) -> None:
        with pytest.raises(CredentialsError) as caught:
            S3Source.of(url, Config(region="cn-north-1"), endpoints).get()
        found.append(caught.value)

    first = Thread(target=ask, args=("s3://bucket/first",))
    first.start()
    assert begun.wait(60)
    ask(f"s3://{bucket}/second")
    first.join()
    told = {error.url: (str(error), error.message, error.hint) for error in found}
    urls = ("s3://bucket/first", f"s3://{bucket}/second")
    assert told == {url: (f"{url}: there are none", f"{url}: there are none", "hint") for url in urls}


def test_endpoints_can_be_closed_twice(endpoints: S3Endpoints) -> None:
    S3Source.of("s3://bucket/key", Config(), endpoints).get()
    endpoints.close()
    endpoints.close()
