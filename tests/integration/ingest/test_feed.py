"""One feed on the real clock, without frames: the deadline, a lagging REST, a second process."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.ingest.backfill import FeedSettings
from services.ingest.clock import ExchangeClock
from services.ingest.frames import KlineFrame
from services.ingest.pages import Page, Row
from services.ingest.timeframe_feed import TimeframeFeed
from shared import keys
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.settings import Health, Streams
from shared.streams import KlinesWriter
from shared.times import utc
from tests.waiting import wait_until

from .conftest import ONE_KIND

SYMBOL, INTERVAL_MS, DEADLINE_MS = "BTCUSDT", 400, 100
KEY = keys.klines(SYMBOL, "1m")
pytestmark = ONE_KIND


class Exchange:
    """Has a candle for every interval, which REST knows ``lag_ms`` after its close."""

    def __init__(self, lag_ms: int) -> None:
        self.host, self.clock = "http://exchange", ExchangeClock()
        self.lag_ms, self.pages, self.hangs = lag_ms, 0, False

    async def server_time(self) -> int:
        now_s = time.monotonic()
        while self.hangs:
            await asyncio.sleep(0.01)
        server_ms = int(time.time() * 1000)
        self.clock.answered(server_ms, now_s, now_s)
        return server_ms

    async def page(
        self,
        _symbol: str,
        _timeframe: str,
        interval_ms: int,
        *,
        from_ms: int,
        closed_by_ms: float,
        to_ms: int | None = None,
    ) -> Page:
        self.pages += 1
        known_by_ms = min(closed_by_ms, time.time() * 1000 - self.lag_ms)
        last_ms = int(known_by_ms) - interval_ms
        times = range(from_ms, min(last_ms, to_ms or last_ms) + 1, interval_ms)
        return Page(tuple(Row(at, 2, 3, 1, 2, 5, True) for at in times), ())


class Feeds:
    """Makes feeds that write to the same stream, as processes side by side do."""

    def __init__(self, access: RedisAccess) -> None:
        self._access = access
        self.losses: list[str] = []

    async def _lost(self, what: str) -> None:
        self.losses.append(what)

    def feed(self, exchange: Exchange) -> TimeframeFeed:
        return TimeframeFeed(
            FeedSettings(SYMBOL, "1m", INTERVAL_MS, 3, DEADLINE_MS, 5000),
            rest=exchange,  # type: ignore[arg-type]
            writer=KlinesWriter(self._access, SYMBOL, Streams()),
            clock=exchange.clock,
            heartbeat=Heartbeat("ingest", "1", Health()),
            flawed=lambda kind, what: None,
            lost=self._lost,
        )


@pytest.fixture
async def feeds(each_redis: Redis, each_redis_url: str) -> AsyncIterator[Feeds]:
    # A stream that is not empty: otherwise the whole day would be loaded.
    now_ms = int(time.time() * 1000)
    start = now_ms - now_ms % INTERVAL_MS - 2 * INTERVAL_MS
    fields = {"open": 2, "high": 3, "low": 1, "close": 2, "volume": 5}
    origin = {"source": "rest", "lag_ms": 0, "received_at": 0}
    await each_redis.xadd(KEY, fields | origin, id=f"{start}-0")
    access = RedisAccess(each_redis_url, name="feeds")
    yield Feeds(access)
    await access.close()


async def boundaries(redis: Redis) -> list[int]:
    return [int(entry_id.partition(b"-")[0]) for entry_id, _ in await redis.xrange(KEY)]


def contiguous(found: list[int]) -> bool:
    return found == list(range(found[0], found[-1] + 1, INTERVAL_MS))


async def follow(redis: Redis, *feeds: TimeframeFeed, until: int) -> list[int]:
    """Run ``feeds`` until so many entries are there."""

    async def enough() -> bool:
        return len(await boundaries(redis)) >= until

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(feed.run()) for feed in feeds]
        await wait_until(enough, f"{until} entries")
        for each in running:
            each.cancel()
    return await boundaries(redis)


async def test_without_any_frame_rest_carries_the_feed(feeds: Feeds, each_redis: Redis) -> None:
    exchange = Exchange(lag_ms=0)
    feed = feeds.feed(exchange)
    await feed.load()
    assert contiguous(await follow(each_redis, feed, until=8))


async def test_a_lagging_database_is_asked_again(feeds: Feeds, each_redis: Redis) -> None:
    exchange = Exchange(lag_ms=350)
    feed = feeds.feed(exchange)
    await feed.load()
    found = await follow(each_redis, feed, until=8)
    assert contiguous(found)
    assert exchange.pages < 25  # and not in a hurry


async def test_what_a_twin_has_published_is_not_asked_for(feeds: Feeds, each_redis: Redis) -> None:
    exchange, idle = Exchange(lag_ms=0), Exchange(lag_ms=0)
    feed, deaf = feeds.feed(exchange), feeds.feed(idle)
    await feed.load()
    await deaf.load()
    opened, asked = (await boundaries(each_redis))[-1], idle.pages
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(each.run()) for each in (feed, deaf)]
        for _ in range(5):
            await asyncio.sleep(max(0.0, (opened + INTERVAL_MS) / 1000 - time.time()))
            feed.put(KlineFrame("1m", opened, True, opened, 2, 3, 1, 2, 5), 0)
            opened += INTERVAL_MS
        await asyncio.sleep(DEADLINE_MS / 1000 + 0.1)
        for each in running:
            each.cancel()
    found = await boundaries(each_redis)
    assert contiguous(found)
    assert found[-1] >= opened
    assert idle.pages - asked <= 1


async def test_a_stream_that_lost_its_end_is_told_of_and_filled_again(
    feeds: Feeds, each_redis: Redis
) -> None:
    feed = feeds.feed(Exchange(lag_ms=0))
    await feed.load()
    [*_, before, _] = await boundaries(each_redis)
    fields = {"open": 2, "high": 3, "low": 1, "close": 2, "volume": 5}
    await each_redis.delete(KEY)
    await each_redis.xadd(
        KEY, fields | {"source": "ws", "lag_ms": 0, "received_at": 0}, id=f"{before}-0"
    )
    feed.check_now()
    assert contiguous(await follow(each_redis, feed, until=4))
    assert feeds.losses == [f"the 1m candles after {utc(before)}"]


async def test_frames_are_published_while_rest_hangs(feeds: Feeds, each_redis: Redis) -> None:
    exchange = Exchange(lag_ms=0)
    feed = feeds.feed(exchange)
    await feed.load()
    [*_, last_ms] = await boundaries(each_redis)
    exchange.hangs = True
    feed.look_now()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(feed.run())
        await asyncio.sleep(0.05)
        began = time.monotonic()
        for number in range(1, 4):
            opened = last_ms + (number - 1) * INTERVAL_MS
            feed.put(KlineFrame("1m", opened, True, opened, 2, 3, 1, 2, 5), 0)

            async def published(boundary_ms: int = opened + INTERVAL_MS) -> bool:
                return (await boundaries(each_redis))[-1] >= boundary_ms

            await wait_until(published, "the frame in the stream", 5.0)
        assert time.monotonic() - began < 2.0
        running.cancel()
    exchange.hangs = False
    entries = await each_redis.xrange(KEY)
    assert [fields[b"source"] for _, fields in entries[-3:]] == [b"ws"] * 3
