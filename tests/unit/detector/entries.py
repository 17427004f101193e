"""Indicators entries for the rules: one that meets all five factors, and its mirror image."""

from dataclasses import replace
from typing import Any

from services.detector.rules import Rules
from shared.indicators_entry import IndicatorsEntry
from shared.market import market_of

MARKET = market_of("BTC/USDT")
BOUNDARY_MS = 1_762_094_100_000  # 2025-11-02 14:35 UTC
RECEIVED_MS = BOUNDARY_MS + 40

RULES = Rules(
    volume_spike_threshold=1.5,
    rsi_min=30.0,
    rsi_max=70.0,
    stop_loss_atr_multiplier=1.5,
    take_profit_atr_multiplier=1.0,
    min_confidence=5,
    max_age_ms=120_000,
    names={"ema_fast": "EMA9", "ema_slow": "EMA21", "ema_trend": "EMA50", "rsi": "RSI6"},
)

LONG = IndicatorsEntry(
    timeframe="5m",
    boundary_ms=BOUNDARY_MS,
    rank=1,
    open=99.0,
    high=101.0,
    low=98.5,
    close=100.0,
    volume=20.0,
    ema_fast=99.0,
    ema_slow=98.0,
    ema_trend=97.0,
    ema_fast_prev=96.0,
    ema_slow_prev=96.5,
    rsi=55.0,
    atr=2.0,
    vwap=95.0,
    volume_ma=10.0,
    trend_timeframe="1h",
    trend_ema=94.0,
    source="ws",
    lag_ms=40,
    received_at_ms=RECEIVED_MS,
)
SHORT = replace(
    LONG,
    ema_fast=101.0,
    ema_slow=102.0,
    ema_fast_prev=104.0,
    ema_slow_prev=103.5,
    rsi=45.0,
    vwap=105.0,
    trend_ema=106.0,
)


def changed(entry: IndicatorsEntry, **changes: Any) -> IndicatorsEntry:
    """``entry`` with some fields changed."""
    return replace(entry, **changes)
