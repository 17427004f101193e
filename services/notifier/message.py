"""What a signal says: subject and letter of the email, and the Telegram message. Pure.

The age of a signal that is late is an argument; no clock is read here.

Percents are distances from the entry, so for SHORT the stop is above (+) and the target below (−).
"""

import re
from dataclasses import dataclass

from services.notifier import markup
from services.notifier.letter import Letter, Section
from services.notifier.markup import Message, bold
from shared.times import lasting
from shared.trade_signal import FACTORS, Side, Signal

_LIGHTS = {Side.LONG: "🟢", Side.SHORT: "🔴"}
_ACCENTS = {Side.LONG: "#16a34a", Side.SHORT: "#dc2626"}

_TEST = "TEST: no signal, do not trade"
_HEADING = re.compile(r"\A(?:(?:🧪 TEST|⏰ LATE) ?[^\n]*\n)+\n")

# From here on decimals of a volume say nothing to a trader.
_WHOLE_VOLUME = 1000


@dataclass(frozen=True, slots=True)
class Periods:
    """Periods of the shown indicators, in candles."""

    ema_fast: int
    ema_slow: int
    ema_trend: int
    atr: int
    rsi: int


def heading_lines(signal: Signal, late_ms: float | None = None) -> tuple[str, ...]:
    """What must be read before the signal itself; ``late_ms`` is the age of one that is late."""
    test = (f"🧪 {_TEST}",) if signal.test else ()
    return test if late_ms is None else (*test, f"⏰ LATE {lasting(late_ms)}: price may have moved")


def without_heading(text: str) -> str:
    """A text as it was without such lines before it: these depend on when it was sent."""
    return _HEADING.sub("", text)


def subject(signal: Signal, late_ms: float | None = None) -> str:
    """The subject of the email."""
    test = f"{_TEST} " if signal.test else ""
    late = "" if late_ms is None else f"LATE {lasting(late_ms)} "
    base = signal.market.base
    return f"{test}{late}[{base} SCALP] {signal.side} Signal - {signal.timeframe}"


def letter(signal: Signal, periods: Periods, late_ms: float | None = None) -> Letter:
    """The email."""
    trend = f"{periods.ema_trend}"
    if signal.trend_timeframe != signal.timeframe:
        trend = f"{periods.ema_trend}, {signal.trend_timeframe}"
    return Letter(
        title=f"{_LIGHTS[signal.side]} {signal.market.shown_name} Scalping Signal Detected",
        accent=_ACCENTS[signal.side],
        notices=heading_lines(signal, late_ms),
        sections=(
            Section(
                (
                    ("Signal Type", f"{signal.side}"),
                    ("Timeframe", signal.timeframe),
                    ("Entry Price", _money(signal, signal.entry)),
                    ("Stop Loss", _distant(signal, signal.stop_loss)),
                    ("Take Profit", _distant(signal, signal.take_profit)),
                    ("Risk/Reward", f"1:{signal.risk_reward:.2f}"),
                )
            ),
            Section(
                (
                    (f"ATR({periods.atr})", _money(signal, signal.atr)),
                    ("Market Bias", f"{signal.bias}"),
                    ("Confidence", _confidence(signal, "factors")),
                    *([] if signal.quality.complete else [("Data", signal.quality.text)]),
                ),
                "Market Context",
            ),
            Section(
                (
                    (f"EMA({periods.ema_fast})", _money(signal, signal.ema_fast)),
                    (f"EMA({periods.ema_slow})", _money(signal, signal.ema_slow)),
                    (f"EMA({trend})", _money(signal, signal.trend_ema)),
                    ("VWAP", _money(signal, signal.vwap)),
                    (f"RSI({periods.rsi})", f"{signal.rsi:.1f}"),
                    ("Volume", f"{_volume(signal.volume)} ({signal.volume_ratio:.2f}x avg)"),
                ),
                "Indicators",
            ),
            Section((("Timestamp", f"{signal.closed_at:%Y-%m-%d %H:%M:%S} UTC"),)),
        ),
    )


def email_text(signal: Signal, periods: Periods) -> str:
    """The plain text of the email, in time; also what the console shows."""
    return letter(signal, periods).text


def telegram_message(signal: Signal, periods: Periods, late_ms: float | None = None) -> Message:
    """The Telegram message."""
    fast, slow = _money(signal, signal.ema_fast), _money(signal, signal.ema_slow)
    heading = heading_lines(signal, late_ms)
    return markup.message(
        (
            *map(bold, heading),
            *([""] if heading else []),
            bold(f"{_LIGHTS[signal.side]} {signal.market.shown_name} {signal.side} Signal"),
            "",
            f"Entry: {_money(signal, signal.entry)}",
            f"Stop Loss: {_distant(signal, signal.stop_loss)}",
            f"Take Profit: {_distant(signal, signal.take_profit)}",
            f"R:R: 1:{signal.risk_reward:.2f}",
            "",
            f"Market: {signal.bias} | TF: {signal.timeframe}",
            f"ATR: {_money(signal, signal.atr)} | Confidence: {_confidence(signal)}",
            "",
            bold("Indicators:"),
            f"EMA{periods.ema_fast}: {fast} | EMA{periods.ema_slow}: {slow}",
            f"VWAP: {_money(signal, signal.vwap)} | RSI: {signal.rsi:.1f}",
            f"Volume: {signal.volume_ratio:.2f}x avg",
            *([] if signal.quality.complete else [f"Data: {signal.quality.text}"]),
            "",
            f"{signal.closed_at:%H:%M:%S} UTC",
        )
    )


def telegram_text(signal: Signal, periods: Periods) -> str:
    """What a reader sees of the Telegram message, in time."""
    return telegram_message(signal, periods).plain


def _confidence(signal: Signal, unit: str = "") -> str:
    return f"{signal.confidence}/{len(FACTORS)} {unit}".rstrip() + signal.lacking


def _money(signal: Signal, value: float) -> str:
    price = signal.price(value)
    return f"${price}" if signal.market.in_dollars else f"{price} {signal.market.quote}"


def _distant(signal: Signal, price: float) -> str:
    return f"{_money(signal, price)} ({_percent(signal.percent(price))})"


def _percent(value: float) -> str:
    """Two decimals with a sign; what rounds to zero has none ("-0.00%" is noise)."""
    rounded = round(value, 2)
    return f"{rounded:+.2f}%" if rounded else "0.00%"


def _volume(value: float) -> str:
    whole = value >= _WHOLE_VOLUME or value == int(value)
    return f"{value:,.0f}" if whole else f"{value:,.2f}"
