"""What this process has put into one timeframe's stream of late, and what that proves.

Pure. Only a few candles are kept: what is asked for has come just now.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from shared.candle import Candle

KEPT = 16


@dataclass(frozen=True, slots=True)
class Arrival:
    """A candle that came so late that nothing was seen from the entry before it on.

    Attributes:
        before: The entry before it; None where somebody else has put it there.
    """

    candle: Candle
    before: Candle | None


def lapsed(candle: Candle, before: Candle, blind_after_ms: float) -> bool:
    """Whether the stream stood still for too long between two entries that follow each other.

    If the first one came as late, and just before, both are of one refill, or of the history that
    a stream begins with.
    """
    if candle.lag_ms <= blind_after_ms:
        return False
    pause_ms = candle.received_at_ms - before.received_at_ms
    return before.lag_ms <= blind_after_ms or pause_ms > blind_after_ms


class Published:
    """The last candles of one stream, as far as they are ours."""

    def __init__(self, blind_after_ms: float) -> None:
        """A candle ``blind_after_ms`` late may prove blindness."""
        self._blind_after_ms = blind_after_ms
        self._kept: deque[Candle] = deque(maxlen=KEPT)

    def add(self, new: Sequence[Candle], interval_ms: int) -> Arrival | None:
        """Note ``new`` entries, in order; the first one that ended a lapse or may have, if any."""
        found, last = None, self._kept[-1] if self._kept else None
        for candle in new:
            if found is None and candle.lag_ms > self._blind_after_ms:
                ours = last is not None and last.boundary_ms == candle.boundary_ms - interval_ms
                before = last if ours else None
                if before is None or lapsed(candle, before, self._blind_after_ms):
                    found = Arrival(candle, before)
            last = candle
        self._kept.extend(new[-KEPT:])
        return found

    def known(self, boundary_ms: int) -> Candle | None:
        """The candle of this boundary, if it is ours and among the last."""
        return next((each for each in self._kept if each.boundary_ms == boundary_ms), None)


def differ(one: Candle, other: Candle) -> bool:
    """Whether two candles of one boundary have different values; when they came is no matter."""
    return _values(one) != _values(other)


def _values(candle: Candle) -> tuple[bool | float, ...]:
    return (
        candle.missing,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
    )
