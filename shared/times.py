"""Milliseconds as people read them. Pure: no clock is read here."""

from datetime import UTC, datetime

# A later time is not in milliseconds: as such it would lie in the year 5138.
LATEST_MS = 10**14


def utc(time_ms: float) -> str:
    """``2025-11-02 14:35:00 UTC``, or the bare number where it can be no such time."""
    if not 0 <= time_ms < LATEST_MS:
        return f"{time_ms:.0f} ms"
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
