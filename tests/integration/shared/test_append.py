"""append.lua: every boundary has exactly one entry, in order, whoever else writes."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.candle import Candle, missing_candle, read_candle
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import Appended, KlinesWriter
from tests.integration.shared.bench import SYMBOL, access_to

MINUTE_MS = 60_000
START_MS = 1_762_094_100_000
STREAM = keys.klines(SYMBOL, "1m")


def at(*minutes: int) -> list[Candle]:
    return [
        Candle(START_MS + n * MINUTE_MS, 10.0, 12.5, 9.0, 11.0, 0.5, "ws", 8, 123) for n in minutes
    ]


def marker(minute: int) -> Candle:
    return missing_candle(START_MS + minute * MINUTE_MS, 900, 456)


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    async with access_to(each_redis_url) as made:
        yield made


@pytest.fixture
def writer(access: RedisAccess) -> KlinesWriter:
    return KlinesWriter(access, SYMBOL, Streams(max_lead=3))


async def append(writer: KlinesWriter, *candles: Candle) -> Appended:
    return await writer.append("1m", MINUTE_MS, candles)


async def minutes(redis: Redis) -> list[int]:
    """Which minutes the stream holds."""
    ids = [entry_id.decode() for entry_id, _ in await redis.xrange(STREAM)]
    assert all(one.endswith("-0") for one in ids)
    return [(int(one[:-2]) - START_MS) // MINUTE_MS for one in ids]


async def test_the_first_entry_may_stand_anywhere(each_redis: Redis, writer: KlinesWriter) -> None:
    last_ms = START_MS + 1234 * MINUTE_MS
    assert await append(writer, *at(1234)) == Appended("ok", 1, 0, last_ms)
    assert await minutes(each_redis) == [1234]


async def test_what_comes_next_is_appended_and_reads_back(
    each_redis: Redis, writer: KlinesWriter
) -> None:
    await append(writer, *at(0))
    candles = [*at(1), marker(2), *at(3)]
    appended = await append(writer, *candles)
    assert appended == Appended("ok", 3, 0, START_MS + 3 * MINUTE_MS)
    found = [read_candle(entry_id, fields) for entry_id, fields in await each_redis.xrange(STREAM)]
    assert found == [*at(0), *candles]


async def test_what_is_there_already_is_a_duplicate_and_stays_as_it_was(
    each_redis: Redis, writer: KlinesWriter
) -> None:
    await append(writer, *at(5, 6))
    before = await each_redis.xrange(STREAM)
    appended = await append(writer, *at(-3, 4, 5), marker(6))
    assert appended == Appended("ok", 0, 4, START_MS + 6 * MINUTE_MS)
    assert await each_redis.xrange(STREAM) == before


async def test_duplicates_before_news_do_not_stop_the_news(
    each_redis: Redis, writer: KlinesWriter
) -> None:
    await append(writer, *at(0, 1))
    appended = await append(writer, *at(0, 1, 2))
    assert appended == Appended("ok", 1, 2, START_MS + 2 * MINUTE_MS)


async def test_a_gap_is_answered_with_the_last_boundary_and_nothing_behind_it_is_appended(
    each_redis: Redis, writer: KlinesWriter
) -> None:
    await append(writer, *at(0))
    assert await append(writer, *at(1, 3, 4)) == Appended("gap", 1, 0, START_MS + MINUTE_MS)
    assert await minutes(each_redis) == [0, 1]
    assert (await append(writer, *at(2, 3, 4))).status == "ok"
    assert await minutes(each_redis) == [0, 1, 2, 3, 4]


async def test_an_empty_batch_tells_where_the_stream_stands(writer: KlinesWriter) -> None:
    assert await append(writer) == Appended("ok", 0, 0, None)
    await append(writer, *at(7))
    assert await append(writer) == Appended("ok", 0, 0, START_MS + 7 * MINUTE_MS)


async def test_candles_and_markers_are_counted_apart(
    each_redis: Redis, writer: KlinesWriter
) -> None:
    await append(writer, *at(0, 1), marker(2), *at(3))
    await append(writer, *at(2, 3), marker(4))
    assert await each_redis.hgetall(keys.totals(SYMBOL)) == {b"1m": b"3", b"1m missing": b"2"}


async def test_a_reader_too_far_behind_holds_the_writer_back(
    each_redis: Redis, writer: KlinesWriter
) -> None:
    progress = keys.progress(SYMBOL)
    await each_redis.hset(progress, "indicators", f"{START_MS + 2 * MINUTE_MS}-2")
    await each_redis.hset(progress, "detector", f"{START_MS}-2")
    appended = await append(writer, *at(0, 1, 2, 3, 4, 5, 6))
    # Lead 3: the writer stops once what is written is more than that ahead of the slowest.
    assert appended == Appended("ahead", 5, 0, START_MS + 4 * MINUTE_MS)
    assert (await append(writer, *at(5))).status == "ahead"
    await each_redis.hset(progress, "detector", f"{START_MS + MINUTE_MS}-0")
    assert (await append(writer, *at(5))).status == "ok"


async def test_without_readers_there_is_no_lead_to_keep(
    each_redis: Redis, writer: KlinesWriter
) -> None:
    assert (await append(writer, *at(*range(50)))).appended == 50


async def test_the_stream_is_trimmed(each_redis: Redis, access: RedisAccess) -> None:
    writer = KlinesWriter(access, SYMBOL, Streams(klines_maxlen=500, max_lead=400))
    await append(writer, *at(*range(2000)))
    assert 500 <= await each_redis.xlen(STREAM) < 700
    assert (await minutes(each_redis))[-1] == 1999


async def test_two_writers_of_the_same_feed_write_it_once(
    each_redis: Redis, access: RedisAccess, writer: KlinesWriter
) -> None:
    twin = KlinesWriter(access, SYMBOL, Streams(max_lead=3))
    appended = 0
    for first in range(0, 40, 4):
        for one in (writer, twin):
            appended += (await append(one, *at(*range(first, first + 6)))).appended
    assert await minutes(each_redis) == list(range(42))
    assert appended == 42
