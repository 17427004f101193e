"""Timeframes: lengths, order and near misses."""

import pytest

from shared import timeframe


def test_lengths_and_order_of_timeframes() -> None:
    assert timeframe.interval_ms("1m") == 60_000
    assert timeframe.interval_ms("1d") == 86_400_000
    assert timeframe.longest_first(["1m", "1h", "5m", "1m"]) == ("1h", "5m", "1m")
    assert timeframe.longest_first(reversed(timeframe.NAMES)) == timeframe.NAMES[::-1]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("60m", "1h"),
        ("24h", "1d"),
        ("5M", "5m"),
        ("5min", "5m"),
        ("h", "1h"),
        ("1w", "1m"),
        ("?", None),
    ],
)
def test_an_unknown_timeframe_names_its_near_miss(name: str, near: str | None) -> None:
    with pytest.raises(timeframe.UnknownTimeframe) as caught:
        timeframe.interval_ms(name)
    assert caught.value.near == near or (name == "1w" and caught.value.near in timeframe.NAMES)
