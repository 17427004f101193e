"""By how much our wall clock differs from the exchange's. Pure: all times are arguments."""

from collections import deque
from statistics import median

_KEPT = 5
# Before so many answers agree, nothing is told.
_LEAST = 3
# An answer that took longer says little: its half could be most of what is to be measured.
_LONGEST_ROUND_TRIP_MS = 1000.0


class Skew:
    """The median of the last few measurements."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._found: deque[float] = deque(maxlen=_KEPT)

    def answered(self, server_ms: int, asked_ms: float, round_trip_ms: float) -> None:
        """The exchange, asked at our ``asked_ms``, said ``server_ms``; so long the answer took."""
        if 0 <= round_trip_ms <= _LONGEST_ROUND_TRIP_MS:
            self._found.append(asked_ms + round_trip_ms / 2 - server_ms)

    @property
    def ms(self) -> float | None:
        """Our clock is ahead by this (behind, if negative); None before there are a few answers."""
        return median(self._found) if len(self._found) >= _LEAST else None


def clock_edge(skew_ms: float, most_ms: float, *, told: bool) -> bool:
    """Whether the clock counts as skewed, given whether it did: it must come back half the way."""
    return abs(skew_ms) > (most_ms / 2 if told else most_ms)


def skewed_sentence(host: str, skew_ms: float) -> str:
    """``clock of host is 3.2 s ahead of the exchange's: …``."""
    where = "ahead of" if skew_ms > 0 else "behind"
    return (
        f"clock of {host} is {abs(skew_ms) / 1000:.1f} s {where} the exchange's:"
        " set it by NTP (timedatectl set-ntp true)"
    )


def right_sentence(host: str, skew_ms: float) -> str:
    """``clock of host is right again: …``."""
    return f"clock of {host} is right again: {abs(skew_ms) / 1000:.1f} s from the exchange's"


def unwatched_sentence(host: str) -> str:
    """``clock of host is no longer watched: …``."""
    return f"clock of {host} is no longer watched: exchange.max_clock_skew_seconds is null"
