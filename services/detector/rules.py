"""The five factors, judged on one indicators entry.

Pure, and without memory: the same entry gives the same answer, live, replayed and back-tested.
Comparisons are strict unless the rule says otherwise; a factor whose indicator is undefined is not
met. SHORT mirrors LONG.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.decimals import shortest
from shared.indicators_entry import IndicatorsEntry
from shared.market import Market
from shared.trade_signal import FACTORS, Bias, Side, Signal


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds.

    Attributes:
        min_confidence: Factors that must be met; the crossover is always among them.
        max_age_ms: Older signals are stale; None: none ever is.
        names: How indicators are named in explanations, with their periods.
    """

    volume_spike_threshold: float
    rsi_min: float
    rsi_max: float
    stop_loss_atr_multiplier: float
    take_profit_atr_multiplier: float
    min_confidence: int
    max_age_ms: float | None
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor's verdict, and the numbers behind it in words."""

    name: str
    met: bool
    why: str


def crossover(entry: IndicatorsEntry) -> Side | None:
    """The direction in which the fast EMA crossed the slow one on this candle."""
    fast, slow = entry.ema_fast, entry.ema_slow
    fast_prev, slow_prev = entry.ema_fast_prev, entry.ema_slow_prev
    if fast is None or slow is None or fast_prev is None or slow_prev is None:
        return None
    if fast_prev <= slow_prev and fast > slow:
        return Side.LONG
    if fast_prev >= slow_prev and fast < slow:
        return Side.SHORT
    return None


def leaning(entry: IndicatorsEntry) -> Side:
    """The direction to explain when there is no crossover: where the fast EMA stands."""
    fast, slow = entry.ema_fast, entry.ema_slow
    return Side.SHORT if fast is not None and slow is not None and fast < slow else Side.LONG


def factors(entry: IndicatorsEntry, side: Side, rules: Rules) -> tuple[Factor, ...]:
    """The board of five factors for ``side``, in the order of ``FACTORS``."""
    verdicts = _verdicts(entry, side, rules)
    words = _words(entry, side, rules)
    return tuple(
        Factor(name, met, why) for name, met, why in zip(FACTORS, verdicts, words, strict=True)
    )


def _verdicts(entry: IndicatorsEntry, side: Side, rules: Rules) -> tuple[bool, ...]:
    def beyond(level: float | None) -> bool:
        if level is None:
            return False
        return entry.close > level if side is Side.LONG else entry.close < level

    rsi, volume_ma = entry.rsi, entry.volume_ma
    return (
        crossover(entry) is side,
        beyond(entry.vwap),
        rsi is not None and rules.rsi_min <= rsi <= rules.rsi_max,
        volume_ma is not None and entry.volume > rules.volume_spike_threshold * volume_ma,
        beyond(entry.trend_ema),
    )


def _words(entry: IndicatorsEntry, side: Side, rules: Rules) -> tuple[str, ...]:
    """Why each factor is met or not, in the order of ``FACTORS``."""
    names = rules.names
    direction = "above" if side is Side.LONG else "below"

    def stands(level: float | None, name: str) -> str:
        if level is None:
            return f"{name} undefined yet"
        place = "above" if entry.close > level else "below" if entry.close < level else "at"
        return f"close {place} {name} {_shown(level)}"

    fast, slow = names["ema_fast"], names["ema_slow"]
    if entry.ema_slow_prev is None:
        trend = f"{slow} undefined yet"
    elif crossover(entry) is side:
        trend = f"{fast} crossed {direction} {slow}"
    else:
        trend = f"{fast} did not cross {direction} {slow}"
    if entry.rsi is None:
        momentum = f"{names['rsi']} undefined yet"
    else:
        inside = "within" if rules.rsi_min <= entry.rsi <= rules.rsi_max else "outside"
        momentum = f"{names['rsi']} {entry.rsi:.1f} {inside} {rules.rsi_min:g}..{rules.rsi_max:g}"
    if not entry.volume_ma:
        volume = "volume average undefined yet"
    else:
        ratio = entry.volume / entry.volume_ma
        volume = f"volume {ratio:.2f}x average, {rules.volume_spike_threshold:g}x needed"
    higher = f"{entry.trend_timeframe or 'trend'} {names['ema_trend']}"
    return (trend, stands(entry.vwap, "VWAP"), momentum, volume, stands(entry.trend_ema, higher))


def _shown(price: float) -> str:
    return shortest(round(price, 2)) if price >= 1 else shortest(price)


def bias(entry: IndicatorsEntry) -> Bias:
    """BULLISH above both VWAP and trend EMA, BEARISH below both, else NEUTRAL."""
    if entry.vwap is None or entry.trend_ema is None:
        return Bias.NEUTRAL
    if entry.close > entry.vwap and entry.close > entry.trend_ema:
        return Bias.BULLISH
    if entry.close < entry.vwap and entry.close < entry.trend_ema:
        return Bias.BEARISH
    return Bias.NEUTRAL


def evaluate(entry: IndicatorsEntry, rules: Rules, market: Market, now_ms: float) -> Signal | None:
    """The signal that this entry gives, if any.

    Args:
        entry: A closed candle with its indicators.
        rules: The thresholds.
        market: For the signal's identity and display.
        now_ms: Our clock, only to judge whether the signal is stale.
    """
    side = crossover(entry)
    if side is None or sum(_verdicts(entry, side, rules)) < rules.min_confidence:
        return None
    fast, slow, rsi, atr = entry.ema_fast, entry.ema_slow, entry.rsi, entry.atr
    vwap, trend_ema, volume_ma = entry.vwap, entry.trend_ema, entry.volume_ma
    if not (fast and slow and atr and vwap and trend_ema and volume_ma) or rsi is None:
        return None  # warming up: an alert shows all of them, and stop and target need the ATR
    risk, reward = rules.stop_loss_atr_multiplier * atr, rules.take_profit_atr_multiplier * atr
    if not risk:
        return None  # an ATR so small that a multiple of it is 0: nothing moves
    board = factors(entry, side, rules)
    met = tuple(factor.name for factor in board if factor.met)
    age_ms = entry.lag_ms + (now_ms - entry.received_at_ms)
    return Signal(
        market=market,
        timeframe=entry.timeframe,
        side=side,
        close_time_ms=entry.boundary_ms,
        entry=entry.close,
        stop_loss=entry.close - side.sign * risk,
        take_profit=entry.close + side.sign * reward,
        risk_reward=reward / risk,
        atr=atr,
        rsi=rsi,
        vwap=vwap,
        ema_fast=fast,
        ema_slow=slow,
        trend_ema=trend_ema,
        trend_timeframe=entry.trend_timeframe or entry.timeframe,
        volume=entry.volume,
        volume_ma=volume_ma,
        bias=bias(entry),
        confidence=len(met),
        factors=met,
        why="; ".join(factor.why for factor in board),
        stale=rules.max_age_ms is not None and age_ms > rules.max_age_ms,
        source=entry.source,
        lag_ms=entry.lag_ms,
        received_at_ms=entry.received_at_ms,
        quality=entry.quality,
    )
