"""An object server on a loopback socket: a thread for each connection, ended with the `with` block."""

from __future__ import annotations

import contextlib
import random
import re
import selectors
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from fastget.core.messages import Framing
from fastget.testing import s3
from fastget.testing.behaviour import Behaviour
from fastget.testing.documents import error
from fastget.testing.fault import Fault, FaultBook, FaultSource, merged_manner
from fastget.testing.pace import Link
from fastget.testing.received import ReceivedRequest
from fastget.testing.record import Record, RecordedRequest
from fastget.testing.sending import Decision, Sender

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from fastget.testing.answer import Answer
    from fastget.testing.objects import StoredObject

    Operation = Callable[[ReceivedRequest], Answer | None]

HEAD_LIMIT = 65536
BODY_LIMIT = 1024 * 1024
_JOIN_TIMEOUT = 10.0
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?:\r\n|$)", re.IGNORECASE)


class ObjectServer:
    """Serves stored objects the way S3 does, and misbehaves as told.

        with ObjectServer({"/bucket/key": StoredObject(Content.of(b"abc"))}) as server:
            server.url("/bucket/key")

    It listens on 127.0.0.1, on a free port unless `port` names one, from the moment it is made; with `tls` (a
    server side context) it speaks HTTPS. At most `max_connections` are served at once; further ones wait.
    `operations` are asked first, in order, and the first that has an answer gives it: listings, sessions, tokens,
    whatever is no GET or HEAD of an object.
    """

    def __init__(
        self,
        objects: Mapping[str, StoredObject],
        *,
        behaviour: Behaviour | None = None,
        faults: Sequence[Fault] | FaultSource = (),
        port: int = 0,
        max_connections: int = 256,
        tls: ssl.SSLContext | None = None,
        operations: Sequence[Operation] = (),
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.operations: tuple[Operation, ...] = tuple(operations)
        self._versions: dict[str, dict[str | None, StoredObject]] = {}
        self._book: FaultSource = FaultBook(faults) if isinstance(faults, Sequence) else faults
        self._record = Record()
        self._link = Link()
        self._tls = tls
        self._lock = threading.Lock()
        for path, stored in objects.items():
            self.put(path, stored)
        self._live: dict[int, socket.socket] = {}
        self._threads: set[threading.Thread] = set()
        self._accepted = 0
        self._slots = threading.Semaphore(max_connections)
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._wake, self._woken = socket.socketpair()
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="object-server", daemon=True)
        self._acceptor.start()

    @property
    def base_url(self) -> str:
        """Scheme, address and port, without a slash at the end."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests so far, in order of arrival."""
        return self._record.snapshot()

    @property
    def faults_happened(self) -> tuple[str, ...]:
        """The names of the faults that have happened, in order."""
        return self._book.happened

    @property
    def connections(self) -> int:
        """How many connections have been accepted so far."""
        return self._accepted

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._live)

    def url(self, path: str, query: str = "") -> str:
        """The URL of a path such as /bucket/key, with an encoded query such as partNumber=1."""
        return self.base_url + quote(path) + (f"?{query}" if query else "")

    def put(self, path: str, stored: StoredObject) -> None:
        """Store an object, or replace the one that is there; its other versions can still be asked for."""
        with self._lock:
            versions = self._versions.setdefault(path, {})
            versions.pop(stored.version_id, None)
            versions[stored.version_id] = stored

    def remove(self, path: str) -> None:
        """Delete an object with all of its versions. Raises KeyError where there is none."""
        with self._lock:
            del self._versions[path]

    def forget_requests(self) -> None:
        """Begin the record of requests anew."""
        self._record.clear()

    def close_connections(self) -> None:
        """End every connection that is open now; new ones are served."""
        with self._lock:
            live = list(self._live.values())
        for sock in live:
            _shut(sock)

    def close(self) -> None:
        """End every connection and thread. Safe to call twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._book.release()
        self._wake.send(b"x")
        self.close_connections()
        self._acceptor.join(_JOIN_TIMEOUT)
        self.close_connections()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(_JOIN_TIMEOUT)
        for sock in (self._listener, self._wake, self._woken):
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if self._stopping.is_set():
                    return
                self._slots.acquire()
                if self._stopping.is_set():
                    return
                sock, _ = self._listener.accept()
                self._start(sock)

    def _start(self, sock: socket.socket) -> None:
        with self._lock:
            self._accepted += 1
            number = self._accepted
            self._live[number] = sock
            thread = threading.Thread(target=self._run, args=(sock, number), name=f"connection-{number}", daemon=True)
            self._threads.add(thread)
        thread.start()

    def _run(self, sock: socket.socket, number: int) -> None:
        try:
            with contextlib.suppress(OSError), self._secured(sock, number) as secured:
                secured.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._serve(secured, number)
        finally:
            with self._lock:
                self._live.pop(number, None)
                self._threads.discard(threading.current_thread())
            self._slots.release()
            sock.close()

    def _secured(self, sock: socket.socket, number: int) -> socket.socket:
        if self._tls is None:
            return sock
        secured = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._live[number] = secured  # wrapping took the descriptor away from the plain socket
        try:
            secured.do_handshake()
        except OSError:
            secured.close()
            raise
        return secured

    def _serve(self, sock: socket.socket, number: int) -> None:
        sender = Sender(sock, self._stopping, self._book.use, self._link)
        greeting = self._book.greeting(number)
        if greeting is not None:
            sock.sendall(greeting.manner.greeting)
            if greeting.manner.ending is not None:
                sender.end(greeting.manner.ending)
                return
        for head, body in _messages(sock):
            try:
                request = ReceivedRequest.parse(head, number, body)
            except ValueError:
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if not self._answer(sender, request):
                return

    def _answer(self, sender: Sender, request: ReceivedRequest) -> bool:
        """Answer one request and say whether the connection can go on."""
        exchange = self._record.begin(request)
        answer, faults = self._decide(request)
        exchange.faults = tuple(fault.name for fault in faults if fault.flip is None)
        manner = merged_manner(faults)
        if manner.hold is not None and manner.hold.after is None:
            sender.pause(manner.hold)
        low, high = self.behaviour.first_byte_delay
        if high > 0:
            self._stopping.wait(random.uniform(low, high))
        if manner.before_head and manner.ending is not None:
            sender.end(manner.ending)
            return False
        flips = tuple(fault for fault in faults if fault.flip is not None)
        behaviour = self.behaviour
        means = (behaviour.rate_per_connection, behaviour.keep_alive, behaviour.rate)
        return sender.send(exchange, Decision(answer, manner, flips, *means))

    def _decide(self, request: ReceivedRequest) -> tuple[Answer, tuple[Fault, ...]]:
        answer = self._plain_answer(request, self.behaviour)
        faults = self._book.befalling(request, answer)
        changes = {name: value for fault in faults for name, value in fault.behaviour.items()}
        replacement = next((fault.replacement for fault in faults if fault.replacement), None)
        if replacement is not None:
            self.put(request.path, replacement)
        if changes or replacement is not None:
            answer = self._plain_answer(request, replace(self.behaviour, **changes))
        for fault in faults:
            if fault.edit is not None:
                answer = fault.edit(request, answer)
        return answer, faults

    def _stored(self, request: ReceivedRequest) -> StoredObject | None:
        """The version that a request asks for where it is there, else the current one."""
        with self._lock:
            versions = self._versions.get(request.path)
            if not versions:
                return None
            return versions.get(request.parameter("versionId")) or next(reversed(versions.values()))

    def _plain_answer(self, request: ReceivedRequest, behaviour: Behaviour) -> Answer:
        found = next((found for operation in self.operations if (found := operation(request)) is not None), None)
        if found is not None:
            return found
        stored = self._stored(request)
        if request.method not in ("GET", "HEAD") or (request.method == "HEAD" and not behaviour.head):
            message = "The specified method is not allowed against this resource."
            answer = error(405, "MethodNotAllowed", message, amazon=behaviour.amazon)
        elif stored is None:
            answer = s3.no_such_key(request, behaviour)
        else:
            answer = s3.answer(request, stored, behaviour)
        return _framed(answer, behaviour)


def _framed(answer: Answer, behaviour: Behaviour) -> Answer:
    if answer.status == 304:
        return replace(answer, framing=Framing.NONE)
    return answer if behaviour.send_length else replace(answer, framing=Framing.CHUNKED)


def _messages(sock: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """The request heads that arrive on a connection, without their empty line, each with its body, until it ends."""
    pending = bytearray()
    while True:
        end = pending.find(b"\r\n\r\n")
        length = _body_length(pending[:end]) if end >= 0 else 0
        if end >= 0 and len(pending) >= end + 4 + length:
            yield bytes(pending[:end]), bytes(pending[end + 4 : end + 4 + length])
            del pending[: end + 4 + length]
            continue
        data = sock.recv(65536)
        if not data or len(pending) > HEAD_LIMIT + length:
            return
        pending += data


def _body_length(head: bytearray) -> int:
    """The declared length of a request's body (IAM tokens are asked for by POST)."""
    found = _CONTENT_LENGTH.search(head)
    return min(int(found[1]), BODY_LIMIT) if found else 0


def _shut(sock: socket.socket) -> None:
    """Wake the thread that blocks on a socket; the thread closes it."""
    with contextlib.suppress(OSError):
        # The shutdown of an SSLSocket would take the TLS away from that thread in the middle of its work.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
