"""Milliseconds as people read them. Pure: no clock is read here."""

from datetime import UTC, datetime

# A later time is not in milliseconds: as such it would lie in the year 5138.
LATEST_MS = 10**14
_TENTHS_BELOW_MS = 9_950


def utc(time_ms: float) -> str:
    """``2025-11-02 14:35:00 UTC``, or the bare number where it can be no such time."""
    if not 0 <= time_ms < LATEST_MS:
        return f"{time_ms:.0f} ms"
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def lasting(milliseconds: float) -> str:
    """``0.4s``, ``10s``, ``4m 10s``, ``2h 3m``, ``5d 1h``: never negative.

    The two largest units; tenths where these are more than a percent.
    """
    if milliseconds < _TENTHS_BELOW_MS:
        return f"{max(0.0, milliseconds / 1000):.1f}s"
    minutes, seconds = divmod(max(0, round(milliseconds / 1000)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    counts = (f"{days}d", f"{hours}h", f"{minutes}m", f"{seconds}s")
    first = next((n for n, count in enumerate((days, hours, minutes)) if count), 3)
    return " ".join(counts[first : first + 2])
