"""Ingest under every fault that the simulated exchange knows: the streams equal its candles."""

import asyncio
import json
import random

from redis.asyncio import Redis

from cli.embedded_redis import redis_server
from cli.redis_binary import Kind
from shared import keys
from sim.exchange import Exchange
from sim.script import Answer
from tests.waiting import wait_until

from .conftest import (
    ABSENT,
    DAY_MS,
    MARKET_START_MS,
    ONE_KIND,
    SYMBOL,
    TIMEFRAMES,
    Bench,
    health,
    last_boundary,
    market,
    sources,
    until_complete,
)

# Two market days in some four seconds.
FAST = 43_200.0
IMPATIENT = {"silence_seconds": 0.4, "request_timeout_seconds": 1.0}
MISSING = len(ABSENT) + 28 + 1 + 2  # of 1m, of 5m in the long hole and after, of whole hours


async def test_a_cold_start_loads_the_history_then_follows(bench: Bench, each_redis: Redis) -> None:
    start_ms = MARKET_START_MS + DAY_MS + 20 * 3_600_000
    async with Exchange(market(2), start_ms=start_ms) as exchange:
        process = await bench.start(bench.config(exchange))
        await until_complete(each_redis, exchange)
        await sources(each_redis, exchange)
        first = await each_redis.xrange(keys.klines(SYMBOL, "1m"), count=1)
        # The session's midnight is further away than 1,000 candles.
        assert first[0][0] == f"{MARKET_START_MS + DAY_MS + 60_000}-0".encode()
        log = process.log
        assert "Loaded 1m data: 1199 candles" in log  # the last one may still change
        assert log.index("Loaded 1h data") < log.index("WebSocket connection established")
        named = await each_redis.hgetall(keys.market(SYMBOL))
        assert named[b"tick_size"] == b"0.01000000"

        async def told() -> bool:
            beat = await health(each_redis)
            return beat.get("last_1m") == str(exchange.end_ms)

        await wait_until(told, "the heartbeat to tell the last candle")
        beat = await health(each_redis)
        assert beat["connection"] == f"connected to {exchange.ws_url}"
        assert beat["state"] == "running"
        assert int(beat["count_candles_1m"]) > 1000
        code, seconds = await process.terminate()
    assert (code, seconds < 5) == (0, True)
    assert "Traceback" not in process.log


async def test_exactly_the_absent_candles_are_marked_missing(
    bench: Bench, each_redis: Redis
) -> None:
    async with Exchange(market(2)) as exchange:
        await bench.start(bench.config(exchange))
        await until_complete(each_redis, exchange)
        count = await sources(each_redis, exchange)
    assert count["missing"] == MISSING
    assert count["ws"] > 1000


def garbage(exchange: Exchange) -> list[str]:
    """Frames that mean nothing, lie, or repeat what everybody knows."""
    old = exchange.tape.series("1m").rows(0, 1)[0]
    kline = {
        "t": old.open_ms, "T": old.close_ms, "s": SYMBOL, "i": "1m", "o": "1", "h": "1",
        "l": "1", "c": "1", "v": "1", "x": True,
    }  # fmt: skip
    event = {"e": "kline", "E": old.open_ms + 60_005, "s": SYMBOL}
    century = 3_155_760_000_000
    future = kline | {"t": kline["t"] + century}
    return [
        "<html>",
        '{"e":',
        '{"e":"trade","E":1,"s":"BTCUSDT"}',
        json.dumps(event | {"k": kline}),
        json.dumps(event | {"k": kline | {"s": "ETHUSDT"}}),
        json.dumps(event | {"k": kline | {"h": "0.5"}}),
        json.dumps(event | {"E": event["E"] + century, "k": future}),
        '{"result":null,"id":1}',
        '{"code":2,"msg":"Invalid request"}',
    ]


def a_fault(exchange: Exchange, chance: random.Random) -> None:
    """One of everything that goes wrong with an exchange."""
    at = chance.randrange(0, 2 * 1440)
    near = {MARKET_START_MS + minute * 60_000 for minute in range(at, at + 400, 3)}
    page = '[[1,"1","1","1","1","1",2],["x"],[],7]'
    faults = [
        lambda: exchange.cut(close_frame=False),
        lambda: exchange.cut(close_frame=True),
        lambda: exchange.refuse_handshakes(2, status=chance.choice([429, 451, 503])),
        exchange.silence,
        lambda: exchange.inject(chance.choice(garbage(exchange))),
        lambda: exchange.inject('{"e":"serverShutdown","E":1770123456789}'),
        lambda: exchange.answer_rest(Answer(503, "<html>")),
        lambda: exchange.answer_rest(Answer(200, "<html>"), 2),
        lambda: exchange.answer_rest(Answer(200, page)),
        lambda: exchange.answer_rest(Answer(429, headers={"Retry-After": "1"})),
        lambda: exchange.answer_rest(Answer(drop=True), 2),
        lambda: exchange.hide(near),
    ]
    chance.choice(faults)()


async def test_two_processes_under_every_fault_publish_what_the_exchange_has(
    bench: Bench, each_redis: Redis
) -> None:
    chance = random.Random(11)
    async with Exchange(market(2), speed=FAST, rest_lag_ms=4000) as exchange:
        config = bench.config(exchange, exchange=IMPATIENT)
        pair = [await bench.start(config, "1"), await bench.start(config, "2")]
        await wait_until(lambda: last_boundary(each_redis, "1m"), "the first candle")
        step = 0
        while not exchange.finished.is_set():
            step += 1
            a_fault(exchange, chance)
            if step % 12 == 0:
                which = step // 12 % 2
                await pair[which].kill()
                pair[which] = await bench.start(config, str(which + 1))
            await asyncio.sleep(0.1)
        exchange.silence(on=False)
        exchange.rest.answers.clear()
        exchange.rest.holes.clear()
        await until_complete(each_redis, exchange)
        count = await sources(each_redis, exchange)
    assert count["missing"] == MISSING
    assert count["ws"] > 100
    assert count["rest"] > 100
    assert "Traceback" not in "".join(process.log for process in bench.running)


@ONE_KIND
async def test_after_days_offline_everything_is_resumed(bench: Bench, each_redis: Redis) -> None:
    candles, start_ms = market(4), MARKET_START_MS + DAY_MS
    async with Exchange(
        candles, start_ms=start_ms, speed=600.0, idle_minutes_per_second=10**6
    ) as exchange:
        process = await bench.start(bench.config(exchange))
        await process.until_logged("WebSocket connection established")
        await process.kill()
    async with Exchange(candles, start_ms=exchange.end_ms - 600_000) as later:
        later.answer_rest(Answer(503), 2)
        process = await bench.start(bench.config(later))
        await until_complete(each_redis, later)
        count = await sources(each_redis, later)
    assert count["rest"] > 3 * 1440
    assert count["missing"] == MISSING


@ONE_KIND
async def test_bad_frames_are_counted_and_logged_once_per_kind(
    bench: Bench, each_redis: Redis
) -> None:
    async with Exchange(market(1), speed=600.0) as exchange:
        process = await bench.start(bench.config(exchange))
        await wait_until(lambda: last_boundary(each_redis, "1m"), "the first candle")
        for _ in range(3):
            for text in garbage(exchange):
                exchange.inject(text)

        async def counted() -> bool:
            beat = await health(each_redis)
            return beat.get("count_flawed_refused_control_message") == "3"

        await wait_until(counted, "the heartbeat to count them")
        beat = await health(each_redis)
        assert beat["count_flawed_not_JSON"] == "6"
        assert beat["count_flawed_foreign_symbol"] == "3"
        assert beat["count_flawed_impossible_candle"] == "3"
        assert beat["count_flawed_unexpected_type"] == "3"
        assert process.log.count("not JSON") == 1
        # A candle of the next century is refused as soon as the exchange is asked for its time.
        await process.until_logged("closed in the future")
        assert await last_boundary(each_redis, "1m") <= exchange.end_ms
        await sources(each_redis, exchange)


@ONE_KIND
async def test_a_shutdown_notice_brings_a_new_connection_soon(
    bench: Bench, each_redis: Redis
) -> None:
    async with Exchange(market(1), speed=600.0) as exchange:
        process = await bench.start(bench.config(exchange))
        await wait_until(lambda: last_boundary(each_redis, "1m"), "the first candle")
        exchange.inject('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":17701234}}')
        established = "WebSocket connection established"
        await wait_until(lambda: process.log.count(established) == 2, "a new connection", 3.0)
        assert "announces that it will close" in process.log


@ONE_KIND
async def test_slow_readers_hold_all_timeframes_back_without_a_deadlock(
    bench: Bench, each_redis: Redis
) -> None:
    async with Exchange(market(3)) as exchange:
        process = await bench.start(bench.config(exchange, streams={"max_lead": 120}))
        await each_redis.hset(keys.progress(SYMBOL), "indicators", f"{MARKET_START_MS}-0")
        ended = asyncio.Event()

        async def read_on() -> None:
            """As the merge does: no further than the shortest stream."""
            while not ended.is_set():
                ends = [await last_boundary(each_redis, name) for name in TIMEFRAMES]
                if all(ends):
                    nexts = [end + TIMEFRAMES[n] for n, end in zip(TIMEFRAMES, ends, strict=True)]
                    at = f"{min(nexts) - 60_000}-0"
                    await each_redis.hset(keys.progress(SYMBOL), "indicators", at)
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            group.create_task(read_on())
            await until_complete(each_redis, exchange)
            ended.set()
        await sources(each_redis, exchange)
        assert (await process.terminate())[0] == 0


async def test_a_redis_outage_loses_nothing(bench: Bench, redis_kind: Kind) -> None:
    kind, folder = redis_kind, bench.folder / "redis"
    async with Exchange(market(2), speed=FAST) as exchange:
        with redis_server(kind, folder) as server:
            bench.redis_url = server.url
            process = await bench.start(bench.config(exchange))
            redis = Redis.from_url(server.url, protocol=2)
            await wait_until(lambda: last_boundary(redis, "1h"), "the first candles")
            await redis.aclose()
        await process.until_logged("cannot be reached")
        await asyncio.sleep(0.5)
        with redis_server(kind, folder) as server:
            redis = Redis.from_url(server.url, protocol=2)
            await until_complete(redis, exchange)
            count = await sources(redis, exchange)
            await redis.aclose()
            await process.terminate()
    assert count["missing"] == MISSING
    assert process.log.count("cannot be reached") == 1
    assert "Redis answers again" in process.log
