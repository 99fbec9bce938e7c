"""Pages of listings: what stores send, what a hostile one might, and in which pieces it arrives."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.errors import ProtocolError
from fastget.sources import listing_pages
from fastget.sources.listing_pages import Page, PageReader

SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def read(document: str | bytes, step: int = 1 << 30) -> Page:
    """The page of a document that arrives in pieces of `step` bytes."""
    data = document if isinstance(document, bytes) else document.encode()
    reader = PageReader("s3://bucket/", "s3://bucket/pre")
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return reader.close()


def page_of(inner: str, root: str = "ListBucketResult") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {SPACE}>{inner}</{root}>'


# A page as S3's documentation shows it, with everything that a listing may say of an object.
FULL = page_of(
    "<Name>bucket</Name><Prefix>pre%2F</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>%2F</Delimiter>"
    "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>1+%2F=</NextContinuationToken>"
    "<Contents><Key>pre/a+b%2Bc%25%C3%BC</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>"
    "<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
    "<ChecksumType>FULL_OBJECT</ChecksumType><Size>434234</Size><StorageClass>GLACIER</StorageClass>"
    "<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID>"
    "<DisplayName>mtd@amazon.com</DisplayName></Owner>"
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    "<RestoreExpiryDate>2012-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus></Contents>"
    "<CommonPrefixes><Prefix>pre/photos%2F</Prefix></CommonPrefixes>"
)


@pytest.mark.parametrize("step", [1, 2, 7, 64, 1 << 20])
def test_everything_that_a_page_says_is_kept_in_whatever_pieces_it_arrives(step: int) -> None:
    page = read(FULL, step)
    (info,) = page.objects
    assert (info.key, info.url) == ("pre/a b+c%ü", "s3://bucket/pre/a b+c%ü")
    assert (info.size, info.etag) == (434234, '"fba9dede5f27731c9771645a39863328"')
    assert (info.checksum_algorithms, info.checksum_type) == (("CRC64NVME",), "FULL_OBJECT")
    assert (info.storage_class, info.owner) == ("GLACIER", "mtd@amazon.com")
    assert info.restore == 'ongoing-request="false", expiry-date="2012-12-21T00:00:00.000Z"'
    assert info.modified is not None
    assert info.modified.isoformat() == "2009-10-12T17:50:30+00:00"
    assert [(found.key, found.is_prefix, found.size) for found in page.prefixes] == [("pre/photos/", True, None)]
    assert (page.is_truncated, page.next) == (True, {"NextContinuationToken": "1+%2F="})


@pytest.mark.fault("H58")
def test_names_are_decoded_only_where_the_page_says_that_they_are_encoded() -> None:
    page = read(page_of("<Contents><Key>a+b%20c</Key><Size>1</Size></Contents><NextMarker>a%20</NextMarker>"))
    assert page.objects[0].key == "a+b%20c"
    assert page.next == {"NextMarker": "a%20"}


def test_versions_and_delete_markers_come_in_the_order_of_the_page() -> None:
    inner = (
        "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>"
        "<DeleteMarker><Key>k</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest></DeleteMarker>"
        "<Version><Key>k</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><Size>3</Size></Version>"
    )
    page = read(page_of(inner, "ListVersionsResult"))
    assert [(info.version_id, info.is_delete_marker, info.is_latest, info.size) for info in page.objects] == [
        ("v2", True, True, None),
        ("v1", False, False, 3),
    ]
    assert page.next == {"NextKeyMarker": "k", "NextVersionIdMarker": "v1"}


def test_what_a_store_leaves_out_is_not_known() -> None:
    page = read("<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>")
    (info,) = page.objects
    facts = (info.size, info.etag, info.last_modified, info.modified, info.storage_class, info.owner, info.restore)
    assert set(facts) == {None}
    assert (page.is_truncated, page.next, page.prefixes) == (None, {}, ())
    assert read("<ListBucketResult/>") == Page()


def test_a_name_space_with_a_prefix_and_unknown_elements_are_passed_over() -> None:
    inner = "<s3:Contents><s3:New><s3:Key>x</s3:Key></s3:New><s3:Key>k</s3:Key></s3:Contents><s3:Other>1</s3:Other>"
    page = read(f'<s3:ListBucketResult xmlns:s3="http://x/">{inner}</s3:ListBucketResult>')
    assert [info.key for info in page.objects] == ["k"]


def test_bytes_that_are_no_utf_8_stay_what_they_are() -> None:
    page = read(page_of("<EncodingType>url</EncodingType><Contents><Key>%FFx</Key></Contents>"))
    assert (page.objects[0].key or "").encode("utf-8", "surrogateescape") == b"\xffx"


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.fault("S17")
@pytest.mark.parametrize(
    ("document", "said"),
    [
        (f"{ENTITIES}<ListBucketResult><Name>&b;</Name></ListBucketResult>", "document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><ListBucketResult/>', "document type"),
        (f"{ENTITIES}<ListBucketResult/>".encode("utf-16"), "document type"),
        ("<ListBucketResult><Name>&unknown;</Name></ListBucketResult>", "no well-formed XML"),
        ("<ListBucketResult><Contents></ListBucketResult>", "no well-formed XML"),
        ("<ListBucketResult>", "no well-formed XML"),
        ("", "no well-formed XML"),
        ("<ListBucketResult>\x01</ListBucketResult>", "no well-formed XML"),
        (b"<ListBucketResult>\xff</ListBucketResult>", "no well-formed XML"),
        ('<?xml version="1.0" encoding="nonsense"?><ListBucketResult/>', "no"),
        ("<html><body>no</body></html>", "document of another kind (html)"),
        ("<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", "no key"),
        ("<ListBucketResult><Contents><Key>k</Key><Size>-1</Size></Contents></ListBucketResult>", "impossible size"),
        (f"<ListBucketResult><Contents><Key>k</Key><Size>{2**64}</Size></Contents></ListBucketResult>", "impossible"),
        (f"<ListBucketResult><Name>{'n' * 20_000}</Name></ListBucketResult>", "longer than"),
        (f"<ListBucketResult>{'<a>' * 40}{'</a>' * 40}</ListBucketResult>", "nested too deep"),
    ],
)
def test_a_page_that_is_none_is_refused_in_one_line(document: str | bytes, said: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(document)
    assert said in str(caught.value)
    assert str(caught.value).startswith("s3://bucket/pre: the listing cannot be used: ")
    assert str(caught.value).isprintable()
    assert caught.value.hint


def test_a_page_cut_short_may_come_whole_the_next_time_and_a_broken_one_will_not() -> None:
    with pytest.raises(ProtocolError) as cut:
        read(FULL[:-100])
    assert cut.value.is_transient
    with pytest.raises(ProtocolError) as broken:
        read(FULL.replace("</Contents>", ""))
    assert not broken.value.is_transient


def test_an_error_document_under_status_200_is_a_failure_that_may_pass() -> None:
    document = "<Error><Code>InternalError</Code><Message>We encountered an\x85 error.</Message></Error>"
    with pytest.raises(ProtocolError, match="InternalError: We encountered an error") as caught:
        read(document)
    assert caught.value.is_transient


@pytest.mark.parametrize("inner", ["", "<Code/>", "<Resource>/bucket</Resource>"])
def test_an_error_document_that_says_nothing_is_no_empty_listing(inner: str) -> None:
    with pytest.raises(ProtocolError, match="the store failed in the middle of it: it does not say why") as caught:
        read(f"<Error>{inner}</Error>")
    assert caught.value.is_transient


@pytest.mark.fault("S16")
def test_a_page_is_bounded_in_bytes_and_in_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_pages, "LARGEST_PAGE", 1000)
    with pytest.raises(ProtocolError, match="larger than 1000 bytes"):
        read(page_of(" " * 2000), 100)
    monkeypatch.setattr(listing_pages, "MOST_ENTRIES", 5)
    with pytest.raises(ProtocolError, match="more than 5 entries"):
        read(page_of("<Contents><Key>k</Key></Contents>" * 6))
    with pytest.raises(ProtocolError, match="more than 5 entries"):
        read(page_of("<CommonPrefixes><Prefix>k</Prefix></CommonPrefixes>" * 6))


@pytest.mark.fault("S16")
@pytest.mark.parametrize("kinds", ["<n{}/>", '<n xmlns:a{}="u"/>'])
def test_a_page_is_bounded_in_what_its_parser_keeps(kinds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProtocolError, match="more than 200 kinds of elements"):
        read(page_of("".join(kinds.format(number) for number in range(300))), 1000)
    monkeypatch.setattr(listing_pages, "MOST_ELEMENTS", 500)
    with pytest.raises(ProtocolError, match="more than 500 elements"):
        read(page_of("<n/>" * 600), 1000)


def test_a_thousand_keys_of_the_longest_kind_fit() -> None:
    key = "%C3%BC" * 512
    inner = f"<EncodingType>url</EncodingType>{f'<Contents><Key>{key}</Key></Contents>' * 1000}"
    assert len(read(page_of(inner)).objects) == 1000


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1
)


@pytest.mark.fault("H58")
@given(st.lists(NAMES, max_size=5), st.integers(1, 40))
def test_any_keys_come_back_as_they_are(keys: list[str], step: int) -> None:
    inner = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
    assert [info.key for info in read(page_of(inner), step).objects] == keys
