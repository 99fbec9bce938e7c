"""rclone: a file server without ETags, and an S3 server that checks signatures and ignores conditions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastget
from fastget.errors import AccessDenied, CredentialsError, NotFound, SourceError
from fastget.events import Method

if TYPE_CHECKING:
    from tests.servers.conftest import Sample, Server


def test_answers_without_an_etag_are_not_put_together(rclone_http: Server, large: Sample, tmp_path: Path) -> None:
    """RFC 9110 §15.3.7.3: nothing would tell that two of them are of the same version."""
    result = fastget.download(rclone_http.url(large.name), tmp_path / "copy")
    assert (result.etag, result.split, result.requests) == (None, "stream", 1)
    assert (tmp_path / "copy").read_bytes() == large.content


def test_the_file_server_gives_the_bytes_that_curl_gets(
    rclone_http: Server, medium: Sample, curl: Callable[..., bytes]
) -> None:
    url = rclone_http.url(medium.name)
    assert fastget.read(url) == curl(url)


def test_a_wrong_secret_is_refused(
    rclone_s3: Server, medium: Sample, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises((AccessDenied, CredentialsError)) as caught:
        fastget.download(rclone_s3.url(medium.name), tmp_path / "copy", **rclone_s3.options)
    assert caught.value.reply is not None
    assert caught.value.reply.status == 403
    assert "not-the-secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_is_refused(
    rclone_s3: Server, medium: Sample, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    with pytest.raises((AccessDenied, CredentialsError)):
        fastget.download(rclone_s3.url(medium.name), tmp_path / "copy", **rclone_s3.options)
    assert list(tmp_path.iterdir()) == []


def test_an_unsigned_request_is_refused_in_the_words_of_the_server(
    rclone_s3: Server, medium: Sample, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="UnsupportedAlgorithm"):
        fastget.download(rclone_s3.url(medium.name), tmp_path / "copy", no_sign_request=True, **rclone_s3.options)
    assert list(tmp_path.iterdir()) == []


def test_the_keys_of_a_profile_sign_the_requests(
    rclone_s3: Server, medium: Sample, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = {name: os.environ[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
    for name in keys:
        monkeypatch.delenv(name.upper())
    lines = ["[tests]", *(f"{name} = {value}" for name, value in keys.items())]
    (tmp_path / "credentials").write_text("\n".join(lines))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    url = rclone_s3.url(medium.name)
    assert fastget.read(url, profile="tests", **rclone_s3.options) == medium.content


@pytest.mark.parametrize("key", ["a b", "a+b", "100%", "üé✓", "folder/inner/é.bin", "a=b&c", "semi;colon,comma"])
def test_keys_are_signed_and_sent_as_they_are_named(rclone_s3: Server, key: str) -> None:
    rclone_s3.client.put_object(Bucket="samples", Key=key, Body=key.encode())
    assert fastget.read(rclone_s3.url(key), **rclone_s3.options) == key.encode()


def test_an_etag_that_is_the_md5_checks_an_object_uploaded_in_parts(
    rclone_s3: Server, large: Sample, tmp_path: Path
) -> None:
    client, name = rclone_s3.client, {"Bucket": "samples", "Key": "in-parts.bin"}
    upload = {**name, "UploadId": client.create_multipart_upload(**name)["UploadId"]}
    cut = 6 * 1024 * 1024
    parts = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(PartNumber=number, Body=body, **upload)["ETag"],
        }
        for number, body in enumerate((large.content[:cut], large.content[cut:]), 1)
    ]
    client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    result = fastget.download(rclone_s3.url("in-parts.bin"), tmp_path / "copy", **rclone_s3.options)
    assert (tmp_path / "copy").read_bytes() == large.content
    assert (result.verification.method, result.verification.actual) == (Method.ETAG_MD5, large.md5)


def test_a_presigned_url_needs_no_key(
    rclone_s3: Server, large: Sample, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = rclone_s3.client.generate_presigned_url("get_object", {"Bucket": "samples", "Key": large.name})
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = fastget.download(url, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large.content
    assert "Signature" not in result.url


def test_a_missing_bucket_is_not_found(rclone_s3: Server, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        fastget.download("s3://no-such-bucket/object", tmp_path / "copy", **rclone_s3.options)
    assert caught.value.reply is not None
    assert caught.value.reply.code == "NoSuchBucket"
    assert list(tmp_path.iterdir()) == []
