from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import botocore.session
import pytest

from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.sources.endpoints import S3Endpoints

Answer = Callable[..., ResponseHead]


@pytest.fixture(scope="session", autouse=True)
def _descriptions_read_once() -> Iterator[None]:
    """All sessions of botocore share what the clients of one of them share: the descriptions of services, once read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keys that are known, and nothing from the machine that the tests run on."""
    from os import environ

    for name in [name for name in environ if name.startswith(("AWS_", "FASTGET_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("aws")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMARKEDACCESSKEY0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marked-secret-key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "marked-session-token")


@pytest.fixture
def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)


@pytest.fixture
def endpoints() -> Iterator[S3Endpoints]:
    shared = S3Endpoints()
    yield shared
    shared.close()


@pytest.fixture
def answer() -> Answer:
    """Makes the head of an answer: answer(404, {"ETag": …})."""

    def make(status: int, fields: dict[str, str] | None = None, *more: tuple[str, str]) -> ResponseHead:
        items = [*(fields or {}).items(), *more]
        length = next((int(value) for name, value in items if name.lower() == "content-length"), None)
        framing = Framing.LENGTH if length is not None else Framing.CHUNKED
        return ResponseHead(status, Headers(items), framing, length)

    return make
