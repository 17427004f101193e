"""Milliseconds as people read them. Pure: no clock is read here."""

from datetime import UTC, datetime


def utc(time_ms: float) -> str:
    """``2025-11-02 14:35:00 UTC``."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
