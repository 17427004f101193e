"""Telegram's limits over several notifiers, on real servers of both kinds."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.notifier.channels import recipient
from services.notifier.limiter import Unlimited, limiter_of
from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Settings, Telegram
from sim.redis_proxy import RedisProxy

from .conftest import ROOT

SOMEONE, OTHER, GROUP = recipient("4242"), recipient("4343"), recipient("-100777")


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    made = RedisAccess(each_redis_url, name="notifier")
    yield made
    await made.close()


def settings(**limits: int) -> Settings:
    return Settings(telegram=Telegram(**limits))


async def age(redis: Redis, seconds: float) -> None:
    """Let all that was admitted be so much longer ago."""
    async for key in redis.scan_iter(match="rate:*"):
        times = await redis.lrange(key, 0, -1)
        for place, time_us in enumerate(times):
            await redis.lset(key, place, str(int(time_us) - round(seconds * 1e6)))


async def test_one_chat_gets_one_message_a_second_and_others_need_not_wait(
    access: RedisAccess, each_redis: Redis
) -> None:
    limiter = limiter_of("telegram", access, settings())
    assert await limiter.admit(SOMEONE) == 0
    assert await limiter.admit(OTHER) == 0
    wait_s = await limiter.admit(SOMEONE)
    assert 0 < wait_s <= 1.05
    await age(each_redis, wait_s)
    assert await limiter.admit(SOMEONE) == 0


async def test_a_group_gets_twenty_a_minute(access: RedisAccess, each_redis: Redis) -> None:
    limiter = limiter_of("telegram", access, settings())
    for _ in range(20):
        assert await limiter.admit(GROUP) == 0
        await age(each_redis, 1.05)
    wait_s = await limiter.admit(GROUP)
    assert 63 - 20 * 1.05 - 20 < wait_s <= 63 - 20 * 1.05
    assert await limiter.admit(SOMEONE) == 0
    await age(each_redis, wait_s)
    assert await limiter.admit(GROUP) == 0
    assert await limiter.admit(GROUP) > 0


async def test_who_is_refused_by_one_window_takes_no_place_in_another(
    access: RedisAccess, each_redis: Redis
) -> None:
    limiter = limiter_of("telegram", access, settings(messages_per_second=2))
    assert await limiter.admit(SOMEONE) == 0
    for _ in range(5):
        assert await limiter.admit(SOMEONE) > 0
    assert await each_redis.llen(keys.rate("telegram", "all")) == 1
    assert await limiter.admit(OTHER) == 0
    assert await limiter.admit(GROUP) > 0
    assert not await each_redis.exists(keys.rate("telegram", f"chat:{GROUP.tag}"))


async def test_what_is_remembered_is_no_more_than_needed(
    access: RedisAccess, each_redis: Redis
) -> None:
    limiter = limiter_of("telegram", access, settings())
    for _ in range(25):
        await limiter.admit(GROUP)
        await age(each_redis, 10)
    sizes = {key: await each_redis.llen(key) async for key in each_redis.scan_iter()}
    assert sizes[keys.rate("telegram", f"group:{GROUP.tag}").encode()] == 20
    assert sizes[keys.rate("telegram", f"chat:{GROUP.tag}").encode()] == 1
    for key in sizes:
        assert 0 < await each_redis.pttl(key) <= 63_000
    assert not [key for key in sizes if b"100777" in key]


@pytest.mark.parametrize("spoilt", ["string", "words", "future"])
async def test_an_edited_list_or_a_clock_that_was_set_back_stops_nobody(
    access: RedisAccess, each_redis: Redis, spoilt: str
) -> None:
    limiter = limiter_of("telegram", access, settings())
    key = keys.rate("telegram", f"chat:{SOMEONE.tag}")
    if spoilt == "string":
        await each_redis.set(key, "hello")
        assert await limiter.admit(SOMEONE) == 0
        return
    await each_redis.rpush(key, "soon" if spoilt == "words" else str(4 * 10**15))
    assert 0 < await limiter.admit(SOMEONE) <= 1.05
    await age(each_redis, 1.05)
    assert await limiter.admit(SOMEONE) == 0


async def test_a_channel_without_limits_asks_nobody(access: RedisAccess) -> None:
    for channel in ("email", "console"):
        limiter = limiter_of(channel, access, settings())
        assert isinstance(limiter, Unlimited)
        assert [await limiter.admit(SOMEONE) for _ in range(100)] == [0.0] * 100


_HAMMER = """
import asyncio, sys
from services.notifier.channels import recipient
from services.notifier.limiter import SharedLimiter
from services.notifier.rate_limits import Window
from shared.redis_access import RedisAccess

async def main(url, name):
    access = RedisAccess(url, name=name)
    journal = Window("journal", 100_000, 600_000)
    def windows(who):
        return Window("all", 12, 300), Window("chat:" + who.tag, 5, 200), journal
    limiter, went = SharedLimiter(access, "telegram", windows), 0
    async def hammer(chat):
        nonlocal went
        while went < 30:
            wait_s = await limiter.admit(recipient(chat))
            went += wait_s == 0
            await asyncio.sleep(wait_s)
    await asyncio.gather(*(hammer(str(chat)) for chat in range(1, 5)))
    await access.close()
    print(went)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_three_processes_together_never_send_more_than_fits(
    each_redis: Redis, each_redis_url: str
) -> None:
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _HAMMER, each_redis_url, name,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )
        for name in ("one", "two", "three")
    ]  # fmt: skip
    went = [int((await process.communicate())[0]) for process in running]
    assert min(went) >= 30
    times = [int(each) for each in await each_redis.lrange(keys.rate("telegram", "journal"), 0, -1)]
    assert len(times) == sum(went)
    assert min(late - soon for soon, late in zip(times, times[12:], strict=False)) >= 300_000


async def test_an_admission_whose_reply_was_lost_counts_and_nothing_worse(
    each_redis: Redis, each_redis_url: str
) -> None:
    async with RedisProxy(each_redis_url) as proxy:
        access = RedisAccess(proxy.url, name="notifier")
        limiter = limiter_of("telegram", access, settings(chat_messages_per_second=3))
        assert await limiter.admit(SOMEONE) == 0
        proxy.lose_replies(1, commands=["EVALSHA"])
        assert await limiter.admit(SOMEONE) == 0
        assert 0 < await limiter.admit(SOMEONE) <= 1.05
        await age(each_redis, 1.05)
        assert await limiter.admit(SOMEONE) == 0
        await access.close()
