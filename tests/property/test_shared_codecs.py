"""Whatever is written to a stream is read back as exactly what it was."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.candle import Candle, flaw, missing_candle, read_candle
from shared.decimals import LARGEST, measured, places, shortest
from shared.indicators_entry import IndicatorsEntry, read_indicators
from shared.malformed import Malformed
from shared.market import Market, market_of, read_market
from shared.trade_signal import FACTORS, Bias, Side, Signal, example_signal, read_signal

anything = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.floats(-LARGEST, LARGEST)
times = st.integers(0, 4_102_444_800_000)  # until 2100
lags = st.integers(-(10**9), 10**12)
timeframes = st.sampled_from(["1m", "5m", "1h"])
sources = st.sampled_from(["ws", "rest"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def stored(flat: list[str]) -> dict[bytes, bytes]:
    """The entry as Redis gives it back."""
    return {
        name.encode(): value.encode() for name, value in zip(flat[::2], flat[1::2], strict=True)
    }


@given(anything | numbers)
def test_every_number_reads_back_as_itself_and_is_written_plain(value: float) -> None:
    text = shortest(value)
    assert float(text) == value
    if abs(value) <= LARGEST:
        assert measured(text) == measured(text.encode()) == value
    assert set(text) <= set("-.0123456789")
    assert not text.endswith(".")


@given(st.integers(0, 12))
def test_the_decimals_of_a_step_are_counted_with_and_without_zeros_behind(count: int) -> None:
    step = f"{10.0**-count:.{count}f}" if count else "1"
    assert places(step) == count
    assert places(f"{step}{'000' if count else '.000'}") == count


@given(
    st.lists(st.floats(1e-12, 1e12), min_size=4, max_size=4), st.floats(0, 1e15), times, lags, times
)
def test_every_candle_reads_back_as_itself(
    prices: list[float], volume: float, boundary_ms: int, lag_ms: int, received_ms: int
) -> None:
    low, open_, close, high = sorted(prices)
    candle = Candle(boundary_ms, open_, high, low, close, volume, "ws", lag_ms, received_ms)
    assert flaw(open_, high, low, close, volume) is None
    assert read_candle(f"{boundary_ms}-0".encode(), stored(candle.fields())) == candle
    marker = missing_candle(boundary_ms, lag_ms, received_ms)
    assert read_candle(f"{boundary_ms}-0".encode(), stored(marker.fields())) == marker


maybe = st.none() | numbers
entries = st.builds(
    lambda ohlc, **others: IndicatorsEntry(
        low=ohlc[0], open=ohlc[1], close=ohlc[2], high=ohlc[3], **others
    ),
    st.lists(st.floats(1e-12, LARGEST), min_size=4, max_size=4).map(sorted),
    timeframe=timeframes,
    boundary_ms=times,
    rank=st.integers(0, 11),
    volume=st.floats(0, LARGEST),
    **dict.fromkeys(
        (
            "ema_fast", "ema_slow", "ema_trend", "ema_fast_prev", "ema_slow_prev",
            "rsi", "atr", "vwap", "volume_ma", "trend_ema",
        ),
        maybe,
    ),
    trend_timeframe=st.none() | timeframes,
    source=sources,
    lag_ms=lags,
    received_at_ms=times,
)  # fmt: skip


@given(entries)
def test_every_indicators_entry_reads_back_as_itself(entry: IndicatorsEntry) -> None:
    assert read_indicators(entry.entry_id.encode(), stored(entry.fields())) == entry


prices = st.floats(1e-9, 1e12)
signals = st.builds(
    Signal,
    market=st.builds(
        Market,
        symbol=st.just("ETHBTC"),
        base=st.just("ETH"),
        quote=st.just("BTC"),
        tick_size=st.sampled_from(["0.01", "0.00001000", "1", "10"]),
        status=st.sampled_from(["TRADING", "BREAK"]),
    ),
    timeframe=timeframes,
    trend_timeframe=timeframes,
    side=st.sampled_from(Side),
    bias=st.sampled_from(Bias),
    close_time_ms=times,
    confidence=st.integers(1, 5),
    factors=st.lists(st.sampled_from(FACTORS), unique=True).map(tuple),
    why=texts,
    stale=st.booleans(),
    source=sources,
    lag_ms=lags,
    received_at_ms=times,
    **dict.fromkeys(
        (
            "entry", "stop_loss", "take_profit", "risk_reward", "atr", "rsi", "vwap",
            "ema_fast", "ema_slow", "trend_ema", "volume", "volume_ma",
        ),
        prices,
    ),
)  # fmt: skip


@given(signals)
def test_every_signal_reads_back_as_itself(signal: Signal) -> None:
    assert read_signal(b"1-0", stored(signal.fields())) == signal


names = st.sampled_from(["symbol", "base", "quote", "tick_size", "status"])


@given(st.dictionaries(names, texts | st.just("0.001")))
def test_whatever_stands_in_the_market_signals_can_be_shown_with_it(spoilt: dict[str, str]) -> None:
    known = market_of("ETH/BTC")
    stored_ = {name.encode(): value.encode() for name, value in spoilt.items()}
    try:
        found = read_market(stored_, known)
    except Malformed:
        return
    assert found.symbol == known.symbol
    shown = example_signal(market=found)
    assert shown.sentence.isprintable()
    assert read_signal(b"1-0", stored(shown.fields())) == shown


@given(st.dictionaries(st.binary(max_size=12), st.binary(max_size=12), max_size=6), st.data())
def test_no_entry_that_somebody_spoilt_gets_through_or_breaks_anything(
    rubbish: dict[bytes, bytes], data: st.DataObject
) -> None:
    """Whatever bytes stand in a field: the same type of thing comes out, or ``Malformed``."""
    readers: list[tuple[Any, list[str]]] = [
        (read_candle, missing_candle(60_000, 0, 0).fields()),
        (read_indicators, data.draw(entries).fields()),
        (read_signal, data.draw(signals).fields()),
    ]
    for read, flat in readers:
        fields = stored(flat)
        name = data.draw(st.sampled_from(sorted(fields)))
        spoilt = fields | rubbish | {name: data.draw(st.binary(max_size=20))}
        try:
            found = read(b"60000-0", spoilt)
        except Malformed:
            continue
        found.fields()  # what was accepted can be written again
