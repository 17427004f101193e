"""The signal as a trader reads it in redis-cli, and as the notifier reads it back."""

from dataclasses import replace

import pytest

from shared.malformed import Malformed
from shared.market import Market
from shared.trade_signal import FACTORS, Bias, Side, Signal, example_signal, read_signal

ID = b"1762094100052-0"
SIGNAL = example_signal()
SHORT = example_signal(
    side=Side.SHORT, stop_loss=65665.0, take_profit=65200.0, bias=Bias.BEARISH, stale=True
)


def stored(signal: Signal) -> dict[bytes, bytes]:
    """The entry as Redis gives it back."""
    flat = [text.encode() for text in signal.fields()]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_a_long_signal_reads_like_a_sentence() -> None:
    assert SIGNAL.sentence == (
        "LONG BTC/USDT 5m at 65,432.50, stop 65,200.00 (-0.36%), target 65,665.00 (+0.36%),"
        " R:R 1:1.00, 5/5 factors, BULLISH, candle closed 2025-11-02 14:35:00 UTC"
    )


def test_a_stale_short_signal_says_first_that_it_was_not_alerted() -> None:
    assert SHORT.sentence == (
        "stale, not alerted: SHORT BTC/USDT 5m at 65,432.50, stop 65,665.00 (+0.36%),"
        " target 65,200.00 (-0.36%), R:R 1:1.00, 5/5 factors, BEARISH,"
        " candle closed 2025-11-02 14:35:00 UTC"
    )


def test_prices_have_the_decimals_of_the_market() -> None:
    market = Market("DOGEUSDT", "DOGE", "USDT", "0.00001000")
    signal = example_signal(market=market, entry=0.1, stop_loss=0.09, take_profit=0.12)
    assert signal.sentence.startswith(
        "LONG DOGE/USDT 5m at 0.10000, stop 0.09000 (-10.00%), target 0.12000 (+20.00%),"
    )


def test_the_sentence_comes_first_and_then_the_reasons() -> None:
    assert SIGNAL.fields()[:4] == ["signal", SIGNAL.sentence, "why", SIGNAL.why]


def test_all_fields_of_a_signal() -> None:
    assert SIGNAL.fields()[4:] == [
        "id", "BTCUSDT:5m:LONG:1762094100000",
        "symbol", "BTCUSDT", "base", "BTC", "quote", "USDT", "tick_size", "0.01",
        "status", "TRADING",
        "timeframe", "5m", "side", "LONG", "close_time_ms", "1762094100000",
        "trend_timeframe", "1h", "bias", "BULLISH", "confidence", "5",
        "entry", "65432.5", "stop_loss", "65200", "take_profit", "65665", "risk_reward", "1",
        "atr", "232.5", "rsi", "55.3", "vwap", "65300", "ema_fast", "65450", "ema_slow", "65380",
        "trend_ema", "65100", "volume", "1234567", "volume_ma", "705466.857",
        "factors", "trend bias momentum volume higher_timeframe", "stale", "0",
        "source", "ws", "lag_ms", "12", "received_at", "1762094100012",
        "quality", "complete",
        "warm_up", "500", "warm_up_by_rest", "0", "warm_up_late", "0", "warm_up_missing", "0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "signal",
    [SIGNAL, SHORT, example_signal(factors=("trend",), confidence=1), example_signal(factors=())],
)
def test_a_signal_reads_back_as_itself(signal: Signal) -> None:
    assert read_signal(ID, stored(signal)) == signal


# Those are made of the others, and never read; and a signal may have no data-quality stamp.
UNREAD = {"signal", "id", "quality", "warm_up"}


@pytest.mark.parametrize(
    "name", [name.encode() for name in SIGNAL.fields()[::2] if name not in UNREAD]
)
def test_a_signal_without_one_of_its_fields_is_malformed(name: bytes) -> None:
    fields = stored(SIGNAL)
    del fields[name]
    with pytest.raises(Malformed, match=f"has no field '{name.decode()}'"):
        read_signal(ID, fields)


@pytest.mark.parametrize(
    "change",
    [
        {b"side": b"UP"},
        {b"bias": b"bullish"},
        {b"close_time_ms": b"soon"},
        {b"close_time_ms": b"9" * 30},
        {b"confidence": b"5.0"},
        {b"entry": b"x"},
        {b"entry": b"0"},
        {b"rsi": b"nan"},
        {b"atr": b"inf"},
        {b"tick_size": b"small"},
        {b"tick_size": b"1e-100000"},
        {b"base": b"BTC\r\nBcc: you@example.com"},
        {b"quote": b"\xe2\x80\xae"},
        {b"symbol": b"x" * 5000},
        {b"timeframe": b"1\n"},
        {b"trend_timeframe": b"\x00"},
        {b"vwap": b"1.7e308"},
        {b"lag_ms": b"9" * 400},
        {b"why": b"\xff"},
    ],
    ids=str,
)
def test_a_signal_that_could_not_be_shown_is_malformed(change: dict[bytes, bytes]) -> None:
    with pytest.raises(Malformed, match=r"signals entry b'1762094100052-0'"):
        read_signal(ID, stored(SIGNAL) | change)


def test_fields_of_later_versions_are_passed_over() -> None:
    assert read_signal(ID, stored(SIGNAL) | {b"mood": b"good"}) == SIGNAL


def test_the_identity_is_market_timeframe_side_and_boundary() -> None:
    assert SIGNAL.id == "BTCUSDT:5m:LONG:1762094100000"
    assert replace(SIGNAL, entry=1.0, why="", stale=True).id == SIGNAL.id


def test_a_volume_without_an_average_has_no_ratio() -> None:
    assert example_signal(volume=7.0, volume_ma=2.0).volume_ratio == 3.5
    assert example_signal(volume_ma=0.0).volume_ratio == 0.0


def test_factors_and_signs() -> None:
    assert FACTORS == ("trend", "bias", "momentum", "volume", "higher_timeframe")
    assert (Side.LONG.sign, Side.SHORT.sign) == (1, -1)
