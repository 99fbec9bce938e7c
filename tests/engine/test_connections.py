"""How many connections a download begins with, after another one from the same store."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastget
from fastget.core import planner
from fastget.core.governor import FAR, MANY, STORE_LIMIT
from fastget.events import Event, Started
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject

KIB, MIB = 1024, 1024 * 1024


def test_an_object_of_few_pieces_does_not_teach_that_few_connections_pay(tmp_path: Path) -> None:
    begun: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, Started):
            begun.append(event.connections)

    objects = {f"/bucket/{size}": StoredObject(Content.generated(size * MIB, seed=size)) for size in (1, 16)}
    with ObjectServer(objects, behaviour=Behaviour(first_byte_delay=(2 * FAR, 2 * FAR))) as server:
        for size in (1, 16):
            url = server.url(f"/bucket/{size}")
            fastget.download(url, tmp_path / str(size), part_size=256 * KIB, on_event=note)
    assert begun == [4, MANY]


def test_pieces_of_an_object_stores_objects_are_cut_for_as_many_connections_as_it_bears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in "SMALLEST_CHUNK", "WORTH_A_WAIT":
        monkeypatch.setattr(planner, bound, MIB)
    size = 96 * MIB
    few, many = planner.chunk_size_for(size), planner.chunk_size_for(size, STORE_LIMIT)
    assert many < few
    stored = StoredObject(Content.generated(size, seed=3))
    with ObjectServer({"/bucket/key": stored}, behaviour=Behaviour(first_byte_delay=(2 * FAR, 2 * FAR))) as server:
        fastget.download(server.url("/bucket/key"), tmp_path / "key", fsync=False)
        ranges = [asked.range.removeprefix("bytes=").split("-") for asked in server.requests if asked.range]
    assert max(int(last) + 1 - int(first) for first, last in ranges) == many
