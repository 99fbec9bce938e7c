"""The limit of the machine: threads that receive and write, and check nothing, in as few imports as possible.

Usage: python -m benchmarks.clients.bare_loop URL FILE THREADS
"""

import itertools
import os
import socket
import sys
import threading

_BUFFER = 256 * 1024


def main() -> None:
    url, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    origin = Origin(url)
    failures: list[BaseException] = []
    threading.excepthook = lambda failure: failures.append(failure.exc_value or failure.exc_type())

    first = origin.connect()
    size, body = origin.ask(first)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.posix_fallocate(file, 0, size)
    bounds = [size * index // threads for index in range(threads + 1)]
    workers = [
        threading.Thread(target=_fetch, args=(origin, file, start, stop))
        for start, stop in itertools.pairwise(bounds[1:])
        if start < stop
    ]
    for worker in workers:
        worker.start()
    with first:
        _receive(first, origin.receive_flags, body[: bounds[1]], file, 0, bounds[1])
    for worker in workers:
        worker.join()
    os.close(file)
    if failures:
        raise failures[0]


class Origin:
    """Where the object is, and how it is asked for."""

    def __init__(self, url: str) -> None:
        self._scheme, _, self._host, self._target = url.split("/", 3)
        self.receive_flags = socket.MSG_WAITALL if self._scheme == "http:" else 0

    def connect(self) -> socket.socket:
        name, _, port = self._host.partition(":")
        connection = socket.create_connection((name, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._scheme == "http:":
            return connection
        import ssl

        return ssl.create_default_context().wrap_socket(connection, server_hostname=name)

    def ask(self, connection: socket.socket, fields: str = "") -> tuple[int, bytes]:
        """Send a GET; the length of the answer's body, and what came of it together with the head."""
        request = f"GET /{self._target} HTTP/1.1\r\nHost: {self._host}\r\n{fields}\r\n"
        connection.sendall(request.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            piece = connection.recv(16384)
            if not piece:
                raise ConnectionError("the server closed the connection")
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:") and b" 20" in head.partition(b"\r\n")[0]:
                return int(line.partition(b":")[2]), body
        raise ValueError("the server refused, or gave no length")

    def receive(self, connection: socket.socket, begun: bytes, memory: memoryview) -> None:
        """Fill `memory` with an answer's body, of which some has come already."""
        filled = len(begun)
        memory[:filled] = begun
        while filled < len(memory):
            got = connection.recv_into(memory[filled:], 0, self.receive_flags)
            if not got:
                raise ConnectionError("the server closed the connection")
            filled += got


def _fetch(origin: Origin, file: int, start: int, stop: int) -> None:
    with origin.connect() as connection:
        length, body = origin.ask(connection, f"Range: bytes={start}-{stop - 1}\r\n")
        if length != stop - start:
            raise ValueError("the server does not serve ranges")
        _receive(connection, origin.receive_flags, body, file, start, stop)


def _receive(connection: socket.socket, flags: int, body: bytes, file: int, start: int, stop: int) -> None:
    os.pwrite(file, body, start)
    start += len(body)
    buffer = memoryview(bytearray(_BUFFER))
    while start < stop:
        length = connection.recv_into(buffer, min(_BUFFER, stop - start), flags)
        if not length:
            raise ConnectionError("the server closed the connection")
        os.pwrite(file, buffer[:length], start)
        start += length


if __name__ == "__main__":
    main()
