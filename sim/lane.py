"""The closing frames of one timeframe: what goes out, when, and when it went."""

from collections.abc import Iterable

import numpy as np

from sim.frames import Closings, stream_name
from sim.tape import Kline, Series


class Lane:
    """The candles of one timeframe as the stream tells them.

    Attributes:
        event_ms: shape [n], market time at which each candle's closing frame goes out.
        sent_ns: shape [n], wall time at which it was first handed to a socket, 0 before.
    """

    def __init__(
        self, symbol: str, series: Series, lateness_ms: tuple[int, int], seed: int
    ) -> None:
        self.interval = series.interval
        self.interval_ms = series.interval_ms
        self.stream = stream_name(symbol, series.interval)
        chance = np.random.Generator(np.random.PCG64([seed, series.interval_ms]))
        late = chance.integers(lateness_ms[0], lateness_ms[1] + 1, len(series))
        self.event_ms = series.candles.open_time_ms + self.interval_ms + late
        self.sent_ns = np.zeros(len(series), np.int64)
        self._symbol = symbol
        self._follow(series)

    def _follow(self, series: Series) -> None:
        self._series = series
        self._open_ms = series.candles.open_time_ms
        self.closings = Closings(self._symbol, series, self.event_ms)
        self._at = 0

    def lose(self, series: Series) -> None:
        """Go on with ``series``, which is the present one without some of its candles."""
        kept = np.isin(self._open_ms, series.candles.open_time_ms)
        self.event_ms, self.sent_ns = self.event_ms[kept], self.sent_ns[kept]
        self._follow(series)

    def kline(self, index: int) -> Kline:
        """One candle, complete."""
        return self._series.rows(index, index + 1)[0]

    def closing_at(self, boundary_ms: int) -> int | None:
        """Index of the candle that closes at ``boundary_ms``; cheap while boundaries ascend."""
        opened = boundary_ms - self.interval_ms
        if boundary_ms % self.interval_ms:
            return None
        times = self._open_ms
        if self._at < len(times) and times[self._at] < opened:
            self._at += 1
            if self._at < len(times) and times[self._at] < opened:
                self._at = int(np.searchsorted(times, opened))
        if self._at < len(times) and times[self._at] == opened:
            return self._at
        return None

    def note_sent(self, open_ms: int, now_ns: int) -> None:
        """Keep when the closing frame of the candle that opened at ``open_ms`` first went out."""
        index = self._series.index_of(open_ms)
        if index is not None and not self.sent_ns[index]:
            self.sent_ns[index] = now_ns

    def sent_at(self, boundaries_ms: Iterable[int]) -> list[int]:
        """Wall times of the closing frames of ``boundaries_ms``; 0 where there is none."""
        opened = np.fromiter(boundaries_ms, np.int64) - self.interval_ms
        at = np.minimum(np.searchsorted(self._open_ms, opened), len(self._open_ms) - 1)
        sent: list[int] = np.where(self._open_ms[at] == opened, self.sent_ns[at], 0).tolist()
        return sent
