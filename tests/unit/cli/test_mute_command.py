"""Until when a mute lasts, as people type it, and how it is told."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cli import EXIT_USAGE
from cli.mute_command import NoDuration, until_ms
from cli.mute_state import muted_words
from shared.configuration import load_settings
from shared.settings import Settings

BERLIN = ZoneInfo("Europe/Berlin")
NOW_MS = 1_762_094_100_000  # 2025-11-02 14:35 UTC, 15:35 in Berlin


@pytest.mark.parametrize(
    ("text", "minutes"), [("1m", 1), ("30m", 30), ("2h", 120), ("1d", 1440), ("30d", 43_200)]
)
def test_a_duration_counts_from_now(text: str, minutes: int) -> None:
    assert until_ms(text, NOW_MS, BERLIN) == NOW_MS + minutes * 60_000


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        ("2025-11-02 15:35", "16:00", "2025-11-02 16:00"),
        ("2025-11-02 15:35", "15:35", "2025-11-03 15:35"),
        ("2025-11-02 15:35", "07:30", "2025-11-03 07:30"),
        ("2025-03-29 23:00", "07:00", "2025-03-30 07:00"),  # the clock is set forward at 02:00
        ("2025-10-25 23:00", "07:00", "2025-10-26 07:00"),  # and back at 03:00
    ],
)
def test_a_time_of_the_day_is_the_next_one_in_the_zone(now: str, text: str, expected: str) -> None:
    now_ms = round(datetime.fromisoformat(now).replace(tzinfo=BERLIN).timestamp() * 1000)
    found = datetime.fromtimestamp(until_ms(text, now_ms, BERLIN) / 1000, BERLIN)
    assert f"{found:%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "0m", "31d", "721h", "25:00", "7:30", "1.5h", "-1h", "2h ", "2 h", "9" * 99],
)
def test_what_is_no_time_is_refused_with_what_to_type(text: str) -> None:
    with pytest.raises(NoDuration, match="give how long, like 30m, 2h or 1d") as caught:
        until_ms(text, NOW_MS, BERLIN)
    assert caught.value.exit_code == EXIT_USAGE
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "left_ms", "held", "words"),
    [
        (None, -2, {}, ""),
        (b"5 9 until", 60_000, {}, "MUTED until 2025-11-02 14:36:00 UTC; 0 signals for the digest"),
        (b"1", -1, {b"from": b"5", b"a:b": b"c"},
         "MUTED until ./btc-scanner unmute; 1 signal for the digest"),
        (b"1", -1, {b"more": b"7", b"a:b": b"c"},
         "MUTED until ./btc-scanner unmute; 8 signals for the digest"),
        (ValueError("WRONGTYPE"), -1, ValueError("WRONGTYPE"), ""),
        (b"\xff", 1, None, "MUTED until 2025-11-02 14:35:00 UTC; 0 signals for the digest"),
    ],
    ids=["not muted", "muted", "for ever", "more than are kept", "spoilt keys", "garbage"],
)  # fmt: skip
def test_what_redis_holds_is_told_in_words(
    text: object, left_ms: object, held: object, words: str
) -> None:
    assert muted_words(text, left_ms, held, Settings(), NOW_MS) == words


def test_quiet_hours_are_told_beside_a_mute() -> None:
    settings = load_settings(
        environ={
            "BTC_SCANNER__NOTIFIER__QUIET_HOURS": "15:00-16:00,22:00-07:00",
            "BTC_SCANNER__NOTIFIER__QUIET_TIMEZONE": "Europe/Berlin",
        }
    )
    assert muted_words(b"1", 60_000, {}, settings, NOW_MS) == (
        "MUTED until 2025-11-02 14:36:00 UTC;"
        " MUTED until 2025-11-02 15:00:00 UTC by notifier.quiet_hours; 0 signals for the digest"
    )
