"""The two lines of a running transfer."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fastget.cli.bar import BarReporter, Transfer, picture, pull_line
from fastget.cli.exit_codes import ExitCode
from fastget.cli.wording import Summary
from fastget.errors import NotFound
from fastget.events import Method, Progress, PullProgress, Repaired, Result, Retried, Started, Verification

MIB = 1024 * 1024
STARTED = Started("http://h/big.bin", "dir/big.bin", 640 * MIB, '"e"', None, "part", 40, 8, Method.COMPOSITE, "crc32c")
PROGRESS = Progress("http://h/big.bin", 416 * MIB, 430 * MIB, 640 * MIB, 320 * MIB, 8, 2.5)


def running(started: Started = STARTED, progress: Progress | None = PROGRESS) -> Transfer:
    transfer = Transfer("big.bin", started=started, progress=progress)
    if progress is not None:
        transfer.window.add(10.0, 0)
        transfer.window.add(12.0, progress.received)
    return transfer


def drawn(transfer: Transfer, *, no_color: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=no_color, _environ={})
    with console.capture() as capture:
        console.print(picture(transfer, 12.0, 80))
    return capture.get().splitlines()


def test_the_first_line_has_name_bar_and_share() -> None:
    first, _ = drawn(running(), no_color=True)
    assert "big.bin" in first
    assert "━━━" in first
    assert first.rstrip().endswith("65%")


def test_the_second_line_has_the_numbers() -> None:
    _, second = drawn(running(), no_color=True)
    assert "416 of 640 MiB, 215 MiB/s, 1.0 s left, 8 connections, 50% verified" in second


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_picture_stays_within_two_lines_of_any_terminal(width: int) -> None:
    transfer = running()
    transfer.name = "a-very-long-name-" * 10
    transfer.retries = transfer.repairs = 12345
    console = Console(file=io.StringIO(), width=width, no_color=True, _environ={})
    with console.capture() as capture:
        console.print(picture(transfer, 12.0, width))
    lines = capture.get().splitlines()
    assert len(lines) == 2
    assert all(len(line) <= min(width, 200) for line in lines)


@pytest.mark.parametrize("width", [24, 40, 60])
def test_a_narrow_terminal_shows_whole_numbers_and_has_room_for_the_echo_of_an_interrupt(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, no_color=True, _environ={})
    with console.capture() as capture:
        console.print(picture(running(), 12.0, width))
    second = capture.get().splitlines()[1].rstrip()
    assert len(second) <= width - len("^C")
    assert second.strip() in "416 of 640 MiB, 215 MiB/s, 1.0 s left, 8 connections, 50% verified"
    assert second.endswith(("MiB", "MiB/s", "left", "connections", "verified"))


def test_the_line_of_a_pull_ends_with_a_whole_number() -> None:
    pull = PullProgress("d", 202, True, 200, 0, 1, 12 * MIB, 12 * MIB, 4, 2.0)
    assert pull_line(pull, 6.0 * MIB, 40) == "200 of 202 objects, 12.0 MiB, 1 failed"
    assert pull_line(pull, 6.0 * MIB, 80) == "200 of 202 objects, 12.0 MiB, 1 failed, 6.00 MiB/s, 4 jobs"


def test_all_the_numbers_of_a_rough_transfer_fit_80_columns() -> None:
    transfer = running()
    transfer.repairs = 1
    assert "50% verified, 1 repair" in drawn(transfer, no_color=True)[1]


def test_without_color_the_picture_has_none() -> None:
    text = "".join(drawn(running(), no_color=True))
    assert not any(f"\x1b[3{digit}" in text for digit in range(9))
    assert "\x1b[3" in "".join(drawn(running()))


def test_an_object_of_unknown_size_shows_no_share_and_no_end() -> None:
    first, second = drawn(running(replace(STARTED, size=None), replace(PROGRESS, size=None, verified=0)), no_color=True)
    assert "%" not in first + second
    assert "left" not in second
    assert "416 MiB, 215 MiB/s, 8 connections" in second


def test_before_the_first_sample_it_connects() -> None:
    assert "connecting" in drawn(running(progress=None), no_color=True)[1]


def test_a_narrow_terminal_gives_the_bar_more_room_than_the_name() -> None:
    transfer = running()
    transfer.name = "a-very-long-name-" * 10
    console = Console(file=io.StringIO(), width=40, no_color=True, _environ={})
    with console.capture() as capture:
        console.print(picture(transfer, 12.0, 40))
    assert "a-very-long" in capture.get()
    assert "━" * 8 in capture.get()


def test_an_object_that_has_not_answered_is_shown_with_its_retries(reporter: BarReporter) -> None:
    reporter.begin("dir/big.bin")
    reporter.handle(Retried("u", 0, None, 1, 0.1, "no answer"))
    console = Console(file=io.StringIO(), width=80, no_color=True, _environ={})
    with console.capture() as capture:
        console.print(reporter._draw())
    reporter.close()
    assert "big.bin" in capture.get()
    assert "connecting, 1 retry" in capture.get()


def test_what_goes_to_standard_output_is_named_so(reporter: BarReporter) -> None:
    reporter.begin("-")
    console = Console(file=io.StringIO(), width=80, no_color=True, _environ={})
    with console.capture() as capture:
        console.print(reporter._draw())
    reporter.close()
    assert "standard output" in capture.get()


def test_an_empty_object_is_whole() -> None:
    empty = running(replace(STARTED, size=0), replace(PROGRESS, landed=0, received=0, size=0, verified=0))
    assert drawn(empty, no_color=True)[0].rstrip().endswith("100%")


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(screen: io.StringIO) -> BarReporter:
    console = Console(file=screen, width=80, force_terminal=True, no_color=True, highlight=False, _environ={})
    return BarReporter(console=console)


def test_a_finished_object_leaves_one_line_with_its_verification(
    reporter: BarReporter, screen: io.StringIO, result: Result
) -> None:
    for event in (STARTED, PROGRESS, Retried("u", 0, 5, 1, 0.1, "reset"), Repaired("u", 0, 5, "digest")):
        reporter.handle(event)
    reporter.finished(result)
    reporter.close()
    assert "big.bin: 2.00 GiB in 1.6 s, 1.25 GiB/s, 8 connections, verified by the CRC64NVME of the whole object" in (
        screen.getvalue()
    )


def test_what_was_not_verified_is_told_on_a_terminal_too(
    reporter: BarReporter, screen: io.StringIO, result: Result
) -> None:
    reporter.finished(replace(result, verification=Verification(False, Method.SIZE, reason="nothing declared")))
    reporter.close()
    assert "not verified: nothing declared" in screen.getvalue()


def test_a_failure_leaves_its_lines_and_markup_in_it_means_nothing(reporter: BarReporter, screen: io.StringIO) -> None:
    reporter.failed(NotFound("no [red]object[/red]", hint="look"), "http://h/x", ExitCode.NOT_FOUND)
    reporter.summarize(Summary(0, 1, 0, 0.1, 3))
    reporter.close()
    assert "fastget: http://h/x: no [red]object[/red]" in screen.getvalue()
    assert "hint: look" in screen.getvalue()
    assert "objects" not in screen.getvalue()


def test_several_objects_end_with_a_summary(reporter: BarReporter, screen: io.StringIO) -> None:
    reporter.summarize(Summary(1, 1, 5, 0.1, 1))
    reporter.close()
    assert "1 of 2 objects, 5 B in 0.1 s, 1 failed" in screen.getvalue()


def test_verbose_events_stand_above_the_bar(screen: io.StringIO) -> None:
    console = Console(file=screen, width=200, force_terminal=True, no_color=True, highlight=False, _environ={})
    reporter = BarReporter(verbose=True, console=console)
    reporter.handle(STARTED)
    reporter.close()
    assert "40 pieces by part" in screen.getvalue()
