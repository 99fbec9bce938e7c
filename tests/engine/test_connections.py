"""How many connections a download begins with, after another one from the same store."""

from __future__ import annotations

from pathlib import Path

import fastget
from fastget.core.governor import FAR, MANY
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
