"""Who of the services is down is told once, by whoever lives, and never because nobody watched.

Time is what the hash says: an answer is made old by writing an older time.
"""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.event import Event, Trouble, read_event, read_trouble
from shared.events import EventsWriter
from shared.redis_access import RedisAccess
from shared.roll_call import RollCall
from shared.settings import Health, Streams
from tests.integration.shared.bench import processes_in
from tests.waiting import wait_until

SETTINGS = Health(interval_seconds=2.0, ttl_seconds=30.0)


def ago(seconds: float) -> int:
    return int((time.time() - seconds) * 1000)


class Roll:
    """Services that answer when the test says so."""

    def __init__(self, redis: Redis, accesses: list[RedisAccess]) -> None:
        self._redis, self._accesses = redis, accesses

    async def answers(
        self,
        service: str,
        instance: int = 1,
        settings: Health = SETTINGS,
        *,
        ready: bool = True,
    ) -> None:
        access = self._accesses[instance - 1]
        events = EventsWriter(access, service, str(instance), Streams())
        await RollCall(access, events, service, settings, ready=lambda: ready).answer()

    async def answered(
        self, *, anybody: float = 1, listening: float = 600, **seconds: float
    ) -> None:
        """Let each of these have answered so many seconds ago."""
        times = {name: ago(each) for name, each in seconds.items()}
        known = {"anybody": ago(anybody), "listening_since": ago(listening)}
        await self._redis.hset(keys.SERVICES, mapping={**known, **times})

    async def told(self) -> list[Event]:
        return [read_event(*entry) for entry in await self._redis.xrange(keys.EVENTS)]


@pytest.fixture
async def roll(each_redis: Redis, each_redis_url: str) -> AsyncIterator[Roll]:
    accesses = [RedisAccess(each_redis_url, name=name) for name in ("one", "two")]
    yield Roll(each_redis, accesses)
    for access in accesses:
        await access.close()


async def test_down_and_up_are_told_once_whoever_sees_it(roll: Roll, each_redis: Redis) -> None:
    await roll.answered(ingest=1, detector=31)
    since_ms = int(await each_redis.hget(keys.SERVICES, "detector"))
    for service, instance in [("ingest", 1), ("ingest", 2), ("indicators", 1), ("ingest", 1)]:
        await roll.answers(service, instance)
    [down] = await roll.told()
    assert (down.subject, down.state, down.since_ms) == ("service:detector", "down", since_ms)
    assert (down.service, down.alert, down.ends) == ("ingest", True, False)
    assert re.fullmatch(
        r"detector DOWN since 20..-..-.. ..:..:.. UTC: no instance has answered for 30 s;"
        r" ./btc-scanner status says what to do",
        down.sentence,
    )
    stands = await each_redis.hget(keys.TROUBLES, "service:detector")
    assert read_trouble(stands) == Trouble("down", since_ms)
    for instance in (2, 1, 2):
        await roll.answers("detector", instance)
    _, up = await roll.told()
    assert (up.subject, up.state, up.since_ms, up.ends) == (
        "service:detector", "up", since_ms, True,
    )  # fmt: skip
    assert re.fullmatch(r"detector UP after 3[1-9]s", up.sentence)
    assert await each_redis.hlen(keys.TROUBLES) == 0


async def test_down_again_is_told_again(roll: Roll) -> None:
    for seconds in (300, 40):
        await roll.answered(ingest=1, detector=seconds)
        await roll.answers("ingest")
        await roll.answers("detector")
    assert [event.state for event in await roll.told()] == ["down", "up", "down", "up"]


async def test_while_one_instance_answers_the_service_is_not_down(roll: Roll) -> None:
    await roll.answered(ingest=1, detector=29)
    await roll.answers("detector", 2)
    await roll.answers("ingest")
    assert await roll.told() == []


async def test_a_restart_within_the_longest_silence_tells_nothing(roll: Roll) -> None:
    await roll.answered(ingest=1, detector=29)
    await roll.answers("ingest")
    await roll.answers("detector")
    assert await roll.told() == []


@pytest.mark.parametrize("silent_s", [16, 40, 100_000])
async def test_after_a_pause_of_everybody_all_get_their_time_anew(
    roll: Roll, each_redis: Redis, silent_s: float
) -> None:
    everybody = dict.fromkeys(("ingest", "detector", "notifier"), silent_s + 1.0)
    await roll.answered(anybody=silent_s, **everybody)
    await roll.answers("ingest")
    await roll.answers("notifier")
    assert await roll.told() == []
    # Who does not come back then is down, since it was heard last.
    await roll.answered(listening=31, ingest=1, notifier=1, detector=silent_s + 32)
    since_ms = int(await each_redis.hget(keys.SERVICES, "detector"))
    await roll.answers("ingest")
    [down] = await roll.told()
    assert (down.subject, down.since_ms) == ("service:detector", since_ms)


async def test_who_was_never_there_is_not_missed(roll: Roll) -> None:
    await roll.answers("ingest")
    await roll.answered(listening=100)
    await roll.answers("ingest")
    assert await roll.told() == []


async def test_who_answers_without_being_ready_is_not_down_and_ready_is_who_was_so_last(
    roll: Roll, each_redis: Redis
) -> None:
    await roll.answered(ingest=29, detector=1)
    await roll.answers("ingest", ready=False)
    await roll.answered(listening=600)
    await roll.answers("detector")
    assert await roll.told() == []
    assert not await each_redis.hexists(keys.SERVICES, "ready:ingest")
    await roll.answers("ingest", 2)
    marked = await each_redis.hget(keys.SERVICES, "ready:ingest")
    assert int(marked) > ago(20)
    await each_redis.hset(keys.SERVICES, "ready:ingest", ago(40))
    old = await each_redis.hget(keys.SERVICES, "ready:ingest")
    await roll.answers("ingest", ready=False)
    await roll.answers("detector")
    # An old mark stays as it is: it is no service that could be silent.
    assert await each_redis.hget(keys.SERVICES, "ready:ingest") == old
    assert await roll.told() == []


async def test_a_clock_that_was_set_back_makes_nobody_immortal(
    roll: Roll, each_redis: Redis
) -> None:
    await roll.answered(anybody=-3600, listening=-3500, ingest=-3600, detector=-3590)
    await roll.answers("ingest")
    await each_redis.hset(keys.SERVICES, "ready:detector", ago(-3590))
    await roll.answers("ingest")
    found = {int(at) for at in (await each_redis.hgetall(keys.SERVICES)).values()}
    assert max(found) <= ago(0)
    assert await roll.told() == []


async def test_a_spoilt_roll_is_begun_anew(roll: Roll, each_redis: Redis) -> None:
    await roll.answered(ingest=1)
    strange = {b"\xff": 1, "two words": 1, "": 1}
    await each_redis.hset(
        keys.SERVICES, mapping={"detector": "noon", "anybody": "", "notifier": "9" * 40, **strange}
    )
    await roll.answers("ingest")
    assert set(await each_redis.hkeys(keys.SERVICES)) == {
        b"ingest", b"ready:ingest", b"detector", b"notifier", b"anybody", b"listening_since",
    }  # fmt: skip
    await roll.answered(ingest=1)
    await roll.answers("ingest")
    await each_redis.set(keys.SERVICES, "a string")
    await each_redis.set(keys.TROUBLES, "a string")
    await roll.answers("ingest")
    assert await each_redis.hlen(keys.SERVICES) == 4
    assert await roll.told() == []


async def test_a_short_ttl_does_not_make_one_late_answer_a_silence(roll: Roll) -> None:
    settings = Health(interval_seconds=2.0, ttl_seconds=2.5)
    await roll.answered(ingest=1, detector=9)
    await roll.answers("ingest", settings=settings)
    assert await roll.told() == []
    await roll.answered(ingest=1, detector=11)
    await roll.answers("ingest", settings=settings)
    assert [event.state for event in await roll.told()] == ["down"]


@pytest.mark.timeout(120)
async def test_processes_tell_of_a_service_that_was_killed_and_comes_back(
    each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    async def told() -> list[str]:
        entries = [read_event(*entry) for entry in await each_redis.xrange(keys.EVENTS)]
        return [each.state for each in entries if each.subject == "service:detector"]

    async with processes_in(tmp_path) as processes:
        config = processes.config(
            each_redis_url, health={"interval_seconds": 0.1, "ttl_seconds": 1.5}
        )
        detectors = [await processes.start("detector", config, name) for name in "12"]
        for name in "12":
            await processes.start("indicators", config, name)
        await wait_until(lambda: each_redis.hexists(keys.SERVICES, "indicators"))
        for detector in detectors:
            await detector.until_logged("evaluating after")
        await detectors[0].terminate()
        await detectors[1].kill()
        await wait_until(told)
        assert await told() == ["down"]
        await processes.start("detector", config)

        async def back() -> bool:
            return len(await told()) == 2

        await wait_until(back)
        assert await told() == ["down", "up"]
