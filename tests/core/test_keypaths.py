"""Keys become paths under a directory, or are refused; nothing in between."""

from __future__ import annotations

import posixpath
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.keypaths import DEEPEST, LONGEST_NAME, Marker, Placed, Refused, Taken, place

KEYS = st.text(st.sampled_from("ab./\\ é\x00\n%+:"), max_size=24) | st.text(max_size=40)


@pytest.mark.parametrize(
    ("key", "prefix", "path"),
    [
        ("a", "", "a"),
        ("data/2024/x.bin", "", "data/2024/x.bin"),
        ("data/2024/x.bin", "data/", "2024/x.bin"),
        ("data/2024/x.bin", "data", "data/2024/x.bin"),
        ("data/2024/x.bin", "data/20", "2024/x.bin"),
        ("a b+c%20é", "", "a b+c%20é"),
        (".hidden/..x/x..", "", ".hidden/..x/x.."),
        ("http://x".replace("//", "/"), "", "http:/x"),
    ],
)
def test_an_ordinary_key_keeps_its_name(key: str, prefix: str, path: str) -> None:
    assert place(key, prefix) == Placed(path)


@pytest.mark.fault("S1", "S2", "S3", "S8")
@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "a/../../x",
        "..",
        "a/..",
        "./x",
        "a/./x",
        "/abs",
        "//x",
        "a//b",
        "a\x00b",
        "a\nb",
        "a\x1b[31mb",
        "a\x85b",
        "a\u2028b",
        "x" * (LONGEST_NAME + 1),
        "é" * 128,
        "/".join("x" * (DEEPEST + 1)),
        "/".join(["x" * 250] * 20),
        "\ud800",
        "C:\\x",
        "c:x",
        "\\\\srv\\x",
        "..\\win",
    ],
)
def test_a_hostile_key_is_refused_with_a_reason(key: str) -> None:
    verdict = place(key)

    assert isinstance(verdict, Refused)
    assert verdict.reason.isprintable()


@pytest.mark.fault("S4")
@pytest.mark.parametrize("key", ["CON", "aux.txt", "com1", "x.", "x ", "ab:c", "a|b", "a/nul/b"])
def test_windows_refuses_more(key: str) -> None:
    assert isinstance(place(key), Placed)
    assert isinstance(place(key, windows=True), Refused)


@pytest.mark.parametrize("key", ["dir/", "data/dir/", "data/"])
def test_a_key_with_a_slash_at_its_end_is_a_directory(key: str) -> None:
    assert place(key, "data/" if key.startswith("data/") else "") == Marker()


@pytest.mark.fault("S9")
def test_a_key_outside_of_the_prefix_is_refused() -> None:
    assert isinstance(place("other/x", "data/"), Refused)


@pytest.mark.fault("S1")
@given(KEYS)
def test_what_is_placed_stays_below_the_directory(key: str) -> None:
    verdict = place(key)

    if isinstance(verdict, Placed):
        joined = posixpath.normpath(posixpath.join("/dest", verdict.path))
        assert joined == f"/dest/{verdict.path}"
        assert verdict.path == key


@given(KEYS, KEYS)
def test_two_keys_never_become_one_path(one: str, other: str) -> None:
    first, second = place(one), place(other)

    if isinstance(first, Placed) and isinstance(second, Placed):
        assert (first == second) == (one == other)


@pytest.mark.fault("S6")
def test_a_file_and_a_directory_of_one_name_exclude_each_other() -> None:
    taken = Taken()

    assert taken.take("a") is None
    assert "file of another object" in str(taken.take("a/b"))
    assert taken.take("c/d/e") is None
    assert "directory" in str(taken.take("c/d"))
    assert taken.take("c/d/f") is None
    assert "same name" in str(taken.take("a"))


@pytest.mark.fault("S5")
@pytest.mark.parametrize(("one", "other"), [("A", "a"), ("caf\u00e9", "cafe\u0301"), ("dir/X", "DIR/x")])
def test_names_that_a_file_system_folds_into_one_are_found(one: str, other: str) -> None:
    folding, exact = Taken(folds=True), Taken()

    assert folding.take(one) is None
    assert folding.take(other) is not None
    assert exact.take(one) is None
    assert exact.take(other) is None


def test_long_paths_in_directories_of_their_own_take_some_hundred_bytes_each() -> None:
    count = 2000
    paths = [f"{number:08}" * 12 + "/" + "/".join(["d" * 100] * 4 + ["x" * 200]) for number in range(count)]
    tracemalloc.start()
    try:
        taken = Taken()
        assert all(taken.take(path) is None for path in paths)
        assert tracemalloc.get_traced_memory()[0] < 900 * count
    finally:
        tracemalloc.stop()
    assert all(taken.take(path) for path in paths[:10])
    assert taken.take(paths[0] + "/below") is not None
    assert taken.take(paths[0].rpartition("/")[0]) is not None
