"""Sources found by those of their neighbours are the same as those that are resolved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.config import Config
from fastget.errors import InvalidURL
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.neighbours import Neighbours
from fastget.sources.resolve import resolve
from fastget.sources.s3 import S3Source

FIRST = "https://user.example:8443/a/first.bin"
CONFIGS = (Config(), Config(headers={"X-A": "b"}), Config(if_none_match='"abc"'))


def remembering(url: str, config: Config) -> Neighbours:
    neighbours = Neighbours()
    neighbours.remember(url, resolve(url, config), config)
    return neighbours


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("path", ["/a/second.bin", "/", "/a//b", "/a/../b", "/~x/y-z_0.1"])
def test_a_neighbour_is_what_it_would_be_resolved_to(config: Config, path: str) -> None:
    url = f"https://user.example:8443{path}"
    assert remembering(FIRST, config).find(url, config) == resolve(url, config)


@pytest.mark.parametrize(
    "url",
    [
        "http://user.example:8443/a",
        "https://user.example/a",
        "https://User.example:8443/a",
        "https://user.example:8443/a?b",
        "https://user.example:8443/a#b",
        "https://user.example:8443/a b",
        "https://user.example:8443/a%20b",
        "https://user.example:8443/a\n",
        "https://user.example:8443",
        "https://me@user.example:8443/a",
        "https://user.example:84430/a",
        "",
        None,
        b"https://user.example:8443/a",
    ],
)
def test_what_differs_by_more_than_its_path_is_none(url: Any) -> None:
    assert remembering(FIRST, CONFIGS[0]).find(url, CONFIGS[0]) is None


@pytest.fixture
def endpoints() -> Iterator[S3Endpoints]:
    with closing(S3Endpoints()) as made:
        yield made


@pytest.mark.parametrize("config", [Config(), Config(version_id="v", region="eu-west-1", headers={"X-A": "b"})])
@pytest.mark.parametrize("key", ["b", "a/b.bin", "/a", "a//b", "../a", "a/"])
def test_so_it_is_with_keys(endpoints: S3Endpoints, config: Config, key: str) -> None:
    neighbours = Neighbours()
    for url in ("s3://bucket.example/first/key", f"s3://bucket.example/{key}"):
        assert neighbours.resolve(url, config, lambda: endpoints) == resolve(url, config, endpoints)
    assert neighbours.find(f"s3://bucket.example/{key}", config) == resolve(url, config, endpoints)


def test_keys_in_the_file_of_ibm_are_read_for_each_object(
    endpoints: S3Endpoints, without_credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, config, neighbours = tmp_path / "credentials.json", Config(region="us-south"), Neighbours()
    monkeypatch.setenv("COS_CREDENTIALS_FILE", str(file))
    for name in ("old", "new"):
        file.write_text(json.dumps({"cos_hmac_keys": {"access_key_id": name, "secret_access_key": "s"}}))
        found = neighbours.resolve("cos://bucket/key", config, lambda: endpoints)
        assert isinstance(found, S3Source)
        assert found.settings.access_key_id == name


@pytest.mark.parametrize("url", ["s3://bucket/a b", "s3://bucket/", "s3://other/a", "S3://bucket/a", "s3://bucket/a?b"])
def test_a_key_that_is_not_plain_or_in_another_bucket_is_none(endpoints: S3Endpoints, url: str) -> None:
    neighbours = Neighbours()
    neighbours.resolve("s3://bucket/first", CONFIGS[0], lambda: endpoints)
    assert neighbours.find(url, CONFIGS[0]) is None


def test_what_was_closed_has_no_neighbours(endpoints: S3Endpoints) -> None:
    neighbours = Neighbours()
    neighbours.resolve("s3://bucket/first", CONFIGS[0], lambda: endpoints)
    with closing(S3Endpoints()) as later:
        found = neighbours.resolve("s3://bucket/second", CONFIGS[0], lambda: later)
        assert isinstance(found, S3Source)
        assert found.endpoints is later


def test_other_options_have_no_neighbours() -> None:
    assert remembering(FIRST, CONFIGS[0]).find(FIRST, CONFIGS[1]) is None


@pytest.mark.parametrize("url", ["https://user.example:8443/a?token=b", "https://me:secret@user.example:8443/a"])
def test_what_may_hold_a_secret_is_not_remembered(url: str) -> None:
    assert remembering(url, CONFIGS[0]).find(FIRST, CONFIGS[0]) is None


def test_a_url_that_can_be_renewed_is_not_remembered() -> None:
    config = Config(refresh_url=str)
    assert remembering(FIRST, config).find(FIRST, config) is None


@given(st.from_regex(r"(https?://[a-z0-9.-]{1,9}(:[0-9]{1,5})?)(/[!-~]{0,9})", fullmatch=True))
def test_whatever_is_found_is_what_is_resolved(url: str) -> None:
    config = CONFIGS[0]
    neighbours = Neighbours()
    root = "/".join(url.split("/")[:3])
    with suppress(InvalidURL):  # such a host there may not be
        neighbours.remember(f"{root}/", resolve(f"{root}/", config), config)
    found = neighbours.find(url, config)
    assert found is None or found == resolve(url, config)
