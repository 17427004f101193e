"""What an alert says: subject and text of the email, and the Telegram message. Pure.

Percents are distances from the entry, so for SHORT the stop is above (+) and the target below (−).
"""

from dataclasses import dataclass

from shared.trade_signal import FACTORS, Side, Signal

_LIGHTS = {Side.LONG: "🟢", Side.SHORT: "🔴"}

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


def subject(signal: Signal) -> str:
    """The subject of the email."""
    return f"[{signal.market.base} SCALP] {signal.side} Signal - {signal.timeframe}"


def email_text(signal: Signal, periods: Periods) -> str:
    """The body of the email, also what the console shows."""
    trend = f"{periods.ema_trend}"
    if signal.trend_timeframe != signal.timeframe:
        trend = f"{periods.ema_trend}, {signal.trend_timeframe}"
    lines = (
        f"{_LIGHTS[signal.side]} {signal.market.shown_name} Scalping Signal Detected",
        "",
        f"Signal Type: {signal.side}",
        f"Timeframe: {signal.timeframe}",
        f"Entry Price: {_money(signal, signal.entry)}",
        f"Stop Loss: {_distant(signal, signal.stop_loss)}",
        f"Take Profit: {_distant(signal, signal.take_profit)}",
        f"Risk/Reward: 1:{signal.risk_reward:.2f}",
        "",
        "Market Context:",
        f"- ATR({periods.atr}): {_money(signal, signal.atr)}",
        f"- Market Bias: {signal.bias}",
        f"- Confidence: {signal.confidence}/{len(FACTORS)} factors",
        *([] if signal.quality.complete else [f"- Data: {signal.quality.text}"]),
        "",
        "Indicators:",
        f"- EMA({periods.ema_fast}): {_money(signal, signal.ema_fast)}",
        f"- EMA({periods.ema_slow}): {_money(signal, signal.ema_slow)}",
        f"- EMA({trend}): {_money(signal, signal.trend_ema)}",
        f"- VWAP: {_money(signal, signal.vwap)}",
        f"- RSI({periods.rsi}): {signal.rsi:.1f}",
        f"- Volume: {_volume(signal.volume)} ({signal.volume_ratio:.2f}x avg)",
        "",
        f"Timestamp: {signal.closed_at:%Y-%m-%d %H:%M:%S} UTC",
    )
    return "\n".join(lines)


def telegram_text(signal: Signal, periods: Periods) -> str:
    """The Telegram message, plain text."""
    fast, slow = _money(signal, signal.ema_fast), _money(signal, signal.ema_slow)
    lines = (
        f"{_LIGHTS[signal.side]} {signal.market.shown_name} {signal.side} Signal",
        "",
        f"Entry: {_money(signal, signal.entry)}",
        f"Stop Loss: {_distant(signal, signal.stop_loss)}",
        f"Take Profit: {_distant(signal, signal.take_profit)}",
        f"R:R: 1:{signal.risk_reward:.2f}",
        "",
        f"Market: {signal.bias} | TF: {signal.timeframe}",
        f"ATR: {_money(signal, signal.atr)} | Confidence: {signal.confidence}/{len(FACTORS)}",
        "",
        "Indicators:",
        f"EMA{periods.ema_fast}: {fast} | EMA{periods.ema_slow}: {slow}",
        f"VWAP: {_money(signal, signal.vwap)} | RSI: {signal.rsi:.1f}",
        f"Volume: {signal.volume_ratio:.2f}x avg",
        *([] if signal.quality.complete else [f"Data: {signal.quality.text}"]),
        "",
        f"{signal.closed_at:%H:%M:%S} UTC",
    )
    return "\n".join(lines)


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
