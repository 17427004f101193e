"""What is said of a signal's way through a channel, and how signals are listed."""

import json
from typing import Any

import pytest

from cli.signals_command import Delivery, Listed, _Group, _tick, delivery, document, text, told
from cli.words import WIDTH
from shared.quality import Quality
from shared.trade_signal import FACTORS, Signal, example_signal

ENTRY = b"1762094100500-1"
ACCEPTED = b"1762094101212 <a@example.com>"
READ = _Group((1762094100500, 1), {})
PENDING = _Group((1762094100500, 1), {ENTRY: 3})
BEFORE = _Group((1762094100500, 0), {})


def example(**changes: Any) -> Signal:
    return example_signal(**changes)


@pytest.mark.parametrize(
    ("signal", "records", "group", "words"),
    [
        (example(), [ACCEPTED], READ, "email ✓ 1.2s"),
        (example(), [ACCEPTED, b"1762094103012 <b@x>"], READ, "email ✓ 3.0s"),
        (example(), [b"edited by hand"], READ, "email ✓"),
        (example(), [None], PENDING, "email pending after 3 attempts"),
        (example(), [ACCEPTED, None], PENDING, "email pending after 3 attempts (1 of 2 have it)"),
        (example(), [None], BEFORE, "email unread"),
        (example(), [None], READ, "email not on record"),
        (example(), [b"dead"], READ, "email given up: see ./btc-scanner dead list"),
        (
            example(),
            [ACCEPTED, b"1762094101212 dead letter"],
            READ,
            "email given up: see ./btc-scanner dead list (1 of 2 have it)",
        ),
        (example(), [b"dead", None], PENDING, "email pending after 3 attempts"),
        (example(stale=True), [None], READ, "email not sent: stale"),
        (example(stale=True), [None], BEFORE, "email not sent: stale"),
    ],
    ids=[
        "everybody has it", "the last acceptance counts", "record without a time", "tried again",
        "some have it", "not read yet", "ledger expired", "dead letter",
        "dead letter for one of two", "dead letter, another is tried again",
        "stale", "stale and not read yet",
    ],
)  # fmt: skip
def test_what_became_of_a_signal_is_told_in_words(
    signal: Signal, records: list[bytes | None], group: _Group, words: str
) -> None:
    assert told(delivery("email", ENTRY, signal, records, group), "✓") == words


def listed(signal: Signal, *states: str) -> Listed:
    sent = tuple(
        Delivery(name, state, 1, int(state == "delivered"), None, None, int(state == "pending"))
        for name, state in zip(("email", "telegram"), states, strict=True)
    )
    return Listed(ENTRY.decode(), signal, "", sent)


def test_signals_are_listed_with_numbers_and_deliveries() -> None:
    found = [
        Listed("7-0", None, "signals entry b'7-0' has no field 'symbol'", ()),
        listed(example(), "delivered", "pending"),
        listed(example(stale=True), "stale", "stale"),
        listed(
            example(confidence=4, factors=tuple(f for f in FACTORS if f != "higher_timeframe")),
            "unread",
            "settled",
        ),
    ]
    assert text(found, tick="ok").split("\n") == [
        "unreadable: signals entry b'7-0' has no field 'symbol'",
        "2025-11-02 14:35:00 UTC  LONG  BTC/USDT 5m  entry 65,432.50, stop 65,200.00,"
        " target 65,665.00,",
        "                         R:R 1:1.00, 5/5 factors; email ok; telegram pending after"
        " 1 attempt",
        "2025-11-02 14:35:00 UTC  LONG  BTC/USDT 5m  entry 65,432.50, stop 65,200.00,"
        " target 65,665.00,",
        "                         R:R 1:1.00, 5/5 factors; not sent: stale",
        "2025-11-02 14:35:00 UTC  LONG  BTC/USDT 5m  entry 65,432.50, stop 65,200.00,"
        " target 65,665.00,",
        "                         R:R 1:1.00, 4/5 factors, without higher timeframe; email unread;"
        " telegram",
        "                         not on record",
    ]
    assert max(map(len, text(found, tick="ok").splitlines())) <= WIDTH


def test_how_the_data_came_is_listed_unless_all_came_in_time() -> None:
    holey = listed(example(quality=Quality(500, by_rest=3)), "delivered", "delivered")
    whole = listed(example(), "delivered", "delivered")
    assert "5/5 factors, 3 by REST of the last 500 candles; email" in text([holey], tick="✓")
    assert "candles" not in text([whole], tick="✓")
    assert document([holey])["signals"][0]["quality"] == "3 by REST of the last 500 candles"


def test_where_there_is_no_signal_it_says_where_to_look() -> None:
    words = text([], tick="ok")
    assert words.startswith("No signals yet.")
    assert "btc-scanner status" in words
    assert document([]) == {"signals": []}


def test_json_keeps_numbers_as_numbers() -> None:
    found = json.loads(json.dumps(document([listed(example(), "delivered", "pending")])))
    (signal,) = found["signals"]
    assert (signal["id"], signal["side"]) == ("BTCUSDT:5m:LONG:1762094100000", "LONG")
    assert (signal["entry"], signal["stop_loss"], signal["close_time_ms"], signal["stale"]) == (
        65432.5, 65200.0, 1762094100000, False,
    )  # fmt: skip
    assert [each["state"] for each in signal["deliveries"]] == ["delivered", "pending"]
    broken = document([Listed("7-0", None, "no symbol", ())])
    assert broken == {"signals": [{"entry_id": "7-0", "malformed": "no symbol"}]}


@pytest.mark.parametrize(
    ("encoding", "tick"), [("utf-8", "✓"), ("ascii", "ok"), (None, "ok"), ("klingon", "ok")]
)
def test_a_terminal_without_the_tick_gets_a_word(encoding: str | None, tick: str) -> None:
    assert _tick(encoding) == tick
