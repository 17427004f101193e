"""TA-Lib's answers, and a pure model of the detector's deduplication."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import talib
from numpy.typing import NDArray

from services.indicators.engine import Plan
from shared.indicators_entry import IndicatorsEntry
from shared.trade_signal import Signal
from sim.candles import Candles

Column = NDArray[np.float64]

TALIB: dict[str, Callable[[Candles, Plan], Column]] = {
    "ema_fast": lambda c, plan: talib.EMA(c.close, plan.ema_fast),
    "ema_slow": lambda c, plan: talib.EMA(c.close, plan.ema_slow),
    "ema_trend": lambda c, plan: talib.EMA(c.close, plan.ema_trend),
    "rsi": lambda c, plan: talib.RSI(c.close, plan.rsi_period),
    "atr": lambda c, plan: talib.ATR(c.high, c.low, c.close, plan.atr_period),
    "volume_ma": lambda c, plan: talib.SMA(c.volume, plan.volume_ma_period),
}


def column(entries: Iterable[IndicatorsEntry], name: str) -> Column:
    """One indicator of one timeframe's entries; NaN where it is undefined."""
    values = [getattr(entry, name) for entry in entries]
    return np.array([np.nan if value is None else value for value in values])


def differences(
    entries: list[IndicatorsEntry], candles: Candles, plan: Plan, relative: float = 1e-9
) -> dict[str, int]:
    """How many values of each indicator differ from TA-Lib's; {} if none does.

    TA-Lib subtracts what leaves a moving average's window: its own rounding error, far below any
    volume that is traded, is allowed for. It calls the RSI of a flat market 0, charts say 100.
    """
    found = {}
    for name, compute in TALIB.items():
        ours, theirs = column(entries, name), compute(candles, plan)
        if name == "rsi":
            theirs = np.where((theirs == 0) & (ours == 100), 100, theirs)
        slack = 1e-12 * float(np.max(candles.volume)) if name == "volume_ma" else 0.0
        alike = np.isclose(ours, theirs, rtol=relative, atol=slack, equal_nan=True)
        if not alike.all():
            found[name] = int((~alike).sum())
    return found


@dataclass
class Emission:
    """The rule of the last emitted signal, as a model: event times and prices, no clock."""

    window_ms: float = 300_000
    threshold_percent: float = 0.3
    last: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)

    def emits(self, signal: Signal) -> bool:
        key = signal.market.symbol, str(signal.side)
        if key in self.last:
            last_ms, last_price = self.last[key]
            near = abs(signal.entry - last_price) / last_price * 100 < self.threshold_percent
            if signal.close_time_ms - last_ms < self.window_ms and near:
                return False
        self.last[key] = signal.close_time_ms, signal.entry
        return True
