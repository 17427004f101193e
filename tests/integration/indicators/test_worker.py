"""The indicators worker on a real server: one stream comes out, however often it is disturbed."""

import logging
import random
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.candle import Candle
from tests.integration.shared.bench import (
    SYMBOL,
    access_to,
    computing,
    market,
    publish,
    stored,
    until_position,
)
from tests.unit.indicators.history import DEFAULT
from tests.waiting import wait_until

STREAM = keys.indicators(SYMBOL)
STATE = keys.state(SYMBOL)
OTHER = replace(DEFAULT, ema_fast=8)


async def publish_all(url: str, until_ms: int = 2**62, minutes: int = 2400) -> None:
    """Append the market's candles up to a boundary; those before are duplicates by then."""
    fed: dict[str, list[Candle]] = {
        name: [each for each in candles if each.boundary_ms <= until_ms]
        for name, candles in market(minutes).fed.items()
    }
    async with access_to(url) as access:
        await publish(access, fed)


async def until_done(redis: Redis, minutes: int = 2400) -> None:
    await until_position(redis, "indicators", market(minutes).entries[-1].entry_id)


async def test_the_stream_is_what_the_engine_says(each_redis: Redis, each_redis_url: str) -> None:
    await publish_all(each_redis_url)
    async with computing(each_redis_url) as heartbeat:
        await until_done(each_redis)
        # Redis has answered us, and may have answered the worker after us.
        await wait_until(lambda: heartbeat.facts.get("position") == market().entries[-1].entry_id)
        assert heartbeat.counters["entries"] == len(market().entries)
        assert heartbeat.facts["last_1m"] == str(market().entries[-1].boundary_ms)
        assert heartbeat.state == "running"
    assert await stored(each_redis, STREAM) == market().indicators


async def test_two_workers_side_by_side_give_the_stream_of_one(
    each_redis: Redis, each_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    entries = market(600).entries
    async with computing(each_redis_url), computing(each_redis_url):
        for index in range(0, len(entries), 40):
            await publish_all(each_redis_url, entries[index].boundary_ms, 600)
        await publish_all(each_redis_url, minutes=600)
        await until_done(each_redis, 600)
    assert await stored(each_redis, STREAM) == market(600).indicators
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_worker_that_ends_anywhere_is_continued_identically(
    each_redis: Redis, each_redis_url: str, seed: int
) -> None:
    dice = random.Random(seed)
    await publish_all(each_redis_url)
    goals = sorted(dice.sample(range(1, len(market().entries)), 5))
    for goal in goals:
        async with computing(each_redis_url):
            await wait_until(lambda goal=goal: _reached(each_redis, goal))
    async with computing(each_redis_url):
        await until_done(each_redis)
    assert await stored(each_redis, STREAM) == market().indicators


async def _reached(redis: Redis, goal: int) -> bool:
    return bool(await redis.xlen(STREAM) >= goal)


@pytest.mark.parametrize(
    "spoilt", [b"", b"garbage", b"\x80", None], ids=["empty", "garbage", "an empty map", "gone"]
)
async def test_a_snapshot_that_does_not_fit_is_rebuilt_in_silence(
    each_redis: Redis, each_redis_url: str, spoilt: bytes | None
) -> None:
    half_ms = market(600).entries[400].boundary_ms
    await publish_all(each_redis_url, half_ms, 600)
    async with computing(each_redis_url):
        await wait_until(lambda: _reached(each_redis, 400))
    before = await each_redis.xlen(STREAM)
    if spoilt is None:
        await each_redis.delete(STATE)
    else:
        await each_redis.set(STATE, spoilt)
    await publish_all(each_redis_url, minutes=600)
    async with computing(each_redis_url) as heartbeat:
        await until_done(each_redis, 600)
        assert heartbeat.counters["superseded"] == 0
    assert before < await each_redis.xlen(STREAM)
    assert await stored(each_redis, STREAM) == market(600).indicators


async def test_other_parameters_rebuild_and_continue_behind_the_last_output(
    each_redis: Redis, each_redis_url: str
) -> None:
    half_ms = market(600).entries[400].boundary_ms
    await publish_all(each_redis_url, half_ms, 600)
    async with computing(each_redis_url):
        await wait_until(lambda: _reached(each_redis, 400))
    old = await stored(each_redis, STREAM)
    await each_redis.delete(keys.owner(SYMBOL))  # expires by itself 15 s after a kill
    await publish_all(each_redis_url, minutes=600)
    async with computing(each_redis_url, OTHER):
        await until_done(each_redis, 600)
    found = await stored(each_redis, STREAM)
    assert found[: len(old)] == old == market(600).indicators[: len(old)]
    assert found[len(old) :] == market(600, OTHER.ema_fast).indicators[len(old) :]


async def test_two_configurations_at_once_are_refused_with_both_named(
    each_redis: Redis, each_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    half_ms = market(600).entries[400].boundary_ms
    await publish_all(each_redis_url, half_ms, 600)
    async with computing(each_redis_url):
        await wait_until(lambda: _reached(each_redis, 400))
        await publish_all(each_redis_url, minutes=600)
        await until_done(each_redis, 600)
        async with computing(each_redis_url, OTHER) as refused:
            # It is silent until there is something to commit.
            await each_redis.hset(keys.progress(SYMBOL), "indicators", f"{half_ms}-2")
            await wait_until(lambda: refused.state.startswith("refused: "))
            assert f"'{DEFAULT.parameters}', this one with '{OTHER.parameters}'" in refused.state
    [error] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "stop one of them" in error.getMessage()
    assert await stored(each_redis, STREAM) == market(600).indicators


async def test_an_emptied_server_is_filled_again(each_redis: Redis, each_redis_url: str) -> None:
    await publish_all(each_redis_url, market(600).entries[400].boundary_ms, 600)
    async with computing(each_redis_url):
        await wait_until(lambda: _reached(each_redis, 400))
        await each_redis.flushall()
        await publish_all(each_redis_url, minutes=600)
        await until_done(each_redis, 600)
    assert await stored(each_redis, STREAM) == market(600).indicators


async def test_a_spoilt_candle_counts_as_missing_and_is_told(
    each_redis: Redis, each_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    fed = market(600).fed
    async with access_to(each_redis_url) as access:
        await publish(access, {**fed, "1m": fed["1m"][:300]})
        boundary_ms = fed["1m"][300].boundary_ms
        await each_redis.xadd(keys.klines(SYMBOL, "1m"), {"close": "nan"}, id=f"{boundary_ms}-0")
        await publish(access, {"1m": fed["1m"][301:]})
    async with computing(each_redis_url) as heartbeat:
        await until_done(each_redis, 600)
        assert heartbeat.counters["malformed"] == 1
        assert heartbeat.counters["holes"] == 0
    ids = [entry_id for entry_id, _ in await stored(each_redis, STREAM)]
    expected = [entry.entry_id for entry in market(600).entries]
    assert ids == [one for one in expected if one != f"{boundary_ms}-2"]
    assert "it counts as missing" in caplog.text


async def test_deleted_candles_restart_their_timeframe_and_are_told(
    each_redis: Redis, each_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await publish_all(each_redis_url, minutes=600)
    deleted = market(600).fed["1m"][300:310]
    await each_redis.xdel(keys.klines(SYMBOL, "1m"), *(f"{each.boundary_ms}-0" for each in deleted))
    async with computing(each_redis_url) as heartbeat:
        await until_done(each_redis, 600)
        assert heartbeat.counters["holes"] == 1
    assert "klines 1m: expected the candle of 2023-03-10 05:01:00 UTC" in caplog.text
    after = [
        dict(zip(flat[::2], flat[1::2], strict=True))
        for entry_id, flat in await stored(each_redis, STREAM)
        if entry_id.endswith("-2") and int(entry_id[:-2]) > deleted[-1].boundary_ms
    ]
    assert "ema_fast" not in after[0]
    assert "ema_slow" in after[30]
    assert all("vwap" not in entry for entry in after)
