"""Running hashers: published check values, the buffers they take, and what importing them costs."""

from __future__ import annotations

import base64
import hashlib
import mmap
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from awscrt import checksums as crt
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.checksums import algorithms
from fastget.core.checksums.algorithms import Algorithm, new_hasher
from fastget.errors import NoSpace

DigestOf = Callable[[Algorithm, bytes], bytes]

# wire-spec.md §2.1, of the bytes 123456789.
CHECK_VALUES = {
    Algorithm.CRC32: "y/Q5Jg==",
    Algorithm.CRC32C: "4waSgw==",
    Algorithm.CRC64NVME: "rosUhgp5mIg=",
    Algorithm.SHA1: "98O8HYCOBHMq32eZZczDTKeuNEE=",
    Algorithm.SHA256: "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
    Algorithm.SHA512: base64.b64encode(hashlib.sha512(b"123456789").digest()).decode(),
    Algorithm.MD5: "JfnnlDI7RTiF9RgfG2JNCw==",
    Algorithm.XXHASH64: "jLhB20DmroM=",
    Algorithm.XXHASH3: "ctyxi2ehff8=",
    Algorithm.XXHASH128: "MxGUd+3l3NXpcWQnaB1YYA==",
}

EMPTY_VALUES = {
    Algorithm.CRC32: "00000000",
    Algorithm.CRC32C: "00000000",
    Algorithm.CRC64NVME: "0000000000000000",
    Algorithm.SHA1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    Algorithm.SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    Algorithm.SHA512: hashlib.sha512(b"").hexdigest(),
    Algorithm.MD5: "d41d8cd98f00b204e9800998ecf8427e",
    Algorithm.XXHASH64: "ef46db3751d8e999",
    Algorithm.XXHASH3: "2d06800538d394c2",
    Algorithm.XXHASH128: "99aa06d3014798d86001c324468d497f",
}

ORACLES: dict[Algorithm, Callable[[bytes], bytes]] = {
    Algorithm.CRC32: lambda data: crt.crc32(data).to_bytes(4, "big"),
    Algorithm.CRC32C: lambda data: _crc32c_package(data).to_bytes(4, "big"),
    Algorithm.CRC64NVME: lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
    Algorithm.SHA1: lambda data: hashlib.sha1(data).digest(),
    Algorithm.SHA256: lambda data: hashlib.sha256(data).digest(),
    Algorithm.SHA512: lambda data: hashlib.sha512(data).digest(),
    Algorithm.MD5: lambda data: hashlib.md5(data).digest(),
    Algorithm.XXHASH64: crt.XXHash.compute_xxhash64,
    Algorithm.XXHASH3: crt.XXHash.compute_xxhash3_64,
    Algorithm.XXHASH128: crt.XXHash.compute_xxhash3_128,
}

every_algorithm = pytest.mark.parametrize("algorithm", Algorithm)


def _crc32c_package(data: bytes) -> int:
    from crc32c import crc32c

    return crc32c(data)


@every_algorithm
def test_the_check_value_is_the_published_one(algorithm: Algorithm, digest_of: DigestOf) -> None:
    digest = digest_of(algorithm, b"123456789")
    assert base64.b64encode(digest).decode() == CHECK_VALUES[algorithm]


def test_the_sha512_check_value_begins_as_the_published_one(digest_of: DigestOf) -> None:
    assert base64.b64encode(digest_of(Algorithm.SHA512, b"123456789")).startswith(b"2eZ2LdHI6vbW")


@every_algorithm
def test_no_bytes_have_the_published_digest(algorithm: Algorithm, digest_of: DigestOf) -> None:
    assert new_hasher(algorithm).digest().hex() == EMPTY_VALUES[algorithm]
    assert digest_of(algorithm, b"").hex() == EMPTY_VALUES[algorithm]


@every_algorithm
def test_the_digest_size_is_the_length_of_a_digest(algorithm: Algorithm) -> None:
    assert len(new_hasher(algorithm).digest()) == algorithm.digest_size


def test_only_the_crcs_are_combinable() -> None:
    combinable = {algorithm for algorithm in Algorithm if algorithm.is_combinable}
    assert combinable == {Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME}


def test_the_names_are_those_of_the_s3_headers() -> None:
    from botocore.loaders import Loader

    model = Loader().load_service_model("s3", "service-2")
    members = model["shapes"]["GetObjectOutput"]["members"].values()
    names = {str(member.get("locationName", "")) for member in members}
    declared = {name.removeprefix("x-amz-checksum-") for name in names if name.startswith("x-amz-checksum-")}
    assert declared == {*(algorithm.value for algorithm in Algorithm), "type"}


@every_algorithm
@given(pieces=st.lists(st.binary(max_size=400), max_size=6))
def test_the_digest_agrees_with_an_independent_library_however_it_is_fed(
    algorithm: Algorithm, pieces: list[bytes]
) -> None:
    hasher = new_hasher(algorithm)
    for piece in pieces:
        hasher.update(piece)
    assert hasher.digest() == ORACLES[algorithm](b"".join(pieces))


@every_algorithm
def test_a_digest_can_be_read_again_and_more_bytes_may_follow(algorithm: Algorithm, digest_of: DigestOf) -> None:
    hasher = new_hasher(algorithm)
    hasher.update(b"12345")
    assert hasher.digest() == hasher.digest() == digest_of(algorithm, b"12345")
    hasher.update(b"6789")
    assert hasher.digest() == digest_of(algorithm, b"123456789")


@every_algorithm
def test_parts_of_one_reused_buffer_are_taken_without_a_copy(algorithm: Algorithm, digest_of: DigestOf) -> None:
    buffer = bytearray(64 * 1024)
    hasher = new_hasher(algorithm)
    with memoryview(buffer) as view:
        for filling in (b"a", b"b"):
            buffer[:] = filling * len(buffer)
            hasher.update(view[100:50_000])
    assert hasher.digest() == digest_of(algorithm, b"a" * 49_900 + b"b" * 49_900)


@every_algorithm
def test_a_mapped_file_is_taken(algorithm: Algorithm, digest_of: DigestOf, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    path = tmp_path / "content"
    path.write_bytes(content)
    hasher = new_hasher(algorithm)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        hasher.update(view)
    assert hasher.digest() == digest_of(algorithm, content)


@every_algorithm
def test_a_buffer_with_gaps_is_refused_and_changes_nothing(algorithm: Algorithm, digest_of: DigestOf) -> None:
    hasher = new_hasher(algorithm)
    hasher.update(b"123")
    with pytest.raises(BufferError):
        hasher.update(memoryview(bytes(100))[::2])
    assert hasher.digest() == digest_of(algorithm, b"123")


@every_algorithm
def test_another_thread_runs_while_a_large_buffer_is_hashed(algorithm: Algorithm) -> None:
    """At so long a switch interval the other thread has its turn only where the hasher gives up the lock."""
    data = memoryview(bytes(8 << 20))
    hasher = new_hasher(algorithm)
    gate, ran = threading.Event(), threading.Event()

    def run_once_let_in() -> None:
        gate.wait()
        ran.set()

    other = threading.Thread(target=run_once_let_in)
    other.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        gate.set()
        for _ in range(200):
            hasher.update(data)
            if ran.is_set():
                break
        ran_meanwhile = ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        other.join()
    assert ran_meanwhile


def test_importing_the_module_loads_no_checksum_library() -> None:
    loaded = _modules_after("import fastget.core.checksums.declared, fastget.core.checksums.combine")
    assert not loaded & {"_awscrt", "awscrt", "crc32c", "xxhash", "hashlib", "_hashlib", "ssl"}


def test_a_crc32c_hasher_loads_one_extension_alone() -> None:
    loaded = _modules_after(
        "from fastget.core.checksums.algorithms import Algorithm, new_hasher; new_hasher(Algorithm.CRC32C)"
    )
    assert "crc32c._crc32c" in loaded
    assert not loaded & {"awscrt", "crc32c", "importlib.metadata", "xxhash", "hashlib", "ssl"}


def test_the_extension_is_the_one_that_the_package_has() -> None:
    loaded = _modules_after(
        "from fastget.core.checksums.algorithms import Algorithm, new_hasher; new_hasher(Algorithm.CRC32C);"
        "from fastget.core.checksums.castagnoli import crc32c as ours;"
        "from crc32c import crc32c as theirs; assert ours is theirs"
    )
    assert "crc32c" in loaded


def test_a_release_of_another_shape_is_imported_as_a_package(tmp_path: Path) -> None:
    (tmp_path / "crc32c.py").write_text("def crc32c(data, value=0): return 7\n")
    _modules_after(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from fastget.core.checksums.castagnoli import crc32c; assert crc32c(b'', 0) == 7"
    )


def test_a_crc64nvme_hasher_loads_the_checksums_of_awscrt_alone() -> None:
    loaded = _modules_after(
        "from fastget.core.checksums.algorithms import Algorithm, new_hasher; new_hasher(Algorithm.CRC64NVME)"
    )
    assert {name for name in loaded if name.startswith("awscrt")} == {"awscrt", "awscrt.checksums"}
    assert not loaded & {"crc32c", "xxhash", "hashlib", "ssl", "asyncio"}


def _modules_after(statements: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after some statements."""
    script = f"{statements}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.fault("X32")
@pytest.mark.parametrize(
    "words", ["_awscrt.abi3.so: failed to map segment from shared object", "cannot allocate memory in static TLS block"]
)
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32C, Algorithm.CRC64NVME])
def test_a_library_that_memory_lacks_for_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, algorithm: Algorithm, words: str
) -> None:
    def load(_: Algorithm) -> None:
        raise ImportError(words)

    monkeypatch.setattr(algorithms, "_crc_function", load)
    with pytest.raises(NoSpace, match=f"to load what computes {algorithm.upper()}"):
        new_hasher(algorithm)


def test_a_library_that_is_not_there_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xxhash", None)
    with pytest.raises(ImportError):
        new_hasher(Algorithm.XXHASH3)
