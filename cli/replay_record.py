"""What a replay writes: signals.csv, deliveries.csv, and the joins behind summary.json.

Pure. A mail carries the ID of its signal or event in a header; a Telegram message is recognised by
its text, and where two read the same (they would have to agree in every number and the time of
day) by order.
"""

import csv
import io
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notifier import event_message
from services.notifier.message import Periods, telegram_text, without_heading
from shared.decimals import shortest
from shared.event import Event
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
DELIVERY_COLUMNS = ("channel", "signal_id", "received_at_ms", "message_id", "event_id")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as a sink received it; it belongs to a signal, an event, or (unexpected) none."""

    channel: str
    signal_id: str
    received_at_ns: int
    message_id: str
    event_id: str = ""


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
            (
                each.channel,
                each.signal_id,
                str(each.received_at_ns // 1_000_000),
                each.message_id,
                each.event_id,
            )
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
    signals: Sequence[Signal],
    received: Mapping[str, Sequence[Mapping[str, Any]]],
    periods: Periods,
    events: Sequence[Event] = (),
) -> list[Delivery]:
    """Which signal or event each received message belongs to."""
    emails = [
        Delivery(
            "email",
            mail["signal_id"] or "",
            mail["received_at_ns"],
            mail["message_id"],
            mail["event_id"] or "",
        )
        for mail in received["email"]
    ]
    of_signals = _by_text((_bare(telegram_text(each, periods)), each.id) for each in signals)
    of_events = _by_text((event_message.telegram_text(each), each.id) for each in events)
    telegrams = [
        Delivery(
            "telegram",
            _next(of_signals[_bare(message["text"])]),
            message["received_at_ns"],
            str(message["message_id"]),
            _next(of_events[without_heading(message["text"])]) or _lost_event(message["text"]),
        )
        for message in received["telegram"]
    ]
    return emails + telegrams


def _lost_event(text: str) -> str:
    """A name for an event that Redis has lost since, empty if the message tells of none."""
    return "lost since" if event_message.is_telegram_text(text) else ""


def _bare(text: str) -> str:
    """Without how old it was when sent, and without the data-quality stamp.

    A signal that was lost and found again may have another of either.
    """
    lines = without_heading(text).split("\n")
    return "\n".join(line for line in lines if not line.startswith("Data: "))


def _by_text(texts: Iterable[tuple[str, str]]) -> dict[str, deque[str]]:
    found: dict[str, deque[str]] = defaultdict(deque)
    for text, its_id in texts:
        found[text].append(its_id)
    return found


def _next(candidates: deque[str]) -> str:
    """The first that was not taken yet; the last one is never taken away, so that repeats show."""
    if not candidates:
        return ""
    return candidates.popleft() if len(candidates) > 1 else candidates[0]


def account(signals: Sequence[Signal], deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """Per channel: messages of signals, signals that never arrived, repeats, messages of neither.

    Messages about the scanner itself are counted as ``events`` and nowhere else.
    """
    wanted = {signal.id for signal in signals if not signal.stale}
    told = {}
    for channel in ("email", "telegram"):
        here = [each for each in deliveries if each.channel == channel]
        counts = Counter(each.signal_id for each in here if not each.event_id)
        told[channel] = {
            "delivered": sum(counts.values()),
            "lost": len(wanted - set(counts)),
            "duplicates": sum(n - 1 for name, n in counts.items() if name in wanted),
            "unexpected": sum(n for name, n in counts.items() if name not in wanted),
            "events": sum(bool(each.event_id) for each in here),
        }
    return told
