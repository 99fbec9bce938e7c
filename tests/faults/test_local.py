"""What this machine does to a download: disks, names, limits, signals, clocks, memory."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fastget
from fastget.errors import DestinationError
from fastget.events import Event, Progress, Result
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
OLD = b"what was there before"
Serve = Callable[..., ObjectServer]
Fetch = Callable[..., Result]
Check = Callable[[], None]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Strace = Callable[..., tuple[str, ...]]

# The calls by which a download changes the disk: (call, error, from which one on it fails).
DISK = [
    ("fallocate", "ENOSPC", "1"),
    ("fallocate", "EDQUOT", "1"),
    ("pwrite64", "ENOSPC", "1"),
    ("pwrite64", "ENOSPC", "3"),
    ("pwrite64", "EDQUOT", "2"),
    ("pwrite64", "EIO", "1"),
    ("pwrite64", "EIO", "3"),
    ("pwrite64", "EFBIG", "2"),
    ("fsync,fdatasync,sync_file_range", "EIO", "1+"),
    ("fsync,fdatasync", "EIO", "1"),
    ("fsync,fdatasync", "ENOSPC", "1"),
    ("fsync,fdatasync", "EDQUOT", "1"),
    ("rename,renameat,renameat2", "ENOSPC", "1"),
    ("rename,renameat,renameat2", "EIO", "1"),
    ("fchmod", "EPERM", "1+"),
]


def left_at(folder: Path) -> list[str]:
    """The names in a folder, but for the hidden ones that a later run goes on with."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.fault("X1", "X2", "X3", "X4")
@pytest.mark.parametrize(("call", "error", "when"), DISK)
def test_a_disk_that_fails_leaves_the_old_file_and_says_why(
    serve: Serve, stored: StoredObject, strace: Strace, run: Run, tmp_path: Path, call: str, error: str, when: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/k").write_bytes(OLD)
    server = serve({"/k": stored})
    before = strace(f"{call}:error={error}:when={when}", output=str(tmp_path / "trace"))
    done = run(server.url("/k"), "-o", "out/k", "--part-size", "512K", "--connections", "2", before=before)
    failed = [line for line in (tmp_path / "trace").read_text().splitlines() if "(INJECTED)" in line]
    assert failed, "no call was made to fail"
    assert left_at(tmp_path / "out") == ["k"]
    if done.returncode == 0:
        # A mode or a size that could not be set, or a flush that nobody asked for, need not end the download.
        assert (tmp_path / "out/k").read_bytes() == stored.content.read(0, stored.content.size)
        assert not any("fsync" in line and "EIO" in line for line in failed)
        return
    assert done.returncode == 8
    assert (tmp_path / "out/k").read_bytes() == OLD
    message = done.stderr.decode()
    assert "out/k" in message
    assert os.strerror(getattr(errno, error)) in message
    assert "Traceback" not in message


@pytest.mark.fault("X4")
def test_a_flush_that_fails_once_is_not_believed_when_it_succeeds_later(
    serve: Serve, stored: StoredObject, strace: Strace, run: Run, tmp_path: Path
) -> None:
    before = strace("fsync,fdatasync:error=EIO:when=1", output=str(tmp_path / "trace"))
    done = run(serve({"/k": stored}).url("/k"), "-o", "k", before=before)
    assert done.returncode == 8
    assert not (tmp_path / "k").exists()


@pytest.mark.fault("X5")
@pytest.mark.parametrize("injection", ["pwrite64:error=EINTR:when=1+3", "recvfrom:error=EINTR:when=3+5"])
def test_interrupted_calls_are_made_again(
    serve: Serve, stored: StoredObject, content: Content, strace: Strace, run: Run, tmp_path: Path, injection: str
) -> None:
    done = run(serve({"/k": stored}).url("/k"), "-o", "k", "--part-size", "256K", before=strace(injection))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "k").read_bytes() == content.read(0, content.size)


@pytest.mark.fault("X2")
def test_a_limit_on_file_size_is_an_error_and_kills_nobody(
    serve: Serve, stored: StoredObject, run: Run, tmp_path: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))

    done = run(serve({"/k": stored}).url("/k"), "-o", "k", limit=limit)
    assert done.returncode == 8, done.stderr
    assert b"limit on file sizes" in done.stderr
    assert left_at(tmp_path) == []


@pytest.fixture(params=["size=2M", "size=16M,nr_inodes=2"])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system with room for half of the object, or for no other file."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", request.param, "none", str(folder))
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system; RLIMIT_FSIZE and injected errors stand in for it")
    if "inodes" in request.param:
        (folder / "taken").touch()
    yield folder
    subprocess.run(("umount", "-l", str(folder)), check=True)


@pytest.mark.fault("X1", "X6")
def test_a_disk_without_room_is_told_and_leaves_nothing(
    serve: Serve, stored: StoredObject, run: Run, small_disk: Path
) -> None:
    before = left_at(small_disk)
    done = run(serve({"/k": stored}).url("/k"), "-o", str(small_disk / "k"))
    assert done.returncode == 8, done.stderr
    assert left_at(small_disk) == before


@pytest.mark.fault("X12")
@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 240 + ".tar.gz"])
def test_the_longest_name_is_fetched(serve: Serve, stored: StoredObject, run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    done = run(serve({f"/{name}": stored}).url(f"/{name}"), "-d", "out")
    assert done.returncode == 0, done.stderr
    assert left_at(tmp_path / "out") == [name]
    done = run(serve({"/" + "n" * 256: stored}).url("/" + "n" * 256), "-d", "out")
    assert done.returncode == 8
    assert b"File name too long" in done.stderr


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder whose path is longer than PATH_MAX; the current directory for the length of the test."""
    before = Path.cwd()
    folder = tmp_path
    os.chdir(tmp_path)
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
        folder /= "d" * 250
    yield folder
    os.chdir(before)


@pytest.mark.fault("X13")
def test_a_path_longer_than_the_system_takes_is_refused_and_a_relative_one_works(
    serve: Serve, stored: StoredObject, content: Content, deep: Path
) -> None:
    server = serve({"/k": stored})
    with pytest.raises(DestinationError, match="File name too long"):
        fastget.download(server.url("/k"), deep / "k")
    assert not server.requests
    fastget.download(server.url("/k"), "k")
    assert Path("k").read_bytes() == content.read(0, content.size)
    Path("k").unlink()


@pytest.mark.fault("X9", "X10")
@pytest.mark.parametrize("kind", ["fifo", "stdout", "null", "socket"])
def test_special_files_are_written_to_and_never_replaced(
    serve: Serve, stored: StoredObject, content: Content, run: Run, tmp_path: Path, kind: str
) -> None:
    url = serve({"/k": stored}).url("/k")
    if kind == "fifo":
        os.mkfifo(tmp_path / "fifo")
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append((tmp_path / "fifo").read_bytes()))
        reader.start()
        done = run(url, "-o", "fifo")
        reader.join(20)
        got = read[0]
        assert (tmp_path / "fifo").is_fifo()
    elif kind == "stdout":
        done = run(url, "-o", "/dev/stdout")
        got = done.stdout
    elif kind == "null":
        done = run(url, "-o", "/dev/null")
        got = content.read(0, content.size)
        assert Path("/dev/null").is_char_device()
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            before = Path.cwd()
            os.chdir(tmp_path)
            try:
                listener.bind("sock")
            finally:
                os.chdir(before)
            done = run(url, "-o", "sock")
        assert done.returncode == 8
        assert (tmp_path / "sock").is_socket()
        return
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(got).digest() == hashlib.sha256(content.read(0, content.size)).digest()
    assert not [path for path in tmp_path.iterdir() if "fastget" in path.name]


@pytest.mark.fault("X14", "X15")
@pytest.mark.parametrize("flock", [True, False], ids=["flock", "flock that does nothing"])
def test_several_downloads_to_one_destination_leave_one_whole_file(
    serve: Serve,
    stored: StoredObject,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
    assert_arrived: Check,
    flock: bool,
) -> None:
    if not flock:
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
        monkeypatch.setattr(fcntl, "lockf", lambda *_: None)
    server = serve({"/k": stored})
    outcomes: list[object] = []

    def work() -> None:
        try:
            outcomes.append(fastget.download(server.url("/k"), destination, fsync=False, part_size=MIB))
        except DestinationError as error:  # one that lost may say so
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(isinstance(outcome, Result) for outcome in outcomes)
    assert len(outcomes) == 6
    assert_arrived()


@pytest.mark.fault("X26")
def test_a_wall_clock_that_jumps_changes_nothing(
    serve: Serve, stored: StoredObject, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, assert_arrived: Check
) -> None:
    real, calls = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: real() + (3600.0 if next(calls) % 2 else -3600.0))
    result = fetch(serve({"/k": stored}, faults=[faults.reset(after=1000)]).url("/k"))
    assert_arrived()
    assert 0 <= result.seconds < 60


@pytest.mark.fault("X29")
def test_a_download_that_was_suspended_goes_on(
    serve: Serve, stored: StoredObject, content: Content, start: Start, tmp_path: Path
) -> None:
    """While it sleeps the server ends every connection, as one would after hours."""
    release, reached = threading.Event(), threading.Event()
    server = serve({"/k": stored}, faults=[faults.hold(release, after=1000, reached=reached)])
    process = start(server.url("/k"), "-o", "k", "--part-size", "256K")
    assert reached.wait(60)
    process.send_signal(signal.SIGSTOP)
    release.set()
    server.close_connections()
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert (tmp_path / "k").read_bytes() == content.read(0, content.size)


@pytest.mark.fault("X29")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_soon_with_its_status_and_no_file(
    serve: Serve, stored: StoredObject, start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    release, reached = threading.Event(), threading.Event()
    server = serve({"/k": stored}, faults=[faults.hold(release, after=1000, reached=reached).always()])
    process = start(server.url("/k"), "-o", "k")
    assert reached.wait(60)
    process.send_signal(number)
    process.communicate(timeout=20)
    release.set()
    assert process.returncode == 128 + number
    assert left_at(tmp_path) == []


@pytest.mark.fault("X30")
def test_a_closed_standard_error_does_not_end_the_download(
    serve: Serve, stored: StoredObject, content: Content, start: Start, tmp_path: Path
) -> None:
    url = serve({"/k": stored}).url("/k")
    process = start(url, "-o", "k", "-v", stderr=None, preexec_fn=lambda: os.close(2))
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "k").read_bytes() == content.read(0, content.size)


@pytest.mark.fault("X31")
def test_a_disk_that_is_slower_than_the_network_holds_the_network_back(
    serve: Serve, strace: Strace, run: Run, tmp_path: Path
) -> None:
    """Every write takes ten milliseconds more; what has come and is not written yet stays in the buffers that are."""
    content = Content.generated(48 * MIB, seed=8)
    server = serve({"/k": StoredObject(content, checksum=Algorithm.CRC32C)})
    program = ("/bin/sh", "-c", 'exec "$@"', "sh")
    report = tmp_path / "report"
    source = (
        "import resource, subprocess, sys;"
        "code = subprocess.run(sys.argv[2:]).returncode;"
        "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss));"
        "sys.exit(code)"
    )
    measured = (sys.executable, "-c", source, str(report))
    before = (*program, *measured, *strace("pwrite64:delay_exit=10000"))
    done = run(server.url("/k"), "-o", "k", before=before)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "k").stat().st_size == content.size
    assert int(report.read_text()) < 110 * 1024


@pytest.mark.fault("X32")
def test_too_little_memory_is_a_clean_failure(serve: Serve, script: Run) -> None:
    server = serve({"/k": StoredObject(Content.generated(600 * MIB, seed=1))})
    source = """
        import sys, fastget
        try:
            fastget.read(sys.argv[1])
        except fastget.FastgetError as error:
            print(type(error).__name__)
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 * MIB, 400 * MIB))

    done = script(source, server.url("/k"), limit=limit)
    assert done.stdout.split() == [b"NoSpace"], done.stderr
    assert not done.stderr


@pytest.mark.fault("X32")
@pytest.mark.parametrize(
    "call", ["fastget.read(url, connections=1)", "fastget.read(url, 0, 10**9, connections=1)", "body_of(url).read()"]
)
def test_memory_that_lacks_at_the_end_is_told_as_that(serve: Serve, script: Run, call: str) -> None:
    size = 60 * MIB
    server = serve({"/b/k": StoredObject(Content.generated(size, seed=1))})
    source = f"""
        import resource, sys, fastget
        url, room = sys.argv[1], {size} * 3 // 2

        def body_of(url):
            endpoint, bucket, key = url.rsplit("/", 2)
            client = fastget.Client(
                endpoint_url=endpoint, region="r", addressing_style="path", no_sign_request=True
            )
            return fastget.s3.get_object(Bucket=bucket, Key=key, client=client)["Body"]

        fastget.read(url, 0, 5 * 2**20)
        body_of(url).close()
        held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + room, held + room))
        try:
            {call}
        except fastget.errors.NoSpace as error:
            print(error.hint is not None)
    """
    done = script(source, server.url("/b/k"))
    assert done.stdout.split() == [b"True"], done.stderr
    assert not done.stderr


@pytest.mark.fault("X33")
def test_the_interpreter_ends_while_a_download_runs(serve: Serve, stored: StoredObject, script: Run) -> None:
    release = threading.Event()
    server = serve({"/k": stored}, faults=[faults.hold(release, after=1000).always()])
    source = """
        import sys, threading, fastget
        begun = threading.Event()
        def handle(event):
            if type(event).__name__ == "Started":
                begun.set()
        options = {"on_event": handle, "connections": 4, "part_size": 2**18}
        threading.Thread(
            target=fastget.download, args=(sys.argv[1], "k"), kwargs=options, daemon=True
        ).start()
        begun.wait(60)
    """
    done = script(source, server.url("/k"))
    release.set()
    assert done.returncode == 0
    assert not done.stderr


@pytest.mark.fault("X34")
def test_a_temporary_directory_elsewhere_is_never_used(
    serve: Serve, stored: StoredObject, strace: Strace, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    before = strace("openat:delay_enter=0:when=1", output=str(tmp_path / "trace"))
    done = run(serve({"/k": stored}).url("/k"), "-o", "out/k", before=before, env={"TMPDIR": "/dev/shm"})
    assert done.returncode == 0, done.stderr
    created = re.findall(r'openat\(([^,]+), "([^"]+)", ([A-Z_|]*O_CREAT[A-Z_|]*)', (tmp_path / "trace").read_text())
    assert not [name for _, name, _ in created if name.startswith("/dev/shm")]


@pytest.mark.fault("X1")
def test_a_run_after_a_full_disk_succeeds(
    serve: Serve, stored: StoredObject, content: Content, strace: Strace, run: Run, tmp_path: Path
) -> None:
    server = serve({"/k": stored})
    (tmp_path / "out").mkdir()
    before = strace("pwrite64:error=ENOSPC:when=3")  # counted in each thread by itself
    assert (
        run(server.url("/k"), "-o", "out/k", "--connections", "1", "--part-size", "512K", before=before).returncode == 8
    )
    assert run(server.url("/k"), "-o", "out/k", "--part-size", "512K").returncode == 0
    assert (tmp_path / "out/k").read_bytes() == content.read(0, content.size)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["k"]


@pytest.mark.fault("X30")
def test_a_handler_that_fails_leaves_the_result_as_it_is(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_arrived: Check
) -> None:
    def handle(event: Event) -> None:
        if isinstance(event, Progress):
            raise ValueError("a bar that cannot draw")  # noqa: TRY004

    fetch(serve({"/k": stored}).url("/k"), on_event=handle)
    assert_arrived()


@pytest.mark.fault("X3", "X1")
def test_no_call_is_made_again_on_a_disk_that_failed(
    serve: Serve, stored: StoredObject, strace: Strace, run: Run, tmp_path: Path
) -> None:
    before = strace("pwrite64:error=EIO:when=1+", output=str(tmp_path / "trace"))
    url = serve({"/k": stored}).url("/k")
    done = run(url, "-o", "k", "--connections", "1", "--part-size", "256K", before=before)
    assert done.returncode == 8
    assert (tmp_path / "trace").read_text().count("(INJECTED)") == 1


@pytest.mark.fault("X17")
def test_a_small_download_that_was_killed_leaves_nothing_once_the_next_one_has_succeeded(
    serve: Serve, stored: StoredObject, content: Content, start: Start, run: Run, tmp_path: Path
) -> None:
    release, reached = threading.Event(), threading.Event()
    server = serve({"/k": stored}, faults=[faults.hold(release, after=MIB, reached=reached)])
    (tmp_path / "out").mkdir()
    process = start(server.url("/k"), "-o", "out/k")
    assert reached.wait(60)
    process.kill()
    process.communicate()
    release.set()
    assert run(server.url("/k"), "-o", "out/k").returncode == 0
    assert (tmp_path / "out/k").read_bytes() == content.read(0, content.size)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["k"]
