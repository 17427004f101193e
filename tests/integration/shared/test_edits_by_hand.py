"""Whatever a person does to a key with redis-cli: told, undone or passed over; nothing is lost.

The workers are the services' own, and the remedy is taken from their words. What the notifier and
ingest do is tested beside them.
"""

import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.detector import worker as detector
from services.indicators import worker as indicators
from shared import keys
from shared.candle import Candle
from shared.entry_id import order, readable
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import KlinesWriter
from shared.trade_signal import Side
from tests.integration.shared.bench import (
    SYMBOL,
    Market,
    access_to,
    computing,
    judging,
    lines,
    market,
    processes_in,
    publish,
    stored,
    until_left,
)
from tests.integration.shared.test_data_loss import until, until_judged
from tests.unit.indicators.history import DEFAULT
from tests.waiting import wait_until

FUTURE_MS = 4_102_444_800_000  # 2100-01-01
FUTURE = f"{FUTURE_MS}-0"
LAST_ID = "18446744073709551615-18446744073709551615"
KLINES, INDICATORS = keys.klines(SYMBOL, "1m"), keys.indicators(SYMBOL)
STATE, OWNER, PROGRESS = keys.state(SYMBOL), keys.owner(SYMBOL), keys.progress(SYMBOL)
CURSOR, DEDUP = keys.cursor(SYMBOL), [keys.dedup(SYMBOL, side) for side in Side]
BOARD, TOTALS, MARKET = keys.board(SYMBOL, "1m"), keys.totals(SYMBOL), keys.market(SYMBOL)

Command = Sequence[str]


@dataclass(frozen=True)
class Edit:
    """What a person does, and what the log must say."""

    commands: Sequence[Command]
    told: str = ""


def text(key: str) -> list[Command]:
    """A string in place of whatever was there."""
    return [("SET", key, "garbage")]


def listed(key: str) -> list[Command]:
    """A list in place of whatever was there."""
    return [("DEL", key), ("RPUSH", key, "garbage")]


def field(key: str, name: str, value: str) -> list[Command]:
    return [("HSET", key, name, value)]


def each_side(*what: str) -> list[Command]:
    return [("HSET", key, *what) for key in DEDUP]


def entry(key: str, entry_id: str, *flat: str) -> list[Command]:
    return [("XADD", key, entry_id, *(flat or ("a", "b")))]


_FUTURE_CANDLE = (
    "open", "2", "high", "3", "low", "1", "close", "2", "volume", "5",
    "source", "ws", "lag_ms", "0", "received_at", "0",
)  # fmt: skip
_FUTURE_ENTRY = (
    "timeframe", "1m", *_FUTURE_CANDLE, "ema_fast", "2", "ema_slow", "1",
    "ema_fast_prev", "1", "ema_slow_prev", "2", "rsi", "50", "atr", "1", "vwap", "1",
    "volume_ma", "1", "trend_timeframe", "5m", "trend_ema", "1",
)  # fmt: skip

WAITED_FOR = {
    f"{name}: another type": Edit(text(key), f"holds a string, not a {kind}, as {key}")
    for name, key, kind in (
        ("klines", KLINES, "stream"),
        ("indicators", INDICATORS, "stream"),
        ("signals", keys.SIGNALS, "stream"),
        ("progress", PROGRESS, "hash"),
    )
} | {
    "dedup: another type": Edit(
        [each for key in DEDUP for each in text(key)], "holds a string, not a hash, as dedup"
    ),
    "klines: a candle of the future": Edit(
        entry(KLINES, FUTURE, *_FUTURE_CANDLE), "and takes none before it"
    ),
    "klines: a senseless entry of the future": Edit(
        entry(KLINES, FUTURE), "and takes none before it"
    ),
    "klines: the last possible ID": Edit(entry(KLINES, LAST_ID), "and takes none before it"),
    "klines: an entry of the future was deleted": Edit(
        [*entry(KLINES, FUTURE), ("XDEL", KLINES, FUTURE)],
        "takes no entry after 4102444800000-0",
    ),
    "klines: the last candle was deleted": Edit(
        [("XDEL", KLINES, "{1m}-0")], f"in {KLINES}, where none so late belongs"
    ),
    "indicators: the last entry was deleted": Edit(
        [("XDEL", INDICATORS, "{entry}")], f"in {INDICATORS}, where none so late belongs"
    ),
    "indicators: an entry of the future": Edit(
        entry(INDICATORS, FUTURE, *_FUTURE_ENTRY), "nothing can be written before that"
    ),
    "indicators: a senseless entry of the future": Edit(
        entry(INDICATORS, FUTURE), "nothing can be written before that"
    ),
    "signals: the last possible ID": Edit(
        entry(keys.SIGNALS, LAST_ID), "takes no entry after 18446744073709551615"
    ),
}
PASSED_OVER = {
    "klines: between two candles": Edit(
        entry(KLINES, "{1m}-7") + entry(KLINES, "{1m+1}-0"), "is of no 1m candle; skipped"
    ),
    "state: garbage": Edit(text(STATE)),
    "state: another type": Edit(listed(STATE)),
    "owner: garbage that never expires": Edit(text(OWNER)),
    "owner: another type": Edit(listed(OWNER)),
    "progress: indicators is no position": Edit(
        field(PROGRESS, "indicators", "garbage"), "which is no position"
    ),
    "progress: indicators has digits without end": Edit(
        field(PROGRESS, "indicators", f"{'9' * 40}-0"), "which is no position"
    ),
    "progress: indicators in the future": Edit(field(PROGRESS, "indicators", FUTURE)),
    "progress: detector is no position": Edit(field(PROGRESS, "detector", "garbage")),
    "progress: detector in the future": Edit(field(PROGRESS, "detector", FUTURE)),
    "progress: a reader that there is not": Edit(field(PROGRESS, "people", "0-0")),
    "cursor: garbage": Edit(text(CURSOR), "evaluating (again )?after 0-0"),
    "cursor: another type": Edit(listed(CURSOR), "evaluating (again )?after 0-0"),
    "cursor: digits without end": Edit(
        [("SET", CURSOR, f"{'9' * 40}-0")], "evaluating (again )?after 0-0"
    ),
    "cursor: in the future": Edit([("SET", CURSOR, FUTURE)], "or was edited"),
    "dedup: another time": Edit(each_side("close_time_ms", str(FUTURE_MS))),
    "dedup: no time": Edit(each_side("close_time_ms", "inf")),
    "dedup: no price": Edit(each_side("price", "garbage")),
    "dedup: an endless price": Edit(each_side("price", "inf")),
    "dedup: no entry": Edit([("HDEL", key, "entry", "id") for key in DEDUP]),
    "signals: a senseless entry": Edit(entry(keys.SIGNALS, "*")),
    "totals: no number": Edit(field(TOTALS, "1m", "many")),
    "totals: another type": Edit(listed(TOTALS)),
    "market: another type": Edit(listed(MARKET), "going on without it"),
    "market: no price step": Edit(field(MARKET, "tick_size", "cheap"), "no price step"),
    "market: another market": Edit(field(MARKET, "symbol", "ETHUSDT"), "not BTCUSDT"),
    "board: another type": Edit(listed(BOARD)),
    "board: a stray field": Edit(field(BOARD, "people", "were here")),
}


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[RedisAccess]:
    async with access_to(each_redis_url) as made:
        yield made


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds of silence takes tenths here."""
    monkeypatch.setattr(indicators, "_SILENT_READS", 2)
    for module in (indicators, detector):
        monkeypatch.setattr(module, "BLOCK_MS", 50)


@asynccontextmanager
async def workers(url: str) -> AsyncIterator[None]:
    async with computing(url), judging(url):
        yield


async def run(redis: Redis, commands: Sequence[Command], half: Market) -> None:
    """As a person does; ``{1m}`` stands for the last 1m candle, ``{entry}`` for the last entry."""
    last_ms, last = half.fed["1m"][-1].boundary_ms, half.entries[-1].entry_id
    known = {"{1m}": str(last_ms), "{1m+1}": str(last_ms + 1), "{entry}": last}
    async with redis.pipeline(transaction=True) as pipe:
        for command in commands:
            pipe.execute_command(
                *(re.sub(r"\{1m.*?\}|\{entry\}", lambda m: known[m[0]], word) for word in command)
            )
        await pipe.execute()


def remedies(log: str) -> Iterator[Command]:
    """The commands that the log gives, in its order, each once."""
    for key in dict.fromkeys(re.findall(r"\(DEL (\S+)\)", log)):
        yield "DEL", key


async def bring(access: RedisAccess, fed: Mapping[str, Sequence[Candle]]) -> None:
    """Append candles as ingest does, which waits when the readers are behind."""
    writer = KlinesWriter(access, SYMBOL, Streams())
    for name, candles in fed.items():

        async def appended(name: str = name, candles: Sequence[Candle] = candles) -> bool:
            done = await writer.append(name, DEFAULT.intervals[name], candles)
            return done.status == "ok" and done.last_ms == candles[-1].boundary_ms

        await wait_until(appended, f"{name} to be let through")


async def check(redis: Redis, whole: Market) -> None:
    last = whole.entries[-1].entry_id

    async def all_there() -> bool:
        judged = await redis.mget([keys.cursor(SYMBOL)]) == [last.encode()]
        return judged and len(await signal_ids_of_ours(redis)) >= len(whole.signals)

    await wait_until(all_there, "all signals")
    assert [each for each in await stored(redis, INDICATORS) if each[0] != FUTURE] == (
        whole.indicators
    )
    assert await signal_ids_of_ours(redis) == whole.signals


async def signal_ids_of_ours(redis: Redis) -> list[str]:
    entries = await redis.xrange(keys.SIGNALS)
    return [fields[b"id"].decode() for _, fields in entries if b"id" in fields]


@pytest.mark.parametrize("edit", PASSED_OVER.values(), ids=PASSED_OVER)
@pytest.mark.parametrize("alive", [True, False], ids=["under way", "while down"])
async def test_what_is_passed_over(
    redis: Redis, url: str, caplog: pytest.LogCaptureFixture, edit: Edit, alive: bool
) -> None:
    caplog.set_level(logging.INFO)
    half, whole = until(0.5), market(900)
    async with access_to(url) as access, AsyncExitStack() as stack:
        async with AsyncExitStack() as first:
            await (stack if alive else first).enter_async_context(workers(url))
            await publish(access, half.fed)
            await until_judged(redis, half)
        await run(redis, edit.commands, half)
        if not alive:
            await stack.enter_async_context(workers(url))
        await bring(access, whole.fed)
        await check(redis, whole)
    known_for_an_hour = alive and edit.commands[0][1] == MARKET
    assert known_for_an_hour or re.search(edit.told, caplog.text)
    assert len(set(errors(caplog))) == len(errors(caplog))


@pytest.mark.parametrize("edit", WAITED_FOR.values(), ids=WAITED_FOR)
async def test_what_a_person_must_undo_is_told_once_with_the_remedy(
    each_redis: Redis,
    each_redis_url: str,
    access: RedisAccess,
    caplog: pytest.LogCaptureFixture,
    edit: Edit,
) -> None:
    half, whole = until(0.5), market(900)
    async with workers(each_redis_url):
        await publish(access, half.fed)
        await until_judged(each_redis, half)
        await run(each_redis, edit.commands, half)
        async with until_left(bring(access, whole.fed)):
            await wait_until(lambda: edit.told in caplog.text, edit.told)
            await until_tried_again(each_redis)
            for command in remedies(caplog.text):
                await each_redis.execute_command(*command)
            await bring(access, whole.fed)
            await check(each_redis, whole)
    told = errors(caplog)
    assert max(map(told.count, told)) <= 4  # by two workers, and by who brings candles, twice


async def until_tried_again(redis: Redis) -> None:
    """Let those who wait try in vain some more."""

    async def commands() -> int:
        told = await redis.info("stats")
        return int(told["total_commands_processed"])

    before = await commands()

    async def more() -> bool:
        return await commands() > before + 20

    await wait_until(more, "further tries")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


async def test_a_candle_that_somebody_added_too_early_is_computed_again_when_it_is_gone(
    redis: Redis, url: str
) -> None:
    """Within a day nobody but the exchange knows that it is too early."""
    half, whole = until(0.5), market(900)
    async with access_to(url) as access, workers(url):
        await publish(access, half.fed)
        await until_judged(redis, half)
        early = f"{half.fed['1m'][-1].boundary_ms + 12 * 3_600_000}-0"
        await run(redis, entry(KLINES, early, *_FUTURE_CANDLE), half)
        await redis.xread({KLINES: early})
        await bring(access, {name: whole.fed[name] for name in ("1h", "5m")})
        last = whole.fed["5m"][-1].boundary_ms
        await wait_until(lambda: _reached(redis, f"{last}-1"), "the others to go on")
        await redis.delete(KLINES)
        await bring(access, whole.fed)
        await wait_until(lambda: _reached(redis, whole.entries[-1].entry_id), "the last candle")
        assert (await stored(redis, INDICATORS))[-1] == whole.indicators[-1]


async def _reached(redis: Redis, position: str) -> bool:
    found = await redis.hget(PROGRESS, "indicators")
    return order(readable(found)) >= order(position)


@pytest.mark.parametrize("key", [PROGRESS, keys.SIGNALS])
async def test_processes_wait_for_the_person_and_go_on(
    redis: Redis, url: str, tmp_path: Path, key: str
) -> None:
    half, whole = until(0.5), market(900)
    async with access_to(url) as access, processes_in(tmp_path) as processes:
        config = processes.config(url)
        running = [await processes.start(name, config) for name in ("indicators", "detector")]
        await publish(access, half.fed)
        await until_judged(redis, half)
        await redis.set(key, "garbage")
        waiting = running if key == PROGRESS else running[1:]
        async with until_left(bring(access, whole.fed)):
            for process in waiting:
                await process.until_logged(f"(DEL {key}), and it is filled again; waiting")
            health = keys.health("detector", "1")
            await wait_until(lambda: _waits(redis, health, key), "the heartbeat to say so")
            await redis.delete(key)
            await bring(access, whole.fed)
            await check(redis, whole)
        for process in running:
            assert (await process.terminate())[0] == 0
            assert "Traceback" not in process.log
        for process in waiting:
            assert len([line for line in lines(process.log, "ERROR") if "waiting" in line]) == 1


async def _waits(redis: Redis, health: str, key: str) -> bool:
    state = await redis.hget(health, "state")
    return bool(state) and state.startswith(b"waiting: ") and key.encode() in state
