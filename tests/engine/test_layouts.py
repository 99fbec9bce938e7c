"""Where the parts lie: asked in the way that takes the fewest requests, believed only where it proves itself."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.errors import RangeNotSupported
from fastget.events import Event, Method, Repaired
from fastget.testing import Behaviour, Content, Fault, HeadPart, ObjectServer, RecordedRequest, StoredObject, faults
from fastget.testing.behaviour import Attributes
from fastget.testing.received import ReceivedRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fastget.testing.answer import Answer
    from fastget.testing.received import ReceivedRequest

pytestmark = pytest.mark.usefixtures("aws_keys")

MIB = 1024 * 1024
EVEN = (2 * MIB, 2 * MIB, 2 * MIB, 4321)
UNEVEN = (1 * MIB, 3 * MIB, 4321, 2 * MIB)
MISLEADING = (2 * MIB, 3 * MIB, 1 * MIB, 4321)
ODD_EVEN = (1_700_001, 1_700_001, 1_700_001, 6 * MIB + 4321 - 3 * 1_700_001)
QUICK: dict[str, Any] = {"part_size": MIB, "connections": 3}
NO_NUMBERS = Behaviour(part_numbers=False)
NOTHING_TOLD = Behaviour(part_numbers=False, attributes=Attributes.DENIED)


@pytest.fixture
def composite(content: Content) -> Callable[..., StoredObject]:
    def make(sizes: tuple[int, ...], algorithm: Algorithm | None = Algorithm.CRC32C, **more: Any) -> StoredObject:
        return StoredObject(content, part_sizes=sizes, checksum=algorithm, checksum_type="COMPOSITE", **more)

    return make


def fetch(server: ObjectServer, destination: Path, **options: Any) -> fastget.Result:
    destination.unlink(missing_ok=True)  # one that is here already would be looked at first
    return fastget.download("s3://b/k", destination, endpoint_url=server.base_url, **{**QUICK, **options})


def is_about_parts(request: RecordedRequest) -> bool:
    return request.method == "HEAD" or "attributes" in request.target


def asked(requests: Sequence[RecordedRequest]) -> list[str]:
    """The questions about parts, in words."""
    return ["HEAD" if request.method == "HEAD" else "list" for request in requests if is_about_parts(request)]


def assert_verified(result: fastget.Result, path: Path, digest: str, method: Method = Method.COMPOSITE) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert (result.verification.method, result.verification.verified) == (method, True)


class TestCost:
    """What is asked beside the bytes."""

    @pytest.mark.parametrize(
        "make", [{"checksum": Algorithm.CRC64NVME, "part_sizes": UNEVEN}, {}], ids=["full", "etag"]
    )
    def test_nothing_where_no_layout_is_needed(self, content: Content, destination: Path, make: dict[str, Any]) -> None:
        with ObjectServer({"/b/k": StoredObject(content, **make)}) as server:
            fetch(server, destination)
            assert asked(server.requests) == []

    def test_one_head_where_parts_are_even(self, composite: Any, content_digest: str, destination: Path) -> None:
        with ObjectServer({"/b/k": composite(EVEN)}) as server:
            result = fetch(server, destination)
            assert asked(server.requests) == ["HEAD"]
        assert_verified(result, destination, content_digest)
        assert result.split == "part"

    def test_a_head_and_a_list_where_they_are_not(self, composite: Any, content_digest: str, destination: Path) -> None:
        with ObjectServer({"/b/k": composite(UNEVEN)}) as server:
            result = fetch(server, destination)
            assert asked(server.requests) == ["HEAD", "list"]
        assert_verified(result, destination, content_digest)
        assert result.split == "part"

    def test_a_head_of_each_part_where_the_list_is_denied(
        self, composite: Any, content_digest: str, destination: Path
    ) -> None:
        behaviour = Behaviour(attributes=Attributes.DENIED)
        with ObjectServer({"/b/k": composite(UNEVEN)}, behaviour=behaviour) as server:
            result = fetch(server, destination)
            assert asked(server.requests) == ["HEAD", "list", "HEAD", "HEAD", "HEAD"]
        assert_verified(result, destination, content_digest)

    def test_a_store_that_ignores_numbers_is_asked_for_its_list_only_from_the_second_object_on(
        self, composite: Any, content_digest: str, destination: Path
    ) -> None:
        with ObjectServer({"/b/k": composite(MISLEADING)}, behaviour=NO_NUMBERS) as server:
            for expected in (["HEAD", "list"], ["list"], ["list"]):
                server.forget_requests()
                result = fetch(server, destination)
                assert asked(server.requests) == expected
                assert_verified(result, destination, content_digest)
                assert result.split == "range"

    def test_a_store_that_tells_nothing_is_asked_once(
        self, composite: Any, content_digest: str, destination: Path
    ) -> None:
        with ObjectServer({"/b/k": composite(EVEN)}, behaviour=NOTHING_TOLD) as server:
            for expected in (["HEAD", "list"], [], []):
                server.forget_requests()
                result = fetch(server, destination)
                assert asked(server.requests) == expected
                assert not any(request.part_number for request in server.requests if not expected)
                assert_verified(result, destination, content_digest)

    def test_what_is_known_of_one_bucket_is_not_believed_of_another(self, composite: Any, destination: Path) -> None:
        objects = {"/b/k": composite(EVEN), "/c/k": composite(EVEN)}
        with ObjectServer(objects, behaviour=NOTHING_TOLD) as server:
            fetch(server, destination)
            server.forget_requests()
            destination.unlink()
            fastget.download("s3://c/k", destination, endpoint_url=server.base_url, **QUICK)
            assert asked(server.requests) == ["HEAD", "list"]

    def test_a_moment_of_weakness_teaches_nothing(self, composite: Any, content_digest: str, destination: Path) -> None:
        weak = faults.status(503, "SlowDown", "Please reduce your request rate").on(method="HEAD").times(2)
        with ObjectServer({"/b/k": composite(EVEN)}, faults=[weak]) as server:
            fetch(server, destination)
            server.forget_requests()
            result = fetch(server, destination)
            assert asked(server.requests) == ["HEAD"]
        assert_verified(result, destination, content_digest)
        assert result.split == "part"


class TestList:
    """GetObjectAttributes, where part numbers are ignored."""

    @pytest.mark.parametrize("algorithm", list(Algorithm))
    def test_it_gives_the_parts_of_every_algorithm(
        self, composite: Any, content_digest: str, destination: Path, algorithm: Algorithm
    ) -> None:
        with ObjectServer({"/b/k": composite(MISLEADING, algorithm)}, behaviour=NO_NUMBERS) as server:
            result = fetch(server, destination)
        assert_verified(result, destination, content_digest)

    def test_its_digests_find_the_damaged_part(self, composite: Any, content_digest: str, destination: Path) -> None:
        events: list[Event] = []
        once = faults.flip_bit_of_body(offset=5).on(ranged=True)
        behaviour = replace(NO_NUMBERS, rate_per_connection=8 * MIB)
        with ObjectServer({"/b/k": composite(UNEVEN)}, behaviour=behaviour, faults=[once]) as server:
            result = fetch(server, destination, on_event=events.append)
        assert_verified(result, destination, content_digest)
        assert result.repairs == 1
        assert len([event for event in events if isinstance(event, Repaired)]) == 1
        assert result.bytes_received <= sum(UNEVEN) + max(UNEVEN)

    def test_more_than_a_thousand_parts_come_in_pages(self, destination: Path) -> None:
        sizes = (*(1000 + number % 7 for number in range(2500)),)
        content = Content.generated(sum(sizes), seed=5)
        stored = StoredObject(content, part_sizes=sizes, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
        with ObjectServer({"/b/k": stored}, behaviour=NO_NUMBERS) as server:
            result = fetch(server, destination)
            assert asked(server.requests) == ["HEAD", "list", "list", "list"]
        assert destination.read_bytes() == bytes(content.read(0, content.size))
        assert result.verification.method is Method.COMPOSITE

    def test_a_version_that_was_asked_for_is_the_one_that_is_listed(
        self, composite: Any, content_digest: str, destination: Path
    ) -> None:
        objects = {"/b/k": composite(MISLEADING, version_id="v1")}
        with ObjectServer(objects, behaviour=NO_NUMBERS) as server:
            server.put("/b/k", composite(UNEVEN, version_id="v2"))
            result = fetch(server, destination, version_id="v1")
            listed = [request.target for request in server.requests if "attributes" in request.target]
        assert_verified(result, destination, content_digest)
        assert all("versionId=v1" in target for target in listed)

    @pytest.mark.fault("C18")
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"<PartNumber>2<", b"<PartNumber>1<"),
            (b"<Size>4321<", b"<Size>4322<"),
            (b"<ETag>", b"<ETag>0"),
            (b"<ObjectSize>", b"<ObjectSize>1"),
            (b"<PartNumber>4</PartNumber>", b""),
            (b"<?xml", b"<!DOCTYPE x><?xml"),
            (b"</GetObjectAttributesResponse>", b""),
        ],
        ids=["twice", "sum", "etag", "size", "gap", "doctype", "cut"],
    )
    def test_a_list_that_contradicts_the_object_is_none(
        self, composite: Any, content_digest: str, destination: Path, old: bytes, new: bytes
    ) -> None:
        def edit(request: ReceivedRequest, answer: Answer) -> Answer:
            if request.parameter("attributes") is None:
                return answer
            body = b"".join(bytes(each.content.read(each.span.start, each.span.stop)) for each in answer.segments)
            assert old in body
            return answer.with_body(body.replace(old, new))

        lie = Fault(name="a list that lies", edit=edit).always()
        with ObjectServer({"/b/k": composite(MISLEADING)}, behaviour=NO_NUMBERS, faults=[lie]) as server:
            result = fetch(server, destination)
        assert hashlib.sha256(destination.read_bytes()).hexdigest() == content_digest
        assert (result.verification.verified, result.repairs) == (False, 0)

    @pytest.mark.fault("C10")
    def test_digests_that_do_not_add_up_to_the_objects_are_not_believed(
        self, composite: Any, content_digest: str, destination: Path
    ) -> None:
        def edit(request: ReceivedRequest, answer: Answer) -> Answer:
            if request.parameter("attributes") is None:
                return answer
            body = b"".join(bytes(each.content.read(each.span.start, each.span.stop)) for each in answer.segments)
            head, mark, rest = body.partition(b"<ObjectParts>")
            tag, end = b"<ChecksumCRC32C>", b"</ChecksumCRC32C>"
            before, _, after = rest.partition(tag)
            return answer.with_body(head + mark + before + tag + b"AAAAAA==" + end + after.partition(end)[2])

        lie = Fault(name="a wrong digest", edit=edit).always()
        with ObjectServer({"/b/k": composite(MISLEADING)}, behaviour=NO_NUMBERS, faults=[lie]) as server:
            result = fetch(server, destination)
        assert_verified(result, destination, content_digest)
        assert result.repairs == 0

    @pytest.mark.fault("S16")
    def test_an_endless_list_is_given_up(self, composite: Any, content_digest: str, destination: Path) -> None:
        def edit(request: ReceivedRequest, answer: Answer) -> Answer:
            if request.parameter("attributes") is None:
                return answer
            body = b"<GetObjectAttributesResponse><x>" + b"y" * (5 * MIB)
            return answer.with_body(body)

        lie = Fault(name="an endless list", edit=edit).always()
        with ObjectServer({"/b/k": composite(EVEN)}, behaviour=NO_NUMBERS, faults=[lie]) as server:
            result = fetch(server, destination)
        assert_verified(result, destination, content_digest)

    @pytest.mark.row(118)
    def test_ibm_is_not_asked_for_it(self, composite: Any, content_digest: str, destination: Path) -> None:
        stored = composite(MISLEADING, headers={"X-Clv-S3-Version": "2.5"})
        with ObjectServer({"/b/k": stored}) as server:
            result = fetch(server, destination)
            assert "list" not in asked(server.requests)
        assert_verified(result, destination, content_digest)


@pytest.mark.fault("H12", "C18")
def test_two_places_in_one_answer_about_a_part_say_nothing_of_the_object(
    composite: Any, content_digest: str, destination: Path
) -> None:
    def edit(request: ReceivedRequest, answer: Answer) -> Answer:
        if request.parameter("partNumber") is None or answer.get("Content-Range") is None:
            return answer
        said = answer.with_content_range("bytes {first}-{last}/99999999").fields
        return replace(answer, fields=(*said, ("Content-Range", str(answer.get("Content-Range")))))

    lies = [Fault(name="two places", edit=edit).on(method=method).always() for method in ("HEAD", "GET")]
    with ObjectServer({"/b/k": composite(UNEVEN)}, faults=lies) as server:
        fetch(server, destination)
        assert "HEAD" in asked(server.requests)
    assert hashlib.sha256(destination.read_bytes()).hexdigest() == content_digest


class TestGets:
    """Stores that know part numbers in GET alone."""

    @pytest.mark.parametrize("sizes", [EVEN, UNEVEN, MISLEADING], ids=["even", "uneven", "misleading"])
    def test_the_head_of_the_answer_tells(
        self, composite: Any, content_digest: str, destination: Path, sizes: tuple[int, ...]
    ) -> None:
        behaviour = Behaviour(head_part=HeadPart.WHOLE_SIZE, attributes=Attributes.NOT_IMPLEMENTED)
        with ObjectServer({"/b/k": composite(sizes, Algorithm.SHA256)}, behaviour=behaviour) as server:
            result = fetch(server, destination)
        assert_verified(result, destination, content_digest)
        assert result.split == "part"

    def test_parts_by_force_are_fetched_by_number(self, composite: Any, content_digest: str, destination: Path) -> None:
        behaviour = Behaviour(head_part=HeadPart.WHOLE_SIZE)
        with ObjectServer({"/b/k": composite(EVEN)}, behaviour=behaviour) as server:
            result = fetch(server, destination, split="part")
        assert_verified(result, destination, content_digest)
        assert result.split == "part"

    def test_parts_by_force_are_refused_where_the_answers_do_not_say_where_they_lie(
        self, composite: Any, destination: Path
    ) -> None:
        with (
            ObjectServer({"/b/k": composite(EVEN)}, behaviour=Behaviour(part_content_range=False)) as server,
            pytest.raises(RangeNotSupported),
        ):
            fetch(server, destination, split="part")

    def test_parts_by_force_that_come_whole_are_refused_behind_a_stream_as_well(self, composite: Any) -> None:
        has_begun = threading.Event()

        def hold_back(request: ReceivedRequest) -> None:
            if request.method == "GET" and request.parameter("partNumber") is not None:
                has_begun.wait(60)

        def read_all(body: Iterable[memoryview]) -> None:
            for _ in body:
                has_begun.set()

        behaviour = Behaviour(whole_for_parts=True)
        with (
            ObjectServer({"/b/k": composite(EVEN)}, behaviour=behaviour, operations=[hold_back]) as server,
            fastget.stream("s3://b/k", endpoint_url=server.base_url, split="part", **QUICK) as body,
            pytest.raises(RangeNotSupported) as caught,
        ):
            read_all(body)
        assert caught.value.hint == "use --split auto or --split range"


class TestGuesses:
    """Where nobody tells: the digest itself proves a part size, or nothing is known."""

    @pytest.mark.parametrize("algorithm", list(Algorithm))
    @pytest.mark.parametrize("sizes", [EVEN, ODD_EVEN, (5 * MIB, MIB + 4321)], ids=["mebibytes", "odd", "two"])
    def test_a_usual_part_size_is_found(
        self, composite: Any, content_digest: str, destination: Path, sizes: tuple[int, ...], algorithm: Algorithm
    ) -> None:
        stored = composite(sizes, algorithm)
        with ObjectServer({"/b/k": stored}, behaviour=NOTHING_TOLD) as server:
            result = fetch(server, destination)
        if sizes is ODD_EVEN:
            assert (result.verification.verified, "usual" in result.verification.reason) == (False, True)
            assert result.bytes_received == sum(sizes)
            return
        assert_verified(result, destination, content_digest)
        assert result.repairs == 0

    @pytest.mark.parametrize("sizes", [EVEN, (5 * MIB, MIB + 4321)], ids=["four", "two"])
    def test_an_etag_of_parts_too(
        self, composite: Any, content_digest: str, destination: Path, sizes: tuple[int, ...]
    ) -> None:
        with ObjectServer({"/b/k": composite(sizes, None)}, behaviour=NOTHING_TOLD) as server:
            result = fetch(server, destination)
        assert_verified(result, destination, content_digest, Method.ETAG_MD5)

    def test_memory_as_well(self, composite: Any, content: Content) -> None:
        with ObjectServer({"/b/k": composite((5 * MIB, MIB + 4321))}, behaviour=NOTHING_TOLD) as server:
            found = fastget.read("s3://b/k", endpoint_url=server.base_url, require_verified=True, **QUICK)
        assert found == bytes(content.read(0, content.size))

    def test_a_signed_url_is_verified_though_nothing_can_be_added_to_it(
        self, composite: Any, content_digest: str, destination: Path
    ) -> None:
        query = "X-Amz-Signature=0123456789abcdef&X-Amz-SignedHeaders=host%3Bx-amz-checksum-mode"
        with ObjectServer({"/b/k": composite(EVEN)}) as server:
            result = fastget.download(server.url("/b/k", query), destination, require_verified=True, **QUICK)
            assert asked(server.requests) == []
        assert_verified(result, destination, content_digest)

    def test_a_conclusive_digest_is_preferred_to_a_guess(
        self, composite: Any, content: Content, content_digest: str, destination: Path
    ) -> None:
        from base64 import b64encode

        value = b64encode(bytes.fromhex(content_digest)).decode()
        stored = composite(MISLEADING, headers={"Repr-Digest": f"sha-256=:{value}:"})
        with ObjectServer({"/b/k": stored}, behaviour=NOTHING_TOLD) as server:
            result = fetch(server, destination)
        assert_verified(result, destination, content_digest, Method.HTTP_DIGEST)


@pytest.mark.fault("H49")
def test_numbers_with_gaps_are_not_taken_for_another_object(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(
        content, part_sizes=EVEN, part_numbers=(1, 3, 7, 9), checksum=Algorithm.CRC32C, checksum_type="COMPOSITE"
    )
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(rate_per_connection=4 * MIB)) as server:
        result = fetch(server, destination)
    assert_verified(result, destination, content_digest)
    assert result.split == "range"
