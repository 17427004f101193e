"""The merge in event time, what an entry carries, and what holes and markers do."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from services.indicators.engine import Engine, Hole, Plan
from shared.candle import Candle, missing_candle
from shared.indicators_entry import IndicatorsEntry
from shared.quality import Quality
from tests.unit.indicators.history import (
    DEFAULT,
    INTERVALS,
    MIDNIGHT_MS,
    MINUTE_MS,
    SMALL,
    closed,
    entries_of,
    feeds,
    walk,
)

AT_14_00 = MIDNIGHT_MS + 14 * 60 * MINUTE_MS


def at(clock: str) -> int:
    """``14:35`` of the tests' day, in ms."""
    hours, minutes = clock.split(":")
    return MIDNIGHT_MS + (int(hours) * 60 + int(minutes)) * MINUTE_MS


def candle(clock: str, close: float = 100.0) -> Candle:
    return Candle(at(clock), close, close, close, close, 1.0, "ws", 7, at(clock) + 7)


def candles(interval: str, *clocks: str) -> list[Candle]:
    """One candle per clock time; its close tells the timeframe."""
    return [candle(clock, INTERVALS[interval] / MINUTE_MS) for clock in clocks]


def names(entries: Sequence[IndicatorsEntry]) -> list[str]:
    """``5m 14:35`` and so on."""
    found = []
    for entry in entries:
        minutes = (entry.boundary_ms - MIDNIGHT_MS) // MINUTE_MS
        found.append(f"{entry.timeframe} {minutes // 60:02}:{minutes % 60:02}")
    return found


@pytest.fixture
def engine() -> Engine:
    """One that has released everything up to 14:33."""
    made = Engine(DEFAULT)
    made.feed("1h", candles("1h", "14:00"))
    made.feed("5m", candles("5m", "14:30"))
    made.feed("1m", candles("1m", "14:31", "14:32", "14:33"))
    assert len(made.release(100)) == 5
    return made


def test_the_1m_of_14_35_comes_after_the_5m_of_14_35(engine: Engine) -> None:
    engine.feed("1m", candles("1m", "14:34", "14:35"))
    assert names(engine.release(9)) == ["1m 14:34"]
    engine.feed("5m", candles("5m", "14:35"))
    assert names(engine.release(9)) == ["5m 14:35", "1m 14:35"]


def test_the_5m_of_14_35_waits_for_the_1m_of_14_34(engine: Engine) -> None:
    engine.feed("5m", candles("5m", "14:35"))
    assert engine.release(9) == []
    engine.feed("1m", candles("1m", "14:34"))
    assert names(engine.release(9)) == ["1m 14:34", "5m 14:35"]


def test_the_merge_waits_only_for_what_can_still_come(engine: Engine) -> None:
    # The next 1h boundary is 15:00 and the next of 5m 14:35: neither can precede 14:34.
    engine.feed("1m", candles("1m", "14:34"))
    assert names(engine.release(9)) == ["1m 14:34"]


def test_on_the_hour_all_three_come_longest_first(engine: Engine) -> None:
    clocks = [f"14:{minute}" for minute in range(34, 60)]
    engine.feed("1m", candles("1m", *clocks, "15:00"))
    engine.feed("5m", candles("5m", "14:35", "14:40", "14:45", "14:50", "14:55", "15:00"))
    assert names(engine.release(99))[-1] == "1m 14:59"
    engine.feed("1h", candles("1h", "15:00"))
    assert names(engine.release(99)) == ["1h 15:00", "5m 15:00", "1m 15:00"]
    assert engine.position == f"{at('15:00')}-2"


def test_nothing_comes_before_every_timeframe_has_begun() -> None:
    engine = Engine(DEFAULT)
    engine.feed("1m", candles("1m", "14:01", "14:02"))
    engine.feed("5m", candles("5m", "14:05"))
    assert engine.release(9) == []
    engine.feed("1h", candles("1h", "14:00"))
    assert names(engine.release(9)) == ["1h 14:00", "1m 14:01", "1m 14:02"]


def test_entries_come_in_the_order_of_their_ids_and_none_is_lost() -> None:
    fed = feeds(walk(1, 300, gaps=0.05), SMALL)
    found = entries_of(fed, SMALL)
    ids = [(entry.boundary_ms, entry.rank) for entry in found]
    assert ids == sorted(set(ids))
    there = [each for some in fed.values() for each in some if not each.missing]
    # What waits at the end is of the last boundaries only, where a longer one could still come.
    assert len(there) - len(found) <= 15


def test_release_gives_no_more_than_asked_and_then_the_rest(engine: Engine) -> None:
    engine.feed("1m", candles("1m", "14:34", "14:35"))
    engine.feed("5m", candles("5m", "14:35"))
    assert names(engine.release(2)) == ["1m 14:34", "5m 14:35"]
    assert engine.waiting("1m") == 1
    assert names(engine.release(2)) == ["1m 14:35"]
    assert engine.waiting("1m") == 0


def test_a_1m_entry_carries_the_trend_of_the_5m_candle_that_closed_with_it() -> None:
    found = entries_of(feeds(walk(2, 120), SMALL), SMALL)
    last_of: dict[str, IndicatorsEntry] = {}
    checked = 0
    for entry in found:
        last_of[entry.timeframe] = entry
        trend = SMALL.trends.get(entry.timeframe)
        assert entry.trend_timeframe == trend
        if trend is None:
            assert entry.trend_ema is None
        elif trend in last_of:
            assert entry.trend_ema == last_of[trend].ema_trend
            checked += entry.trend_ema is not None
    assert checked > 50


def test_an_entry_carries_the_averages_of_the_candle_before() -> None:
    found = [entry for entry in entries_of(feeds(walk(3, 60), SMALL), SMALL) if entry.rank == 2]
    assert found[5].ema_slow is not None
    for before, entry in pairwise(found):
        assert entry.ema_fast_prev == before.ema_fast
        assert entry.ema_slow_prev == before.ema_slow


def test_an_entry_carries_its_candle_and_how_it_came() -> None:
    engine = Engine(DEFAULT)
    engine.feed("1h", candles("1h", "14:00"))
    engine.feed("5m", candles("5m", "14:00"))
    engine.feed("1m", [Candle(AT_14_00, 1.5, 4.0, 1.0, 2.5, 9.0, "rest", 850, 123)])
    entry = engine.release(9)[2]
    assert (entry.open, entry.high, entry.low, entry.close, entry.volume) == (1.5, 4, 1, 2.5, 9)
    assert (entry.source, entry.lag_ms, entry.received_at_ms) == ("rest", 850, 123)
    assert entry.entry_id == f"{AT_14_00}-2"


def test_a_missing_marker_passes_silently_and_lets_the_others_go_on(engine: Engine) -> None:
    engine.feed("1m", [missing_candle(at("14:34"), 0, 0), *candles("1m", "14:35")])
    engine.feed("5m", [missing_candle(at("14:35"), 0, 0)])
    assert names(engine.release(9)) == ["1m 14:35"]
    assert engine.position == f"{at('14:35')}-2"


def test_markers_alone_move_the_position_on(engine: Engine) -> None:
    engine.feed("1m", [missing_candle(at("14:34"), 0, 0)])
    assert engine.release(9) == []
    assert engine.position == f"{at('14:34')}-2"


def test_a_missing_marker_changes_no_indicator() -> None:
    plain = [candle(f"14:{minute:02}", 100 + minute % 7) for minute in range(1, 31)]
    shifted = [
        *plain[:15],
        missing_candle(at("14:16"), 0, 0),
        *(candle(f"14:{minute + 1:02}", 100 + minute % 7) for minute in range(16, 31)),
    ]
    only_1m = Plan({"1m": MINUTE_MS}, {}, 2, 4, 3, 3, 3, 4)
    with_marker = entries_of({"1m": shifted}, only_1m)[-1]
    without = entries_of({"1m": plain}, only_1m)[-1]
    for name in ("ema_fast", "ema_slow", "ema_fast_prev", "rsi", "atr", "volume_ma"):
        assert getattr(with_marker, name) == getattr(without, name) is not None


def test_a_session_that_begins_with_a_marker_was_seen_from_its_first_candle() -> None:
    only_1m = Plan({"1m": MINUTE_MS}, {}, 2, 4, 3, 3, 3, 4)
    fed = [missing_candle(at("00:01"), 0, 0), candle("00:02", 7.0)]
    assert [entry.vwap for entry in entries_of({"1m": fed}, only_1m)] == [7.0]
    assert [entry.vwap for entry in entries_of({"1m": fed[1:]}, only_1m)] == [None]


class TestHole:
    """Candles that were deleted or trimmed unread."""

    def test_is_told_with_what_was_expected_and_found(self, engine: Engine) -> None:
        holes = engine.feed("1m", candles("1m", "14:40", "14:41"))
        assert holes == [Hole("1m", at("14:34"), at("14:40"))]

    def test_restarts_its_timeframe_and_no_other(self) -> None:
        fed = feeds(walk(4, 240), SMALL)
        torn = {**fed, "5m": fed["5m"][:20] + fed["5m"][25:]}
        engine = Engine(SMALL)
        for name, some in torn.items():
            engine.feed(name, some)
        found, whole = engine.release(10_000), entries_of(fed, SMALL)

        def of(name: str, entries: Sequence[IndicatorsEntry]) -> list[IndicatorsEntry]:
            return [entry for entry in entries if entry.timeframe == name]

        behind = of("5m", found)[20:]
        fresh = entries_of(
            {"5m": fed["5m"][25:]}, Plan({"5m": 5 * MINUTE_MS}, {}, 2, 4, 3, 3, 3, 4)
        )
        assert [entry.ema_slow for entry in behind] == [entry.ema_slow for entry in fresh]
        assert [entry.atr for entry in behind] == [entry.atr for entry in fresh]
        assert behind[0].ema_fast is None
        assert of("15m", found) == of("15m", whole)[: len(of("15m", found))]
        assert len(of("15m", found)) >= 15
        # The trend of 1m follows: undefined behind the hole until 5m is warm again.
        gap_ms = fed["5m"][25].boundary_ms
        after = [entry for entry in of("1m", found) if entry.boundary_ms >= gap_ms]
        assert after[0].trend_ema is None
        assert after[-1].trend_ema is not None

    def test_leaves_the_session_unseen_until_the_next_midnight(self) -> None:
        some = closed(walk(5, 1500))
        only_1m = Plan({"1m": MINUTE_MS}, {}, 2, 4, 3, 3, 3, 4)
        engine = Engine(only_1m)
        engine.feed("1m", some[:100] + some[110:])
        found = engine.release(10_000)
        assert found[99].vwap is not None
        midnight_ms = MIDNIGHT_MS + 1440 * MINUTE_MS
        behind = [entry for entry in found[100:] if entry.boundary_ms <= midnight_ms]
        assert {entry.vwap for entry in behind} == {None}
        assert found[len(behind) + 100].vwap is not None


def test_the_parameters_are_told_in_words() -> None:
    assert DEFAULT.parameters == (
        "EMA 9/21/50, RSI 6, ATR 14, volume MA 20, 1h 5m→1h 1m→5m"
    )  # fmt: skip


def test_an_entry_tells_how_its_candles_came_and_those_of_its_trend(engine: Engine) -> None:
    engine.feed("5m", [replace(candle("14:35"), source="rest")])
    late, absent = replace(candle("14:34"), lag_ms=9000), missing_candle(at("14:35"), 0, 0)
    engine.feed("1m", [late, absent, candle("14:36")])
    *_, of_5m, of_1m = engine.release(100)
    assert (of_5m.timeframe, of_5m.quality) == ("5m", Quality(2 + 1, by_rest=1))
    assert of_1m.quality == Quality(6 + 2, by_rest=1, late=1, missing=1)
