"""A channel that is broken, or asked to wait, stops as a whole, says so once, and goes on."""

import re
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import BusyLoadingError

from services.notifier.channels import Broken, TryAgain
from services.notifier.sources import EVENTS
from shared import keys
from shared.events import Event, read_event
from tests.waiting import wait_until

from .conftest import Bench, fresh_signal
from .fake_channel import FakeChannel

WRONG = Broken("login", "the login is wrong: correct it")
HOUR_MS = 3_600_000
SLOW = {"retry_base_seconds": 0.05, "retry_max_seconds": 300.0}


@pytest.fixture(scope="session")
def redis_url(each_redis_url: str) -> str:
    """Every test here runs on each kind of server."""
    return each_redis_url


async def told(redis: Redis) -> list[Event]:
    return [read_event(entry_id, fields) for entry_id, fields in await redis.xrange(keys.EVENTS)]


async def test_a_broken_channel_stops_is_told_once_and_keeps_what_it_misses(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    channel, signals = FakeChannel(), [fresh_signal(number) for number in range(5)]
    for signal in signals:
        channel.troubles[signal.id, "one"] = WRONG
    await bench.deliver(channel, bench.settings(notifier=SLOW))
    await bench.emit(signals[0])
    await wait_until(lambda: channel.asked)
    await wait_until(lambda: redis.exists(keys.gate("fake")))
    await bench.emit(*signals[1:])
    await wait_until(lambda: bench.pending("fake"), "all to be read")

    async def all_read() -> bool:
        return len(await bench.pending("fake")) == 5

    await wait_until(all_read)
    assert len(channel.asked) == 1
    [event] = await told(redis)
    assert (event.subject, event.state) == ("channel:fake", "broken")
    assert "the login is wrong: correct it" in event.sentence
    assert (await redis.hget(keys.TROUBLES, "channel:fake")).startswith(b"broken ")
    assert "the channel waits for the remedy" in caplog.text
    # Each CRITICAL line is a message of its own, and this is told already.
    assert not [one for one in caplog.records if one.levelname == "CRITICAL"]
    assert 0 < await redis.pttl(keys.gate("fake")) <= 300_000


async def test_a_broken_channel_is_probed_and_catches_up_the_newest_first(
    bench: Bench, redis: Redis
) -> None:
    channel, signals = FakeChannel(), [fresh_signal(number) for number in range(6)]
    for signal in signals:
        channel.troubles[signal.id, "one"] = WRONG
    await bench.deliver(channel, bench.settings())
    await bench.emit(*signals)
    await wait_until(lambda: len(channel.asked) >= 3, "several probes")
    channel.troubles.clear()
    await bench.until_settled("fake", 6)
    assert sorted(channel.accepted) == sorted((one.id, "one") for one in signals)
    events = await told(redis)
    assert [(event.state, event.ends) for event in events] == [
        ("broken", False),
        ("recovered", True),
    ]
    assert not await redis.exists(keys.gate("fake"))
    assert not await redis.hexists(keys.TROUBLES, "channel:fake")


async def test_of_several_replicas_one_probes_a_broken_channel(bench: Bench, redis: Redis) -> None:
    channels = [FakeChannel() for _ in range(3)]
    signals = [fresh_signal(number) for number in range(12)]
    for signal in signals:
        for channel in channels:
            channel.troubles[signal.id, "one"] = WRONG
    await redis.hset(keys.TROUBLES, "channel:fake", "broken 5")
    await bench.emit(*signals)
    for number, channel in enumerate(channels):
        await bench.deliver(channel, bench.settings(notifier=SLOW), f"here-{number}")

    async def all_read() -> bool:
        groups = await redis.xinfo_groups(keys.SIGNALS)
        return bool(groups) and groups[0]["pending"] == 12

    await wait_until(all_read)
    await wait_until(lambda: any(channel.asked for channel in channels))
    assert sum(len(channel.asked) for channel in channels) == 1
    assert await told(redis) == []  # that it is broken was told before


async def test_a_new_process_tries_at_once_what_an_old_one_found_broken(
    bench: Bench, redis: Redis
) -> None:
    await redis.hset(keys.TROUBLES, "channel:fake", "broken 5")
    await redis.set(keys.gate("fake"), "broken: the login is wrong", px=300_000)
    channel, settings = FakeChannel(), bench.settings(notifier=SLOW)
    gate = bench.gate("fake", settings)
    await gate.start()
    await bench.deliver(channel, settings)
    await bench.emit(fresh_signal())
    await bench.until_settled("fake", 1)
    [event] = await told(redis)
    assert (event.state, event.since_ms) == ("recovered", 5)


async def test_a_pause_that_the_peer_asked_for_holds_all_replicas_and_survives_restarts(
    bench: Bench, redis: Redis
) -> None:
    channel, other, signals = FakeChannel(), FakeChannel(), [fresh_signal(n) for n in range(4)]
    channel.troubles[signals[0].id, "one"] = TryAgain("flood", "wait 200 s", 200.0)
    settings = bench.settings()
    await bench.deliver(channel, settings)
    await bench.emit(signals[0])
    await wait_until(lambda: redis.exists(keys.gate("fake")))
    assert 100_000 < await redis.pttl(keys.gate("fake")) <= 200_000
    channel.troubles.clear()
    gate = bench.gate("fake", settings)
    await gate.start()  # a restart repairs no pause
    await bench.deliver(other, settings, "here-2")
    await bench.emit(*signals[1:])

    async def all_put_back() -> bool:
        rows = await bench.pending("fake")
        return sorted(row["times_delivered"] for row in rows) == [0, 0, 0, 1]

    await wait_until(all_put_back, "none but the first to count as tried")
    assert len(channel.asked) + len(other.asked) == 1
    await redis.delete(keys.gate("fake"))  # the time is over
    await bench.until_settled("fake", 4)
    assert sorted(channel.accepted + other.accepted) == sorted((one.id, "one") for one in signals)


async def test_a_shorter_pause_does_not_end_a_longer_one(bench: Bench, redis: Redis) -> None:
    gate = bench.gate("fake", bench.settings())
    await gate.pause(200.0, "long")
    await gate.pause(3.0, "short")
    assert await redis.pttl(keys.gate("fake")) > 100_000
    await gate.pause(900.0, "longer")
    assert await redis.pttl(keys.gate("fake")) > 800_000


async def test_what_breaks_beside_a_pause_does_not_shorten_it(bench: Bench, redis: Redis) -> None:
    gate, key = bench.gate("fake", bench.settings()), keys.gate("fake")
    await gate.pause(300.0, "flood")
    await gate.break_("wrong login")
    assert await redis.pttl(key) > 200_000
    assert await redis.get(key) == b"broken (300 s): wrong login"
    assert (await redis.hget(keys.TROUBLES, "channel:fake")).startswith(b"broken ")


async def test_a_broken_channel_is_not_probed_sooner_than_it_may_be(
    bench: Bench, redis: Redis
) -> None:
    settings = bench.settings(notifier={"retry_max_seconds": 300.0})
    gate, key = bench.gate("fake", settings), keys.gate("fake")
    for before in (None, 1000):
        if before is not None:
            await redis.set(key, "paused: for a moment", px=before)
        await gate.break_("wrong login")
        assert 200_000 < await redis.pttl(key) <= 300_000
        assert await redis.get(key) == b"broken (300 s): wrong login"


async def set_clock_back(redis: Redis) -> bool:
    """Leave the gate, if it stands, with the TTL that it has after Redis's clock went back."""
    key = keys.gate("fake")
    return bool(await redis.pexpire(key, HOUR_MS + await redis.pttl(key)))


async def test_a_clock_that_is_set_back_does_not_make_a_pause_longer(
    bench: Bench, redis: Redis
) -> None:
    channel, first, second = FakeChannel(), fresh_signal(1), fresh_signal(2)
    channel.troubles[first.id, "one"] = TryAgain("flood", "wait 1 s", 1.0)
    await bench.deliver(channel, bench.settings())
    await bench.emit(first)
    await wait_until(lambda: set_clock_back(redis))
    channel.troubles.clear()
    await bench.emit(second)
    await bench.until_settled("fake", 2)
    assert sorted(channel.accepted) == [(first.id, "one"), (second.id, "one")]


async def test_a_clock_that_is_set_back_does_not_keep_a_broken_channel_from_being_probed(
    bench: Bench, redis: Redis
) -> None:
    channel, signal = FakeChannel(), fresh_signal()
    channel.troubles[signal.id, "one"] = WRONG
    settings = bench.settings(notifier={"retry_base_seconds": 0.05, "retry_max_seconds": 1.0})
    await bench.deliver(channel, settings)
    await bench.emit(signal)

    async def back_while(text: bytes) -> bool:
        stands = await redis.get(keys.gate("fake")) or b""
        return stands.startswith(text) and await set_clock_back(redis)

    await wait_until(lambda: back_while(b"broken (1 s): "))
    channel.troubles[signal.id, "one"] = TryAgain("busy", "busy")
    await wait_until(lambda: back_while(b"probing (1 s)"))
    channel.troubles.clear()
    await bench.until_settled("fake", 1)


@pytest.mark.parametrize(
    ("close", "text", "most_ms"),
    [
        (["pause 200"], b"paused (200 s): why", 200_000),
        (["pause 0.5", "pause 200"], b"paused (200 s): why", 200_000),
        (["pause 200", "pause 5"], b"paused (200 s): why", 200_000),
        (["break"], b"broken (60.5 s): why", 60_500),
        (["pause 5", "break"], b"broken (60.5 s): why", 60_500),
        (["break", "pause 200"], b"paused (200 s): why", 200_000),
        (["pause 200", "break"], b"broken (200 s): why", 200_000),
        (["pause 200", "break", "pause 5"], b"broken (200 s): why", 200_000),
    ],
)
async def test_a_gate_stands_no_longer_than_was_asked_whatever_the_clock_does(
    bench: Bench, redis: Redis, close: list[str], text: bytes, most_ms: int
) -> None:
    gate = bench.gate("fake", bench.settings(notifier={"retry_max_seconds": 60.5}))
    for each in close:
        word, _, seconds = each.partition(" ")
        await (gate.pause(float(seconds), "why") if word == "pause" else gate.break_("why"))
    assert await redis.get(keys.gate("fake")) == text
    assert most_ms / 2 < await redis.pttl(keys.gate("fake")) <= most_ms
    assert await set_clock_back(redis)
    assert most_ms / 2000 < await gate.closed_s() <= most_ms / 1000
    assert most_ms / 2 < await redis.pttl(keys.gate("fake")) <= most_ms
    assert await set_clock_back(redis)
    await gate.pause(5.0, "short")
    assert await redis.get(keys.gate("fake")) == text
    assert most_ms / 2 < await redis.pttl(keys.gate("fake")) <= most_ms


async def test_a_gate_of_an_older_version_stands_for_its_time(bench: Bench, redis: Redis) -> None:
    gate, key = bench.gate("fake", bench.settings()), keys.gate("fake")
    await redis.set(key, "paused: wait (5 s): please", px=200_000)
    assert 100 < await gate.closed_s() <= 200
    await gate.pause(3.0, "short")
    assert await redis.get(key) == b"paused: wait (5 s): please"
    await gate.break_("wrong login")
    assert 100_000 < await redis.pttl(key) <= 200_000
    assert re.fullmatch(rb"broken \(1\d\d\.\d{3} s\): wrong login", await redis.get(key))
    await redis.set(key, "probing", px=200_000)
    await gate.start()
    assert await gate.closed_s() == 0


async def test_what_is_no_gate_at_all_is_left_to_its_life(bench: Bench, redis: Redis) -> None:
    gate, key = bench.gate("fake", bench.settings()), keys.gate("fake")
    await redis.rpush(key, "somebody's")
    await redis.pexpire(key, 100_000)
    assert 50 < await gate.closed_s() <= 100
    await gate.pause(200.0, "flood")
    assert await redis.get(key) == b"paused (200 s): flood"


async def test_a_gate_made_by_hand_does_not_stand_for_ever(bench: Bench, redis: Redis) -> None:
    await redis.set(keys.gate("fake"), "somebody's")
    channel = FakeChannel()
    await bench.deliver(channel, bench.settings())
    await bench.emit(fresh_signal())
    await bench.until_settled("fake", 1)


async def test_a_broken_channel_is_told_by_the_others_only(bench: Bench, redis: Redis) -> None:
    broken, other = FakeChannel(name="broken"), FakeChannel(name="other")
    signal = fresh_signal()
    broken.troubles[signal.id, "one"] = WRONG
    settings = bench.settings()
    for channel in (broken, other):
        await bench.deliver(channel, settings)
        await bench.deliver(channel, settings, source=EVENTS)
    await bench.emit(signal)
    await wait_until(lambda: len(other.accepted) == 2)
    broken.troubles.clear()
    await wait_until(lambda: len(other.accepted) == 3, "that it works again")
    assert [what for what, _ in broken.accepted] == [signal.id]
    assert {what.rpartition(":")[0] for what, _ in other.accepted if what != signal.id} == {
        "channel:broken:broken",
        "channel:broken:recovered",
    }


async def test_the_rate_limit_holds_a_recipient_back_and_costs_no_attempts(
    bench: Bench, redis: Redis
) -> None:
    channel, signals = FakeChannel("slow", "fast"), [fresh_signal(n) for n in range(3)]
    channel.limiter.waits["slow"] = 0.05
    await bench.deliver(channel, bench.settings())
    await bench.emit(*signals)
    await wait_until(lambda: len(channel.accepted) == 3)
    assert {who for _, who in channel.accepted} == {"fast"}
    await wait_until(lambda: channel.limiter.asked > 15, "several tries of the slow one")
    assert all(row["times_delivered"] <= 1 for row in await bench.pending("fake"))
    channel.limiter.waits.clear()
    await bench.until_settled("fake", 6)
    assert len(channel.accepted) == 6


async def test_an_answer_that_means_an_outage_is_sat_out(
    bench: Bench, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that loads its data answers each command of a pipeline with an error."""
    execute, failures = Pipeline.execute, [2]

    async def loading(self: Pipeline, raise_on_error: bool = True) -> list[Any]:
        if not raise_on_error and failures[0]:
            failures[0] -= 1
            return [BusyLoadingError("Redis is loading the dataset in memory")] * len(self)
        return await execute(self, raise_on_error)

    monkeypatch.setattr(Pipeline, "execute", loading)
    assert await bench.gate("fake", bench.settings()).enter()
    assert failures == [0]


async def test_spoilt_troubles_keep_nothing_from_being_sent(bench: Bench, redis: Redis) -> None:
    await redis.set(keys.TROUBLES, "yes please")
    channel = FakeChannel()
    await bench.deliver(channel, bench.settings())
    await bench.emit(fresh_signal())
    await bench.until_settled("fake", 1)
