"""The signals of the scanner's rules at default settings, in one batch with TA-Lib."""

import numpy as np
import pandas as pd
import talib

from sim.candles import MINUTE_MS, Candles, aggregate

FRAMES = {"1m": MINUTE_MS, "5m": 5 * MINUTE_MS, "1h": 60 * MINUTE_MS}
TREND = {"1m": "5m", "5m": "1h"}
WINDOW_MS = 5 * MINUTE_MS


def indicators(candles: Candles) -> pd.DataFrame:
    """One row per candle with everything that the rules look at."""
    frame = pd.DataFrame(
        {name: getattr(candles, name) for name in ("high", "low", "close", "volume")}
    )
    close = candles.close
    frame["open_ms"] = candles.open_time_ms
    frame["fast"], frame["slow"] = talib.EMA(close, 9), talib.EMA(close, 21)
    frame["trend"] = talib.EMA(close, 50)
    frame["rsi"] = talib.RSI(close, 6)
    frame["volume_ma"] = talib.SMA(candles.volume, 20)
    day = frame.open_ms // (1440 * MINUTE_MS)
    typical = (frame.high + frame.low + frame.close) / 3
    frame["vwap"] = (typical * frame.volume).groupby(day).cumsum() / frame.volume.groupby(
        day
    ).cumsum()
    return frame


def signals(candles: Candles) -> list[tuple[int, str, str, float]]:
    """(close boundary, timeframe, side, entry) in order, after deduplication."""
    frames = {}
    for interval, interval_ms in FRAMES.items():
        frames[interval] = indicators(aggregate(candles, interval_ms))
        frames[interval]["boundary"] = frames[interval].open_ms + interval_ms
    found = []
    for interval, trend in TREND.items():
        higher = frames[trend][["boundary", "trend"]].rename(columns={"trend": "higher"})
        m = pd.merge_asof(frames[interval], higher, on="boundary", direction="backward")
        fast, slow = m.fast.shift(), m.slow.shift()
        common = m.rsi.between(30, 70) & (m.volume > 1.5 * m.volume_ma)
        long = (
            common & (fast <= slow) & (m.fast > m.slow) & (m.close > m.vwap) & (m.close > m.higher)
        )
        short = (
            common & (fast >= slow) & (m.fast < m.slow) & (m.close < m.vwap) & (m.close < m.higher)
        )
        for side, hit in (("LONG", long), ("SHORT", short)):
            found += [
                (int(row.boundary), -FRAMES[interval], interval, side, float(row.close))
                for row in m[hit].itertuples()
            ]
    return _without_duplicates(sorted(found))


def _without_duplicates(
    found: list[tuple[int, int, str, str, float]],
) -> list[tuple[int, str, str, float]]:
    last: dict[str, tuple[int, float]] = {}
    kept = []
    for boundary, _, interval, side, price in found:
        at, before = last.get(side, (-WINDOW_MS, np.inf))
        if boundary - at < WINDOW_MS and abs(price - before) / before * 100 < 0.3:
            continue
        last[side] = (boundary, price)
        kept.append((boundary, interval, side, price))
    return kept
