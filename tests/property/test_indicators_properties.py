"""What holds for every market: no look-ahead, equality with a batch, any feeding, any restart."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from services.indicators import snapshot
from services.indicators.engine import Engine, Plan
from services.indicators.maths import Atr, Ema, Rsi, Sma, Vwap
from shared.candle import Candle
from shared.indicators_entry import IndicatorsEntry
from shared.malformed import Malformed
from sim.candles import aggregate
from tests.unit.detector.batch import differences
from tests.unit.indicators.history import (
    DEFAULT,
    MIDNIGHT_MS,
    MINUTE_MS,
    SMALL,
    closed,
    entries_of,
    feeds,
    scaled,
    walk,
)

calmly = effort(max_examples=40)
rarely = effort(max_examples=12)
seeds = st.integers(0, 10_000)
PRICES = ("open", "high", "low", "close", "ema_fast", "ema_slow", "ema_trend", "ema_fast_prev",
          "ema_slow_prev", "atr", "vwap", "trend_ema")  # fmt: skip


def of(entries: Sequence[IndicatorsEntry], timeframe: str) -> list[IndicatorsEntry]:
    return [entry for entry in entries if entry.timeframe == timeframe]


def until(fed: dict[str, list[Candle]], boundary_ms: int) -> dict[str, list[Candle]]:
    """What is known at ``boundary_ms``."""
    return {
        name: [each for each in some if each.boundary_ms <= boundary_ms]
        for name, some in fed.items()
    }


@calmly
@given(seed=seeds, minutes=st.integers(16, 200), share=st.floats(0, 1))
def test_no_entry_depends_on_the_future(seed: int, minutes: int, share: float) -> None:
    whole = walk(seed, minutes, gaps=0.05)
    cut_ms = MIDNIGHT_MS + int(share * minutes) * MINUTE_MS
    fed = feeds(whole, SMALL)
    everything = entries_of(fed, SMALL)
    known = entries_of(until(fed, cut_ms), SMALL)
    assert known == everything[: len(known)]
    if all(until(fed, cut_ms).values()):
        # And nothing is held back that was settled by then.
        assert len(known) >= sum(entry.boundary_ms < cut_ms for entry in everything)


@rarely
@given(seed=seeds, gaps=st.sampled_from([0.0, 0.02]))
def test_the_engine_equals_talib_from_the_first_defined_value_on(seed: int, gaps: float) -> None:
    candles = walk(seed, 4200, gaps=gaps)
    entries = entries_of(feeds(candles))
    for name, interval_ms in DEFAULT.intervals.items():
        ours = of(entries, name)
        assert len(ours) > 60
        assert differences(ours, aggregate(candles, interval_ms)[: len(ours)], DEFAULT) == {}


periods = st.builds(
    lambda fast, wider, *others: (fast, fast + wider, *others),
    st.integers(2, 12),
    st.integers(1, 30),
    st.integers(2, 80),
    st.integers(2, 30),
    st.integers(2, 30),
    st.integers(2, 40),
)


@rarely
@given(seed=seeds, of_plan=periods)
def test_the_engine_equals_talib_for_every_period(
    seed: int, of_plan: tuple[int, int, int, int, int, int]
) -> None:
    plan = Plan({"1m": MINUTE_MS}, {}, *of_plan)
    candles = walk(seed, 300)
    entries = entries_of({"1m": closed(candles)}, plan)
    assert differences(entries, candles, plan) == {}


@calmly
@given(seed=seeds, minutes=st.integers(16, 150), data=st.data())
def test_any_interleaving_and_chunking_gives_the_same_entries(
    seed: int, minutes: int, data: st.DataObject
) -> None:
    fed = feeds(walk(seed, minutes, gaps=0.05), SMALL)
    expected = entries_of(fed, SMALL)
    engine, found = Engine(SMALL), list[IndicatorsEntry]()
    left = {name: list(some) for name, some in fed.items()}
    while any(left.values()):
        name = data.draw(st.sampled_from([name for name, some in left.items() if some]))
        size = data.draw(st.integers(1, 40))
        engine.feed(name, left[name][:size])
        del left[name][:size]
        found += engine.release(data.draw(st.integers(0, 30)))
    found += engine.release(10_000)
    assert found == expected


@calmly
@given(seed=seeds, minutes=st.integers(16, 150), stops=st.lists(st.integers(0, 40), max_size=12))
def test_a_restart_at_any_point_continues_bit_identically(
    seed: int, minutes: int, stops: list[int]
) -> None:
    fed = feeds(walk(seed, minutes, gaps=0.05), SMALL)
    expected = entries_of(fed, SMALL)
    engine, found = Engine(SMALL), list[IndicatorsEntry]()
    for stop in stops:
        for name, some in fed.items():
            engine.feed(name, [each for each in some if each.boundary_ms > (engine.fed(name) or 0)])
        found += engine.release(stop)
        engine = snapshot.unpack(SMALL, snapshot.pack(engine))
    for name, some in fed.items():
        engine.feed(name, [each for each in some if each.boundary_ms > (engine.fed(name) or 0)])
    found += engine.release(10_000)
    assert found == expected


anything = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=12),
    st.lists(st.none() | st.floats() | st.integers(0, 100), max_size=8),
)  # fmt: skip
parts = st.sampled_from(
    ["released", "ema_fast", "ema_slow", "ema_trend", "rsi", "atr", "volume_ma", "vwap"]
)


@calmly
@given(
    seed=seeds,
    cut=st.integers(16, 120),
    where=st.tuples(
        st.sampled_from(list(SMALL.intervals)),
        parts | st.sampled_from(["position", "output"]),
        st.integers(0, 6),
    ),
    value=anything,
)
def test_a_snapshot_that_somebody_spoilt_is_refused_or_goes_on(
    seed: int, cut: int, where: tuple[str, Any, int], value: object
) -> None:
    frame, part, place = where
    fed = feeds(walk(seed, 150), SMALL)
    engine = Engine(SMALL)
    entries_of(until(fed, MIDNIGHT_MS + cut * MINUTE_MS), SMALL, engine)
    state: Any = msgpack.unpackb(snapshot.pack(engine))
    holder = state if part in state else state["timeframes"][frame]
    if isinstance(holder[part], list) and place < len(holder[part]):
        holder, part = holder[part], place
    holder[part] = value
    try:
        again = snapshot.unpack(SMALL, msgpack.packb(state))
    except Malformed:
        return
    for name, some in fed.items():
        again.feed(name, [each for each in some if each.boundary_ms > (again.fed(name) or 0)])
    for entry in again.release(10_000):
        entry.fields()
    assert again.position == f"{MIDNIGHT_MS + 150 * MINUTE_MS}-2"
    snapshot.unpack(SMALL, snapshot.pack(again))


@calmly
@given(seed=seeds, power=st.integers(-20, 20))
def test_another_unit_of_price_scales_prices_and_leaves_the_rest(seed: int, power: int) -> None:
    factor = 2.0**power  # exact in binary, so that equality can be demanded
    fed = feeds(walk(seed, 150), SMALL)
    plain = entries_of(fed, SMALL)
    other = entries_of({name: scaled(some, factor) for name, some in fed.items()}, SMALL)
    assert [entry.rsi for entry in other] == [entry.rsi for entry in plain]
    for entry, before in zip(other, plain, strict=True):
        expected = {
            name: None if getattr(before, name) is None else getattr(before, name) * factor
            for name in PRICES
        }
        assert entry == replace(before, **expected)


@calmly
@given(seed=seeds)
def test_averages_stay_within_what_they_average(seed: int) -> None:
    entries = of(entries_of(feeds(walk(seed, 150), SMALL), SMALL), "1m")
    lowest = min(entry.low for entry in entries)
    highest = max(entry.high for entry in entries)
    for entry in entries:
        for value in (entry.ema_fast, entry.ema_slow, entry.ema_trend):
            assert value is None or lowest <= value <= highest
        assert entry.rsi is None or 0 <= entry.rsi <= 100
        assert entry.atr is None or 0 <= entry.atr <= highest - lowest
        assert entry.vwap is None or lowest * (1 - 1e-12) <= entry.vwap <= highest * (1 + 1e-12)
    assert entries[-1].atr is not None


amounts = st.floats(0, 1e12)


@given(st.integers(1, 12), st.lists(amounts, min_size=1, max_size=60))
def test_a_moving_average_never_drifts(period: int, values: list[float]) -> None:
    average = Sma(period)
    for count, value in enumerate(values, 1):
        average.update(value)
        window = values[max(0, count - period) : count]
        if count < period:
            assert average.value is None
        else:
            assert average.value == pytest.approx(np.mean(window), rel=1e-13, abs=0)


@given(st.integers(1, 6), st.lists(st.floats(1e-3, 1e6), max_size=30), st.integers(0, 30))
def test_every_indicator_restores_to_itself_at_any_age(
    period: int, prices: list[float], cut: int
) -> None:
    makers = {
        Ema: lambda it, price, _: it.update(price),
        Rsi: lambda it, price, _: it.update(price),
        Sma: lambda it, price, _: it.update(price),
        Atr: lambda it, price, _: it.update(price * 1.01, price, price),
    }
    for kind, update in makers.items():
        whole, parts = kind(period), kind(period)
        for index, price in enumerate(prices):
            if index == cut:
                parts = kind.restored(period, parts.state())
            update(whole, price, index)
            update(parts, price, index)
            assert (parts.value, parts.state()) == (whole.value, whole.state())
    vwap, again = Vwap(), Vwap()
    for index, price in enumerate(prices):
        if index == cut:
            again = Vwap.restored(again.state())
        for each in (vwap, again):
            each.update(MIDNIGHT_MS + index * 3_600_000, price, price, price, price)
        assert again.state() == vwap.state()
