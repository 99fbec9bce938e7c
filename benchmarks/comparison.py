"""Clients side by side: each in its turn, round after round, in one scenario."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.certificates import issue_certificates
from benchmarks.contenders import BARE_LOOP, Contender, Download
from benchmarks.many import FOLDER, Lists, check_many, create_many, digest_of_many
from benchmarks.measurement import Measurement, RunError, measure
from benchmarks.nginx import Nginx, free_port, nginx_configuration
from benchmarks.objects import StoredObject, create_object, create_sparse_object, digest_of_ranges, has_content_of

if TYPE_CHECKING:
    from benchmarks.scenarios import Scenario

BUCKET, KEY, SPARSE_KEY = "benchmark", "object.bin", "sparse.bin"
NOT_OF_RANGES = "no: ranges have no digest"
Report = Callable[[str], None]


@dataclass(slots=True)
class Entry:
    """How one client did, and what of the bytes it `checks`. One of `runs` and `problem` holds something in the end."""

    contender: Contender
    version: str | None
    command: list[str]
    checks: str
    runs: list[Measurement] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A scenario, how many bytes each client read, where it ran, and how every client did, missing ones too."""

    scenario: Scenario
    size: int
    directory: Path
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Workplace:
    """A private directory with the server's files and configuration, and the place where clients write."""

    directory: Path
    stored: StoredObject

    @property
    def destination(self) -> Path:
        return self.directory / "downloads" / KEY

    @property
    def bucket(self) -> Path:
        return self.stored.path.parent

    def stored_for(self, scenario: Scenario) -> StoredObject:
        """The object whose digests the server declares; many small ones are made anew for each scenario."""
        if scenario.many is None:
            return self.stored
        shutil.rmtree(self.bucket / FOLDER, ignore_errors=True)
        return create_many(self.bucket, scenario.many)

    def object_of(self, scenario: Scenario) -> Path:
        """The file that the scenario is about; a sparse one is made when it is first needed."""
        if scenario.ranges is None:
            return self.stored.path
        path = self.stored.path.with_name(SPARSE_KEY)
        if not path.exists():
            create_sparse_object(path)
        return path


@contextmanager
def open_workplace(parent: Path, size: int) -> Iterator[Workplace]:
    """A workplace below `parent` with an object of `size` bytes; removed afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="compare-", dir=parent.resolve()) as name:
        directory = Path(name)
        bucket = directory / "files" / BUCKET
        bucket.mkdir(parents=True)
        (directory / "downloads").mkdir()
        yield Workplace(directory, create_object(bucket / KEY, size))


def compare(
    scenario: Scenario,
    contenders: Sequence[Contender],
    workplace: Workplace,
    nginx: str,
    runs: int,
    report: Report,
) -> Outcome:
    """Let every contender download the object, its ranges, or many small ones, `runs` times.

    The first file of each is compared with the object, outside the measured time; a digest of ranges always is. A
    contender that is missing or fails is kept with the reason, and asked no more.
    """
    port = free_port()
    certificates = issue_certificates(workplace.directory) if scenario.behaviour.tls else None
    stored = workplace.stored_for(scenario)
    configuration = nginx_configuration(workplace.directory, port, scenario.behaviour, stored, certificates)
    (workplace.directory / "nginx.conf").write_text(configuration)
    download = Download(
        endpoint=f"{'https' if scenario.behaviour.tls else 'http'}://127.0.0.1:{port}",
        bucket=BUCKET,
        key=workplace.object_of(scenario).name,
        destination=workplace.destination,
        authority=certificates.authority if certificates else None,
        connections=scenario.connections,
        is_store=scenario.is_store,
        ranges=scenario.ranges,
    )
    if scenario.many is not None:
        lists = Lists.write(
            workplace.directory / "lists", scenario.many, download.bucket_url, BUCKET, download.destination
        )
        download = replace(download, lists=lists, is_read=scenario.many.is_read)
    taking_part = [contender for contender in contenders if _takes_part(contender, scenario)]
    with Nginx(nginx, workplace.directory, port):
        entries = [_entry(contender, scenario, download, report) for contender in taking_part]
        for round_number in range(runs):
            for entry in in_turn(entries, round_number):
                if entry.problem is None:
                    _run(entry, download, stored, scenario)
                    turn = f"{scenario.name} {round_number + 1}/{runs} {entry.contender.name}"
                    report(f"{turn}: {_last_result(entry)}")
    size = (scenario.ranges or scenario.many or workplace.stored).size
    return Outcome(scenario, size, workplace.directory, entries)


def _takes_part(contender: Contender, scenario: Scenario) -> bool:
    if scenario.many is not None:
        return (contender.reads if scenario.many.is_read else contender.many) is not None
    return scenario.ranges is None or contender.ranges is not None


def in_turn(entries: Sequence[Entry], round_number: int) -> list[Entry]:
    """The order of one round: each begins one client later, so that none is always first."""
    first = round_number % len(entries) if entries else 0
    return [*entries[first:], *entries[:first]]


def _entry(contender: Contender, scenario: Scenario, download: Download, report: Report) -> Entry:
    version = contender.version()
    if version is None:
        hint = f" ({contender.install})" if contender.install else ""
        report(f"{scenario.name} {contender.name}: missing{hint}")
        return Entry(contender, None, [], contender.checks, problem=f"missing{hint}")
    if contender.name == BARE_LOOP:
        download = _with_best_threads(contender, scenario, download, report)
    # No server declares a digest of a range.
    checks = contender.checks if scenario.ranges is None else NOT_OF_RANGES
    return Entry(contender, version, contender.command_for(download), checks)


def _with_best_threads(contender: Contender, scenario: Scenario, download: Download, report: Report) -> Download:
    """The download with the number of threads that is fastest here: the better of two runs each."""
    seconds: dict[int, float] = {}
    for threads in scenario.bare_loop_threads:
        command = contender.command_for(replace(download, connections=threads))
        seconds[threads] = min(_measure_afresh(command, download).seconds for _ in range(2))
    best = min(seconds, key=seconds.__getitem__)
    report(f"{scenario.name} {contender.name}: {best} threads are fastest of {', '.join(map(str, seconds))}")
    return replace(download, connections=best)


def _run(entry: Entry, download: Download, stored: StoredObject, scenario: Scenario) -> None:
    try:
        measurement = _measure_afresh(entry.command, download)
        if scenario.many is not None and scenario.many.is_read:
            _check_digest(download.destination, digest_of_many(stored, scenario.many))
        elif scenario.many is not None:
            check_many(download.destination, stored, scenario.many, by_content=not entry.runs)
        elif download.ranges is not None:
            sparse = stored.path.with_name(download.key)
            _check_digest(download.destination, digest_of_ranges(sparse, download.ranges))
        else:
            _check(download.destination, stored, by_content=not entry.runs)
    except RunError as failure:
        entry.problem = f"failed: {failure}"
        entry.runs.clear()
    else:
        entry.runs.append(measurement)


def _measure_afresh(command: Sequence[str], download: Download) -> Measurement:
    """Run a client with no file in its way, and no writes of its forerunners left for the disk to do."""
    for left_over in download.destination.parent.iterdir():
        if left_over.is_dir():
            # Not removed: for some seconds ext4 looks for inodes that were not used a moment ago, which takes long.
            left_over.rename(Path(tempfile.mkdtemp(prefix="done-", dir=download.destination.parents[1])) / KEY)
        else:
            left_over.unlink()
    os.sync()
    return measure(command, download.environment)


def _check(path: Path, stored: StoredObject, *, by_content: bool) -> None:
    if not path.exists():
        raise RunError("it made no file")
    if path.stat().st_size != stored.size:
        raise RunError(f"its file has {path.stat().st_size} bytes of {stored.size}")
    if by_content and not has_content_of(path, stored):
        raise RunError("its file holds wrong bytes")


def _check_digest(path: Path, digest: str) -> None:
    if not path.exists():
        raise RunError("it made no file")
    if path.read_text() != digest:
        raise RunError("what it has read holds wrong bytes")


def _last_result(entry: Entry) -> str:
    return entry.problem or f"{entry.runs[-1].seconds:.3f} s"
