"""What counts as unhealthy, with which remedy."""

from dataclasses import replace

import pytest

from cli.status.facts import SERVICES, Door, Facts, Here, Standing
from cli.status.screen import text
from cli.status.verdict import Problem, Verdict, judge
from tests.unit.cli.status.samples import (
    NOW,
    candles,
    channel,
    facts,
    instance,
    reader,
    with_service,
)


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
            "feed ETHUSDT BLIND since 2025-11-02 14:30:23 UTC, for 5m 0s",
            "detector DOWN since 2025-11-02 14:34:43 UTC, for 40s",
        ),
    )


NO_NOTIFIER = facts(services=tuple(instance(name) for name in SERVICES if name != "notifier"))
FULL = replace(
    facts().redis, refuses="Redis at redis://db:6379/0 is out of memory: raise maxmemory"
)

UNHEALTHY = [
    (
        facts(services=tuple(instance(name) for name in SERVICES if name != "detector")),
        "detector does not run",
        "./btc-scanner up, or alone: python -m services.detector",
    ),
    (
        with_service(instance("notifier", beat_age_ms=12_000)),
        "notifier has been silent for 12s",
        "if process 7 on box still runs, it hangs: kill -9 7; start all with: ./btc-scanner up",
    ),
    (
        replace(NO_NOTIFIER, here=Here(doors={"notifier": Door(123, "")})),
        "notifier does not answer",
        "it hangs: kill -9 123 (then start all with: ./btc-scanner up, or alone:",
    ),
    (
        replace(NO_NOTIFIER, here=Here(up=True, doors={"notifier": Door(123, "")})),
        "notifier does not answer",
        "it hangs: kill -9 123 (up starts it again)",
    ),
    (
        with_service(
            instance("notifier", beat_age_ms=12_000), here=Here(True, "", {"notifier": Door(7, "")})
        ),
        "notifier has been silent for 12s",
        "it hangs: kill -9 7 (up starts it again)",
    ),
    (
        replace(NO_NOTIFIER, here=Here(doors={"notifier": Door(123, "starting for 2s")})),
        "notifier writes no heartbeat; its process 123 says: starting for 2s",
        "look again in a minute; if that stays, restart it: kill 123 (then start all",
    ),
    (
        replace(NO_NOTIFIER, here=Here(up=True)),
        "notifier does not run",
        "up, which runs here, starts it again by itself",
    ),
    (
        facts(services=(), here=Here(up=True)),
        "none of the services runs",
        "up, which runs here, starts",
    ),
    (
        facts(services=(), redis=FULL),
        "Redis at redis://db:6379/0 is out of memory",
        "raise maxmemory; services that run wait for that",
    ),
    (
        facts(services=(), streams={}, candles=(), redis=FULL),
        "Redis at redis://db:6379/0 is out of memory",
        "raise maxmemory; services that run wait for that",
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
        "ingest 1 has been starting for 10m 0s",
        "it says: no such market",
    ),
    (
        with_service(
            instance("ingest", state="starting", facts={"connection": "disconnected: HTTP 451"})
        ),
        "ingest 1 has been starting for 2h 13m",
        "it says: disconnected: HTTP 451",
    ),
    (
        facts(troubles=(Standing("feed:BTCUSDT", "blind", NOW - 300_000),)),
        "feed BTCUSDT BLIND since 2025-11-02 14:30:23 UTC, for 5m 0s",
        "./btc-scanner events says what was told",
    ),
    (
        facts(troubles=(Standing("clock", "skewed", NOW - 300_000),)),
        "clock SKEWED since 2025-11-02 14:30:23 UTC, for 5m 0s",
        "./btc-scanner events says what was told",
    ),
    (
        facts(candles=(candles(age_ms=120_001),)),
        "the last 1m candle closed 2m 0s ago (normal: less than 2m 0s)",
        "see the log of ingest",
    ),
    (
        facts(candles=(candles(last_close_ms=None, age_ms=None),)),
        "there are no candles yet of 1m",
        "see the log of ingest",
    ),
    (
        facts(readers=(reader("detector", behind=3, oldest_wait_ms=121_000),)),
        "detector is 3 entries behind, for 2m 1s",
        "restarting it is safe",
    ),
    (
        facts(channels=(channel(pending=2, oldest_pending_ms=121_000, last_failure="refused"),)),
        "email: 2 signals pending, the oldest for 2m 1s",
        "the last failure was: refused",
    ),
    (
        facts(channels=(channel(pending=1, oldest_pending_ms=121_000),)),
        "email: 1 signal pending, the oldest for 2m 1s",
        "see the log of notifier",
    ),
    (
        facts(channels=(channel(behind=1000, behind_at_least=True, oldest_behind_ms=200_000),)),
        "email: at least 1,000 signals unread, the oldest for 3m 20s",
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


DISCONNECTED = {"connection": "disconnected: refused"}
UNANSWERED = "has not answered since 2025-11-02 14:30:23 UTC: http://h cannot be reached (why)"
REMARKS = [
    (
        with_service(instance("ingest", facts={"connection": "disconnected: silent for 30s"})),
        "ingest 1 is disconnected: silent for 30s",
    ),
    (
        with_service(instance("ingest", facts=DISCONNECTED | {"rest": "answered by http://h"})),
        "ingest 1 is disconnected: refused; candles come by REST meanwhile",
    ),
    (
        with_service(instance("ingest", facts=DISCONNECTED | {"rest": UNANSWERED})),
        f"ingest 1 is disconnected: refused; REST {UNANSWERED}",
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
        "the clock of box is 3.4s behind the exchange's: set it by NTP (timedatectl set-ntp true)",
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


def test_no_candles_are_said_to_come_by_rest_while_the_feed_is_blind() -> None:
    answers = instance("ingest", facts=DISCONNECTED | {"rest": "answered by http://h"})
    blind = (Standing("feed:BTCUSDT", "blind", NOW - 300_000),)
    found = judge(replace(with_service(answers), troubles=blind))
    assert found.remarks == ("ingest 1 is disconnected: refused",)


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
