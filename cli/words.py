"""Counts, sizes, times and lines as commands print them. Pure."""

import textwrap
from collections.abc import Sequence

from shared.times import lasting, utc

WIDTH = 100


def wrapped(words: str, first: str, later: str) -> Sequence[str]:
    """Lines that begin with ``first``, all but the first with ``later``, none too long."""
    return textwrap.wrap(
        words, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False
    )


def moment(time_ms: int) -> str:
    """A time in UTC; what is none in milliseconds."""
    try:
        return utc(time_ms)
    except (ValueError, OverflowError):  # written by hand, beyond the calendar
        return f"{time_ms} ms"


def ago(now_ms: int, then_ms: int | None) -> str:
    """``, 5m 0s ago``; empty where it is not known when."""
    return "" if then_ms is None else f", {lasting(now_ms - then_ms)} ago"


def plural(count: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def signals(count: int, at_least: bool = False) -> str:
    """``at least 1,000 signals``."""
    return f"{counted(count, at_least)} signal{'' if count == 1 else 's'}"


def counted(count: int, at_least: bool) -> str:
    """A number, and whether there may be more."""
    return f"{'at least ' if at_least else ''}{count:,}"


def megabytes(count: int) -> str:
    """A number of bytes as ``12.3 MB``."""
    return f"{count / 1_000_000:,.1f} MB"


def masked(address: str) -> str:
    """``t…r@example.org``, ``-…4567``, ``@c…l``: known to whoever knows it, and not told whole."""
    name, at, host = address.rpartition("@")
    if name:
        return f"{name[0]}…{name[-1] if len(name) > 3 else ''}{at}{host}"
    if address.lstrip("-").isdecimal():
        return f"{'-' if address.startswith('-') else ''}…{address[-min(4, len(address) // 2) :]}"
    return f"{address[:2]}…{address[-1]}" if at else address
