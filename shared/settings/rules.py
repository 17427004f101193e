"""The sections ``indicators`` and ``signal_rules``."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from shared.settings.fields.numbers import Multiplier, Percent, Period
from shared.settings.fields.times import Timeframe
from shared.settings.section import Section


class Indicators(Section):
    """Periods, in closed candles."""

    ema_fast: Period = Field(
        default=9, description="Period of the fast EMA, in candles; less than ema_slow."
    )
    ema_slow: Period = Field(default=21, description="Period of the slow EMA, in candles.")
    ema_trend: Period = Field(
        default=50, description="Period of the EMA on the trend timeframe, in candles."
    )
    atr_period: Period = Field(default=14, description="Period of the ATR, in candles.")
    rsi_period: Period = Field(default=6, description="Period of the RSI, in candles.")
    volume_ma_period: Period = Field(
        default=20, description="Period of the mean volume, in candles."
    )


class SignalRules(Section):
    """What makes a signal, and what makes it a repetition."""

    volume_spike_threshold: Multiplier = Field(
        default=1.5, description="Volume must be above this many times its mean."
    )
    rsi_min: Percent = Field(
        default=30.0, description="Lowest RSI of a signal, 0 to 100; less than rsi_max."
    )
    rsi_max: Percent = Field(default=70.0, description="Highest RSI of a signal, 0 to 100.")
    stop_loss_atr_multiplier: Multiplier = Field(
        default=1.5, description="Distance from entry to stop loss, in ATR."
    )
    take_profit_atr_multiplier: Multiplier = Field(
        default=1.0, description="Distance from entry to take profit, in ATR."
    )
    duplicate_time_window_minutes: Annotated[float, Field(ge=0, le=10_080)] = Field(
        default=5.0,
        description="Minutes of market time in which a like signal is a repetition; 0 = never.",
    )
    duplicate_price_threshold_percent: Percent = Field(
        default=0.3,
        description="Percent by which the price must have moved for a like signal to be news.",
    )
    min_confidence: Annotated[int, Field(ge=1, le=5)] = Field(
        default=5, description="Factors that must be met, 1 to 5; the crossover is always needed."
    )
    max_signal_age_seconds: Annotated[float, Field(gt=0, le=31_536_000)] | None = Field(
        default=120.0,
        description="Seconds after which a signal is recorded but not sent; null = never stale.",
    )
    trend_timeframes: Mapping[Timeframe, Timeframe] = Field(
        default_factory=lambda: {"1m": "5m", "5m": "1h"},
        description="For each timeframe the longer one that gives its trend: a multiple of it.",
    )
