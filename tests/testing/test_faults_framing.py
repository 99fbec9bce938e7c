"""Bodies, header fields and status lines that break HTTP: on the wire, and to curl."""

from __future__ import annotations

from typing import Any

import pytest

from fastget.testing import Content, Fault, ObjectServer, StoredObject, faults

DATA = Content.generated(2_500_000, seed=1).read()
SMALL = b"abcdefghij"

# The statuses are those of curl's manual, EXIT CODES.
PARTIAL_FILE, RECEIVE_ERROR, OUT_OF_MEMORY = 18, 56, 27


def serving(*chosen: Fault, data: bytes = SMALL) -> ObjectServer:
    return ObjectServer({"/b/k": StoredObject(Content.of(data))}, faults=chosen)


def test_a_chunked_body_is_the_content(curl: Any, ask: Any) -> None:
    with serving(faults.chunked().times(2), data=DATA) as server:
        assert curl(server.url("/b/k")).output == DATA
        answer = ask(server)
        assert answer.headers.get("Content-Length") is None
        assert answer.body.startswith(b"100000\r\n")
        assert answer.body.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("after", [None, 5])
def test_a_chunked_body_without_its_end_is_partial(curl: Any, ask: Any, after: int | None) -> None:
    with serving(faults.chunked_without_end(after=after).times(2)) as server:
        assert curl(server.url("/b/k")).status == PARTIAL_FILE
        size = len(SMALL[:after])
        assert ask(server).body == b"%x\r\n%b\r\n" % (size, SMALL[:after])


def test_a_chunk_size_that_is_no_number_is_refused(curl: Any) -> None:
    with serving(faults.bad_chunk_size()) as server:
        assert curl(server.url("/b/k")).status == RECEIVE_ERROR


def test_a_body_has_a_length_and_is_chunked(ask: Any) -> None:
    with serving(faults.length_and_chunked()) as server:
        answer = ask(server)
    assert answer.headers.get("Transfer-Encoding") == "chunked"
    assert answer.headers.get("Content-Length") == str(len(SMALL))
    assert answer.body == b"a\r\nabcdefghij\r\n0\r\n\r\n"


def test_two_lengths_differ(ask: Any) -> None:
    with serving(faults.two_lengths()) as server:
        assert set(ask(server).headers.get_all("Content-Length")) == {"10", "11"}


@pytest.mark.parametrize("value", [11, -1, "abc", 2**64, "9" * 20])
def test_a_length_is_declared_that_the_body_has_not(ask: Any, value: int | str) -> None:
    with serving(faults.declared_length(value)) as server:
        answer = ask(server)
        assert (answer.headers.get("Content-Length"), answer.body) == (str(value), SMALL)
        assert answer.ending == "fin"


def test_a_body_shorter_than_declared_is_partial(curl: Any) -> None:
    with serving(faults.declared_length(11)) as server:
        assert curl(server.url("/b/k")).status == PARTIAL_FILE


def test_bytes_follow_the_body(ask: Any) -> None:
    with serving(faults.surplus_bytes(b"more")) as server:
        assert ask(server).body == SMALL + b"more"


def test_garbage_comes_before_the_status_line(curl: Any, ask: Any) -> None:
    with serving(faults.garbage(b"\x01\x02\r\n").times(2)) as server:
        assert ask(server).data.startswith(b"\x01\x02\r\nHTTP/1.1 200 OK\r\n")
        assert curl(server.url("/b/k")).status != 0


@pytest.mark.parametrize("status", [100, 102, 103])
def test_informational_answers_come_first(curl: Any, ask: Any, status: int) -> None:
    with serving(faults.informational(status, count=3).times(2)) as server:
        assert curl(server.url("/b/k")).output == SMALL
        assert ask(server).data.count(b"HTTP/1.1 %d" % status) == 3


def test_a_header_is_huge(curl: Any, ask: Any) -> None:
    with serving(faults.huge_header(400_000).times(2)) as server:
        assert len(ask(server).headers.get("X-Huge")) == 400_000
        assert curl(server.url("/b/k")).status in (RECEIVE_ERROR, OUT_OF_MEMORY)


def test_headers_are_many(ask: Any) -> None:
    with serving(faults.many_headers(5000)) as server:
        assert len(ask(server).headers) > 5000


@pytest.mark.parametrize("line", [b"no colon\r\n", b"a: b\0c\r\n", b" folded\r\n", b"a: b\rc\r\n"])
def test_a_line_of_the_head_is_sent_as_it_is(ask: Any, line: bytes) -> None:
    with serving(faults.bad_header_line(line)) as server:
        assert (ask(server).data.partition(b"\r\n\r\n")[0] + b"\r\n").endswith(b"\r\n" + line)


def test_head_has_no_body_whatever_the_framing(ask: Any) -> None:
    with serving(faults.chunked().on(method="HEAD")) as server:
        answer = ask(server, method="HEAD")
        assert (answer.headers.get("Transfer-Encoding"), answer.body) == ("chunked", b"")
