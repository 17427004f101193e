"""Candles for the engine's tests: random walks, holes as markers, and how to feed them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from services.indicators.engine import Engine, Plan
from shared.candle import Candle, missing_candle
from shared.indicators_entry import IndicatorsEntry
from sim.candles import MINUTE_MS, Candles, aggregate

MIDNIGHT_MS = 1_678_406_400_000  # 2023-03-10 00:00 UTC
INTERVALS = {"1h": 60 * MINUTE_MS, "5m": 5 * MINUTE_MS, "1m": MINUTE_MS}

DEFAULT = Plan(
    intervals=INTERVALS,
    trends={"1m": "5m", "5m": "1h"},
    ema_fast=9,
    ema_slow=21,
    ema_trend=50,
    rsi_period=6,
    atr_period=14,
    volume_ma_period=20,
)
# Short periods, so that a few candles are enough to warm up; m15 is what 1h is in life.
SMALL = Plan(
    intervals={"15m": 15 * MINUTE_MS, "5m": 5 * MINUTE_MS, "1m": MINUTE_MS},
    trends={"1m": "5m", "5m": "15m"},
    ema_fast=2,
    ema_slow=4,
    ema_trend=3,
    rsi_period=3,
    atr_period=3,
    volume_ma_period=4,
)


def walk(seed: int, minutes: int, start_ms: int = MIDNIGHT_MS, gaps: float = 0.0) -> Candles:
    """A random walk of 1m candles with tick-sized prices; a share ``gaps`` of minutes is absent."""
    rng = np.random.default_rng(seed)
    close = np.round(20_000 * np.exp(np.cumsum(rng.normal(0, 0.0008, minutes))), 2)
    open_ = np.round(np.concatenate(([20_000.0], close[:-1])) + rng.normal(0, 1, minutes), 2)
    reach = np.round(np.abs(rng.normal(0, 8, (2, minutes))), 2)
    volume = np.round(rng.lognormal(3, 1.5, minutes), 5) * (rng.random(minutes) > 0.03)
    candles = Candles(
        start_ms + MINUTE_MS * np.arange(minutes, dtype=np.int64),
        open_,
        np.maximum(open_, close) + reach[0],
        np.minimum(open_, close) - reach[1],
        close,
        volume,
    )
    there = rng.random(minutes) >= gaps
    there[[0, -1]] = True
    return candles_at(candles, there)


def candles_at(candles: Candles, rows: np.ndarray) -> Candles:
    """The candles of some rows."""
    return Candles(*(getattr(candles, name)[rows] for name in Candles.__dataclass_fields__))


def closed(candles: Candles, interval_ms: int = MINUTE_MS) -> list[Candle]:
    """What ingest publishes of these: one entry per boundary, with markers where none is."""
    entries: list[Candle] = []
    columns = zip(
        *(getattr(candles, name).tolist() for name in Candles.__dataclass_fields__), strict=True
    )
    for open_ms, open_, high, low, close, volume in columns:
        boundary_ms = open_ms + interval_ms
        while entries and entries[-1].boundary_ms + interval_ms < boundary_ms:
            entries.append(missing_candle(entries[-1].boundary_ms + interval_ms, 500, 0))
        entries.append(Candle(boundary_ms, open_, high, low, close, volume, "ws", 40, 0))
    return entries


def feeds(candles: Candles, plan: Plan = DEFAULT) -> dict[str, list[Candle]]:
    """Each timeframe of ``plan`` made of the same minutes."""
    return {
        name: closed(aggregate(candles, interval_ms), interval_ms)
        for name, interval_ms in plan.intervals.items()
    }


def entries_of(
    fed: Mapping[str, list[Candle]], plan: Plan = DEFAULT, engine: Engine | None = None
) -> list[IndicatorsEntry]:
    """All that comes out when everything is fed at once."""
    engine = engine or Engine(plan)
    for name, candles in fed.items():
        assert engine.feed(name, candles) == []
    return engine.release(1_000_000)


def scaled(candles: Iterable[Candle], factor: float) -> list[Candle]:
    """The same market in another unit of price."""
    return [
        replace(
            each,
            open=each.open * factor,
            high=each.high * factor,
            low=each.low * factor,
            close=each.close * factor,
        )
        for each in candles
    ]
