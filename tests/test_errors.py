"""The exception tree: as drawn, complete, and able to cross a process border with everything that it knows."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from fastget import errors
from fastget.errors import (
    ChecksumMismatch,
    ConfigError,
    DestinationError,
    FastgetError,
    NetworkError,
    NoSpace,
    ServerReply,
    SourceError,
    Stalled,
)

REPLY = ServerReply(503, "SlowDown", "Please reduce your request rate.", "4442587FB7D0A2F9", "host/id=", 1.5)
KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FastgetError)),
    key=lambda kind: kind.__name__,
)
# Options of a constructor beside the message, with a value that is not the default.
EXTRAS: dict[str, Any] = {
    "hint": "try again",
    "url": "https://host/key",
    "reply": REPLY,
    "is_transient": False,
    "algorithm": "crc32",
    "expected": "00000000",
    "actual": "ffffffff",
    "path": "/data/file",
}


def told_everything(kind: type[FastgetError]) -> tuple[FastgetError, dict[str, Any]]:
    """An error of a kind with every option of its constructor given, and these options."""
    given = {name: EXTRAS[name] for name in inspect.signature(kind.__init__).parameters if name in EXTRAS}
    return kind("it went wrong", **given), given


def drawn_tree() -> dict[str, str]:
    """Child to parent, from the drawing in the docstring of the module."""
    tree: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([ │├└─]*)([A-Z]\w+)(?=\s|$)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        branch = [*branch[:depth], match[2]]
        if depth:
            tree[match[2]] = branch[depth - 1]
    return tree


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes() -> None:
    parents = {
        kind.__name__: base.__name__ for kind in KINDS for base in kind.__bases__ if issubclass(base, FastgetError)
    }
    assert drawn_tree() == parents


@pytest.mark.parametrize("kind", KINDS)
def test_the_docstring_names_the_builtin_that_an_error_also_is(kind: type[FastgetError]) -> None:
    builtin = next((base for base in kind.__bases__ if not issubclass(base, FastgetError)), None)
    drawn = next(line for line in (errors.__doc__ or "").splitlines() if re.search(rf"\b{kind.__name__}\b", line))
    if builtin not in (None, Exception):
        assert f"(also a {builtin.__name__})" in drawn or f"(also an {builtin.__name__})" in drawn
    else:
        assert "also a" not in drawn


def test_the_public_names_are_the_classes() -> None:
    assert sorted(errors.__all__) == errors.__all__
    assert set(errors.__all__) == {kind.__name__ for kind in KINDS} | {"ServerReply"}


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigError, ValueError),
        (errors.InvalidURL, ValueError),
        (NetworkError, ConnectionError),
        (Stalled, TimeoutError),
        (errors.ProtocolError, ConnectionError),
        (DestinationError, OSError),
        (NoSpace, OSError),
    ],
)
def test_an_error_is_caught_as_the_builtin_that_says_the_same(
    kind: type[FastgetError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match="it went wrong"):
        raise kind("it went wrong")


def test_a_stores_answer_is_no_failure_of_the_network_or_the_disk() -> None:
    for kind in KINDS:
        if issubclass(kind, SourceError):
            assert not issubclass(kind, OSError)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_what_it_was_told(kind: type[FastgetError]) -> None:
    error, given = told_everything(kind)
    assert str(error) == error.message == "it went wrong"
    assert error.args == ("it went wrong",)
    for name, value in given.items():
        assert getattr(error, name) == value
    bare = kind("alone")
    assert (bare.hint, bare.url, bare.reply) == (None, None, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles_with_all_that_it_knows(kind: type[FastgetError], protocol: int) -> None:
    error, given = told_everything(kind)
    error.add_note("seen by a worker")
    restored = pickle.loads(pickle.dumps(error, protocol))
    assert type(restored) is kind
    assert str(restored) == str(error)
    assert restored.args == error.args
    assert vars(restored) == vars(error)
    assert restored.__notes__ == ["seen by a worker"]
    for name, value in given.items():
        assert getattr(restored, name) == value


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_can_be_copied(kind: type[FastgetError]) -> None:
    error, _ = told_everything(kind)
    for twin in (copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert twin is not error
        assert vars(twin) == vars(error)


def _fail(kind: type[FastgetError]) -> None:
    raise told_everything(kind)[0]


def test_errors_come_back_from_another_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        results = [(kind, pool.submit(_fail, kind)) for kind in (ChecksumMismatch, NoSpace, Stalled, errors.Throttled)]
        for kind, result in results:
            with pytest.raises(kind, match="it went wrong") as caught:
                result.result(timeout=60)
            assert vars(caught.value).items() >= told_everything(kind)[1].items()


def test_what_an_error_adds_to_its_kind_survives_as_well() -> None:
    mismatch = ChecksumMismatch("other bytes", algorithm="sha256", expected="aa", actual="bb", url="https://h/k")
    restored = pickle.loads(pickle.dumps(mismatch))
    assert (restored.algorithm, restored.expected, restored.actual) == ("sha256", "aa", "bb")
    full = pickle.loads(pickle.dumps(NoSpace("the disk is full", path="/data/file", hint="make room")))
    assert (full.path, full.hint) == ("/data/file", "make room")
    final = pickle.loads(pickle.dumps(NetworkError("no such host", is_transient=False)))
    assert not final.is_transient


def test_a_reply_is_a_value() -> None:
    assert pickle.loads(pickle.dumps(REPLY)) == REPLY
    assert ServerReply(404) == ServerReply(404, None, None, None, None, None)
