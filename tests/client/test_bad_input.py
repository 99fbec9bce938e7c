"""What a person gets wrong, or the world does: the right kind of error, its cause in words, a way out, and no trace."""

from __future__ import annotations

import errno
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget import s3
from fastget.errors import (
    AccessDenied,
    ConfigError,
    DestinationError,
    FastgetError,
    InvalidURL,
    NetworkError,
    NoSpace,
    NotFound,
    ProtocolError,
    Stalled,
)
from fastget.testing import Behaviour, Content, Fault, ObjectServer, StoredObject, faults

Serve = Callable[..., ObjectServer]

pytestmark = pytest.mark.usefixtures("no_leaks")

SECRET = "X-Amz-Signature=5ec2e7"
VERBS_WITH_BODIES = ["download", "read", "slice", "read_into", "read_ranges", "stream", "body", "pull"]
QUICK = {"retries": 0, "connect_timeout": 5.0, "response_timeout": 5.0}


def failure(url: str, path: Path | str, **options: object) -> FastgetError:
    """The error of a download, which names its cause without the secret, and survives a process border."""
    with pytest.raises(FastgetError) as caught:
        fastget.download(url, path, **{**QUICK, **options})
    error = caught.value
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), twin.hint) == (type(error), str(error), error.hint)
    assert "5ec2e7" not in f"{error!r} {error.hint} {error.url} {error.__dict__}"
    return error


@pytest.fixture
def server(serve: Serve) -> ObjectServer:
    return serve({"/b/k": StoredObject(Content.of(b"content"))})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "empty"),
        ("big.bin", "no URL"),
        ("/etc/passwd", "no URL"),
        ("file:///etc/passwd", "file"),
        ("ftp://host/file", "ftp"),
        ("http://", "host"),
        ("http:///path", "host"),
        ("http://host:99999/x", "port"),
        ("http://host:abc/x", "port"),
        ("http://host/a\nb", "control character"),
        ("s3://", "bucket"),
        ("s3://bucket", "names a bucket"),
    ],
)
def test_a_url_that_names_no_object_is_refused_in_words(destination: Path, url: str, words: str) -> None:
    error = failure(url, destination)
    assert isinstance(error, InvalidURL)
    assert isinstance(error, ConfigError)
    assert isinstance(error, ValueError)
    assert words in str(error).lower() or words in str(error)
    assert not list(destination.parent.iterdir())


@pytest.mark.parametrize("url", ["", "big.bin", "ftp://host/file", "http:///path", "s3://bucket"])
def test_a_refused_url_comes_with_the_right_form(destination: Path, url: str) -> None:
    hint = failure(url, destination).hint
    assert hint is not None
    assert "://" in hint


@pytest.mark.parametrize("value", [5, None, b"http://host/x", Path("x")], ids=lambda value: type(value).__name__)
def test_what_is_no_text_is_no_url(destination: Path, value: Any) -> None:
    assert type(value).__name__ in str(failure(value, destination))
    with pytest.raises(InvalidURL):
        fastget.read(value)


@pytest.mark.parametrize("value", ["http://host/key", {"connections": 2}, 4])
def test_what_is_no_config_is_refused_with_the_way_that_options_are_given(value: Any) -> None:
    with pytest.raises(ConfigError, match=type(value).__name__) as caught:
        fastget.Client(value)
    assert "connections=8" in (caught.value.hint or "")


@pytest.mark.fault("N13")
def test_a_host_name_that_nobody_knows_is_told_at_once_and_not_asked_for_again(destination: Path) -> None:
    error = failure(f"http://name.invalid/object?{SECRET}", destination, retries=5)
    assert isinstance(error, NetworkError)
    assert isinstance(error, ConnectionError)
    assert "name.invalid" in str(error)
    assert "resolved" in str(error)
    assert error.hint
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("N10")
def test_a_port_that_nobody_listens_on_is_told_with_its_number(refusing: int, destination: Path) -> None:
    error = failure(f"http://127.0.0.1:{refusing}/object?{SECRET}", destination)
    assert isinstance(error, NetworkError)
    assert str(refusing) in str(error)
    assert os.strerror(errno.ECONNREFUSED) in str(error)
    assert error.hint
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("N11")
def test_a_port_that_takes_no_connection_is_a_stall(unanswering: int, destination: Path) -> None:
    error = failure(f"http://127.0.0.1:{unanswering}/object", destination, connect_timeout=0.3)
    assert isinstance(error, Stalled)
    assert isinstance(error, TimeoutError)
    assert str(unanswering) in str(error)
    assert error.hint
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("N26")
def test_something_that_does_not_speak_http_breaks_the_protocol(serve: Serve, destination: Path) -> None:
    server = serve({}, faults=[faults.server_speaks_first().always()])
    assert isinstance(failure(server.url("/b/k"), destination), ProtocolError)
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("N21")
def test_plain_http_on_a_port_of_tls_and_the_other_way_round_is_told(server: ObjectServer, destination: Path) -> None:
    error = failure(server.url("/b/k").replace("http:", "https:"), destination)
    assert isinstance(error, NetworkError)
    assert "TLS" in f"{error} {error.hint}"
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("N21")
def test_a_port_that_answers_tls_with_plain_text_is_told_and_what_to_do(serve: Serve, destination: Path) -> None:
    server = serve({}, faults=[faults.server_speaks_first().always()])
    error = failure(server.url("/b/k").replace("http:", "https:"), destination)
    assert "127.0.0.1 does not speak TLS" in str(error)
    assert error.hint == "use http://, if that is what it speaks, or check the port"


@pytest.mark.parametrize("amazon", [True, False])
def test_an_object_that_is_not_there_is_not_found(serve: Serve, destination: Path, amazon: bool) -> None:
    server = serve({}, behaviour=Behaviour(amazon=amazon))
    error = failure(server.url("/b/none", SECRET), destination)
    assert isinstance(error, NotFound)
    assert error.reply is not None
    assert error.reply.status == 404
    assert "/b/none" in str(error)
    assert error.hint
    assert len(server.requests) == 1
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("H35")
def test_a_refused_object_keeps_the_words_of_the_store(serve: Serve, destination: Path) -> None:
    server = serve({"/b/k": StoredObject(Content.of(b"x"))}, faults=[faults.access_denied().always()])
    error = failure(server.url("/b/k", SECRET), destination)
    assert isinstance(error, AccessDenied)
    assert error.reply is not None
    assert (error.reply.status, error.reply.code) == (403, "AccessDenied")
    assert "Access Denied" in str(error)
    assert error.hint
    assert not list(destination.parent.iterdir())


def test_a_head_of_an_object_that_is_not_there_tells_why(serve: Serve) -> None:
    """An answer to HEAD has no body: the reason comes from a GET."""
    server = serve({})
    with pytest.raises(NotFound) as caught:
        fastget.head(server.url("/b/none"))
    assert caught.value.reply is not None
    assert caught.value.reply.code == "NoSuchKey"


# Destinations ----------------------------------------------------------------------------------------------------


@pytest.mark.fault("X8")
def test_a_directory_is_no_destination(server: ObjectServer, tmp_path: Path) -> None:
    for path in (tmp_path, f"{tmp_path}/", tmp_path / "."):
        error = failure(server.url("/b/k"), path)
        assert isinstance(error, DestinationError)
        assert isinstance(error, OSError)
        assert "directory" in str(error)
        # Good for a caller of the library, who has no flags, and for one of the command.
        assert error.hint == "give the name of a file in it; the command takes a directory alone by -d"
    assert not server.requests
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]


@pytest.mark.fault("X7")
def test_a_directory_that_is_missing_is_told_before_anything_is_asked(server: ObjectServer, tmp_path: Path) -> None:
    error = failure(server.url("/b/k"), tmp_path / "none" / "object.bin")
    assert isinstance(error, DestinationError)
    assert os.strerror(errno.ENOENT) in str(error)
    assert error.path == str(tmp_path / "none" / "object.bin")
    assert "directory" in (error.hint or "")
    assert not server.requests
    assert not (tmp_path / "none").exists()


@pytest.mark.fault("X7")
def test_a_file_in_place_of_a_directory_is_told(server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    error = failure(server.url("/b/k"), tmp_path / "file" / "object.bin")
    assert isinstance(error, DestinationError)
    assert error.hint
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_is_none_is_a_config_error(server: ObjectServer, path: str) -> None:
    error = failure(server.url("/b/k"), path)
    assert isinstance(error, ConfigError)
    assert error.hint
    assert not server.requests


@pytest.mark.parametrize("path", [5, None, io.BytesIO()], ids=["number", "none", "file"])
def test_what_names_no_destination_is_a_config_error(server: ObjectServer, path: Any) -> None:
    assert failure(server.url("/b/k"), path).hint
    with pytest.raises(ConfigError, match="destination"):
        fastget.pull([server.url("/b/k")], path)
    assert not server.requests


def test_an_empty_name_of_a_directory_is_told_without_a_flag(server: ObjectServer) -> None:
    with pytest.raises(ConfigError, match="not the name of a directory") as caught:
        fastget.pull([server.url("/b/k")], "")
    assert caught.value.hint == "give the path of a directory"


def test_a_destination_that_no_file_can_be_named_by_is_told_before_the_first_request(server: ObjectServer) -> None:
    with pytest.raises(DestinationError, match="becomes no file"):
        fastget.download(server.url("/b/k"), "half\ud800")
    with pytest.raises(DestinationError, match="becomes no file"):
        fastget.pull([server.url("/b/k")], "half\ud800")
    assert not server.requests


@pytest.mark.parametrize("what", [5, None, Path("s3:/bucket/prefix")], ids=["number", "none", "path"])
def test_what_is_neither_a_prefix_nor_a_list_is_not_pulled(tmp_path: Path, what: Any) -> None:
    with pytest.raises(ConfigError, match=type(what).__name__):
        fastget.pull(what, tmp_path)


@pytest.mark.fault("S24")
def test_a_file_that_is_there_is_kept_where_overwriting_is_not_allowed(server: ObjectServer, destination: Path) -> None:
    destination.write_bytes(b"mine")
    error = failure(server.url("/b/k"), destination, overwrite=False)
    assert isinstance(error, DestinationError)
    assert "exists" in str(error)
    assert error.hint
    assert not server.requests
    assert destination.read_bytes() == b"mine"
    assert list(destination.parent.iterdir()) == [destination]


def test_an_object_larger_than_the_free_space_is_refused_before_its_bytes(serve: Serve, destination: Path) -> None:
    system = os.statvfs(destination.parent)
    size = (system.f_blocks + 1) * system.f_frsize
    stored = StoredObject(Content.generated(size, seed=1))
    server = serve({"/b/k": stored}, behaviour=Behaviour(rate_per_connection=1_000_000.0))
    destination.write_bytes(b"mine")
    error = failure(server.url("/b/k"), destination)
    assert isinstance(error, NoSpace)
    assert str(size) in str(error)
    assert "space" in (error.hint or "")
    assert destination.read_bytes() == b"mine"
    assert list(destination.parent.iterdir()) == [destination]


def test_a_full_device_is_no_space(server: ObjectServer) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    error = failure(server.url("/b/k"), "/dev/full")
    assert isinstance(error, NoSpace)
    assert "/dev/full" in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("fault", "verbs"),
    [
        (faults.stall(1000), VERBS_WITH_BODIES),
        (faults.reset_before_answer(), [*VERBS_WITH_BODIES, "head"]),
        (faults.garbage(), [*VERBS_WITH_BODIES, "head"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_goes_wrong_on_a_connection_tells_of_which_object(
    serve: Serve, tmp_path: Path, fault: Fault, verbs: list[str]
) -> None:
    server = serve({"/b/k": StoredObject(Content.generated(50_000))}, faults=[fault.on(method=None).always()])
    url = f"{server.url('/b/k')}?{SECRET}"
    options: dict[str, Any] = {**QUICK, "stall_timeout": 0.2}
    of_store = {**options, "Bucket": "b", "Key": "k", "endpoint_url": server.base_url, "no_sign_request": True}

    def read_body() -> None:
        s3.get_object(**of_store)["Body"].read()

    calls: dict[str, Callable[[], object]] = {
        "download": lambda: fastget.download(url, tmp_path / "k", **options),
        "read": lambda: fastget.read(url, **options),
        "slice": lambda: fastget.read(url, 0, 40_000, **options),
        "read_into": lambda: fastget.read_into(url, bytearray(50_000), **options),
        "read_ranges": lambda: fastget.read_ranges(url, [(0, 40_000)], **options),
        "stream": lambda: list(fastget.stream(url, **options)),
        "head": lambda: fastget.head(url, **options),
        "body": read_body,
        "pull": lambda: fastget.pull([url], tmp_path, **options).raise_for_failures(),
    }
    for verb in verbs:
        with pytest.raises(NetworkError) as caught:
            calls[verb]()
        assert caught.value.url == ("s3://b/k" if verb == "body" else f"{server.url('/b/k')}?…"), verb
