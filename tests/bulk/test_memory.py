"""A pull takes as much memory for a hundred thousand objects as for a thousand."""

from __future__ import annotations

import threading
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastget.bulk.folder import Folder
from fastget.bulk.items import Item, from_listing
from fastget.bulk.outcome import MOST_KEPT, PullResult
from fastget.bulk.pull import Pull
from fastget.bulk.unserved import Asking
from fastget.config import Config
from fastget.core.objectinfo import ObjectInfo
from fastget.engine.cancellation import Cancellation
from fastget.errors import NotFound
from fastget.events import Result
from fastget.sources.resolve import resolve
from fastget.sources.s3 import S3Source

KIB = 1024
FEW, MANY = 2_000, 40_000
_RESULT = Result("s3://b/k", None, 7, None, None, 0.0, 7, 0, 1, 0, 0, 0, 1, "stream", None)  # type: ignore[arg-type]


class Fetched:
    """Whatever is asked for is here at once, or missing; nothing is written."""

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails
        self._source = resolve("s3://b/k", Config())
        self.found_size = None
        self.asking = Asking()

    def source(self, item: Item) -> Any:
        assert isinstance(self._source, S3Source)
        return self._source

    def fetcher(self, _: Cancellation) -> Any:
        return self

    def fetch_small(self, *_: Any, **__: Any) -> Result:
        if self._fails:
            raise NotFound("there is no such object")
        return _RESULT

    def fetch(self, *_: Any) -> Result:
        raise AssertionError("a small object was fetched")

    def lend(self, _: Any) -> None:
        """Nothing is lent."""

    def start(self, _: Any) -> None:
        """Nothing is known."""

    def borne(self, _: Any) -> None:
        """Nothing is known."""

    def learn_borne(self, *_: Any) -> None:
        """Nothing is forgotten."""

    def rest(self) -> None:
        """Nothing is held."""

    def make_room(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is held."""


class _Verified:
    verified = True


object.__setattr__(_RESULT, "verification", _Verified())


def listing(count: int) -> Iterator[ObjectInfo]:
    for number in range(count):
        key = f"data/{number % 7}/object-{number:08}.bin"
        yield ObjectInfo(f"s3://b/{key}", 7, key=key)


def peak(directory: Path, count: int, *, fails: bool = False) -> tuple[int, PullResult]:
    tracemalloc.start()
    try:
        with Folder(directory) as folder:
            items = from_listing(listing(count), "data/")
            result = Pull(items, folder, Config(jobs=2), Fetched(fails=fails), Cancellation()).run()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def test_twenty_times_the_objects_take_no_more_memory(tmp_path: Path) -> None:
    peak(tmp_path, 100)
    few, _ = peak(tmp_path, FEW)
    many, result = peak(tmp_path, MANY)
    assert (result.done, result.failed, result.size) == (MANY, 0, 7 * MANY)
    # A second thread, which comes only where there is enough to do, takes 300 KiB once: 6 bytes an object are seen.
    assert many - few < 512 * KIB


def test_failures_are_kept_up_to_a_number_and_counted(tmp_path: Path) -> None:
    _, result = peak(tmp_path, FEW, fails=True)
    assert (result.done, result.failed, len(result.failures)) == (0, FEW, MOST_KEPT)


class _Held:
    """What a transfer holds when it fails."""


class _Failing(Fetched):
    """Two threads fail in turns; of what they have held, and of their errors, it knows what is still there."""

    def __init__(self) -> None:
        super().__init__(fails=True)
        self._both = threading.Barrier(2, timeout=60)
        self.errors: weakref.WeakSet[NotFound] = weakref.WeakSet()
        self.held: weakref.WeakSet[_Held] = weakref.WeakSet()
        self.most_errors = self.most_held = 0

    def fetch_small(self, *_: Any, **__: Any) -> Result:
        self._both.wait()
        held, error = _Held(), NotFound("there is no such object")
        self.most_errors = max(self.most_errors, len(self.errors))
        self.most_held = max(self.most_held, len(self.held))
        self._both.wait()
        self.errors.add(error)
        self.held.add(held)
        raise error from ValueError(held.__class__.__name__)


def test_all_threads_together_keep_a_thousand_failures_and_nothing_of_what_the_transfers_had(tmp_path: Path) -> None:
    failing = _Failing()
    with Folder(tmp_path) as folder:
        items = from_listing(listing(4 * MOST_KEPT), "data/")
        result = Pull(items, folder, Config(jobs=2), failing, Cancellation()).run()
    assert (result.failed, len(result.failures)) == (4 * MOST_KEPT, MOST_KEPT)
    assert failing.most_errors < MOST_KEPT + 50
    assert failing.most_held < 50
