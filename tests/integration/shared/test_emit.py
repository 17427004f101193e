"""emit.lua: each entry is judged once, and a repetition is suppressed, never silently."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import Judged, SignalsWriter
from shared.trade_signal import Side, Signal, example_signal, read_signal
from tests.integration.shared.bench import SYMBOL, access_to, signal_ids

MINUTE_MS = 60_000
START_MS = 1_762_094_100_000
WINDOW_MS = 5 * MINUTE_MS
CURSOR = keys.cursor(SYMBOL)


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    async with access_to(each_redis_url) as made:
        yield made


@pytest.fixture
def writer(access: RedisAccess) -> SignalsWriter:
    return SignalsWriter(access, SYMBOL, Streams(), window_ms=WINDOW_MS, threshold_percent=0.3)


def signal(minute: int, price: float = 1000.0, side: Side = Side.LONG) -> Signal:
    return example_signal(close_time_ms=START_MS + minute * MINUTE_MS, entry=price, side=side)


async def judge(writer: SignalsWriter, one: Signal, rank: int = 1) -> Judged:
    return await writer.judge(f"{one.close_time_ms}-{rank}", one)


async def test_a_signal_is_emitted_whole_and_remembered(
    each_redis: Redis, writer: SignalsWriter
) -> None:
    one = signal(0)
    judged = await judge(writer, one)
    [(entry_id, fields)] = await each_redis.xrange(keys.SIGNALS)
    assert judged == Judged("emitted", entry_id.decode())
    assert read_signal(entry_id, fields) == one
    assert next(iter(fields)) == b"signal"
    assert await each_redis.get(CURSOR) == f"{START_MS}-1".encode()
    remembered = await each_redis.hgetall(keys.dedup(SYMBOL, "LONG"))
    assert remembered == {
        b"close_time_ms": str(START_MS).encode(), b"price": b"1000.0", b"id": one.id.encode(),
        b"entry": f"{START_MS}-1".encode(),
    }  # fmt: skip


async def test_what_was_emitted_last_is_remembered_longer_than_candles_are_kept(
    each_redis: Redis, writer: SignalsWriter
) -> None:
    """Services that stood still for days and catch up must still find it."""
    await judge(writer, signal(0))
    kept_ms = Streams().klines_maxlen * MINUTE_MS
    assert await each_redis.pttl(keys.dedup(SYMBOL, "LONG")) > kept_ms + WINDOW_MS


@pytest.mark.parametrize(
    ("minute", "price", "status"),
    [
        (4, 1002.9, "suppressed"),
        (4, 997.1, "suppressed"),
        (4, 1000.0, "suppressed"),
        (4, 1003.0, "emitted"),  # moved by exactly the threshold
        (4, 997.0, "emitted"),
        (5, 1000.0, "emitted"),  # exactly the window later
    ],
)
async def test_near_in_time_and_price_is_a_repetition(
    each_redis: Redis, writer: SignalsWriter, minute: int, price: float, status: str
) -> None:
    first = signal(0)
    await judge(writer, first)
    second = signal(minute, price)
    judged = await judge(writer, second)
    assert judged.status == status
    if status == "suppressed":
        assert judged.what == f"{START_MS},1000.0"
        assert await signal_ids(each_redis) == [first.id]
    else:
        assert await signal_ids(each_redis) == [first.id, second.id]
    assert await each_redis.get(CURSOR) == f"{second.close_time_ms}-1".encode()


async def test_a_suppressed_signal_does_not_prolong_the_window(writer: SignalsWriter) -> None:
    answers = [(await judge(writer, signal(minute))).status for minute in (0, 3, 4, 5)]
    assert answers == ["emitted", "suppressed", "suppressed", "emitted"]


async def test_the_other_side_is_no_repetition(each_redis: Redis, writer: SignalsWriter) -> None:
    assert (await judge(writer, signal(0))).status == "emitted"
    assert (await judge(writer, signal(1, side=Side.SHORT))).status == "emitted"
    assert (await judge(writer, signal(2, side=Side.SHORT))).status == "suppressed"
    assert await each_redis.exists(keys.dedup(SYMBOL, "SHORT")) == 1


async def test_an_entry_judged_before_is_a_duplicate_whatever_it_says_now(
    each_redis: Redis, writer: SignalsWriter
) -> None:
    await judge(writer, signal(6))
    cursor = f"{START_MS + 6 * MINUTE_MS}-1"
    for again in (signal(6), signal(6, 2000.0), signal(5, 2000.0), signal(0)):
        assert await judge(writer, again) == Judged("duplicate", cursor)
    assert await writer.judge(cursor, None) == Judged("duplicate", cursor)
    assert len(await signal_ids(each_redis)) == 1
    assert await each_redis.get(CURSOR) == cursor.encode()


async def test_the_same_signal_under_another_rank_is_not_emitted_twice(
    each_redis: Redis, writer: SignalsWriter
) -> None:
    """Ranks move when a timeframe is added; the identity does not."""
    one = signal(0)
    await judge(writer, one, rank=1)
    assert (await judge(writer, one, rank=2)).status == "duplicate"
    assert await signal_ids(each_redis) == [one.id]


async def test_entries_without_a_signal_only_advance_the_cursor(
    each_redis: Redis, writer: SignalsWriter
) -> None:
    first, later, rank = f"{START_MS}-2", f"{START_MS + MINUTE_MS}-0", f"{START_MS}-10"
    assert await writer.judge(first, None) == Judged("advanced", first)
    assert await writer.judge(rank, None) == Judged("advanced", rank)
    assert await writer.judge(later, None) == Judged("advanced", later)
    for older in (first, rank, later):
        assert await writer.judge(older, None) == Judged("duplicate", later)
    assert await each_redis.keys() == [CURSOR.encode()]


async def test_two_detectors_emit_once(
    each_redis: Redis, access: RedisAccess, writer: SignalsWriter
) -> None:
    twin = SignalsWriter(access, SYMBOL, Streams(), window_ms=WINDOW_MS, threshold_percent=0.3)
    answers = []
    for minute in range(0, 60, 6):
        answers += [(await judge(one, signal(minute))).status for one in (writer, twin)]
    assert answers == ["emitted", "duplicate"] * 10
    assert len(await signal_ids(each_redis)) == 10


async def test_the_stream_is_trimmed(each_redis: Redis, access: RedisAccess) -> None:
    writer = SignalsWriter(
        access, SYMBOL, Streams(signals_maxlen=100), window_ms=0, threshold_percent=0.3
    )
    for minute in range(300):
        await judge(writer, signal(minute))
    assert 100 <= await each_redis.xlen(keys.SIGNALS) < 250
