"""The fields of the answer, compared with what botocore and ibm_botocore make of the same head.

The bar is no difference: `{**botocore, **ibm_botocore}` is what fastget gives, but for Body. What is kept on purpose
stands in KEPT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastget
from fastget.testing import Content, ObjectServer, StoredObject
from fastget.testing.answer import Answer, Field, document
from fastget.testing.received import ReceivedRequest

KEPT = {
    "unreadable": "a field that cannot be read is left out; in the SDKs it fails the answer (row 51)",
    "Expires": "botocore takes an Expires that is no date out of HTTPHeaders; here these are all that came",
    "ChecksumAlgorithm": "botocore names what it is going to check in ResponseMetadata; here Body.verification tells",
}
Answers = Callable[[list[Field]], tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]

# Row, header, field of the SDKs, an example.
ROWS: list[tuple[int, str, str, str]] = [
    (25, "x-amz-delete-marker", "DeleteMarker", "true"),
    (25, "x-amz-delete-marker", "DeleteMarker", "false"),
    (26, "accept-ranges", "AcceptRanges", "bytes"),
    (26, "accept-ranges", "AcceptRanges", "none"),
    (27, "x-amz-expiration", "Expiration", 'expiry-date="Fri, 21 Dec 2026 00:00:00 GMT", rule-id="a%20b"'),
    (28, "x-amz-restore", "Restore", 'ongoing-request="false", expiry-date="Fri, 21 Dec 2026 00:00:00 GMT"'),
    (29, "Last-Modified", "LastModified", "Mon, 02 Mar 2026 10:20:30 GMT"),
    (31, "ETag", "ETag", '"0ee2e5d57e74cee33179f026711aa423-3"'),
    (31, "ETag", "ETag", 'W/"weak"'),
    (32, "x-amz-checksum-crc32", "ChecksumCRC32", "AAAAAA=="),
    (33, "x-amz-checksum-crc32c", "ChecksumCRC32C", "AAAAAA==-2"),
    (34, "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", "mXxGmcGsBM0="),
    (35, "x-amz-checksum-sha1", "ChecksumSHA1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
    (36, "x-amz-checksum-sha256", "ChecksumSHA256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    (
        37,
        "x-amz-checksum-sha512",
        "ChecksumSHA512",
        "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    ),
    (38, "x-amz-checksum-md5", "ChecksumMD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    (39, "x-amz-checksum-xxhash64", "ChecksumXXHASH64", "70bbN1HY6Zk="),
    (40, "x-amz-checksum-xxhash3", "ChecksumXXHASH3", "LQaABTjTyMI="),
    (41, "x-amz-checksum-xxhash128", "ChecksumXXHASH128", "maoG0wFHmNhgAcMkRo2Jfw=="),
    (42, "x-amz-checksum-type", "ChecksumType", "FULL_OBJECT"),
    (42, "x-amz-checksum-type", "ChecksumType", "SOMETHING_NEW"),
    (43, "x-amz-missing-meta", "MissingMeta", "2"),
    (44, "x-amz-version-id", "VersionId", "null"),
    (45, "Cache-Control", "CacheControl", "no-transform, max-age=0"),
    (46, "Content-Disposition", "ContentDisposition", "attachment; filename*=UTF-8''%e2%82%ac"),
    (47, "Content-Encoding", "ContentEncoding", "aws-chunked,gzip"),
    (48, "Content-Language", "ContentLanguage", "de-DE"),
    (49, "Content-Range", "ContentRange", "bytes 0-9/43"),
    (50, "Content-Type", "ContentType", "text/plain; charset=utf-8"),
    (51, "Expires", "Expires", "Mon, 02 Mar 2026 10:20:30 GMT"),
    (51, "Expires", "Expires", "2026-03-02T10:20:30.5+02:00"),
    (51, "Expires", "Expires", "0"),
    (51, "Expires", "Expires", "-1"),
    (52, "x-amz-website-redirect-location", "WebsiteRedirectLocation", "/other?x=1"),
    (53, "x-amz-server-side-encryption", "ServerSideEncryption", "aws:kms:dsse"),
    (55, "x-amz-server-side-encryption-customer-algorithm", "SSECustomerAlgorithm", "AES256"),
    (56, "x-amz-server-side-encryption-customer-key-MD5", "SSECustomerKeyMD5", "zZ5FnqcIqUjVwvWmyog4zw=="),
    (57, "x-amz-server-side-encryption-aws-kms-key-id", "SSEKMSKeyId", "arn:aws:kms:us-east-1:1:key/a"),
    (58, "x-amz-server-side-encryption-bucket-key-enabled", "BucketKeyEnabled", "true"),
    (58, "x-amz-server-side-encryption-bucket-key-enabled", "BucketKeyEnabled", "TRUE"),
    (59, "x-amz-storage-class", "StorageClass", "ACCELERATED"),
    (60, "x-amz-request-charged", "RequestCharged", "requester"),
    (61, "x-amz-replication-status", "ReplicationStatus", "COMPLETED"),
    (62, "x-amz-mp-parts-count", "PartsCount", "10000"),
    (63, "x-amz-tagging-count", "TagCount", "2"),
    (64, "x-amz-object-lock-mode", "ObjectLockMode", "GOVERNANCE"),
    (65, "x-amz-object-lock-retain-until-date", "ObjectLockRetainUntilDate", "2026-03-02T10:20:30.000Z"),
    (66, "x-amz-object-lock-legal-hold", "ObjectLockLegalHoldStatus", "ON"),
    (67, "Retention-Expiration-Date", "RetentionExpirationDate", "2026-03-02T10:20:30.000Z"),
    (68, "Retention-Legal-Hold-Count", "RetentionLegalHoldCount", "3"),
    (69, "Retention-Period", "RetentionPeriod", "0"),
    (70, "x-ibm-restored-copy-storage-class", "IbmRestoredCopyStorageClass", "ACCELERATED"),
    (71, "x-ibm-transition", "IbmTransition", 'transition="ARCHIVE", date="Mon, 02 Mar 2026 10:20:30 GMT"'),
    (72, "x-amz-object-lock-event-hold", "ObjectLockEventHold", "OFF"),
    (72, "x-amz-object-lock-event-hold-duration-days", "ObjectLockEventHoldDurationDays", "30"),
    (72, "x-amz-object-lock-event-hold-duration-years", "ObjectLockEventHoldDurationYears", "1"),
]
DATE = ("Date", "Sat, 21 Nov 2026 09:00:00 GMT")


class Canned:
    """An operation that gives one answer to everything."""

    def __init__(self) -> None:
        self.answer = document(200, b"")

    def __call__(self, request: ReceivedRequest) -> Answer:
        return self.answer


@pytest.fixture(scope="module")
def canned() -> Canned:
    return Canned()


@pytest.fixture(scope="module")
def server(canned: Canned) -> Iterator[ObjectServer]:
    with ObjectServer({}, operations=[canned]) as started:
        yield started


@pytest.fixture
def ours(server: ObjectServer, canned: Canned, client_of: Any) -> Callable[[list[Field]], dict[str, Any]]:
    """What fastget makes of header fields, without Body."""
    client = client_of(server)

    def ask(fields: list[Field]) -> dict[str, Any]:
        canned.answer = document(200, b"content", DATE, *fields)
        return without_body(fastget.s3.get_object(client=client, Bucket="b", Key="k"))

    return ask


@pytest.fixture
def answers(ours: Any, server: ObjectServer, sdk_client: Any) -> Answers:
    """What fastget, botocore and ibm_botocore make of the same header fields."""
    sdks = [sdk_client("aws", server), sdk_client("ibm", server)]

    def ask(fields: list[Field]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        found = ours(fields)
        aws, ibm = (without_body(sdk.get_object(Bucket="b", Key="k")) for sdk in sdks)
        return found, aws, ibm

    return ask


def without_body(answer: dict[str, Any]) -> dict[str, Any]:
    answer.pop("Body").close()
    return answer


def assert_same(found: dict[str, Any], aws: dict[str, Any], ibm: dict[str, Any]) -> None:
    for theirs in (aws, ibm):
        theirs["ResponseMetadata"].pop("ChecksumAlgorithm", None)  # KEPT
    assert found == {**ibm, **aws}
    for name, value in found.items():
        assert type(value) is type(aws.get(name, ibm.get(name))), name


@pytest.mark.parametrize(
    ("header", "field", "value"), [pytest.param(*rest, marks=pytest.mark.row(row)) for row, *rest in ROWS]
)
def test_a_header_becomes_the_field_that_the_sdks_make_of_it(
    answers: Answers, header: str, field: str, value: str
) -> None:
    found, aws, ibm = answers([(header, value)])
    assert field in found
    assert_same(found, aws, ibm)


@pytest.mark.row(*range(25, 73))
def test_an_answer_with_every_header_becomes_the_fields_of_both_sdks(answers: Answers) -> None:
    examples = {header: value for _, header, _, value in ROWS}
    found, aws, ibm = answers([*examples.items(), ("x-amz-request-id", "4442587FB7D0A2F9"), ("x-amz-id-2", "host")])
    assert_same(found, aws, ibm)
    assert {field for _, _, field, _ in ROWS} <= set(found)
    modelled = set(aws) | set(ibm)
    assert modelled == set(found)


_PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
_LATIN = st.text(st.characters(min_codepoint=0xA1, max_codepoint=0xFF), min_size=1, max_size=8)
_texts = st.one_of(
    _PRINTABLE, st.tuples(_PRINTABLE, _PRINTABLE).map(" ".join), st.tuples(_PRINTABLE, _LATIN).map("".join)
)
_moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2300, 1, 1), timezones=st.just(UTC))
_http_dates = _moments.map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
_iso_dates = st.one_of(
    _moments.map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ")),
    _moments.map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")[:-4] + "Z"),
    _moments.map(lambda moment: moment.isoformat()),
)
_numbers = st.integers(0, 2**63).map(str)
_flags = st.sampled_from(["true", "false", "True", "1", ""])
_KINDS = {
    **dict.fromkeys(
        ("LastModified", "Expires"), st.one_of(_http_dates, _iso_dates, _numbers.map(lambda text: text[:10]))
    ),
    **dict.fromkeys(("ObjectLockRetainUntilDate", "RetentionExpirationDate"), _iso_dates),
    **dict.fromkeys(
        (
            "MissingMeta",
            "PartsCount",
            "TagCount",
            "RetentionLegalHoldCount",
            "RetentionPeriod",
            "ObjectLockEventHoldDurationDays",
            "ObjectLockEventHoldDurationYears",
        ),
        _numbers,
    ),
    **dict.fromkeys(("DeleteMarker", "BucketKeyEnabled"), _flags),
}
_TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", min_size=1, max_size=12)


@pytest.mark.row(*range(25, 73))
def test_any_values_become_the_fields_that_the_sdks_make_of_them(answers: Answers) -> None:
    optional = {header: _KINDS.get(field, _texts) for _, header, field, _ in ROWS}
    metadata = st.dictionaries(_TOKENS.map(lambda name: f"x-amz-meta-{name}"), _texts, max_size=4)

    @settings(deadline=None, max_examples=80)
    @given(st.fixed_dictionaries({}, optional=optional), metadata)
    def check(fields: dict[str, str], more: dict[str, str]) -> None:
        named = {name.lower(): (name, value) for name, value in more.items()}
        assert_same(*answers([*fields.items(), *named.values()]))

    check()


@pytest.mark.row(54)
@pytest.mark.parametrize(
    "fields",
    [
        [("x-amz-meta-a", "1"), ("x-amz-meta-b", "")],
        [("X-Amz-Meta-Mixed-Case", "1")],
        [("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")],
        [("x-amz-meta-mixed", "1"), ("X-Amz-Meta-Mixed", "2")],
        [("x-amz-meta-name", "=?UTF-8?B?w6k=?=")],
        [("x-amz-meta-latin", "caf\xe9")],
        [("x-amz-meta-", "no name")],
    ],
)
def test_metadata_is_what_the_sdks_make_of_it(answers: Answers, fields: list[Field]) -> None:
    assert_same(*answers(fields))


def test_an_absent_header_is_no_field(answers: Answers) -> None:
    found, aws, ibm = answers([])
    assert set(found) == {"ContentLength", "Metadata", "ResponseMetadata"}
    assert_same(found, aws, ibm)


@pytest.mark.parametrize(
    "fields",
    [
        [("x-amz-request-id", "A")],
        [("x-amz-request-id", "A"), ("x-amz-id-2", "B")],
        [("x-amzn-requestid", "C"), ("x-amz-request-id", "A"), ("x-amz-id-2", "B")],
        [("x-a", "1"), ("X-A", "2"), ("Vary", "a"), ("Vary", "b")],
    ],
)
def test_the_metadata_of_the_response_is_that_of_the_sdks(answers: Answers, fields: list[Field]) -> None:
    found, aws, ibm = answers(fields)
    assert found["ResponseMetadata"] == aws["ResponseMetadata"] == ibm["ResponseMetadata"]


@pytest.mark.row(51)
@pytest.mark.parametrize("value", ["tomorrow", "Mon, 99 Foo 2026", "9" * 400, "1e400", "nan"])
def test_expires_that_is_no_date_stands_as_it_came(
    ours: Any, server: ObjectServer, sdk_client: Any, value: str
) -> None:
    found = ours([("Expires", value)])
    assert "Expires" not in found
    assert found["ExpiresString"] == value


@pytest.mark.row(51)
def test_expires_that_is_no_date_is_what_botocore_makes_of_it(ours: Any, server: ObjectServer, sdk_client: Any) -> None:
    found = ours([("Expires", "tomorrow")])
    theirs = without_body(sdk_client("aws", server).get_object(Bucket="b", Key="k"))
    assert found.pop("ResponseMetadata")["HTTPHeaders"]["expires"] == "tomorrow", KEPT["Expires"]
    assert "expires" not in theirs.pop("ResponseMetadata")["HTTPHeaders"]
    assert found == theirs


@pytest.mark.row(29, 43, 62, 63, 65, 67, 68)
@pytest.mark.parametrize(
    ("header", "field", "value"),
    [
        ("Last-Modified", "LastModified", "yesterday"),
        ("x-amz-missing-meta", "MissingMeta", "some"),
        ("x-amz-mp-parts-count", "PartsCount", "1.5"),
        ("x-amz-tagging-count", "TagCount", ""),
        ("x-amz-object-lock-retain-until-date", "ObjectLockRetainUntilDate", "for ever"),
        ("Retention-Expiration-Date", "RetentionExpirationDate", "-"),
        ("Retention-Legal-Hold-Count", "RetentionLegalHoldCount", "9" * 5000),
    ],
)
def test_kept_a_field_that_cannot_be_read_is_left_out(ours: Any, header: str, field: str, value: str) -> None:
    found = ours([(header, value)])
    assert field not in found, KEPT["unreadable"]
    assert found["ResponseMetadata"]["HTTPHeaders"][header.lower()] == value


@pytest.mark.filterwarnings("error")
def test_a_date_in_a_zone_that_nobody_knows_fails_nothing_where_warnings_are_errors(ours: Any) -> None:
    found = ours([("Expires", "Mon, 02 Mar 2026 10:20:30 XYZT")])
    assert found["ExpiresString"] == "Mon, 02 Mar 2026 10:20:30 XYZT"


@pytest.mark.row(73)
def test_the_archive_status_stands_among_the_headers(answers: Answers) -> None:
    found, aws, ibm = answers([("x-amz-archive-status", "DEEP_ARCHIVE_ACCESS")])
    assert found["ResponseMetadata"]["HTTPHeaders"]["x-amz-archive-status"] == "DEEP_ARCHIVE_ACCESS"
    assert_same(found, aws, ibm)


@pytest.mark.row(30, 62, 110)
@pytest.mark.parametrize("keywords", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=-3"}, {"PartNumber": 2}])
def test_the_answers_of_a_server_become_the_same_fields(
    serve: Any, get: Any, sdk_client: Any, keywords: dict[str, Any]
) -> None:
    from fastget.testing import Algorithm

    stored = StoredObject(
        Content.generated(1000, seed=3),
        part_sizes=(400, 600),
        checksum=Algorithm.SHA256,
        checksum_type="COMPOSITE",
        version_id="v1",
        headers={"Date": "Sat, 21 Nov 2026 09:00:00 GMT", "x-amz-meta-a": "b"},
    )
    server = serve({"/b/k": stored})
    found = without_body(get(server, **keywords))
    theirs = [
        without_body(sdk_client(name, server).get_object(Bucket="b", Key="k", **keywords)) for name in ("aws", "ibm")
    ]
    assert_same(found, *theirs)


@pytest.mark.row(120)
def test_the_documented_example_becomes_the_documented_fields(serve: Any, get: Any) -> None:
    headers = {"x-amz-version-id": "null", "x-amz-tagging-count": "2"}
    server = serve({"/b/k": StoredObject(Content.generated(43, seed=1), headers=headers)})
    answer = get(server, Range="bytes=0-9")
    answer["Body"].close()
    assert {
        name: answer[name] for name in ("AcceptRanges", "ContentLength", "ContentRange", "VersionId", "TagCount")
    } == {
        "AcceptRanges": "bytes",
        "ContentLength": 10,
        "ContentRange": "bytes 0-9/43",
        "VersionId": "null",
        "TagCount": 2,
    }
