"""The indicators, each updated by one closed candle in constant time.

Pure. Formulas, seeds and first defined values are TA-Lib's (default compatibility), except that the
RSI of a market without any loss is 100, as charts show it, where TA-Lib says 0 for a flat one.
``value`` is None until an indicator is defined. ``state`` is everything that the next update
depends on, so that a restored indicator continues bit-identically.
"""

from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol, Self

Scalar = float | int | None
State = list[Scalar]

DAY_MS = 86_400_000


def _check_seed(period: int, count: int, value: Scalar, last: Scalar = 0.0) -> None:
    """Refuse what no sequence of candles leads to: it would never be defined, or never fail loudly.

    Raises:
        ValueError: ``value`` is defined exactly once ``count`` has reached ``period``, and nothing
            was counted before there was a ``last`` price.
    """
    if not 0 <= count <= period or (value is None) != (count < period):
        raise ValueError(f"{count} of {period} values, and the result is {value}")
    if last is None and count:
        raise ValueError("changes without a price")


class Indicator(Protocol):
    """What all indicators have in common."""

    value: float | None

    def state(self) -> State:
        """Everything that later values depend on."""


class Ema:
    """Exponential moving average, α = 2/(n+1), seeded with the mean of the first n values.

    First defined with the n-th value.
    """

    __slots__ = ("_alpha", "_count", "_period", "_total", "value")

    def __init__(self, period: int) -> None:
        """Average over ``period`` candles."""
        self._period, self._alpha = period, 2.0 / (period + 1)
        self._count, self._total = 0, 0.0
        self.value: float | None = None

    def update(self, price: float) -> None:
        """Take in one closed candle's price."""
        if self.value is not None:
            self.value += (price - self.value) * self._alpha
            return
        self._count += 1
        self._total += price
        if self._count == self._period:
            self.value = self._total / self._period

    def state(self) -> State:
        """Everything that later values depend on."""
        return [self._count, self._total, self.value]

    @classmethod
    def restored(cls, period: int, state: Sequence[Scalar]) -> Self:
        """The indicator whose ``state`` this was."""
        self = cls(period)
        count, total, self.value = state
        self._count, self._total = int(count or 0), float(total or 0)
        _check_seed(period, self._count, self.value)
        return self


class Rsi:
    """Wilder's RSI, seeded with the mean gain and loss of the first n changes.

    First defined with value n+1. 100 where there are no losses.
    """

    __slots__ = ("_count", "_gain", "_last", "_loss", "_period", "value")

    def __init__(self, period: int) -> None:
        """Smooth over ``period`` changes."""
        self._period = period
        self._count, self._gain, self._loss = 0, 0.0, 0.0
        self._last: float | None = None
        self.value: float | None = None

    def update(self, price: float) -> None:
        """Take in one closed candle's price."""
        last, self._last = self._last, price
        if last is None:
            return
        change, n = price - last, self._period
        gain = change if change > 0 else 0.0
        loss = -change if change < 0 else 0.0
        if self._count < n:
            self._count += 1
            self._gain += gain
            self._loss += loss
            if self._count < n:
                return
            self._gain /= n
            self._loss /= n
        else:
            self._gain = (self._gain * (n - 1) + gain) / n
            self._loss = (self._loss * (n - 1) + loss) / n
        if self._loss == 0:
            self.value = 100.0
        else:
            self.value = 100.0 * (self._gain / (self._gain + self._loss))

    def state(self) -> State:
        """Everything that later values depend on."""
        return [self._count, self._gain, self._loss, self._last, self.value]

    @classmethod
    def restored(cls, period: int, state: Sequence[Scalar]) -> Self:
        """The indicator whose ``state`` this was."""
        self = cls(period)
        count, gain, loss, self._last, self.value = state
        self._count, self._gain, self._loss = int(count or 0), float(gain or 0), float(loss or 0)
        _check_seed(period, self._count, self.value, self._last)
        if self._gain < 0 or self._loss < 0:
            raise ValueError("a gain or loss is negative")
        return self


class Atr:
    """Wilder's average true range, seeded with the mean of the first n true ranges.

    The first candle has no true range (there is no previous close): first defined with candle n+1.
    """

    __slots__ = ("_count", "_last", "_period", "_total", "value")

    def __init__(self, period: int) -> None:
        """Smooth over ``period`` true ranges."""
        self._period = period
        self._count, self._total = 0, 0.0
        self._last: float | None = None
        self.value: float | None = None

    def update(self, high: float, low: float, close: float) -> None:
        """Take in one closed candle."""
        last, self._last = self._last, close
        if last is None:
            return
        true_range = max(high - low, abs(high - last), abs(low - last))
        if self.value is not None:
            self.value = (self.value * (self._period - 1) + true_range) / self._period
            return
        self._count += 1
        self._total += true_range
        if self._count == self._period:
            self.value = self._total / self._period

    def state(self) -> State:
        """Everything that later values depend on."""
        return [self._count, self._total, self._last, self.value]

    @classmethod
    def restored(cls, period: int, state: Sequence[Scalar]) -> Self:
        """The indicator whose ``state`` this was."""
        self = cls(period)
        count, total, self._last, self.value = state
        self._count, self._total = int(count or 0), float(total or 0)
        _check_seed(period, self._count, self.value, self._last)
        return self


class Sma:
    """Simple moving average of the last n values, the current one included.

    First defined with the n-th value. The window is two parts: the newer values with their running
    sum, and the older ones with the sum from each of them to the newest of the older. What leaves
    the window is dropped, never subtracted: after a burst of volume a window of zeros averages 0,
    not a rounding error that the next comparison with it would trip over.
    """

    __slots__ = ("_newer", "_newer_count", "_older", "_period", "_window", "value")

    def __init__(self, period: int) -> None:
        """Average over ``period`` candles."""
        self._period = period
        self._window: deque[float] = deque(maxlen=period)
        self._newer_count, self._newer = 0, 0.0
        self._older: list[float] = []
        self.value: float | None = None

    def update(self, amount: float) -> None:
        """Take in one closed candle's amount."""
        self._window.append(amount)
        self._newer_count += 1
        self._newer += amount
        if self._older:
            self._older.pop()
        if self._newer_count == self._period:  # once in n updates: all values become older ones
            self._newer_count, self._newer = 0, 0.0
            self._older = list(accumulate(reversed(self._window)))
        if self._older:
            self.value = (self._older[-1] + self._newer) / self._period

    def state(self) -> State:
        """Everything that later values depend on."""
        return [self._newer_count, *self._window]

    @classmethod
    def restored(cls, period: int, state: Sequence[Scalar]) -> Self:
        """The indicator whose ``state`` this was."""
        self = cls(period)
        newer_count, *amounts = state
        self._newer_count = int(newer_count or 0)
        self._window.extend(float(amount or 0) for amount in amounts)
        window = list(self._window)
        older_count = len(window) - self._newer_count
        if not 0 <= self._newer_count < period or older_count not in (
            0,  # the window was never full
            period - self._newer_count,
        ):
            raise ValueError("a moving average whose parts do not fit")
        self._older = list(accumulate(reversed(window[:older_count])))
        for amount in window[older_count:]:
            self._newer += amount
        if self._older:
            self.value = (self._older[-1] + self._newer) / period
        return self


class Vwap:
    """Volume-weighted average of hlc3 since 00:00 UTC of the candle's open time.

    Undefined until a session has been seen from its beginning, and while nothing was traded in it.
    """

    __slots__ = ("_first_open_ms", "_session_ms", "_turnover", "_volume", "value")

    def __init__(self) -> None:
        """Wait for the first candle."""
        self._first_open_ms: int | None = None
        self._session_ms: int | None = None
        self._turnover, self._volume = 0.0, 0.0
        self.value: float | None = None

    def witness(self, open_ms: int) -> None:
        """Note that the feed is seen from ``open_ms`` on at the latest, candle or not."""
        if self._first_open_ms is None:
            self._first_open_ms = open_ms

    def update(self, open_ms: int, high: float, low: float, close: float, volume: float) -> None:
        """Take in one closed candle that opened at ``open_ms``."""
        self.witness(open_ms)
        session = open_ms - open_ms % DAY_MS
        if session != self._session_ms:
            self._session_ms, self._turnover, self._volume = session, 0.0, 0.0
        self._turnover += (high + low + close) / 3.0 * volume
        self._volume += volume
        seen = self._first_open_ms is not None and self._first_open_ms <= session
        self.value = self._turnover / self._volume if seen and self._volume > 0 else None

    def state(self) -> State:
        """Everything that later values depend on."""
        return [self._first_open_ms, self._session_ms, self._turnover, self._volume, self.value]

    @classmethod
    def restored(cls, state: Sequence[Scalar]) -> Self:
        """The indicator whose ``state`` this was."""
        self = cls()
        first, session, turnover, volume, self.value = state
        self._first_open_ms = None if first is None else int(first)
        self._session_ms = None if session is None else int(session)
        self._turnover, self._volume = float(turnover or 0), float(volume or 0)
        return self
