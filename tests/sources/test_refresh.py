"""Credentials that end while an object is being fetched, wherever they come from: one thread has new ones."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha1
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from fastget.client import Client
from fastget.errors import CredentialsError
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject
from fastget.testing.answer import Answer, document
from fastget.testing.documents import error
from fastget.testing.received import ReceivedRequest

KIB = 1024
CONTENT = Content.generated(3 * KIB * KIB + 321, seed=11)
STORED = StoredObject(CONTENT, checksum=Algorithm.CRC32C)
IN_PARTS = StoredObject(
    CONTENT, part_sizes=(KIB * KIB,) * 3 + (321,), checksum=Algorithm.CRC32C, checksum_type="COMPOSITE"
)
PATH = "/bucket/key"
URL = "s3://bucket/key"
# The first stream alone would otherwise fetch everything before the others have asked.
SLOW = Behaviour(rate_per_connection=8 * KIB * KIB)
HANG = 30.0
ROLE = "arn:aws:iam::123456789012:role/reader"
Set = Callable[[str], None]


class Issuer:
    """Hands out credentials, each with a token of its own, in the words of every service that does so."""

    def __init__(self) -> None:
        self.issued = 0
        self.lifetime = timedelta(hours=6)
        self._lock = threading.Lock()

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        if request.method == "PUT" and request.path == "/latest/api/token":
            return document(200, b"metadata-token", ("x-aws-ec2-metadata-token-ttl-seconds", "21600"))
        if request.path == "/latest/meta-data/iam/security-credentials/":
            return document(200, b"reader")
        if request.path in ("/creds", "/latest/meta-data/iam/security-credentials/reader"):
            return document(200, json.dumps(self.credentials()).encode(), ("Content-Type", "application/json"))
        if request.path == "/federation/credentials":
            return document(200, self._role_credentials(), ("Content-Type", "application/json"))
        if request.method == "POST" and "AssumeRoleWithWebIdentity" in parse_qs(request.body.decode()).get(
            "Action", []
        ):
            return document(200, self._assumed_role(), ("Content-Type", "text/xml"))
        return None

    def credentials(self) -> dict[str, str]:
        with self._lock:
            self.issued += 1
            number = self.issued
        return {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": f"ASIAMARKED{number}",
            "SecretAccessKey": "marked-secret",
            "Token": f"token-{number}",
            "LastUpdated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Expiration": (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _role_credentials(self) -> bytes:
        new = self.credentials()
        expiration = int((datetime.now(UTC) + self.lifetime).timestamp() * 1000)
        names = {"AccessKeyId": "accessKeyId", "SecretAccessKey": "secretAccessKey", "Token": "sessionToken"}
        found = {theirs: new[ours] for ours, theirs in names.items()}
        return json.dumps({"roleCredentials": {**found, "expiration": expiration}}).encode()

    def _assumed_role(self) -> bytes:
        new = self.credentials()
        return (
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{new['AccessKeyId']}</AccessKeyId><SecretAccessKey>{new['SecretAccessKey']}</SecretAccessKey>"
            f"<SessionToken>{new['Token']}</SessionToken><Expiration>{new['Expiration']}</Expiration>"
            f"</Credentials><AssumedRoleUser><Arn>{ROLE}/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ).encode()


class Doorkeeper:
    """Refuses a token of the object's requests once it has `ended`; the first `crowd` of them only all at once."""

    def __init__(self, ended: set[str], crowd: int = 1) -> None:
        self.ended = ended
        self.seen: list[str] = []
        self.refused = 0
        self.answer = error(400, "ExpiredToken", "The provided token has expired.")
        self._left = crowd
        self._lock = threading.Lock()
        self._full = threading.Event()

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        if request.path != PATH:
            return None
        token = request.headers.get("x-amz-security-token") or ""
        with self._lock:
            self.seen.append(token)
            first = len(self.seen) == 1
            if first or token not in self.ended:
                return None
            self.refused += 1
            if self.refused >= self._left:
                self._full.set()
        assert self._full.wait(HANG)
        return self.answer


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def credential_server(issuer: Issuer) -> Iterator[ObjectServer]:
    with ObjectServer({}, operations=[issuer]) as server:
        yield server


@pytest.fixture
def aws_config(without_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Writes the AWS config file."""
    path = tmp_path / "aws-config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))

    def write(text: str) -> None:
        path.write_text(text)

    return write


@pytest.fixture
def provider(
    request: pytest.FixtureRequest,
    credential_server: ObjectServer,
    aws_config: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> str:
    """Sets the machine up so that credentials come from the place of this name."""
    at = credential_server.base_url
    name: str = request.param
    if name == "process":
        script = tmp_path / "process.py"
        script.write_text(
            "import json, urllib.request\n"
            f"found = json.load(urllib.request.urlopen('{at}/creds'))\n"
            "print(json.dumps({**found, 'Version': 1, 'SessionToken': found['Token']}))\n"
        )
        aws_config(f"[default]\ncredential_process = {sys.executable} {script}\n")
    elif name == "container":
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{at}/creds")
    elif name == "instance":
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", at)
    elif name == "web identity":
        token = tmp_path / "web-token"
        token.write_text("web-identity-token")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", at)
        aws_config(f"[default]\nregion = us-east-1\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n")
    elif name == "sso":
        start = "https://start.example/start"
        cache = tmp_path / "sso-cache"
        cache.mkdir()
        until = (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
        (cache / f"{sha1(start.encode()).hexdigest()}.json").write_text(
            json.dumps({"startUrl": start, "region": "us-east-1", "accessToken": "sso-token", "expiresAt": until})
        )
        monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(cache))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", at)
        aws_config(
            f"[default]\nsso_start_url = {start}\nsso_region = us-east-1\nsso_account_id = 123456789012\n"
            "sso_role_name = reader\n"
        )
    return name


@pytest.mark.fault("H36")
@pytest.mark.row(92)
@pytest.mark.parametrize("provider", ["process", "container", "instance", "web identity", "sso"], indirect=True)
def test_credentials_that_end_in_mid_download_are_renewed_once_for_all_connections(
    provider: str, issuer: Issuer, tmp_path: Path
) -> None:
    door = Doorkeeper({"token-1"}, crowd=4)
    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[door]) as server,
        Client(endpoint_url=server.base_url, connections=8, part_size=64 * KIB, split="range") as client,
    ):
        result = client.download(URL, tmp_path / "object")
    assert (tmp_path / "object").read_bytes() == CONTENT.read(0, CONTENT.size)
    assert result.verification.verified
    assert result.retries == 0
    assert issuer.issued == 2
    assert door.refused >= 4
    assert set(door.seen) == {"token-1", "token-2"}


@pytest.mark.row(92)
def test_a_profile_whose_keys_were_replaced_is_read_again(
    without_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(number: int) -> None:
        keys = f"aws_access_key_id = AKIA{number}\naws_secret_access_key = s\naws_session_token = token-{number}\n"
        written = tmp_path / f"credentials-{number}"
        written.write_text(f"[team]\n{keys}")
        written.replace(file)

    door = Doorkeeper({"token-1"})

    first = iter(range(1))

    def rotate(request: ReceivedRequest) -> None:
        if next(first, None) is not None:
            write(2)

    write(1)
    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[rotate, door]) as server,
        Client(endpoint_url=server.base_url, profile="team", connections=4, part_size=64 * KIB) as client,
    ):
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert set(door.seen) == {"token-1", "token-2"}


@pytest.mark.fault("H36")
@pytest.mark.row(92)
@pytest.mark.parametrize("provider", ["container"], indirect=True)
def test_a_store_that_refuses_new_credentials_too_has_said_its_last_word(provider: str, issuer: Issuer) -> None:
    door = Doorkeeper({f"token-{number}" for number in range(100)})
    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[door]) as server,
        Client(endpoint_url=server.base_url, connections=2, part_size=64 * KIB) as client,
        pytest.raises(CredentialsError, match="the credentials have expired") as caught,
    ):
        client.read(URL)
    assert caught.value.reply is not None
    assert caught.value.reply.code == "ExpiredToken"
    assert issuer.issued <= 3


@pytest.mark.row(92)
def test_fixed_keys_that_are_refused_are_not_tried_again() -> None:
    door = Doorkeeper({"marked-session-token"})
    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[door]) as server,
        Client(endpoint_url=server.base_url, connections=2, part_size=64 * KIB) as client,
        pytest.raises(CredentialsError),
    ):
        client.read(URL)
    assert door.refused == 1


@pytest.mark.row(92)
@pytest.mark.parametrize("provider", ["container"], indirect=True)
def test_a_head_that_is_refused_without_a_word_is_asked_again_with_new_credentials(
    provider: str, issuer: Issuer
) -> None:
    """S3 answers 400 to a HEAD with an expired token, and a HEAD has no body."""
    door = Doorkeeper({"token-1"})
    with (
        ObjectServer({PATH: IN_PARTS}, behaviour=SLOW, operations=[door]) as server,
        Client(endpoint_url=server.base_url, connections=4, split="part") as client,
    ):
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert issuer.issued == 2


@pytest.mark.fault("H37")
@pytest.mark.row(92)
def test_a_clock_is_corrected_in_mid_download() -> None:
    """The store's clock is three hours ahead from the second request on."""
    theirs = timedelta(hours=3)
    asked: list[timedelta] = []
    lock = threading.Lock()

    def clock(request: ReceivedRequest) -> Answer | None:
        signed_at = datetime.strptime(str(request.headers.get("x-amz-date")), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        with lock:
            asked.append(signed_at - datetime.now(UTC))
            if len(asked) == 1 or abs(asked[-1] - theirs) < timedelta(minutes=15):
                return None
        now = format_datetime(datetime.now(UTC) + theirs, usegmt=True)
        return error(403, "RequestTimeTooSkewed", "The difference is too large.").with_field("Date", now)

    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[clock]) as server,
        Client(endpoint_url=server.base_url, connections=4, part_size=64 * KIB, split="range") as client,
    ):
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert sum(abs(off) < timedelta(minutes=15) for off in asked) <= 5


@pytest.mark.fault("H33", "H34")
@pytest.mark.row(89)
@pytest.mark.parametrize("by_header", [True, False])
def test_a_bucket_that_moves_in_mid_download_is_followed(by_header: bool) -> None:
    moved = threading.Event()
    regions: list[str] = []

    def place(request: ReceivedRequest) -> Answer | None:
        region = str(request.headers.get("authorization")).split("/")[2]
        regions.append(region)
        if not moved.is_set() or region == "eu-west-1":
            moved.set()
            return None
        if by_header:
            return error(301, "PermanentRedirect", "Elsewhere.").with_field("x-amz-bucket-region", "eu-west-1")
        return error(400, "AuthorizationHeaderMalformed", "The region is wrong.", {"Region": "eu-west-1"})

    with (
        ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[place]) as server,
        Client(endpoint_url=server.base_url, connections=4, part_size=64 * KIB, split="range") as client,
    ):
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert set(regions) == {"us-east-1", "eu-west-1"}


@pytest.mark.fault("H33")
@pytest.mark.row(89)
@pytest.mark.parametrize("status", [301, 307])
def test_two_regions_that_name_each_other_end_the_matter(status: int) -> None:
    def place(request: ReceivedRequest) -> Answer | None:
        there = {"us-east-1": "eu-west-1", "eu-west-1": "us-east-1"}
        region = there[str(request.headers.get("authorization")).split("/")[2]]
        return error(status, "PermanentRedirect", "Elsewhere.").with_field("x-amz-bucket-region", region)

    with ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[place]) as server:
        with (
            Client(endpoint_url=server.base_url) as client,
            pytest.raises(Exception, match=r"region|redirect"),
        ):
            client.read(URL)
        assert len(server.requests) == 2
