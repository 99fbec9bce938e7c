"""docs/compatibility.md: what each store did when it was asked, and how a download from it was verified.

`python -m pytest -n 0 tests/servers/test_compatibility.py --write-compatibility` writes the rows anew; without the
option each row is compared with the committed page. Rows of servers that are not installed stay as they are.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.config
import botocore.session
import pytest
from botocore.exceptions import ClientError

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.testing import Content, ObjectServer, StoredObject
from fastget.testing.quirks import QUIRKS

if TYPE_CHECKING:
    from tests.servers.conftest import Server

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
MIB = 1024 * 1024
LAYOUTS = {"even": (5 * MIB, 5 * MIB, MIB), "uneven": (5 * MIB, 6 * MIB + 1, 77)}
REAL = {"localstack": "LocalStack", "moto": "moto", "rclone_s3": "rclone serve s3"}
# One after another in one worker: they may write the same page.
pytestmark = pytest.mark.xdist_group("compatibility")


class Probe:
    """One store, asked with botocore: object `single` with a checksum of the whole, `even` and `uneven` in parts."""

    def __init__(self, endpoint_url: str, bucket: str) -> None:
        self._bucket = bucket
        self._endpoint_url = endpoint_url
        self._client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=endpoint_url,
            region_name="us-east-1",
            config=botocore.config.Config(
                proxies={},
                s3={"addressing_style": "path"},
                signature_version="s3v4",
                retries={"max_attempts": 0},
                response_checksum_validation="when_required",
            ),
        )

    def cells(self) -> list[str]:
        """Range, If-Match, partNumber, part checksum, whole checksum, list of parts."""
        return [
            self._ranges(),
            self._conditions(),
            self._part_numbers(),
            self._part_checksum(),
            self._whole_checksum(),
            self._list(),
        ]

    def _ranges(self) -> str:
        status, headers = self._ask("get_object", "single", Range="bytes=1-2")
        if headers.get("content-range", "").startswith("bytes 1-2/"):
            return str(status)
        return "ignored" if status == 200 else f"refused ({status})"

    def _conditions(self) -> str:
        etag = self._ask("get_object", "single")[1]["etag"]
        other = self._ask("get_object", "single", IfMatch='"00000000000000000000000000000000"')[0]
        own = self._ask("get_object", "single", IfMatch=etag)[0]
        if own == 412:
            bare = self._ask("get_object", "single", IfMatch=etag.strip('"'))[0]
            return "without quotes only" if bare == 200 else "refuses its own ETag"
        return "honoured" if other == 412 else "ignored"

    def _part_numbers(self) -> str:
        found = []
        for operation, name in (("head_object", "HEAD"), ("get_object", "GET")):
            status, headers = self._ask(operation, "uneven", PartNumber=2)
            if status == 206 and headers.get("content-range", "").startswith(f"bytes {5 * MIB}-"):
                found.append(name)
            elif status == 206 and headers.get("content-length") == str(LAYOUTS["uneven"][1]):
                found.append(f"{name} (no place)")
        return ", ".join(found) or "no"

    def _part_checksum(self) -> str:
        headers = self._ask("get_object", "uneven", PartNumber=2, ChecksumMode="ENABLED")[1]
        if "content-range" not in headers and headers.get("content-length") != str(LAYOUTS["uneven"][1]):
            return "no"
        return "yes" if "x-amz-checksum-crc32c" in headers else "no"

    def _whole_checksum(self) -> str:
        names = []
        single = self._ask("get_object", "single", ChecksumMode="ENABLED")[1]
        if "x-amz-checksum-crc32c" in single or "x-goog-hash" in single:
            names.append("of one piece")
        uneven = self._ask("get_object", "uneven", ChecksumMode="ENABLED")[1]
        if uneven.get("x-amz-checksum-crc32c", "").endswith("-3") or "x-goog-hash" in uneven:
            names.append("of parts")
        return ", ".join(names) or "no"

    def _list(self) -> str:
        try:
            found = self._client.get_object_attributes(
                Bucket=self._bucket, Key="uneven", ObjectAttributes=["ObjectParts"]
            )
        except ClientError as error:
            return "ignored" if self._sends_the_object() else f"refused ({_status(error)})"
        return "yes" if found.get("ObjectParts", {}).get("Parts") else "no parts"

    def _sends_the_object(self) -> bool:
        """botocore makes an error 500 of a 200 whose document it does not know."""
        try:
            with urllib.request.urlopen(f"{self._endpoint_url}/{self._bucket}/uneven?attributes", timeout=10) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False

    def _ask(self, operation: str, key: str, **options: Any) -> tuple[int, Mapping[str, str]]:
        try:
            answer = getattr(self._client, operation)(Bucket=self._bucket, Key=key, **options)
        except ClientError as error:
            answer = error.response
        if "Body" in answer:
            answer["Body"].close()
        found = answer["ResponseMetadata"]
        return found["HTTPStatusCode"], {name.lower(): value for name, value in found["HTTPHeaders"].items()}


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def verified_by(endpoint_url: str, bucket: str, contents: Mapping[str, bytes], folder: Path) -> list[str]:
    """How each of the objects was verified; the bytes are right in any case."""
    found = []
    for key, content in contents.items():
        result = fastget.download(f"s3://{bucket}/{key}", folder / key, endpoint_url=endpoint_url)
        assert hashlib.sha256((folder / key).read_bytes()).digest() == hashlib.sha256(content).digest()
        assert result.repairs == 0
        found.append(str(result.verification.method) if result.verification.verified else "*size*")
    return found


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    """The objects that every store holds."""
    sizes = {"single": 9 * MIB, **{name: sum(parts) for name, parts in LAYOUTS.items()}}
    return {name: bytes(Content.generated(size, seed=size).read(0, size)) for name, size in sizes.items()}


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Callable[[str, list[str]], None]:
    """Holds a row to the page or, with --write-compatibility, writes it there."""
    writes = bool(request.config.getoption("--write-compatibility"))

    def check(title: str, cells: list[str]) -> None:
        line = f"| {title} | {' | '.join(cells)} |"
        lines = PAGE.read_text(encoding="utf-8").splitlines()
        place = next((index for index, each in enumerate(lines) if each.startswith(f"| {title} |")), None)
        assert place is not None, f"docs/compatibility.md has no row for {title}"
        if writes:
            lines[place] = line
            PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert lines[place] == line, "run this file with --write-compatibility"

    return check


@pytest.fixture
def scripted(contents: Mapping[str, bytes]) -> Iterator[Callable[[str], ObjectServer]]:
    """Starts the object server as one of the stores."""
    running: list[ObjectServer] = []

    def start(name: str) -> ObjectServer:
        quirk = QUIRKS[name]
        stored = {
            key: StoredObject(
                Content.of(content), part_sizes=LAYOUTS.get(key), checksum=Algorithm.CRC32C, checksum_type="COMPOSITE"
            )
            for key, content in contents.items()
        }
        objects = {f"/samples/{key}": quirk.dress(each) for key, each in stored.items()}
        running.append(ObjectServer(objects, behaviour=quirk.behaviour))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.mark.parametrize("name", QUIRKS)
def test_a_scripted_store_does_what_the_page_says(
    scripted: Callable[[str], ObjectServer],
    contents: Mapping[str, bytes],
    compare: Callable[[str, list[str]], None],
    tmp_path: Path,
    name: str,
) -> None:
    url = scripted(name).base_url
    compare(
        f"{QUIRKS[name].title} (`{name}`)",
        [*Probe(url, "samples").cells(), *verified_by(url, "samples", contents, tmp_path)],
    )


@pytest.mark.parametrize("name", REAL)
def test_a_real_store_does_what_the_page_says(
    request: pytest.FixtureRequest,
    contents: Mapping[str, bytes],
    compare: Callable[[str, list[str]], None],
    tmp_path: Path,
    name: str,
) -> None:
    server: Server = request.getfixturevalue(name)
    url = server.options["endpoint_url"]
    bucket = "compatibility"
    server.client.create_bucket(Bucket=bucket)
    server.client.put_object(Bucket=bucket, Key="single", Body=contents["single"], ChecksumAlgorithm="CRC32C")
    for key in LAYOUTS:
        upload(server.client, bucket, key, contents[key])
    compare(REAL[name], [*Probe(url, bucket).cells(), *verified_by(url, bucket, contents, tmp_path)])


def upload(client: Any, bucket: str, key: str, content: bytes) -> None:
    named = {"Bucket": bucket, "Key": key}
    named["UploadId"] = client.create_multipart_upload(ChecksumAlgorithm="CRC32C", ChecksumType="COMPOSITE", **named)[
        "UploadId"
    ]
    parts, start = [], 0
    for number, length in enumerate(LAYOUTS[key], 1):
        body = content[start : start + length]
        answer = client.upload_part(PartNumber=number, Body=body, ChecksumAlgorithm="CRC32C", **named)
        checksum = {"ChecksumCRC32C": answer["ChecksumCRC32C"]} if "ChecksumCRC32C" in answer else {}
        parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksum})
        start += length
    client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named)


def test_the_page_has_a_row_for_every_store_and_no_other() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    titles = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    expected = [*REAL.values(), *(f"{quirk.title} (`{name}`)" for name, quirk in QUIRKS.items())]
    assert [title for title in titles if title != "Store"] == expected
