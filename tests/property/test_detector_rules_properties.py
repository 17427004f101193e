"""The rules for every entry: mirror symmetry, no memory, independence of the price unit."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.detector.rules import bias, crossover, evaluate, factors, leaning
from shared.indicators_entry import IndicatorsEntry, read_indicators
from shared.trade_signal import FACTORS, Bias, Side
from tests.unit.detector.entries import LONG, MARKET, RECEIVED_MS, RULES, SHORT

# A few values, so that equality happens often.
levels = st.sampled_from([90.0, 95.0, 99.0, 100.0, 101.0, 105.0, 110.0])
crossed = st.sampled_from([LONG, SHORT])
verdicts = {
    "vwap": levels,
    "trend_ema": levels,
    "rsi": st.sampled_from([0.0, 29.9, 30.0, 50.0, 70.0, 70.1, 100.0]),
    "volume": st.sampled_from([0.0, 14.9, 15.0, 15.1, 40.0]),
}
averages = dict.fromkeys(
    ("close", "ema_fast", "ema_slow", "ema_fast_prev", "ema_slow_prev"), levels
)
entries = st.builds(
    lambda base, changes: replace(base, **changes),
    crossed,
    st.fixed_dictionaries(
        {},
        optional={
            **averages,
            **{name: st.none() | values for name, values in verdicts.items() if name != "volume"},
            "volume": verdicts["volume"],
            "volume_ma": st.none() | st.just(0.0),
            "atr": st.none() | st.just(0.0),
        },
    ),
)
# With a crossover and everything defined: whether there is a signal is a matter of counting.
warm = st.builds(
    lambda base, changes: replace(base, **changes), crossed, st.fixed_dictionaries(verdicts)
)
confidences = st.integers(1, 5)
OTHER = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}
OPPOSITE = {Bias.BULLISH: Bias.BEARISH, Bias.BEARISH: Bias.BULLISH, Bias.NEUTRAL: Bias.NEUTRAL}
PRICES = (
    "open", "high", "low", "close", "ema_fast", "ema_slow", "ema_trend", "ema_fast_prev",
    "ema_slow_prev", "vwap", "trend_ema",
)  # fmt: skip


def mirrored(entry: IndicatorsEntry) -> IndicatorsEntry:
    """The same market upside down, about the price 100."""
    flipped: dict[str, Any] = {
        name: None if getattr(entry, name) is None else 200.0 - getattr(entry, name)
        for name in PRICES
    }
    rsi = None if entry.rsi is None else 100.0 - entry.rsi
    flipped |= {"high": flipped["low"], "low": flipped["high"], "rsi": rsi}
    return replace(entry, **flipped)


@given(entries, confidences)
def test_short_is_long_upside_down(entry: IndicatorsEntry, confidence: int) -> None:
    rules = replace(RULES, min_confidence=confidence)
    down = mirrored(entry)
    up_signal = evaluate(entry, rules, MARKET, RECEIVED_MS)
    down_signal = evaluate(down, rules, MARKET, RECEIVED_MS)
    assert (up_signal is None) == (down_signal is None)
    assert bias(down) is OPPOSITE[bias(entry)]
    if up_signal is not None and down_signal is not None:
        assert down_signal.side is OTHER[up_signal.side]
        assert down_signal.factors == up_signal.factors
        assert down_signal.stop_loss == 200.0 - up_signal.stop_loss
        assert down_signal.take_profit == 200.0 - up_signal.take_profit


@given(warm, confidences)
def test_enough_factors_make_a_signal_with_stop_and_target_on_their_sides(
    entry: IndicatorsEntry, confidence: int
) -> None:
    side = crossover(entry)
    assert side is not None
    met = [factor.name for factor in factors(entry, side, RULES) if factor.met]
    signal = evaluate(entry, replace(RULES, min_confidence=confidence), MARKET, RECEIVED_MS)
    assert (signal is not None) == (len(met) >= confidence)
    if signal is not None:
        assert (signal.side, signal.factors, signal.confidence) == (side, tuple(met), len(met))
        assert side.sign * (signal.take_profit - signal.entry) > 0
        assert side.sign * (signal.entry - signal.stop_loss) > 0
        if len(met) == 5:
            assert signal.bias is (Bias.BULLISH if side is Side.LONG else Bias.BEARISH)


@given(entries, confidences)
def test_a_lower_confidence_never_loses_a_signal(entry: IndicatorsEntry, confidence: int) -> None:
    strict = evaluate(entry, replace(RULES, min_confidence=confidence), MARKET, RECEIVED_MS)
    loose = evaluate(entry, replace(RULES, min_confidence=1), MARKET, RECEIVED_MS)
    assert strict is None or strict == loose


@given(entries)
def test_what_was_written_to_the_stream_is_judged_the_same(entry: IndicatorsEntry) -> None:
    flat = [text.encode() for text in entry.fields()]
    again = read_indicators(entry.entry_id.encode(), dict(zip(flat[::2], flat[1::2], strict=True)))
    for side in Side:
        assert factors(again, side, RULES) == factors(entry, side, RULES)
    assert evaluate(again, RULES, MARKET, 0) == evaluate(entry, RULES, MARKET, 0)


@given(entries, st.integers(-8, 8))
def test_another_unit_of_price_gives_the_same_verdicts(entry: IndicatorsEntry, power: int) -> None:
    other = replace(
        entry,
        **{
            name: None if getattr(entry, name) is None else getattr(entry, name) * 2.0**power
            for name in (*PRICES, "atr")
        },
    )
    for side in Side:
        assert [factor.met for factor in factors(other, side, RULES)] == [
            factor.met for factor in factors(entry, side, RULES)
        ]


@given(entries)
def test_every_entry_has_a_board_of_five_factors_with_reasons(entry: IndicatorsEntry) -> None:
    board = factors(entry, leaning(entry), RULES)
    assert tuple(factor.name for factor in board) == FACTORS
    assert all(factor.why for factor in board)
