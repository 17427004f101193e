"""Connections follow one another without a gap, and what is of no use is left for another host."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, serve

from services.ingest.__main__ import Ingest
from shared import keys, steady
from shared.candle import Candle, read_candle
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.settings import Exchange as ExchangeSettings
from shared.settings import Settings, SignalRules
from sim.exchange import Exchange
from sim.listener import Listener
from sim.script import Answer
from tests.waiting import wait_until

from .conftest import MARKET_START_MS, ONE_KIND, SYMBOL, TIMEFRAMES, last_boundary, market

pytestmark = ONE_KIND

MINUTE_MS = 60_000
START_MS = MARKET_START_MS + 2 * 3_600_000
# A market minute in a tenth of a second, with open frames in between.
SPEED = 590.0


@dataclass
class Running:
    """An ``Ingest`` in this process, and what it has published."""

    redis: Redis
    heartbeat: Heartbeat
    task: asyncio.Task[None]

    def count(self, name: str) -> int:
        return self.heartbeat.counters[name]

    async def until_counted(self, name: str, least: int) -> None:
        await wait_until(lambda: self.count(name) >= least, f"{name} to be {least}")

    async def more(self, minutes: int) -> None:
        """Wait until so many more 1m candles are there."""
        goal_ms = max(START_MS, await last_boundary(self.redis, "1m")) + minutes * MINUTE_MS

        async def there() -> bool:
            return await last_boundary(self.redis, "1m") >= goal_ms

        await wait_until(there, f"{minutes} more candles")

    async def since_start(self, timeframe: str) -> list[Candle]:
        """What was published after the history, in order and without a gap."""
        first = f"({START_MS}-9"
        entries = await self.redis.xrange(keys.klines(SYMBOL, timeframe), min=first)
        candles = [read_candle(*entry) for entry in entries]
        interval_ms = TIMEFRAMES[timeframe]
        expected = range(START_MS + interval_ms, START_MS + 10**9, interval_ms)
        assert [each.boundary_ms for each in candles] == list(expected[: len(candles)])
        return candles

    async def all_came_in_time_by_websocket(self) -> None:
        for timeframe in TIMEFRAMES:
            candles = await self.since_start(timeframe)
            assert {each.source for each in candles} <= {"ws"}, timeframe
            assert all(each.lag_ms < 3000 for each in candles), timeframe


@asynccontextmanager
async def ingesting(
    redis: Redis, url: str, exchange: Exchange, planned_age_s: float = 3600.0, **changes: Any
) -> AsyncIterator[Running]:
    hosts = {"rest_hosts": [exchange.rest_url], "ws_hosts": [exchange.ws_url]}
    section = ExchangeSettings.model_validate({**hosts, "max_clock_skew_seconds": None, **changes})
    rules = {"trend_timeframes": {"1m": "5m"}} if section.timeframes == ("1m",) else {}
    settings = Settings(exchange=section, signal_rules=SignalRules.model_validate(rules))
    access, heartbeat = RedisAccess(url, name="ingest"), Heartbeat("ingest", "1", settings.health)
    events = EventsWriter(access, "ingest", "1", settings.streams)
    ingest = Ingest(settings, access, heartbeat, events, planned_age_s=planned_age_s)
    try:
        async with ingest.rest, asyncio.TaskGroup() as group:
            running = Running(redis, heartbeat, group.create_task(ingest.run()))
            await running.until_counted("connections", 1)
            yield running
            running.task.cancel()
    finally:
        await access.close()


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with Exchange(market(1), start_ms=START_MS, speed=SPEED) as exchange:
        yield exchange


async def test_at_a_shutdown_notice_the_new_connection_delivers_before_the_old_one_closes(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    async with ingesting(each_redis, each_redis_url, exchange) as running:
        await running.more(3)
        exchange.server_shutdown(lead_s=2.0)
        await running.until_counted("overlaps", 1)
        await wait_until(lambda: len(exchange.streams.listeners) == 1, "the old one to close")
        await running.more(3)
        await running.all_came_in_time_by_websocket()
        assert running.count("connections") == 2


async def test_connections_are_replaced_before_the_exchange_ends_them_for_their_age(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    most, admit = 0, exchange.streams.admitted

    def admitted(listener: Listener) -> None:
        nonlocal most
        most = max(most, len(exchange.streams.listeners))
        admit(listener)

    exchange.streams.admitted = admitted
    exchange.limit_lifetime(int(2.6 * SPEED * 1000))
    async with ingesting(each_redis, each_redis_url, exchange, planned_age_s=1.2) as running:
        await running.until_counted("overlaps", 2)
        await running.more(3)
        await running.all_came_in_time_by_websocket()
        assert running.count("connections") == running.count("overlaps") + 1
    assert most == 2


async def test_a_replacement_that_cannot_be_had_leaves_the_old_connection_at_work(
    exchange: Exchange, each_redis: Redis, each_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ingesting(each_redis, each_redis_url, exchange) as running:
        await running.more(1)
        exchange.refuse_handshakes(2, status=503)
        exchange.server_shutdown(lead_s=20.0)
        await running.until_counted("overlaps", 1)
        await running.more(3)
        await running.all_came_in_time_by_websocket()
        assert running.heartbeat.facts["connection"] == f"connected to {exchange.ws_url}"
    assert caplog.text.count(f"HTTP 503); {exchange.ws_url} goes on, trying again") == 2


async def test_two_connections_end_promptly(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    async with ingesting(each_redis, each_redis_url, exchange) as running:
        await running.more(1)
        exchange.server_shutdown(lead_s=20.0)
        await running.until_counted("overlaps", 1)
        exchange.half_open()  # neither answers a close frame
        async with asyncio.timeout(4):
            running.task.cancel()
            await asyncio.wait([running.task])


async def test_a_mute_stream_is_sought_on_another_host(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    hosts = [exchange.ws_url, exchange.ws_url.replace("127.0.0.1", "localhost")]
    settings = {"ws_hosts": hosts, "silence_seconds": 0.8, "timeframes": ["1m"]}
    async with ingesting(each_redis, each_redis_url, exchange, **settings) as running:
        await running.more(1)
        exchange.mute_stream("5m")
        await running.until_counted("overlaps", 1)
        assert running.heartbeat.facts["connection"] == f"connected to {hosts[1]}"
        healed_ms = exchange.now_ms
        await running.more(11)
        late = [each for each in await running.since_start("5m") if each.boundary_ms > healed_ms]
        assert {each.source for each in late} == {"ws"}


async def test_a_stream_that_is_mute_everywhere_comes_by_rest_without_endless_connecting(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    settings = {"silence_seconds": 0.8, "timeframes": ["1m"]}
    exchange.mute_stream("5m", newcomers=True)
    async with ingesting(each_redis, each_redis_url, exchange, **settings) as running:
        await running.until_counted("overlaps", 1)
        state = f"connected to {exchange.ws_url}, which sends no 5m"
        await wait_until(lambda: running.heartbeat.facts["connection"] == state, "it to be told")
        await running.more(11)
        candles = await running.since_start("5m")
        assert len(candles) > 2
        assert {each.source for each in candles} == {"rest"}
        assert running.count("connections") == 2


async def test_a_host_that_connects_and_delivers_nothing_is_left_for_the_next(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    async def say_nothing(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(say_nothing, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        settings = {"ws_hosts": [url, exchange.ws_url], "silence_seconds": 0.5}
        async with ingesting(each_redis, each_redis_url, exchange, **settings) as running:
            await running.more(2)
            assert running.heartbeat.facts["connection"] == f"connected to {exchange.ws_url}"


async def test_a_host_whose_connections_do_not_last_is_left_for_the_next(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    async with (
        Exchange(market(1), start_ms=START_MS, speed=SPEED) as fickle,
        ingesting(
            each_redis, each_redis_url, fickle, ws_hosts=[fickle.ws_url, exchange.ws_url]
        ) as running,
    ):
        await running.more(1)
        fickle.cut()
        state = f"connected to {exchange.ws_url}"
        await wait_until(lambda: running.heartbeat.facts["connection"] == state, "the other host")


@pytest.mark.parametrize(
    "answer",
    [Answer(503), Answer(200, "<html>")],
    ids=["errors", "pages of a portal"],
)
async def test_a_rest_host_that_gives_no_candles_is_left_for_the_next(
    exchange: Exchange, each_redis: Redis, each_redis_url: str, answer: Answer
) -> None:
    async with Exchange(market(1), start_ms=START_MS) as useless:
        useless.answer_rest(answer, 10**6)
        hosts = [useless.rest_url, exchange.rest_url]
        async with ingesting(each_redis, each_redis_url, exchange, rest_hosts=hosts) as running:
            assert running.heartbeat.facts["rest"] == f"answered by {exchange.rest_url}"


async def test_a_rest_that_nobody_reaches_is_not_said_to_answer(
    exchange: Exchange, each_redis: Redis, each_redis_url: str
) -> None:
    async with ingesting(each_redis, each_redis_url, exchange) as running:
        facts = running.heartbeat.facts
        assert facts["rest"] == f"answered by {exchange.rest_url}"
        exchange.refuse_connections(for_ms=10**9, port="both")
        exchange.cut()
        await wait_until(lambda: facts["rest"].startswith("has not answered since "), "the truth")
        assert re.fullmatch(
            rf"has not answered since \S+ \S+ UTC: {exchange.rest_url} cannot be reached \(.+\)",
            facts["rest"],
        )
        exchange.behave()
        await wait_until(lambda: facts["rest"] == f"answered by {exchange.rest_url}", "an answer")


async def test_a_handshake_told_when_to_come_again_comes_then(
    exchange: Exchange, each_redis: Redis, each_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.refuse_handshakes(1, status=429, retry_after_s=1)
    async with ingesting(each_redis, each_redis_url, exchange) as running:
        await running.more(1)
    assert "refused the connection (HTTP 429); connecting again in 1.0 s" in caplog.text


async def test_a_suspend_in_which_only_the_boot_time_goes_on_makes_no_old_frame_fresh(
    exchange: Exchange,
    each_redis: Redis,
    each_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asleep_s, boot_s = 0.0, steady.now_s
    monkeypatch.setattr(steady, "now_s", lambda: boot_s() + asleep_s)
    async with ingesting(each_redis, each_redis_url, exchange) as running:
        await running.more(3)
        asleep_s = 150.0
        await wait_until(lambda: "this process stood still" in caplog.text, "the notice")
        await running.until_counted("connections", 2)
        await running.more(3)
