"""nginx's locations (nginx.conf): TLS, digests, compression, refusals, and servers that can do less."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastget
from fastget.errors import AccessDenied, CredentialsError, FastgetError, NetworkError
from fastget.events import Method

if TYPE_CHECKING:
    from tests.servers.conftest import Sample, Server

Curl = Callable[..., bytes]


def at(server: Server, location: str, name: str) -> str:
    """The same object by another location."""
    return f"{server.base_url.removesuffix('samples/')}{location}/{name}"


@pytest.mark.parametrize(
    "location", ["samples", "slow", "gzip", "without-ranges", "without-etag", "with-digest", "moved"]
)
def test_every_location_gives_the_bytes_that_curl_gets(
    nginx: Server, location: str, medium: Sample, curl: Curl, tmp_path: Path
) -> None:
    url = at(nginx, location, medium.name)
    fastget.download(url, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == curl(url, "--header", "Accept-Encoding: identity")


def test_pieces_of_a_slow_location_come_by_several_connections(nginx: Server, large: Sample, tmp_path: Path) -> None:
    result = fastget.download(at(nginx, "slow", large.name), tmp_path / "copy")
    assert result.connections > 1
    assert (result.split, result.bytes_received) == ("range", large.size)
    assert (tmp_path / "copy").read_bytes() == large.content


def test_a_digest_of_the_representation_is_compared(nginx: Server, sample: Sample, tmp_path: Path) -> None:
    found = fastget.download(at(nginx, "with-digest", sample.name), tmp_path / "copy").verification
    assert (found.verified, found.method, found.algorithm) == (True, Method.HTTP_DIGEST, "sha256")
    assert found.actual == sample.sha256


@pytest.mark.fault("H17")
def test_compression_that_was_not_asked_for_is_not_applied(nginx: Server, large: Sample, tmp_path: Path) -> None:
    result = fastget.download(at(nginx, "gzip", large.name), tmp_path / "copy")
    assert result.etag is not None
    assert not result.etag.startswith("W/")
    assert (tmp_path / "copy").read_bytes() == large.content


@pytest.mark.fault("H18")
def test_an_object_that_is_stored_compressed_arrives_as_it_is_stored(
    nginx: Server, documents: Path, curl: Curl, tmp_path: Path
) -> None:
    url = at(nginx, "stored-gzip", "lines.txt")
    result = fastget.download(url, tmp_path / "copy")
    stored = (documents / "samples" / "lines.txt.gz").read_bytes()
    assert (tmp_path / "copy").read_bytes() == stored == curl(url)
    assert result.size == len(stored) < len(gzip.decompress(stored))


def test_a_server_without_ranges_sends_one_stream(nginx: Server, large: Sample, tmp_path: Path) -> None:
    result = fastget.download(at(nginx, "without-ranges", large.name), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large.content
    assert result.bytes_received == large.size


def test_a_server_that_takes_one_connection_at_a_time_is_waited_for(
    nginx: Server, medium: Sample, tmp_path: Path
) -> None:
    result = fastget.download(at(nginx, "one-at-a-time", medium.name), tmp_path / "copy", connections=2)
    assert (tmp_path / "copy").read_bytes() == medium.content
    assert result.size == medium.size


def test_a_password_in_the_url_is_sent_and_never_shown(nginx: Server, medium: Sample, tmp_path: Path) -> None:
    url = at(nginx, "password", medium.name).replace("://", "://reader:let%20me%20in@")
    result = fastget.download(url, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == medium.content
    assert "let" not in result.url


def test_a_missing_or_wrong_password_is_refused(nginx: Server, medium: Sample, tmp_path: Path) -> None:
    url = at(nginx, "password", medium.name)
    for refused in (url, url.replace("://", "://reader:wrong@")):
        with pytest.raises((AccessDenied, CredentialsError)) as caught:
            fastget.download(refused, tmp_path / "copy")
        assert caught.value.reply is not None
        assert caught.value.reply.status == 401
        assert "wrong" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_forbidden_object_is_an_error_of_access(nginx: Server, tmp_path: Path) -> None:
    with pytest.raises(AccessDenied):
        fastget.download(at(nginx, "forbidden", "object"), tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("H27")
def test_redirects_in_a_circle_end_in_an_error(nginx: Server, tmp_path: Path) -> None:
    with pytest.raises(FastgetError, match="redirect"):
        fastget.download(at(nginx, "round-and-round", "object"), tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_of_an_unknown_authority_is_refused(nginx_tls: Server, medium: Sample, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="certificate"):
        fastget.download(nginx_tls.url(medium.name), tmp_path / "copy", retries=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("N19")
def test_a_certificate_for_another_name_is_refused(
    nginx_tls: Server, ca_bundle: Path, medium: Sample, tmp_path: Path
) -> None:
    url = nginx_tls.url(medium.name).replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(NetworkError):
        fastget.download(url, tmp_path / "copy", ca_bundle=str(ca_bundle), retries=0)
    assert list(tmp_path.iterdir()) == []


def test_a_plain_request_to_the_port_of_tls_is_told_to_use_https(
    nginx_tls: Server, medium: Sample, tmp_path: Path
) -> None:
    with pytest.raises(fastget.errors.ServerError, match="speaks TLS") as caught:
        fastget.download(nginx_tls.url(medium.name).replace("https:", "http:"), tmp_path / "copy")
    assert "https://" in (caught.value.hint or "")


def test_insecure_fetches_in_spite_of_an_unknown_authority(nginx_tls: Server, large: Sample, tmp_path: Path) -> None:
    fastget.download(nginx_tls.url(large.name), tmp_path / "copy", insecure=True)
    assert (tmp_path / "copy").read_bytes() == large.content


def test_the_certificate_of_a_name_is_good_for_that_name(
    nginx_tls: Server, ca_bundle: Path, medium: Sample, curl: Curl, tmp_path: Path
) -> None:
    url = nginx_tls.url(medium.name).replace("127.0.0.1", "localhost")
    fastget.download(url, tmp_path / "copy", ca_bundle=str(ca_bundle))
    assert (tmp_path / "copy").read_bytes() == curl(url, "--cacert", str(ca_bundle))


def test_a_file_that_is_replaced_on_the_way_is_not_mixed(
    nginx: Server, documents: Path, large: Sample, tmp_path: Path
) -> None:
    """The workers ask with If-Match, and nginx's ETag is the date and size of the file."""
    victim = documents / "samples" / f"replaced-{os.getpid()}.bin"
    victim.write_bytes(large.content)
    newer = victim.with_suffix(".new")
    newer.write_bytes(large.content[::-1])
    os.utime(newer, (1, 1))

    def replace(event: object) -> None:
        if isinstance(event, fastget.events.Started):
            newer.rename(victim)

    try:
        with pytest.raises(fastget.errors.SourceChanged):
            fastget.download(nginx.url(victim.name), tmp_path / "copy", on_event=replace)
    finally:
        victim.unlink()
    assert list(tmp_path.iterdir()) == []
