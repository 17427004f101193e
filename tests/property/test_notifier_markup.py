"""Whatever an alert says, Telegram reads the markup as the promised text."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

from hypothesis import given
from hypothesis import strategies as st

from services.notifier import event_message
from services.notifier.channels.email_channel import build_mail
from services.notifier.markup import MESSAGE_UNITS, Line, Message, cut, length
from services.notifier.message import Periods, telegram_message, without_heading
from services.notifier.wording import Wording
from shared.event import Event, shown
from shared.market import Market
from shared.quality import Quality
from shared.trade_signal import Side, Signal, example_signal
from sim.entities import parsed

PERIODS = Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6)
WORDING = Wording(PERIODS, "BTC")
MOST_BYTES = 32_768
MOST_ENTITIES = 100

odd = st.sampled_from(
    ["<", ">", "&", '"', "'", "&lt;", "&amp;amp", "&#60;", "<b>", "</b>", "<br>", "</", "<a href='",
     "😀", "\U0010ffff", "\u0301", "\ufffd", "\u200d", "\ufeff", "🏴‍☠️", "…", "x" * 700, "&" * 700]
)  # fmt: skip
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=60)
texts = st.lists(odd | anything, max_size=12).map("".join)
said = texts.map(shown)

events = st.builds(
    Event,
    sentence=said,
    subject=st.sampled_from(["feed:BTCUSDT", "redis"]),
    state=st.just("blind"),
    service=said,
    instance=said,
    at_ms=st.integers(0, 10**14),
    alert=st.just(True),
    since_ms=st.integers(0, 10**14),
    details=st.dictionaries(said, said, max_size=3),
    ends=st.booleans(),
    over=st.booleans(),
)
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)
prices = st.floats(1e-20, 1e30)


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    base, quote = draw(names), draw(names)
    market = Market(f"{base}{quote}"[:40], base, quote, draw(st.sampled_from(["0.01", "1"])))
    return replace(
        example_signal(),
        market=market,
        side=draw(st.sampled_from(Side)),
        entry=draw(prices),
        stop_loss=draw(prices),
        take_profit=draw(prices),
        ema_slow=draw(prices),
        volume=draw(prices),
        quality=Quality(500, draw(st.integers(0, 500)), draw(st.integers(0, 500))),
        test=draw(st.booleans()),
    )


lines = st.lists(st.builds(Line, texts, st.booleans()), max_size=30)


def require_readable(message: Message, units: int = MESSAGE_UNITS) -> None:
    assert parsed(message.html) == message.plain
    assert length(message.plain) == len(message.plain.encode("utf-16-le")) // 2 <= units
    assert len(message.html.encode()) < MOST_BYTES
    assert len(re.findall("<b>", message.html)) <= MOST_ENTITIES


@given(events, st.integers(0, 10**15))
def test_an_event_is_read_as_it_was_told(event: Event, now_ms: int) -> None:
    message = WORDING.telegram(event, now_ms)
    require_readable(message)
    plain = message.plain
    assert without_heading(plain) == event_message.telegram_text(event)
    assert plain.startswith("⏰ LATE ") == (now_ms - event.at_ms > 60_000)
    assert event.sentence in message.plain


@given(signals(), st.integers(-(10**6), 10**12))
def test_a_signal_is_read_as_it_was_decided(signal: Signal, age_ms: int) -> None:
    message = WORDING.telegram(signal, signal.received_at_ms + age_ms)
    require_readable(message)
    assert message.plain == telegram_message(signal, PERIODS, WORDING._late_ms(
        signal, signal.received_at_ms + age_ms)).plain  # fmt: skip
    assert f"Entry: {'$' if signal.market.in_dollars else ''}" in message.plain
    assert "…" not in message.plain


@given(lines, st.sampled_from([MESSAGE_UNITS, 1024, 200]))
def test_whatever_is_too_long_is_cut_between_characters(
    given_lines: list[Line], units: int
) -> None:
    whole = Message(tuple(given_lines))
    fitted = whole.fitted(units)
    require_readable(fitted, units)
    if length(whole.plain) <= units:
        assert fitted == whole
    else:
        assert "…" in fitted.plain or len(fitted.lines) < len(whole.lines)


@given(texts, st.integers(1, 300))
def test_a_cut_text_is_a_beginning_of_the_whole(text: str, units: int) -> None:
    short = cut(text, units)
    assert length(short) <= units
    assert short == text or (short[-1] == "…" and text.startswith(short[:-1]))


@given(events)
def test_a_mail_about_anything_can_be_sent_and_read(event: Event) -> None:
    now = datetime(2025, 11, 2, tzinfo=UTC)
    sent_ms = int(now.timestamp() * 1000)
    mail = build_mail(event, WORDING, from_email="a@b.example", to_email="c@d.example", now=now)
    raw = mail.as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) < 998
    read = message_from_bytes(raw, policy=default)
    plain, html = read.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == WORDING.letter(event, sent_ms).text + "\n"
    assert html.get_content().replace("\r\n", "\n") == WORDING.letter(event, sent_ms).html
