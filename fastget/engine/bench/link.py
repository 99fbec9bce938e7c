"""Measuring a link: what one object of it can be fetched with, and what lies around it."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from fastget.core.bottleneck import Facts, Verdict, Window, cells_of, judge
from fastget.core.checksums.algorithms import Algorithm
from fastget.core.sweep import most_steps, sweep
from fastget.engine.bench.by_itself import ByItself, by_itself
from fastget.engine.bench.flow import Target
from fastget.engine.bench.machine import allotted_cores, digest_rate, disk_rate
from fastget.engine.bench.measuring import Measuring
from fastget.engine.discovery.opening import Discovery
from fastget.engine.exchange.line import Line
from fastget.errors import ConfigError, RangeNotSupported
from fastget.records import frozen
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.probe import Handshake, Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.core.sweep import Setting
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.sources.protocol import Source

MIB = 1024 * 1024
COUNTS = (1, 2, 4, 8, 16, 32, 64)
SIZES = (1 * MIB, 8 * MIB, 32 * MIB)
SECONDS = 1.0
MOST_BYTES = 4 * 1024 * MIB
# Less than this is fetched before a rate can be told.
SMALLEST_OBJECT = 4 * MIB
HANDSHAKES = 3
# What fastget does by itself is looked at for so many windows, and may fetch this part of all the bytes.
WINDOWS_BY_ITSELF, SHARE_BY_ITSELF = 3, 8


@frozen(kw_only=True)
class Bounds:
    """What is measured and for how long: `seconds` for one window, `most_bytes` for all of them together.

    `directory` is where a file would be written, None to leave the disk alone.
    """

    counts: tuple[int, ...] = COUNTS
    sizes: tuple[int, ...] = SIZES
    seconds: float = SECONDS
    most_bytes: int = MOST_BYTES
    directory: str | None = None


class Way(NamedTuple):
    """What lies between here and the object: medians of a few connections, in seconds."""

    info: ObjectInfo
    size: int
    server: str | None
    handshake: Handshake | None


class Digest(NamedTuple):
    """Bytes a second that one core digests."""

    algorithm: Algorithm
    rate: float


class Disk(NamedTuple):
    """Bytes a second that are written and flushed."""

    rate: float


Finding = Window | Way | Digest | Disk | ByItself


class Bench:
    """Measures one object, once. What was found is there after an interruption, too.

    `announce` is called, in the caller's thread, with each setting that is about to be measured, None for fastget's own
    choice; `tell` with every finding.
    """

    def __init__(
        self,
        source: Source,
        config: Config,
        pool: ConnectionPool,
        cancellation: Cancellation,
        bounds: Bounds,
        announce: Callable[[Setting | None], None] = lambda _: None,
        tell: Callable[[Finding], None] = lambda _: None,
    ) -> None:
        self.windows: list[Window] = []
        self.way: Way | None = None
        self.digesting: Digest | None = None
        self.disk: Disk | None = None
        self.itself: ByItself | None = None
        self._source = source
        self._config = config
        self._pool = pool
        self._cancellation = cancellation
        self._bounds = bounds
        self._announce = announce
        self._tell = tell
        self._is_encrypted = False

    def run(self) -> None:
        """Measure everything.

        Raises ConfigError for an object that is too small, RangeNotSupported where the server has no ranges or no
        size, DestinationError for the directory, and the errors of a download.
        """
        if self._bounds.directory is not None:
            # Before the network, because a directory that cannot be written is found at once.
            self.disk = Disk(disk_rate(self._bounds.directory, self._cancellation.check))
            self._tell(self.disk)
        target = self._target()
        self._look_around(target)
        self._sweep(target)
        self._look_by_itself(target)

    @property
    def facts(self) -> Facts:
        """What has been measured so far."""
        return Facts(cells_of(self.windows), allotted_cores(), self._is_encrypted, self.disk and self.disk.rate)

    @property
    def verdict(self) -> Verdict:
        """What limits, by what has been measured so far."""
        return judge(self.facts)

    def _target(self) -> Target:
        """The object, found and proven to be served by range."""
        with Line(self._pool, self._cancellation) as line:
            opening = Discovery(line, self._cancellation, self._config.retries, lambda _: None).readable(self._source)
            info, url = opening.info, self._source.display_url
            if info.size is None:
                raise RangeNotSupported(
                    f"{url}: the server does not tell the object's size", hint="choose another object", url=url
                )
            if info.size < SMALLEST_OBJECT:
                raise ConfigError(
                    f"{url} has {info.size} bytes: too few to say anything about the link",
                    hint="choose an object of 4 MiB or more, better of a hundred",
                    url=url,
                )
            target = Target(opening.source, info, info.pin, info.size, self._config.retries, self._config.max_memory)
            return target.proven(line, self._cancellation)

    def _look_around(self, target: Target) -> None:
        """How long a connection takes, and what digests cost."""
        origin = target.source.get(pin=target.pin).url.origin
        self._is_encrypted = origin.scheme == "https"
        self.way = Way(target.info, target.size, target.info.headers.get("server"), self._handshake(target))
        self._tell(self.way)
        algorithms = [digest.algorithm for digest in target.info.declared]
        algorithm = algorithms[0] if algorithms else Algorithm.CRC64NVME
        self.digesting = Digest(algorithm, digest_rate(algorithm))
        self._tell(self.digesting)

    def _handshake(self, target: Target) -> Handshake | None:
        probe = Probe(target.source.get(pin=target.pin).url.origin, self._config)
        if not probe.is_possible:
            return None
        scope = _Scope()
        self._cancellation.add(scope)
        try:
            found = [probe.open(scope.sockets) for _ in range(HANDSHAKES)]
        finally:
            self._cancellation.remove(scope)
        tls = [each.tls for each in found if each.tls is not None]
        last = found[-1]
        return Handshake(
            median(each.connect for each in found), median(tls) if tls else None, last.version, last.cipher
        )

    def _sweep(self, target: Target) -> None:
        counts, sizes = self._bounds.counts, _fitting(self._bounds.sizes, target.size)
        most_bytes = self._bounds.most_bytes - self._bounds.most_bytes // SHARE_BY_ITSELF
        share = max(MIB, most_bytes // most_steps(counts, sizes))
        measuring = Measuring(target, self._pool, self._cancellation, self._bounds.seconds)
        steps = sweep(counts, sizes)
        setting = next(steps)
        try:
            while measuring.received + share <= most_bytes:
                self._announce(setting)
                window = measuring.measure(setting, share)
                self.windows.append(window)
                self._tell(window)
                setting = steps.send(window)
        except StopIteration:
            return

    def _look_by_itself(self, target: Target) -> None:
        bounds = self._bounds
        seconds, most_bytes = bounds.seconds * WINDOWS_BY_ITSELF, bounds.most_bytes // SHARE_BY_ITSELF
        self._announce(None)
        self.itself = by_itself(target, self._config, self._pool, self._cancellation, seconds, most_bytes)
        if self.itself is not None:
            self._tell(self.itself)


class _Scope:
    """Lets a cancellation of the engine end the sockets of a probe."""

    def __init__(self) -> None:
        self.sockets = SocketCancellation()

    def abort(self) -> None:
        self.sockets.cancel()


def _fitting(sizes: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The sizes of pieces that the object has two of; its half where there is none."""
    return tuple(part for part in sizes if part <= size // 2) or (size // 2,)
