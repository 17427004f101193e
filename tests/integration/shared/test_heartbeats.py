"""Heartbeats as others find them: present, of this moment, and gone with their process."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.settings import Health
from tests.integration.shared.bench import access_to, until_left
from tests.waiting import wait_until

KEY = keys.health("detector", "2")


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    async with access_to(each_redis_url) as made:
        yield made


@pytest.fixture
def heartbeat() -> Heartbeat:
    return Heartbeat("detector", "2", Health(interval_seconds=0.02, ttl_seconds=7))


async def test_a_heartbeat_has_a_ttl_and_is_taken_away_on_a_clean_end(
    each_redis: Redis, access: RedisAccess, heartbeat: Heartbeat
) -> None:
    async with until_left(heartbeat.beat(access)):
        await wait_until(lambda: each_redis.exists(KEY))
        assert 0 < await each_redis.pttl(KEY) <= 7000
        assert await each_redis.hget(KEY, "state") == b"starting"
    assert await each_redis.exists(KEY) == 0


async def test_facts_follow_and_those_no_longer_true_go(
    each_redis: Redis, access: RedisAccess, heartbeat: Heartbeat
) -> None:
    async def field(name: str) -> bytes | None:
        found: bytes | None = await each_redis.hget(KEY, name)
        return found

    heartbeat.facts["last_1m"] = "17"
    async with until_left(heartbeat.beat(access)):
        await wait_until(lambda: field("last_1m"))
        del heartbeat.facts["last_1m"]
        heartbeat.counters["signals"] += 1
        await wait_until(lambda: field("count_signals"))
        assert await field("last_1m") is None


async def test_a_heartbeat_survives_a_server_that_refuses_it_for_a_while(
    each_redis: Redis, access: RedisAccess, heartbeat: Heartbeat
) -> None:
    async with until_left(heartbeat.beat(access)):
        await wait_until(lambda: each_redis.exists(KEY))
        await each_redis.config_set("maxmemory", "1")
        try:
            await wait_until(lambda: access.trouble)
        finally:
            await each_redis.config_set("maxmemory", "0")
        await wait_until(lambda: access.trouble is None)
        await each_redis.delete(KEY)
        await wait_until(lambda: each_redis.exists(KEY))


async def test_a_clean_end_does_not_wait_for_a_server_that_is_away(heartbeat: Heartbeat) -> None:
    async with access_to("unix:///nowhere/nobody.sock") as access:
        task = asyncio.create_task(heartbeat.beat(access))
        await wait_until(lambda: access.trouble)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(2):
                await task
