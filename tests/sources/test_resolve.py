from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx
import pytest

from fastget.config import Config
from fastget.errors import ConfigError, InvalidURL
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.http import HttpSource
from fastget.sources.resolve import resolve
from fastget.sources.s3 import S3Source, parse_s3_url


@pytest.mark.parametrize("url", ["http://host/a", "HTTPS://host/a", "https://user:pw@host:8443/a?b=c"])
def test_http_and_https_urls_name_http_sources(url: str) -> None:
    assert isinstance(resolve(url, Config()), HttpSource)


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidURL, match="Port"):
        resolve("https://host:99999/", Config())


def test_s3_urls_name_s3_sources(endpoints: S3Endpoints) -> None:
    source = resolve("s3://bucket/folder/key.bin", Config(), endpoints)
    assert isinstance(source, S3Source)
    assert (source.bucket, source.key) == ("bucket", "folder/key.bin")
    assert source.display_url == "s3://bucket/folder/key.bin"
    assert source.filename == "key.bin"


@pytest.mark.parametrize(("url", "what"), [("s3://b\udcff/key", "bucket's name"), ("cos://bucket/\udcff", "key")])
def test_a_name_that_is_no_utf_8_is_refused(url: str, what: str) -> None:
    with pytest.raises(InvalidURL, match=f"the {what} cannot be written as UTF-8"):
        parse_s3_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file.iso",
        "/tmp/file.iso",
        "./file",
        "C:\\file",
        "host:80/file",
        "ftp://host/file",
        "file:///etc/passwd",
        "data:text/plain,x",
        "s3://",
        "s3:///key",
        "s3://bucket",
        "s3://bucket/",
        "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/name",
        "http://",
        "http:///path",
        "http://host/a\nb",
        "s3://bucket/\ud800",
    ],
)
def test_what_names_no_object_is_refused_with_a_hint(url: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        resolve(url, Config())
    assert caught.value.hint


@pytest.mark.parametrize(
    ("url", "bucket", "key"),
    [
        ("s3://b/a/../c", "b", "a/../c"),
        ("s3://b//a", "b", "/a"),
        ("s3://b/a%20b?c#d", "b", "a%20b?c#d"),
        ("s3://b/folder/", "b", "folder/"),
        ("S3://b/k\nl", "b", "k\nl"),
        (
            "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/name/key/x",
            "arn:aws:s3:us-west-2:123456789012:accesspoint/name",
            "key/x",
        ),
        (
            "s3://arn:aws:s3::123456789012:accesspoint:alias.mrap/key",
            "arn:aws:s3::123456789012:accesspoint:alias.mrap",
            "key",
        ),
        (
            "s3://arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01/accesspoint/ap/key",
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01/accesspoint/ap",
            "key",
        ),
        (
            "s3://arn:aws-cn:s3-object-lambda:cn-north-1:123456789012:accesspoint/name/k",
            "arn:aws-cn:s3-object-lambda:cn-north-1:123456789012:accesspoint/name",
            "k",
        ),
    ],
)
def test_an_s3_url_is_cut_into_bucket_and_key_and_the_key_stays_as_it_is(url: str, bucket: str, key: str) -> None:
    assert parse_s3_url(url) == (bucket, key)


@pytest.mark.parametrize("url", ["s3://key:marked@bucket/x", "s3://key:mar/marked@bucket/x", "s3://marked@bucket/x"])
def test_an_s3_url_with_user_info_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidURL, match="holds a colon or an @") as caught:
        resolve(url, Config())
    assert "marked" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("name", ["Range", "host", "Content-Length", "Transfer-Encoding", "If-Range", "TE"])
def test_a_header_that_fastget_decides_itself_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        resolve("http://host/a", Config(headers={name: "x"}))


def test_a_version_id_beside_an_http_url_is_refused_instead_of_being_forgotten() -> None:
    with pytest.raises(ConfigError, match="version_id"):
        resolve("https://host/a", Config(version_id="7"))


def test_an_endpoint_with_user_info_is_refused_without_repeating_it(endpoints: S3Endpoints) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("s3://b/k", Config(endpoint_url="https://me:marked@host"), endpoints)
    assert "marked" not in str(caught.value)


def test_an_http_url_loads_neither_botocore_nor_an_xml_parser() -> None:
    code = (
        "import sys; from fastget.sources.resolve import resolve; from fastget.config import Config\n"
        "resolve('https://host/a', Config()).get()\n"
        "print([name for name in ('botocore', 'xml.etree', 'ssl', 'httpx') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_s3_url_loads_botocore_only_when_its_first_request_is_made() -> None:
    code = (
        "import sys; from fastget.sources.resolve import resolve; from fastget.config import Config\n"
        "resolve('s3://bucket/key', Config())\n"
        "print('botocore' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("url", "way_out"), [(b"https://host/x", "url.decode()"), (httpx.URL("https://host/x"), "str(url)")]
)
def test_what_is_no_text_is_told_how_to_become_the_url(url: Any, way_out: str) -> None:
    with pytest.raises(InvalidURL, match="a URL is a str, and not") as caught:
        resolve(url, Config())
    assert caught.value.hint == f"give it as {way_out}"
