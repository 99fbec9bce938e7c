"""GetObjectAttributes: what is asked for, and what is read of an answer (wire-spec.md §2.2)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.sources.attributes import (
    LARGEST_PAGE,
    AttributesPage,
    ListedPart,
    attributes_headers,
    read_page,
)

HEAD = ResponseHead(200, Headers([("x-amz-version-id", "v1")]), Framing.CHUNKED)
# As S3 answers, wrapped for reading.
DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<GetObjectAttributesResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<ETag>0123456789abcdef0123456789abcdef-3</ETag>"
    "<Checksum><ChecksumCRC32C>eTdAQA==</ChecksumCRC32C><ChecksumType>COMPOSITE</ChecksumType></Checksum>"
    "<ObjectParts>"
    "<Part><ChecksumCRC32C>4waSgw==</ChecksumCRC32C><PartNumber>1</PartNumber><Size>5242880</Size></Part>"
    "<Part><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C><PartNumber>2</PartNumber><Size>5242880</Size></Part>"
    "<IsTruncated>true</IsTruncated><MaxParts>2</MaxParts><NextPartNumberMarker>2</NextPartNumberMarker>"
    "<PartNumberMarker>0</PartNumberMarker><PartsCount>3</PartsCount>"
    "</ObjectParts>"
    "<ObjectSize>10485770</ObjectSize></GetObjectAttributesResponse>"
)
PART = "<Part><PartNumber>1</PartNumber><Size>5</Size>{}</Part>"


def document(parts: str) -> bytes:
    return f"<GetObjectAttributesResponse><ObjectParts>{parts}</ObjectParts></GetObjectAttributesResponse>".encode()


def test_a_page_is_read() -> None:
    page = read_page(HEAD, DOCUMENT.encode())
    assert page == AttributesPage(
        etag="0123456789abcdef0123456789abcdef-3",
        version_id="v1",
        size=10_485_770,
        parts=(
            ListedPart(1, 5_242_880, {Algorithm.CRC32C: bytes.fromhex("e3069283")}),
            ListedPart(2, 5_242_880, {Algorithm.CRC32C: bytes(4)}),
        ),
        next_marker=2,
    )


def test_the_last_page_leads_to_no_other() -> None:
    page = read_page(HEAD, DOCUMENT.replace("true", "false").encode())
    assert page is not None
    assert page.next_marker is None


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_parts_digest_is_read_in_every_algorithm(algorithm: Algorithm) -> None:
    value = bytes(range(algorithm.digest_size))
    name = f"Checksum{algorithm.upper()}"
    page = read_page(HEAD, document(PART.format(f"<{name}>{b64encode(value).decode()}</{name}>")))
    assert page is not None
    assert page.parts == (ListedPart(1, 5, {algorithm: value}),)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "4waSgw==4waSgw=="])
def test_a_digest_that_cannot_be_read_counts_as_absent(text: str) -> None:
    page = read_page(HEAD, document(PART.format(f"<ChecksumCRC32C>{text}</ChecksumCRC32C>")))
    assert page is not None
    assert page.parts == (ListedPart(1, 5),)


@pytest.mark.parametrize("part", ["<Part/>", "<Part><PartNumber>2</PartNumber></Part>", "<Part><Size>5</Size></Part>"])
def test_a_part_that_cannot_be_read_ends_the_list(part: str) -> None:
    page = read_page(HEAD, document(PART.format("") + part + PART.format("")))
    assert page is not None
    assert len(page.parts) == 1


@pytest.mark.parametrize("number", ["-1", "1.5", "1e3", "²", "9" * 40, ""])
def test_a_number_in_another_form_is_none(number: str) -> None:
    page = read_page(HEAD, document(f"<Part><PartNumber>{number}</PartNumber><Size>1</Size></Part>"))
    assert page is not None
    assert page.parts == ()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00" * 5000, id="the object itself"),
        pytest.param(b"<GetObjectAttributesResponse>", id="cut short"),
        pytest.param(
            b'<!DOCTYPE x [<!ENTITY a "b">]><GetObjectAttributesResponse>&a;</GetObjectAttributesResponse>',
            id="a document type",
        ),
        pytest.param(DOCUMENT.encode() + b" " * LARGEST_PAGE, id="too large"),
        pytest.param(b"<Error><Code>NoSuchKey</Code></Error>", id="an error"),
    ],
)
def test_anything_else_is_no_page(body: bytes) -> None:
    assert read_page(HEAD, body) is None


def test_the_first_page_is_asked_for_without_a_marker() -> None:
    assert dict(attributes_headers(0)) == {
        "x-amz-object-attributes": "ETag,Checksum,ObjectParts,ObjectSize",
        "x-amz-max-parts": "1000",
    }
    assert dict(attributes_headers(1000))["x-amz-part-number-marker"] == "1000"
