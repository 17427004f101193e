"""Real history through engine, rules and deduplication: the expected signals come out exactly.

The expected files were computed by an independent batch of TA-Lib and pandas.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from services.detector.rules import evaluate
from shared.indicators_entry import IndicatorsEntry
from shared.trade_signal import Signal
from sim.candles import MINUTE_MS, Candles, aggregate, load_candles
from tests.unit.detector.batch import Emission, column, differences
from tests.unit.detector.entries import MARKET, RULES
from tests.unit.indicators.history import DEFAULT, candles_at, entries_of, feeds

DAY_MS = 1440 * MINUTE_MS
WITH_HOLES = "btcusdt-1m-2019-10-16..2019-11-13"
WITH_OUTAGE = "btcusdt-1m-2022-01-01..2023-06-24"
# The outage of 2023-03-24; before it what the slowest average (50 hours) takes to forget its seed.
OUTAGE_MS = 1_679_616_000_000
SLICE_FROM_MS, SLICE_TO_MS = OUTAGE_MS - 22 * DAY_MS, OUTAGE_MS + 4 * DAY_MS


@dataclass(frozen=True)
class History:
    """A data set, what the engine makes of it, and what is expected of it."""

    candles: Candles
    entries: list[IndicatorsEntry]
    expected: list[dict[str, str]]

    def of(self, timeframe: str) -> list[IndicatorsEntry]:
        return [entry for entry in self.entries if entry.timeframe == timeframe]

    def signals(self) -> Iterator[Signal]:
        """What the detector would emit."""
        emission, rules = Emission(), replace(RULES, max_age_ms=None)
        for entry in self.entries:
            signal = evaluate(entry, rules, MARKET, 0)
            if signal is not None and entry.timeframe != "1h" and emission.emits(signal):
                yield signal


def history(data: Path, name: str, from_ms: int = 0, to_ms: int = 2**62) -> History:
    candles = load_candles(data / f"{name}.csv.gz")
    within = (candles.open_time_ms >= from_ms) & (candles.open_time_ms < to_ms)
    candles = candles_at(candles, within)
    with (data / "expected" / f"{name}.signals.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    return History(candles, entries_of(feeds(candles)), expected)


@pytest.fixture(scope="module")
def with_holes(data: Path) -> History:
    return history(data, WITH_HOLES)


@pytest.fixture(scope="module")
def with_outage(data: Path) -> History:
    return history(data, WITH_OUTAGE, SLICE_FROM_MS, SLICE_TO_MS)


@pytest.fixture(params=["with_holes", "with_outage"])
def each_history(request: pytest.FixtureRequest) -> History:
    found: History = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_the_indicators_equal_talib(each_history: History, timeframe: str) -> None:
    candles = aggregate(each_history.candles, DEFAULT.intervals[timeframe])
    entries = each_history.of(timeframe)
    # The last ones wait for a longer timeframe that may still come.
    candles = candles[: len(entries)]
    assert entries[-1].boundary_ms >= each_history.candles.open_time_ms[-1] - 3600 * 1000
    assert differences(entries, candles, DEFAULT) == {}


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_the_vwap_equals_that_of_the_whole_session(each_history: History, timeframe: str) -> None:
    entries = each_history.of(timeframe)
    candles = aggregate(each_history.candles, DEFAULT.intervals[timeframe])[: len(entries)]
    typical = (candles.high + candles.low + candles.close) / 3
    days = candles.open_time_ms // DAY_MS
    assert len(set(days.tolist())) > 20
    for day in np.unique(days):
        rows = days == day
        volume = np.cumsum(candles.volume[rows])
        expected = np.cumsum((typical * candles.volume)[rows]) / volume
        found = column([entry for entry, there in zip(entries, rows, strict=True) if there], "vwap")
        assert np.allclose(found, expected, rtol=1e-9, atol=0)


def check(found: list[Signal], expected: list[dict[str, str]]) -> None:
    """The same signals, with the same numbers within 1e-9."""
    assert [(s.close_time_ms, s.timeframe, str(s.side)) for s in found] == [
        (int(row["close_time_ms"]), row["timeframe"], row["side"]) for row in expected
    ]
    names = {"trend": "trend_ema"}
    for name in ("entry", "stop_loss", "take_profit", "atr", "rsi", "vwap", "trend"):
        ours = [getattr(signal, names.get(name, name)) for signal in found]
        assert np.allclose(ours, [float(row[name]) for row in expected], rtol=1e-9, atol=0), name


def test_a_history_with_holes_gives_exactly_the_expected_signals(with_holes: History) -> None:
    found = list(with_holes.signals())
    assert len(found) == len(with_holes.expected) > 50
    check(found, with_holes.expected)


def test_the_days_around_the_outage_give_exactly_the_expected_signals(
    with_outage: History,
) -> None:
    def around(boundary_ms: int) -> bool:
        return OUTAGE_MS - DAY_MS <= boundary_ms < SLICE_TO_MS

    found = [signal for signal in with_outage.signals() if around(signal.close_time_ms)]
    expected = [row for row in with_outage.expected if around(int(row["close_time_ms"]))]
    assert len(expected) > 5
    check(found, expected)


def test_through_the_outage_zero_volumes_average_exactly_zero(with_outage: History) -> None:
    quiet = [entry for entry in with_outage.of("1m") if entry.volume == 0]
    assert len(quiet) > 20
    assert 0.0 in {entry.volume_ma for entry in quiet}
    assert min(entry.volume_ma or 0.0 for entry in with_outage.entries) == 0.0
