"""What a mould recognises is what the ordinary way would have read, described and judged, to the last field."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastget.config import Config
from fastget.core.checksums.declared import DIGEST_FIELDS
from fastget.core.messages import Framing, Request, ResponseHead
from fastget.core.object_moulds import ObjectMould
from fastget.core.urls import URL
from fastget.engine.discovery.preparing import rungs_of
from fastget.engine.exchange.moulding import FIRST_DUE, Moulding
from fastget.engine.exchange.stores import Store
from fastget.engine.small.plain import is_small, plain_checks
from fastget.errors import FastgetError
from fastget.sources.http import HttpSource
from fastget.sources.lent import LentSource, lend
from fastget.sources.s3 import S3Source
from fastget.transport.heads import CastExchange, HeadExchange, Reception

Fields = tuple[tuple[str, str], ...]


def base64(*octets: int) -> str:
    return b64encode(bytes(octets)).decode()


def source_at(path: str, **headers: str) -> HttpSource:
    return HttpSource.of(URL.parse(f"http://host/b/{path}"), headers)


SOURCE = source_at("first")
METHODS = ["GET", "HEAD"]
FIELDS: Fields = (
    ("Server", "AmazonS3"),
    ("Date", "Wed, 02 Jan 2030 00:00:00 GMT"),
    ("Content-Type", "binary/octet-stream"),
    ("Content-Length", "2000"),
    ("Last-Modified", "Tue, 01 Jan 2030 00:00:00 GMT"),
    ("Connection", "keep-alive"),
    ("ETag", '"0cc175b9c0f1b6a831c399e269772661"'),
    ("Accept-Ranges", "bytes"),
    ("x-amz-request-id", "8f2"),
)
# What stores say beside that, each in more ways than one.
MORE = {
    "x-amz-checksum-crc32": [base64(1, 2, 3, 4), base64(1, 2, 3, 4) + "-2", "AAAA", ""],
    "x-amz-checksum-crc64nvme": [base64(*range(8)), base64(*range(8, 16)), base64(*range(7))],
    "x-amz-checksum-sha256": [base64(*range(32)), base64(*range(1, 33)), base64(*range(32)) + "-1"],
    "x-amz-checksum-xxhash128": [base64(*range(16))],
    "x-amz-checksum-type": ["FULL_OBJECT", "COMPOSITE", "other"],
    "x-goog-hash": [
        "crc32c=" + base64(4, 3, 2, 1),
        "md5=" + base64(*range(16)),
        f"crc32c={base64(4, 3, 2, 1)},md5={base64(*range(16))}",
        f"other={base64(4, 3, 2, 1)}",
    ],
    "Repr-Digest": [f"sha-256=:{base64(*range(32))}:", f"sha-256=:{base64(*range(32))}:;q=1", "sha-256=banana"],
    "Content-Digest": [f"sha-512=:{base64(*range(64))}:"],
    "Digest": ["crc32c=1f", f"SHA-256={base64(*range(32))}", f"md5={base64(*range(16))},sha={base64(*range(20))}"],
    "Content-MD5": [base64(*range(16)), base64(*range(15))],
    "Content-Encoding": ["gzip", "identity", "aws-chunked"],
    "x-goog-stored-content-encoding": ["gzip", "identity"],
    "Transfer-Encoding": ["chunked", "gzip"],
    "Content-Range": ["bytes 0-1999/9000"],
    "Connection": ["close", "keep-alive", "Keep-Alive, x"],
    "Upgrade": ["h2c"],
    "x-amz-version-id": ["v-1", "null", "", "two words"],
    "x-amz-storage-class": ["STANDARD", "EXPRESS_ONEZONE"],
    "x-amz-server-side-encryption": ["AES256", "aws:kms"],
    "x-amz-server-side-encryption-customer-algorithm": ["AES256"],
    "x-clv-request-id": ["1", "2"],
    "ibm-sse-kp-enabled": ["true", "false"],
    "x-amz-meta-note": ["one", "other", "\xe9t\xe9", "s3cr3t-s3cr3t"],
    "Set-Cookie": ["a=1", "b=2"],
    "Location": ["/elsewhere"],
    "Etag": ['"11111111111111111111111111111111-3"', 'W/"x"', "", '""', "bare", "\xe9"],
    "Content-Length": ["0", "1", "262144", "262145", "007", "9223372036854775808", "12, 12", "-1", "x"],
    "Content-Type": ["text/html", ""],
    "Last-Modified": ["yesterday", "", "Wed,  two blanks"],
    "Date": ["now", "a\tb"],
    "Server": ["nginx", "AmazonS3"],
    "Accept-Ranges": ["none", "bytes"],
}


def changed(fields: Fields, change: tuple[str, str, str, int]) -> Fields:
    """One field with another value, twice, gone, in front, or new."""
    kind, name, value, place = change
    if kind == "set":
        return tuple((known, value if known.lower() == name.lower() else was) for known, was in fields)
    if kind == "drop":
        return tuple(field for field in fields if field[0].lower() != name.lower())
    at = place % (len(fields) + 1)
    return (*fields[:at], (name, value), *fields[at:])


PAIRS = [(name, value) for name, values in MORE.items() for value in values]
CHANGES = st.builds(
    lambda kind, pair, text, place: (kind, pair[0], pair[1] if text is None else text, place),
    st.sampled_from(["set", "add", "add", "drop"]),
    st.sampled_from(PAIRS),
    st.one_of(st.none(), st.none(), st.text(st.characters(codec="latin-1", max_codepoint=0xFF), max_size=8)),
    st.integers(0, 20),
)
SHAPES = st.sampled_from(["", "", "", "", " folded", "bare", "wide", "1.0", "204", "no reason"])


def on_wire(fields: Fields, shape: str = "") -> bytes:
    status = {"204": "HTTP/1.1 204 OK", "1.0": "HTTP/1.0 200 OK", "no reason": "HTTP/1.1 200"}.get(shape)
    colon = ":  " if shape == "wide" else ": "
    ending = "\n" if shape == "bare" else "\r\n"
    fold = "\r\n folded" if shape == " folded" else ""
    lines = "".join(f"{name}{colon}{value}{fold}{ending}" for name, value in fields)
    return f"{status or 'HTTP/1.1 200 OK'}\r\n{lines}\r\nbody".encode("latin-1")


def received(exchange: HeadExchange, request: Request, data: bytes) -> Reception | None:
    exchange.encode(request)
    try:
        return exchange.feed(memoryview(data))
    except FastgetError:
        return None


def plain(source: HttpSource, method: str) -> Request:
    return source.get() if method == "GET" else source.head()


def mould_of(fields: Fields, source: HttpSource = SOURCE, method: str = "GET") -> tuple[Moulding, Request]:
    """What has been made of an answer with these fields, if it is taken in the ordinary way."""
    moulding, request = Moulding(), plain(source, method)
    reception = received(HeadExchange(), request, on_wire(fields))
    if reception is not None and judged(reception.head, source, Moulding()) is not None:
        for _ in range(FIRST_DUE):
            moulding.learn(source, request, reception.head)
    return moulding, moulding.cast(request)


def judged(head: ResponseHead, source: HttpSource | LentSource, moulding: Moulding) -> Any:
    """What decides about the object; None where it is left to the ordinary way."""
    is_of_get = head.framing is not Framing.NONE
    if head.status != 200 or (is_of_get and not is_small(head)) or source.as_stored(head) is not None:
        return None
    info = source.describe(head)
    try:
        rungs = rungs_of(info, moulding.traits(source, info, head))
    except FastgetError:
        return "contradiction"
    checks = plain_checks(rungs, Config())
    return None if checks is None else (info, checks, rungs)


def assert_is_read_as_ever(fields: Fields, other: Fields, shape: str, secret: str, method: str = "GET") -> bool:
    """Whether the answer was recognised; if so, all that comes of it is what came of it before."""
    moulding, request = mould_of(fields, method=method)
    data = on_wire(other, shape)
    moulded = received(CastExchange(request, request.cast), request, data) if request.cast else None
    if moulded is None or moulded.head.reading is None:
        return False
    ordinary = received(HeadExchange(), request, data)
    assert ordinary is not None
    assert ordinary.head == moulded.head
    assert tuple(ordinary.head.headers) == tuple(moulded.head.headers)
    assert (ordinary.is_kept_alive, ordinary.surplus) == (moulded.is_kept_alive, moulded.surplus)
    source = replace(source_at("other"), headers=(("X-Token", secret),) if secret else ())
    for one in (source, lend(source, None)):
        assert one is not None
        assert judged(moulded.head, one, moulding) == judged(ordinary.head, one, Moulding())
    return True


@given(
    before=st.lists(CHANGES, max_size=3),
    after=st.lists(CHANGES, max_size=2),
    shape=SHAPES,
    secret=st.sampled_from(["", "s3cr3t-s3cr3t"]),
    method=st.sampled_from(METHODS),
)
@settings(max_examples=800)
@example(
    [("add", "x-amz-meta-note", "one", 0)],
    [("set", "x-amz-meta-note", "s3cr3t-s3cr3t", 0)],
    "",
    "s3cr3t-s3cr3t",
    "GET",
)
@example(
    [("add", "x-goog-hash", "crc32c=" + base64(4, 3, 2, 1), 3)], [("set", "Content-Length", "0", 0)], "", "", "GET"
)
@example([("add", "x-goog-hash", "x", 3), ("add", "x-goog-hash", "y", 4)], [], "", "", "GET")
@example([("drop", "Content-Length", "", 0)], [], "", "", "HEAD")
@example([], [("set", "Content-Length", "9223372036854775808", 0)], "", "", "HEAD")
def test_whatever_is_recognised_is_what_the_ordinary_way_makes_of_it(
    before: list[tuple[str, str, str, int]],
    after: list[tuple[str, str, str, int]],
    shape: str,
    secret: str,
    method: str,
) -> None:
    fields = FIELDS
    for change in before:
        fields = changed(fields, change)
    other = fields
    for change in after:
        other = changed(other, change)
    assert_is_read_as_ever(fields, other, shape, secret, method)


DIGESTS: dict[str, tuple[str, ...]] = {
    "x-amz-checksum-crc64nvme": (base64(*range(8)), base64(*range(8, 16))),
    "x-amz-checksum-sha256": (base64(*range(32)), base64(*range(32, 64))),
    "x-amz-checksum-sha512": (base64(*range(64)), base64(*range(64, 128))),
    "content-md5": (base64(*range(16)), base64(*range(16, 32))),
    "repr-digest": (f"sha-256=:{base64(*range(32))}:", f"sha-256=:{base64(*range(32, 64))}:"),
    "digest": (f"SHA={base64(*range(20))}", f"SHA={base64(*range(20, 40))}"),
    "x-goog-hash": ("crc32c=" + base64(1, 2, 3, 4), "crc32c=" + base64(250, 251, 252, 253)),
}


@pytest.mark.parametrize("name", DIGESTS)
@pytest.mark.parametrize("method", METHODS)
def test_another_object_of_a_store_is_recognised_with_its_own_digest(name: str, method: str) -> None:
    first, second = DIGESTS[name]
    told = {"ETag": '"e-2"', "Content-Length": "7", "Date": "then", "x-amz-request-id": "9", "Last-Modified": "now"}
    other = tuple((known, told.get(known, value)) for known, value in FIELDS)
    assert assert_is_read_as_ever((*FIELDS, (name, first)), (*other, (name, second)), "", "", method)


def test_two_digests_in_two_fields_of_one_name_are_recognised() -> None:
    md5, crc = "md5=" + base64(*range(16)), "crc32c=" + base64(1, 2, 3, 4)
    others = "md5=" + base64(*range(16, 32)), "crc32c=" + base64(9, 2, 3, 4)
    fields = [(*FIELDS, *(("x-goog-hash", value) for value in values)) for values in ((md5, crc), others)]
    assert assert_is_read_as_ever(fields[0], fields[1], "", "")


@pytest.mark.parametrize(
    "more",
    [
        (("Connection", "close"),),
        (("Content-Encoding", "gzip"), ("x-goog-stored-content-encoding", "identity")),
        (("x-amz-checksum-crc32", base64(1, 2, 3, 4)), ("digest", "crc32c=1f")),
        (("x-goog-hash", f"crc32c={base64(1, 2, 3, 4)},md5={base64(*range(16))}"),),
        (("ETag", '"twice"'),),
        (("X-Long", "x" * 5000),),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_is_unusual_is_no_mould_for_another_or_only_for_its_like(more: Fields, method: str) -> None:
    other = tuple((name, "1" if name == "Content-Length" else value) for name, value in FIELDS)
    assert not assert_is_read_as_ever((*FIELDS, *more), other, "", "", method)


def test_an_answer_to_a_head_that_does_not_tell_the_size_is_no_mould() -> None:
    without = changed(FIELDS, ("drop", "Content-Length", "", 0))
    assert not assert_is_read_as_ever(without, without, "", "", "HEAD")
    assert assert_is_read_as_ever(FIELDS, FIELDS, "", "", "HEAD")
    assert not assert_is_read_as_ever(FIELDS, without, "", "", "HEAD")


@pytest.mark.parametrize("change", [("Server", "nginx"), ("Accept-Ranges", "none"), ("x-amz-storage-class", "COLD")])
@pytest.mark.parametrize("method", METHODS)
def test_a_field_by_which_answers_are_judged_has_to_stay_the_same(change: tuple[str, str], method: str) -> None:
    fields = (*FIELDS, ("x-amz-storage-class", "STANDARD"))
    assert assert_is_read_as_ever(fields, fields, "", "", method)
    assert not assert_is_read_as_ever(fields, changed(fields, ("set", *change, 0)), "", "", method)


@pytest.mark.parametrize("method", METHODS)
def test_a_field_that_is_read_anywhere_is_taken_over_or_has_to_stay_the_same(
    watched: Callable[..., Any], method: str
) -> None:
    headers = watched((*FIELDS, ("x-clv-a", "1"), ("x-goog-hash", "a")))
    is_get = method == "GET"
    head = ResponseHead(200, headers, Framing.LENGTH if is_get else Framing.NONE, 2000 if is_get else None, "OK")
    assert judged(head, SOURCE, Moulding()) is not None
    bucket = S3Source.of("s3://b/k", Config(no_sign_request=True, region="us-east-1"))
    bucket.describe(head)
    bucket.traits(bucket.describe(head))
    taken_over = {"content-length", "content-type", "etag", "last-modified", "x-amz-version-id"}
    # Of a request id it counts only whether there is one, and a name is never another one.
    for name in headers.asked - taken_over - DIGEST_FIELDS - {"x-amz-request-id"}:
        others = tuple(field for field in FIELDS if field[0].lower() != name)
        fields = [(*others, (name, value)) for value in ("one", "another")]
        assert not assert_is_read_as_ever(fields[0], fields[1], "", "", method)


@pytest.mark.parametrize("path", ["other", "folder/k%20v", "with?versionId=1"])
@pytest.mark.parametrize("method", METHODS)
def test_a_request_that_is_like_the_first_is_encoded_as_ever(path: str, method: str) -> None:
    _, first = mould_of(FIELDS, method=method)
    request = plain(source_at(path), method)
    assert first.cast is not None
    assert first.cast.encode(request) == HeadExchange().encode(request)


@pytest.mark.parametrize(
    "request_",
    [
        source_at("k", X="1").get(),
        HttpSource.of(URL.parse("http://elsewhere/b/k"), {}).get(),
        source_at("k").head(),
        replace(source_at("k").get(), url=replace(source_at("k").url, path="/b/k\r\nX: y")),
    ],
    ids=["header", "host", "method", "target"],
)
def test_a_request_that_is_not_alike_is_encoded_in_the_ordinary_way(request_: Request) -> None:
    _, first = mould_of(FIELDS)
    assert first.cast is not None
    assert first.cast.encode(request_) is None


def test_a_request_with_a_secret_is_encoded_in_the_ordinary_way() -> None:
    source = source_at("k", Authorization="Bearer s3cr3t")
    _, first = mould_of(FIELDS, source)
    assert first.cast is not None
    assert first.cast.encode(source.get()) is None


def test_the_more_answers_differ_the_more_seldom_a_mould_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ObjectMould | None] = []
    of = ObjectMould.of

    def counted(*given: Any) -> ObjectMould | None:
        made.append(of(*given))
        return made[-1]

    monkeypatch.setattr(ObjectMould, "of", counted)
    moulding, request = Moulding(), SOURCE.get()
    reception = received(HeadExchange(), request, on_wire(FIELDS))
    assert reception is not None
    for _ in range(1000):
        moulding.learn(SOURCE, request, reception.head)
    assert len(made) == 8


def test_an_answer_to_another_method_is_no_mould() -> None:
    reception = received(HeadExchange(), SOURCE.get(), on_wire(FIELDS))
    assert reception is not None
    put = replace(SOURCE.get(), method="PUT")
    assert ObjectMould.of(put, HeadExchange().encode(put), reception.head, SOURCE.describe(reception.head)) is None


def test_a_store_has_a_mould_for_each_kind_of_source_and_each_method() -> None:
    store = Store()
    first = store.moulding(SOURCE)
    assert store.moulding(source_at("second")) is first
    assert store.moulding(lend(SOURCE, None) or SOURCE) is not first
    assert store.moulding(SOURCE, "HEAD") is store.moulding(source_at("second"), "HEAD") is not first


def test_what_another_mould_has_recognised_is_judged_by_itself() -> None:
    moulding, request = mould_of(FIELDS)
    assert request.cast is not None
    reception = received(CastExchange(request, request.cast), request, on_wire(FIELDS))
    assert reception is not None
    head = reception.head
    assert head.reading is not None
    info = SOURCE.describe(head)
    other, _ = mould_of((*FIELDS, ("x-amz-server-side-encryption", "aws:kms")))
    assert other.traits(SOURCE, info, head) == moulding.traits(SOURCE, info, head) == SOURCE.traits(info)
    assert other.traits(SOURCE, info, head) is not moulding.traits(SOURCE, info, head)
