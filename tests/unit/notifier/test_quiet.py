"""When it is quiet, and what the digest says afterwards."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.notifier.decisions import Terms, Verdict, verdict
from services.notifier.event_message import email_text, telegram_text
from services.notifier.quiet import Quiet, digest, line, quiet_hours, read_mute
from shared.config_errors import Wrong
from shared.event import Event, read_event
from shared.local_time import minute_of, quiet_minutes, span_of, zone_of
from shared.trade_signal import example_signal

ROOT = Path(__file__).parents[3]
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = quiet_minutes([span_of("22:00-07:00")])


def ms(text: str, zone: object = UTC) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "begin", "end"),
    [
        ("2025-11-02 22:00", "2025-11-02 22:00", "2025-11-03 07:00"),
        ("2025-11-03 06:59:59.999", "2025-11-02 22:00", "2025-11-03 07:00"),
        ("2025-11-03 00:00", "2025-11-02 22:00", "2025-11-03 07:00"),
        ("2025-11-03 07:00", None, None),
        ("2025-11-03 21:59:59.999", None, None),
    ],
)
def test_quiet_hours_span_midnight_and_do_not_contain_their_end(
    now: str, begin: str | None, end: str | None
) -> None:
    found = quiet_hours(NIGHT, UTC, ms(now))
    assert found == (None if begin is None or end is None else Quiet(ms(begin), ms(end)))


@pytest.mark.parametrize(
    ("now", "hours"),
    [("2025-03-30 00:30", 8), ("2025-10-26 00:30", 10), ("2025-11-02 00:30", 9)],
    ids=["set forward", "set back", "an ordinary night"],
)
def test_quiet_hours_follow_the_clock_on_the_wall(now: str, hours: int) -> None:
    found = quiet_hours(NIGHT, BERLIN, ms(now, BERLIN))
    assert found is not None
    assert found.until_ms is not None
    assert found.until_ms - found.since_ms == timedelta(hours=hours) / timedelta(milliseconds=1)
    ends = datetime.fromtimestamp(found.until_ms / 1000, BERLIN)
    assert (ends.hour, ends.minute) == (7, 0)


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    minutes = quiet_minutes([span_of("02:00-02:30")])
    first = ms("2025-10-26 00:10")  # 02:10 in Berlin, summer time
    for at in (first, first + 3_600_000):
        assert quiet_hours(minutes, BERLIN, at) is not None
    assert quiet_hours(minutes, BERLIN, first + 1_800_000) is None


def test_adjacent_spans_are_one() -> None:
    minutes = quiet_minutes([span_of("22:00-24:00"), span_of("00:00-06:00")])
    found = quiet_hours(minutes, UTC, ms("2025-11-02 23:00"))
    assert found == Quiet(ms("2025-11-02 22:00"), ms("2025-11-03 06:00"))


@pytest.mark.parametrize("text", ["22:00", "22-07", "24:00-07:00", "7:00-8:00", "22:60-23:00", ""])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(Wrong, match="is not a span of time"):
        span_of(text)


def test_a_span_without_length_is_refused() -> None:
    with pytest.raises(Wrong, match="begins when it ends"):
        span_of("07:00-07:00")


def test_times_of_the_day_are_read() -> None:
    assert [minute_of(text) for text in ("00:00", "07:30", "23:59")] == [0, 450, 1439]
    arabic = "\u0660\u0667:\u0663\u0660"
    assert {minute_of(text) for text in ("24:00", "7:30", arabic, "07:30\n", "")} == {None}


def test_an_unknown_zone_names_the_nearest() -> None:
    with pytest.raises(Wrong, match="is not a time zone") as caught:
        zone_of("Europe/Berln")
    assert caught.value.near == "Europe/Berlin"


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/localtime", "Europe", "", "a\x00b"])
def test_a_zone_that_is_a_path_is_refused(name: str) -> None:
    with pytest.raises(Wrong, match="is not a time zone"):
        zone_of(name)


WITHOUT_ZONES = """
import sys
sys.modules["tzdata"] = None
from shared.local_time import zone_of
print(zone_of("UTC"))
try:
    zone_of("Europe/Berlin")
except ValueError as wrong:
    print(wrong.what, wrong.remedy)
"""


def test_a_machine_without_zones_is_told_how_to_get_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ZONES],
        cwd=ROOT, env={"PYTHONTZPATH": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("UTC\ncannot be looked up this machine has no time zones")
    assert "apt-get install tzdata" in done.stdout


def test_a_mute_is_read_as_it_was_written() -> None:
    written = Quiet(1_762_094_100_000, 1_762_094_200_000)
    assert written.text == "1762094100000 1762094200000 until 2025-11-02 14:36:40 UTC"
    now_ms = 1_762_094_150_000
    assert read_mute(written.text.encode(), 50_000, now_ms) == written
    assert read_mute(None, -2, now_ms) is None


@pytest.mark.parametrize("text", [b"1", b"please", b"\xff 1", b"9" * 30 + b" x", b""])
def test_a_mute_by_hand_counts_from_now(text: bytes) -> None:
    assert read_mute(text, 5000, 1000) == Quiet(1000, 6000)
    assert read_mute(text, -1, 1000) == Quiet(1000, None)


# --- the digest ---------------------------------------------------------------------------------

NOW_MS = 1_762_100_000_000


def held(count: int, **more: str) -> dict[bytes, bytes]:
    signals = [example_signal(close_time_ms=1_762_094_100_000 + n * 60_000) for n in range(count)]
    lines = {signal.id.encode(): line(signal).encode() for signal in signals[::-1]}
    return {**lines, **{name.strip("_").encode(): text.encode() for name, text in more.items()}}


def test_the_digest_has_a_line_for_each_signal_in_order_of_time() -> None:
    found = digest(held(3, from_="1762094000000"), NOW_MS)
    assert found is not None
    assert found.sentence == (
        "While muted (from 2025-11-02 14:33:20 UTC to 2025-11-02 16:13:20 UTC): 3 signals"
    )
    assert dict(found.details) == {
        "1": "2025-11-02 14:35:00 UTC 5m LONG BTC/USD at 65,432.50",
        "2": "2025-11-02 14:36:00 UTC 5m LONG BTC/USD at 65,432.50",
        "3": "2025-11-02 14:37:00 UTC 5m LONG BTC/USD at 65,432.50",
    }


@pytest.mark.parametrize(("count", "more"), [(40, ""), (1000, "234"), (14, "5")])
def test_a_long_digest_is_shortened_and_says_by_how_many(count: int, more: str) -> None:
    found = digest(held(count, from_="1762094000000", more=more), NOW_MS)
    assert found is not None
    whole = count + int(more or 0)
    assert found.sentence.endswith(f": {whole} signals")
    shown = len(found.details) - 1
    assert shown >= 10
    assert found.details["more"] == f"and {whole - shown} more: ./btc-scanner signals"


@pytest.mark.parametrize(
    "spoilt",
    [
        {b"a:b": b"\xff\n" * 900, b"from": b"yesterday", b"more": b"-3"},
        {b"from": b"9" * 16, b"more": b"9" * 16},
        {bytes([byte]) + b":": b"x" * 5000 for byte in range(200)},
    ],
)
def test_a_digest_of_what_somebody_edited_can_still_be_shown(spoilt: dict[bytes, bytes]) -> None:
    found = digest(spoilt, NOW_MS)
    assert found is not None
    flat = event_of(found.sentence, dict(found.details)).fields()
    fields = {k.encode(): v.encode() for k, v in zip(flat[::2], flat[1::2], strict=True)}
    assert read_event(b"1-0", fields).sentence == found.sentence


@pytest.mark.parametrize("fields", [{}, {b"from": b"5"}, {b"more": b"x"}])
def test_nothing_muted_is_no_digest(fields: dict[bytes, bytes]) -> None:
    assert digest(fields, NOW_MS) is None


def event_of(sentence: str, details: dict[str, str]) -> Event:
    return Event(
        sentence, "mute", "over", "notifier", "1", NOW_MS, True, NOW_MS, details, ends=True
    )


def test_the_lines_are_in_the_mail_and_in_the_telegram_message() -> None:
    found = digest(held(2), NOW_MS)
    assert found is not None
    event = event_of(found.sentence, dict(found.details))
    for text in (email_text(event), telegram_text(event)):
        assert all(each in text for each in (found.sentence, *found.details.values()))


def test_the_digest_is_sent_to_those_who_want_no_events() -> None:
    terms = Terms("email", give_up_ms=1000, ledger_ttl_ms=2000, events=False)
    judged = verdict(event_of("…", {}), 1, now_ms=NOW_MS, terms=terms)
    assert judged is Verdict.SEND
