"""How many connections a download begins with, after another one from the same store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fastget
from fastget.core import planner
from fastget.core.governor import FAR, LIMIT, MANY, STORE_LIMIT
from fastget.core.store_memory import StoreFacts
from fastget.engine.workers.crew import governor_for
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


@pytest.mark.parametrize("is_object_store", [True, False])
@pytest.mark.parametrize("processes", [2, 3, 8])
def test_the_most_connections_and_the_first_ones_are_those_of_all_processes_together(
    processes: int, is_object_store: bool
) -> None:
    facts = StoreFacts(wait=2 * FAR, is_object_store=is_object_store)
    alone, each = governor_for(None, 1000, facts), governor_for(None, 1000, facts, processes)
    assert alone.limit == (STORE_LIMIT if is_object_store else LIMIT)
    assert alone.limit - processes < each.limit * processes <= alone.limit
    assert alone.wanted <= each.wanted * processes < alone.wanted + processes
    assert governor_for(None, 1000, replace(facts, bears=1), processes).limit == 1


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
