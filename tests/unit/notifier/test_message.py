"""The texts of an alert, byte for byte."""

import pytest

from services.notifier.message import (
    Periods,
    email_text,
    letter,
    subject,
    telegram_message,
    telegram_text,
    without_heading,
)
from services.notifier.wording import Wording
from shared.market import Market
from shared.quality import Quality
from shared.trade_signal import Bias, Side, example_signal

PERIODS = Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6)

EMAIL = """\
🟢 BTC/USD Scalping Signal Detected

Signal Type: LONG
Timeframe: 5m
Entry Price: $65,432.50
Stop Loss: $65,200.00 (-0.36%)
Take Profit: $65,665.00 (+0.36%)
Risk/Reward: 1:1.00

Market Context:
- ATR(14): $232.50
- Market Bias: BULLISH
- Confidence: 5/5 factors

Indicators:
- EMA(9): $65,450.00
- EMA(21): $65,380.00
- EMA(50, 1h): $65,100.00
- VWAP: $65,300.00
- RSI(6): 55.3
- Volume: 1,234,567 (1.75x avg)

Timestamp: 2025-11-02 14:35:00 UTC"""

TELEGRAM = """\
🟢 BTC/USD LONG Signal

Entry: $65,432.50
Stop Loss: $65,200.00 (-0.36%)
Take Profit: $65,665.00 (+0.36%)
R:R: 1:1.00

Market: BULLISH | TF: 5m
ATR: $232.50 | Confidence: 5/5

Indicators:
EMA9: $65,450.00 | EMA21: $65,380.00
VWAP: $65,300.00 | RSI: 55.3
Volume: 1.75x avg

14:35:00 UTC"""


def line(text: str, start: str) -> str:
    """What follows ``start`` on its line."""
    return next(row.removeprefix(start) for row in text.splitlines() if row.startswith(start))


def test_the_texts_are_those_that_were_promised() -> None:
    signal = example_signal()
    assert subject(signal) == "[BTC SCALP] LONG Signal - 5m"
    assert email_text(signal, PERIODS) == EMAIL
    assert telegram_text(signal, PERIODS) == TELEGRAM


def test_a_short_signal_is_red_and_its_percents_swap_signs() -> None:
    signal = example_signal(
        side=Side.SHORT, stop_loss=65665.00, take_profit=65200.00, bias=Bias.BEARISH
    )
    email, telegram = email_text(signal, PERIODS), telegram_text(signal, PERIODS)
    assert subject(signal) == "[BTC SCALP] SHORT Signal - 5m"
    assert email.startswith("🔴 BTC/USD Scalping Signal Detected\n\nSignal Type: SHORT\n")
    assert telegram.startswith("🔴 BTC/USD SHORT Signal\n")
    for text in (email, telegram):
        assert line(text, "Stop Loss: ") == "$65,665.00 (+0.36%)"
        assert line(text, "Take Profit: ") == "$65,200.00 (-0.36%)"
    assert line(telegram, "Market: ") == "BEARISH | TF: 5m"


def test_what_a_signal_does_without_is_said() -> None:
    met = ("trend", "bias", "momentum")
    signal = example_signal(confidence=3, factors=met, bias=Bias.NEUTRAL)
    email, telegram = email_text(signal, PERIODS), telegram_text(signal, PERIODS)
    lacking = "without volume, higher timeframe"
    assert line(email, "- Confidence: ") == f"3/5 factors, {lacking}"
    assert line(telegram, "ATR: ") == f"$232.50 | Confidence: 3/5, {lacking}"


def test_the_configured_periods_are_shown() -> None:
    signal = example_signal()
    periods = Periods(ema_fast=5, ema_slow=13, ema_trend=200, atr=7, rsi=2)
    email, telegram = email_text(signal, periods), telegram_text(signal, periods)
    for label in ("- ATR(7): ", "- EMA(5): ", "- EMA(13): ", "- EMA(200, 1h): ", "- RSI(2): "):
        assert line(email, label)
    assert line(telegram, "EMA5: ") == "$65,450.00 | EMA13: $65,380.00"


def test_the_trend_line_names_no_timeframe_when_it_is_the_signals_own() -> None:
    email = email_text(example_signal(trend_timeframe="5m"), PERIODS)
    assert line(email, "- EMA(50): ") == "$65,100.00"


@pytest.mark.parametrize(
    ("quote", "tick", "price", "shown", "name"),
    [
        pytest.param("USDT", "0.01000000", 65432.5, "$65,432.50", "BTC/USD", id="dollar"),
        pytest.param("USDC", "0.1", 65432.5, "$65,432.5", "BTC/USD", id="one decimal"),
        pytest.param("FDUSD", "1.00000000", 65432.0, "$65,432", "BTC/USD", id="no decimals"),
        pytest.param("EUR", "0.01", 1234567.891, "1,234,567.89 EUR", "BTC/EUR", id="euro"),
        pytest.param("ETH", "0.00001000", 0.05123, "0.05123 ETH", "BTC/ETH", id="small"),
    ],
)
def test_prices_are_shown_in_the_quote_with_the_decimals_of_the_tick(
    quote: str, tick: str, price: float, shown: str, name: str
) -> None:
    signal = example_signal(market=Market(f"BTC{quote}", "BTC", quote, tick), entry=price)
    email, telegram = email_text(signal, PERIODS), telegram_text(signal, PERIODS)
    assert line(email, "Entry Price: ") == shown
    assert line(telegram, "Entry: ") == shown
    assert email.startswith(f"🟢 {name} Scalping")
    assert telegram.startswith(f"🟢 {name} LONG")


@pytest.mark.parametrize(
    ("volume", "shown"),
    [
        (1234567.0, "1,234,567"),
        (1000.4, "1,000"),
        (999.994, "999.99"),
        (12.5, "12.50"),
        (12.0, "12"),
        (0.0, "0"),
    ],
)
def test_a_volume_has_decimals_only_where_they_matter(volume: float, shown: str) -> None:
    email = email_text(example_signal(volume=volume, volume_ma=volume / 2), PERIODS)
    ratio = "2.00x" if volume else "0.00x"
    assert line(email, "- Volume: ") == f"{shown} ({ratio} avg)"


@pytest.mark.parametrize("stop", [65432.50, 65432.49, 65432.51])
def test_what_rounds_to_zero_percent_has_no_sign(stop: float) -> None:
    email = email_text(example_signal(stop_loss=stop), PERIODS)
    assert line(email, "Stop Loss: ").endswith("(0.00%)")


def test_the_data_behind_a_signal_are_shown_unless_all_came_in_time() -> None:
    holey = example_signal(quality=Quality(500, by_rest=3, missing=2))
    shown = "3 by REST, 2 missing of the last 500 candles"
    assert f"- Data: {shown}\n" in email_text(holey, PERIODS)
    assert f"Data: {shown}\n" in telegram_text(holey, PERIODS)


WORDING = Wording(PERIODS, "BTC", late_after_s=60.0)
LATE = "⏰ LATE 4m 10s: price may have moved"
TEST = "🧪 TEST: no signal, do not trade"


def at_age(seconds: float) -> int:
    """Our clock when the example signal is so old."""
    signal = example_signal()
    return signal.received_at_ms - signal.lag_ms + round(seconds * 1000)


def test_a_signal_that_is_late_says_so_before_anything_else() -> None:
    signal, now_ms = example_signal(), at_age(250)
    assert WORDING.subject(signal, now_ms) == "LATE 4m 10s [BTC SCALP] LONG Signal - 5m"
    assert WORDING.letter(signal, now_ms).text == f"{LATE}\n\n{EMAIL}"
    assert WORDING.telegram(signal, now_ms).plain == f"{LATE}\n\n{TELEGRAM}"


def test_a_signal_is_late_only_when_older_than_the_limit() -> None:
    signal = example_signal()
    for age_s in (-5, 0, 60):
        now_ms = at_age(age_s)
        assert WORDING.subject(signal, now_ms) == "[BTC SCALP] LONG Signal - 5m"
        assert WORDING.letter(signal, now_ms).text == EMAIL
        assert WORDING.telegram(signal, now_ms).plain == TELEGRAM
    assert WORDING.subject(signal, at_age(60.001)).startswith("LATE 1m 0s [")
    assert Wording(PERIODS, "BTC", 5.0).subject(signal, at_age(6)).startswith("LATE 6.0s [")


def test_a_test_alert_cannot_be_taken_for_a_signal() -> None:
    signal = example_signal(test=True)
    assert WORDING.subject(signal, at_age(0)) == f"{TEST[2:]} [BTC SCALP] LONG Signal - 5m"
    assert WORDING.letter(signal, at_age(0)).text == f"{TEST}\n\n{EMAIL}"
    assert WORDING.telegram(signal, at_age(0)).plain == f"{TEST}\n\n{TELEGRAM}"
    late = at_age(250)
    assert WORDING.subject(signal, late).startswith(f"{TEST[2:]} LATE 4m 10s [BTC")
    assert WORDING.telegram(signal, late).plain == f"{TEST}\n{LATE}\n\n{TELEGRAM}"


@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize("age_s", [0, 250, 10**6])
def test_a_message_can_be_recognised_however_late_it_was_sent(test: bool, age_s: int) -> None:
    message = WORDING.telegram(example_signal(test=test), at_age(age_s))
    assert without_heading(message.plain) == TELEGRAM


def test_the_telegram_message_has_few_words_in_bold() -> None:
    html = telegram_message(example_signal(), PERIODS, late_ms=250_000).html
    assert html.startswith(f"<b>{LATE}</b>\n\n<b>🟢 BTC/USD LONG Signal</b>\n\nEntry: $65,432.50\n")
    assert html.count("<b>") == html.count("</b>") == 3
    assert "<b>Indicators:</b>" in html


def test_the_edge_of_the_mail_has_the_colour_of_its_direction() -> None:
    short = example_signal(side=Side.SHORT)
    accents = {letter(signal, PERIODS).accent for signal in (example_signal(), short)}
    assert len(accents) == 2
    assert letter(short, PERIODS).accent in letter(short, PERIODS).html
