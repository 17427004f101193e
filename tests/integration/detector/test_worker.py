"""The detector worker on a real server: each signal once, however often it is disturbed."""

import random
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.market import Market
from tests.integration.shared.bench import (
    SYMBOL,
    TIMELESS,
    judging,
    market,
    publish_entries,
    signal_ids,
    until_position,
)
from tests.waiting import wait_until

BTC = Market("BTCUSDT", "BTC", "USDT", "0.10000000")


async def until_done(redis: Redis, minutes: int = 2400) -> None:
    await until_position(redis, "detector", market(minutes).entries[-1].entry_id)


async def test_the_signals_are_what_rules_and_model_say(
    each_redis: Redis, each_redis_url: str
) -> None:
    await publish_entries(each_redis, market().entries)
    async with judging(each_redis_url) as heartbeat:
        await until_done(each_redis)
        counters = heartbeat.counters
        assert counters["signals"] == len(market().signals) > 50
        assert counters["suppressed"] == len(market().candidates) - len(market().signals) > 0
        assert counters["evaluated"] == sum(e.timeframe != "1h" for e in market().entries)
    assert await signal_ids(each_redis) == market().signals
    cursor = await each_redis.get(keys.cursor(SYMBOL))
    assert cursor.decode() == market().entries[-1].entry_id


async def test_two_workers_side_by_side_emit_once(each_redis: Redis, each_redis_url: str) -> None:
    entries = market().entries
    async with judging(each_redis_url), judging(each_redis_url):
        for index in range(0, len(entries), 100):
            await publish_entries(each_redis, entries[index : index + 100])
        await until_done(each_redis)
    assert await signal_ids(each_redis) == market().signals


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_worker_that_ends_anywhere_is_continued_identically(
    each_redis: Redis, each_redis_url: str, seed: int
) -> None:
    dice = random.Random(seed)
    await publish_entries(each_redis, market().entries)
    for goal in sorted(dice.sample(range(1, len(market().signals)), 5)):
        async with judging(each_redis_url):
            await wait_until(lambda goal=goal: _emitted(each_redis, goal))
    async with judging(each_redis_url):
        await until_done(each_redis)
    assert await signal_ids(each_redis) == market().signals


async def _emitted(redis: Redis, goal: int) -> bool:
    return bool(await redis.xlen(keys.SIGNALS) >= goal)


async def test_old_news_is_recorded_as_stale(each_redis: Redis, each_redis_url: str) -> None:
    await publish_entries(each_redis, market(600).entries)  # received in 1970
    async with judging(each_redis_url, replace(TIMELESS, max_age_ms=120_000)) as heartbeat:
        await until_done(each_redis, 600)
        assert heartbeat.counters["stale"] == len(market(600).signals)
        assert heartbeat.counters["signals"] == 0
    stale = {fields[b"stale"] for _, fields in await each_redis.xrange(keys.SIGNALS)}
    assert stale == {b"1"}
    assert await signal_ids(each_redis) == market(600).signals


async def test_boards_of_the_latest_entries_are_kept(
    each_redis: Redis, each_redis_url: str
) -> None:
    await publish_entries(each_redis, market(600).entries)
    async with judging(each_redis_url):
        await until_done(each_redis, 600)
    for timeframe in ("1m", "5m"):
        last = [entry for entry in market(600).entries if entry.timeframe == timeframe][-1]
        board = await each_redis.hgetall(keys.board(SYMBOL, timeframe))
        assert board[b"close_time_ms"] == str(last.boundary_ms).encode()
        assert board[b"trend"].startswith((b"yes: EMA9", b"no: EMA9"))
    assert await each_redis.exists(keys.board(SYMBOL, "1h")) == 0


async def test_signals_show_the_tick_size_that_ingest_learned(
    each_redis: Redis, each_redis_url: str
) -> None:
    await each_redis.hset(keys.market(SYMBOL), mapping=BTC.fields())
    await publish_entries(each_redis, market(600).entries)
    async with judging(each_redis_url):
        await until_done(each_redis, 600)
    ticks = {fields[b"tick_size"] for _, fields in await each_redis.xrange(keys.SIGNALS)}
    assert ticks == {b"0.10000000"}


@pytest.mark.parametrize(
    "spoilt", [{"timeframe": "1m"}, {"close": "nan"}, {"rsi": "inf"}, {"vwap": "nan"}], ids=str
)
async def test_a_spoilt_entry_is_told_and_skipped(
    each_redis: Redis,
    each_redis_url: str,
    spoilt: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    entries = market(600).entries
    flat = entries[500].fields()
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    await publish_entries(each_redis, entries[:500])
    broken = spoilt if len(spoilt.keys() & {"timeframe"}) else fields | spoilt
    await each_redis.xadd(keys.indicators(SYMBOL), broken, id=entries[500].entry_id)
    await publish_entries(each_redis, entries[501:])
    async with judging(each_redis_url) as heartbeat:
        await until_done(each_redis, 600)
        assert heartbeat.counters["malformed"] == 1
    assert f"indicators entry b'{entries[500].entry_id}'" in caplog.text
    without = [one for one in market(600).signals if str(entries[500].boundary_ms) not in one]
    assert set(without) <= set(await signal_ids(each_redis))
