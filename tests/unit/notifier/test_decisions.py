"""What to do with an entry, and when to try again."""

import pytest

from services.notifier.decisions import Patience, Pending, Verdict, backoff_s, due, verdict
from shared.event import Event
from shared.trade_signal import example_signal

HOUR_MS = 3_600_000
RECEIVED_MS = 1_762_094_100_012
PATIENCE = Patience(base_s=1.0, max_s=60.0, claim_idle_s=30.0)


@pytest.mark.parametrize(
    ("stale", "missing", "age_ms", "expected"),
    [
        pytest.param(False, 2, 10, Verdict.SEND, id="fresh"),
        pytest.param(False, 1, HOUR_MS, Verdict.SEND, id="late, but the ledger would know"),
        pytest.param(False, 0, 10, Verdict.DELIVERED, id="everybody has it"),
        pytest.param(True, 2, 10, Verdict.STALE, id="stale"),
        pytest.param(True, 0, 10, Verdict.STALE, id="stale and known"),
        pytest.param(False, 1, HOUR_MS + 1, Verdict.FORGOTTEN, id="older than the ledger"),
        pytest.param(False, 1, -5000, Verdict.SEND, id="our clock was set back"),
    ],
)
def test_verdict(stale: bool, missing: int, age_ms: int, expected: Verdict) -> None:
    signal = example_signal(stale=stale, received_at_ms=RECEIVED_MS)
    judged = verdict(signal, missing, now_ms=RECEIVED_MS + age_ms, ledger_ttl_ms=HOUR_MS)
    assert judged is expected


@pytest.mark.parametrize(
    ("alert", "events", "missing", "age_ms", "expected"),
    [
        pytest.param(True, True, 2, 10, Verdict.SEND, id="told just now"),
        pytest.param(True, True, 0, 10, Verdict.DELIVERED, id="everybody has it"),
        pytest.param(True, True, 1, HOUR_MS + 1, Verdict.FORGOTTEN, id="older than the ledger"),
        pytest.param(False, True, 2, 10, Verdict.RECORDED, id="no alert"),
        pytest.param(True, False, 2, 10, Verdict.RECORDED, id="nobody wants events"),
    ],
)
def test_verdict_of_an_event(
    alert: bool, events: bool, missing: int, age_ms: int, expected: Verdict
) -> None:
    event = Event("…", "redis", "lost", "ingest", "1", RECEIVED_MS, alert, RECEIVED_MS)
    now_ms = RECEIVED_MS + age_ms
    judged = verdict(event, missing, now_ms=now_ms, ledger_ttl_ms=HOUR_MS, events=events)
    assert judged is expected


def test_market_time_does_not_make_a_replayed_signal_old() -> None:
    signal = example_signal(close_time_ms=1_000_000_000_000, received_at_ms=RECEIVED_MS)
    judged = verdict(signal, 1, now_ms=RECEIVED_MS + 5, ledger_ttl_ms=HOUR_MS)
    assert judged is Verdict.SEND


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0), (10**9, 60.0)],
)
def test_backoff_doubles_up_to_its_limit(attempts: int, seconds: float) -> None:
    assert backoff_s(attempts, base_s=1.0, max_s=60.0) == seconds


@pytest.mark.parametrize(
    ("entry", "is_due"),
    [
        pytest.param(Pending(b"1-0", "me", 0, 1), True, id="own, from a previous life"),
        pytest.param(Pending(b"2-0", "me", 90_000, 1), False, id="own, in hand"),
        pytest.param(Pending(b"3-0", "me", 90_000, 1), False, id="own, still waiting"),
        pytest.param(Pending(b"4-0", "me", 10, 9), True, id="own, waited enough"),
        pytest.param(Pending(b"5-0", "other", 29_999, 1), False, id="other's, perhaps at work"),
        pytest.param(Pending(b"5-0", "other", 30_000, 1), True, id="other's, dead"),
        pytest.param(Pending(b"5-0", "other", 59_999, 20), False, id="other's, in its backoff"),
        pytest.param(Pending(b"5-0", "other", 60_000, 20), True, id="other's, after its backoff"),
    ],
)
def test_due(entry: Pending, is_due: bool) -> None:
    found = due(
        [entry],
        consumer="me",
        in_hand={b"2-0"},
        waits={b"3-0": 100.1, b"4-0": 100.0},
        now_s=100.0,
        patience=PATIENCE,
    )
    assert list(found) == ([entry] if is_due else [])
