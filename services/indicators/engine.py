"""Closed candles of several timeframes in, one sequence of indicators entries out.

Pure. The merge is in event time: an entry is released when no other timeframe can still produce an
earlier one. Every boundary has exactly one entry (a candle or a missing marker), so the next
boundary of each timeframe is known and the merge waits only for what will come. At one boundary
the longest timeframe goes first, so that a 1m candle sees the 5m candle that closed with it, as on
a chart.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from services.indicators.maths import Atr, Ema, Rsi, Sma, State, Vwap
from shared.candle import Candle
from shared.entry_id import order, readable
from shared.indicators_entry import IndicatorsEntry
from shared.malformed import Malformed
from shared.quality import Quality, WarmUp, warm_up_candles
from shared.times import LATEST_MS

FORMAT = 4

# Larger than a day's turnover at the largest prices and volumes that candles may have.
_LARGEST_STATE = 1e100


@dataclass(frozen=True, slots=True)
class Hole:
    """A stream did not continue where it was left: candles were trimmed or deleted unread.

    Attributes:
        expected_ms: The boundary that should have come.
        found_ms: The boundary that came.
    """

    timeframe: str
    expected_ms: int
    found_ms: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is computed.

    Attributes:
        intervals: Timeframe → interval in ms, longest first; the order is the rank.
        trends: Timeframe → the longer one whose trend EMA it is compared with.
        late_after_ms: A candle that the WebSocket brings later than this counts as late. Nothing
            is computed from it, so it is not among the parameters.
    """

    intervals: Mapping[str, int]
    trends: Mapping[str, str]
    ema_fast: int
    ema_slow: int
    ema_trend: int
    rsi_period: int
    atr_period: int
    volume_ma_period: int
    late_after_ms: float = 3000.0

    @property
    def warm_up(self) -> int:
        """Candles after which indicators have forgotten how they were seeded."""
        periods = self.ema_slow, self.ema_trend, self.rsi_period, self.atr_period
        return warm_up_candles(*periods, self.volume_ma_period)

    @property
    def parameters(self) -> str:
        """All that the numbers depend on, in words: the fingerprint of a snapshot."""
        frames = " ".join(
            f"{name}→{self.trends[name]}" if name in self.trends else name
            for name in self.intervals
        )
        return (
            f"EMA {self.ema_fast}/{self.ema_slow}/{self.ema_trend}, RSI {self.rsi_period},"
            f" ATR {self.atr_period}, volume MA {self.volume_ma_period}, {frames}"
        )


class _Timeframe:
    """The indicators of one timeframe, and its candles that wait for the merge."""

    def __init__(self, name: str, rank: int, plan: Plan) -> None:
        self.name, self.rank, self.interval_ms = name, rank, plan.intervals[name]
        self.trend = plan.trends.get(name)
        self.waiting: deque[Candle] = deque()
        self.fed_ms: int | None = None
        self.released_ms: int | None = None
        self.warm_up = WarmUp(plan.warm_up, plan.late_after_ms)
        self.forget(plan)

    def forget(self, plan: Plan) -> None:
        """Start all indicators afresh."""
        self.ema_fast, self.ema_slow = Ema(plan.ema_fast), Ema(plan.ema_slow)
        self.ema_trend, self.volume_ma = Ema(plan.ema_trend), Sma(plan.volume_ma_period)
        self.rsi, self.atr, self.vwap = Rsi(plan.rsi_period), Atr(plan.atr_period), Vwap()
        self.warm_up.forget()

    def update(self, candle: Candle) -> tuple[float | None, float | None]:
        """Update all indicators; return the fast and slow EMA of the candle before."""
        before = self.ema_fast.value, self.ema_slow.value
        close = candle.close
        self.ema_fast.update(close)
        self.ema_slow.update(close)
        self.ema_trend.update(close)
        self.rsi.update(close)
        self.atr.update(candle.high, candle.low, close)
        self.volume_ma.update(candle.volume)
        open_ms = candle.boundary_ms - self.interval_ms
        self.vwap.update(open_ms, candle.high, candle.low, close, candle.volume)
        return before

    def state(self) -> dict[str, object]:
        return {
            "released": self.released_ms,
            "ema_fast": self.ema_fast.state(),
            "ema_slow": self.ema_slow.state(),
            "ema_trend": self.ema_trend.state(),
            "rsi": self.rsi.state(),
            "atr": self.atr.state(),
            "volume_ma": self.volume_ma.state(),
            "vwap": self.vwap.state(),
            "warm_up": self.warm_up.state(),
        }

    def restore(self, plan: Plan, state: Mapping[str, Any]) -> None:
        released_ms = state["released"]
        if released_ms is not None and not _is_time(released_ms, self.interval_ms):
            raise ValueError(f"{released_ms!r} as the last candle of {self.name}")
        self.released_ms = self.fed_ms = released_ms
        self.ema_fast = Ema.restored(plan.ema_fast, _numbers(state["ema_fast"]))
        self.ema_slow = Ema.restored(plan.ema_slow, _numbers(state["ema_slow"]))
        self.ema_trend = Ema.restored(plan.ema_trend, _numbers(state["ema_trend"]))
        self.rsi = Rsi.restored(plan.rsi_period, _numbers(state["rsi"]))
        self.atr = Atr.restored(plan.atr_period, _numbers(state["atr"]))
        self.volume_ma = Sma.restored(plan.volume_ma_period, _numbers(state["volume_ma"]))
        first_ms, session_ms, *_ = state["vwap"]
        for time_ms in (first_ms, session_ms):
            if time_ms is not None and not _is_time(time_ms, 1):
                raise ValueError(f"{time_ms!r} as a time of the VWAP")
        self.vwap = Vwap.restored(_numbers(state["vwap"]))
        self.warm_up.restore(state["warm_up"])

    @property
    def position(self) -> tuple[int, int]:
        """Of the last candle released, in the order of entry IDs."""
        return (-1, -1) if self.released_ms is None else (self.released_ms, self.rank)


def _is_time(value: Any, interval_ms: int) -> bool:
    """Whether it can be a boundary: one in the future would be waited for, for ever."""
    return type(value) is int and 0 <= value < LATEST_MS and value % interval_ms == 0


def _numbers(state: Any) -> State:
    """The state of an indicator if it is one; anything else would fail later, at every start."""
    if not isinstance(state, list):
        raise TypeError("the state of an indicator is not a list")
    for value in state:
        if value is None:
            continue
        if type(value) not in (int, float) or not -_LARGEST_STATE < value < _LARGEST_STATE:
            raise ValueError(f"{value!r} in the state of an indicator")
    return state


class Engine:
    """Merges and computes; everything it will ever say follows from the candles fed to it.

    Attributes:
        position: ``<boundary>-<rank>`` of the last candle or marker released, "" before the first.
        output: The same of the last candle, which became an entry.
    """

    def __init__(self, plan: Plan) -> None:
        """Start without any history."""
        self._plan = plan
        self._frames = {
            name: _Timeframe(name, rank, plan) for rank, name in enumerate(plan.intervals)
        }
        self.position = self.output = ""

    def feed(self, timeframe: str, candles: Iterable[Candle]) -> list[Hole]:
        """Queue the next candles of ``timeframe``, in order.

        Returns:
            The holes found. Values computed across one would be wrong without a sign of it, so
            the timeframe's indicators start afresh behind it and are undefined until warm.
        """
        frame, holes = self._frames[timeframe], []
        for candle in candles:
            expected_ms = None if frame.fed_ms is None else frame.fed_ms + frame.interval_ms
            if expected_ms is not None and candle.boundary_ms != expected_ms:
                holes.append(Hole(timeframe, expected_ms, candle.boundary_ms))
            frame.fed_ms = candle.boundary_ms
            frame.waiting.append(candle)
        return holes

    def waiting(self, timeframe: str) -> int:
        """How many candles of ``timeframe`` wait for the merge."""
        return len(self._frames[timeframe].waiting)

    def fed(self, timeframe: str) -> int | None:
        """The last boundary of ``timeframe`` that was fed, None before the first."""
        return self._frames[timeframe].fed_ms

    def released(self, timeframe: str) -> int | None:
        """The last boundary of ``timeframe`` that was computed, None before the first."""
        return self._frames[timeframe].released_ms

    def release(self, at_most: int) -> list[IndicatorsEntry]:
        """Up to ``at_most`` further candles in event time, with their indicators.

        Missing markers are passed over silently, moving ``position`` on.
        """
        released: list[IndicatorsEntry] = []
        while len(released) < at_most and (frame := self._next()) is not None:
            candle = frame.waiting.popleft()
            if candle.boundary_ms != (frame.released_ms or 0) + frame.interval_ms:
                frame.forget(self._plan)
            frame.released_ms = candle.boundary_ms
            self.position = f"{candle.boundary_ms}-{frame.rank}"
            frame.warm_up.add(candle)
            if candle.missing:
                frame.vwap.witness(candle.boundary_ms - frame.interval_ms)
            else:
                released.append(self._entry(frame, candle))
                self.output = self.position
        return released

    def _next(self) -> _Timeframe | None:
        """The timeframe whose first waiting candle nothing can precede any more, if any."""
        first: _Timeframe | None = None
        first_ms = 0
        for frame in self._frames.values():  # by rank, so that at one boundary the longest wins
            if frame.waiting:
                boundary_ms = frame.waiting[0].boundary_ms
            elif frame.fed_ms is not None:
                boundary_ms = frame.fed_ms + frame.interval_ms
            else:
                return None
            if first is None or boundary_ms < first_ms:
                first, first_ms = frame, boundary_ms
        return first if first is not None and first.waiting else None

    def _entry(self, frame: _Timeframe, candle: Candle) -> IndicatorsEntry:
        fast_before, slow_before = frame.update(candle)
        trend = frame.trend
        return IndicatorsEntry(
            timeframe=frame.name,
            boundary_ms=candle.boundary_ms,
            rank=frame.rank,
            open=candle.open,
            high=candle.high,
            low=candle.low,
            close=candle.close,
            volume=candle.volume,
            ema_fast=frame.ema_fast.value,
            ema_slow=frame.ema_slow.value,
            ema_trend=frame.ema_trend.value,
            ema_fast_prev=fast_before,
            ema_slow_prev=slow_before,
            rsi=frame.rsi.value,
            atr=frame.atr.value,
            vwap=frame.vwap.value,
            volume_ma=frame.volume_ma.value,
            trend_timeframe=trend,
            trend_ema=None if trend is None else self._frames[trend].ema_trend.value,
            source=candle.source,
            lag_ms=candle.lag_ms,
            received_at_ms=candle.received_at_ms,
            quality=self._quality(frame),
        )

    def _quality(self, frame: _Timeframe) -> Quality:
        """Of all candles that a signal of this timeframe rests on."""
        own = frame.warm_up.quality
        return own if frame.trend is None else own + self._frames[frame.trend].warm_up.quality

    def state(self) -> dict[str, object]:
        """Everything that later entries depend on; candles still waiting are read again."""
        return {
            "format": FORMAT,
            "parameters": self._plan.parameters,
            "position": self.position,
            "output": self.output,
            "timeframes": {name: frame.state() for name, frame in self._frames.items()},
        }

    @classmethod
    def restored(cls, plan: Plan, state: Mapping[str, Any]) -> Self:
        """The engine whose ``state`` this was.

        Raises:
            Malformed: It is of another format or other parameters, or damaged.
        """
        if state.get("format") != FORMAT:
            raise Malformed(f"snapshot of format {state.get('format')!r:.40}, this is {FORMAT}")
        if state.get("parameters") != plan.parameters:
            raise Malformed(
                f"snapshot computed with {state.get('parameters')!r:.300}, configured is"
                f" {plan.parameters!r}"
            )
        self = cls(plan)
        try:
            self.position, self.output = str(state["position"]), str(state["output"])
            for name, frame in self._frames.items():
                frame.restore(plan, state["timeframes"][name])
            self._check_positions()
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed(f"damaged snapshot: {type(error).__name__} {error}"[:300]) from None
        return self

    def _check_positions(self) -> None:
        """Refuse positions that do not fit the candles released.

        Raises:
            ValueError: Says which.
        """
        last = max(frame.position for frame in self._frames.values())
        fits = self.output in ("", readable(self.output)) and order(self.output) <= last
        if not fits or self.position != ("" if last < (0, 0) else f"{last[0]}-{last[1]}"):
            raise ValueError(f"position {self.position!r:.40} after {self.output!r:.40}")
