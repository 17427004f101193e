"""The synthetic market: reproducible, market-like, and eventful enough for a demonstration."""

import numpy as np
import pytest

from sim.candles import MINUTE_MS, Candles
from sim.market import generate
from tests.unit.sim import oracle

START = 1_735_516_800_000
DAYS = 10


@pytest.fixture(scope="module", params=[1, 2, 3, 4, 5])
def market(request: pytest.FixtureRequest) -> Candles:
    return generate(request.param, DAYS, START)


def test_the_same_seed_gives_the_same_market() -> None:
    one, other = generate(7, 2, START), generate(7, 2, START)
    assert (one.close == other.close).all()
    assert (one.volume == other.volume).all()
    assert not (one.close == generate(8, 2, START).close).all()


def test_a_longer_market_begins_like_a_shorter_one() -> None:
    short, long = generate(7, 2, START), generate(7, 3, START)
    assert (long.close[: len(short)] == short.close).all()


def test_a_market_of_today_is_a_market_of_tomorrow() -> None:
    """Pinned: a demonstration that changes by itself explains nothing (numpy 2.4.6, PCG64)."""
    candles = generate(1, 1, START)
    assert candles.close[[0, 719, 1439]].tolist() == [65001.54, 66165.94, 65518.12]


def test_candles_are_complete_and_on_the_tick(market: Candles) -> None:
    assert (np.diff(market.open_time_ms) == MINUTE_MS).all()
    assert len(market) == DAYS * 1440
    assert (market.volume > 0).all()
    assert (market.low > 0).all()
    assert (market.high >= np.maximum(market.open, market.close)).all()
    assert (market.low <= np.minimum(market.open, market.close)).all()
    for column in (market.open, market.high, market.low, market.close):
        assert (column == np.round(column, 2)).all()


def test_it_looks_like_a_market(market: Candles) -> None:
    """Fat tails, volatility that clusters, no drift to speak of from one minute to the next."""
    moves = np.diff(np.log(market.close))
    kurtosis = ((moves - moves.mean()) ** 4).mean() / moves.var() ** 2
    sizes = np.abs(moves)
    assert 5 < kurtosis < 40
    assert np.corrcoef(sizes[1:], sizes[:-1])[0, 1] > 0.1
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.15
    assert 0.01 < moves.std() * np.sqrt(1440) < 0.05
    assert 40_000 < market.low.min() < market.high.max() < 100_000


def test_nights_are_quiet_and_moves_bring_volume(market: Candles) -> None:
    hour = market.open_time_ms // (60 * MINUTE_MS) % 24
    assert market.volume[hour == 2].mean() < market.volume[hour == 15].mean() / 2
    spread = np.log(market.high / market.low)
    assert np.corrcoef(spread, market.volume)[0, 1] > 0.3


def test_there_are_several_signals_a_day(market: Candles) -> None:
    found = oracle.signals(market)
    assert 3 <= len(found) / DAYS <= 20
    assert {side for _, _, side, _ in found} == {"LONG", "SHORT"}
    assert {interval for _, interval, _, _ in found} >= {"1m"}
