"""The texts of messages about the scanner itself."""

from dataclasses import replace

import pytest

from services.notifier.event_message import email_text, is_telegram_text, subject, telegram_text
from services.notifier.message import Periods
from services.notifier.message import email_text as signal_text
from services.notifier.wording import Wording
from shared.event import Event, Trouble
from shared.trade_signal import example_signal

BLIND = Event(
    sentence="feed BLIND since 2025-11-02 14:35:00 UTC: no candle of BTCUSDT 1m",
    subject="feed:BTCUSDT",
    state="blind",
    service="ingest",
    instance="2",
    at_ms=1762094190000,
    alert=True,
    since_ms=1762094100000,
    details={"timeframe": "1m", "by_rest": "3 candles"},
)

EMAIL = """\
🟠 feed BLIND since 2025-11-02 14:35:00 UTC: no candle of BTCUSDT 1m

Time: 2025-11-02 14:36:30 UTC
Since: 2025-11-02 14:35:00 UTC
Noticed by: ingest, instance 2
Timeframe: 1m
By rest: 3 candles"""


def event(subject: str, state: str, **changes: object) -> Event:
    known: dict[str, object] = {
        "sentence": "Redis has lost data", "service": "notifier", "instance": "1",
        "at_ms": 1762094190000, "alert": True, "since_ms": 1762094190000,
    }  # fmt: skip
    return Event(subject=subject, state=state, **{**known, **changes})  # type: ignore[arg-type]


def test_the_texts_are_those_that_were_promised() -> None:
    assert email_text(BLIND) == EMAIL
    assert telegram_text(BLIND) == f"🟠 {BLIND.sentence}\n\n2025-11-02 14:36:30 UTC"


def test_what_has_no_beginning_names_one_time() -> None:
    assert "Since:" not in email_text(event("redis", "lost"))


@pytest.mark.parametrize(
    ("about", "state", "shown"),
    [
        ("feed:BTCUSDT", "blind", "[BTC SCALP] Feed BLIND"),
        ("feed:BTCUSDT", "recovered", "[BTC SCALP] Feed RECOVERED"),
        ("service:detector", "down", "[BTC SCALP] Detector DOWN"),
        ("clock", "skewed", "[BTC SCALP] Clock SKEWED"),
        ("redis", "lost", "[BTC SCALP] Redis LOST DATA"),
        ("channel:telegram", "broken", "[BTC SCALP] Telegram BROKEN"),
        ("channel:email", "recovered", "[BTC SCALP] Email RECOVERED"),
        ("channel:email", "dead", "[BTC SCALP] Alert NOT DELIVERED by email"),
        ("error:ingest", "logged", "[BTC SCALP] Ingest ERROR"),
    ],
)
def test_the_subject_says_what_and_how(about: str, state: str, shown: str) -> None:
    assert subject(event(about, state), "BTC") == shown


def test_a_detail_says_its_unit() -> None:
    skewed = event("clock", "skewed", details={"clock_skew_ms": "23807"})
    assert "\nClock skew (ms): 23807" in email_text(skewed)


def test_its_lights_are_not_those_of_signals() -> None:
    over = event("feed:BTCUSDT", "recovered", ends=True)
    assert email_text(over)[0] == telegram_text(over)[0] == "🔵"
    assert email_text(BLIND)[0] == telegram_text(event("redis", "lost"))[0] == "🟠"


def test_one_place_words_either_kind() -> None:
    periods, signal = (
        Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6),
        example_signal(),
    )
    wording = Wording(periods, "ETH")
    now_ms = signal.received_at_ms
    assert wording.subject(BLIND, BLIND.at_ms) == "[ETH SCALP] Feed BLIND"
    assert wording.subject(signal, now_ms) == "[BTC SCALP] LONG Signal - 5m"
    assert wording.letter(BLIND, BLIND.at_ms).text == EMAIL
    assert wording.letter(signal, now_ms).text == signal_text(signal, periods)
    assert wording.telegram(BLIND, BLIND.at_ms).plain == telegram_text(BLIND)
    assert wording.telegram(signal, now_ms).plain.startswith("🟢")


def test_an_event_that_is_late_says_so_before_anything_else() -> None:
    wording = Wording(Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6), "BTC")
    fresh_ms, later_ms = BLIND.at_ms + 60_000, BLIND.at_ms + 130_000
    heading = "⏰ LATE 2m 10s: more may have happened since\n\n"
    assert wording.subject(BLIND, fresh_ms) == "[BTC SCALP] Feed BLIND"
    assert wording.letter(BLIND, fresh_ms).text == EMAIL
    assert wording.subject(BLIND, later_ms) == "LATE 2m 10s [BTC SCALP] Feed BLIND"
    assert wording.letter(BLIND, later_ms).text == heading + EMAIL
    late = wording.telegram(BLIND, later_ms).plain
    assert late == heading + telegram_text(BLIND)
    assert is_telegram_text(late)


def test_a_beginning_that_is_late_says_that_it_is_over_if_it_is() -> None:
    wording = Wording(Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6), "BTC")
    over, later_ms = replace(BLIND, over=True), BLIND.at_ms + 130_000
    heading = "⏰ LATE 2m 10s: this is over by now\n\n"
    assert wording.subject(over, later_ms) == "LATE 2m 10s, OVER [BTC SCALP] Feed BLIND"
    assert wording.letter(over, later_ms).text == heading + EMAIL
    late = wording.telegram(over, later_ms).plain
    assert late == heading + telegram_text(BLIND)
    assert is_telegram_text(late)
    assert wording.letter(over, BLIND.at_ms).text == EMAIL


@pytest.mark.parametrize("state", ["blind", "broken", "down", "skewed"])
def test_a_beginning_knows_its_trouble(state: str) -> None:
    assert event("clock", state, since_ms=5).begun == Trouble(state, 5)
    assert event("clock", state, ends=True).begun is None


@pytest.mark.parametrize("state", ["recovered", "dead", "lost", "moved", "differs"])
def test_what_begins_nothing_has_no_trouble(state: str) -> None:
    assert event("clock", state).begun is None
