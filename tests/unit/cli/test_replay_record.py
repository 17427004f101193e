"""Which message belongs to which signal or event, and what a channel is held to account for."""

from typing import Any

from cli.replay_record import account, deliveries_csv, join_deliveries
from services.notifier import event_message
from services.notifier.message import Periods, telegram_text
from shared.event import Event
from shared.trade_signal import Signal, example_signal

PERIODS = Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6)
BLIND = Event("feed BLIND", "feed:BTCUSDT", "blind", "ingest", "1", 5000, True, 3000)
FIRST, SECOND = example_signal(), example_signal(close_time_ms=1762094400000)


def mail(signal_id: str = "", event_id: str = "") -> dict[str, Any]:
    return {
        "signal_id": signal_id, "event_id": event_id, "received_at_ns": 7_000_000,
        "message_id": "<a@b>",
    }  # fmt: skip


def telegram(alert: Signal | Event | str) -> dict[str, Any]:
    text = alert
    if isinstance(alert, Event):
        text = event_message.telegram_text(alert)
    elif isinstance(alert, Signal):
        text = telegram_text(alert, PERIODS)
    return {"text": text, "received_at_ns": 8_000_000, "message_id": 3}


def joined(emails: list[dict[str, Any]], telegrams: list[dict[str, Any]]) -> Any:
    received = {"email": emails, "telegram": telegrams}
    return join_deliveries([FIRST, SECOND], received, PERIODS, [BLIND])


def test_messages_about_the_scanner_are_neither_deliveries_nor_unexpected() -> None:
    found = joined(
        [mail(FIRST.id), mail(event_id=BLIND.id), mail(SECOND.id)],
        [telegram(FIRST), telegram(BLIND), telegram(BLIND), telegram(SECOND)],
    )
    faultless = {"delivered": 2, "lost": 0, "duplicates": 0, "unexpected": 0}
    assert account([FIRST, SECOND], found) == {
        "email": {**faultless, "events": 1},
        "telegram": {**faultless, "events": 2},
    }


def test_what_belongs_to_nothing_is_unexpected_and_what_is_lost_or_repeated_is_counted() -> None:
    found = joined([mail(FIRST.id), mail(FIRST.id), mail()], [telegram("hello"), telegram(SECOND)])
    assert account([FIRST, SECOND], found) == {
        "email": {"delivered": 3, "lost": 1, "duplicates": 1, "unexpected": 1, "events": 0},
        "telegram": {"delivered": 2, "lost": 1, "duplicates": 0, "unexpected": 1, "events": 0},
    }


def test_the_file_names_the_signal_or_the_event() -> None:
    assert deliveries_csv(joined([mail(FIRST.id)], [telegram(BLIND)])).splitlines() == [
        "channel,signal_id,received_at_ms,message_id,event_id",
        f"email,{FIRST.id},7,<a@b>,",
        "telegram,,8,3,feed:BTCUSDT:blind:3000",
    ]
