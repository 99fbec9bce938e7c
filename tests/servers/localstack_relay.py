"""Runs LocalStack inside a network of its own and relays a port of the outer network to it.

LocalStack listens on every address of the machine, whatever it is told (its runtime/server/twisted.py), so
it is put where nobody else can reach it:

    unshare --net … python localstack_relay.py LISTENING_DESCRIPTOR LOCALSTACK_PYTHON

A socket belongs to the network that it was made in. The listening socket comes from outside, the connections
to LocalStack are made inside, so this process can join them. SIGTERM ends it, and LocalStack with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

PORT = 4566
BUFFER = 256 * 1024
ENVIRONMENT = {
    "GATEWAY_LISTEN": f"127.0.0.1:{PORT}",
    "SERVICES": "s3",
    "EAGER_SERVICE_LOADING": "1",
    "DISABLE_EVENTS": "1",
    "DNS_ADDRESS": "0",
    "SKIP_SSL_CERT_DOWNLOAD": "1",
}


async def main(listening: socket.socket, localstack_python: str) -> None:
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    command = ["setpriv", "--pdeathsig", "TERM", localstack_python, "-m", "localstack.runtime.main"]
    localstack = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **ENVIRONMENT}, stdin=subprocess.DEVNULL
    )
    try:
        async with await asyncio.start_server(_relay, sock=listening, limit=BUFFER):
            await _first_of(terminated.wait(), localstack.wait())
    finally:
        with contextlib.suppress(ProcessLookupError):
            localstack.terminate()
        await localstack.wait()


async def _relay(outer_reader: asyncio.StreamReader, outer_writer: asyncio.StreamWriter) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", PORT, limit=BUFFER)
    except OSError:  # not listening yet: the client sees its connection closed
        outer_writer.close()
        return
    try:
        await _first_of(_pump(outer_reader, inner_writer), _pump(inner_reader, outer_writer))
    finally:
        inner_writer.close()
        outer_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(BUFFER):
            writer.write(data)
            await writer.drain()


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Wait until one has ended, then cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    asyncio.run(main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2]))
