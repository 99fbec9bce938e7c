"""`fastget bench`: servers whose limit is known, and what is said about them."""

from __future__ import annotations

import json
import signal
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import click
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from fastget.cli import bench as verb
from fastget.cli import bench_table
from fastget.cli.bench_wording import Findings, advice, fact_lines, headline, reasons, wait_text
from fastget.core.bottleneck import Facts, Limit, Window, cells_of, judge
from fastget.core.checksums.algorithms import Algorithm
from fastget.core.objectinfo import ObjectInfo
from fastget.core.sweep import Setting
from fastget.engine.bench.by_itself import ByItself
from fastget.engine.bench.link import Digest, Way
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.transport.probe import Handshake

Run = Callable[..., CompletedProcess[bytes]]
Start = Callable[..., "Popen[bytes]"]
Serve = Callable[..., ObjectServer]

MIB = 1024 * 1024
LARGE = {"/b/x": StoredObject(Content.generated(64 * MIB), checksum=Algorithm.CRC32C)}
SHORT = ("--seconds", "0.25", "-k", "1M")


def lines(outcome: CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def verdict_on(run: Run, server: ObjectServer, *arguments: str) -> dict[str, Any]:
    outcome = run("bench", server.url("/b/x"), *SHORT, "--json", *arguments)
    assert outcome.returncode == 0, outcome.stderr
    found = lines(outcome)[-1]
    assert found["event"] == "verdict"
    return found


# Verdicts --------------------------------------------------------------------------------------------------------


def test_a_server_that_caps_each_connection_is_told_apart(run: Run, serve: Serve) -> None:
    found = verdict_on(run, serve(LARGE, behaviour=Behaviour(rate_per_connection=2e6)), "-x", "1,4,8")
    assert found["limit"] == "per-connection"
    assert found["best"]["connections"] == 8
    assert found["growth"] > 0.8


def test_a_server_with_a_rate_for_all_is_told_apart(run: Run, serve: Serve) -> None:
    found = verdict_on(run, serve(LARGE, behaviour=Behaviour(rate=4e6)), "-x", "1,2,4")
    assert found["limit"] == "network"
    assert found["growth"] is None or found["growth"] < 0.5


def test_a_server_that_is_slow_to_answer_is_told_apart(run: Run, serve: Serve) -> None:
    slow = serve(LARGE, behaviour=Behaviour(first_byte_delay=(0.2, 0.2)))
    found = verdict_on(run, slow, "-x", "1,2", "-k", "64K", "--seconds", "0.6")
    assert found["limit"] == "latency"
    assert found["best"]["first_byte"] > 0.1


def test_a_server_that_throttles_is_told_apart(run: Run, serve: Serve) -> None:
    throttling = serve(LARGE, faults=[faults.slow_down().on(ranged=True, every=2).always()])
    found = verdict_on(run, throttling, "-x", "1,2", "--retries", "100")
    assert found["limit"] == "throttling"
    assert found["refused"] > 0.1


def test_a_server_with_few_slots_is_told_apart(run: Run, serve: Serve) -> None:
    few = serve(LARGE, behaviour=Behaviour(rate_per_connection=2e6), max_connections=3)
    found = verdict_on(run, few, "-x", "1,3,9", "--seconds", "1.0")
    assert found["limit"] == "slots"
    assert found["best"]["connections"] == 3


# What is measured and how ------------------------------------------------------------------------------------------


def test_every_request_for_bytes_is_a_range_that_is_pinned(run: Run, serve: Serve) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate_per_connection=8e6))
    verdict_on(run, server, "-x", "1,2")
    ranged = [request for request in server.requests if request.range is not None]
    assert len(ranged) > 4
    etags = {request.headers.get("if-match") for request in ranged}
    # The first request of what fastget does by itself tells the ETag that it is pinned to from then on.
    assert etags <= {LARGE["/b/x"].etag, None}
    assert sum(request.headers.get("if-match") is None for request in ranged) <= 1


def test_nothing_is_written(run: Run, serve: Serve, tmp_path: Path) -> None:
    verdict_on(run, serve(LARGE, behaviour=Behaviour(rate=8e6)), "-x", "1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["-d", "-o"])
def test_a_disk_is_measured_and_left_as_it_was(run: Run, serve: Serve, tmp_path: Path, flag: str) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate=8e6))
    outcome = run("bench", server.url("/b/x"), *SHORT, "-x", "1", "--json", flag, str(tmp_path))
    events = {line["event"]: line for line in lines(outcome)}
    assert events["disk"]["rate"] > 0
    assert events["verdict"]["disk_rate"] == events["disk"]["rate"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_stands_for_its_directory(tmp_path: Path) -> None:
    assert verb._directory(str(tmp_path / "new.bin")) == str(tmp_path)
    assert verb._directory(str(tmp_path)) == str(tmp_path)
    assert verb._directory(None) is None


def test_no_more_bytes_are_fetched_than_allowed(run: Run, serve: Serve) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate=200e6))
    outcome = run("bench", server.url("/b/x"), "-x", "1,2", "-k", "1M", "--max-bytes", "16M", "--json")
    assert outcome.returncode == 0
    assert sum(line["received"] for line in lines(outcome) if line["event"] == "measured") <= 64 * MIB


def test_json_tells_each_measurement_and_what_lies_around(run: Run, serve: Serve) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate_per_connection=4e6))
    outcome = run("bench", server.url("/b/x"), *SHORT, "-x", "1,2", "--json")
    found = lines(outcome)
    assert [line["event"] for line in found][:2] == ["way", "digest"]
    assert [line["event"] for line in found][-2:] == ["byitself", "verdict"]
    measured = [line for line in found if line["event"] == "measured"]
    assert [line["connections"] for line in measured][:4] == [1, 2, 2, 1]
    assert all(len(line["flows"]) == line["connections"] for line in measured)
    assert found[0]["size"] == 64 * MIB
    assert found[0]["tls"] is None
    assert found[1]["algorithm"] == "crc32c"
    assert outcome.stderr == b""


def test_tls_is_named(run: Run, serve: Serve, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = serve(LARGE, behaviour=Behaviour(rate=8e6), tls=context)
    outcome = run("bench", server.url("/b/x"), *SHORT, "-x", "1", "--json", "--ca-bundle", str(tmp_path / "ca.pem"))
    (way,) = [line for line in lines(outcome) if line["event"] == "way"]
    assert way["version"].startswith("TLSv1.")
    assert way["cipher"]
    assert way["tls"] > 0


# What is shown -----------------------------------------------------------------------------------------------------


def test_people_get_a_table_that_fits_80_columns(run: Run, serve: Serve) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate_per_connection=2e6))
    outcome = run("bench", server.url("/b/x"), *SHORT, "-x", "1,4", env={"COLUMNS": "80"})
    text = outcome.stdout.decode()
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.startswith("conn.  ")
    assert "\nlimited by  each connection: they carry about " in text
    assert "\nwhat to do  by itself fastget took " in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_a_narrow_terminal_gets_fewer_columns_and_whole_numbers(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    found = findings(*CAPPED)
    bench_table.show(found)
    table = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert "conn." in table[0]
    assert "rate" in table[0]
    assert all(len(line) <= width for line in table)
    assert not any("…" in line for line in table)


def test_the_line_of_a_narrow_terminal_does_not_wrap(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "can_animate", lambda *_: True)
    monkeypatch.setenv("COLUMNS", "40")
    verb._Listener(as_json=False, verbose=False).announce(Setting(8, MIB))
    shown = capsys.readouterr().err.removeprefix("\r\x1b[K")
    assert shown.startswith("measuring 8 connections")
    assert len(shown) < 40


def test_verbose_tells_each_measurement_as_it_comes(run: Run, serve: Serve) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate=4e6))
    outcome = run("bench", server.url("/b/x"), *SHORT, "-x", "1", "-v")
    assert outcome.stderr.startswith(b"1 connection, pieces of 1.00 MiB: ")


def test_a_terminal_gets_a_line_that_is_taken_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "can_animate", lambda *_: True)
    monkeypatch.setenv("COLUMNS", "80")
    listener = verb._Listener(as_json=False, verbose=False)
    listener.announce(Setting(8, MIB))
    listener.announce(None)
    listener.clear()
    shown = capsys.readouterr().err
    assert "measuring 8 connections, pieces of 1.00 MiB" in shown
    assert shown.endswith("\r\x1b[K")


# How it ends -------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_with_130_and_what_was_measured(start: Start, serve: Serve) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate_per_connection=4e6))
    command = start("bench", server.url("/b/x"), "--seconds", "0.25", "--json")
    assert command.stdout is not None
    assert command.stderr is not None
    for line in command.stdout:
        if json.loads(line)["event"] == "measured":
            break
    command.send_signal(signal.SIGINT)
    found = [json.loads(line) for line in command.stdout.read().splitlines()]
    assert command.wait(timeout=30) == 130
    assert [line["event"] for line in found if line["event"] != "measured"] == ["verdict", "failed"]
    assert found[-2]["is_complete"] is False
    assert command.stderr.read().splitlines() == [b"fastget: interrupted"]


def test_an_object_that_is_not_there_is_3(run: Run, serve: Serve) -> None:
    outcome = run("bench", serve({}).url("/b/x"), "--json")
    assert outcome.returncode == 3
    assert [line["event"] for line in lines(outcome)] == ["failed"]


def test_a_small_object_is_said_to_be_too_small(run: Run, serve: Serve) -> None:
    outcome = run("bench", serve({"/b/x": StoredObject(Content.of(b"little"))}).url("/b/x"))
    assert outcome.returncode == 2
    assert b"has 6 bytes: too few to say anything about the link" in outcome.stderr
    assert outcome.stdout == b""


def test_a_server_without_ranges_leaves_nothing_to_compare(run: Run, serve: Serve) -> None:
    outcome = run("bench", serve(LARGE, behaviour=Behaviour(ranges=False, accept_ranges=None)).url("/b/x"))
    assert outcome.returncode == 5
    assert b"the server ignores ranges" in outcome.stderr


def test_a_directory_that_is_not_there_is_8(run: Run, serve: Serve, tmp_path: Path) -> None:
    outcome = run("bench", serve(LARGE).url("/b/x"), "-d", str(tmp_path / "none" / "at all"))
    assert outcome.returncode == 8


@pytest.mark.parametrize(
    "arguments",
    [
        ["-x", "0"],
        ["-x", "1,,2"],
        ["-x", "many"],
        ["-x", "257"],
        ["-x", ",".join("123456789" * 2)],
        ["-k", "1"],
        ["-k", "8X"],
        ["--seconds", "0"],
        ["--seconds", "nan"],
        ["--seconds", "1e9"],
        ["--max-bytes", "1M"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        verb.command.make_context("bench", ["http://h/x", *arguments])


def test_two_places_contradict_each_other(run: Run) -> None:
    outcome = run("bench", "http://127.0.0.1:1/x", "-o", "a", "-d", "b")
    assert outcome.returncode == 2
    assert outcome.stderr.splitlines()[0] == b"fastget: -o and -d contradict each other: give one of them"


# Sentences ---------------------------------------------------------------------------------------------------------


def window(connections: int, rate: float, part_size: int = 8 * MIB, **facts: Any) -> Window:
    return Window(
        connections=connections, part_size=part_size, seconds=1.0, received=int(rate), first_bytes=(0.031,), **facts
    )


def findings(*windows: Window, **facts: Any) -> Findings:
    cells = cells_of(windows)
    return Findings(verdict=judge(Facts(cells, 2.0, disk_rate=facts.get("disk_rate"))), cells=cells, cores=2.0, **facts)


CAPPED = [window(count, count * 2.0 * MIB) for count in (1, 2, 4, 8)]


def test_the_advice_compares_flags_with_what_happens_without_them() -> None:
    found = findings(*CAPPED, itself=ByItself(4, 8.0 * MIB, 3.0))
    first, second = advice(found)
    assert first.startswith("by itself fastget took 4 connections and reached 8.00 MiB/s; ")
    assert first.endswith("; --connections 8 --part-size 8M reached 16.0 MiB/s")
    assert second == "try --connections 8 --part-size 8M"
    assert list(advice(findings(*CAPPED, itself=ByItself(8, 15.8 * MIB, 3.0))))[1] == "no flag is needed"


def test_the_reasons_are_the_numbers_behind_the_verdict() -> None:
    found = findings(*CAPPED, is_complete=False)
    assert headline(found) == "each connection: they carry about 2.00 MiB/s each, and the rate grows with their number"
    assert list(reasons(found)) == [
        "8 connections brought 8.0 times what 1 connection did",
        "connections waited 0% of their time for first bytes",
        "fastget kept 0.00 of 2 cores busy",
        "not everything was measured",
    ]


def test_a_limit_of_the_caller_s_own_is_named_where_it_is_what_was_measured(run: Run, serve: Serve) -> None:
    server = serve(LARGE, behaviour=Behaviour(rate=200e6))
    outcome = run("bench", server.url("/b/x"), *SHORT, "-x", "1,2", "--json", env={"FASTGET_LIMIT_RATE": "4M"})
    assert outcome.returncode == 0, outcome.stderr
    told = lines(outcome)[-1]
    assert told["text"] == "FASTGET_LIMIT_RATE, which allows 4.00 MiB/s over all connections"
    assert not any("another server" in sentence for sentence in told["advice"])


def test_a_limit_of_the_caller_s_own_that_was_not_reached_is_no_verdict() -> None:
    flat = [window(count, 8.0 * MIB) for count in (1, 2, 4)]
    assert headline(findings(*flat, limit_rate=16 * MIB)) == headline(findings(*flat))
    assert "FASTGET_LIMIT_RATE" in headline(findings(*flat, limit_rate=8 * MIB))


def test_more_connections_are_proposed_where_the_last_ones_were_a_gain() -> None:
    found = findings(*CAPPED, window(16, 32.0 * MIB), window(32, 64.0 * MIB))
    assert list(advice(found))[-1] == "it was still growing: measure --connections 32,64"


def test_facts_name_the_server_and_the_cipher() -> None:
    way = Way(ObjectInfo("u", 1), 64 * MIB, "nginx", Handshake(0.002, 0.0141, "TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    shown = dict(fact_lines(findings(*CAPPED, way=way, digesting=Digest(Algorithm.CRC32C, 2.0**34), disk_rate=2.0**30)))
    assert shown["object"] == "64.0 MiB, server nginx"
    assert shown["connection"] == "2.00 ms, TLS 14 ms (TLSv1.3, TLS_AES_256_GCM_SHA384)"
    assert shown["digest"] == "CRC32C at 16.0 GiB/s on one core"
    assert shown["disk"] == "1.00 GiB/s, flushed"
    assert shown["first byte"] == "31 ms, 95% within 31 ms"


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.00042, "0.42 ms"), (0.031, "31 ms"), (0.9999, "1.0 s"), (12.0, "12 s")]
)
def test_short_times_are_milliseconds(seconds: float | None, text: str) -> None:
    assert wait_text(seconds) == text


@pytest.mark.parametrize("limit", Limit)
@pytest.mark.parametrize("windows", [[], CAPPED[:1], CAPPED], ids=["none", "one", "several"])
def test_there_are_words_for_every_limit(limit: Limit, windows: list[Window]) -> None:
    found = findings(*windows)
    found = replace(found, verdict=replace(found.verdict, limit=limit))
    assert headline(found).isprintable()
    for sentence in (*reasons(found), *advice(found)):
        assert sentence.isprintable()


@given(
    st.lists(
        st.builds(
            window,
            st.integers(1, 64),
            st.integers(0, 10**11),
            st.sampled_from([1, 8 * MIB, 2**30]),
            throttled=st.integers(0, 3),
            processor=st.floats(0, 8),
            machine=st.none() | st.floats(0, 1),
        ),
        max_size=8,
    )
)
def test_there_are_words_for_whatever_was_measured(windows: list[Window]) -> None:
    found = findings(*windows, disk_rate=1e8, itself=ByItself(2, 1e6, 1.0))
    for sentence in (headline(found), *reasons(found), *advice(found), *(text for _, text in fact_lines(found))):
        assert sentence.isprintable()
