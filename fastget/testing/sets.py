"""Sets of objects, ready to be served: what a demonstration or a benchmark downloads."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm
from fastget.testing.behaviour import Behaviour
from fastget.testing.content import Content
from fastget.testing.faults import flip_bit
from fastget.testing.objects import StoredObject
from fastget.testing.server import ObjectServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastget.testing.fault import Fault

MIB = 1024 * 1024
_DEMO_RATE = 25e6
_DEMO_DELAY = (0.030, 0.060)
# Together 160 MiB; parts of an upload need not be equal, and a planner that believes so finds out here.
_UNEQUAL_PARTS = (24, 16, 8, 12, 20, 16, 10, 22, 14, 18)


@dataclass(frozen=True, slots=True)
class ObjectSet:
    """Objects by path, and how they are served."""

    objects: Mapping[str, StoredObject]
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: tuple[Fault, ...] = ()

    def serve(self, port: int = 0) -> ObjectServer:
        """A server of these objects."""
        return ObjectServer(self.objects, behaviour=self.behaviour, faults=self.faults, port=port)


def demo(size: int = 640 * MIB) -> ObjectSet:
    """Two objects stored in parts, on a server whose single connection is slow, as those of S3 are.

    8 connections take about 3.4 seconds for each object of 640 MiB: 25 MB/s a connection, the first byte
    after 30 to 60 ms. /demo/composite.bin has a CRC32C for each of its unequal parts, /demo/full-object.bin
    one CRC64NVME for the whole. A bit of the first is flipped when it is sent for the first time.
    """
    composite = StoredObject(
        Content.generated(size, seed=1),
        part_sizes=_unequal(size),
        checksum=Algorithm.CRC32C,
        checksum_type="COMPOSITE",
    )
    full_object = StoredObject(
        Content.generated(size, seed=2),
        part_sizes=_equal(size, max(1, size // 5)),
        checksum=Algorithm.CRC64NVME,
    )
    damaged = flip_bit(offset=size * 3 // 5, bit=3).on(path="/demo/composite.bin")
    return ObjectSet(
        {"/demo/composite.bin": composite, "/demo/full-object.bin": full_object},
        Behaviour(first_byte_delay=_DEMO_DELAY, rate_per_connection=_DEMO_RATE),
        (damaged,),
    )


def large(size: int = 1024 * MIB, behaviour: Behaviour | None = None) -> ObjectSet:
    """One object, put in one piece, with a CRC64NVME."""
    stored = StoredObject(Content.generated(size, seed=3), checksum=Algorithm.CRC64NVME)
    return ObjectSet({"/bench/large.bin": stored}, behaviour or Behaviour())


def small(count: int = 5000, size: int = 65536, behaviour: Behaviour | None = None) -> ObjectSet:
    """Many objects of one size, each with a CRC64NVME and other content."""
    together = Content.generated(count * size, seed=4)
    objects = {
        f"/bench/small-{number:06}.bin": StoredObject(
            together.window(number * size, size), checksum=Algorithm.CRC64NVME
        )
        for number in range(count)
    }
    return ObjectSet(objects, behaviour or Behaviour())


def _unequal(size: int) -> tuple[int, ...]:
    """Parts of unequal sizes that add up to `size`."""
    sizes: list[int] = []
    left = size
    for mebibytes in cycle(_UNEQUAL_PARTS):
        sizes.append(min(mebibytes * MIB, left))
        left -= sizes[-1]
        if not left:
            break
    return tuple(sizes)


def _equal(size: int, part_size: int) -> tuple[int, ...]:
    whole, rest = divmod(size, part_size)
    return (part_size,) * whole + ((rest,) if rest else ())
