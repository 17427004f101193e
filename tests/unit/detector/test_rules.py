"""The five factors: truth table, strictness at equality, warm-up, and what a signal says."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from services.detector.rules import bias, crossover, evaluate, factors, leaning
from shared.indicators_entry import IndicatorsEntry
from shared.trade_signal import FACTORS, Bias, Side, Signal
from tests.unit.detector.entries import (
    BOUNDARY_MS,
    LONG,
    MARKET,
    RECEIVED_MS,
    RULES,
    SHORT,
    changed,
)

ENTRIES = {Side.LONG: LONG, Side.SHORT: SHORT}
# What breaks each factor and none of the others.
BREAKS: dict[Side, dict[str, dict[str, Any]]] = {
    Side.LONG: {
        "trend": {"ema_fast_prev": 97.0},
        "bias": {"vwap": 100.5},
        "momentum": {"rsi": 70.5},
        "volume": {"volume": 14.0},
        "higher_timeframe": {"trend_ema": 100.5},
    },
    Side.SHORT: {
        "trend": {"ema_fast_prev": 103.0},
        "bias": {"vwap": 99.5},
        "momentum": {"rsi": 29.5},
        "volume": {"volume": 14.0},
        "higher_timeframe": {"trend_ema": 99.5},
    },
}


def judged(entry: IndicatorsEntry, **rules: Any) -> Signal | None:
    return evaluate(entry, replace(RULES, **rules), MARKET, RECEIVED_MS)


def met(entry: IndicatorsEntry, side: Side) -> set[str]:
    return {factor.name for factor in factors(entry, side, RULES) if factor.met}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("holds", list(product((True, False), repeat=5)))
def test_each_factor_counts_for_itself_and_only_all_five_make_a_signal(
    side: Side, holds: tuple[bool, ...]
) -> None:
    changes: dict[str, Any] = {}
    for name, held in zip(FACTORS, holds, strict=True):
        if not held:
            changes |= BREAKS[side][name]
    entry = changed(ENTRIES[side], **changes)
    assert met(entry, side) == {name for name, held in zip(FACTORS, holds, strict=True) if held}
    signal = judged(entry)
    assert (signal is not None) == all(holds)
    if signal is not None:
        assert (signal.side, signal.confidence, signal.factors) == (side, 5, FACTORS)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("factor", "change", "holds"),
    [
        ("trend", {"ema_fast_prev": 100.0, "ema_slow_prev": 100.0}, True),
        ("trend", {"ema_fast": 100.0, "ema_slow": 100.0}, False),
        ("bias", {"vwap": 100.0}, False),
        ("momentum", {"rsi": 30.0}, True),
        ("momentum", {"rsi": 70.0}, True),
        ("momentum", {"rsi": 29.999999999999996}, False),
        ("momentum", {"rsi": 70.00000000000001}, False),
        ("volume", {"volume": 15.0}, False),
        ("volume", {"volume": 15.000000000000002}, True),
        ("volume", {"volume": 0.0, "volume_ma": 0.0}, False),
        ("higher_timeframe", {"trend_ema": 100.0}, False),
    ],
)
def test_at_equality_only_the_previous_averages_and_the_rsi_count(
    side: Side, factor: str, change: dict[str, Any], holds: bool
) -> None:
    entry = changed(ENTRIES[side], **change)
    assert (factor in met(entry, side)) == holds
    assert met(entry, side) | {factor} == set(FACTORS)
    assert (judged(entry) is not None) == holds


@pytest.mark.parametrize("side", list(Side))
def test_a_signal_of_one_side_is_none_of_the_other(side: Side) -> None:
    other = Side.SHORT if side is Side.LONG else Side.LONG
    assert crossover(ENTRIES[side]) is side
    assert met(ENTRIES[side], other) == {"momentum", "volume"}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    "name",
    [
        "ema_fast", "ema_slow", "ema_fast_prev", "ema_slow_prev", "rsi", "atr", "vwap",
        "volume_ma", "trend_ema",
    ],
)  # fmt: skip
@pytest.mark.parametrize("min_confidence", [5, 1])
def test_while_anything_is_undefined_there_is_no_signal(
    side: Side, name: str, min_confidence: int
) -> None:
    entry = changed(ENTRIES[side], **{name: None})
    assert judged(entry, min_confidence=min_confidence) is None


@pytest.mark.parametrize("side", list(Side))
def test_the_trend_average_of_its_own_timeframe_is_not_asked_for(side: Side) -> None:
    assert judged(changed(ENTRIES[side], ema_trend=None)) is not None


def test_a_market_that_does_not_move_gives_no_signal_as_it_gives_no_stop() -> None:
    assert judged(changed(LONG, atr=0.0)) is None


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("min_confidence", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("broken", range(5))
def test_min_confidence_counts_factors(side: Side, min_confidence: int, broken: int) -> None:
    changes: dict[str, Any] = {}
    for name in FACTORS[1 : broken + 1]:
        changes |= BREAKS[side][name]
    signal = judged(changed(ENTRIES[side], **changes), min_confidence=min_confidence)
    if 5 - broken < min_confidence:
        assert signal is None
    else:
        assert signal is not None
        assert signal.confidence == 5 - broken
        assert signal.factors == ("trend", *FACTORS[broken + 1 :])


@pytest.mark.parametrize("side", list(Side))
def test_without_the_crossover_no_confidence_is_enough(side: Side) -> None:
    entry = changed(ENTRIES[side], **BREAKS[side]["trend"])
    assert len(met(entry, side)) == 4
    assert judged(entry, min_confidence=1) is None


@pytest.mark.parametrize(
    ("vwap", "trend_ema", "expected"),
    [
        (99, 99, Bias.BULLISH),
        (101, 101, Bias.BEARISH),
        (99, 101, Bias.NEUTRAL),
        (101, 99, Bias.NEUTRAL),
        (100, 99, Bias.NEUTRAL),
        (99, 100, Bias.NEUTRAL),
        (100, 101, Bias.NEUTRAL),
        (None, 99, Bias.NEUTRAL),
        (99, None, Bias.NEUTRAL),
    ],
)
def test_the_bias_needs_the_close_strictly_beyond_both(
    vwap: float | None, trend_ema: float | None, expected: Bias
) -> None:
    assert bias(changed(LONG, vwap=vwap, trend_ema=trend_ema)) is expected


@pytest.mark.parametrize(
    ("entry", "stop_loss", "take_profit"), [(LONG, 97.0, 102.0), (SHORT, 103.0, 98.0)]
)
def test_stop_and_target_are_multiples_of_the_atr(
    entry: IndicatorsEntry, stop_loss: float, take_profit: float
) -> None:
    signal = judged(entry)
    assert signal is not None
    assert (signal.entry, signal.stop_loss, signal.take_profit) == (100.0, stop_loss, take_profit)
    assert signal.risk_reward == pytest.approx(2 / 3, rel=1e-15)
    wider = judged(entry, stop_loss_atr_multiplier=1.0, take_profit_atr_multiplier=2.5)
    assert wider is not None
    assert wider.risk_reward == 2.5


@pytest.mark.parametrize(
    ("lag_ms", "waited_ms", "max_age_ms", "stale"),
    [
        (0, 0, 120_000, False),
        (40, 119_960, 120_000, False),
        (40, 119_961, 120_000, True),
        (120_001, 0, 120_000, True),
        (86_400_000, 0, None, False),
        (0, -5_000, 120_000, False),  # our clock was set back meanwhile
    ],
)
def test_a_signal_is_stale_beyond_the_greatest_age_and_not_at_it(
    lag_ms: int, waited_ms: int, max_age_ms: float | None, stale: bool
) -> None:
    rules = replace(RULES, max_age_ms=max_age_ms)
    signal = evaluate(changed(LONG, lag_ms=lag_ms), rules, MARKET, RECEIVED_MS + waited_ms)
    assert signal is not None
    assert signal.stale is stale


def test_a_signal_carries_what_an_alert_shows() -> None:
    signal = judged(LONG)
    assert signal is not None
    assert signal.id == f"BTCUSDT:5m:LONG:{BOUNDARY_MS}"
    assert (signal.timeframe, signal.trend_timeframe) == ("5m", "1h")
    assert (signal.atr, signal.rsi, signal.vwap, signal.trend_ema) == (2.0, 55.0, 95.0, 94.0)
    assert (signal.ema_fast, signal.ema_slow) == (99.0, 98.0)
    assert (signal.volume, signal.volume_ma, signal.volume_ratio) == (20.0, 10.0, 2.0)
    assert (signal.source, signal.lag_ms, signal.received_at_ms) == ("ws", 40, RECEIVED_MS)
    assert signal.bias is Bias.BULLISH


def test_the_reasons_of_a_long_signal() -> None:
    signal = judged(LONG)
    assert signal is not None
    assert signal.why == (
        "EMA9 crossed above EMA21; close above VWAP 95; RSI6 55.0 within 30..70;"
        " volume 2.00x average, 1.5x needed; close above 1h EMA50 94"
    )


def test_the_reasons_of_a_short_signal() -> None:
    signal = judged(changed(SHORT, vwap=105.123456, trend_ema=0.000123456 + 106))
    assert signal is not None
    assert signal.why == (
        "EMA9 crossed below EMA21; close below VWAP 105.12; RSI6 45.0 within 30..70;"
        " volume 2.00x average, 1.5x needed; close below 1h EMA50 106"
    )


def test_the_reasons_against() -> None:
    entry = changed(
        LONG, ema_fast_prev=97.0, vwap=100.0, rsi=29.96, volume=7.5, trend_ema=0.5, close=100.0
    )
    assert [factor.why for factor in factors(entry, Side.SHORT, RULES)] == [
        "EMA9 did not cross below EMA21",
        "close at VWAP 100",
        "RSI6 30.0 outside 30..70",
        "volume 0.75x average, 1.5x needed",
        "close above 1h EMA50 0.5",
    ]


def test_the_reasons_while_warming_up() -> None:
    entry = changed(
        LONG,
        ema_fast=None, ema_slow=None, ema_fast_prev=None, ema_slow_prev=None,
        vwap=None, rsi=None, volume_ma=None, trend_ema=None,
    )  # fmt: skip
    assert [factor.why for factor in factors(entry, leaning(entry), RULES)] == [
        "EMA21 undefined yet",
        "VWAP undefined yet",
        "RSI6 undefined yet",
        "volume average undefined yet",
        "1h EMA50 undefined yet",
    ]


@pytest.mark.parametrize(
    ("fast", "slow", "side"),
    [(99.0, 98.0, Side.LONG), (98.0, 99.0, Side.SHORT), (98.0, 98.0, Side.LONG)],
)
def test_without_a_crossover_the_side_of_the_fast_average_is_explained(
    fast: float, slow: float, side: Side
) -> None:
    assert leaning(changed(LONG, ema_fast=fast, ema_slow=slow)) is side
