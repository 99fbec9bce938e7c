from __future__ import annotations

import base64
import urllib.request
from pathlib import Path

import pytest

from benchmarks.certificates import Certificates, issue_certificates
from benchmarks.nginx import Behaviour, Nginx, NginxError, free_port, nginx_configuration
from benchmarks.objects import StoredObject
from benchmarks.scenarios import SCENARIOS, Scenario


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return issue_certificates(tmp_path)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nginx_accepts_the_configuration_of_every_scenario(
    nginx: str, tmp_path: Path, stored: StoredObject, certificates: Certificates, scenario: Scenario
) -> None:
    port = free_port()
    text = nginx_configuration(tmp_path, port, scenario.behaviour, stored, certificates)
    (tmp_path / "nginx.conf").write_text(text)
    Nginx(nginx, tmp_path, port).check()
    assert f"listen 127.0.0.1:{port}" in text


def test_a_wrong_configuration_is_reported_in_the_words_of_nginx(nginx: str, tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("nonsense on;\n")
    with pytest.raises(NginxError, match='unknown directive "nonsense"'):
        Nginx(nginx, tmp_path, free_port()).check()


def test_delay_and_rate_are_written_only_where_they_are_asked_for(
    tmp_path: Path, stored: StoredObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.nginx._module", Path)
    plain = nginx_configuration(tmp_path, 80, Behaviour(), stored)
    slow = nginx_configuration(tmp_path, 80, Behaviour(first_byte=(0.03, 0.06), rate=45_000_000), stored)
    assert "lua" not in plain
    assert "limit_rate" not in plain
    assert "ngx.sleep(0.030 + math.random() * 0.030)" in slow
    assert "limit_rate 45000000;" in slow


def test_tls_without_certificates_is_refused(tmp_path: Path, stored: StoredObject) -> None:
    with pytest.raises(ValueError, match="certificates"):
        nginx_configuration(tmp_path, 443, Behaviour(tls=True), stored)


def test_a_missing_lua_module_is_named(tmp_path: Path, stored: StoredObject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.nginx._MODULE_DIRECTORIES", (tmp_path,))
    with pytest.raises(NginxError, match=r"ndk_http_module\.so is not installed"):
        nginx_configuration(tmp_path, 80, Behaviour(first_byte=(0.0, 0.1)), stored)


def test_checksums_are_declared_for_whole_objects_and_not_for_ranges(
    nginx: str, tmp_path: Path, stored: StoredObject
) -> None:
    plain, asked, ranged = _declared(Behaviour(), nginx, tmp_path, stored)
    assert plain["x-goog-hash"] == asked["x-goog-hash"] == f"crc32c={base64.b64encode(stored.crc32c).decode()}"
    assert ranged["content-range"] == "bytes 0-9/100000"
    assert "x-goog-hash" not in ranged


def test_an_s3_like_server_declares_its_checksum_where_it_is_asked_for(
    nginx: str, tmp_path: Path, stored: StoredObject
) -> None:
    plain, asked, ranged = _declared(Behaviour(is_s3=True), nginx, tmp_path, stored)
    assert not any(name.startswith(("x-goog-", "x-amz-checksum-")) for name in (*plain, *ranged))
    assert asked["x-amz-checksum-crc64nvme"] == base64.b64encode(stored.crc64nvme).decode()
    assert asked["x-amz-checksum-type"] == "FULL_OBJECT"


def _declared(behaviour: Behaviour, nginx: str, folder: Path, stored: StoredObject) -> tuple[dict[str, str], ...]:
    """The fields of three answers: to a plain GET, to one that asks for checksums, and to one for a range."""
    port = free_port()
    (folder / "nginx.conf").write_text(nginx_configuration(folder, port, behaviour, stored))
    url = f"http://127.0.0.1:{port}/benchmark/object.bin"
    asking = {"x-amz-checksum-mode": "ENABLED"}
    with Nginx(nginx, folder, port):
        return _fields(url), _fields(url, asking), _fields(url, {**asking, "Range": "bytes=0-9"})


def _fields(url: str, headers: dict[str, str] | None = None) -> dict[str, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}
