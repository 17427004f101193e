"""What to do with an entry, and when to try again."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.decisions import (
    REVIVED,
    REVIVED_IDLE_MS,
    Patience,
    Pending,
    Terms,
    Verdict,
    backoff_s,
    due,
    recorded_ms,
    verdict,
)
from shared.event import Event
from shared.trade_signal import example_signal

HOUR_MS = 3_600_000
RECEIVED_MS = 1_762_094_100_012
TERMS = Terms("email", give_up_ms=HOUR_MS, ledger_ttl_ms=2 * HOUR_MS)
PATIENCE = Patience(base_s=1.0, max_s=60.0, claim_idle_s=30.0)


@pytest.mark.parametrize(
    ("stale", "missing", "age_ms", "expected"),
    [
        pytest.param(False, 2, 10, Verdict.SEND, id="fresh"),
        pytest.param(False, 1, HOUR_MS, Verdict.SEND, id="late, but the ledger would know"),
        pytest.param(False, 0, 10, Verdict.DELIVERED, id="everybody has it"),
        pytest.param(True, 2, 10, Verdict.STALE, id="stale"),
        pytest.param(True, 0, 10, Verdict.STALE, id="stale and known"),
        pytest.param(False, 1, HOUR_MS + 1, Verdict.EXPIRED, id="too old to be tried again"),
        pytest.param(False, 0, HOUR_MS + 1, Verdict.DELIVERED, id="old, and everybody has it"),
        pytest.param(False, 1, 2 * HOUR_MS + 1, Verdict.FORGOTTEN, id="older than the ledger"),
        pytest.param(False, 1, -5000, Verdict.SEND, id="our clock was set back"),
    ],
)
def test_verdict(stale: bool, missing: int, age_ms: int, expected: Verdict) -> None:
    signal = example_signal(stale=stale, received_at_ms=RECEIVED_MS)
    judged = verdict(signal, missing, now_ms=RECEIVED_MS + age_ms, terms=TERMS)
    assert judged is expected


@pytest.mark.parametrize(
    ("alert", "events", "missing", "age_ms", "expected"),
    [
        pytest.param(True, True, 2, 10, Verdict.SEND, id="told just now"),
        pytest.param(True, True, 0, 10, Verdict.DELIVERED, id="everybody has it"),
        pytest.param(True, True, 1, HOUR_MS + 1, Verdict.EXPIRED, id="too old"),
        pytest.param(False, True, 2, 10, Verdict.RECORDED, id="no alert"),
        pytest.param(True, False, 2, 10, Verdict.RECORDED, id="nobody wants events"),
    ],
)
def test_verdict_of_an_event(
    alert: bool, events: bool, missing: int, age_ms: int, expected: Verdict
) -> None:
    event = Event("…", "redis", "lost", "ingest", "1", RECEIVED_MS, alert, RECEIVED_MS)
    now_ms = RECEIVED_MS + age_ms
    judged = verdict(event, missing, now_ms=now_ms, terms=replace(TERMS, events=events))
    assert judged is expected


def test_market_time_does_not_make_a_replayed_signal_old() -> None:
    signal = example_signal(close_time_ms=1_000_000_000_000, received_at_ms=RECEIVED_MS)
    judged = verdict(signal, 1, now_ms=RECEIVED_MS + 5, terms=TERMS)
    assert judged is Verdict.SEND


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0), (10**9, 60.0)],
)
def test_backoff_doubles_up_to_its_limit(attempts: int, seconds: float) -> None:
    assert backoff_s(attempts, base_s=1.0, max_s=60.0) == seconds


def test_what_a_channel_cannot_do_is_told_by_the_others() -> None:
    event = Event("…", "channel:email", "broken", "notifier", "1", RECEIVED_MS, True, RECEIVED_MS)
    for channel, expected in (("email", Verdict.OTHER), ("telegram", Verdict.SEND)):
        terms = replace(TERMS, channel=channel)
        assert verdict(event, 1, now_ms=RECEIVED_MS, terms=terms) is expected


@pytest.mark.parametrize(
    ("only", "expected"),
    [("", Verdict.SEND), ("email", Verdict.SEND), ("telegram", Verdict.OTHER)],
)
def test_a_test_signal_may_be_for_one_channel(only: str, expected: Verdict) -> None:
    signal = example_signal(received_at_ms=RECEIVED_MS, test=True, only=only)
    assert verdict(signal, 1, now_ms=RECEIVED_MS, terms=TERMS) is expected


@pytest.mark.parametrize(
    ("entry", "is_due"),
    [
        pytest.param(Pending(b"1-0", "me", 1999, 2), False, id="own, in its backoff"),
        pytest.param(Pending(b"1-0", "me", 2000, 2), True, id="own, after its backoff"),
        pytest.param(Pending(b"1-0", "me", 0, 0), True, id="own, never tried"),
        pytest.param(Pending(b"2-0", "me", 90_000, 1), False, id="own, in hand"),
        pytest.param(Pending(b"1-0", "me", 40_000, 2), True, id="own, from a previous life"),
        pytest.param(Pending(b"1-0", "me", 40_000, 7), False, id="own, suspected of ending us"),
        pytest.param(Pending(b"5-0", "other", 29_999, 1), False, id="other's, perhaps at work"),
        pytest.param(Pending(b"5-0", "other", 30_000, 1), True, id="other's, dead"),
        pytest.param(Pending(b"5-0", "other", 59_999, 20), False, id="other's, in its backoff"),
        pytest.param(Pending(b"5-0", "other", 60_000, 20), True, id="other's, after its backoff"),
        pytest.param(Pending(b"5-0", REVIVED, REVIVED_IDLE_MS, 0), True, id="a person's wish"),
        pytest.param(Pending(b"5-0", REVIVED, 29_999, 1), False, id="a wish, perhaps at work"),
        pytest.param(Pending(b"5-0", REVIVED, 30_000, 1), True, id="a wish, left by the dead"),
    ],
)
def test_due(entry: Pending, is_due: bool) -> None:
    found = due([entry], consumer="me", in_hand={b"2-0"}, patience=PATIENCE, since_start_s=40.0)
    assert found == ([entry] if is_due else [])


@pytest.mark.parametrize(("doubt_s", "is_due"), [(0.0, True), (0.001, False), (inf, False)])
def test_doubted_idle_time_of_others_does_not_count(doubt_s: float, is_due: bool) -> None:
    other, own = Pending(b"5-0", "other", 30_000, 1), Pending(b"6-0", "me", 30_000, 1)
    found = due(
        [other, own],
        consumer="me",
        in_hand=(),
        patience=PATIENCE,
        since_start_s=40.0,
        doubt_s=doubt_s,
    )
    assert found == ([own, other] if is_due else [own])


def test_what_failed_in_an_outage_waits_no_longer_when_it_is_over() -> None:
    before, after = Pending(b"1-0", "me", 9000, 7), Pending(b"2-0", "me", 8000, 7)
    found = due(
        [before, after],
        consumer="me",
        in_hand=(),
        patience=PATIENCE,
        since_start_s=40.0,
        since_recovery_s=9.0,
    )
    assert found == [before]


@given(st.lists(st.integers(0, 10**15), unique=True))
def test_the_newest_is_tried_first(times: list[int]) -> None:
    pending = [Pending(f"{at}-0".encode(), "me", 60_000, 1) for at in sorted(times)]
    found = due(pending, consumer="me", in_hand=(), patience=PATIENCE, since_start_s=0.0)
    assert [recorded_ms(entry.entry_id) for entry in found] == sorted(times, reverse=True)


def test_what_is_fresh_and_had_no_turn_goes_first_and_in_order() -> None:
    old, tried = Pending(b"100-0", "me", 60_000, 0), Pending(b"2001-0", "me", 60_000, 1)
    first, second = Pending(b"2000-0", "me", 0, 0), Pending(b"2002-0", "me", 0, 0)
    found = due(
        [old, first, tried, second],
        consumer="me",
        in_hand=(),
        patience=PATIENCE,
        since_start_s=0.0,
        fresh_since_ms=2000,
    )
    assert found == [first, second, tried, old]
