"""A candle with two values keeps the first, and a wrong clock is told; both are events."""

import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from services.ingest.clock_watch import ClockWatch
from services.ingest.skew import Skew
from shared import keys
from shared.candle import read_candle
from shared.events import Event, EventsWriter, read_event
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.settings import Health, Streams
from sim.exchange import Exchange
from tests.waiting import wait_until

from .conftest import MARKET_START_MS, ONE_KIND, SYMBOL, Bench, health, last_boundary, market

pytestmark = ONE_KIND

START_MS = MARKET_START_MS + 2 * 3_600_000
MINUTE_MS = 60_000


async def told(redis: Redis, subject: str) -> list[Event]:
    events = [read_event(*entry) for entry in await redis.xrange(keys.EVENTS)]
    return [event for event in events if event.subject.startswith(subject)]


async def until_told(redis: Redis, subject: str, count: int) -> list[Event]:
    async def enough() -> bool:
        return len(await told(redis, subject)) >= count

    await wait_until(enough, f"{count} events")
    return await told(redis, subject)


async def until_at(redis: Redis, boundary_ms: int) -> None:
    async def there() -> bool:
        return await last_boundary(redis, "1m") >= boundary_ms

    await wait_until(there, "candles")


async def test_of_two_values_for_a_candle_the_first_stays_and_the_difference_is_told(
    bench: Bench, each_redis: Redis
) -> None:
    async with Exchange(market(1), start_ms=START_MS, speed=600.0) as exchange:
        await bench.start(bench.config(exchange))
        await until_at(each_redis, START_MS + MINUTE_MS)
        exchange.contradict(1, side="copy", interval="1m")
        (event,) = await until_told(each_redis, "candle:", 1)
        _, _, timeframe, boundary = event.subject.split(":")
        assert (timeframe, event.state, event.alert) == ("1m", "differs", False)
        entries = await each_redis.xrange(keys.klines(SYMBOL, "1m"), f"{boundary}-0", count=1)
        candle = read_candle(*entries[0])
        truth = {row.open_ms: row for row in exchange.tape.series("1m").rows(0, 10**6)}
        assert candle.close == truth[candle.boundary_ms - MINUTE_MS].close
        assert f"{candle.close:g}"[:5] in event.details["kept"]
        assert f"{event.details['kept']}, which stays, and then {event.details['other']}" in (
            event.sentence
        )

        async def counted() -> bool:
            return (await health(each_redis)).get("count_conflicts") == "1"

        await wait_until(counted, "the heartbeat to count it")
        await until_at(each_redis, exchange.now_ms + MINUTE_MS)
        assert len(await told(each_redis, "candle:")) == 1


async def test_a_candle_that_another_process_published_is_compared_too(
    bench: Bench, each_redis: Redis
) -> None:
    async with Exchange(market(1), start_ms=START_MS, speed=600.0) as exchange:
        await bench.start(bench.config(exchange))
        await until_at(each_redis, START_MS + 2 * MINUTE_MS)
        # Of the history, so not in the memory of what came last; the price is another one.
        opened = START_MS - 60 * MINUTE_MS
        price = dict.fromkeys("ohlc", "1.00")
        kline = {"t": opened, "s": SYMBOL, "i": "1m", "v": "1", "x": True, **price}
        event = {"e": "kline", "E": opened + MINUTE_MS, "s": SYMBOL, "k": kline}
        exchange.inject(json.dumps(event))
        (found,) = await until_told(each_redis, "candle:", 1)
        assert found.subject == f"candle:{SYMBOL}:1m:{opened + MINUTE_MS}"
        assert found.details["other"] == "1 1 1 1 volume 1 by WebSocket"


async def test_spoilt_keys_keep_nothing_from_being_published(
    bench: Bench, each_redis: Redis
) -> None:
    await each_redis.set(keys.TROUBLES, "yes please")
    await each_redis.set(keys.EVENTS, "none")
    async with Exchange(market(1), start_ms=START_MS, speed=600.0) as exchange:
        process = await bench.start(bench.config(exchange))
        await until_at(each_redis, exchange.now_ms + MINUTE_MS)
        exchange.contradict(1, side="copy", interval="1m")
        await process.until_logged(f"as {keys.EVENTS}: delete it (DEL {keys.EVENTS})")
        await until_at(each_redis, exchange.now_ms + 2 * MINUTE_MS)
        assert (await process.terminate())[0] == 0
    # Whether the troubles are read before they are begun anew is chance; each key is told once.
    for key, times in ((keys.EVENTS, {1}), (keys.TROUBLES, {0, 1})):
        assert process.log.count(f"as {key}: delete it") in times
    assert await each_redis.type(keys.TROUBLES) != b"string"
    assert "Traceback" not in process.log


class Rest:
    """An exchange whose clock is behind ours by ``ahead_ms``."""

    def __init__(self) -> None:
        self.skew, self.ahead_ms = Skew(), 0.0

    async def server_time(self) -> int:
        now_ms = time.time() * 1000
        for _ in range(5):
            self.skew.answered(round(now_ms - self.ahead_ms), now_ms, 0.0)
        return round(now_ms)


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    access = RedisAccess(each_redis_url, name="clock")
    yield access
    await access.close()


async def test_a_wrong_clock_is_told_when_it_is_wrong_and_when_it_is_right_again(
    access: RedisAccess, each_redis: Redis
) -> None:
    async def watched(ahead_ms: float, most_ms: float | None = 2000.0) -> list[str]:
        """What has been told after a process has looked once."""
        heartbeat, rest = Heartbeat("ingest", "1", Health()), Rest()
        rest.ahead_ms = ahead_ms
        events = EventsWriter(access, "ingest", "1", Streams())
        watch = ClockWatch(rest, events, heartbeat, most_ms)  # type: ignore[arg-type]
        await watch.look()
        assert abs(int(heartbeat.facts["clock_skew_ms"]) - ahead_ms) <= 1
        return [event.state for event in await told(each_redis, f"clock:{socket.gethostname()}")]

    assert await watched(1900) == []
    assert await watched(5000, most_ms=None) == []
    assert await watched(-5000) == ["skewed"]
    assert await watched(5000) == ["skewed"]
    assert await watched(1500) == ["skewed"]
    assert await watched(-900) == ["skewed", "right"]
    assert await watched(1500) == ["skewed", "right"]
    # Who wants to be told no longer is told that, and nothing stands for ever.
    assert await watched(5000) == ["skewed", "right", "skewed"]
    assert await watched(5000, most_ms=None) == ["skewed", "right", "skewed", "unwatched"]
    assert not await each_redis.hgetall(keys.TROUBLES)
    assert await watched(5000, most_ms=None) == ["skewed", "right", "skewed", "unwatched"]
    last = (await told(each_redis, "clock:"))[-1]
    assert last.ends
    assert last.sentence.endswith("no longer watched: exchange.max_clock_skew_seconds is null")


async def test_the_clock_is_compared_with_the_exchanges(bench: Bench, each_redis: Redis) -> None:
    async with Exchange(market(1), start_ms=START_MS, speed=1.0) as exchange:
        settings: dict[str, Any] = {"max_clock_skew_seconds": 2.0}
        await bench.start(bench.config(exchange, exchange=settings))
        (event,) = await until_told(each_redis, "clock:", 1)
        assert event.sentence.startswith(f"clock of {socket.gethostname()} is ")
        assert "ahead of the exchange's: set it by NTP" in event.sentence
        behind_ms = time.time() * 1000 - exchange.now_ms
        assert abs(int(event.details["clock_skew_ms"]) - behind_ms) < 60_000
