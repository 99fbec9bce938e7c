"""What holds for every test: a clean environment, a leak check, a last line that names missing servers."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from fastget.testing import ObjectServer, StoredObject

_PREFIXES = ("AWS_", "BOTO_", "COS_", "FASTGET_", "IBM_")
_NAMES = ("NETRC", "NO_COLOR", "FORCE_COLOR", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_NOT_FOUND = "server not found: "

# The tests run without any FASTGET_* variable, so what is meant for the tests themselves is read before that.
_REQUIRE_SERVERS = os.environ.get("FASTGET_REQUIRE_SERVERS") == "1"
_LOCALSTACK_PYTHON = os.environ.get("FASTGET_LOCALSTACK_PYTHON")

# A slow machine fails no test; a change is judged by the same examples each time, while people at work meet new ones.
settings.register_profile("fastget", deadline=None, derandomize=_REQUIRE_SERVERS)
settings.load_profile("fastget")


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No proxy, credential or option of the person who runs the tests reaches one of them."""
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_PREFIXES) or name in (*_NAMES, *_BUNDLES) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("HOME", home)
        patch.setenv("USERPROFILE", home)
        # Otherwise a look for credentials would ask 169.254.169.254, outside of this machine.
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture
def watched() -> Callable[[Iterable[tuple[str, str]]], Any]:
    """Makes headers of fields that keep, as `asked`, which of them were asked for."""
    from fastget.core.messages import Headers

    class Watched(Headers):
        def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
            super().__init__(fields)
            self.asked: set[str] = set()

        def get(self, name: str) -> str | None:
            self.asked.add(name)
            return super().get(name)

        def get_all(self, name: str) -> tuple[str, ...]:
            self.asked.add(name)
            return super().get_all(name)

        def __contains__(self, name: object) -> bool:
            self.asked.add(str(name))
            return super().__contains__(name)

    return Watched


@pytest.fixture(scope="session")
def server_not_found() -> Callable[[str, str], NoReturn]:
    """Ends a test whose server is not installed: skips it, or fails it where FASTGET_REQUIRE_SERVERS is 1.

    Called with the server's name and with what to do to have it.
    """

    def end(name: str, remedy: str) -> NoReturn:
        message = f"{_NOT_FOUND}{name} ({remedy})"
        if _REQUIRE_SERVERS:
            pytest.fail(message, pytrace=False)
        pytest.skip(message)

    return end


@pytest.fixture(scope="session")
def localstack_python() -> str | None:
    """The interpreter of an environment that holds LocalStack (CONTRIBUTING.md), or None."""
    return _LOCALSTACK_PYTHON


@pytest.fixture(autouse=True)
def _nothing_known_of_stores() -> None:
    """What one test's server has taught is not taken for true of another's, which may have got the same port."""
    if "fastget.client" in sys.modules:
        sys.modules["fastget.client"]._stores.forget()


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """A file name in a directory that must hold nothing else in the end."""
    directory = tmp_path / "out"
    directory.mkdir()
    return directory / "object.bin"


@pytest.fixture
def serve() -> Iterator[Callable[..., ObjectServer]]:
    """Start object servers that end with the test."""
    from fastget.testing import ObjectServer

    with ExitStack() as servers:

        def begin(objects: dict[str, StoredObject], **options: Any) -> ObjectServer:
            return servers.enter_context(ObjectServer(objects, **options))

        yield begin


@pytest.fixture
def two_to_begin_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """From servers next door a download of this process is begun by two connections, so that ranges are asked for.

    One would do, and might fetch all of a small object before there is a second one.
    """
    monkeypatch.setattr("fastget.core.governor.START", 2)


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """The test leaves no thread running and no descriptor open that was not there before it."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    started = set(threading.enumerate()) - threads
    for thread in started:
        thread.join(timeout=15)  # at once where all is well; a busy machine may keep it from its last steps
    if _descriptors() - descriptors:
        gc.collect()  # an exception holds what its frames held; only then, because it takes long late in a test run
    running = sorted(thread.name for thread in started if thread.is_alive())
    assert not running, f"threads that still run: {', '.join(running)}"
    opened = sorted(_descriptors() - descriptors)
    assert not opened, f"descriptors that are still open: {', '.join(opened)}"


@pytest.fixture
def no_children() -> Iterator[None]:
    """No process that the test has started is left, not even a dead one that nobody has waited for."""
    before = set(psutil.Process().children())  # what multiprocessing keeps for other tests of this process, say
    yield
    assert set(psutil.Process().children()) <= before


@pytest.fixture
def busy_children() -> Callable[..., list[psutil.Process]]:
    """Finds the processes that share the work of this one, or of process `parent`, and talk to a server's port.

    Those of its descendants, too.
    """

    def find(port: int, parent: int | None = None) -> list[psutil.Process]:
        return [child for child in psutil.Process(parent).children(recursive=True) if _is_busy(child, port)]

    return find


def _is_busy(child: psutil.Process, port: int) -> bool:
    try:
        # Between its fork and its exec it looks like this process, sockets and all.
        has_begun = any(text.endswith("processes.child") for text in child.cmdline())
        links = child.net_connections("tcp") if has_begun else []
    except psutil.Error:  # it has just ended
        return False
    return any(link.raddr and link.raddr.port == port for link in links)


def _descriptors() -> set[str]:
    """Number and target of every open descriptor; nothing on systems that do not list them as links."""
    folder = Path("/dev/fd")
    found = set()
    for descriptor in folder.iterdir() if folder.is_dir() else ():
        try:
            found.add(f"{descriptor.name} -> {descriptor.readlink()}")
        except OSError:  # the descriptor of this very listing has gone already
            continue
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-compatibility", action="store_true", help="write what stores do into docs/compatibility.md"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = {
        found.partition(_NOT_FOUND)[2].strip()
        for outcome in ("skipped", "failed", "error")
        for report in terminalreporter.getreports(outcome)
        for found in _reason(report).splitlines()
        if _NOT_FOUND in found
    }
    if missing:
        terminalreporter.write_line(f"servers not found: {', '.join(sorted(missing))}", yellow=True)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped or failed; reports travel from the workers of pytest-xdist, variables do not."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
