"""A server that closes after each answer says so."""

from __future__ import annotations

import http.client

from fastget.testing import Behaviour, Content, ObjectServer, StoredObject


def test_without_keep_alive_every_answer_ends_its_connection() -> None:
    with ObjectServer({"/k": StoredObject(Content.of(b"abc"))}, behaviour=Behaviour(keep_alive=False)) as server:
        for _ in range(2):
            client = http.client.HTTPConnection("127.0.0.1", server.port)
            client.request("GET", "/k")
            answer = client.getresponse()
            assert answer.headers["Connection"] == "close"
            assert answer.read() == b"abc"
            client.close()
        assert [request.connection for request in server.requests] == [1, 2]
