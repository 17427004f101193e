"""The short way through redis-py: what is wrong with a connection reaches no other command."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.redis_access import RedisAccess


@pytest.fixture
async def access(each_redis_url: str) -> AsyncIterator[RedisAccess]:
    access = RedisAccess(each_redis_url, name="short-way")
    yield access
    await access.close()


async def _connections(redis: Redis) -> int:
    return sum(each["name"] == "short-way" for each in await redis.client_list())


async def test_commands_one_after_the_other_share_a_connection(
    access: RedisAccess, each_redis: Redis
) -> None:
    for number in range(20):
        await access.client.set("number", number)
    assert await _connections(each_redis) == 1


async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    access: RedisAccess, each_redis: Redis
) -> None:
    await access.client.set("before", 1)
    for each in await each_redis.client_list():
        if each["name"] == "short-way":
            await each_redis.client_kill_filter(_id=each["id"])
    await access.patiently(lambda: access.client.set("after", 2))
    assert await access.client.mget(["before", "after"]) == [b"1", b"2"]
    assert await _connections(each_redis) == 1


@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_connection_that_was_reset_meanwhile_is_an_outage_like_any_other(
    access: RedisAccess, pipelined: bool
) -> None:
    async def write() -> object:
        if not pipelined:
            return await access.client.set("after", 2)
        async with access.client.pipeline() as pipe:
            return await pipe.set("after", 2).execute()

    await access.patiently(write)
    pool = access.client.connection_pool
    for each in (*pool._available_connections, *pool._in_use_connections):
        each._writer.transport._fatal_error(ConnectionResetError(104, "reset by peer"))
    await asyncio.sleep(0)  # asyncio tells the reader at its next turn
    assert await access.patiently(write)


async def test_who_does_not_wait_is_told_of_a_reset_connection(access: RedisAccess) -> None:
    await access.client.set("before", 1)
    for each in access.client.connection_pool._in_use_connections:
        each._writer.transport._fatal_error(ConnectionResetError(104, "reset by peer"))
    await asyncio.sleep(0)
    with suppress(RedisError):  # an earlier Python's may notice in time, and connect again
        await access.client.set("after", 2)
    assert await access.client.set("after", 2)


async def test_the_answer_to_a_cancelled_command_is_nobody_elses(
    access: RedisAccess, each_redis: Redis
) -> None:
    await access.client.set("mine", "yes")
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await access.client.blpop(["nothing"], timeout=5)
        assert await access.client.get("mine") == b"yes"


async def test_a_command_of_two_words_and_bytes_that_are_no_text_arrive_as_they_are(
    access: RedisAccess, each_redis: Redis
) -> None:
    packed = bytes(range(256)) * 40
    await access.client.set("packed", packed)
    assert await each_redis.get("packed") == packed
    await access.client.xadd("stream", {"a": "1"})
    assert (await access.client.xinfo_stream("stream"))["length"] == 1
