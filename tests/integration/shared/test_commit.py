"""commit.lua: entries and snapshot are written together, once, by one set of parameters."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import Committed, IndicatorsWriter
from tests.integration.shared.bench import SYMBOL, access_to, stored
from tests.unit.detector.entries import LONG

MINUTE_MS = 60_000
START_MS = LONG.boundary_ms
TTL_MS = 15_000
STREAM = keys.indicators(SYMBOL)


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    async with access_to(each_redis_url) as made:
        yield made


@pytest.fixture
def writer(access: RedisAccess) -> IndicatorsWriter:
    return IndicatorsWriter(access, SYMBOL, Streams(max_lead=3), "EMA 9")


def position(minute: int, rank: int = 1) -> str:
    return f"{START_MS + minute * MINUTE_MS}-{rank}"


async def commit(
    writer: IndicatorsWriter, expected: str, *minutes: int, snapshot: bytes = b"\x00snap\xff"
) -> Committed:
    entries = [replace(LONG, boundary_ms=START_MS + minute * MINUTE_MS) for minute in minutes]
    return await writer.commit(expected, position(minutes[-1]), snapshot, entries, TTL_MS)


async def written(redis: Redis) -> list[str]:
    return [entry_id for entry_id, _ in await stored(redis, STREAM)]


async def test_entries_snapshot_and_position_are_written_together(
    each_redis: Redis, writer: IndicatorsWriter
) -> None:
    assert await commit(writer, "", 0, 1) == Committed("ok", "2")
    assert await stored(each_redis, STREAM) == [
        (position(0), LONG.fields()),
        (position(1), LONG.fields()),
    ]
    assert await each_redis.get(keys.state(SYMBOL)) == b"\x00snap\xff"
    assert await each_redis.hgetall(keys.progress(SYMBOL)) == {b"indicators": position(1).encode()}
    assert await each_redis.get(keys.owner(SYMBOL)) == b"EMA 9"
    assert 0 < await each_redis.pttl(keys.owner(SYMBOL)) <= TTL_MS


async def test_markers_alone_move_position_and_snapshot(
    each_redis: Redis, writer: IndicatorsWriter
) -> None:
    await commit(writer, "", 0)
    answer = await writer.commit(position(0), position(1), b"later", [], TTL_MS)
    assert answer == Committed("ok", "0")
    assert await written(each_redis) == [position(0)]
    assert await each_redis.get(keys.state(SYMBOL)) == b"later"


async def test_a_second_instance_is_refused_and_told_where_the_first_is(
    each_redis: Redis, access: RedisAccess, writer: IndicatorsWriter
) -> None:
    await commit(writer, "", 0, 1)
    twin = IndicatorsWriter(access, SYMBOL, Streams(), "EMA 9")
    assert await commit(twin, "", 0, snapshot=b"older") == Committed("duplicate", position(1))
    assert await commit(twin, position(0), 1, 2) == Committed("duplicate", position(1))
    assert await written(each_redis) == [position(0), position(1)]
    assert await each_redis.get(keys.state(SYMBOL)) == b"\x00snap\xff"


async def test_a_commit_whose_reply_was_lost_is_fine_when_repeated(
    each_redis: Redis, writer: IndicatorsWriter
) -> None:
    await commit(writer, "", 0)
    first = await commit(writer, position(0), 1, 2)
    again = await commit(writer, position(0), 1, 2)
    assert (first.status, again.status) == ("ok", "ok")
    assert await written(each_redis) == [position(0), position(1), position(2)]


async def test_other_parameters_are_refused_with_those_that_are_alive(
    each_redis: Redis, access: RedisAccess, writer: IndicatorsWriter
) -> None:
    await commit(writer, "", 0)
    other = IndicatorsWriter(access, SYMBOL, Streams(), "EMA 8")
    assert await commit(other, position(0), 1) == Committed("conflict", "EMA 9")
    assert await written(each_redis) == [position(0)]
    await each_redis.delete(keys.owner(SYMBOL))  # the other is gone: its key expires
    assert (await commit(other, position(0), 1)).status == "ok"
    assert await commit(writer, position(1), 2) == Committed("conflict", "EMA 8")


async def test_a_rebuild_is_silent_up_to_the_last_output(
    each_redis: Redis, writer: IndicatorsWriter
) -> None:
    await commit(writer, "", 0, 1)
    answer = await commit(writer, position(1), 0, 1, 2, 3)
    assert answer == Committed("ok", "2")
    assert await written(each_redis) == [position(minute) for minute in (0, 1, 2, 3)]


async def test_ranks_of_one_boundary_are_compared_as_numbers(
    each_redis: Redis, writer: IndicatorsWriter
) -> None:
    entries = [replace(LONG, rank=rank) for rank in (2, 9, 10, 11)]
    await writer.commit("", position(0, 9), b"", entries[:2], TTL_MS)
    answer = await writer.commit(position(0, 9), position(0, 11), b"", entries, TTL_MS)
    assert answer == Committed("ok", "2")
    assert await written(each_redis) == [position(0, rank) for rank in (2, 9, 10, 11)]


async def test_a_detector_too_far_behind_holds_the_writer_back(
    each_redis: Redis, writer: IndicatorsWriter
) -> None:
    await commit(writer, "", 0, 1, 2, 3, 4)
    await each_redis.hset(keys.progress(SYMBOL), "detector", position(0))
    assert await commit(writer, position(4), 5) == Committed("ahead", position(0))
    assert await written(each_redis) == [position(minute) for minute in range(5)]
    await each_redis.hset(keys.progress(SYMBOL), "detector", position(1))
    assert (await commit(writer, position(4), 5)).status == "ok"


async def test_the_stream_is_trimmed(each_redis: Redis, access: RedisAccess) -> None:
    writer = IndicatorsWriter(access, SYMBOL, Streams(indicators_maxlen=500), "EMA 9")
    await commit(writer, "", *range(2000))
    assert 500 <= await each_redis.xlen(STREAM) < 700
    assert (await written(each_redis))[-1] == position(1999)
