"""What a person does to ingest's keys with redis-cli, while it runs: the streams end up right."""

import re

from redis.asyncio import Redis

from shared import keys
from sim.exchange import Exchange
from tests.waiting import wait_until

from .conftest import (
    DAY_MS,
    MARKET_START_MS,
    ONE_KIND,
    SYMBOL,
    TIMEFRAMES,
    Bench,
    last_boundary,
    market,
    sources,
    until_complete,
)

FUTURE = "4102444800000-0"  # 2100-01-01
KLINES, PROGRESS = keys.klines(SYMBOL, "1m"), keys.progress(SYMBOL)
MARKET, TOTALS = keys.market(SYMBOL), keys.totals(SYMBOL)

# What is put in place of a key or into it, and what ingest says of it.
IN_THE_WAY = [
    (KLINES, ["XADD", KLINES, FUTURE, "a", "b"], "the 1m stream ends in the future, at 2100-01-01"),
    (KLINES, ["SET", KLINES, "garbage"], f"holds a string, not a stream, as {KLINES}"),
    (PROGRESS, ["SET", PROGRESS, "garbage"], f"holds a string, not a hash, as {PROGRESS}"),
]


async def test_each_is_told_once_with_its_remedy_and_made_good_again(
    bench: Bench, each_redis: Redis
) -> None:
    start_ms = MARKET_START_MS + DAY_MS + 21 * 3_600_000
    async with Exchange(market(2), start_ms=start_ms, speed=3600.0) as exchange:
        process = await bench.start(bench.config(exchange))
        await process.until_logged("WebSocket connection established")
        for key, command, told in IN_THE_WAY:
            await wait_until(lambda: _moves(each_redis), "candles to come")
            await each_redis.execute_command(*command)
            await process.until_logged(told)
            assert f"(DEL {key})" in process.log
            await each_redis.delete(key)
        # What nobody decides by stops nothing.
        for key, command in [
            (TOTALS, ["SET", TOTALS, "garbage"]),
            (TOTALS, ["HSET", TOTALS, "1m", "many"]),
            (PROGRESS, ["HSET", PROGRESS, "people", "0-0"]),
        ]:
            await each_redis.delete(key)
            await each_redis.execute_command(*command)
            await wait_until(lambda: _moves(each_redis), "candles to come")
        await until_complete(each_redis, exchange)
        await sources(each_redis, exchange)
        assert int(await each_redis.hget(TOTALS, "1m")) > 0
        assert (await process.terminate())[0] == 0
    for _, _, told in IN_THE_WAY:
        assert len(re.findall(re.escape(told), process.log)) == 1
    assert "Traceback" not in process.log


async def _moves(redis: Redis) -> bool:
    before = await last_boundary(redis, "1m")

    async def later() -> bool:
        return await last_boundary(redis, "1m") >= before + 2 * TIMEFRAMES["1m"]

    await wait_until(later, "two more candles")
    return before > 0


@ONE_KIND
async def test_the_market_is_written_whatever_stands_there(bench: Bench, each_redis: Redis) -> None:
    await each_redis.rpush(MARKET, "garbage")
    async with Exchange(market(1), start_ms=MARKET_START_MS + DAY_MS // 2, speed=60.0) as exchange:
        process = await bench.start(bench.config(exchange))
        await process.until_logged("Loaded 1m data")
        assert await each_redis.hget(MARKET, "tick_size") == b"0.01000000"
