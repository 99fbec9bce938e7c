"""Numbers for people: sizes in powers of 1024 with their IEC names, rates, and spans of time."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size_text(size: float) -> str:
    """Bytes in three significant digits: 812 B, 1.50 MiB, 64.0 MiB, 512 GiB."""
    unit = 0
    # Past 999.5 three digits would round up to 1000, so the next unit takes over there.
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} B" if unit == 0 else f"{_three_digits(size)} {_UNITS[unit]}"


def share_text(some: int, size: int) -> str:
    """How much of a size is there: 12.0 of 64.0 MiB, or 900 KiB of 64.0 MiB."""
    number, unit = size_text(some).split()
    whole = size_text(size)
    return f"{number} of {whole}" if whole.endswith(f" {unit}") else f"{number} {unit} of {whole}"


def rate_text(bytes_per_second: float) -> str:
    """A rate in bytes per second, such as 1.25 GiB/s."""
    return f"{size_text(bytes_per_second)}/s"


def seconds_text(seconds: float) -> str:
    """A span of time as it is said: 0.04 s, 3.1 s, 21 s, 3 min 05 s, 2 h 03 min."""
    if seconds < 0.095:
        return f"{max(seconds, 0.0):.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def count_text(count: int, one: str, many: str | None = None) -> str:
    """A number and its noun: 1 connection, 8 connections."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def percent_text(share: float) -> str:
    """A share of 0.0 to 1.0 in whole percent; 100% only where it is the whole."""
    return f"{100 if share >= 1 else min(int(share * 100), 99)}%"


def _three_digits(number: float) -> str:
    if number < 9.995:
        return f"{number:.2f}"
    return f"{number:.1f}" if number < 99.95 else f"{number:.0f}"
