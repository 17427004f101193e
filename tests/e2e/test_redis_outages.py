"""A replay while its Redis is stopped, killed, frozen, filled up and emptied: the same signals."""

import asyncio
import os
import signal
from collections.abc import Awaitable
from pathlib import Path

import pytest

from cli.pipeline import Pipeline
from sim.candles import Candles
from sim.market import generate
from tests.e2e.conftest import START_MS, Meddle, Outcome, candle_file, replayed, with_holes
from tests.integration.redis_topologies.topologies import (
    data_server,
    free_ports,
    running_cluster,
    running_sentinels,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

DAYS = 5


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short market with a hole."""
    short: Candles = with_holes(generate(4, DAYS, START_MS))
    return candle_file(tmp_path_factory.mktemp("short") / "candles.csv", short)


@pytest.fixture(scope="module")
def undisturbed(candles: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What an ordinary run gives."""
    return asyncio.run(replayed(candles, tmp_path_factory.mktemp("undisturbed")))


def position_of(pipeline: Pipeline) -> Awaitable[str | None]:
    return pipeline.access.field("progress:{BTCUSDT}", "detector")


async def at_share(pipeline: Pipeline, share: float) -> None:
    """Wait until the detector has come so far."""
    goal_ms = START_MS + share * DAYS * 86_400_000

    async def there() -> bool:
        return int((await position_of(pipeline) or "0").partition("-")[0]) >= goal_ms

    await wait_until(there, f"{share:.0%} of the market", seconds=60)


async def disturbed(candles: Path, folder: Path, meddle: Meddle, *, redis_url: str = "") -> Outcome:
    """A replay in which ``meddle`` came to its end."""
    ended: list[bool] = []

    async def meddle_wholly(pipeline: Pipeline) -> None:
        await meddle(pipeline)
        ended.append(True)

    outcome = await replayed(candles, folder, redis_url=redis_url, meddle=meddle_wholly)
    assert ended, "the market was over before all the trouble"
    return outcome


def check(outcome: Outcome, undisturbed: Outcome) -> None:
    """The signals of an undisturbed run, each delivered once."""
    assert len(undisturbed.rows) > 10
    assert outcome.signals == undisturbed.signals
    for told in outcome.summary["deliveries"].values():
        assert (told["lost"], told["duplicates"], told["unexpected"]) == (0, 0, 0)
    assert set(outcome.summary["restarts"].values()) == {0}, "a service crashed"


async def test_a_failover_of_sentinels(candles: Path, undisturbed: Outcome, tmp_path: Path) -> None:
    async with running_sentinels(tmp_path / "redis") as redis:

        async def fail_over(pipeline: Pipeline) -> None:
            await at_share(pipeline, 0.4)
            primary = await redis.primary()
            primary.kill()
            await redis.failed_over(primary)

        outcome = await disturbed(candles, tmp_path, fail_over, redis_url=redis.url)
    check(outcome, undisturbed)


async def test_a_cluster(candles: Path, undisturbed: Outcome, tmp_path: Path) -> None:
    async with running_cluster(tmp_path / "redis") as redis:
        outcome = await replayed(candles, tmp_path, redis_url=redis.url)
    check(outcome, undisturbed)


async def test_a_server_that_is_killed_and_stopped_with_either_fsync(
    candles: Path, undisturbed: Outcome, tmp_path: Path
) -> None:
    server = data_server(tmp_path / "redis", free_ports(1)[0])
    assert "everysec" in server.arguments

    async def end(pipeline: Pipeline) -> None:
        kill, stop = signal.SIGKILL, signal.SIGTERM
        for share, number in ((0.1, kill), (0.3, stop), (0.5, kill), (0.7, stop)):
            await at_share(pipeline, share)
            server.signal(number)
            assert server.process is not None
            await asyncio.to_thread(server.process.wait)
            await asyncio.sleep(0.2)  # some tries shall fail
            if share == 0.3:
                server.arguments = [*server.arguments, "--appendfsync", "always"]
            server.start()

    server.start()
    try:
        await wait_until(server.answers)
        url = f"redis://127.0.0.1:{server.port}/0"
        outcome = await disturbed(candles, tmp_path, end, redis_url=url)
    finally:
        server.kill()
    check(outcome, undisturbed)


async def test_a_server_that_pauses_freezes_is_full_and_read_only(
    candles: Path, undisturbed: Outcome, tmp_path: Path
) -> None:
    async def trouble(pipeline: Pipeline) -> None:
        client, pid = pipeline.access.client, pipeline.server.pid
        assert pid is not None
        await at_share(pipeline, 0.1)
        await client.client_pause(5200)  # longer than a try of ours lasts
        await at_share(pipeline, 0.2)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.6)
        os.kill(pid, signal.SIGCONT)
        await at_share(pipeline, 0.4)
        await client.config_set("maxmemory", 1)
        await asyncio.sleep(0.6)
        await client.config_set("maxmemory", 0)
        await at_share(pipeline, 0.6)
        await client.replicaof("127.0.0.1", "1")
        await asyncio.sleep(0.6)
        await client.replicaof("NO", "ONE")

    check(await disturbed(candles, tmp_path, trouble), undisturbed)


async def test_a_server_that_is_emptied_twice(
    candles: Path, undisturbed: Outcome, tmp_path: Path
) -> None:
    """Nothing in Redis tells what was delivered; the notifier, which lives on, remembers."""

    async def empty(pipeline: Pipeline) -> None:
        for share in (0.1, 0.35):  # the clock stands still at the end, and the last candle is young
            await at_share(pipeline, share)
            await pipeline.access.client.flushall()

    check(await disturbed(candles, tmp_path, empty), undisturbed)
