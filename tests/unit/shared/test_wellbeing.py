"""When a service is well, and what is said when it is not."""

from dataclasses import replace

import pytest

from shared.wellbeing import (
    Delivering,
    Life,
    delivering,
    feeding,
    following,
    lifeless,
    oldest_healthy_ms,
)

LIFE = Life(state="running", trouble=None, up_s=100.0, beat_s=1.0, interval_s=2.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"beat_s": 10.0}, ""),
        ({"beat_s": 10.5}, "has not written its heartbeat for 10s"),
        ({"beat_s": 29.0, "interval_s": 6.0}, ""),
        ({"beat_s": 31.0, "interval_s": 6.0}, "has not written its heartbeat for 31s"),
        ({"beat_s": None, "up_s": 3.0}, "starting for 3.0s"),
        ({"trouble": "Redis at h cannot be reached"}, "Redis at h cannot be reached"),
        ({"trouble": "Redis is away", "beat_s": None}, "Redis is away"),
    ],
)
def test_a_process_that_does_not_live_says_why(
    change: dict[str, float | str | None], words: str
) -> None:
    assert lifeless(replace(LIFE, **change)) == words  # type: ignore[arg-type]


def test_candles_must_keep_coming() -> None:
    def judged(moved_s: float | None) -> tuple[bool, str]:
        return feeding(LIFE, "1m", moved_s, 120_000, "stream open, REST answered by h")

    assert judged(119.0) == (True, "running; the last 1m candle came 1m 59s ago")
    well, why = judged(121.0)
    assert not well
    assert why == "no 1m candle for 2m 1s: running; stream open, REST answered by h"
    well, why = judged(None)
    assert not well
    assert why.startswith("starting for 1m 40s: running; stream open")


def test_a_reader_must_keep_up() -> None:
    assert following(LIFE, "klines", None) == (True, "running; keeps up with klines")
    assert following(LIFE, "klines", 120_000)[0]
    assert following(LIFE, "klines", 121_000) == (
        False,
        "an entry of klines waits for 2m 1s: running",
    )


EMAIL = Delivering("email", begun=True)
TELEGRAM = Delivering("telegram", begun=True)


@pytest.mark.parametrize(
    ("email", "well", "words"),
    [
        (EMAIL, True, "running; delivers by email, telegram"),
        (
            replace(EMAIL, pending=3, forsaken=2),
            True,
            "running; delivers by email, telegram; 3 pending by email",
        ),
        (replace(EMAIL, pending=3, forsaken=3), False, "nobody tries the 3 pending of email"),
        (
            replace(EMAIL, pending=3, forsaken=3, unread_ms=10**7, held="until 07:00"),
            True,
            "running; delivers by email, telegram; email is held: until 07:00; 3 pending by email",
        ),
        (replace(EMAIL, unread_ms=120_000), True, "running; delivers by email, telegram"),
        (replace(EMAIL, unread_ms=121_000), False, "email has not read an alert for 2m 1s"),
        (replace(EMAIL, begun=False), False, "starting for 1m 40s: email is not open yet"),
    ],
)
def test_every_channel_must_be_looked_after_but_may_fail(
    email: Delivering, well: bool, words: str
) -> None:
    assert delivering(LIFE, [email, TELEGRAM]) == (well, words)


@pytest.mark.parametrize(("minutes", "limit"), [(1, 2), (5, 6), (60, 61)])
def test_a_candle_is_too_old_when_the_next_one_must_be_there(minutes: int, limit: int) -> None:
    assert oldest_healthy_ms(minutes * 60_000, 3.0, 30.0) == limit * 60_000
