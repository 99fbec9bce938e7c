"""`fastget stat`: the facts of an object."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import STDOUT, CompletedProcess, Popen

import pytest

from fastget.cli.stat import fact_lines, facts
from fastget.core.checksums.declared import DeclaredDigest
from fastget.core.messages import Headers
from fastget.core.objectinfo import ObjectInfo
from fastget.sources.getobject import FIELDS
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject

Run = Callable[..., CompletedProcess[bytes]]
Start = Callable[..., "Popen[bytes]"]
Serve = Callable[..., ObjectServer]

INFO = ObjectInfo(
    "http://h/x",
    1536,
    etag='"e"',
    version_id="v1",
    last_modified="Mon, 02 Mar 2026 10:20:30 GMT",
    content_type="text/plain",
    content_encoding="gzip",
    accepts_ranges=True,
    storage_class="GLACIER_IR",
    declared=(
        DeclaredDigest(Algorithm.CRC32C, bytes.fromhex("0a0b0c0d"), "x-amz-checksum-crc32c", 3),
        DeclaredDigest(Algorithm.MD5, bytes(16), "content-md5"),
    ),
)


def test_everything_that_is_known_has_a_line() -> None:
    assert list(fact_lines(INFO)) == [
        ("URL", "http://h/x"),
        ("size", "1536 bytes (1.50 KiB)"),
        ("type", "text/plain"),
        ("encoding", "gzip"),
        ("ETag", '"e"'),
        ("version", "v1"),
        ("modified", "Mon, 02 Mar 2026 10:20:30 GMT"),
        ("storage class", "GLACIER_IR"),
        ("parts", "3"),
        ("ranges", "served"),
        ("checksum", "crc32c 0a0b0c0d (x-amz-checksum-crc32c, of the digests of 3 parts)"),
        ("checksum", f"md5 {'0' * 32} (content-md5)"),
    ]


def test_what_is_not_known_is_left_out_or_said() -> None:
    assert list(fact_lines(ObjectInfo("http://h/x", None))) == [
        ("URL", "http://h/x"),
        ("size", "not stated"),
        ("ranges", "not stated"),
        ("checksum", "none declared"),
    ]


DECLARED = {
    "x-amz-request-id": "REQ",
    "x-amz-storage-class": "GLACIER",
    "x-amz-restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"',
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:key",
    "x-amz-meta-Author": "=?UTF-8?B?w4RtaWw=?=",
    "x-amz-meta-plain": "as it is",
    "x-amz-missing-meta": "2",
}


# Shown in another form, or said of the answer alone.
ELSEWHERE = {
    "accept-ranges", "content-length", "content-range", "content-encoding", "content-type", "etag", "last-modified",
    "x-amz-delete-marker", "x-amz-server-side-encryption-customer-key-md5", "x-amz-version-id",
    *(f"x-amz-checksum-{algorithm}" for algorithm in Algorithm),
}  # fmt: skip
REQUEST = ("x-amz-request-id", "R")


@pytest.mark.row(27, 28, 43, 45, 46, 48, *range(51, 54), 55, *range(57, 73))
@pytest.mark.parametrize("name", [name for _, name, _ in FIELDS if name not in ELSEWHERE])
def test_every_field_that_the_sdks_have_is_shown(name: str) -> None:
    storage_class = "7" if name == "x-amz-storage-class" else None
    info = ObjectInfo("s3://b/k", 1, storage_class=storage_class, headers=Headers([(name, "7"), REQUEST]))
    assert "7" in [text for _, text in fact_lines(info)]
    assert facts(info)["declared"] == {name: "7"}


@pytest.mark.row(28, 43, 53, 54, 57, 59)
def test_what_a_store_declares_beside_that_is_shown() -> None:
    info = ObjectInfo("s3://b/k", 1, etag='"e-7"', storage_class="GLACIER", headers=Headers(DECLARED.items()))
    lines = dict(fact_lines(info))
    assert lines["restore"].startswith('ongoing-request="false"')
    assert (lines["encryption"], lines["KMS key"]) == ("aws:kms", "arn:aws:kms:key")
    assert (lines["parts"], lines["lost metadata"], lines["storage class"]) == ("7", "2", "GLACIER")
    assert [text for label, text in fact_lines(info) if label == "metadata"] == ["author: Ämil", "plain: as it is"]
    plain = json.loads(json.dumps(facts(info)))
    assert plain["metadata"] == {"author": "Ämil", "plain": "as it is"}
    assert (plain["parts"], plain["declared"]["x-amz-server-side-encryption"]) == (7, "aws:kms")


def test_an_etag_of_a_web_server_says_nothing_of_parts() -> None:
    assert facts(ObjectInfo("http://h/x", 1, etag='"5f3e-7"'))["parts"] is None


def test_facts_for_programs_are_plain_data() -> None:
    plain = json.loads(json.dumps(facts(INFO)))
    assert (plain["size"], plain["etag"], plain["accepts_ranges"]) == (1536, '"e"', True)
    assert plain["checksums"][0] == {
        "algorithm": "crc32c",
        "value": "0a0b0c0d",
        "origin": "x-amz-checksum-crc32c",
        "parts": 3,
    }


def test_the_facts_go_to_standard_output(run: Run, serve: Serve, stored: StoredObject) -> None:
    url = serve({"/b/x": stored}).url("/b/x")
    outcome = run("stat", url)
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    lines = outcome.stdout.decode().splitlines()
    assert f"size           {stored.content.size} bytes (5.00 MiB)" in lines
    assert f"ETag           {stored.etag}" in lines
    assert f"checksum       crc64nvme {stored.digest.hex()} (x-amz-checksum-crc64nvme)" in lines


def test_json_is_one_line_of_the_same_facts(run: Run, serve: Serve, stored: StoredObject) -> None:
    server = serve({"/b/x": stored})
    outcome = run("stat", server.url("/b/x", "token=secret"), "--json")
    (line,) = [json.loads(text) for text in outcome.stdout.splitlines()]
    assert (line["v"], line["event"], line["size"]) == (1, "object", stored.content.size)
    assert line["checksums"][0]["value"] == stored.digest.hex()
    assert b"secret" not in outcome.stdout + outcome.stderr


def test_nothing_of_the_object_is_fetched(run: Run, serve: Serve) -> None:
    large = StoredObject(Content.generated(1 << 40), etag='"large"')
    outcome = run("stat", serve({"/b/x": large}).url("/b/x"))
    assert outcome.returncode == 0
    assert b"(1.00 TiB)" in outcome.stdout


def test_an_object_that_is_not_there_is_3(run: Run, serve: Serve) -> None:
    url = serve({}).url("/b/x")
    outcome = run("stat", url, "--json")
    assert outcome.returncode == 3
    assert json.loads(outcome.stdout)["event"] == "failed"
    assert outcome.stderr.startswith(b"fastget: ")
    plain = run("stat", url)
    assert (plain.returncode, plain.stdout) == (3, b"")


def test_a_url_that_cannot_be_meant_is_2(run: Run) -> None:
    assert run("stat", "ftp://h/x").returncode == 2
    assert run("stat").returncode == 2


def test_a_server_cannot_steer_the_terminal(run: Run, serve: Serve) -> None:
    stored = StoredObject(Content.of(b"x"), content_type="text/\x9b31m\u00ad".encode().decode("latin-1"))
    outcome = run("stat", serve({"/b/x": stored}).url("/b/x"))
    assert outcome.returncode == 0
    assert outcome.stdout.decode().replace("\n", "").isprintable()


def test_several_objects_come_one_after_another(run: Run, serve: Serve, stored: StoredObject) -> None:
    server = serve({"/b/x": stored, "/b/y": stored})
    outcome = run("stat", server.url("/b/x"), server.url("/b/none"), server.url("/b/y"), "--json")
    assert outcome.returncode == 1
    assert [json.loads(line)["event"] for line in outcome.stdout.splitlines()] == ["object", "failed", "object"]
    shown = run("stat", server.url("/b/x"), server.url("/b/y"), "-v")
    assert shown.returncode == 0
    first, second = shown.stdout.decode().split("\n\n")
    assert first.startswith("URL ")
    assert "\nrequest        " in second


def test_an_empty_line_stands_between_objects_and_for_no_failure(run: Run, serve: Serve, stored: StoredObject) -> None:
    server = serve({"/b/x": stored, "/b/y": stored})
    urls = [server.url(f"/b/{name}") for name in ("none", "x", "none", "y", "none")]
    shown = run("stat", *urls).stdout.decode()
    assert [block.partition("\n")[0].split() for block in shown.split("\n\n")] == [["URL", urls[1]], ["URL", urls[3]]]
    assert shown.endswith("\n")
    assert not shown.endswith("\n\n")


def test_what_failed_stands_between_the_others_where_both_streams_are_one(
    start: Start, serve: Serve, stored: StoredObject
) -> None:
    server = serve({"/b/x": stored, "/b/y": stored})
    urls = [server.url(f"/b/{name}") for name in ("x", "none", "y")]
    process = start("stat", *urls, env={"PYTHONUNBUFFERED": ""}, stderr=STDOUT)
    shown, _ = process.communicate(timeout=60)
    found = [shown.index(url.encode()) for url in urls]
    assert found == sorted(found)


@pytest.mark.parametrize("verb", ["ls", "completion", "demo"])
def test_a_misunderstood_url_is_quoted_without_its_secrets(run: Run, verb: str) -> None:
    outcome = run(verb, "https://user:marked@h/x?X-Amz-Signature=marked", "https://h/y?sig=marked#marked")
    assert outcome.returncode == 2
    assert b"marked" not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://h/@scope/x?sig=marked",
        "https://user:p/marked@h/x",
        "https://user:p?marked@h/x",
        "https://h/x?sig=a')marked",
    ],
)
def test_secrets_of_a_misunderstood_url_are_left_out_wherever_its_marks_stand(run: Run, url: str) -> None:
    outcome = run("ls", "s3://b", url)
    assert outcome.returncode == 2
    assert b"unexpected extra argument (https://" in outcome.stderr
    assert b"marked" not in outcome.stdout + outcome.stderr
