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
        boundary_ms: Of the candle.
        came_ms: The exchange's time when it came.
        lag_before_ms: How late the entry before it came; None where somebody else has put it there.
    """

    boundary_ms: int
    came_ms: int
    lag_before_ms: int | None


class Published:
    """The last candles of one stream, as far as they are ours."""

    def __init__(self, blind_after_ms: float) -> None:
        """A candle ``blind_after_ms`` late proves blindness."""
        self._blind_after_ms = blind_after_ms
        self._kept: deque[Candle] = deque(maxlen=KEPT)

    def add(self, new: Sequence[Candle], interval_ms: int) -> Arrival | None:
        """Note ``new`` entries, in order; the first too late one after one that was not, if any."""
        found, last = None, self._kept[-1] if self._kept else None
        for candle in new:
            if found is None and candle.lag_ms > self._blind_after_ms:
                ours = last is not None and last.boundary_ms == candle.boundary_ms - interval_ms
                before_ms = last.lag_ms if last is not None and ours else None
                if before_ms is None or before_ms <= self._blind_after_ms:
                    came_ms = candle.boundary_ms + candle.lag_ms
                    found = Arrival(candle.boundary_ms, came_ms, before_ms)
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
