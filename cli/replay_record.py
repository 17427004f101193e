"""What a replay writes: signals.csv, deliveries.csv, and the joins behind summary.json.

Pure. A mail carries its signal's ID in a header; a Telegram message is recognised by its text, and
where two signals read the same (they would have to agree in every number and the time of day) by
order.
"""

import csv
import io
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notifier.message import Periods, telegram_text
from shared.decimals import shortest
from shared.trade_signal import Signal

SIGNAL_COLUMNS = (
    "id",
    "close_time_ms",
    "timeframe",
    "side",
    "entry",
    "stop_loss",
    "take_profit",
    "risk_reward",
    "atr",
    "rsi",
    "vwap",
    "trend_ema",
    "confidence",
    "stale",
)
DELIVERY_COLUMNS = ("channel", "signal_id", "received_at_ms", "message_id")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as a sink received it; ``signal_id`` is empty if it belongs to no signal."""

    channel: str
    signal_id: str
    received_at_ns: int
    message_id: str


def signals_csv(signals: Iterable[Signal]) -> str:
    """The text of signals.csv."""
    rows = [
        (
            signal.id,
            str(signal.close_time_ms),
            signal.timeframe,
            str(signal.side),
            *(shortest(getattr(signal, name)) for name in SIGNAL_COLUMNS[4:12]),
            str(signal.confidence),
            "1" if signal.stale else "0",
        )
        for signal in signals
    ]
    return _csv(SIGNAL_COLUMNS, rows)


def deliveries_csv(deliveries: Iterable[Delivery]) -> str:
    """The text of deliveries.csv."""
    return _csv(
        DELIVERY_COLUMNS,
        [
            (each.channel, each.signal_id, str(each.received_at_ns // 1_000_000), each.message_id)
            for each in deliveries
        ],
    )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def join_deliveries(
    signals: Sequence[Signal], received: Mapping[str, Sequence[Mapping[str, Any]]], periods: Periods
) -> list[Delivery]:
    """Which signal each received message belongs to."""
    emails = [
        Delivery("email", mail["signal_id"] or "", mail["received_at_ns"], mail["message_id"])
        for mail in received["email"]
    ]
    return emails + _telegrams(signals, received["telegram"], periods)


def _telegrams(
    signals: Sequence[Signal], messages: Sequence[Mapping[str, Any]], periods: Periods
) -> list[Delivery]:
    by_text: dict[str, deque[str]] = defaultdict(deque)
    for signal in signals:
        by_text[telegram_text(signal, periods)].append(signal.id)
    found = []
    for message in messages:
        candidates = by_text.get(message["text"])
        signal_id = ""
        if candidates:
            signal_id = candidates.popleft() if len(candidates) > 1 else candidates[0]
        found.append(
            Delivery("telegram", signal_id, message["received_at_ns"], str(message["message_id"]))
        )
    return found


def account(signals: Sequence[Signal], deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """Per channel: messages, signals that never arrived, repeats, messages of no signal."""
    wanted = {signal.id for signal in signals if not signal.stale}
    told = {}
    for channel in ("email", "telegram"):
        counts = Counter(each.signal_id for each in deliveries if each.channel == channel)
        told[channel] = {
            "delivered": sum(counts.values()),
            "lost": len(wanted - set(counts)),
            "duplicates": sum(n - 1 for name, n in counts.items() if name in wanted),
            "unexpected": sum(n for name, n in counts.items() if name not in wanted),
        }
    return told
