"""Which proxy is chosen, and what its URL may look like."""

from __future__ import annotations

import pytest

from fastget.core.urls import URL
from fastget.errors import ConfigError
from fastget.transport.proxies import Proxy, proxy_for

PLAIN = URL.parse("http://data.example/x").origin
SECURE = URL.parse("https://data.example/x").origin


def chosen(origin_url: str, configured: str | None = None) -> str | None:
    proxy = proxy_for(URL.parse(origin_url).origin, configured)
    return None if proxy is None else str(proxy)


def test_without_a_setting_there_is_no_proxy() -> None:
    assert chosen("http://data.example/") is None


@pytest.mark.parametrize(
    ("variable", "origin", "expected"),
    [
        ("http_proxy", "http://data.example/", "http://p.example:3128"),
        ("HTTPS_PROXY", "https://data.example/", "http://p.example:3128"),
        ("ALL_PROXY", "https://data.example/", "http://p.example:3128"),
        ("http_proxy", "https://data.example/", None),
        ("HTTPS_PROXY", "http://data.example/", None),
    ],
)
def test_the_environment_names_a_proxy_by_scheme(
    monkeypatch: pytest.MonkeyPatch, variable: str, origin: str, expected: str | None
) -> None:
    monkeypatch.setenv(variable, "http://p.example:3128")
    assert chosen(origin) == expected


def test_lower_case_wins_and_an_own_proxy_wins_over_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://upper.example")
    monkeypatch.setenv("http_proxy", "http://lower.example")
    monkeypatch.setenv("ALL_PROXY", "http://all.example")
    assert chosen("http://data.example/") == "http://lower.example:80"
    assert chosen("https://data.example/") == "http://all.example:80"


@pytest.mark.parametrize(
    ("exceptions", "is_bypassed"),
    [
        ("data.example", True),
        (".example", True),
        ("other.example, data.example", True),
        ("*", True),
        ("data.example:443", True),
        ("data.example:8443", False),
        ("ata.example", False),
    ],
)
def test_no_proxy_lists_hosts_that_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, is_bypassed: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p.example:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (chosen("https://data.example/") is None) == is_bypassed


def test_a_configured_proxy_is_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://other.example")
    monkeypatch.setenv("NO_PROXY", "*")
    assert chosen("http://data.example/", "http://p.example:1") == "http://p.example:1"
    assert chosen("https://data.example/", "p.example") == "http://p.example:80"


def test_an_empty_setting_means_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://other.example")
    assert chosen("http://data.example/", "") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("socks5://p.example", Proxy("socks5", "p.example", 1080)),
        ("SOCKS5H://p.example:9050", Proxy("socks5h", "p.example", 9050)),
        ("https://p.example", Proxy("https", "p.example", 443)),
        ("p.example:8080", Proxy("http", "p.example", 8080)),
        ("http://us%40er:p%3Ass@p.example", Proxy("http", "p.example", 80, "us@er", "p:ss")),
        ("http://[::1]:3128/", Proxy("http", "::1", 3128)),
    ],
)
def test_a_proxy_url_is_read(text: str, expected: Proxy) -> None:
    assert Proxy.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["ftp://u:secret@p.example", "http://u:secret@", "http://u:secret@p:99999", "http://["]
)
def test_a_proxy_url_that_cannot_be_meant_is_refused_unquoted(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Proxy.parse(text)
    assert "secret" not in f"{caught.value!r} {caught.value.hint}"


def test_credentials_are_never_printed() -> None:
    proxy = Proxy.parse("http://user:secret@p.example")
    assert proxy.authorization == "Basic dXNlcjpzZWNyZXQ="
    assert "user" not in f"{proxy} {proxy!r}"
    assert "secret" not in f"{proxy} {proxy!r}"


def test_an_address_in_a_proxy_url_is_printed_in_brackets() -> None:
    assert str(Proxy("http", "::1", 3128)) == "http://[::1]:3128"


@pytest.mark.parametrize(
    ("scheme", "plain", "secure"),
    [("http", True, True), ("https", True, False), ("socks5", False, False), ("socks5h", False, False)],
)
def test_the_data_plane_takes_all_but_socks_and_tls_within_tls(scheme: str, plain: bool, secure: bool) -> None:
    proxy = Proxy(scheme, "p.example", 1)
    assert (proxy.suits_data_plane(PLAIN), proxy.suits_data_plane(SECURE)) == (plain, secure)
