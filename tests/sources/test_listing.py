"""Going through a listing: where the next page begins, and which pages are not believed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from fastget.config import Config
from fastget.core.objectinfo import ObjectInfo
from fastget.errors import ConfigError, InvalidURL, ProtocolError
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.listing import MOST_EMPTY_PAGES, Pager, Selection
from fastget.sources.listing_pages import Page
from fastget.sources.listing_source import ListingSource

URL = "s3://bucket/"
FIRST = (("list-type", "2"), ("encoding-type", "url"))


def objects(keys: Iterable[str]) -> tuple[ObjectInfo, ...]:
    return tuple(ObjectInfo(URL + key, 1, key=key) for key in keys)


def versions(*named: tuple[str, str]) -> tuple[ObjectInfo, ...]:
    return tuple(ObjectInfo(URL + key, 1, key=key, version_id=version) for key, version in named)


def prefixes(*keys: str) -> tuple[ObjectInfo, ...]:
    return tuple(ObjectInfo(URL + key, None, key=key, is_prefix=True) for key in keys)


def token(text: str) -> dict[str, str]:
    return {"NextContinuationToken": text}


def pager(selection: Selection | None = None, *, is_ordered: bool = True) -> Pager:
    return Pager(selection or Selection(), URL, is_ordered=is_ordered)


# Where to go on --------------------------------------------------------------------------------------------------


def test_the_first_page_is_asked_for_by_everything_that_was_selected() -> None:
    assert pager().query == FIRST
    assert pager(Selection("p/", "/", "p/k", page_size=7)).query == (
        ("list-type", "2"),
        ("start-after", "p/k"),
        ("encoding-type", "url"),
        ("prefix", "p/"),
        ("delimiter", "/"),
        ("max-keys", "7"),
    )
    assert pager(Selection("p/", start_after="p/k", versions=True)).query == (
        ("versions", ""),
        ("key-marker", "p/k"),
        ("encoding-type", "url"),
        ("prefix", "p/"),
    )


def test_a_token_leads_to_the_next_page_and_no_token_to_the_end() -> None:
    going = pager()
    going.take(Page(objects("ab"), is_truncated=True, next=token("t1")))
    assert going.query == (("list-type", "2"), ("continuation-token", "t1"), ("encoding-type", "url"))
    going.take(Page(objects("cd"), is_truncated=False))
    assert going.query is None


@pytest.mark.parametrize("is_truncated", [True, None])
def test_a_page_that_does_not_say_whether_more_follows_is_judged_by_its_token(is_truncated: bool | None) -> None:
    going = pager()
    going.take(Page(objects("a"), is_truncated=is_truncated, next=token("t1")))
    assert going.query is not None
    going.take(Page(objects("b")))
    assert going.query is None


def test_the_last_page_is_the_last_one_even_with_a_token() -> None:
    going = pager()
    going.take(Page(objects("a"), is_truncated=False, next=token("t1")))
    assert going.query is None


@pytest.mark.parametrize(
    ("page", "marker"),
    [
        (Page(objects("ab"), is_truncated=True, next={"NextMarker": "b"}), "b"),
        (Page(objects("ab"), is_truncated=True), "b"),
        (Page(objects("a"), prefixes("b/"), is_truncated=True), "b/"),
        (Page(objects("z"), prefixes("b/"), is_truncated=True), "z"),
    ],
)
def test_a_store_that_knows_only_the_first_version_goes_on_by_marker(page: Page, marker: str) -> None:
    going = pager(Selection(delimiter="/"))
    going.take(page)
    assert going.query == (("marker", marker), ("encoding-type", "url"), ("delimiter", "/"))


def test_versions_go_on_by_key_and_version() -> None:
    going = pager(Selection(versions=True))
    going.take(Page(versions(("k", "2")), is_truncated=True, next={"NextKeyMarker": "k", "NextVersionIdMarker": "2"}))
    assert going.query == (
        ("versions", ""),
        ("key-marker", "k"),
        ("version-id-marker", "2"),
        ("encoding-type", "url"),
    )
    going.take(Page(versions(("k", "1"), ("m", "1")), is_truncated=True))
    assert going.query is not None
    assert ("key-marker", "m") in going.query


def test_prefixes_stand_where_their_keys_would() -> None:
    going = pager(Selection(delimiter="/"))
    entries = going.take(Page(objects("ac"), prefixes("b/", "d/"), is_truncated=False))
    assert [info.key for info in entries] == ["a", "b/", "c", "d/"]


def test_delete_markers_that_a_store_lists_apart_stand_with_their_keys() -> None:
    marker = ObjectInfo(URL + "a", None, key="a", version_id="9", is_delete_marker=True)
    going = pager(Selection(versions=True))
    entries = going.take(Page((*versions(("a", "1"), ("b", "1")), marker), is_truncated=False))
    assert [(info.key, info.is_delete_marker) for info in entries] == [("a", False), ("a", True), ("b", False)]


def test_what_a_store_lists_before_the_start_is_left_out() -> None:
    going = pager(Selection(start_after="b"))
    assert [info.key for info in going.take(Page(objects("abcd"), is_truncated=False))] == ["c", "d"]


@pytest.mark.parametrize(
    ("start", "listed"), [("m", ["m/", "n/", "z"]), ("m/k", ["m/", "n/", "z"]), ("m0", ["n/", "z"])]
)
def test_a_prefix_whose_keys_all_come_before_the_start_is_left_out(start: str, listed: list[str]) -> None:
    going = pager(Selection(delimiter="/", start_after=start))
    page = Page(objects("az"), prefixes("b/", "m/", "n/"), is_truncated=False)
    assert [info.key for info in going.take(page)] == listed


# What is not believed --------------------------------------------------------------------------------------------


@pytest.mark.fault("H57")
@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([Page(objects("ba"))], "go back"),
        ([Page(objects("aa"))], "repeat"),
        ([Page(objects("ab"), is_truncated=True, next=token("1")), Page(objects("ab"))], "repeat"),
        ([Page(objects("ab"), is_truncated=True, next=token("1")), Page(objects("b"))], "repeat"),
        ([Page((), prefixes("b/", "a/"))], "prefixes go back"),
        ([Page(versions(("k", "1"), ("k", "1")))], "repeat"),
        ([Page(objects(["\U00010000", "\uffff"]))], "go back"),
        (
            [
                Page(objects("a"), is_truncated=True, next=token("1")),
                Page(objects("b"), is_truncated=True, next=token("1")),
            ],
            "the same token",
        ),
        ([Page(is_truncated=True)], "not where"),
        ([Page(is_truncated=True, next={"NextKeyMarker": "k"})], "not where"),
    ],
)
def test_a_listing_that_goes_back_or_stands_still_is_refused(pages: list[Page], said: str) -> None:
    going = pager(Selection(versions=bool(pages[0].objects and pages[0].objects[0].version_id)))
    for page in pages[:-1]:
        going.take(page)
    with pytest.raises(ProtocolError, match=said):
        going.take(pages[-1])


@pytest.mark.fault("S9")
def test_keys_outside_of_the_prefix_are_refused() -> None:
    with pytest.raises(ProtocolError, match="do not begin with the prefix"):
        pager(Selection("p/")).take(Page(objects(["p/a", "q"])))
    with pytest.raises(ProtocolError, match="do not begin with the prefix"):
        pager(Selection("p/", "/")).take(Page((), prefixes("../")))


def test_directory_buckets_have_no_order_but_no_circles_either() -> None:
    going = pager(is_ordered=False)
    assert [info.key for info in going.take(Page(objects("cab"), is_truncated=True, next=token("1")))] == [
        "c",
        "a",
        "b",
    ]
    with pytest.raises(ProtocolError, match="the same page"):
        going.take(Page(objects("cab"), is_truncated=True, next=token("2")))


@pytest.mark.fault("H57")
@pytest.mark.parametrize("length", [2, 3, 5, 17])
def test_a_circle_of_any_length_is_found_without_remembering_it(length: int) -> None:
    going = pager(is_ordered=False)

    def turn_for_long() -> None:
        for turn in range(10 * length + 10):
            place = turn % length
            going.take(Page(objects([f"k{place}"]), is_truncated=True, next=token(str(place))))

    with pytest.raises(ProtocolError, match="the same token"):
        turn_for_long()


@pytest.mark.fault("H57")
def test_empty_pages_are_followed_but_not_for_ever() -> None:
    going = pager()
    for turn in range(MOST_EMPTY_PAGES):
        assert going.take(Page(is_truncated=True, next=token(str(turn)))) == []
    with pytest.raises(ProtocolError, match="were empty"):
        going.take(Page(is_truncated=True, next=token("last")))


def test_a_prefix_that_two_pages_name_is_listed_once() -> None:
    going = pager(Selection(delimiter="/"))
    going.take(Page((), prefixes("a/"), is_truncated=True, next=token("1")))
    entries = going.take(Page(objects("b"), prefixes("a/", "c/"), is_truncated=False))
    assert [info.key for info in entries] == ["b", "c/"]


@pytest.mark.parametrize("options", [{"delimiter": ""}, {"page_size": 0}, {"page_size": 1001}])
def test_a_selection_that_cannot_be_meant_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Selection(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["delimiter", "start_after"])
def test_a_selection_is_made_of_text(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} holds bytes that are no text$"):
        Selection(**{name: "a\udcff"})  # type: ignore[arg-type]


# The bucket ------------------------------------------------------------------------------------------------------

ACCESS_POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap"


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://bucket/dir/", "bucket", "dir/"),
        ("s3://bucket/k", "bucket", "k"),
        ("s3://bucket//", "bucket", "/"),
        ("S3://bucket/a?b#c%20", "bucket", "a?b#c%20"),
        (f"s3://{ACCESS_POINT}", ACCESS_POINT, ""),
        (f"s3://{ACCESS_POINT}/dir/", ACCESS_POINT, "dir/"),
    ],
)
def test_a_url_names_a_bucket_and_a_prefix(url: str, bucket: str, prefix: str, endpoints: S3Endpoints) -> None:
    source = ListingSource.at(url, Config(), endpoints)
    assert (source.bucket, source.key, source.bucket_url) == (bucket, prefix, f"s3://{bucket}/")


@pytest.mark.parametrize("url", ["s3://", "s3:///key", "https://host/dir/", "bucket/dir", "ftp://host/", ""])
def test_a_url_that_names_no_bucket_is_refused(url: str, endpoints: S3Endpoints) -> None:
    with pytest.raises(InvalidURL) as caught:
        ListingSource.at(url, Config(), endpoints)
    assert caught.value.hint


def test_directory_buckets_are_known_by_their_names(endpoints: S3Endpoints) -> None:
    assert ListingSource.at("s3://bucket", Config(), endpoints).is_ordered
    assert not ListingSource.at("s3://base--use1-az4--x-s3/", Config(), endpoints).is_ordered
