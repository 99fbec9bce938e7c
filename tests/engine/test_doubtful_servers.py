"""Servers that leave out, contradict or take back what they said: never wrong bytes, never a verdict that is not so."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.errors import ChecksumMismatch, FastgetError, NetworkError, Unverifiable
from fastget.events import Event, Method, Progress
from fastget.testing import Behaviour, Content, Fault, ObjectServer, StoredObject, faults

if TYPE_CHECKING:
    from pathlib import Path

    from fastget.testing.answer import Answer
    from fastget.testing.received import ReceivedRequest

MIB = 1024 * 1024
MISLEADING = (2 * MIB, 3 * MIB, 1 * MIB, 4321)
QUICK = {"part_size": MIB, "connections": 3}
UNHURRIED = Behaviour(rate_per_connection=4 * MIB)
OPAQUE = '"opaque"'


def without_identity(request: ReceivedRequest, answer: Answer) -> Answer:
    """A range answer that does not say of which version it is."""
    return answer.with_field("ETag", None).with_field("Last-Modified", None) if request.range else answer


def other_parts_unknown(request: ReceivedRequest, answer: Answer) -> Answer:
    """A store that knows of its first part, and fails for all others."""
    return answer if request.part_number in (None, 1) else replace(answer, status=500, segments=())


SILENT_RANGES = Fault(name="ranges without identity", edit=without_identity).always()
FIRST_PART_ONLY = Fault(name="first part only", edit=other_parts_unknown).on(method="HEAD").always()


def is_right(path: Path, digest: str) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == digest


@pytest.mark.fault("H56")
def test_versions_are_not_mixed_where_answers_do_not_say_which_they_are(content: Content, destination: Path) -> None:
    stored = StoredObject(content, etag=OPAQUE)
    other = StoredObject(Content.generated(content.size, seed=99), etag='"other"')
    wanted = [faults.replaced(other).on(request=3), SILENT_RANGES, faults.if_match_ignored().always()]
    with ObjectServer({"/b/k": stored}, behaviour=UNHURRIED, faults=wanted) as server:
        try:
            fastget.download(server.url("/b/k"), destination, **QUICK)
        except FastgetError:
            assert not list(destination.parent.iterdir())
        else:
            whole = destination.read_bytes()
            assert whole in (bytes(content.read(0, content.size)), bytes(other.content.read(0, content.size)))


@pytest.mark.fault("H56")
def test_answers_that_do_not_say_which_version_they_are_serve_where_a_digest_will_tell(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/b/k": stored}, behaviour=UNHURRIED, faults=[SILENT_RANGES]) as server:
        result = fastget.download(server.url("/b/k"), destination, **QUICK)
    assert is_right(destination, content_digest)
    assert result.split == "range"


def test_a_slice_is_not_put_together_where_nothing_ties_its_answers_to_one_version(content: Content) -> None:
    stored = StoredObject(content, etag='W/"weak"')
    other = StoredObject(Content.generated(content.size, seed=99), etag='W/"weak"')
    wanted = [faults.close_mid_body(after=MIB).on(ranged=True), faults.replaced(other).on(request=2, ranged=True)]
    with ObjectServer({"/b/k": stored}, faults=wanted) as server, pytest.raises(NetworkError, match="broke off"):
        fastget.read(server.url("/b/k"), 1, None)


@pytest.mark.parametrize("option", [{"require_verified": True}, {"checksum": "crc32=00000000"}], ids=str)
def test_a_slice_that_has_to_be_verified_is_refused(content: Content, option: dict[str, object]) -> None:
    with ObjectServer({"/b/k": StoredObject(content)}) as server, pytest.raises(Unverifiable, match="slice"):
        fastget.read(server.url("/b/k"), 1, 2, **option)


def test_a_users_digest_counts_where_the_layout_of_a_composite_stays_unknown(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(content, part_sizes=MISLEADING, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    damage = faults.flip_bit(offset=MIB).always()
    with ObjectServer({"/b/k": stored}, faults=[FIRST_PART_ONLY, damage]) as server, pytest.raises(ChecksumMismatch):
        fastget.download(server.url("/b/k"), destination, split="range", checksum=f"sha256={content_digest}", **QUICK)
    assert not list(destination.parent.iterdir())
    with ObjectServer({"/b/k": stored}, faults=[FIRST_PART_ONLY]) as server:
        result = fastget.download(
            server.url("/b/k"), destination, split="range", checksum=f"sha256={content_digest}", **QUICK
        )
    assert result.verification.method is Method.USER_DIGEST


def test_a_composite_over_parts_that_nobody_tells_is_inconclusive_only_if_the_same_bytes_come_twice(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(content, part_sizes=MISLEADING, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    with ObjectServer({"/b/k": stored}, faults=[FIRST_PART_ONLY]) as server:
        result = fastget.download(server.url("/b/k"), destination, split="range", **QUICK)
    assert is_right(destination, content_digest)
    assert (result.verification.verified, "parts" in result.verification.reason) == (False, True)
    destination.unlink()
    once = faults.flip_bit_of_body(offset=5).on(ranged=True)
    with ObjectServer({"/b/k": stored}, faults=[FIRST_PART_ONLY, once]) as server, pytest.raises(ChecksumMismatch):
        fastget.download(server.url("/b/k"), destination, split="range", **QUICK)
    assert not list(destination.parent.iterdir())


@pytest.mark.parametrize("accept_ranges", ["bytes", "none"])
class TestWithoutRanges:
    """What is damaged can only be fetched again as a whole."""

    @pytest.mark.parametrize("connections", [1, 3])
    def test_damage_is_repaired(
        self, content: Content, content_digest: str, destination: Path, accept_ranges: str, connections: int
    ) -> None:
        """Whether ranges are found to be ignored while the first answer comes, or only when a part is fetched again."""
        stored = StoredObject(content, checksum=Algorithm.CRC32C)
        behaviour = Behaviour(ranges=False, accept_ranges=accept_ranges)
        once = faults.flip_bit_of_body(offset=5)
        with ObjectServer({"/b/k": stored}, behaviour=behaviour, faults=[once]) as server:
            result = fastget.download(server.url("/b/k"), destination, part_size=MIB, connections=connections)
        assert is_right(destination, content_digest)
        assert (result.verification.verified, result.repairs) == (True, 1)

    @pytest.mark.fault("C1", "C8")
    def test_damage_that_stays_is_a_mismatch(self, content: Content, destination: Path, accept_ranges: str) -> None:
        stored = StoredObject(content, checksum=Algorithm.CRC32C)
        behaviour = Behaviour(ranges=False, accept_ranges=accept_ranges)
        damage = faults.flip_bit(offset=5).always()
        with (
            ObjectServer({"/b/k": stored}, behaviour=behaviour, faults=[damage]) as server,
            pytest.raises(ChecksumMismatch),
        ):
            fastget.download(server.url("/b/k"), destination, **QUICK)
        assert not list(destination.parent.iterdir())

    def test_an_etag_that_is_no_md5_is_told(
        self, content: Content, content_digest: str, destination: Path, accept_ranges: str
    ) -> None:
        stored = StoredObject(content, etag='"0123456789abcdef0123456789abcdef"')
        behaviour = Behaviour(ranges=False, accept_ranges=accept_ranges)
        with ObjectServer({"/b/k": stored}, behaviour=behaviour) as server:
            result = fastget.download(server.url("/b/k"), destination, **QUICK)
        assert is_right(destination, content_digest)
        assert (result.verification.verified, "ETag" in result.verification.reason) == (False, True)


def test_ranges_that_are_always_answered_oddly_leave_the_stream(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32C)
    with ObjectServer({"/b/k": stored}, behaviour=UNHURRIED, faults=[faults.no_content_range().always()]) as server:
        result = fastget.download(server.url("/b/k"), destination, **QUICK)
    assert is_right(destination, content_digest)
    assert result.verification.verified


def test_a_pipe_from_a_store_that_ignores_part_numbers_gets_everything(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(content, part_sizes=MISLEADING, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    os.mkfifo(destination)
    digests: list[str] = []

    def read() -> None:
        with destination.open("rb") as pipe:
            digests.append(hashlib.file_digest(pipe, "sha256").hexdigest())

    reader = threading.Thread(target=read)
    reader.start()
    ignored = faults.part_number_ignored().always()
    with ObjectServer({"/b/k": stored}, faults=[ignored]) as server:
        result = fastget.download(server.url("/b/k"), destination, **QUICK)
    reader.join()
    assert digests == [content_digest]
    assert result.verification.method is Method.COMPOSITE


@pytest.mark.parametrize("claimed", [0, 1000, 10**9])
def test_a_length_that_only_head_claims_does_not_outweigh_a_chunked_body(
    content: Content, content_digest: str, destination: Path, claimed: int
) -> None:
    lie = faults.declared_length(claimed).on(method="HEAD").always()
    with ObjectServer(
        {"/b/k": StoredObject(content, etag=OPAQUE)}, faults=[faults.chunked().on(ranged=False).always(), lie]
    ) as server:
        result = fastget.download(server.url("/b/k"), destination, **QUICK)
    assert is_right(destination, content_digest)
    assert result.size == content.size


@pytest.mark.fault("N3")
def test_a_body_that_only_ends_with_its_connection_is_held_to_the_length_of_head(
    content: Content, content_digest: str, destination: Path
) -> None:
    cut = faults.body_until_close(cut=MIB).on(ranged=False)
    until_close = faults.body_until_close().on(ranged=False, request=2).always()
    stored = StoredObject(content, etag=OPAQUE)
    with ObjectServer({"/b/k": stored}, faults=[cut, until_close]) as server:
        fastget.download(server.url("/b/k"), destination, **QUICK)
    assert is_right(destination, content_digest)


@pytest.mark.fault("C14")
def test_two_answers_that_contradict_each_other_about_one_version_end_the_download(
    content: Content, destination: Path
) -> None:
    stored = StoredObject(content, part_sizes=MISLEADING, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    shorter = Fault(name="short first answer", edit=lambda _, answer: answer.with_body(b"<Error/>"))
    with ObjectServer({"/b/k": stored}, faults=[shorter.on(ranged=False)]) as server, pytest.raises(FastgetError):
        fastget.download(server.url("/b/k"), destination, **QUICK)
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("N1", "N18")
def test_a_line_that_breaks_again_and_again_gets_through_as_long_as_it_moves(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32C)
    with ObjectServer({"/b/k": stored}, faults=[faults.close_mid_body(after=400_000).always()]) as server:
        result = fastget.download(server.url("/b/k"), destination, connections=1, retries=2)
    assert is_right(destination, content_digest)
    assert result.retries > 2


def test_a_small_slow_object_shows_its_progress(destination: Path) -> None:
    seen: list[Event] = []
    stored = StoredObject(Content.generated(MIB, seed=1), checksum=Algorithm.CRC32C)
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(rate_per_connection=3 * MIB)) as server:
        fastget.download(server.url("/b/k"), destination, connections=1, on_event=seen.append)
    assert any(isinstance(event, Progress) and 0 < event.landed < MIB for event in seen)
