"""Many objects of a real store: hostile keys among them, as moto stores and lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastget

if TYPE_CHECKING:
    from tests.servers.conftest import Sample, Server

BUCKET = "pulled"
GOOD = ["a b", "a%20b", "a+b", "dir/a", "dir/sub/c", "q?x=1&y#z", "ü/日本", "\U0001f600", "...", "x" * 255]
# Keys that moto does not store: `../x`, which becomes the name of another bucket, and those with a line feed.
BAD = ["..", "a/../b", "/leading", "a//b", "ctl\x01x", "esc\x1b[31m", "C:\\x", "\\\\srv\\x", "y" * 300]


@pytest.fixture(scope="module")
def filled(moto: Server) -> Server:
    moto.client.create_bucket(Bucket=BUCKET)
    for key in [*GOOD, *BAD, "dir/"]:
        body = b"" if key.endswith("/") else key.encode()
        moto.client.put_object(Bucket=BUCKET, Key=key, Body=body, ChecksumAlgorithm="CRC64NVME")
    return moto


@pytest.mark.fault("S1", "S2", "S3", "S8")
def test_good_keys_are_files_and_bad_ones_are_named(filled: Server, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    result = fastget.pull(f"s3://{BUCKET}", target, **filled.options)
    files = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in files.items()} == {key: key.encode() for key in GOOD}
    assert (result.done, result.failed) == (len(GOOD), len(BAD))
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    again = fastget.pull(f"s3://{BUCKET}/", target, **filled.options)
    assert again.skipped == len(GOOD)


def test_a_list_of_files_of_a_web_server_is_pulled(nginx: Server, tmp_path: Path, sample: Sample) -> None:
    name = sample.name
    result = fastget.pull([nginx.url(name), (nginx.url(name), "again/x")], tmp_path)
    assert result.done == 2
    assert (tmp_path / "again" / "x").read_bytes() == (tmp_path / name).read_bytes()
