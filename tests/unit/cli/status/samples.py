"""What a well scanner shows, to be changed."""

from dataclasses import replace
from typing import Any

from cli.status.facts import (
    SERVICES,
    Board,
    Candles,
    Channel,
    Factor,
    Facts,
    Instance,
    LastSignal,
    Reader,
    RedisFacts,
)

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
