"""The proxy before real servers of both kinds, seen by redis-py and by a plain socket."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError

from sim.redis_proxy import RedisProxy
from tests.waiting import wait_until

LISTEN = ["tcp", "unix"]


@pytest.fixture(params=LISTEN)
async def proxy(
    request: pytest.FixtureRequest, each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> AsyncIterator[RedisProxy]:
    """A proxy before an emptied server."""
    listen = {"tcp": "redis://127.0.0.1:0", "unix": f"unix://{tmp_path}/proxy.sock"}
    async with RedisProxy(each_redis_url, listen[request.param]) as proxy:
        yield proxy


def through(proxy: RedisProxy, **how: Any) -> Redis:
    """A client that tries nothing twice."""
    client: Redis = Redis.from_url(
        proxy.url, **({"protocol": 2, "retry": Retry(NoBackoff(), 0), "socket_timeout": 5} | how)
    )
    return client


@pytest.mark.parametrize("protocol", [2, 3])
async def test_everything_passes(proxy: RedisProxy, protocol: int) -> None:
    big = b"x" * 3_000_000
    async with through(proxy, protocol=protocol) as redis:
        await redis.set("k", big)
        assert await redis.get("k") == big
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(5000):
                pipe.xadd("s", {"n": number, "text": "a\r\n*3\r\n$1"})
            assert len(await pipe.execute()) == 5000
        entries = await redis.xrange("s")
        assert [int(fields[b"n"]) for _, fields in entries] == list(range(5000))
        async with redis.pipeline() as pipe:
            pipe.set("a", 1)
            pipe.get("a")
            assert await pipe.execute() == [True, b"1"]
        await redis.xgroup_create("s", "g", "0")
        read = await redis.xreadgroup("g", "c", {"s": ">"}, count=5000)
        assert len((read if protocol == 2 else list(read.items()))[0][1]) in (1, 5000)
        with pytest.raises(ResponseError):
            await redis.execute_command("NOSUCH")
        assert await redis.eval("return {1, {2, 'x'}, false}", 0) == [1, [2, b"x"], None]
    assert proxy.commands["XADD"] == 5000
    assert not proxy.hit


async def test_a_command_runs_and_its_answer_is_lost(proxy: RedisProxy, each_redis: Redis) -> None:
    async with through(proxy) as redis:
        await redis.set("k", "before")
        proxy.lose_replies(2, commands=["xadd", "incrby"])
        await redis.set("k", "after")
        with pytest.raises(Lost):
            await redis.xadd("s", {"f": "v"})
        assert await each_redis.xlen("s") == 1
        with pytest.raises(Lost):
            await redis.incr("n")
        assert await each_redis.get("n") == b"1"
        assert await redis.incr("n") == 2
    assert proxy.hit == {"XADD": 1, "INCRBY": 1}
    assert proxy.caused == {"redis_lose_replies": 1}


async def test_a_careless_retry_writes_twice(proxy: RedisProxy, each_redis: Redis) -> None:
    proxy.lose_replies(1, commands=["XADD"])
    async with through(proxy, retry=Retry(NoBackoff(), 3)) as redis:
        await redis.xadd("s", {"f": "v"})
    assert await each_redis.xlen("s") == 2


async def test_a_script_and_a_transaction_lose_their_answers(
    proxy: RedisProxy, each_redis: Redis
) -> None:
    async with through(proxy) as redis:
        script = redis.register_script("return redis.call('INCR', KEYS[1])")
        assert await script(keys=["n"]) == 1
        proxy.lose_replies(1, commands=["EVALSHA"])
        with pytest.raises(Lost):
            await script(keys=["n"])
        assert await each_redis.get("n") == b"2"
        proxy.lose_replies(1, commands=["EXEC"])
        async with redis.pipeline() as pipe:
            pipe.incr("n")
            pipe.incr("n")
            with pytest.raises(Lost):
                await pipe.execute()
        assert await each_redis.get("n") == b"4"


async def test_a_blocking_read_loses_its_answer_and_keeps_it_pending(
    proxy: RedisProxy, each_redis: Redis
) -> None:
    await each_redis.xgroup_create("s", "g", "0", mkstream=True)
    proxy.lose_replies(1, commands=["XREADGROUP"])
    async with through(proxy) as redis, asyncio.TaskGroup() as group:
        reading = group.create_task(_lost(redis.xreadgroup("g", "c", {"s": ">"}, block=4000)))
        await wait_until(lambda: proxy.commands["XREADGROUP"])
        await each_redis.xadd("s", {"f": "v"})
        await reading
    assert (await each_redis.xpending("s", "g"))["pending"] == 1


async def _lost(asking: Any) -> None:
    with pytest.raises(Lost):
        await asking


async def test_a_command_is_lost_before_it_runs(proxy: RedisProxy, each_redis: Redis) -> None:
    async with through(proxy) as redis:
        proxy.lose_commands(1, commands=["INCRBY"])
        await redis.ping()
        with pytest.raises(Lost):
            await redis.incr("n")
        assert await each_redis.get("n") is None
        assert await redis.incr("n") == 1


async def test_connections_are_reset(proxy: RedisProxy) -> None:
    async with through(proxy) as redis, through(proxy) as other:
        await redis.ping()
        await other.ping()
        assert proxy.connections == 2
        proxy.reset()
        await wait_until(lambda: not proxy.connections)
        for client in (redis, other):
            # redis-py may notice before it sends; asyncio of 3.12.1 and 3.13.0 stumbles over
            # writelines on a transport that was reset.
            with suppress(Lost, AttributeError):
                await client.ping()
            assert await client.ping()


async def test_an_answer_waits(proxy: RedisProxy) -> None:
    async with through(proxy) as redis, through(proxy) as other:
        await other.ping()
        proxy.delay(0.3, 1, commands=["GET"])
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(redis.get("k"))
            await other.ping()
            assert not waiting.done()
        assert time.monotonic() - began_s >= 0.3


@pytest.mark.parametrize("cut", [True, False])
async def test_connections_are_refused(proxy: RedisProxy, cut: bool) -> None:
    async with through(proxy) as redis, through(proxy) as late:
        await redis.ping()
        proxy.refuse(for_s=0.3, cut=cut)
        if cut:
            with pytest.raises(Lost):
                await redis.ping()
        else:
            assert await redis.ping()
        with pytest.raises(Lost, match=r"refused|111|61"):
            await late.ping()

        async def answers() -> bool:
            try:
                return bool(await late.ping())
            except Lost:
                return False

        await wait_until(answers)
        proxy.refuse()
        with pytest.raises(Lost):
            await through(proxy).ping()
        proxy.behave()
        await wait_until(answers)


async def test_it_goes_mute_and_goes_on(proxy: RedisProxy) -> None:
    async with through(proxy) as redis, through(proxy) as late:
        await redis.ping()
        proxy.mute()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(redis.incr("n"))
            knocking = group.create_task(late.incr("n"))
            await asyncio.sleep(0.2)
            assert not asked.done()
            assert not knocking.done()
            proxy.behave()
        assert {asked.result(), knocking.result()} == {1, 2}
        proxy.mute(for_s=0.2)
        began_s = time.monotonic()
        await redis.ping()
        assert time.monotonic() - began_s >= 0.2


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    async with (
        RedisProxy(f"unix://{tmp_path}/nothing.sock") as proxy,
        through(proxy) as redis,
    ):
        with pytest.raises(Lost):
            await redis.ping()


async def test_the_url_keeps_database_and_credentials() -> None:
    async with RedisProxy("redis://user:word@127.0.0.1:6/3") as proxy:
        assert proxy.url.startswith("redis://user:word@127.0.0.1:")
        assert proxy.url.endswith("/3")


@pytest.mark.parametrize("url", ["rediss://h:1", "h:1", "unix://", "redis://"])
def test_a_url_it_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="give redis://host:port"):
        RedisProxy(url)


async def test_requests_that_make_no_sense_are_refused(proxy: RedisProxy) -> None:
    with pytest.raises(ValueError, match="at least one"):
        proxy.lose_replies(0)
    with pytest.raises(TypeError, match="list of names"):
        proxy.lose_replies(1, commands="XADD")
    assert not proxy.caused
