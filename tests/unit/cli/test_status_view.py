"""What counts as unhealthy, with which remedy, and the one screen that says so."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cli.status_view import (
    SERVICES,
    WIDTH,
    Board,
    Candles,
    Channel,
    Factor,
    Facts,
    Instance,
    LastSignal,
    Problem,
    Reader,
    RedisFacts,
    Standing,
    Verdict,
    document,
    duration,
    headline,
    judge,
    text,
    unreachable_document,
)
from shared.wellbeing import oldest_healthy_ms

NOW = 1762094123000  # 2025-11-02 14:35:23 UTC
BOUNDARY = 1762094100000
MINUTE = 60_000


def instance(service: str, **changes: Any) -> Instance:
    well = Instance(
        service=service,
        instance="1",
        state="running",
        version="0.1.0",
        host="box",
        pid=7,
        uptime_ms=7_980_000,
        beat_age_ms=900,
        data_age_ms=200,
        errors_last_hour=0,
        last_error="",
        facts={},
        counters={},
        latencies_ms={},
    )
    return replace(well, **changes)


def candles(**changes: Any) -> Candles:
    return replace(
        Candles("1m", 1000, 2000, 1, BOUNDARY, 23_000, 120_000, 65432.5, "ws"), **changes
    )


def reader(service: str, **changes: Any) -> Reader:
    return replace(Reader(service, f"{BOUNDARY}-2", 0, False, 0, None), **changes)


def channel(name: str = "email", **changes: Any) -> Channel:
    well = Channel(
        name=name,
        group=True,
        behind=0,
        behind_at_least=False,
        oldest_behind_ms=None,
        pending=0,
        oldest_pending_ms=None,
        attempts=0,
        delivered=12,
        failed_attempts=0,
        dead_letters=0,
        last_delivered="BTCUSDT:5m:LONG:1762086900000",
        last_delivered_at_ms=NOW - 7_200_000,
        last_delivery_ms=1200,
        last_failure="",
        last_failure_at_ms=None,
    )
    return replace(well, **changes)


BOARD = Board(
    "1m", BOUNDARY, "LONG", 3,
    (
        Factor("trend", False, "EMA9 did not cross above EMA21"),
        Factor("bias", True, "close above VWAP 65300"),
        Factor("momentum", True, "RSI6 55.3 within 30..70"),
        Factor("volume", False, "volume 0.80x average, 1.5x needed"),
        Factor("higher_timeframe", True, "close above 5m EMA50 65100"),
    ),
)  # fmt: skip


def facts(**changes: Any) -> Facts:
    well = Facts(
        at_ms=NOW,
        symbol="BTC/USDT",
        min_confidence=5,
        beat_interval_ms=2000,
        redis=RedisFacts("redis://db:6379/0", "Redis 7.0.15", 12_345_678, True, 0, "noeviction"),
        services=tuple(instance(name) for name in SERVICES),
        candles=(candles(),),
        readers=(reader("indicators"), reader("detector")),
        boards=(BOARD,),
        channels=(channel(),),
        streams={"klines:{BTCUSDT}:1m": 1000, "signals": 12},
        last_signal=LastSignal("BTCUSDT:5m:LONG:1", "LONG BTC/USDT 5m at 65,432.50", NOW, 1, False),
        troubles=(),
    )
    return replace(well, **changes)


def with_service(changed: Instance, **changes: Any) -> Facts:
    others = [instance(name) for name in SERVICES if name != changed.service]
    return facts(services=(*others, changed), **changes)


def test_where_nothing_is_wrong_the_verdict_is_healthy() -> None:
    assert judge(facts()) == Verdict(())
    assert judge(facts()).healthy


def test_troubles_of_services_and_of_other_markets_are_remarks() -> None:
    troubles = (
        Standing("feed:ETHUSDT", "blind", NOW - 300_000),
        Standing("service:detector", "down", NOW - 40_000),
    )
    assert judge(facts(troubles=troubles)) == Verdict(
        (),
        (
            "feed ETHUSDT BLIND since 2025-11-02 14:30:23 UTC, for 5 min",
            "detector DOWN since 2025-11-02 14:34:43 UTC, for 40 s",
        ),
    )


UNHEALTHY = [
    (
        facts(services=tuple(instance(name) for name in SERVICES if name != "detector")),
        "detector does not run",
        "./btc-scanner up, or alone: python -m services.detector",
    ),
    (
        with_service(instance("notifier", beat_age_ms=12_000)),
        "notifier has been silent for 12 s",
        "if process 7 on box still runs, it hangs: kill it; start all with: ./btc-scanner up",
    ),
    (
        with_service(instance("detector", state="waiting: Redis at redis://db wants a password")),
        "detector 1 waits for Redis",
        "Redis at redis://db wants a password",
    ),
    (
        with_service(instance("indicators", state="waiting for the detector, which is at 5-0")),
        "indicators 1 is waiting for the detector, which is at 5-0",
        "ends by itself",
    ),
    (
        with_service(instance("indicators", state="refused: another one is here: stop one")),
        "indicators 1 is refused: another one is here: stop one",
        "as soon as it may",
    ),
    (
        with_service(
            instance("ingest", state="starting", uptime_ms=600_000, last_error="no such market")
        ),
        "ingest 1 has been starting for 10 min",
        "it says: no such market",
    ),
    (
        with_service(
            instance("ingest", state="starting", facts={"connection": "disconnected: HTTP 451"})
        ),
        "ingest 1 has been starting for 2 h 13 min",
        "it says: disconnected: HTTP 451",
    ),
    (
        facts(troubles=(Standing("feed:BTCUSDT", "blind", NOW - 300_000),)),
        "feed BTCUSDT BLIND since 2025-11-02 14:30:23 UTC, for 5 min",
        "./btc-scanner events says what was told",
    ),
    (
        facts(troubles=(Standing("clock", "skewed", NOW - 300_000),)),
        "clock SKEWED since 2025-11-02 14:30:23 UTC, for 5 min",
        "./btc-scanner events says what was told",
    ),
    (
        facts(candles=(candles(age_ms=120_001),)),
        "the last 1m candle closed 2 min ago (normal: less than 2 min)",
        "see the log of ingest",
    ),
    (
        facts(candles=(candles(last_close_ms=None, age_ms=None),)),
        "there are no candles yet of 1m",
        "see the log of ingest",
    ),
    (
        facts(readers=(reader("detector", behind=3, oldest_wait_ms=121_000),)),
        "detector is 3 entries behind, for 2 min 1 s",
        "restarting it is safe",
    ),
    (
        facts(channels=(channel(pending=2, oldest_pending_ms=121_000, last_failure="refused"),)),
        "email: 2 signals pending, the oldest for 2 min 1 s",
        "the last failure was: refused",
    ),
    (
        facts(channels=(channel(pending=1, oldest_pending_ms=121_000),)),
        "email: 1 signal pending, the oldest for 2 min 1 s",
        "see the log of notifier",
    ),
    (
        facts(channels=(channel(behind=1000, behind_at_least=True, oldest_behind_ms=200_000),)),
        "email: at least 1,000 signals unread, the oldest for 3 min 20 s",
        "see the log of notifier",
    ),
]


@pytest.mark.parametrize(
    ("found", "what", "remedy"), UNHEALTHY, ids=[what for _, what, _ in UNHEALTHY]
)
def test_each_cause_is_a_problem_with_its_remedy(found: Facts, what: str, remedy: str) -> None:
    verdict = judge(found)
    assert [problem.what for problem in verdict.problems] == [what]
    assert remedy in verdict.problems[0].remedy


HEALTHY = [
    ("just started", with_service(instance("ingest", state="starting", uptime_ms=90_000))),
    (
        "a hot spare never appends anything",
        facts(
            services=(
                *facts().services,
                instance("ingest", instance="2", state="starting", uptime_ms=10**9),
            )
        ),
    ),
    (
        "one of two instances died",
        facts(
            services=(*facts().services, instance("ingest", instance="2", beat_age_ms=20_000)),
        ),
    ),
    ("at the limit", facts(candles=(candles(age_ms=120_000),))),
    ("a retry under way", facts(channels=(channel(pending=1, oldest_pending_ms=5000),))),
    ("catching up", facts(readers=(reader("indicators", behind=500, oldest_wait_ms=4000),))),
    ("no signal yet", facts(last_signal=None)),
    ("slow heartbeats are configured", facts(
        beat_interval_ms=30_000,
        services=tuple(instance(name, beat_age_ms=29_000) for name in SERVICES),
    )),
]  # fmt: skip


@pytest.mark.parametrize(
    "found", [found for _, found in HEALTHY], ids=[name for name, _ in HEALTHY]
)
def test_what_a_well_scanner_shows_is_no_problem(found: Facts) -> None:
    assert judge(found).problems == ()


REMARKS = [
    (
        with_service(instance("ingest", facts={"connection": "disconnected: silent for 30 s"})),
        "ingest 1 is disconnected: silent for 30 s; candles come by REST meanwhile",
    ),
    (
        with_service(instance("ingest", errors_last_hour=2)),
        "ingest 1 logged 2 errors in the last hour",
    ),
    (
        with_service(instance("ingest", version="0.2.0")),
        "services of different versions run together: 0.1.0, 0.2.0",
    ),
    (
        facts(channels=(channel(dead_letters=1),)),
        "email: 1 dead letter; see ./btc-scanner dead list email",
    ),
    (
        facts(redis=replace(facts().redis, aof=False)),
        "Redis keeps no append-only file: a restart of it loses data (set appendonly yes)",
    ),
    (
        facts(redis=replace(facts().redis, maxmemory_bytes=1, maxmemory_policy="allkeys-lru")),
        "Redis may evict what is needed (maxmemory-policy allkeys-lru): set noeviction",
    ),
    (
        with_service(instance("ingest", facts={"clock_skew_ms": "-3400"}), max_clock_skew_ms=2000),
        "the clock of box is 3.4 s behind the exchange's: set it by NTP (timedatectl set-ntp true)",
    ),
]


@pytest.mark.parametrize(
    ("skew", "most_ms"), [("1999", 2000), ("-1999", 2000), ("9999", None), ("noon", 2000)]
)
def test_a_clock_that_is_right_or_not_compared_is_no_remark(
    skew: str, most_ms: float | None
) -> None:
    found = with_service(
        instance("ingest", facts={"clock_skew_ms": skew}), max_clock_skew_ms=most_ms
    )
    assert judge(found) == Verdict(())


@pytest.mark.parametrize(("found", "remark"), REMARKS, ids=[remark for _, remark in REMARKS])
def test_what_can_wait_is_a_remark_and_healthy(found: Facts, remark: str) -> None:
    assert judge(found) == Verdict((), (remark,))


def test_an_empty_redis_is_one_problem_that_says_how_to_start() -> None:
    empty = facts(services=(), streams={"signals": 0}, last_signal=None)
    (problem,) = judge(empty).problems
    assert problem.what == "nothing runs yet: redis://db:6379/0 is empty"
    assert problem.remedy.startswith("./btc-scanner up starts all four services")
    assert "SERVICES" not in text(empty, judge(empty))


def test_where_nothing_runs_on_old_data_the_cause_stands_first() -> None:
    stopped = facts(
        services=(),
        candles=(candles(age_ms=10**7),),
        channels=(channel(behind=1, oldest_behind_ms=10**6),),
    )
    problems = judge(stopped).problems
    assert problems[0] == Problem(
        "none of the services runs", "start all with: ./btc-scanner up"
    )  # fmt: skip
    assert [problem.remedy for problem in problems[1:]] == [
        "candles come with ingest, see above",
        "they go out once notifier runs, see above",
    ]


def test_a_late_candle_names_what_ingest_says_of_its_connection() -> None:
    gone = instance("ingest", facts={"connection": "disconnected: HTTP 451"})
    problem = judge(replace(with_service(gone), candles=(candles(age_ms=10**6),))).problems[0]
    assert problem.remedy.startswith("ingest is disconnected: HTTP 451; check the network")
    young = instance("ingest", uptime_ms=5000)
    problem = judge(replace(with_service(young), candles=(candles(age_ms=10**6),))).problems[0]
    assert problem.remedy.endswith("look again in a minute")


@pytest.mark.parametrize(("minutes", "limit"), [(1, 2), (5, 6), (60, 61)])
def test_a_candle_is_too_old_when_the_next_one_must_be_there(minutes: int, limit: int) -> None:
    assert oldest_healthy_ms(minutes * MINUTE, 3.0, 30.0) == limit * MINUTE


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (-5, "0.0 s"), (400, "0.4 s"), (9_960, "10 s"), (23_400, "23 s"), (59_600, "1 min"),
        (300_000, "5 min"), (7_980_000, "2 h 13 min"), (273_600_000, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_like_speech(milliseconds: int, shown: str) -> None:
    assert duration(milliseconds) == shown


GOLDEN = """\
UNHEALTHY: 2 problems  BTC/USDT  2025-11-02 14:35:23 UTC
  ! notifier does not run
    -> start all with: ./btc-scanner up, or alone: python -m services.notifier
  ! email: 2 signals pending, the oldest for 5 min
    -> the last failure was: smtp.example.com does not answer
  note: ingest 1 logged 1 error in the last hour

SERVICES
  ingest     running; instance 1, up 2 h 13 min, v0.1.0, input 0.2 s ago, 1 error in the last hour
             connected to wss://stream.example.com; REST answered by https://api.example.com
             candles 1m 133, frames 12,345
             last error: exchange said no
  indicators running; instance 1, up 2 h 13 min, v0.1.0, input 0.2 s ago, 0 errors in the last hour
  detector   running; instance 1, up 2 h 13 min, v0.1.0, input 0.2 s ago, 0 errors in the last hour
             ms p50 / p99: frame to signal 3.2 / 8.1
  notifier   does not run

CANDLES
  1m   2025-11-02 14:35:00 UTC, 23 s ago  close 65,432.5 (ws)  2,000 published, 1 missing
  5m   none yet

LAG
  indicators up to date
  detector   2 entries behind (1 min of market time)
  email      3 signals unread

FACTORS of the last closed candle (5 needed)
  1m   LONG 3/5  closed 2025-11-02 14:35:00 UTC; not met: trend, volume
       [ no] trend             EMA9 did not cross above EMA21
       [yes] bias              close above VWAP 65300
       [yes] momentum          RSI6 55.3 within 30..70
       [ no] volume            volume 0.80x average, 1.5x needed
       [yes] higher timeframe  close above 5m EMA50 65100

DELIVERY
  email      12 delivered, 2 pending, the oldest for 5 min after 4 attempts, 1 failed attempt
             last: BTCUSDT:5m:LONG:1762086900000 in 1.2 s, 2 h ago
             last failure, 10 s ago: smtp.example.com does not answer

LAST SIGNAL
  LONG BTC/USDT 5m at 65,432.50 (added 2 h ago)

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
    verdict = replace(verdict, problems=tuple(p for p in verdict.problems if "5m" not in p.what))
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
    assert "3 min 20 s ago  TOO OLD  no trades (missing) (rest)" in text(found, judge(found))


def test_json_has_the_same_names_whether_redis_answers_or_not() -> None:
    found = json.loads(json.dumps(document(facts(), judge(facts()))))
    verdict = Verdict((Problem("Redis is away", "start it"),))
    nothing = unreachable_document(NOW, "BTC/USDT", "redis://db:6379/0", verdict)
    assert set(nothing) == set(found) - {
        "min_confidence",
        "beat_interval_ms",
        "max_clock_skew_ms",
    }
    assert (nothing["redis"]["reachable"], found["redis"]["reachable"]) == (False, True)
    assert nothing["problems"] == [{"what": "Redis is away", "remedy": "start it"}]
    assert found["candles"][0]["last_close_ms"] == BOUNDARY
    assert list(headline(verdict)) == [
        "UNHEALTHY: 1 problem", "  ! Redis is away", "    -> start it",
    ]  # fmt: skip
