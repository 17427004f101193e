"""A late entry proves blindness only after one that came in time; values are compared alone."""

from dataclasses import replace

import pytest

from services.ingest.published import KEPT, Arrival, Published, differ, lapsed
from shared.candle import Candle, missing_candle

LIMIT_MS, INTERVAL_MS = 60_000, 60_000
T = 1_762_094_040_000


def candle(minute: int, lag_ms: int = 20, **values: float) -> Candle:
    well = Candle(T + minute * INTERVAL_MS, 2, 3, 1, 2, 5, "ws", lag_ms, 0)
    return replace(well, **values)  # type: ignore[arg-type]


def published(*candles: Candle) -> Published:
    found = Published(LIMIT_MS)
    found.add(candles, INTERVAL_MS)
    return found


def add(stream: Published, *candles: Candle) -> Arrival | None:
    return stream.add(candles, INTERVAL_MS)


def test_what_comes_in_time_proves_nothing() -> None:
    assert add(published(candle(1)), candle(2, 5000), candle(3, 60_000)) is None


def test_a_late_entry_after_one_in_time_tells_of_both() -> None:
    late = candle(2, 3_600_000)
    assert add(published(candle(1)), late) == Arrival(late, candle(1))
    assert add(published(), candle(1), late) == Arrival(late, candle(1))


def test_of_a_refill_only_the_first_one_tells() -> None:
    stream = published(candle(1))
    late = [candle(minute, 3_600_000 - minute * 60_000) for minute in range(2, 40)]
    assert add(stream, *late[:10]) == Arrival(late[0], candle(1))
    assert add(stream, *late[10:]) is None


@pytest.mark.parametrize("before", [[], [candle(1)]], ids=["nothing", "another place"])
def test_who_put_the_entry_before_there_is_not_guessed(before: list[Candle]) -> None:
    late = candle(7, 3_600_000)
    assert add(published(*before), late) == Arrival(late, None)


@pytest.mark.parametrize(
    ("lag_ms", "lag_before_ms", "pause_ms", "expected"),
    [
        (60_000, 20, 10**9, False),
        (60_001, 60_000, 0, True),
        (60_001, 60_001, 60_000, False),
        (60_001, 60_001, 60_001, True),
    ],
    ids=["in time", "late after in time", "one refill", "late again after a pause"],
)
def test_a_lapse_lies_between_two_entries(
    lag_ms: int, lag_before_ms: int, pause_ms: int, expected: bool
) -> None:
    later = replace(candle(2, lag_ms), received_at_ms=pause_ms)
    assert lapsed(later, candle(1, lag_before_ms), LIMIT_MS) is expected


def test_the_last_few_are_known() -> None:
    stream = published(*(candle(minute) for minute in range(100)))
    assert stream.known(candle(99).boundary_ms) == candle(99)
    assert stream.known(candle(100 - KEPT).boundary_ms) == candle(100 - KEPT)
    assert stream.known(candle(99 - KEPT).boundary_ms) is None


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
def test_each_value_counts(name: str) -> None:
    assert differ(candle(1), candle(1, **{name: 2.5}))


def test_when_and_whence_it_came_does_not_count() -> None:
    assert not differ(candle(1), replace(candle(1, 9000), source="rest", received_at_ms=7))


def test_a_candle_differs_from_its_absence() -> None:
    assert differ(candle(1), missing_candle(candle(1).boundary_ms, 0, 0))
