"""Options: each with one name, one meaning and one variable; what cannot be meant is refused with its name."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.config import MIB, Config, environment_names, parse_size
from fastget.core.governor import LIMIT, STORE_LIMIT
from fastget.errors import ConfigError

NAMES = [item.name for item in fields(Config)]
# For every option that a variable can hold: a text, and the value that it means.
READ: dict[str, tuple[str, Any]] = {
    "connections": ("12", 12),
    "jobs": ("8", 8),
    "part_size": ("16MiB", 16 * MIB),
    "limit_rate": ("5MB", 5 * MIB),
    "max_memory": ("16M", 16 * MIB),
    "split": ("range", "range"),
    "retries": ("0", 0),
    "connect_timeout": ("2.5", 2.5),
    "response_timeout": ("90", 90.0),
    "stall_timeout": ("1e1", 10.0),
    "processes": ("4", 4),
    "checksum": ("sha-256=00", "sha-256=00"),
    "require_verified": ("yes", True),
    "overwrite": ("0", False),
    "resume": ("no", False),
    "fsync": ("Off", False),
    "proxy": ("http://user:pw@proxy:3128", "http://user:pw@proxy:3128"),
    "ca_bundle": ("/etc/ca.pem", "/etc/ca.pem"),
    "insecure": ("TRUE", True),
    "endpoint_url": ("https://minio:9000", "https://minio:9000"),
    "region": ("eu-de", "eu-de"),
    "profile": ("work", "work"),
    "no_sign_request": ("1", True),
    "request_payer": ("requester", "requester"),
    "access_key_id": ("AKIDEXAMPLE", "AKIDEXAMPLE"),
    "secret_access_key": ("wJalr", "wJalr"),
    "session_token": ("FwoG", "FwoG"),
    "ibm_api_key_id": ("ibm-key", "ibm-key"),
    "ibm_auth_endpoint": ("https://iam.example/identity/token", "https://iam.example/identity/token"),
    "sse_c_key": ("MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=", "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="),
    "mirror_destination": ("vault-2", "vault-2"),
    "if_match": ('"e"', '"e"'),
    "if_none_match": ('"e"', '"e"'),
    "if_modified_since": ("Sat, 21 Nov 2026 08:00:00 GMT", "Sat, 21 Nov 2026 08:00:00 GMT"),
    "if_unmodified_since": ("Sat, 21 Nov 2026 08:00:00 GMT", "Sat, 21 Nov 2026 08:00:00 GMT"),
    "response_cache_control": ("no-store", "no-store"),
    "response_content_disposition": ("attachment", "attachment"),
    "response_content_encoding": ("identity", "identity"),
    "response_content_language": ("de", "de"),
    "response_content_type": ("text/plain", "text/plain"),
    "response_expires": ("Sat, 21 Nov 2026 08:00:00 GMT", "Sat, 21 Nov 2026 08:00:00 GMT"),
    "use_dualstack_endpoint": ("1", True),
    "use_fips_endpoint": ("1", True),
    "use_accelerate_endpoint": ("1", True),
    "version_id": ("null", "null"),
    "expected_bucket_owner": ("012345678901", "012345678901"),
    "addressing_style": ("path", "path"),
}
WRONG = [
    ("connections", "0"),
    ("processes", "0"),
    ("processes", "257"),
    ("connections", "-1"),
    ("connections", "1001"),
    ("connections", "1.5"),
    ("connections", "many"),
    ("connections", " "),
    ("part_size", "0"),
    ("max_memory", "0"),
    ("max_memory", "1023K"),
    ("max_memory", "9" * 30),
    ("part_size", "-1"),
    ("part_size", "16 apples"),
    ("part_size", "9" * 30),
    ("split", "half"),
    ("split", "Range"),
    ("retries", "-1"),
    ("retries", "x"),
    ("connect_timeout", "0"),
    ("connect_timeout", "nan"),
    ("response_timeout", "inf"),
    ("response_timeout", "-3"),
    ("stall_timeout", "soon"),
    ("stall_timeout", "1e9"),
    ("require_verified", "maybe"),
    ("overwrite", "2"),
    ("fsync", "nope"),
    ("insecure", "y e s"),
    ("no_sign_request", "-"),
    ("request_payer", "owner"),
    ("addressing_style", "dns"),
]


# The list of options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", fields(Config), ids=lambda item: item.name)
def test_every_option_has_a_meaning_for_people(item: dataclasses.Field[Any]) -> None:
    meaning = item.metadata["meaning"]
    assert isinstance(meaning, str)
    assert len(meaning) > 10
    assert not meaning.endswith(".")
    assert item.kw_only


def test_every_option_that_text_can_hold_has_a_variable_of_its_name() -> None:
    assert environment_names() == {
        name: f"FASTGET_{name.upper()}" for name in NAMES if name not in ("headers", "on_event", "refresh_url")
    }
    assert set(READ) == set(environment_names())


def test_options_are_given_by_name_and_cannot_be_set_afterwards() -> None:
    with pytest.raises(TypeError):
        Config(4)  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().retries = 3  # type: ignore[misc]


# From the environment ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(READ))
def test_a_variable_sets_its_option_and_no_other(name: str) -> None:
    text, value = READ[name]
    assert Config.from_environment({f"FASTGET_{name.upper()}": text}) == Config(**{name: value})


def test_all_variables_are_read_together() -> None:
    environ = {f"FASTGET_{name.upper()}": text for name, (text, _) in READ.items()}
    assert Config.from_environment(environ) == Config(**{name: value for name, (_, value) in READ.items()})


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTGET_CONNECTIONS", "3")
    assert Config.from_environment() == Config(connections=3)
    assert Config.from_environment({}) == Config() == Config.from_environment({"fastget_retries": "1", "RETRIES": "2"})


@pytest.mark.parametrize("name", [name for name in READ if name != "proxy"])
def test_an_empty_variable_counts_as_not_set(name: str) -> None:
    assert Config.from_environment({f"FASTGET_{name.upper()}": ""}) == Config()


def test_an_empty_proxy_means_none_at_all() -> None:
    assert Config.from_environment({"FASTGET_PROXY": ""}).proxy == ""
    assert Config.from_environment({}).proxy is None


def test_a_given_option_wins_over_its_variable_unless_it_is_none() -> None:
    environ = {"FASTGET_RETRIES": "7", "FASTGET_OVERWRITE": "no"}
    assert Config.from_environment(environ, retries=2, overwrite=None) == Config(retries=2, overwrite=False)


def test_a_memory_that_is_too_small_is_told_in_one_line_with_the_smallest_possible() -> None:
    with pytest.raises(ConfigError) as caught:
        Config(max_memory=MIB - 1)
    assert "max_memory must be at least 1 MiB (1048576)," in caught.value.message
    assert "\n" not in caught.value.message
    assert Config(max_memory=MIB).max_memory == MIB


@pytest.mark.parametrize("word", ["1", "true", "yes", "on", "True", "YES", " on "])
def test_words_for_yes(word: str) -> None:
    assert Config.from_environment({"FASTGET_INSECURE": word}).insecure is True


@pytest.mark.parametrize("word", ["0", "false", "no", "off", "False", "NO", " off "])
def test_words_for_no(word: str) -> None:
    assert Config.from_environment({"FASTGET_FSYNC": word}).fsync is False


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_value_that_cannot_be_meant_is_refused_with_the_name_of_its_variable(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"FASTGET_{name.upper()}"):
        Config.from_environment({f"FASTGET_{name.upper()}": text})


# From a program ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connections", 0),
        ("connections", "4"),
        ("connections", 2.0),
        ("part_size", 0),
        ("part_size", "16M"),
        ("part_size", 2**63),
        ("retries", -1),
        ("retries", None),
        ("split", "half"),
        ("split", None),
        ("connect_timeout", 0),
        ("connect_timeout", None),
        ("response_timeout", float("nan")),
        ("response_timeout", float("inf")),
        ("stall_timeout", -1.0),
        ("stall_timeout", "10"),
        ("request_payer", "owner"),
        ("addressing_style", "dns"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused_with_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} "):
        Config(**{name: value})
    with pytest.raises(ConfigError, match=f"^{name} "):
        Config().merged(**{name: value})
    with pytest.raises(ConfigError):
        Config.from_environment({}, **{name: value if value is not None else "None"})


# One of each kind that an annotation can be made of, and of some that none is.
_MADE: dict[Any, Any] = {
    type(None): None,
    bool: True,
    int: 7,
    float: 2.5,
    str: "hunter2",
    bytes: b"hunter2",
    list: ["hunter2"],
    dict: {"X-Secret": "hunter2"},
    object: object(),
}
_FUNCTION: Any = staticmethod(str.upper)


def _allowed(hint: Any) -> set[Any]:
    """The types of `_MADE` that an annotation allows."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    found = {get_origin(part) or part for part in parts}
    if float in found:
        found |= {int}  # PEP 484
    if Literal in found:
        found |= {type(value) for part in parts for value in get_args(part)}
    return found | ({dict} if Mapping in found else set())


@pytest.mark.parametrize("item", fields(Config), ids=lambda item: item.name)
def test_an_option_of_another_type_is_refused_with_what_it_was_given_and_what_it_takes(
    item: dataclasses.Field[Any],
) -> None:
    allowed = _allowed(get_type_hints(Config)[item.name])
    for kind, value in _MADE.items():
        if kind in allowed:
            continue
        with pytest.raises(ConfigError) as caught:
            Config(**{item.name: value})
        said = caught.value.message
        assert said.startswith(f"{item.name} "), said
        assert "\n" not in said
        assert any(word in said for word in (repr(value), kind.__qualname__)), said
        assert "hunter2" not in said or not item.metadata["secret"]


@pytest.mark.parametrize("item", fields(Config), ids=lambda item: item.name)
def test_no_option_refuses_the_value_that_it_has_by_itself(item: dataclasses.Field[Any]) -> None:
    value = getattr(Config(), item.name)
    assert getattr(Config(**{item.name: value}), item.name) == value
    if Callable in _allowed(get_type_hints(Config)[item.name]):
        assert getattr(Config(**{item.name: _FUNCTION}), item.name) is _FUNCTION


@pytest.mark.parametrize("headers", [{"X-Secret": 5}, {"X-Secret": b"hunter2"}, {"X-Secret": None}])
def test_a_header_that_is_no_text_is_refused_and_not_repeated(headers: Any) -> None:
    with pytest.raises(ConfigError, match=r"^headers must hold text, and that of X-Secret is") as caught:
        Config(headers=headers)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("name", [5, None, b"X-Name"])
def test_a_header_whose_name_is_no_text_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="no name that HTTP allows"):
        Config(headers={name: "hunter2"})


@pytest.mark.parametrize("name", ["", " ", "Two Words", "Colon:", "Line\nBreak", "Ü", "a\0b"])
def test_a_header_needs_a_name_that_http_allows(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(headers={name: "hunter2"})
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize("name", ["if_match", "version_id", "endpoint_url", "proxy", "mirror_destination", "sse_c_key"])
def test_bytes_that_are_no_text_are_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} holds bytes that are no text$") as caught:
        Config(**{name: "hunter2\udcff"})  # type: ignore[arg-type]
    assert caught.value.hint
    with pytest.raises(ConfigError, match=f"FASTGET_{name.upper()}: {name} holds bytes that are no text$"):
        Config.from_environment({f"FASTGET_{name.upper()}": "hunter2\udcff"})


def test_a_header_with_bytes_that_are_no_text_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"^the header X-A holds bytes that are no text$"):
        Config(headers={"X-A": "hunter2\udcff"})


def test_the_name_of_a_file_may_be_any_bytes() -> None:
    assert Config(ca_bundle="a\udcff.pem").ca_bundle == "a\udcff.pem"


@pytest.mark.fault("H26")
@pytest.mark.parametrize("value", ["hunter2\r\nX-Other: 1", "hunter2\n", "hunter2\0", "\rhunter2"])
def test_a_header_with_a_line_break_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ConfigError, match="X-Secret") as caught:
        Config(headers={"X-Secret": value})
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"


def test_a_copy_has_the_changes_and_the_rest_as_it_was() -> None:
    config = Config(retries=2, headers={"A": "b"})
    changed = config.merged(split="part", connections=None)
    assert (changed.retries, changed.split, changed.headers) == (2, "part", {"A": "b"})
    assert config.split == "auto"
    assert config.merged() is config


@pytest.mark.parametrize("make", [Config().merged, lambda **options: Config.from_environment({}, **options)])
def test_an_option_that_does_not_exist_is_refused_by_name(make: Any) -> None:
    with pytest.raises(ConfigError, match="'conections'"):
        make(retries=1, conections=4)


@pytest.mark.fault("S12")
def test_no_secret_is_printed() -> None:
    config = Config(headers={"Authorization": "Bearer hunter2"}, proxy="http://user:hunter2@proxy:3128", retries=2)
    for shown in (repr(config), str(config), repr([config])):
        assert "hunter2" not in shown
        assert "retries=2" in shown
    secret = {item.name for item in fields(Config) if item.metadata["secret"]}
    keys = {"access_key_id", "secret_access_key", "session_token", "ibm_api_key_id", "sse_c_key"}
    assert secret == {"headers", "proxy"} | keys
    assert all(not item.repr for item in fields(Config) if item.metadata["secret"])


def test_a_config_is_a_value() -> None:
    given = {"A": "b"}
    config = Config(headers=given, retries=2)
    given["C"] = "d"
    assert config.headers == {"A": "b"}
    assert config == Config(headers={"A": "b"}, retries=2) != Config(retries=2)
    assert hash(config) == hash(Config(headers={"A": "b"}, retries=2))
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.update(C="d"),
        lambda headers: headers.__setitem__("A", "x\r\nB: c"),
        lambda headers: headers.pop("A"),
        lambda headers: headers.popitem(),
        lambda headers: headers.clear(),
        lambda headers: headers.setdefault("C", "d"),
        lambda headers: headers.__delitem__("A"),
        lambda headers: headers.__ior__({"C": "d"}),
    ],
)
def test_the_headers_of_a_config_do_not_change(change: Callable[[Any], object]) -> None:
    config = Config(headers={"A": "b"})
    with pytest.raises(TypeError, match="merged"):
        change(config.headers)
    assert config.headers == {"A": "b"}


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda config: pickle.loads(pickle.dumps(config)),
        lambda config: Config(**dataclasses.asdict(config)),
        lambda config: config.merged(retries=config.retries, headers=dict(config.headers)),
    ],
)
def test_a_copy_of_a_config_is_the_same_and_does_not_change_either(copied: Callable[[Config], Config]) -> None:
    config = Config(headers={"A": "b"}, retries=2)
    again = copied(config)
    assert again == config
    assert json.dumps(again.headers) == '{"A": "b"}'
    with pytest.raises(TypeError, match="merged"):
        again.headers["C"] = "d"  # type: ignore[index]


def test_whoever_listens_makes_no_other_config() -> None:
    assert Config(on_event=print) == Config()
    assert "on_event" not in repr(Config(on_event=print))


# Sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("512", 512),
        ("512b", 512),
        ("512B", 512),
        ("16k", 16 * 1024),
        ("16K", 16 * 1024),
        ("16kb", 16 * 1024),
        ("16KiB", 16 * 1024),
        ("16M", 16 * MIB),
        ("16MiB", 16 * MIB),
        ("16 MiB", 16 * MIB),
        (" 16M ", 16 * MIB),
        ("1.5g", 3 * 512 * MIB),
        ("1.5GiB", 3 * 512 * MIB),
        ("2T", 2 * 1024**4),
        ("0.5k", 512),
        ("0.1k", 102),
        ("9223372036854775807", 2**63 - 1),
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_a_size_is_read_as_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "M",
        "-1",
        "+1",
        "1e3",
        "1,5M",
        "1.M",
        ".5M",
        "16X",
        "16MM",
        "16ib",
        "16MBs",
        "0x10",
        "1_000",
        "1 2",
        "\u0663M",
        "nan",
        "inf",
        "9" * 20,
        "9" * 5000,
        "1." + "0" * 5000,
    ],
)
def test_what_is_no_size_is_refused_with_the_form_it_should_have(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a size") as caught:
        parse_size(text)
    assert "16M" in (caught.value.hint or "")


@given(number=st.integers(0, 10**18), unit=st.sampled_from(["", "k", "M", "g", "T"]))
def test_a_whole_size_is_exact(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == number * 1024 ** ["", "k", "M", "g", "T"].index(unit)


@given(text=st.text(max_size=20) | st.from_regex(r"[0-9]{1,25}\.?[0-9]{0,12} ?[kmgtKMGT]?i?[bB]?", fullmatch=True))
def test_any_text_is_a_size_or_refused_as_an_option(text: str) -> None:
    with suppress(ConfigError):
        assert parse_size(text) >= 0


@pytest.mark.parametrize("name", ["connections", "jobs"])
def test_the_meaning_of_what_is_found_by_measuring_says_how_far_it_goes(name: str) -> None:
    meaning = Config.__dataclass_fields__[name].metadata["meaning"]
    assert f"at most {LIMIT}, of an object store {STORE_LIMIT}" in meaning


def test_a_value_of_a_type_with_a_well_known_name_is_told_with_its_module() -> None:
    other = type("bool", (), {"__module__": "numpy"})()
    with pytest.raises(ConfigError, match=r"must be True or False, not one of type numpy\.bool$"):
        Config(overwrite=other)
