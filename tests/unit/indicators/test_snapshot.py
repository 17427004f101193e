"""A snapshot continues bit-identically or is refused; it never half fits."""

import math
from dataclasses import replace
from typing import Any

import msgpack
import pytest

from services.indicators import snapshot
from services.indicators.engine import FORMAT, Engine
from shared.malformed import Malformed
from tests.unit.indicators.history import (
    DEFAULT,
    MIDNIGHT_MS,
    MINUTE_MS,
    SMALL,
    entries_of,
    feeds,
    walk,
)

AT_03_15 = MIDNIGHT_MS + 195 * MINUTE_MS
AT_03_30 = AT_03_15 + 15 * MINUTE_MS


def warm() -> Engine:
    """An engine with every indicator defined."""
    engine = Engine(SMALL)
    entries_of(feeds(walk(6, 200), SMALL), SMALL, engine)
    return engine


@pytest.mark.parametrize("minutes", [0, 1, 7, 16, 60, 200])
def test_a_snapshot_of_any_age_restores_to_the_same_snapshot(minutes: int) -> None:
    engine = Engine(SMALL)
    if minutes:
        entries_of(feeds(walk(6, minutes), SMALL), SMALL, engine)
    packed = snapshot.pack(engine)
    again = snapshot.unpack(SMALL, packed)
    assert snapshot.pack(again) == packed
    assert again.position == engine.position


def test_candles_that_wait_are_not_in_it_but_read_again() -> None:
    engine = warm()
    assert engine.waiting("15m") == 1
    again = snapshot.unpack(SMALL, snapshot.pack(engine))
    assert again.waiting("15m") == 0
    assert (again.fed("15m"), engine.fed("15m")) == (AT_03_15, AT_03_30)


def altered(**changes: Any) -> bytes:
    packed: bytes = msgpack.packb({**warm().state(), **changes})
    return packed


def spoilt(indicator: str, value: Any) -> bytes:
    state: Any = warm().state()
    state["timeframes"]["5m"][indicator] = value
    packed: bytes = msgpack.packb(state)
    return packed


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        pytest.param(b"", "not msgpack", id="empty"),
        pytest.param(b"\xc1garbage", "not msgpack", id="no msgpack"),
        pytest.param(b"\x80trailing", "not msgpack", id="more behind it"),
        pytest.param(b"\xdf\xff\xff\xff\xff", "not msgpack", id="cut off"),
        pytest.param(msgpack.packb([1, 2]), "not a map", id="a list"),
        pytest.param(msgpack.packb({1: 2}), "not msgpack|format None", id="a map of numbers"),
        pytest.param(msgpack.packb({}), "format None", id="an empty map"),
        pytest.param(b"\x00" * 1_000_001, "1000001 bytes", id="too large"),
        pytest.param(altered(format=FORMAT - 1), f"this is {FORMAT}", id="an older format"),
        pytest.param(altered(parameters="EMA 1/2/3"), "'EMA 1/2/3'", id="other parameters"),
        pytest.param(altered(timeframes=7), "damaged", id="no timeframes"),
        pytest.param(altered(timeframes={}), "damaged", id="a timeframe is absent"),
        pytest.param(altered(timeframes={"15m": [], "5m": [], "1m": []}), "damaged", id="lists"),
        pytest.param(spoilt("released", "yesterday"), "damaged", id="a text for a time"),
        pytest.param(spoilt("ema_fast", None), "damaged", id="no state"),
        pytest.param(spoilt("ema_fast", [1.0]), "damaged", id="too few numbers"),
        pytest.param(spoilt("rsi", [3, 1.0, 1.0, 5.0, "x"]), "damaged", id="a text for a value"),
        pytest.param(spoilt("atr", [3, 1.0, math.nan, 2.0]), "damaged", id="nan"),
        pytest.param(spoilt("atr", [math.inf, 1.0, 1.0, 2.0]), "damaged", id="infinite"),
        pytest.param(spoilt("volume_ma", [9, 1.0]), "damaged", id="a window that does not fit"),
        pytest.param(spoilt("released", 300_000 * 10**9), "last candle of 5m", id="the future"),
        pytest.param(spoilt("released", AT_03_15 + 1), "last candle of 5m", id="no boundary"),
        pytest.param(spoilt("released", AT_03_30), "position", id="beyond the position"),
        pytest.param(altered(position="1-1"), "position '1-1'", id="another position"),
        pytest.param(altered(position=""), "position ''", id="no position"),
        pytest.param(altered(output="99999999999999-0"), "position", id="output of the future"),
        pytest.param(altered(output="soon"), "damaged", id="output that is no position"),
        pytest.param(spoilt("ema_fast", [1, 5.0, 5.0]), "1 of 2 values", id="defined too early"),
        pytest.param(spoilt("ema_fast", [9, 5.0, None]), "9 of 2 values", id="never defined"),
        pytest.param(spoilt("atr", [-1, 5.0, 5.0, None]), "-1 of 3 values", id="counts down"),
        pytest.param(spoilt("rsi", [1, 0.0, 0.0, None, None]), "without a price", id="no price"),
        pytest.param(spoilt("rsi", [3, -1.0, 1.0, 5.0, 5.0]), "negative", id="a negative gain"),
        pytest.param(spoilt("atr", [3, 1.0, 1.0, 1.7e308]), "damaged", id="too large to go on"),
        pytest.param(spoilt("vwap", [1e30, 2, 3.0, 4.0, 1.0]), "time of the VWAP", id="no time"),
        pytest.param(spoilt("vwap", [1, 2, 3.0, 4.0, True]), "damaged", id="a truth for a value"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(packed: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        snapshot.unpack(SMALL, packed)


@pytest.mark.parametrize(
    "change",
    [
        {"ema_fast": 8},
        {"ema_slow": 22},
        {"ema_trend": 49},
        {"rsi_period": 7},
        {"atr_period": 15},
        {"volume_ma_period": 21},
        {"trends": {"1m": "5m"}},
        {"intervals": {"5m": 300_000, "1m": 60_000}, "trends": {"1m": "5m"}},
    ],
    ids=" ".join,
)
def test_every_parameter_that_changes_numbers_changes_the_fingerprint(
    change: dict[str, Any],
) -> None:
    packed = snapshot.pack(Engine(DEFAULT))
    with pytest.raises(Malformed, match=r"computed with .* configured is"):
        snapshot.unpack(replace(DEFAULT, **change), packed)
