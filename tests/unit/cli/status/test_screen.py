"""The one screen that says how everything is."""

from dataclasses import replace

from cli.status.facts import Facts, LastSignal
from cli.status.screen import text
from cli.status.verdict import judge
from cli.words import WIDTH
from tests.unit.cli.status.samples import (
    MINUTE,
    NOW,
    candles,
    channel,
    facts,
    instance,
    reader,
    with_service,
)

GOLDEN = """\
UNHEALTHY: 2 problems  BTC/USDT  2025-11-02 14:35:23 UTC
  ! notifier does not run
    -> start all with: ./btc-scanner up, or alone: python -m services.notifier
  ! email: 2 signals pending, the oldest for 5m 0s
    -> the last failure was: smtp.example.com does not answer
  note: ingest 1 logged 1 error in the last hour

SERVICES
  ingest     running; instance 1, up 2h 13m, v0.1.0, input 0.2s ago, 1 error in the last hour
             connected to wss://stream.example.com; REST answered by https://api.example.com
             candles 1m 133, frames 12,345
             last error: exchange said no
  indicators running; instance 1, up 2h 13m, v0.1.0, input 0.2s ago, 0 errors in the last hour
  detector   running; instance 1, up 2h 13m, v0.1.0, input 0.2s ago, 0 errors in the last hour
             ms p50 / p99: frame to signal 3.2 / 8.1
  notifier   does not run

CANDLES
  1m   2025-11-02 14:35:00 UTC, 23s ago  close 65,432.5 (ws)  2,000 published, 1 missing
  5m   none yet

LAG
  indicators up to date
  detector   2 entries behind (1m 0s of market time)
  email      3 signals unread

FACTORS of the last closed candle (5 needed)
  1m   LONG 3/5  closed 2025-11-02 14:35:00 UTC; not met: trend, volume
       [ no] trend             EMA9 did not cross above EMA21
       [yes] bias              close above VWAP 65300
       [yes] momentum          RSI6 55.3 within 30..70
       [ no] volume            volume 0.80x average, 1.5x needed
       [yes] higher timeframe  close above 5m EMA50 65100

DELIVERY
  email      12 delivered, 2 pending, the oldest for 5m 0s after 4 attempts, 1 failed attempt
             last: BTCUSDT:5m:LONG:1762086900000 in 1.2s, 2h 0m ago
             last failure, 10s ago: smtp.example.com does not answer

LAST SIGNAL
  LONG BTC/USDT 5m at 65,432.50 (added 2h 0m ago)

REDIS
  Redis 7.0.15 at redis://db:6379/0, 12.3 MB used, append-only file on, noeviction
  entries: klines:{BTCUSDT}:1m=1000, signals=12"""


def eventful() -> Facts:
    links = {
        "connection": "connected to wss://stream.example.com",
        "rest": "answered by https://api.example.com",
    }
    ingest = instance(
        "ingest",
        facts=links,
        counters={"candles_1m": 133, "frames": 12345, "gaps": 0},
        errors_last_hour=1,
        last_error="exchange said no",
    )
    detector = instance("detector", latencies_ms={"frame_to_signal": (3.2, 8.1)})
    last = LastSignal(
        "BTCUSDT:5m:LONG:1", "LONG BTC/USDT 5m at 65,432.50", NOW - 7_200_000, 1, False
    )
    return facts(
        services=(ingest, instance("indicators"), detector),
        candles=(candles(), candles(timeframe="5m", last_close_ms=None, age_ms=None)),
        readers=(reader("indicators"), reader("detector", behind=2, behind_ms=MINUTE)),
        channels=(
            channel(
                behind=3,
                oldest_behind_ms=1000,
                pending=2,
                oldest_pending_ms=300_000,
                attempts=4,
                failed_attempts=1,
                last_failure="smtp.example.com does not answer",
                last_failure_at_ms=NOW - 10_000,
            ),
        ),
        last_signal=last,
    )


def test_the_screen_says_all_of_it_the_verdict_first() -> None:
    found = eventful()
    verdict = judge(found)
    # The candle that is not there yet is a problem of its own; here it would only lengthen.
    verdict = replace(
        verdict, problems=tuple(p for p in verdict.problems if "no candles" not in p.what)
    )
    assert text(found, verdict) == GOLDEN
    assert max(map(len, GOLDEN.splitlines())) <= WIDTH
    assert GOLDEN.isascii()


def test_long_words_from_outside_keep_within_the_width() -> None:
    wordy = "x" * 250 + " " + "word " * 60
    found = with_service(
        instance("ingest", last_error=wordy, state=f"refused: {wordy}", facts={"connection": wordy})
    )
    assert max(map(len, text(found, judge(found)).splitlines())) <= WIDTH


def test_a_late_or_missing_candle_is_marked() -> None:
    found = facts(candles=(candles(age_ms=200_000, price=None, source="rest"),))
    assert "3m 20s ago  TOO OLD  no trades (missing) (rest)" in text(found, judge(found))
