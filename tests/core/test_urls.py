"""URLs as values: what goes on the wire is what was given, and what is printed holds no secret."""

from __future__ import annotations

import copy
import pickle
import string
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.urls import URL, Origin
from fastget.errors import InvalidURL

LEGAL = string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/[]"
escapes = st.integers(0, 255).map(lambda byte: f"%{byte:02x}") | st.integers(0, 255).map(lambda byte: f"%{byte:02X}")
legal_text = st.lists(st.sampled_from(LEGAL) | escapes, max_size=30).map("".join)
paths = legal_text.map(lambda text: f"/{text}")
queries = st.none() | legal_text.map(lambda text: text + "?")
labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=10)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)
ports = st.none() | st.integers(1, 65535)
schemes = st.sampled_from(["http", "https"])
secrets = st.text(string.ascii_letters + string.digits, min_size=12, max_size=20).map(lambda text: f"S{text}T")

PRESIGNED = (
    "/key%20with%2Fslash/%E2%9C%93?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20261121%2Fus-east-1"
    "%2fs3%2Faws4_request&X-Amz-Date=20261121T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
    "&response-content-disposition=attachment%3B%20filename%3D%22a+b.bin%22&X-Amz-Signature=0a1b2c&empty=&flag"
)


@given(scheme=schemes, host=hosts, port=ports, path=paths, query=queries)
def test_a_legal_url_goes_on_the_wire_byte_for_byte(
    scheme: str, host: str, port: int | None, path: str, query: str | None
) -> None:
    target = path if query is None else f"{path}?{query}"
    authority = host if port is None else f"{host}:{port}"
    url = URL.parse(f"{scheme}://{authority}{target}#fragment")
    assert url.target == target
    assert (url.origin.scheme, url.origin.host) == (scheme, host)
    assert url.origin.port == (port or {"http": 80, "https": 443}[scheme])
    assert URL.parse(url.unredacted) == url


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30))
def test_any_text_in_path_and_query_becomes_printable_ascii_that_means_the_same(text: str) -> None:
    path = text.replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    url = URL.parse(f"http://host/_{path}?q={text.replace('%', '%25').replace('#', '%23')}")
    assert url.target.isascii()
    assert url.target.isprintable()
    assert " " not in url.target
    assert unquote(url.path) == f"/_{text}"
    assert unquote(url.query or "") == f"q={text}"


def test_a_presigned_query_is_kept_byte_for_byte() -> None:
    url = URL.parse(f"https://bucket.s3.amazonaws.com{PRESIGNED}")
    assert url.target == PRESIGNED
    assert url.unredacted == f"https://bucket.s3.amazonaws.com{PRESIGNED}"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://h", "/"),
        ("http://h?a=b", "/?a=b"),
        ("http://h/?", "/?"),
        ("http://h/a/../b/./c//d", "/a/../b/./c//d"),  # no dot segment is folded: S3 keys may hold them
        ("http://h//a", "//a"),
        ("http://h/a b", "/a%20b"),
        ("http://h/100%", "/100%25"),
        ("http://h/%zz%4", "/%25zz%254"),
        ("http://h/%2f%2F", "/%2f%2F"),
        ("http://h/ü?ü=✓", "/%C3%BC?%C3%BC=%E2%9C%93"),
        ("http://h/a?b#c?d", "/a?b"),
        ("http://h/a#b?c", "/a"),
        ('http://h/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
def test_what_is_not_legal_is_escaped_and_nothing_else_changes(text: str, target: str) -> None:
    assert URL.parse(text).target == target


@given(user=secrets, password=secrets, token=secrets)
def test_user_info_and_query_are_never_printed(user: str, password: str, token: str) -> None:
    url = URL.parse(f"https://{user}:{password}@host/path?token={token}")
    assert url.userinfo == f"{user}:{password}"
    for shown in (str(url), repr(url), f"{url}", f"{url!r}", str(url.origin), repr([url]), url.filename):
        assert not any(secret in shown for secret in (user, password, token))
    assert str(url) == "https://host/path?…"
    assert url.unredacted == f"https://host/path?token={token}"


@pytest.mark.parametrize(
    "text",
    [
        "http://user:SECRET/more@host/",  # the slash ends the authority, and the password looks like a port
        "http://user:SECRET?more@host/",
        "http://user:SECRET@host:port/",
        "http://user:SECRET@host:99999/",
        "http://user:SECRET@[::1/",
        "http://user:SECRET@h℀st/",
        "http://user:SECRET@",
        "http://user:SECRET@ho st/",
        "ftp://user:SECRET@host/?SECRET",
        "http://user:SECRET@host/?SECRET\n",
        "//user:SECRET@host/?SECRET",
        "http://user:SECRET@host/\udcff?SECRET",
    ],
)
def test_an_error_quotes_no_secret(text: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        URL.parse(text)
    error = caught.value
    assert "SECRET" not in f"{error!r} {error.message} {error.hint} {error.url} {error.__cause__!r}"
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.fault("H26")
@pytest.mark.parametrize("control", [chr(code) for code in (*range(0x20), 0x7F)])
@pytest.mark.parametrize("form", ["http://h/a{}b", "http://h/?a{}b", "http://h{}/", "http://h/{}", "{}http://h/"])
def test_control_characters_are_refused_wherever_they_stand(form: str, control: str) -> None:
    with pytest.raises(InvalidURL, match="control character"):
        URL.parse(form.format(control))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host/path",
        "/path",
        "//host/path",
        "http:",
        "http:/path",
        "http://",
        "http:///path",
        "http://:80/",
        "http://@/",
        "https://?query",
        "ftp://host/",
        "file:///etc/passwd",
        "data:text/plain,x",
        "s3://bucket/key",
        "http://h:0/",
        "http://h:65536/",
        "http://h:-1/",
        "http://h:80:80/",
        "http://h:8o/",
        "http://h:\u0663/",
        "http://a..b/",
        "http://./",
        "http://.a/",
        f"http://{'a' * 64}/",
        "http://ex%61mple.com/",
        "http://a b/",
        "http://good.com\\@evil.com/",
        "http://good.com\\.evil.com/",
        "http://a,b/",
        "http://[::1].evil.com/",
        "http://[::1]evil.com/",
        "http://[::1/",
        "http://::1/",
        "http://h]/",
        "http://[host]/",
        "http://[1.2.3.4]/",
        "http://[v1.fe80::a]/",
        "http://[fe80::1%25eth0]/",
        "http://[]/",
        "http://\u2100/",
        "http://h/\ud800",
    ],
)
def test_what_names_no_object_over_http_is_refused(text: str) -> None:
    with pytest.raises(InvalidURL):
        URL.parse(text)


@given(text=st.text(max_size=40) | st.text(max_size=40).map(lambda text: f"http://{text}"))
def test_any_text_is_read_or_refused_with_the_typed_error(text: str) -> None:
    try:
        url = URL.parse(text)
    except InvalidURL:
        return
    assert url.target.startswith("/")
    assert url.unredacted.isascii()
    assert url.unredacted.isprintable()
    assert URL.parse(url.unredacted).target == url.target


@pytest.mark.parametrize(
    ("text", "host", "header"),
    [
        ("http://HOST.Example/", "host.example", "host.example"),
        ("http://host.:8080/", "host.", "host.:8080"),
        ("http://my_bucket.host/", "my_bucket.host", "my_bucket.host"),
        ("http://127.0.0.1:80/", "127.0.0.1", "127.0.0.1"),
        ("https://127.0.0.1:80/", "127.0.0.1", "127.0.0.1:80"),
        ("https://host:443/", "host", "host"),
        ("https://host:/", "host", "host"),
        ("http://[::1]/", "::1", "[::1]"),
        ("http://[2001:DB8::1]:8080/", "2001:db8::1", "[2001:db8::1]:8080"),
        ("http://[::ffff:192.0.2.1]/", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]"),
        ("http://user:pw@[::1]:81/", "::1", "[::1]:81"),
        ("http://bücher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://Пример.испытание/", "xn--e1afmkfd.xn--80akhbyknj4f", "xn--e1afmkfd.xn--80akhbyknj4f"),
        ("http://\uff41.com/", "a.com", "a.com"),
    ],
)
def test_the_host_is_what_names_and_connections_need(text: str, host: str, header: str) -> None:
    origin = URL.parse(text).origin
    assert (origin.host, origin.host_header) == (host, header)


@pytest.mark.parametrize("host", ["straße.de", "βόλος.com", "\u0627\u200c\u0628.ir", "a\u200db.com"])
def test_a_host_name_that_two_standards_read_differently_is_not_guessed_at(host: str) -> None:
    with pytest.raises(InvalidURL, match="two ways") as caught:
        URL.parse(f"https://{host}/")
    assert "xn--" in (caught.value.hint or "")


def test_the_last_at_sign_ends_the_user_info_as_the_standard_library_has_it() -> None:
    url = URL.parse("http://user:p@ss@host/")
    assert url.userinfo == "user:p@ss"
    assert url.origin.host == urlsplit("http://user:p@ss@host/").hostname == "host"
    assert URL.parse("http://host/").userinfo is None
    assert URL.parse("http://@host/").userinfo is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b.bin", "b.bin"),
        ("/a/", ""),
        ("", ""),
        ("/a%20b", "a b"),
        ("/%E2%9C%93", "✓"),
        ("/a%2Fb", "a/b"),
        ("/x?y/z", "x"),
    ],
)
def test_the_file_name_is_the_last_segment_decoded(path: str, name: str) -> None:
    assert URL.parse(f"http://h{path}").filename == name


@pytest.mark.parametrize(
    ("reference", "joined"),
    [
        ("/other", "https://h:8443/other"),
        ("sibling", "https://h:8443/a/sibling"),
        ("../up", "https://h:8443/up"),
        ("?x=y", "https://h:8443/a/b?x=y"),
        ("", "https://h:8443/a/b?q=1"),
        ("//cdn/x", "https://cdn/x"),
        ("http://cdn/x", "http://cdn/x"),
        ("https://cdn/x?", "https://cdn/x?"),
        ("HTTPS://CDN/x", "https://cdn/x"),
        (f"https://cdn{PRESIGNED}", f"https://cdn{PRESIGNED}"),
        ("https://cdn/a/../b;?x;y", "https://cdn/a/../b;?x;y"),
        ("/raw ü", "https://h:8443/raw%20%C3%BC"),
    ],
)
def test_a_location_is_read_from_where_it_was_sent(reference: str, joined: str) -> None:
    assert URL.parse("https://user:pw@h:8443/a/b?q=1").join(reference).unredacted == joined


@pytest.mark.parametrize(
    ("reference", "joined"),
    [
        ("d", "http://h/a//b/d"),
        ("./d//e", "http://h/a//b/d//e"),
        ("../d", "http://h/a//d"),
        ("../../../../d", "http://h/d"),
        (".", "http://h/a//b/"),
        ("..", "http://h/a//"),
        ("d/..", "http://h/a//b/"),
        ("/x/./y/../z//w", "http://h/x/z//w"),
        ("/..//d", "http://h//d"),
        ("?", "http://h/a//b/c?"),
        ("?x=/../y#z", "http://h/a//b/c?x=/../y"),
        ("#z", "http://h/a//b/c?q"),
        ("d?#z", "http://h/a//b/d?"),
        ("d;e/..;f/g", "http://h/a//b/d;e/..;f/g"),
    ],
)
def test_empty_segments_of_a_path_and_empty_queries_are_kept(reference: str, joined: str) -> None:
    assert URL.parse("http://h/a//b/c?q").join(reference).unredacted == joined


@pytest.mark.parametrize(
    "reference", ["file:///etc/passwd", "ftp://h/", "javascript:x", "http://[::1", "http:", "http://h\r\nX: y/", "///d"]
)
def test_a_location_that_leads_nowhere_is_refused(reference: str) -> None:
    with pytest.raises(InvalidURL):
        URL.parse("http://h/a/b").join(reference)


@pytest.mark.fault("H28", "S15")
def test_no_user_info_passes_to_where_a_location_leads() -> None:
    assert URL.parse("https://user:pw@h/a").join("/b").userinfo is None


def test_a_query_is_added_to_or_begun() -> None:
    assert URL.parse("http://h/a").with_query("x=1").target == "/a?x=1"
    assert URL.parse("http://h/a?").with_query("x=1").target == "/a?x=1"
    assert URL.parse("http://h/a?b=%2f").with_query("x=1").target == "/a?b=%2f&x=1"


def test_a_url_is_a_value() -> None:
    url = URL.parse("https://u:p@h/a?b")
    assert url == URL.parse("https://u:p@h:443/a?b")
    assert url != URL.parse("https://u:p@h/a?c")
    assert len({url, URL.parse("https://u:p@h/a?b")}) == 1
    assert pickle.loads(pickle.dumps(url)) == copy.deepcopy(url) == url


@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_key_that_was_quoted_arrives_as_it_was_quoted(key: str) -> None:
    quoted = quote(key, safe="")
    assert URL.parse(f"http://h/{quoted}").path == f"/{quoted}"


def test_an_origin_prints_as_a_url_without_a_path() -> None:
    assert str(Origin("https", "::1", 443)) == "https://[::1]"
    assert str(Origin("http", "h", 8080)) == "http://h:8080"
    assert str(Origin("http", "h", 443)) == "http://h:443"
