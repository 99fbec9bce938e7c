"""The situations that clients are compared in."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.many import Many
from benchmarks.nginx import Behaviour
from benchmarks.objects import Ranges


@dataclass(frozen=True, slots=True)
class Scenario:
    """A server and how it behaves.

    `connections` is what clients are told that leave the number to their caller; None: each client's
    usual number. `bare_loop_threads` are the numbers of threads that the bare loop tries out beforehand.
    `is_store`: it stands for a store, whose objects have s3:// URLs. `ranges` are read, into memory, instead of the
    whole object; `many` are fetched, into a new directory or into memory.
    """

    name: str
    title: str
    behaviour: Behaviour
    connections: int | None
    bare_loop_threads: tuple[int, ...]
    is_store: bool = False
    ranges: Ranges | None = None
    many: Many | None = None


SCENARIOS = (
    Scenario("http-large", "One large object over http", Behaviour(), None, (1, 2, 4, 8)),
    Scenario("https-large", "One large object over https", Behaviour(tls=True), None, (1, 2, 4, 8)),
    Scenario(
        "s3-like",
        "S3-like server: first byte after 30 to 60 ms, 45 MB/s a connection",
        Behaviour(first_byte=(0.030, 0.060), rate=45_000_000, is_s3=True),
        64,  # the best of 32, 64 and 96 for obstore and hf_transfer, which are the fastest of those that are told
        (32, 64, 96),
        is_store=True,
    ),
    Scenario(
        "random-ranges",
        "10,000 random ranges of 128 KiB, into memory",
        Behaviour(),
        None,
        (1, 2, 4, 8),
        ranges=Ranges(10_000, 128 * 1024),
    ),
    Scenario(
        "small-objects",
        "5,000 objects of 64 KiB, into a directory",
        Behaviour(),
        None,
        (1, 2, 4),
        many=Many(5000, 64 * 1024),
    ),
    Scenario(
        "read-loop",
        "5,000 objects of 64 KiB, into memory, one after the other",
        Behaviour(),
        1,
        (1,),
        many=Many(5000, 64 * 1024, is_read=True),
    ),
    Scenario(
        "read-threads",
        "5,000 objects of 64 KiB, into memory, by 8 threads of the caller",
        Behaviour(),
        8,
        (8,),
        many=Many(5000, 64 * 1024, is_read=True),
    ),
)
