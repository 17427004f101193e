"""Whatever Redis loses, the streams become what they would have been, and no signal comes twice.

The workers are the services' own; candles come again as ingest brings them after a loss.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.event import read_event
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import KlinesWriter, SignalsWriter
from shared.trade_signal import Side, example_signal
from tests.integration.shared.bench import (
    SYMBOL,
    Market,
    access_to,
    computing,
    judging,
    market,
    publish,
    publish_entries,
    signal_ids,
    stored,
    until_position,
)
from tests.unit.indicators.history import DEFAULT
from tests.waiting import wait_until

MINUTES = 900
MARKET_SLOT = [
    *(keys.klines(SYMBOL, name) for name in DEFAULT.intervals),
    keys.indicators(SYMBOL), keys.state(SYMBOL), keys.progress(SYMBOL), keys.owner(SYMBOL),
    keys.totals(SYMBOL),
]  # fmt: skip
DEDUP = [keys.dedup(SYMBOL, side) for side in Side]
SIGNALS_SLOT = [keys.SIGNALS, keys.cursor(SYMBOL), *DEDUP]
LOSSES = {
    "everything": [*MARKET_SLOT, *SIGNALS_SLOT],
    "the market's slot": MARKET_SLOT,
    "the signals' slot": SIGNALS_SLOT,
    "klines": MARKET_SLOT[:3],
    "indicators": [keys.indicators(SYMBOL)],
    "state": [keys.state(SYMBOL)],
    "progress": [keys.progress(SYMBOL)],
    "state and indicators": [keys.state(SYMBOL), keys.indicators(SYMBOL)],
    "progress and indicators": [keys.progress(SYMBOL), keys.indicators(SYMBOL)],
    "cursor": [keys.cursor(SYMBOL)],
    "dedup": DEDUP,
    "cursor and dedup": [keys.cursor(SYMBOL), *DEDUP],
    "signals": [keys.SIGNALS],
    "signals and cursor": [keys.SIGNALS, keys.cursor(SYMBOL)],
}


@pytest.fixture
async def access(redis: Redis, url: str) -> AsyncIterator[RedisAccess]:
    async with access_to(url) as made:
        yield made


def until(share: float) -> Market:
    """The beginning of the market."""
    whole = market(MINUTES)
    first, last = (whole.entries[n].boundary_ms for n in (0, -1))
    end_ms = first + (last - first) * share
    fed = {
        name: [each for each in candles if each.boundary_ms <= end_ms]
        for name, candles in whole.fed.items()
    }
    return Market(fed, [entry for entry in whole.entries if entry.boundary_ms <= end_ms])


class Workers:
    """Indicators and detector, together."""

    def __init__(self, url: str) -> None:
        self._url, self._stack = url, AsyncExitStack()

    async def __aenter__(self) -> "Workers":
        await self._stack.enter_async_context(computing(self._url))
        await self._stack.enter_async_context(judging(self._url))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def until_judged(redis: Redis, part: Market) -> None:
    """Wait for the cursor; ``progress`` may be the thing that was lost."""
    last = part.entries[-1].entry_id.encode()

    async def there() -> bool:
        return bool(await redis.get(keys.cursor(SYMBOL)) == last)

    await wait_until(there, "the detector")


async def check(redis: Redis) -> None:
    whole = market(MINUTES)
    assert await stored(redis, keys.indicators(SYMBOL)) == whole.indicators
    assert await signal_ids(redis) == whole.signals


@pytest.mark.parametrize("lost", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("alive", [True, False], ids=["under way", "while down"])
async def test_a_loss_heals(
    redis: Redis, access: RedisAccess, url: str, lost: list[str], alive: bool
) -> None:
    half, whole = until(0.5), market(MINUTES)
    assert 2 < len(half.signals) < len(whole.signals)
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as first:
            await (stack if alive else first).enter_async_context(Workers(url))
            await publish(access, half.fed)
            await until_judged(redis, half)
        await redis.delete(*lost)
        if not alive:
            await stack.enter_async_context(Workers(url))
        await publish(access, whole.fed)
        await until_judged(redis, whole)
        # What is lost of the signals alone is noticed with the next entry, and found again.
        await wait_until(lambda: _as_many(redis, len(whole.signals)), "all signals")
        await wait_until(lambda: _entries(redis, len(whole.entries)), "all entries")
    await check(redis)


async def test_what_is_lost_before_a_detectors_first_entry_is_judged_again(
    redis: Redis, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    half, whole = until(0.5), market(MINUTES)
    await publish_entries(redis, half.entries)
    async with judging(url):
        await until_judged(redis, half)
    caplog.set_level(logging.INFO)
    async with judging(url):
        await wait_until(lambda: f"evaluating after {half.entries[-1].entry_id}" in caplog.text)
        await redis.flushall()
        await publish_entries(redis, whole.entries)
        await until_judged(redis, whole)
    assert await signal_ids(redis) == whole.signals


async def test_a_loss_is_told_once_however_many_notice(
    redis: Redis, access: RedisAccess, url: str
) -> None:
    half, whole = until(0.5), market(MINUTES)
    async with Workers(url), Workers(url):
        await publish(access, half.fed)
        await until_judged(redis, half)
        await redis.delete(*LOSSES["everything"])
        await publish(access, whole.fed)
        await until_judged(redis, whole)
        await wait_until(lambda: redis.xlen(keys.EVENTS), "the event")
    [event] = [read_event(*entry) for entry in await redis.xrange(keys.EVENTS)]
    assert (event.subject, event.state, event.alert) == ("redis", "lost", True)
    assert event.sentence.startswith("Redis has lost data: ")


async def _entries(redis: Redis, count: int) -> bool:
    return bool(await redis.xlen(keys.indicators(SYMBOL)) >= count)


async def _as_many(redis: Redis, count: int) -> bool:
    return bool(await redis.xlen(keys.SIGNALS) >= count)


@pytest.mark.parametrize(
    "lost",
    [[*MARKET_SLOT, *SIGNALS_SLOT], MARKET_SLOT, SIGNALS_SLOT],
    ids=["everything", "the market's slot", "the signals' slot"],
)
async def test_losing_the_last_writes_as_a_failover_does(
    redis: Redis, access: RedisAccess, url: str, lost: list[str]
) -> None:
    early, late, whole = until(0.4), until(0.7), market(MINUTES)
    assert len(early.signals) < len(late.signals) < len(whole.signals)
    async with Workers(url):
        await publish(access, early.fed)
        await until_judged(redis, early)
        kept = {key: await redis.dump(key) for key in lost}
        await publish(access, late.fed)
        await until_judged(redis, late)
        async with redis.pipeline(transaction=True) as pipe:
            for key, dumped in kept.items():
                pipe.delete(key)
                if dumped is not None:
                    pipe.restore(key, 0, dumped)
            await pipe.execute()
        await publish(access, whole.fed)
        await until_judged(redis, whole)
        await wait_until(lambda: _as_many(redis, len(whole.signals)), "all signals")
        await check(redis)


async def test_a_cursor_beyond_the_indicators_goes_back(
    redis: Redis, access: RedisAccess, url: str
) -> None:
    half, whole = until(0.5), market(MINUTES)
    async with Workers(url):
        await publish(access, half.fed)
        await until_judged(redis, half)
    await redis.set(keys.cursor(SYMBOL), "99999999999999-0")
    async with Workers(url):
        await until_judged(redis, half)
        await publish(access, whole.fed)
        await until_judged(redis, whole)
    await check(redis)


async def test_a_position_of_the_detector_that_is_long_past_holds_nobody_up(
    redis: Redis, access: RedisAccess, url: str
) -> None:
    """It was lost, or the candles since then are all missing."""
    half, whole = until(0.5), market(MINUTES)
    async with Workers(url):
        await publish(access, half.fed)
        await until_judged(redis, half)
        await redis.hset(keys.progress(SYMBOL), "detector", "0-0")
        writer = KlinesWriter(access, SYMBOL, Streams())
        for name, candles in whole.fed.items():

            async def appended(name: str = name, candles: list = candles) -> bool:  # type: ignore[type-arg]
                done = await writer.append(name, DEFAULT.intervals[name], candles)
                return done.status == "ok"

            await wait_until(appended, f"{name} to be let through")
        await until_judged(redis, whole)
    await check(redis)


async def test_missing_candles_beyond_the_lead_hold_nobody_up(
    redis: Redis, access: RedisAccess, url: str
) -> None:
    """The exchange was away for longer than a writer may lead its readers."""
    half, whole = until(0.5), market(MINUTES)
    gone = {
        name: candles[: len(half.fed[name])]
        + [
            replace(one, missing=True, open=0, high=0, low=0, close=0, volume=0)
            for one in candles[len(half.fed[name]) :]
        ]
        for name, candles in whole.fed.items()
    }
    async with Workers(url):
        await publish(access, half.fed)
        await until_judged(redis, half)
        await publish(access, gone)
        last = max(candles[-1].boundary_ms for candles in gone.values())
        await until_position(redis, "detector", f"{last}-2")


async def test_a_stream_is_begun_only_by_the_history(access: RedisAccess) -> None:
    candles = market(MINUTES).fed["1m"]
    writer = KlinesWriter(access, SYMBOL, Streams())
    refused = await writer.append("1m", 60_000, candles[100:101], begin=False)
    assert (refused.status, refused.appended, refused.last_ms) == ("gap", 0, None)
    assert (await writer.append("1m", 60_000, [], begin=False)).status == "ok"
    begun = await writer.append("1m", 60_000, candles[:100], begin=True)
    assert (begun.status, begun.appended) == ("ok", 100)
    more = await writer.append("1m", 60_000, candles[100:101], begin=False)
    assert (more.status, more.appended) == ("ok", 1)


def writer_of(access: RedisAccess) -> SignalsWriter:
    return SignalsWriter(access, SYMBOL, Streams(), window_ms=300_000, threshold_percent=0.3)


async def test_without_its_dedup_a_like_signal_is_known_by_the_stream(
    redis: Redis, access: RedisAccess
) -> None:
    writer, one = writer_of(access), example_signal()
    assert (await writer.judge(f"{one.close_time_ms}-1", one)).status == "emitted"
    await redis.delete(*DEDUP)
    later = replace(one, close_time_ms=one.close_time_ms + 60_000)
    answer = await writer.judge(f"{later.close_time_ms}-1", later)
    assert (answer.status, answer.what) == ("suppressed", f"{one.close_time_ms},{one.entry}")
    short = replace(later, side=Side.SHORT, close_time_ms=one.close_time_ms + 120_000)
    assert (await writer.judge(f"{short.close_time_ms}-1", short)).status == "emitted"


async def test_a_stream_that_a_person_emptied_by_trimming_is_not_lost(
    redis: Redis, access: RedisAccess
) -> None:
    writer, one = writer_of(access), example_signal()
    await writer.judge(f"{one.close_time_ms}-1", one)
    await redis.xtrim(keys.SIGNALS, maxlen=0, approximate=False)
    assert (await writer.judge(f"{one.close_time_ms}-2", None)).status == "advanced"
    await redis.delete(keys.SIGNALS)
    await redis.xgroup_create(keys.SIGNALS, "email", id="0", mkstream=True)
    assert (await writer.judge(f"{one.close_time_ms + 1}-2", None)).status == "lost"
