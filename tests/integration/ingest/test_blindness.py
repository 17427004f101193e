"""BLIND and RECOVERED are told once each, whoever looks, and never for what is usual."""

import re
import signal

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.events import Event, read_event
from sim.exchange import Exchange
from sim.market import generate
from tests.service_process import Process
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
)

pytestmark = ONE_KIND

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
START_MS = MARKET_START_MS + HOUR_MS
SUBJECT = f"feed:{SYMBOL}"
# Ten hours in two and a half seconds, in which a process notices that it stood still. Every
# reconnect then takes many minutes of the market.
SPEED, LIMIT = 14_500.0, {"blind_after_seconds": 900.0}
CANDLES = generate(7, 4, MARKET_START_MS)


async def told(redis: Redis) -> list[Event]:
    events = [read_event(*entry) for entry in await redis.xrange(keys.EVENTS)]
    return [event for event in events if event.subject == SUBJECT]


async def until_told(redis: Redis, count: int, seconds: float = 30.0) -> list[Event]:
    async def enough() -> bool:
        return len(await told(redis)) >= count

    await wait_until(enough, f"{count} events", seconds)
    return await told(redis)


async def until_at(redis: Redis, boundary_ms: int) -> None:
    async def there() -> bool:
        return await last_boundary(redis, "1m") >= boundary_ms

    await wait_until(there, "candles")


async def running(
    bench: Bench, exchange: Exchange, processes: int, **settings: float
) -> list[Process]:
    config = bench.config(exchange, exchange=settings)
    return [await bench.start(config, str(number + 1)) for number in range(processes)]


async def told_once_each(redis: Redis, *, outage: int, minutes: int) -> None:
    """BLIND and RECOVERED, of at least so many minutes, as the streams have it."""
    events = await until_told(redis, 2 * outage)
    assert len(events) == 2 * outage
    blind, recovered = events[-2:]
    assert (blind.state, recovered.state) == ("blind", "recovered")
    assert blind.since_ms == recovered.since_ms
    assert re.fullmatch(
        r"BTC/USDT feed BLIND since \S+ \S+ UTC: no (1m|5m|1h) candle after that", blind.sentence
    )
    numbers = re.fullmatch(
        r"BTC/USDT feed RECOVERED after \d+[hm] \d+[ms]: (\d+) candles? refilled"
        r" \((\d+) 1m(?:, (\d+) 5m)?(?:, (\d+) 1h)?\), (\d+) by REST(?:, (\d+) missing)?",
        recovered.sentence,
    )
    assert numbers is not None, recovered.sentence
    total, one, five, hour, rest, missing = (int(found or 0) for found in numbers.groups())
    assert total == one + five + hour
    assert one >= minutes
    assert rest + missing <= total
    entry = await redis.xrange(
        keys.klines(SYMBOL, blind.details["timeframe"]), f"{blind.since_ms}-0", count=1
    )
    assert entry[0][0] == f"{blind.since_ms}-0".encode()
    assert not await redis.hgetall(keys.TROUBLES)


async def be_out_of_reach(exchange: Exchange) -> None:
    exchange.refuse_connections(for_ms=HOUR_MS, port="both")
    exchange.cut()


async def sleep_for_ten_hours(exchange: Exchange, machine: list[Process]) -> None:
    for process in machine:
        process.child.send_signal(signal.SIGSTOP)
    awake_ms = exchange.now_ms + 10 * HOUR_MS
    await wait_until(lambda: exchange.now_ms > awake_ms, "ten hours")
    for process in machine:
        process.child.send_signal(signal.SIGCONT)


async def test_a_sleep_of_ten_hours_is_told_once(bench: Bench, each_redis: Redis) -> None:
    async with Exchange(CANDLES, start_ms=START_MS, speed=SPEED) as exchange:
        alone = await running(bench, exchange, 1, **LIMIT)
        await until_at(each_redis, START_MS + 30 * MINUTE_MS)
        assert await told(each_redis) == []
        await sleep_for_ten_hours(exchange, alone)
        await told_once_each(each_redis, outage=1, minutes=590)


async def test_two_processes_that_see_the_same_outages_tell_each_of_them_once(
    bench: Bench, each_redis: Redis
) -> None:
    async with Exchange(CANDLES, start_ms=START_MS, speed=SPEED) as exchange:
        pair = await running(bench, exchange, 2, **LIMIT)
        await until_at(each_redis, START_MS + 30 * MINUTE_MS)
        await be_out_of_reach(exchange)
        await told_once_each(each_redis, outage=1, minutes=50)
        await sleep_for_ten_hours(exchange, pair)
        await told_once_each(each_redis, outage=2, minutes=590)
        for process in pair:
            assert (await process.terminate())[0] == 0
        exchange.skew(5 * HOUR_MS)
        await running(bench, exchange, 2, **LIMIT)
        await told_once_each(each_redis, outage=3, minutes=290)


async def test_who_is_blind_says_so_meanwhile_and_a_restarted_process_ends_it(
    bench: Bench, each_redis: Redis
) -> None:
    # At the market's own pace; the first boundary is two seconds away.
    limits = {"close_deadline_seconds": 0.3, "blind_after_seconds": 0.6, "silence_seconds": 1.0}
    start_ms = START_MS + MINUTE_MS - 2_000
    async with Exchange(market(1), start_ms=start_ms, speed=1.0) as exchange:
        config = bench.config(exchange, exchange=limits)
        process = await bench.start(config)
        await process.until_logged("WebSocket connection established")
        exchange.refuse_connections(for_ms=HOUR_MS, port="both")
        exchange.cut()
        (blind,) = await until_told(each_redis, 1)
        assert blind.alert
        assert blind.sentence.startswith("BTC/USDT feed BLIND since")
        assert exchange.now_ms < START_MS + 5 * MINUTE_MS
        assert await each_redis.hget(keys.TROUBLES, SUBJECT) == f"blind {blind.since_ms}".encode()
        await process.kill()
        exchange.behave()
        await bench.start(config)
        _, recovered = await until_told(each_redis, 2)
        assert recovered.state == "recovered"
        assert recovered.details["refilled_1m"] == "1"
        assert not await each_redis.hgetall(keys.TROUBLES)


@pytest.mark.timeout(120)
async def test_who_reaches_the_exchange_only_long_after_its_start_tells_both_once(
    bench: Bench, each_redis: Redis
) -> None:
    # A second of ours for a late candle, and a candle every six seconds.
    limits = {"close_deadline_seconds": 5.0, "blind_after_seconds": 10.0}
    async with Exchange(market(1), start_ms=START_MS, speed=10.0) as exchange:
        exchange.refuse_connections(for_ms=HOUR_MS, port="both")
        config = bench.config(exchange, exchange=limits)
        await bench.start(config)
        (blind,) = await until_told(each_redis, 1)
        assert (blind.state, blind.alert) == ("blind", True)
        said = re.fullmatch(
            r"BTC/USDT feed BLIND since \S+ \S+ UTC: no 1m candle after that;"
            r" REST has not answered since \S+ \S+ UTC: (\S+) cannot be reached \(.+\)",
            blind.sentence,
        )
        assert said is not None, blind.sentence
        assert said[1] == exchange.rest_url
        trouble = await each_redis.hget(keys.TROUBLES, SUBJECT)
        assert trouble == f"blind {blind.since_ms}".encode()
        exchange.behave()
        _, recovered = await until_told(each_redis, 2, 60)
        assert (recovered.state, recovered.since_ms) == ("recovered", blind.since_ms)
        assert not await each_redis.hgetall(keys.TROUBLES)
        await until_at(each_redis, await last_boundary(each_redis, "1m") + MINUTE_MS)
        assert [event.state for event in await told(each_redis)] == ["blind", "recovered"]


async def test_nothing_is_told_of_the_usual(bench: Bench, each_redis: Redis) -> None:
    # A history that two load; reconnects, a late close, a twin that sleeps, one that is restarted.
    async with Exchange(market(2), start_ms=MARKET_START_MS + DAY_MS, speed=40.0) as exchange:
        # Six seconds of ours, for a machine that has much else to do.
        one, twin = await running(bench, exchange, 2, blind_after_seconds=240)
        await until_at(each_redis, exchange.start_ms + MINUTE_MS)
        exchange.late_close(30_000, 1)
        exchange.cut(close_frame=False)
        await until_at(each_redis, exchange.start_ms + 2 * MINUTE_MS)
        twin.child.send_signal(signal.SIGSTOP)
        await until_at(each_redis, exchange.start_ms + 6 * MINUTE_MS)
        twin.child.send_signal(signal.SIGCONT)
        await twin.until_logged("this process stood still")
        exchange.server_shutdown(lead_s=0.0)
        await one.kill()
        await running(bench, exchange, 1, blind_after_seconds=240)
        await until_at(each_redis, exchange.start_ms + 8 * MINUTE_MS)
        for name in TIMEFRAMES:
            assert await each_redis.xlen(keys.klines(SYMBOL, name))
        assert await told(each_redis) == []
