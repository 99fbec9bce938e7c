"""A child that stands by is what `launch` would have started: nothing of its parent's is left open in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a child stands by on Linux alone")

_HOME = str(Path(__file__).resolve().parents[2])
HANG = 60.0
NATIVE = """
import _thread
_thread.start_new_thread(threading.Event().wait, ())
"""
THREAD = "threading.Thread(target=threading.Event().wait, daemon=True)"

# What the child runs: it tells what it has and is, and stays until its parent lets go of it.
CHILD = """\
import json, os, signal, socket, sys, threading

def main(sock, file, parent):
    numbers = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    told = {
        "pid": os.getpid(),
        "parent": parent,
        "open": [number for number in numbers if os.path.exists(f"/proc/self/fd/{number}")],
        "streams": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        "is_forked": "marked_by_the_parent" in sys.modules,
        "threads": threading.active_count(),
        "signals": {name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGHUP")},
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    }
    os.write(file, json.dumps(told).encode() + b"\\n")
    with socket.socket(fileno=sock) as line:
        line.recv(1)
    os._exit(7)
"""
BEGINNING = """\
import contextlib, json, os, signal, sys, tempfile, threading, types
sys.path.insert(0, sys.argv[1])
from fastget.engine.children.launch import launch
from fastget.engine.children.standby import standing_by, stands_by

sys.modules["marked_by_the_parent"] = types.ModuleType("marked")
file = tempfile.TemporaryFile()

def told_by(launched):
    launched.sock.shutdown(1)
    ended = launched.process.wait()
    file.seek(0)
    found = {"process": launched.process.pid, "ended": ended, "again": launched.process.poll()}
    return {**found, **json.loads(file.read())}
"""


def run(directory: Path, text: str) -> Any:
    """What a program prints, begun with `BEGINNING`, as a process of its own."""
    (directory / "marked_child.py").write_text(CHILD)
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + text, str(directory)],
        capture_output=True,
        timeout=HANG,
        env={**os.environ, "PYTHONPATH": _HOME},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def test_it_does_the_work_with_nothing_but_its_line_and_its_file(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
left_open = open(sys.argv[0] if os.path.exists(sys.argv[0]) else os.devnull)
with standing_by("marked_child"):
    assert stands_by("marked_child") and not stands_by("another")
    told = told_by(launch(file.fileno(), "marked_child"))
    assert not stands_by("marked_child")
print(json.dumps({**told, "here": os.getpid()}))
""",
    )
    assert told["pid"] == told["process"] != told["here"] == told["parent"]
    assert (told["ended"], told["again"]) == (7, 7)
    assert told["is_forked"]
    assert told["open"] == [0, 1, 2, 3, 4]  # the line and the file
    assert told["streams"] == ["/dev/null"] * 3
    assert told["threads"] == 1
    # As after an exec: what was handled is not, and what was ignored is. Ctrl-C is for the parent.
    assert told["signals"] == {"SIGINT": "1", "SIGTERM": "0", "SIGHUP": "1"} or told["signals"] == {
        "SIGINT": "Handlers.SIG_IGN",
        "SIGTERM": "Handlers.SIG_DFL",
        "SIGHUP": "Handlers.SIG_IGN",
    }
    assert told["blocked"] == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "os.kill(standing(), signal.SIGKILL); import time; time.sleep(0.2)", id="it was killed"),
        pytest.param("", "stolen = stands_by('another')", id="another module is wanted"),
        pytest.param(
            "threading.Thread(target=threading.Event().wait, daemon=True).start()", "", id="there are threads"
        ),
        pytest.param("os.fork = lambda: (_ for _ in ()).throw(OSError(11, 'no'))", "", id="no process can be had"),
    ],
)
def test_where_none_stands_by_a_child_is_started_as_ever(tmp_path: Path, before: str, after: str) -> None:
    wanted = "other_child" if "another" in after else "marked_child"
    (tmp_path / "other_child.py").write_text(CHILD)
    told = run(
        tmp_path,
        f"""
def standing():
    return int(open(f"/proc/self/task/{{os.getpid()}}/children").read().split()[0])
{before}
with standing_by("marked_child"):
    {after or "assert not stands_by('marked_child')"}
    told = told_by(launch(file.fileno(), "{wanted}"))
print(json.dumps(told))
""",
    )
    assert told["pid"] == told["process"]
    assert told["ended"] == 7
    assert not told["is_forked"]


def test_what_is_open_above_a_limit_that_was_lowered_is_not_open_in_it(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
import resource
os.dup2(1, 63)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
with standing_by("marked_child"):
    told = told_by(launch(file.fileno(), "marked_child"))
print(json.dumps(told))
""",
    )
    assert told["is_forked"]
    assert told["open"] == [0, 1, 2, 3, 4]


def test_a_signal_while_it_is_forked_is_heeded_afterwards_and_the_child_is_gone(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
class Stop(BaseException):
    pass

def stop(*_):
    raise Stop

def fork(fork=os.fork):
    os.kill(os.getpid(), signal.SIGTERM)  # blocked: it is for the parent, once the child has an owner
    return fork()

signal.signal(signal.SIGTERM, stop)
os.fork = fork
try:
    with standing_by("marked_child"):
        print("not reached")
except Stop:
    pass
children = open(f"/proc/self/task/{os.getpid()}/children").read()
print(json.dumps([children, len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), stands_by("marked_child")]))
""",
    )
    assert told == ["", 0, False]


def test_one_that_is_not_needed_leaves_nothing_behind(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
children = f"/proc/self/task/{os.getpid()}/children"
before = sorted(os.listdir("/proc/self/fd"))
with standing_by("marked_child"):
    during = len(open(children).read().split())
with contextlib.suppress(KeyError), standing_by("marked_child"):
    raise KeyError
print(json.dumps([during, open(children).read(), before == sorted(os.listdir("/proc/self/fd"))]))
""",
    )
    assert told == [1, "", True]


def test_it_is_waited_for_where_the_system_does_that_by_itself(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
with standing_by("marked_child"):
    told = told_by(launch(file.fileno(), "marked_child"))
print(json.dumps(told))
""",
    )
    assert told["is_forked"]
    assert told["ended"] == 0  # nobody can say how it ended


def test_it_ends_with_the_process_that_it_stands_by_for(tmp_path: Path) -> None:
    (tmp_path / "marked_child.py").write_text(CHILD)
    text = """
with standing_by("marked_child"):
    print("ready", flush=True)
    threading.Event().wait()
"""
    command = [sys.executable, "-c", BEGINNING + text, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": _HOME}) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        children = psutil.Process(parent.pid).children()
        assert len(children) == 1
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == b""  # it does not hold what others read
        psutil.wait_procs(children, timeout=HANG)
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_an_interrupt_of_the_whole_group_is_for_the_process_that_it_stands_by_for(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
os.setpgid(0, 0)
signal.signal(signal.SIGINT, lambda *_: None)
with standing_by("marked_child"):
    os.killpg(0, signal.SIGINT)
    told = told_by(launch(file.fileno(), "marked_child"))
print(json.dumps(told))
""",
    )
    assert told["is_forked"]
