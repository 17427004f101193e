"""What was traded: every timeframe of one market, and the candle still open at a moment.

The trades inside a minute are not known, so an open candle is drawn along a fixed path through the
minute's open, extremes and close. The path always ends at the true candle, and partial values never
leave its range.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.candles import MINUTE_MS, Candles, aggregate, boundaries_of_groups, without

TIMEFRAMES = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
}

# An average trade moves about this much of the base asset; only the trade counts depend on it.
VOLUME_PER_TRADE = 0.02
FIRST_TRADE_ID = 1_000_000

# The share of volume that buyers took; only the taker columns depend on it.
TAKER_SHARE = 0.5


class Kline(NamedTuple):
    """One candle with all that Binance tells; ``first`` and ``last`` are -1 without trades."""

    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote: float
    trades: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Series:
    """All candles of one timeframe; ``ids`` [n] is what the candle's first trade gets."""

    interval: str
    interval_ms: int
    candles: Candles
    quote: NDArray[np.float64]
    trades: NDArray[np.int64]
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.candles)

    def rows(self, start: int, stop: int) -> list[Kline]:
        """Candles ``start`` to ``stop`` (exclusive) as finished klines."""
        part = self.candles[start:stop]
        trades = self.trades[start:stop]
        ids = self.ids[start:stop]
        traded = trades > 0
        columns = (
            part.open_time_ms,
            part.open_time_ms + (self.interval_ms - 1),
            part.open,
            part.high,
            part.low,
            part.close,
            part.volume,
            self.quote[start:stop],
            trades,
            np.where(traded, ids, -1),
            np.where(traded, ids + trades - 1, -1),
        )
        # Plain lists first: formatting numpy scalars one by one is ten times slower.
        return [Kline(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def index_of(self, open_ms: int) -> int | None:
        """Position of the candle that opened at ``open_ms``."""
        times = self.candles.open_time_ms
        at = int(np.searchsorted(times, open_ms))
        return at if at < len(times) and times[at] == open_ms else None


class Tape:
    """One market in all timeframes, computed from its 1m candles on first use.

    Attributes:
        first_ms: open time of the first candle.
        minutes: the 1m candles.
    """

    def __init__(self, minutes: Candles) -> None:
        self.first_ms = int(minutes.open_time_ms[0])
        self._record(minutes)

    def _record(self, minutes: Candles) -> None:
        self.minutes = minutes
        trades = np.ceil(minutes.volume / VOLUME_PER_TRADE).astype(np.int64)
        middle = (minutes.open + minutes.high + minutes.low + minutes.close) / 4
        ids = FIRST_TRADE_ID + np.concatenate(([0], np.cumsum(trades)))[:-1]
        self._one = Series("1m", MINUTE_MS, minutes, minutes.volume * middle, trades, ids)
        self._series = {"1m": self._one}

    def cut_out(self, from_ms: int, to_ms: int) -> None:
        """Let the minutes that open in this range (end exclusive) never have existed.

        Series that were handed out before stay as they were: ask again for all of them.
        """
        left = without(self.minutes, from_ms, to_ms)
        if not len(left):
            raise ValueError("no candle would be left")
        self._record(left)

    @property
    def end_ms(self) -> int:
        """Close boundary of the last 1m candle."""
        return int(self.minutes.open_time_ms[-1]) + MINUTE_MS

    def series(self, interval: str) -> Series:
        """The candles of one timeframe of ``TIMEFRAMES``."""
        if interval not in self._series:
            self._series[interval] = self._aggregate(interval)
        return self._series[interval]

    def closed_by(self, interval: str, at_ms: int) -> int:
        """How many candles have their close boundary at or before ``at_ms``."""
        series = self.series(interval)
        return int(
            np.searchsorted(series.candles.open_time_ms, at_ms - series.interval_ms, side="right")
        )

    def open_at(self, interval: str, now_ms: int) -> Kline | None:
        """The candle in progress at ``now_ms``; None when nothing has traded in it yet."""
        interval_ms = TIMEFRAMES[interval]
        opened = now_ms - now_ms % interval_ms
        minute = now_ms - now_ms % MINUTE_MS
        start, stop = np.searchsorted(self.minutes.open_time_ms, (opened, minute)).tolist()
        pieces = self._one.rows(start, stop)
        at = self._one.index_of(minute)
        if at is not None:
            pieces.append(_partial(self._one.rows(at, at + 1)[0], (now_ms - minute) / MINUTE_MS))
        return _merge(pieces, opened, interval_ms) if pieces else None

    def _aggregate(self, interval: str) -> Series:
        interval_ms = TIMEFRAMES[interval]
        one = self._one
        starts = boundaries_of_groups(self.minutes, interval_ms)
        return Series(
            interval,
            interval_ms,
            aggregate(self.minutes, interval_ms),
            np.add.reduceat(one.quote, starts),
            np.add.reduceat(one.trades, starts),
            one.ids[starts],
        )


def _partial(kline: Kline, share: float) -> Kline:
    """The minute as it stood when ``share`` (0 to 1) of it had passed."""
    way = (kline.open, kline.low, kline.high, kline.close)
    if kline.close < kline.open:
        way = (kline.open, kline.high, kline.low, kline.close)
    leg = min(2, int(share * 3))
    along = share * 3 - leg
    # Only prices that the market knows: the tick is not finer than a hundredth.
    price = round(way[leg] + (way[leg + 1] - way[leg]) * along, 2 if kline.open >= 100 else 8)
    price = min(max(price, kline.low), kline.high)
    passed = (*way[: leg + 1], price)
    trades = int(kline.trades * share)
    volume = round(kline.volume * share, 8) if trades else 0.0
    if not trades:
        passed = (kline.open,)
    return kline._replace(
        high=max(passed),
        low=min(passed),
        close=passed[-1],
        volume=volume,
        quote=kline.quote * share if trades else 0.0,
        trades=trades,
        first=kline.first if trades else -1,
        last=kline.first + trades - 1 if trades else -1,
    )


def _merge(pieces: list[Kline], opened: int, interval_ms: int) -> Kline:
    """One candle over ``pieces``, which are in order."""
    traded = [piece for piece in pieces if piece.trades]
    return Kline(
        open_ms=opened,
        close_ms=opened + interval_ms - 1,
        open=pieces[0].open,
        high=max(piece.high for piece in pieces),
        low=min(piece.low for piece in pieces),
        close=pieces[-1].close,
        volume=sum(piece.volume for piece in pieces),
        quote=sum(piece.quote for piece in pieces),
        trades=sum(piece.trades for piece in pieces),
        first=traded[0].first if traded else -1,
        last=traded[-1].last if traded else -1,
    )
