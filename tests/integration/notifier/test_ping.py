"""``health.ping_url`` is fetched while all is well, by one of many, and never harms delivery."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from redis.asyncio import Redis

from services.notifier.ping import Pinger
from shared import keys
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.settings import Settings
from sim.exchange import Exchange
from sim.mailbox import Mailbox
from sim.market import generate
from tests.service_process import started
from tests.waiting import wait_until

from .conftest import Bench, fresh_signal, now_ms, smtp

SERVICES = ("ingest", "indicators", "detector", "notifier")
MARKET_MS = 1_735_516_800_000
SECRET = "9f3c-who-knows-it-can-pretend"


class Watchman:
    """Answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status, self.hangs = 200, False
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.hangs:
            await asyncio.sleep(30)
        return web.Response(status=self.status, text="OK")


@pytest.fixture
async def watchman() -> AsyncIterator[Watchman]:
    made, app = Watchman(), web.Application()
    app.router.add_route("*", "/{any:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{port}/ping/{SECRET}?from=here"
    yield made
    await runner.cleanup()


def pinger(bench: Bench, url: str, *, turn_s: float = 60.0) -> Pinger:
    access = RedisAccess(bench.redis_url, name="notifier")
    bench.stack.push_async_callback(access.close)
    settings = bench.settings(health={"ping_url": url, "interval_seconds": 0.1})
    return Pinger(access, settings, Heartbeat("notifier", "1", settings.health), turn_s=turn_s)


async def all_answer(redis: Redis, *absent: str, since_ms: int = 0) -> None:
    present = [name for name in SERVICES if name not in absent]
    marks = [*present, *(f"ready:{name}" for name in present)]
    await redis.hset(keys.SERVICES, mapping=dict.fromkeys(marks, since_ms or now_ms()))


async def test_while_all_is_well_one_of_many_fetches_it(
    bench: Bench, redis: Redis, watchman: Watchman
) -> None:
    await all_answer(redis)
    pingers = [pinger(bench, watchman.url) for _ in range(4)]
    found = await asyncio.gather(*(each.look() for each in pingers))
    assert sorted(found) == ["later", "later", "later", "turn"]
    assert watchman.asked == [f"GET /ping/{SECRET}?from=here"]
    await redis.delete(keys.PING)  # the minute is over
    assert await pingers[0].look() == "turn"
    assert len(watchman.asked) == 2


@pytest.mark.parametrize("absent", SERVICES)
async def test_a_service_that_is_silent_withholds_it(
    bench: Bench, redis: Redis, watchman: Watchman, absent: str
) -> None:
    await all_answer(redis, absent)
    assert await pinger(bench, watchman.url).look() == "ill"
    await all_answer(redis, since_ms=now_ms() - 31_000)
    assert await pinger(bench, watchman.url).look() == "ill"
    assert watchman.asked == []


@pytest.mark.parametrize("mark", ["absent", "old", "spoilt"])
async def test_a_service_that_answers_without_being_ready_withholds_it(
    bench: Bench, redis: Redis, watchman: Watchman, mark: str
) -> None:
    await all_answer(redis)
    if mark == "absent":
        await redis.hdel(keys.SERVICES, "ready:ingest")
    else:
        text = str(now_ms() - 31_000) if mark == "old" else "soon"
        await redis.hset(keys.SERVICES, "ready:ingest", text)
    made = pinger(bench, watchman.url)
    assert await made.look() == "ill"
    assert made._heartbeat.facts["ping"] == "withheld: ingest is not ready"
    assert watchman.asked == []


async def test_an_ingest_that_has_not_reached_the_exchange_since_its_start_withholds_it(
    bench: Bench, redis: Redis, watchman: Watchman
) -> None:
    """A real ingest, long before it is told as blind."""
    async with Exchange(generate(7, 1, MARKET_MS), start_ms=MARKET_MS + 3_600_000) as exchange:
        exchange.refuse_connections(for_ms=3_600_000, port="both")
        hosts = {"rest_hosts": [exchange.rest_url], "ws_hosts": [exchange.ws_url]}
        config = bench.config(exchange={**hosts, "max_clock_skew_seconds": None})
        process = await started("ingest", bench.folder / "ingest.log", config, "1")
        bench.processes.append(process)
        await process.until_logged("trying again, and other hosts")
        await wait_until(lambda: redis.hexists(keys.SERVICES, "ingest"), "an answer")
        made = pinger(bench, watchman.url)

        async def found() -> str:
            await all_answer(redis, "ingest")
            return await made.look()

        assert await found() == "ill"
        assert made._heartbeat.facts["ping"] == "withheld: ingest is not ready"
        assert not await redis.hgetall(keys.TROUBLES)
        assert watchman.asked == []
        exchange.behave()

        async def turn() -> bool:
            return await found() == "turn"

        await wait_until(turn, "the first turn", 60)
        assert len(watchman.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "found"),
    [
        ("blind 5", "ill"),
        ("down 5", "ill"),
        ("broken 5", "ill"),
        ("skewed 5", "turn"),
        ("spoilt", "turn"),
    ],
)
async def test_a_trouble_that_makes_blind_withholds_it(
    bench: Bench, redis: Redis, watchman: Watchman, trouble: str, found: str
) -> None:
    await all_answer(redis)
    await redis.hset(keys.TROUBLES, "feed:BTCUSDT", trouble)
    assert await pinger(bench, watchman.url).look() == found
    assert bool(watchman.asked) == (found == "turn")


@pytest.mark.parametrize("key", [keys.SERVICES, keys.TROUBLES])
async def test_a_spoilt_key_withholds_it(
    bench: Bench, redis: Redis, watchman: Watchman, key: str
) -> None:
    await all_answer(redis)
    await redis.delete(key)
    await redis.set(key, "spoilt")
    assert await pinger(bench, watchman.url).look() == "ill"


async def test_a_failure_is_told_once_without_the_url_and_so_is_its_end(
    bench: Bench, redis: Redis, watchman: Watchman, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "services.notifier.ping")
    await all_answer(redis)
    made, watchman.status = pinger(bench, watchman.url), 404
    for _ in range(3):
        assert await made.look() == "turn"
        await redis.delete(keys.PING)
    watchman.status = 204
    assert await made.look() == "turn"
    assert [record.getMessage() for record in caplog.records] == [
        "health.ping_url was not fetched: it answers HTTP 404; trying again each minute",
        "health.ping_url is fetched again",
    ]
    assert made._heartbeat.counters == {"pings_failed": 3, "pings": 1}
    assert SECRET not in caplog.text


@pytest.mark.parametrize("what", ["nobody there", "no name", "no HTTP"])
async def test_whatever_fails_is_told_without_the_url(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"BABBLE\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if what == "nobody there":
        server.close()
        await server.wait_closed()
    host = "nobody.invalid" if what == "no name" else "127.0.0.1"
    await all_answer(redis)
    made = pinger(bench, f"http://{host}:{port}/{SECRET}")
    assert await made.look() == "turn"
    server.close()
    assert "health.ping_url was not fetched: " in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in str(made._heartbeat.facts)


async def test_a_watchman_that_hangs_keeps_no_alert_and_no_end_waiting(
    bench: Bench, redis: Redis, watchman: Watchman, mailbox: Mailbox
) -> None:
    """A real notifier, which is the fourth service to answer."""
    watchman.hangs = True
    await all_answer(redis, since_ms=now_ms())
    health = {"ping_url": watchman.url, "interval_seconds": 0.1}
    config = bench.config(smtp=smtp(mailbox), health=health)
    process = await bench.start(config)
    await wait_until(lambda: watchman.asked, "the fetch", 60)
    await bench.emit(fresh_signal())
    await bench.until_settled("email", 1)
    code, seconds = await process.terminate()
    assert code == 0
    assert seconds < 5
    assert SECRET not in process.log


def test_the_url_is_masked(bench: Bench, watchman: Watchman) -> None:
    settings: Settings = bench.settings(health={"ping_url": watchman.url})
    assert settings.masked()["health"]["ping_url"] == "********"
    assert watchman.url in settings.secrets()
