"""Power loss at any moment: the calls of the real program are recorded, the disks that it may leave are made, and each
of them has to hold a whole file or none, and to be gone on with to the right bytes.

Until a file is flushed any of its writes may be missing, torn or zero, whatever came later; until a directory is
flushed any of its changes may be missing (faults.md A5).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from fastget.client import Client
from fastget.core import journal
from fastget.engine import earlier
from fastget.engine.cancellation import Cancellation
from fastget.errors import Cancelled
from fastget.events import Event, Progress
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject
from tests.endurance.command import begin, end, python
from tests.endurance.verdict import Verdict

# Thousands of disks are made: the program is told that little is much.
SIZE, SMALL, PIECE, BLOCK = 300_001, 20_001, 65_536, 16_384
OLD = b"what was there before"
NAME = "k"
STATES, FEW = 3_000, 240
PAGE = 4096
CALLS = "openat,pwrite64,write,fallocate,ftruncate,fsync,fdatasync,renameat,renameat2,rename,linkat,unlinkat,close"
PROGRAM = f"""
import sys
from fastget.core import journal
from fastget.engine import earlier
journal.SMALLEST_BLOCK, earlier.SMALLEST_CHUNK = {BLOCK}, {PIECE}
from fastget.__main__ import main
sys.argv[0] = "fastget"
sys.exit(main())
"""

_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<words>.*)\) += (?P<result>-?\d+).*")
_UNFINISHED = re.compile(r"(?P<pid>\d+) +(?P<start>.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


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


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Downloads to a new name, over an old file, without a journal, and one that goes on."""
    del without
    verdict, chance = Verdict(), random.Random(seed)
    large, small = Content.generated(SIZE, seed=seed), Content.generated(SMALL, seed=seed)
    objects = {
        "/large": StoredObject(large, checksum=Algorithm.CRC64NVME),
        "/small": StoredObject(small, checksum=Algorithm.CRC64NVME),
    }
    states = resumed = strays = 0
    with ObjectServer(objects) as server, _small_blocks():
        scenes: list[tuple[str, Content, Disk]] = [
            ("/large", large, {NAME: OLD}),
            ("/large", large, {}),
            ("/large", large, _interrupted(server.url("/large"))),
            ("/small", small, {NAME: OLD}),
        ]
        for number, (path, content, before) in enumerate(scenes):
            steps = _record(server.url(path), before, content.read())
            verdict.require(any(step.kind == "flush" for step in steps), f"scene {number}: nothing was recorded")
            wanted, old = content.read(), before.get(NAME)
            share = (FEW if short else STATES) * (len(scenes) - number) * 2 // (len(scenes) * (len(scenes) + 1))
            for disk in _disks(before, steps, share, chance):
                states += 1
                found = disk.get(NAME)
                verdict.require(found in (old, wanted), f"scene {number}: a wrong file stands at the name")
                bytes_resumed, left = _go_on(server.url(path), disk, wanted, verdict, f"scene {number}")
                resumed += bytes_resumed > 0
                strays += left
    verdict.require(states >= (FEW * 0.8 if short else 2_000), f"only {states} states")
    verdict.require(not strays, f"{strays} states leave hidden files beside the finished one")
    verdict.require(resumed > states // 10, f"only {resumed} states were gone on with")
    verdict.figures = {"states": states, "gone on with": resumed, "with files left over": strays}
    verdict.figures["wrong"] = len(verdict.failures)
    return verdict


@contextmanager
def _small_blocks() -> Iterator[None]:
    with mock.patch.object(journal, "SMALLEST_BLOCK", BLOCK), mock.patch.object(earlier, "SMALLEST_CHUNK", PIECE):
        yield


def _interrupted(url: str) -> Disk:
    """What a download leaves that was stopped half way."""
    scope = Cancellation()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.landed:
            scope.cancel()

    with tempfile.TemporaryDirectory(prefix="fastget-power-") as name:
        try:
            with Client(part_size=PIECE, connections=2) as client, mock.patch("fastget.engine.crew.TICK", 0.0):
                client.transfer_to_file(url, Path(name) / NAME, scope, on_event=stop)
        except Cancelled:
            return _read(Path(name))
    return {}


def _read(folder: Path) -> Disk:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _write(disk: Disk, folder: Path) -> None:
    for name, data in disk.items():
        path = folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        os.utime(path, (1, 1))  # the machine takes its time to start again


def _record(url: str, before: Disk, wanted: bytes) -> list[Step]:
    """The steps of the real program, by strace."""
    with tempfile.TemporaryDirectory(prefix="fastget-power-") as name:
        folder, trace = Path(name) / "folder", Path(name) / "trace"
        folder.mkdir()
        _write(before, folder)
        tracing = ("strace", "-f", "-qq", "-xx", "-s", "16384", "-o", str(trace), "-e", f"trace={CALLS}")
        words = ("-o", str(folder / NAME), "-q", "--part-size", str(PIECE), "--connections", "2")
        process = begin((*tracing, *python("-c", PROGRAM), url, *words), folder)
        status, said = end(process)
        if status != 0 or (folder / NAME).read_bytes() != wanted:
            raise RuntimeError(f"the program failed under strace: {said}")
        return _Reader(folder, before, wanted).steps(trace.read_text())


class _Reader:
    """Follows the descriptors of one process that lead to one folder."""

    def __init__(self, folder: Path, before: Disk, wanted: bytes) -> None:
        self._folder = str(folder)
        self._wanted = wanted
        self._names = {name: number for number, name in enumerate(before)}
        self._appended = {self._names[name]: len(data) for name, data in before.items()}
        self._count = itertools.count(len(before))
        self._descriptors: dict[int, int] = {}
        self._directories: set[int] = set()
        self._steps: list[Step] = []

    def steps(self, trace: str) -> list[Step]:
        waiting: dict[str, str] = {}
        for line in trace.splitlines():
            if (found := _UNFINISHED.match(line)) is not None:
                waiting[found["pid"]] = found["start"]
                continue
            whole = line
            if (found := _RESUMED.match(line)) is not None:
                whole = f"{found['pid']} {waiting.pop(found['pid'], '')}{found['rest']}"
            call = _LINE.match(whole)
            if call is not None and int(call["result"]) >= 0:
                words = call["words"]
                handle: Callable[[str, list[str], int], None] = getattr(self, f"_{call['call']}", self._nothing)
                handle(words, [_text(one) for one in _STRING.findall(words)], int(call["result"]))
        return self._steps

    def _nothing(self, words: str, strings: list[str], result: int) -> None:
        """A call that does not matter here."""

    def _openat(self, words: str, strings: list[str], result: int) -> None:
        path, at = strings[0], _number(words)
        name = os.path.relpath(path, self._folder) if path.startswith(self._folder + "/") else path
        if path == self._folder:
            self._directories.add(result)
        elif path.startswith("/proc/self/fd/") and int(path.rpartition("/")[2]) in self._descriptors:
            self._descriptors[result] = self._descriptors[int(path.rpartition("/")[2])]
        elif at in self._directories and "O_TMPFILE" in words:
            self._descriptors[result] = next(self._count)
        elif at in self._directories and "O_DIRECTORY" in words:
            self._directories.add(result)
        elif at in self._directories or name != path:
            if name not in self._names:
                self._names[name] = next(self._count)
                self._steps.append(Step("name", self._names[name], name))
            self._descriptors[result] = self._names[name]

    def _close(self, words: str, strings: list[str], result: int) -> None:
        self._descriptors.pop(_number(words), None)
        self._directories.discard(_number(words))

    def _pwrite64(self, words: str, strings: list[str], result: int) -> None:
        if (file := self._descriptors.get(_number(words))) is not None:
            offset = int(words.rpartition(", ")[2])
            self._steps.append(Step("write", file, offset=offset, data=self._wanted[offset : offset + result]))

    def _write(self, words: str, strings: list[str], result: int) -> None:
        if (file := self._descriptors.get(_number(words))) is not None:
            offset = self._appended.get(file, 0)
            self._appended[file] = offset + result
            data = bytes.fromhex(_STRING.findall(words)[0].replace("\\x", ""))[:result]
            if len(data) != result:
                raise RuntimeError("a record is longer than what strace shows of it")
            self._steps.append(Step("write", file, offset=offset, data=data))

    def _fallocate(self, words: str, strings: list[str], result: int) -> None:
        if (file := self._descriptors.get(_number(words))) is not None:
            _, _, offset, length = (int(word) for word in words.split(", "))
            self._steps.append(Step("lengthen", file, offset=offset + length))

    def _ftruncate(self, words: str, strings: list[str], result: int) -> None:
        if (file := self._descriptors.get(_number(words))) is not None:
            self._steps.append(Step("cut", file, offset=int(words.rpartition(", ")[2])))

    def _fsync(self, words: str, strings: list[str], result: int) -> None:
        if _number(words) in self._directories:
            self._steps.append(Step("flush names"))
        elif (file := self._descriptors.get(_number(words))) is not None:
            self._steps.append(Step("flush", file))

    _fdatasync = _fsync

    def _renameat(self, words: str, strings: list[str], result: int) -> None:
        self._names[strings[1]] = self._names.pop(strings[0])
        self._steps.append(Step("move", name=strings[0], other=strings[1]))

    _renameat2 = _renameat

    def _linkat(self, words: str, strings: list[str], result: int) -> None:
        file = self._descriptors[int(strings[0].rpartition("/")[2])]
        self._names[strings[1]] = file
        self._steps.append(Step("name", file, strings[1]))

    def _unlinkat(self, words: str, strings: list[str], result: int) -> None:
        if self._names.pop(strings[0], None) is not None:
            self._steps.append(Step("free", name=strings[0]))


def _number(words: str) -> int:
    found = re.match(r"\d+", words)
    return int(found[0]) if found else -1


def _text(escaped: str) -> str:
    return os.fsdecode(bytes.fromhex(escaped.replace("\\x", "")))


# The disks ------------------------------------------------------------------------------------------------------


Changes = dict[int, Step | None]


def _disks(before: Disk, steps: Sequence[Step], limit: int, chance: random.Random) -> Iterator[Disk]:
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


def _go_on(url: str, disk: Disk, wanted: bytes, verdict: Verdict, scene: str) -> tuple[int, bool]:
    """Start the machine again, and the same download: the bytes that it went on with, and whether anything is left."""
    with tempfile.TemporaryDirectory(prefix="fastget-power-") as name:
        folder = Path(name)
        _write(disk, folder)
        with Client(part_size=PIECE, connections=2, fsync=False) as client:
            result = client.download(url, folder / NAME)
        verdict.require((folder / NAME).read_bytes() == wanted, f"{scene}: it goes on to wrong bytes")
        return result.bytes_resumed, len(list(folder.iterdir())) > 1
