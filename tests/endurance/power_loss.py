"""Power loss at any moment: the calls of the real program are recorded, the disks that it may leave are made, and each
of them has to hold whole files or none, and to be gone on with to the right bytes.

Until a file is flushed any of its writes may be missing, torn or zero, whatever came later; until a directory is
flushed any of its changes may be missing (faults.md A5).
"""

from __future__ import annotations

import itertools
import os
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from fastget.client import Client
from fastget.core import journal
from fastget.engine.cancellation import Cancellation
from fastget.engine.download import earlier
from fastget.errors import Cancelled
from fastget.events import Event, Progress
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject
from tests.endurance.command import begin, end, python
from tests.endurance.crashes import Disk, Step, disks
from tests.endurance.verdict import Verdict

# Thousands of disks are made: the program is told that little is much.
SIZE, SMALL, PIECE, BLOCK = 300_001, 20_001, 65_536, 16_384
OLD = b"what was there before"
NAME = "k"
STATES, FEW = 3_600, 300
# Files of a pull, which are flushed together; those of an odd number are there before, and another is empty.
PULLED, LONGEST_PULLED, EMPTY = 14, 12_000, 4
CALLS = (
    "openat,dup,fcntl,pwrite64,write,fallocate,ftruncate,fsync,fdatasync,"
    "renameat,renameat2,rename,linkat,unlinkat,close"
)
PROGRAM = f"""
import sys
from fastget.core import journal
from fastget.engine.download import earlier
journal.SMALLEST_BLOCK, earlier.SMALLEST_CHUNK = {BLOCK}, {PIECE}
from fastget.__main__ import main
sys.argv[0] = "fastget"
sys.exit(main())
"""

_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<words>.*)\) += (?P<result>-?\d+).*")
_UNFINISHED = re.compile(r"(?P<pid>\d+) +(?P<start>.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)")
_CLOSE = re.compile(r"(?:\d+ +)?close\((?P<number>\d+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Scene:
    """What is fetched into a folder: by a download, the only one, or by a pull, those of all of the URLs."""

    urls: tuple[str, ...]
    wanted: Disk
    before: Disk
    is_pull: bool = False

    def words(self, folder: Path) -> tuple[str, ...]:
        """Those of the command."""
        if self.is_pull:
            listed = folder.with_name("urls")
            listed.write_text("\n".join(self.urls))
            return ("pull", "-i", str(listed), "-d", str(folder), "-q", "--jobs", "2")
        return (*self.urls, "-o", str(folder / NAME), "-q", "--part-size", str(PIECE), "--connections", "2")

    def run(self, client: Client, folder: Path) -> int:
        """The same without a process: the bytes that it went on with."""
        if self.is_pull:
            client.pull(self.urls, folder).raise_for_failures()
            return 0
        return client.download(self.urls[0], folder / NAME).bytes_resumed


def run(seed: int, *, short: bool, without: tuple[str, ...]) -> Verdict:
    """Downloads to a new name, over an old file, without a journal, and one that goes on; pulls of small files."""
    del without
    verdict, chance = Verdict(), random.Random(seed)
    large, small = Content.generated(SIZE, seed=seed), Content.generated(SMALL, seed=seed)
    pulled = [Content.generated(chance.randint(1, LONGEST_PULLED), seed=seed + number) for number in range(PULLED)]
    pulled[EMPTY] = Content.of(b"")
    contents = {"/large": large, "/small": small} | {f"/f{number}": content for number, content in enumerate(pulled)}
    objects = {path: StoredObject(content, checksum=Algorithm.CRC64NVME) for path, content in contents.items()}
    states = of_pulls = resumed = strays = 0
    with ObjectServer(objects) as server, _small_blocks():
        wanted = {f"f{number}": content.read() for number, content in enumerate(pulled)}
        urls = tuple(server.url(f"/{name}") for name in wanted)
        old = dict.fromkeys(list(wanted)[1::2], OLD)

        def download(path: str, before: Disk) -> Scene:
            return Scene((server.url(path),), {NAME: contents[path].read()}, before)

        scenes = [
            download("/large", {NAME: OLD}),
            download("/large", {}),
            Scene(urls, wanted, {}, is_pull=True),
            download("/large", _interrupted(server.url("/large"))),
            Scene(urls, wanted, old, is_pull=True),
            download("/small", {NAME: OLD}),
        ]
        for number, scene in enumerate(scenes):
            steps = _record(scene)
            flushed = {step.file for step in steps if step.kind == "flush"}
            verdict.require(len(flushed) >= len(scene.wanted), f"scene {number}: a flush was not recorded")
            share = (FEW if short else STATES) * (len(scenes) - number) * 2 // (len(scenes) * (len(scenes) + 1))
            for disk in disks(scene.before, steps, share, chance):
                states += 1
                of_pulls += scene.is_pull
                for name, data in scene.wanted.items():
                    is_whole = disk.get(name) in (scene.before.get(name), data)
                    verdict.require(is_whole, f"scene {number}: a wrong file stands at {name}")
                bytes_resumed, left = _go_on(scene, disk, verdict, f"scene {number}")
                resumed += bytes_resumed > 0
                strays += left
    verdict.require(states >= (FEW * 0.7 if short else 2_000), f"only {states} states")
    verdict.require(not strays, f"{strays} states leave hidden files beside the finished one")
    verdict.require(resumed > states // 10, f"only {resumed} states were gone on with")
    verdict.figures = {"states": states, "of pulls": of_pulls, "gone on with": resumed, "with files left over": strays}
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
            with Client(part_size=PIECE, connections=2) as client, mock.patch("fastget.engine.workers.crew.TICK", 0.0):
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


def _record(scene: Scene) -> list[Step]:
    """The steps of the real program, by strace."""
    with tempfile.TemporaryDirectory(prefix="fastget-power-") as name:
        folder, trace = Path(name) / "folder", Path(name) / "trace"
        folder.mkdir()
        _write(scene.before, folder)
        tracing = ("strace", "-f", "-qq", "-xx", "-s", "16384", "-o", str(trace), "-e", f"trace={CALLS}")
        process = begin((*tracing, *python("-c", PROGRAM), *scene.words(folder)), folder)
        status, said = end(process)
        if status != 0 or _read(folder) != scene.wanted:
            raise RuntimeError(f"the program failed under strace: {said}")
        return _Reader(folder, scene.before, scene.wanted).steps(trace.read_text())


class _Reader:
    """Follows the descriptors of one process that lead to one folder."""

    def __init__(self, folder: Path, before: Disk, wanted: Disk) -> None:
        self._folder = str(folder)
        # Of the only one, which may be longer than what strace shows of it.
        self._wanted = wanted.get(NAME, b"")
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
                if (closed := _CLOSE.match(found["start"])) is not None:
                    self._close(closed["number"], [], 0)  # another thread may have that number before this call is told
                continue
            whole = line
            if (found := _RESUMED.match(line)) is not None:
                whole = f"{found['pid']} {waiting.pop(found['pid'], '')}{found['rest']}"
            call = _LINE.match(whole)
            if whole is not line and _CLOSE.match(whole) is not None:
                continue
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

    def _dup(self, words: str, strings: list[str], result: int) -> None:
        if _number(words) in self._directories:
            self._directories.add(result)

    def _fcntl(self, words: str, strings: list[str], result: int) -> None:
        if "F_DUPFD" in words:
            self._dup(words, strings, result)

    def _close(self, words: str, strings: list[str], result: int) -> None:
        self._descriptors.pop(_number(words), None)
        self._directories.discard(_number(words))

    def _pwrite64(self, words: str, strings: list[str], result: int) -> None:
        if (file := self._descriptors.get(_number(words))) is not None:
            offset = int(words.rpartition(", ")[2])
            data = self._wanted[offset : offset + result] or _shown(words, result)
            self._steps.append(Step("write", file, offset=offset, data=data))

    def _write(self, words: str, strings: list[str], result: int) -> None:
        if (file := self._descriptors.get(_number(words))) is not None:
            offset = self._appended.get(file, 0)
            self._appended[file] = offset + result
            self._steps.append(Step("write", file, offset=offset, data=_shown(words, result)))

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


def _shown(words: str, count: int) -> bytes:
    """The bytes that were written."""
    data = bytes.fromhex(_STRING.findall(words)[0].replace("\\x", ""))[:count]
    if len(data) != count:
        raise RuntimeError("a record is longer than what strace shows of it")
    return data


def _number(words: str) -> int:
    found = re.match(r"\d+", words)
    return int(found[0]) if found else -1


def _text(escaped: str) -> str:
    return os.fsdecode(bytes.fromhex(escaped.replace("\\x", "")))


def _go_on(scene: Scene, disk: Disk, verdict: Verdict, named: str) -> tuple[int, bool]:
    """Start the machine again, and the same command: the bytes that it went on with, and whether anything is left."""
    with tempfile.TemporaryDirectory(prefix="fastget-power-") as name:
        folder = Path(name)
        _write(disk, folder)
        with Client(part_size=PIECE, connections=2, fsync=False) as client:
            bytes_resumed = scene.run(client, folder)
        found = _read(folder)
        is_right = all(found.get(name) == data for name, data in scene.wanted.items())
        verdict.require(is_right, f"{named}: it goes on to wrong bytes")
        return bytes_resumed, len(found) > len(scene.wanted)
