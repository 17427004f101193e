"""The indicators against tables computed by hand (fractions beside each), and their edges."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.indicators.maths import DAY_MS, Atr, Ema, Rsi, Sma, Vwap

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MIDNIGHT_MS = 20_000 * DAY_MS


def values(indicator: Any, inputs: Sequence[Any]) -> list[float | None]:
    """What the indicator is after each input."""
    found = []
    for each in inputs:
        indicator.update(*each) if isinstance(each, tuple) else indicator.update(each)
        found.append(indicator.value)
    return found


def test_ema_is_seeded_with_the_mean_and_then_moves_by_alpha() -> None:
    # n = 3: α = 1/2; seed (1 + 2 + 6) / 3 = 3; then 3 + (5 − 3)/2 = 4; 4 + (0 − 4)/2 = 2
    assert values(Ema(3), [1, 2, 6, 5, 0]) == [None, None, 3, 4, 2]


def test_ema_of_period_one_is_the_price() -> None:
    assert values(Ema(1), [3.5, 1.25, 7.0]) == [3.5, 1.25, 7.0]


def test_rsi_is_wilders() -> None:
    # n = 2, changes +2 −1 +3 −4: seed gain 1, loss 1/2; then 2, 1/4; then 1, 17/8
    found = values(Rsi(2), [10, 12, 11, 14, 10])
    assert found[:2] == [None, None]
    assert found[2:] == pytest.approx([200 / 3, 800 / 9, 800 / 25], rel=1e-15)


@pytest.mark.parametrize(
    ("prices", "last"),
    [
        pytest.param([5, 5, 5, 5], 100, id="flat"),
        pytest.param([1, 2, 3, 4], 100, id="only gains"),
        pytest.param([4, 3, 2, 1], 0, id="only losses"),
    ],
)
def test_rsi_without_losses_is_100(prices: list[float], last: float) -> None:
    assert values(Rsi(3), prices) == [None, None, None, last]


def test_atr_takes_the_greatest_of_three_ranges_and_is_wilders() -> None:
    bars = [
        (12, 10, 11),  # no previous close: no true range
        (13, 11, 12),  # high − low 2, |13 − 11| 2, |11 − 11| 0 → 2
        (20, 18, 19),  # gap up: |20 − 12| = 8
        (11, 10, 10),  # gap down: |10 − 19| = 9
        (12, 9, 11),  # high − low 3
    ]
    # n = 2: seed (2 + 8)/2 = 5; (5 + 9)/2 = 7; (7 + 3)/2 = 5
    assert values(Atr(2), bars) == [None, None, 5, 7, 5]


def test_sma_includes_the_present_candle() -> None:
    assert values(Sma(3), [3, 6, 9, 0, 0, 0]) == [None, None, 6, 5, 3, 0]


def test_sma_of_period_one_is_the_value() -> None:
    assert values(Sma(1), [3, 0, 7]) == [3, 0, 7]


@pytest.mark.parametrize("period", [2, 3, 20])
def test_sma_of_zeros_is_exactly_zero_after_any_burst(period: int) -> None:
    burst = [0.1, 1234.56789, 0.3, 1e9 / 7, 0.7] * period
    found = values(Sma(period), [*burst, *[0.0] * (2 * period)])
    assert found[-period - 1 :] == [0.0] * (period + 1)


@pytest.mark.parametrize(
    ("make", "first"),
    [
        (lambda: Ema(9), 9),
        (lambda: Ema(21), 21),
        (lambda: Ema(50), 50),
        (lambda: Rsi(6), 7),
        (lambda: Atr(14), 15),
        (lambda: Sma(20), 20),
    ],
    ids=["ema 9", "ema 21", "ema 50", "rsi 6", "atr 14", "volume ma 20"],
)
def test_the_first_defined_value_is_that_of_the_definition(
    make: Callable[[], Any], first: int
) -> None:
    indicator = make()
    inputs = [(3.0, 1.0, 2.0) if isinstance(indicator, Atr) else 2.0] * 60
    found = values(indicator, inputs)
    assert found.index(next(value for value in found if value is not None)) == first - 1
    assert None not in found[first - 1 :]


class TestVwap:
    def test_weighs_hlc3_by_volume_since_midnight(self) -> None:
        bars = [
            (MIDNIGHT_MS, 12.0, 9.0, 9.0, 1.0),  # hlc3 10
            (MIDNIGHT_MS + MINUTE_MS, 21.0, 18.0, 21.0, 3.0),  # hlc3 20
        ]
        assert values(Vwap(), bars) == [10, (10 * 1 + 20 * 3) / 4]

    def test_starts_afresh_with_the_candle_that_opens_at_midnight(self) -> None:
        bars = [
            (MIDNIGHT_MS + DAY_MS - MINUTE_MS, 9.0, 9.0, 9.0, 5.0),
            (MIDNIGHT_MS + DAY_MS, 4.0, 4.0, 4.0, 1.0),
        ]
        vwap = Vwap()
        vwap.witness(MIDNIGHT_MS)
        assert values(vwap, bars) == [9, 4]

    def test_belongs_to_the_day_of_the_open_not_of_the_close(self) -> None:
        vwap = Vwap()
        vwap.witness(MIDNIGHT_MS)
        last_hour = (MIDNIGHT_MS + DAY_MS - HOUR_MS, 9.0, 9.0, 9.0, 5.0)
        assert values(vwap, [(MIDNIGHT_MS, 3.0, 3.0, 3.0, 5.0), last_hour]) == [3, 6]

    def test_is_undefined_until_a_session_was_seen_from_its_first_candle(self) -> None:
        bars = [
            (MIDNIGHT_MS + MINUTE_MS, 9.0, 9.0, 9.0, 5.0),
            (MIDNIGHT_MS + DAY_MS - MINUTE_MS, 9.0, 9.0, 9.0, 5.0),
            (MIDNIGHT_MS + DAY_MS, 4.0, 4.0, 4.0, 1.0),
        ]
        assert values(Vwap(), bars) == [None, None, 4]

    def test_is_defined_when_only_a_marker_was_seen_at_midnight(self) -> None:
        vwap = Vwap()
        vwap.witness(MIDNIGHT_MS)
        assert values(vwap, [(MIDNIGHT_MS + 7 * MINUTE_MS, 9.0, 9.0, 9.0, 5.0)]) == [9]

    def test_is_undefined_while_nothing_was_traded(self) -> None:
        bars = [
            (MIDNIGHT_MS, 9.0, 9.0, 9.0, 0.0),
            (MIDNIGHT_MS + MINUTE_MS, 9.0, 9.0, 9.0, 0.0),
            (MIDNIGHT_MS + 2 * MINUTE_MS, 6.0, 6.0, 6.0, 2.0),
            (MIDNIGHT_MS + 3 * MINUTE_MS, 9.0, 9.0, 9.0, 0.0),
            (MIDNIGHT_MS + DAY_MS, 9.0, 9.0, 9.0, 0.0),
        ]
        assert values(Vwap(), bars) == [None, None, 6, 6, None]


@pytest.mark.parametrize(
    "state",
    [
        pytest.param([3, 1.0, 1.0, 1.0], id="more newer values than the period has"),
        pytest.param([-1, 1.0], id="a negative count"),
        pytest.param([1, 1.0, 2.0], id="neither warming nor full"),
    ],
)
def test_a_moving_average_refuses_a_state_whose_parts_do_not_fit(state: list[float]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Sma.restored(3, state)
