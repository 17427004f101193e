"""Consumers of dead notifiers go, and never with anything that they hold; both servers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from services.notifier import __main__ as notifier
from services.notifier.consumers import _SCRIPT, Consumers
from shared import keys
from shared.redis_access import RedisAccess
from tests.waiting import wait_until

from .conftest import Bench

SILENCE_MS = 100


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    made = RedisAccess(each_redis_url, name="notifier")
    yield made
    await made.close()


@pytest.fixture
async def group(each_redis: Redis) -> Redis:
    """Both streams with a group, and three signals."""
    for stream in (keys.SIGNALS, keys.EVENTS):
        await each_redis.xgroup_create(stream, "email", id="0", mkstream=True)
    for _ in range(3):
        await each_redis.xadd(keys.SIGNALS, {"hello": "you"})
    return each_redis


async def reads(redis: Redis, name: str, *, acknowledges: bool) -> bytes:
    [[_, [(entry, _)]]] = await redis.xreadgroup("email", name, {keys.SIGNALS: ">"}, count=1)
    if acknowledges:
        await redis.xack(keys.SIGNALS, "email", entry)
    return bytes(entry)


async def consumers(redis: Redis, stream: str = keys.SIGNALS) -> dict[bytes, int]:
    rows: list[dict[str, Any]] = await redis.xinfo_consumers(stream, "email")
    return {row["name"]: row["pending"] for row in rows}


async def until_silent(redis: Redis) -> None:
    async def silent() -> bool:
        rows = await redis.xinfo_consumers(keys.SIGNALS, "email")
        return all(row["idle"] >= SILENCE_MS for row in rows)

    await wait_until(silent, "silence")


def tidier(access: RedisAccess, name: str = "ours") -> Consumers:
    return Consumers(access, ["email", "telegram"], name, unheard_ms=SILENCE_MS)


async def test_the_dead_go_and_who_holds_something_stays(access: RedisAccess, group: Redis) -> None:
    await reads(group, "dead", acknowledges=True)
    held = await reads(group, "holder", acknowledges=False)
    await group.xgroup_createconsumer(keys.SIGNALS, "email", "ours")
    await group.xgroup_createconsumer(keys.EVENTS, "email", "dead")
    await until_silent(group)
    assert await tidier(access).tidy() == 2
    assert await consumers(group) == {b"holder": 1, b"ours": 0}
    assert await consumers(group, keys.EVENTS) == {}
    [row] = await group.xpending_range(keys.SIGNALS, "email", min="-", max="+", count=9)
    assert (row["message_id"], row["consumer"]) == (held, b"holder")
    assert await tidier(access).tidy() == 0


async def test_nobody_goes_within_a_day(access: RedisAccess, group: Redis) -> None:
    await reads(group, "quiet", acknowledges=True)
    await until_silent(group)
    assert await Consumers(access, ["email"], "ours").tidy() == 0
    assert await consumers(group) == {b"quiet": 0}


async def test_who_gets_an_entry_after_the_look_is_kept_by_the_script(
    access: RedisAccess, group: Redis
) -> None:
    """The decision and the removal are two steps; between them anything may happen."""
    entry = await reads(group, "back again", acknowledges=False)
    await until_silent(group)
    script = access.script(_SCRIPT.read_text())
    arguments = ["email", "back again", SILENCE_MS]
    assert await script(keys=[keys.SIGNALS], args=arguments) == b"kept"
    assert await consumers(group) == {b"back again": 1}
    await group.xack(keys.SIGNALS, "email", entry)
    assert await script(keys=[keys.SIGNALS], args=["email", "back again", 10**9]) == b"kept"
    assert await script(keys=[keys.SIGNALS], args=["email", "nobody", 0]) == b"kept"
    assert await script(keys=[keys.EVENTS], args=["absent", "nobody", 0]) == b"kept"
    assert await script(keys=[keys.SIGNALS], args=arguments) == b"removed"
    assert await script(keys=[keys.SIGNALS], args=arguments) == b"kept"


async def test_a_replay_that_waits_is_kept_and_its_consumer_goes_when_it_is_done(
    access: RedisAccess, group: Redis
) -> None:
    entry = await reads(group, "host-1", acknowledges=True)
    await group.xclaim(
        keys.SIGNALS, "email", "replay", 0, [entry], idle=86_400_000, force=True, justid=True
    )
    await until_silent(group)
    await tidier(access, "host-1").tidy()
    assert await consumers(group) == {b"host-1": 0, b"replay": 1}
    await group.xack(keys.SIGNALS, "email", entry)
    await tidier(access, "host-1").tidy()
    assert await consumers(group) == {b"host-1": 0}


async def test_a_live_reader_that_was_taken_for_dead_misses_nothing(
    access: RedisAccess, group: Redis, each_redis_url: str
) -> None:
    """Redis 7.0 hears nothing of one who waits for entries: on it, that is a quiet day."""
    for _ in range(3):
        await reads(group, "patient", acknowledges=True)
    await until_silent(group)
    reader: Redis = Redis.from_url(each_redis_url, protocol=2)
    waiting = asyncio.create_task(
        reader.xreadgroup("email", "patient", {keys.SIGNALS: ">"}, block=20_000)
    )

    async def blocked() -> bool:
        return bool((await group.info("clients"))["blocked_clients"])

    await wait_until(blocked, "the reader to wait")
    await group.xgroup_delconsumer(keys.SIGNALS, "email", "patient")
    added = await group.xadd(keys.SIGNALS, {"hello": "again"})
    [[_, [(entry, _)]]] = await waiting
    await reader.aclose()
    assert entry == added
    assert await consumers(group) == {b"patient": 1}


async def test_where_nothing_was_made_yet_nothing_is_done(
    access: RedisAccess, each_redis: Redis
) -> None:
    assert await tidier(access).tidy() == 0
    await each_redis.set(keys.SIGNALS, "edited")
    assert await tidier(access).tidy() == 0
    assert await each_redis.keys() == [b"signals"]


async def test_a_notifier_does_it_when_it_starts(
    bench: Bench, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "Consumers", partial(Consumers, unheard_ms=0))
    await redis.xgroup_create(keys.SIGNALS, "console", id="0", mkstream=True)
    await redis.xgroup_createconsumer(keys.SIGNALS, "console", "dead")
    serving = asyncio.create_task(notifier.serve(bench.settings(), "1"))

    async def gone() -> bool:
        rows = await redis.xinfo_consumers(keys.SIGNALS, "console")
        return b"dead" not in [row["name"] for row in rows]

    await wait_until(gone, "the dead consumer to go")
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
