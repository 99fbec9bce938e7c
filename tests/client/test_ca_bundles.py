"""The CA bundles that AWS's variables and files name: heeded for stores, as by AWS's own tools, and not beyond."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from botocore.endpoint import EndpointCreator

import fastget
from fastget import s3
from fastget.errors import ConfigError, NetworkError
from fastget.testing import Content, ObjectServer, StoredObject
from fastget.testing.operations.listing import Listing

MIB = 1024 * 1024
CONTENT = Content.generated(3 * MIB + 5, seed=3)
OBJECTS = {f"/b/{name}": StoredObject(Content.of(name.encode())) for name in ("1", "2", "3")}

Serve = Callable[..., ObjectServer]


@pytest.fixture
def strangers(tmp_path: Path) -> str:
    """The bundle of an authority that has nothing to do with the store."""
    path = tmp_path / "strangers.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def store(authority: trustme.CA, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """A store over TLS, and the keys for it in the environment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    objects = {**OBJECTS, "/b/large": StoredObject(CONTENT)}
    server = serve(objects, tls=context, operations=[Listing(objects)])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
    return server


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Name a file where `place` is: the variable, or a profile of the config file."""
    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    def begin(place: str, path: str) -> None:
        if place == "AWS_CA_BUNDLE":
            monkeypatch.setenv(place, path)
            return
        heading = place if place == "default" else f"profile {place}"
        keys = "aws_access_key_id = FILEKEY\naws_secret_access_key = file-secret"
        config.write_text(f"[{heading}]\nca_bundle = {path}\n{keys}\n")

    return begin


@pytest.fixture(params=["plain", "botocore"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads AWS's variables: fastget itself, or botocore because of one that only it knows."""
    if request.param == "botocore":
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    return str(request.param)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("place", ["AWS_CA_BUNDLE", "default", "dev"])
def test_a_store_is_trusted_by_the_bundle_that_aws_is_told_of(
    store: ObjectServer, bundle: str, say: Callable[[str, str], None], place: str
) -> None:
    say(place, bundle)
    profile: dict[str, Any] = {"profile": "dev"} if place == "dev" else {}
    assert fastget.read("s3://b/1", **profile) == b"1"


@pytest.mark.usefixtures("reader", "store")
def test_an_option_comes_before_the_variable_and_that_before_the_profile(
    bundle: str, strangers: str, say: Callable[[str, str], None]
) -> None:
    say("default", strangers)
    say("AWS_CA_BUNDLE", bundle)
    assert fastget.read("s3://b/1") == b"1"
    say("AWS_CA_BUNDLE", strangers)
    assert fastget.read("s3://b/1", ca_bundle=bundle) == b"1"
    with pytest.raises(NetworkError, match="not trusted"):
        fastget.read("s3://b/1")


def test_a_url_of_a_server_does_not_heed_it(store: ObjectServer, bundle: str, say: Callable[[str, str], None]) -> None:
    say("AWS_CA_BUNDLE", bundle)
    with fastget.Client() as client:
        assert client.read("s3://b/1") == b"1"
        with pytest.raises(NetworkError, match="not trusted") as caught:
            client.read(store.url("/b/1"))
    assert "AWS_CA_BUNDLE is read for s3:// alone" in (caught.value.hint or "")


@pytest.mark.usefixtures("reader", "store")
@pytest.mark.parametrize(
    ("place", "name"),
    [("AWS_CA_BUNDLE", "AWS_CA_BUNDLE"), ("default", "profile default"), ("dev", "profile dev")],
)
def test_what_cannot_be_read_is_told_with_who_named_it(
    say: Callable[[str, str], None], tmp_path: Path, place: str, name: str
) -> None:
    say(place, str(tmp_path / "nowhere.pem"))
    profile: dict[str, Any] = {"profile": "dev"} if place == "dev" else {}
    with pytest.raises(ConfigError) as caught:
        fastget.read("s3://b/1", **profile)
    assert caught.value.message.endswith("nowhere.pem, which cannot be read: No such file or directory")
    assert f"{name} names" in caught.value.message
    assert "\n" not in str(caught.value.message)


@pytest.mark.usefixtures("store")
def test_a_file_without_a_certificate_is_told_with_who_named_it(
    say: Callable[[str, str], None], tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    say("AWS_CA_BUNDLE", str(tmp_path / "empty.pem"))
    with pytest.raises(ConfigError, match=r"AWS_CA_BUNDLE names \S+empty.pem, which holds no certificate"):
        fastget.read("s3://b/1")


def test_where_no_certificate_is_looked_at_nobody_minds_a_bundle_that_is_not_there(
    store: ObjectServer, serve: Serve, say: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    say("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    assert fastget.read("s3://b/1", insecure=True) == b"1"
    plain = serve(OBJECTS)
    assert fastget.read("s3://b/2", endpoint_url=plain.base_url) == b"2"
    monkeypatch.setenv("AWS_ENDPOINT_URL", plain.base_url)
    assert fastget.read("s3://b/3") == b"3"
    assert len(store.requests) == 1


@pytest.mark.usefixtures("store")
def test_an_empty_variable_names_nothing(bundle: str, say: Callable[[str, str], None]) -> None:
    say("default", bundle)
    say("AWS_CA_BUNDLE", "")
    assert fastget.read("s3://b/1") == b"1"


def test_the_calls_of_a_client_share_their_connection(
    store: ObjectServer, bundle: str, say: Callable[[str, str], None]
) -> None:
    say("AWS_CA_BUNDLE", bundle)
    with fastget.Client() as client:
        for name in ("1", "2", "3"):
            assert client.read(f"s3://b/{name}") == name.encode()
        assert client.head("s3://b/1").size == 1
        answer = s3.get_object(Bucket="b", Key="2", client=client)
        with answer["Body"] as body:
            assert body.read() == b"2"
        assert [info.size for info in client.ls("s3://b/")] == [1, 1, 1, len(CONTENT)]
    assert store.connections == 1


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.usefixtures("store")
def test_all_connections_of_a_download_heed_it(
    bundle: str, say: Callable[[str, str], None], destination: Path, processes: int
) -> None:
    say("default", bundle)
    fastget.download("s3://b/large", destination, processes=processes, connections=4, part_size=256 * 1024)
    assert destination.read_bytes() == CONTENT.read()


def test_a_pull_heeds_it_for_the_stores_among_its_urls(
    store: ObjectServer, serve: Serve, bundle: str, say: Callable[[str, str], None], tmp_path: Path
) -> None:
    say("AWS_CA_BUNDLE", bundle)
    plain = serve(OBJECTS)
    urls = ["s3://b/1", plain.url("/b/2"), "s3://b/large", store.url("/b/3")]
    found = fastget.pull(urls, tmp_path / "list", part_size=256 * 1024)
    assert [(failure.url, type(failure.error)) for failure in found.failures] == [(store.url("/b/3"), NetworkError)]
    assert {path.name for path in (tmp_path / "list").iterdir()} == {"1", "2", "large"}
    assert fastget.pull("s3://b/", tmp_path / "prefix").done == 4


# What other tools are told of ------------------------------------------------------------------------------------

OF_REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.mark.parametrize("name", [*OF_REQUESTS, "SSL_CERT_FILE"])
def test_a_web_server_is_trusted_by_the_bundle_that_the_environment_names(
    store: ObjectServer, bundle: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, bundle)
    assert fastget.read(store.url("/b/1")) == b"1"


def name_hash(pem: bytes) -> str:
    """What OpenSSL calls the file of a certificate: the start of the SHA-1 of its subject, in small letters."""
    from cryptography import x509

    subject = x509.load_pem_x509_certificate(pem).subject
    small = x509.Name([x509.NameAttribute(item.oid, str(item.value).lower()) for item in subject])
    digest = hashlib.sha1(small.public_bytes()[2:], usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def test_certificates_in_a_directory_are_trusted_as_by_openssl(
    store: ObjectServer, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "authorities"
    directory.mkdir()
    (directory / f"{name_hash(Path(bundle).read_bytes())}.0").write_bytes(Path(bundle).read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(directory))
    assert fastget.read(store.url("/b/1")) == b"1"


@pytest.mark.parametrize("scheme", ["https", "s3"])
@pytest.mark.parametrize("named", list(product((False, True), repeat=2)), ids=lambda named: "-".join(map(str, named)))
def test_which_of_them_counts_is_what_it_is_for_requests_and_botocore(
    store: ObjectServer,
    bundle: str,
    strangers: str,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    named: tuple[bool, ...],
) -> None:
    for name, is_named in zip(OF_REQUESTS, named, strict=True):
        monkeypatch.setenv(name, bundle if is_named else strangers)
    url = store.url("/b/1") if scheme == "https" else "s3://b/1"
    if scheme == "https":
        found = requests.Session().merge_environment_settings(url, {}, None, None, None)["verify"]
    else:
        # No client is asked: this is where each of its requests finds out.
        found = EndpointCreator(None)._get_verify_value(None)
    if found == bundle:
        assert fastget.read(url) == b"1"
        return
    with pytest.raises(NetworkError, match="not trusted"):
        fastget.read(url)


@pytest.mark.usefixtures("store")
def test_aws_comes_before_requests_and_requests_before_openssl(
    bundle: str, strangers: str, say: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", strangers)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert fastget.read("s3://b/1") == b"1"
    say("default", strangers)
    with pytest.raises(NetworkError, match="not trusted"):
        fastget.read("s3://b/1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", strangers)
    say("default", bundle)
    assert fastget.read("s3://b/1") == b"1"


@pytest.mark.parametrize("name", OF_REQUESTS)
def test_an_option_comes_before_what_requests_is_told(
    store: ObjectServer, bundle: str, strangers: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, strangers)
    assert fastget.read(store.url("/b/1"), ca_bundle=bundle) == b"1"
    assert fastget.read(store.url("/b/1"), insecure=True) == b"1"
    with pytest.raises(NetworkError, match="not trusted") as caught:
        fastget.read(store.url("/b/1"))
    assert f"{name} names those that are trusted" in (caught.value.hint or "")


@pytest.mark.parametrize("scheme", ["https", "s3"])
@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), (b"", "no certificate")])
def test_a_bundle_of_requests_that_cannot_be_read_is_told_with_who_named_it(
    store: ObjectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    content: bytes | None,
    why: str,
) -> None:
    path = tmp_path / "named.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with pytest.raises(ConfigError, match=rf"^REQUESTS_CA_BUNDLE names {path}, .*{why}") as caught:
        fastget.read(store.url("/b/1") if scheme == "https" else "s3://b/1")
    assert "\n" not in caught.value.message


def test_a_bundle_that_is_not_there_is_no_matter_where_none_is_needed(
    store: ObjectServer, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    assert fastget.read(serve(OBJECTS).url("/b/1")) == b"1"
    assert fastget.read(store.url("/b/1"), insecure=True) == b"1"


def test_a_missing_file_of_openssl_is_told_where_nobody_is_trusted(
    store: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(NetworkError, match="not trusted") as caught:
        fastget.read(store.url("/b/1"))
    assert "SSL_CERT_FILE names /nowhere/ca.pem, which is not there" in (caught.value.hint or "")


def test_a_pull_heeds_each_of_them_for_what_it_is_meant_for(
    store: ObjectServer, bundle: str, strangers: str, say: Callable[[str, str], None], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    urls = ["s3://b/1", store.url("/b/2"), "s3://b/large", store.url("/b/3")]
    for aws, of_requests, served in ((bundle, strangers, {"1", "large"}), (strangers, bundle, {"2", "3"})):
        say("AWS_CA_BUNDLE", aws)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", of_requests)
        directory = tmp_path / f"trusting-{len(served)}-{min(served)}"
        with fastget.Client(part_size=256 * 1024) as client:
            assert client.pull(urls, directory).failed == 2
        assert {path.name for path in directory.iterdir()} == served


def test_the_calls_of_a_client_to_a_web_server_share_their_connection(
    store: ObjectServer, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with fastget.Client() as client:
        for name in ("1", "2", "3"):
            assert client.read(store.url(f"/b/{name}")) == name.encode()
    assert store.connections == 1
