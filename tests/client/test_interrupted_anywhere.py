"""A signal's handler, or another thread, breaks into a call wherever Python looks for that: no moment is a bad one."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable

import pytest
import trustme

from fastget.testing import Content, ObjectServer, StoredObject

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
Script = Callable[..., str]

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="it goes by CPython's instructions"),
]

MOMENTS = '''
import faulthandler, opcode, sys
import fastget
from fastget import s3

# After these CPython looks whether a signal has come, or another thread has raised something here.
LOOKS = {code for name, code in opcode.opmap.items() if name.startswith(("CALL", "JUMP_BACKWARD", "RESUME"))}
faulthandler.dump_traceback_later(50, exit=True)


class Moments:
    """Counts the moments of a call in files whose paths end so, and has `handler` called at one of them."""

    def __init__(self, files, moment=0, handler=None):
        self.files, self.moment, self.handler, self.count, self.last = files, moment, handler, 0, {}

    def enter(self, frame, event, _):
        if not frame.f_code.co_filename.endswith(self.files):
            return None
        frame.f_trace, frame.f_trace_opcodes = self.step, True  # 3.13 heeds the second where there is the first
        return self.step

    def step(self, frame, event, _):
        if event == "return":
            self.last.pop(frame, None)
        if event == "opcode":
            before, self.last[frame] = self.last.get(frame), frame.f_lasti
            if before is not None and frame.f_code.co_code[before] in LOOKS:
                self.count += 1
                if self.count == self.moment:
                    sys.settrace(None)
                    self.last.clear()
                    self.handler(14, frame)
        return self.step

    def during(self, call):
        sys._getframe().f_trace_opcodes = True  # from 3.12 on, nobody is told of instructions unless somebody wanted it
        sys.settrace(self.enter)
        try:
            return call()
        finally:
            sys.settrace(None)


def moments(files, call):
    counted = Moments(files)
    counted.during(call)
    assert counted.count
    return range(1, counted.count + 1)


class Mine(Exception):
    pass


def interrupt(signum, frame):
    raise Mine
'''

GAPS = (
    MOMENTS
    + """
url, size = sys.argv[1], int(sys.argv[2])
client = fastget.Client(endpoint_url=url, no_sign_request=True)
files = "engine/reading/body.py"

def filled(body):
    buffer = bytearray(50_000)
    return bytes(buffer[:body.readinto(buffer)])

ways = [lambda body: body.read(), lambda body: body.read(50_000), filled, lambda body: body.readline(), next]

def read_on(body, way, moment):
    found = b""
    while True:
        try:
            taken = moment.during(lambda: way(body))
        except Mine:
            moment = Moments(())
            continue
        except (fastget.errors.Cancelled, StopIteration) as error:
            return None if isinstance(error, fastget.errors.Cancelled) else found
        if not taken:
            return found
        found += taken

with s3.get_object(Bucket="b", Key="k", client=client)["Body"] as body:
    whole = body.read()
assert len(whole) == size
for way in ways:
    with s3.get_object(Bucket="b", Key="k", client=client)["Body"] as body:
        # The first calls and a look at each place are enough: the rest is the same again.
        number = min(150, len(moments(files, lambda: way(body))))
    for moment in range(1, number + 1):
        with s3.get_object(Bucket="b", Key="k", client=client)["Body"] as body:
            found = read_on(body, way, Moments(files, moment, interrupt))
            assert found in (None, whole), (ways.index(way), moment, len(found))
client.close()
"""
)


def test_a_body_whose_read_was_interrupted_goes_on_without_a_gap_or_not_at_all(serve: Serve, script: Script) -> None:
    stored = StoredObject(Content.generated(100_000, seed=3))
    server = serve({"/b/k": stored})
    script(GAPS, server.base_url, stored.content.size)


NESTED = (
    MOMENTS
    + """
url = sys.argv[1]
import warnings

warnings.simplefilter("ignore", ResourceWarning)
client = fastget.Client(limit_rate=1 << 40)
files = ("buffers.py", "exchange/gate.py", "exchange/stores.py", "exchange/reserve.py", "transport/limit.py",
    "transport/resolver.py", "core/throttle.py", "core/bucket.py", "core/addresses.py")
expected = client.read(url)
slice = client.read(url, 1, 100)

def read(signum, frame):
    assert client.read(url, 1, 100) == slice
    assert client.read(url) == expected

def anew():
    client.close()
    return client.read(url)

for moment in moments(files, anew):
    assert Moments(files, moment, read).during(anew) == expected
client.close()
"""
)


def test_a_signal_handler_may_use_the_client_that_it_interrupts(serve: Serve, script: Script) -> None:
    server = serve({"/k": StoredObject(Content.generated(5000, seed=3))})
    script(NESTED, server.url("/k"))


WITHIN = (
    MOMENTS
    + """
from fastget.client import _stores

url = sys.argv[1]
client = fastget.Client()
read = lambda: client.read(url)
expected = read()
gate = next(iter(_stores._entries.values())).store.gate

def interrupt_within(signum, frame):
    # What comes before the first instruction of it is nobody's to catch.
    if frame.f_code.co_name != "__exit__":
        raise Mine

for moment in moments("exchange/gate.py", read):
    try:
        Moments("exchange/gate.py", moment, interrupt_within).during(read)
    except Mine:
        pass
    assert gate._in_flight == 0, moment
assert read() == expected
client.close()
"""
)


def test_an_interrupted_request_is_not_waited_for(serve: Serve, script: Script) -> None:
    server = serve({"/k": StoredObject(Content.generated(5000, seed=3))})
    script(WITHIN, server.url("/k"))


FROM_THREAD = (
    MOMENTS
    + """
url, bundle = sys.argv[1:]
client = fastget.Client(ca_bundle=bundle)
read = lambda: client.read(url, 1, 1 << 20)
expected = read()

def come_from_thread(signum, frame):
    del frame
    raise TimeoutError

for moment in moments("transport/wire.py", read)[-60:]:
    try:
        found = Moments("transport/wire.py", moment, come_from_thread).during(read)
    except TimeoutError as error:
        assert type(error) is TimeoutError, repr(error)
    else:
        assert found == expected, "the bytes are others"
        # How many times a socket is read varies: the moment may not have come.
client.close()
"""
)


def test_a_timeout_that_another_thread_raises_in_a_read_is_no_silence_of_the_socket(
    serve: Serve, script: Script, authority: trustme.CA, bundle: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = serve({"/k": StoredObject(Content.generated(2 * MIB, seed=3))}, tls=context)
    script(FROM_THREAD, server.url("/k"), bundle)


LOOKUP = (
    MOMENTS
    + """
url = sys.argv[1]
files = ("transport/resolver.py", "fastget/interrupts.py")
with fastget.Client(connect_timeout=60) as client:
    expected = client.read(url)
    client.close()
    found = moments(files, lambda: client.read(url))
for moment in found:
    with fastget.Client(connect_timeout=60) as client:
        try:
            Moments(files, moment, interrupt).during(lambda: client.read(url))
        except Mine:
            pass
        assert client.read(url) == expected
"""
)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_look_for_addresses_that_was_interrupted_is_not_waited_for(serve: Serve, script: Script, host: str) -> None:
    server = serve({"/k": StoredObject(Content.generated(5000, seed=3))})
    script(LOOKUP, server.url("/k").replace("127.0.0.1", host))


STREAMED = (
    MOMENTS
    + """
import threading

url = sys.argv[1]
client = fastget.Client()
files = ("sinks/handoff.py", "threading.py")

def interrupt_taking(signum, frame):
    # A wait of the standard library's that has begun, and a thread that has, are not the matter here.
    if frame.f_code.co_name in ("take", "give_back", "abort", "__enter__"):
        raise Mine

def read():
    with client.stream(url) as blocks:
        for block in blocks:
            pass

read()
for moment in moments(files, read)[-80:]:
    try:
        Moments(files, moment, interrupt_taking).during(read)
    except Mine:
        pass
    assert [thread.name for thread in threading.enumerate() if thread.name == "fastget-stream"] == [], moment
client.close()
"""
)


def test_a_stream_that_is_interrupted_as_it_takes_a_block_leaves_no_thread(serve: Serve, script: Script) -> None:
    server = serve({"/k": StoredObject(Content.generated(3 * MIB, seed=3))})
    script(STREAMED, server.url("/k"))


WAITED = (
    MOMENTS
    + """
import threading
from fastget.interrupts import lock_and_condition

lock, changed = lock_and_condition()
files = ("threading.py", "fastget/interrupts.py")

def wait(seconds):
    with lock:
        changed.wait(seconds)

def takes(wanted):
    thread = threading.Thread(target=lambda: wanted.append(lock.acquire(timeout=20)) or lock.release())
    thread.start()
    thread.join()
    return wanted == [True]

for seconds in (0, 0.001):
    for moment in moments(files, lambda: wait(seconds)):
        try:
            Moments(files, moment, interrupt).during(lambda: wait(seconds))
        except BaseException as error:
            assert type(error) is Mine, (moment, repr(error))
        assert takes([]), moment
"""
)


def test_a_wait_that_is_interrupted_ends_in_what_has_interrupted_it(script: Script) -> None:
    script(WAITED)


LENT = (
    MOMENTS
    + """
import gc
from fastget import buffers
from fastget.config import Config

url = sys.argv[1]
files = (
    "fastget/buffers.py", "workers/crew.py", "small/at_once.py", "small/plain.py", "engine/download/digesting.py"
)
client = fastget.Client()
pool = buffers.shared_buffers(Config.max_memory)
slices = [("/small", None, None), ("/small", 1, 100), ("/large", None, None)]
calls = [lambda name=name, start=start, stop=stop: client.read(url + name, start, stop) for name, start, stop in slices]
for call in calls:
    expected = call()
    found = moments(files, call)
    # Once the threads of a large object run, the same comes again and again.
    for moment in found[:150]:
        try:
            Moments(files, moment, interrupt).during(call)
        except Mine:
            pass
        gc.collect()
        assert pool.held == 0, (calls.index(call), moment, pool.held)
    assert call() == expected
client.close()
"""
)


def test_memory_whose_taker_is_interrupted_is_given_back(serve: Serve, script: Script) -> None:
    small, large = Content.generated(5000, seed=3), Content.generated(2 * MIB, seed=3)
    server = serve({"/b/small": StoredObject(small), "/b/large": StoredObject(large)})
    script(LENT, server.url("/b"))


WRITTEN = (
    MOMENTS
    + """
import tempfile
from pathlib import Path

url = sys.argv[1]
client = fastget.Client()
files = "sinks/file.py sinks/kept.py sinks/descriptor.py sinks/publishing.py sinks/whole.py sinks/anonymous.py"
files = tuple(files.split())

class Alarm(OSError):
    pass

def alarm(signum, frame):
    raise Alarm(5, "the handler's own")

with tempfile.TemporaryDirectory() as folder:
    target = Path(folder, "k")
    for name in ("/small", "/large"):
        def call():
            target.unlink(missing_ok=True)
            client.download(url + name, target)
        call()
        expected, told = target.read_bytes(), 0
        for moment in moments(files, call):
            try:
                Moments(files, moment, globals()[sys.argv[2]]).during(call)
            except (Alarm, Mine):
                told += 1
            # Whoever only looks, or cleans up, passes over what he is told.
            assert not target.exists() or target.read_bytes() == expected
        assert told > 20, told
client.close()
"""
)


@pytest.mark.parametrize("handler", ["interrupt", "alarm"])
def test_what_a_signal_handler_raises_in_file_work_comes_out_of_it_and_nobody_waits(
    serve: Serve, script: Script, handler: str
) -> None:
    small, large = Content.generated(5000, seed=3), Content.generated(MIB, seed=3)
    server = serve({"/b/small": StoredObject(small), "/b/large": StoredObject(large)})
    script(WRITTEN, server.url("/b"), handler)
