"""Decides which stream of a connection is mute, and how often that may be a reason to replace it.

Pure: the monotonic time is an argument. The exchange acknowledges whatever it is asked for, so a
stream may be silent for ever beside others that speak. Only the time in which others spoke counts:
while nobody does, the connection is silent as a whole, or we were suspended.
"""

from collections.abc import Iterable
from math import inf

# A stream that is mute everywhere must not cause connections without end; REST carries it.
FIRST_PAUSE_S, LAST_PAUSE_S = 60.0, 3600.0


class Watch:
    """Hears who speaks on one connection."""

    def __init__(self, timeframes: Iterable[str], silence_s: float, now_s: float) -> None:
        """Count from ``now_s`` on; a timeframe is mute after ``silence_s``."""
        self._heard_s = dict.fromkeys(timeframes, now_s)
        self._silence_s, self._pause_s = silence_s, silence_s / 4
        self._last_s = now_s

    def heard(self, timeframe: str, now_s: float) -> None:
        """A frame of ``timeframe`` came."""
        quiet_s = now_s - self._last_s
        if quiet_s > self._pause_s:
            self._heard_s = {name: at_s + quiet_s for name, at_s in self._heard_s.items()}
        self._heard_s[timeframe] = self._last_s = now_s

    def mute(self) -> str:
        """The timeframe that has said nothing for the longest too long time; empty for none."""
        name = min(self._heard_s, key=self._heard_s.__getitem__)
        return name if self._last_s - self._heard_s[name] > self._silence_s else ""


class MutePauses:
    """When a connection may be replaced because a stream of it is mute."""

    def __init__(self) -> None:
        """Allow the first time at once."""
        self._next_s, self._pause_s = -inf, FIRST_PAUSE_S

    def left_s(self, now_s: float) -> float:
        """Seconds until it may be replaced, 0 or less for now."""
        return self._next_s - now_s

    def replaced(self, now_s: float) -> None:
        """It is replaced now; should that help as little, the next time is further away."""
        if now_s - self._next_s > LAST_PAUSE_S:  # also the very first time
            self._pause_s = FIRST_PAUSE_S
        self._next_s = now_s + self._pause_s
        self._pause_s = min(LAST_PAUSE_S, self._pause_s * 2)
