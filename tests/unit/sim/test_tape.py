"""What the exchange knows of its market at a moment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.candles import MINUTE_MS, Candles
from sim.tape import TIMEFRAMES, Tape

START = 1_735_689_600_000
ROWS = [(0, 5.0), (1, 0.0), (2, 3.0), (6, 4.0)]  # minute, volume; minutes 3 to 5 are missing


def tape() -> Tape:
    times = np.array([START + minute * MINUTE_MS for minute, _ in ROWS])
    price = np.array([100.0, 101.0, 101.0, 99.0])
    traded = np.array([volume > 0 for _, volume in ROWS])
    return Tape(
        Candles(
            times,
            price,
            price + 2.0 * traded,
            price - 3.0 * traded,
            price + 1.0 * traded,
            np.array([volume for _, volume in ROWS]),
        )
    )


def test_a_candle_without_trades_has_no_trade_ids() -> None:
    quiet = tape().series("1m").rows(1, 2)[0]
    assert (quiet.first, quiet.last, quiet.trades, quiet.volume, quiet.quote) == (-1, -1, 0, 0, 0)


def test_trade_ids_run_on_and_agree_between_timeframes() -> None:
    one, five = tape().series("1m").rows(0, 4), tape().series("5m").rows(0, 2)
    assert one[2].first == one[0].last + 1
    assert (five[0].first, five[0].last) == (one[0].first, one[2].last)
    assert five[0].trades == one[0].trades + one[2].trades
    assert five[1].first == one[3].first
    assert five[0].quote == pytest.approx(one[0].quote + one[2].quote)


def test_closed_means_that_the_boundary_is_reached() -> None:
    t = tape()
    assert t.closed_by("1m", START + MINUTE_MS - 1) == 0
    assert t.closed_by("1m", START + MINUTE_MS) == 1
    assert t.closed_by("5m", START + 5 * MINUTE_MS) == 1
    assert t.closed_by("5m", t.end_ms) == 1
    assert t.closed_by("1m", t.end_ms) == 4


def test_there_is_no_open_candle_where_nothing_traded() -> None:
    t = tape()
    assert t.open_at("1m", START + 4 * MINUTE_MS) is None
    assert t.open_at("1m", START + 100 * MINUTE_MS) is None
    five = t.open_at("5m", START + 4 * MINUTE_MS)
    assert five is not None
    assert five.volume == 8.0


@given(st.integers(0, 7 * MINUTE_MS - 1), st.sampled_from(list(TIMEFRAMES)))
def test_an_open_candle_never_leaves_what_it_becomes(after_ms: int, interval: str) -> None:
    t = tape()
    now = START + after_ms
    part = t.open_at(interval, now)
    if part is None:
        return
    series = t.series(interval)
    at = series.index_of(part.open_ms)
    assert at is not None
    whole = series.rows(at, at + 1)[0]
    assert part.open == whole.open
    assert whole.low <= part.low <= min(part.open, part.close)
    assert max(part.open, part.close) <= part.high <= whole.high
    assert 0 <= part.volume <= whole.volume + 1e-9
    assert part.trades <= whole.trades
    assert (part.first == -1) == (part.trades == 0)
    if part.trades:
        assert part.last <= whole.last
