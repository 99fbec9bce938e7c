"""The caller's own digest, in every spelling that people bring along."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.declared import DeclaredDigest, user_digest
from fastget.errors import ConfigError

DigestOf = Callable[[Algorithm, bytes], bytes]

SPELLINGS = {
    Algorithm.CRC32: ["crc32", "crc-32", "CRC32"],
    Algorithm.CRC32C: ["crc32c", "CRC32C"],
    Algorithm.CRC64NVME: ["crc64nvme", "crc64-nvme", "CRC64NVME"],
    Algorithm.SHA1: ["sha1", "sha-1", "sha"],
    Algorithm.SHA256: ["sha-256", "sha256", "SHA-256", "sha_256"],
    Algorithm.SHA512: ["sha-512", "sha512"],
    Algorithm.MD5: ["md5", "MD5", "md-5"],
    Algorithm.XXHASH64: ["xxhash64", "xxh64", "XXH64"],
    Algorithm.XXHASH3: ["xxhash3", "xxh3", "xxh3-64", "xxh3_64"],
    Algorithm.XXHASH128: ["xxhash128", "xxh128", "xxh3_128"],
}
spelled = pytest.mark.parametrize(
    ("algorithm", "name"), [(algorithm, name) for algorithm, names in SPELLINGS.items() for name in names]
)


def test_every_algorithm_has_a_spelling_here() -> None:
    assert set(SPELLINGS) == set(Algorithm)


@spelled
@pytest.mark.parametrize("separator", ["=", ":", "-"])
@given(data=st.data())
def test_every_spelling_is_read_with_hex_or_base64(
    algorithm: Algorithm, name: str, separator: str, data: st.DataObject
) -> None:
    size = algorithm.digest_size
    value = data.draw(st.binary(min_size=size, max_size=size))
    expected = DeclaredDigest(algorithm, value, "the given checksum")
    for written in (value.hex(), value.hex().upper(), base64.b64encode(value).decode()):
        assert user_digest(f" {name}{separator}{written}\n") == expected


def test_the_integrity_value_of_no_bytes_is_read(digest_of: DigestOf) -> None:
    found = user_digest("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    assert found == DeclaredDigest(Algorithm.SHA256, digest_of(Algorithm.SHA256, b""), "the given checksum")


def test_base64_that_begins_with_digits_is_not_taken_for_a_name() -> None:
    assert user_digest("crc32-123456==").value == base64.b64decode("123456==")
    assert user_digest("crc32-123/4A==").value == base64.b64decode("123/4A==")
    assert user_digest("crc32-nvme+A==").value == base64.b64decode("nvme+A==")


@pytest.mark.parametrize("text", ["", "  ", "sha-256", "sha-256=", "=abc", "e3b0c44298fc1c14", "sha-256 = ab", "é=ab"])
def test_what_is_no_checksum_is_refused_with_the_form_and_the_names(text: str) -> None:
    with pytest.raises(ConfigError, match="not a checksum") as caught:
        user_digest(text)
    assert caught.value.hint is not None
    assert "sha-256=HEX" in caught.value.hint
    assert all(algorithm in caught.value.hint for algorithm in Algorithm)


@pytest.mark.parametrize("name", ["sha384", "blake2b", "adler32", "sha3-256", "crc64"])
def test_an_unknown_algorithm_is_refused_with_the_names_that_are_known(name: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown checksum algorithm '{name}'") as caught:
        user_digest(f"{name}=00")
    assert caught.value.hint is not None
    assert all(algorithm in caught.value.hint for algorithm in Algorithm)


@pytest.mark.parametrize("written", ["abcd", "0" * 63, "0" * 65, "g" * 64, "0x" + "0" * 64, "0" * 64 + "-3"])
def test_a_value_of_the_wrong_length_is_refused_with_the_right_one(written: str) -> None:
    with pytest.raises(ConfigError, match="is no sha256 checksum") as caught:
        user_digest(f"sha-256={written}")
    assert caught.value.hint == "sha256 has 32 bytes: write 64 hex digits, or base64"


@given(text=st.one_of(st.text(max_size=80), st.from_regex(r"(sha|xxh|crc|md)-?[0-9]{0,3}[=:-][0-9a-f+/=-]{0,70}")))
def test_any_text_is_read_or_refused_as_a_wrong_option(text: str) -> None:
    found = None
    with suppress(ConfigError):
        found = user_digest(text)
    assert found is None or len(found.value) == found.algorithm.digest_size
