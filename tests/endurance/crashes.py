"""The disks that a power loss may leave, after the steps of a program up to any moment."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

PAGE = 4096


@dataclass(frozen=True, slots=True)
class Step:
    """One change. Of a file: bytes at an offset, a length, a flush. Of the directory: a name, taken, moved or freed."""

    kind: str
    file: int = -1
    name: str = ""
    other: str = ""
    offset: int = 0
    data: bytes = b""

    @property
    def is_of_directory(self) -> bool:
        return self.kind in ("name", "move", "free", "flush names")


Disk = dict[str, bytes]
Changes = dict[int, Step | None]


def disks(before: Disk, steps: Sequence[Step], limit: int, chance: random.Random) -> Iterator[Disk]:
    """So many different disks, of all moments and of all that may be missing then."""
    planned = list(_crashes(steps, chance))
    chance.shuffle(planned)
    seen: set[bytes] = set()
    for moment, instead in planned:
        disk = _disk(before, steps[:moment], instead)
        hasher = hashlib.sha256()
        for name, data in sorted(disk.items()):
            hasher.update(f"{name} {len(data)} ".encode())
            hasher.update(data)
        if hasher.digest() not in seen:
            seen.add(hasher.digest())
            yield disk
        if len(seen) == limit:
            return


def _crashes(steps: Sequence[Step], chance: random.Random) -> Iterator[tuple[int, Changes]]:
    """Every moment; for each the whole, each open step missing or torn, pairs of the last, all, and random ones."""
    for moment in range(len(steps) + 1):
        unsure = [at for at in range(moment) if not _is_durable(steps[:moment], at)]
        yield moment, {}
        yield moment, dict.fromkeys(unsure)
        for at in unsure:
            for instead in (None, *_torn(steps[at], chance)):
                yield moment, {at: instead}
        for pair in itertools.combinations(unsure[-6:], 2):
            yield moment, dict.fromkeys(pair)
        for _ in range(20):
            some = chance.sample(unsure, chance.randint(0, len(unsure)))
            yield moment, {at: chance.choice((None, *_torn(steps[at], chance))) for at in some}


def _is_durable(done: Sequence[Step], at: int) -> bool:
    step = done[at]
    if step.kind.startswith("flush"):
        return True
    if step.is_of_directory:
        return any(later.kind == "flush names" for later in done[at:])
    return any(later.kind == "flush" and later.file == step.file for later in done[at:])


def _torn(step: Step, chance: random.Random) -> tuple[Step, ...]:
    """What may be there of a write: its first pages, its first bytes, or its length alone."""
    if step.kind != "write":
        return ()
    page = chance.randrange(len(step.data) + 1) // PAGE * PAGE
    cut = chance.randrange(len(step.data))
    return (
        replace(step, data=step.data[:page]),
        replace(step, data=step.data[:cut]),
        replace(step, data=bytes(len(step.data))),
        replace(step, data=step.data[:cut] + bytes(len(step.data) - cut)),
    )


def _disk(before: Disk, steps: Sequence[Step], instead: Changes) -> Disk:
    """The folder after these steps, some of which are missing (None) or others."""
    names = {name: number for number, name in enumerate(before)}
    files = {names[name]: bytearray(data) for name, data in before.items()}
    for at, planned in enumerate(steps):
        step = instead.get(at, planned)
        if step is None:
            continue
        if step.is_of_directory:
            _change_names(names, step)
        else:
            _change_file(files.setdefault(step.file, bytearray()), step)
    return {name: bytes(files.get(file, b"")) for name, file in names.items()}


def _change_names(names: dict[str, int], step: Step) -> None:
    if step.kind == "name":
        names[step.name] = step.file
    elif step.kind == "move" and step.name in names:
        names[step.other] = names.pop(step.name)
    elif step.kind == "free":
        names.pop(step.name, None)


def _change_file(data: bytearray, step: Step) -> None:
    stop = step.offset + len(step.data) if step.kind == "write" else step.offset
    if step.kind in ("write", "lengthen", "cut") and len(data) < stop:
        data.extend(bytes(stop - len(data)))
    if step.kind == "write":
        data[step.offset : stop] = step.data
    elif step.kind == "cut":
        del data[stop:]
