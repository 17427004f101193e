"""Whose an entry is while Redis is away, and while the clock of its machine is set."""

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cli.embedded_redis import RedisServer, running_redis
from services.notifier import delivery
from services.notifier.channels import TryAgain
from services.notifier.decisions import Pending
from services.notifier.inbox import Inbox
from shared import keys
from tests.waiting import wait_until

from .conftest import Bench, fresh_signal
from .fake_channel import FakeChannel

# More than claim_idle_seconds.
LONG_MS = 120_000


@dataclass
class Looks:
    """What all deliveries of this process see of Redis's clock, and how often they looked."""

    count: int = 0
    set_forward_s: float = 0.0

    async def some_more(self) -> None:
        """Until everybody has looked since now."""
        count = self.count
        await wait_until(lambda: self.count >= count + 6, "more looks at what is pending")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    seen, ask = Looks(), Inbox.server_clock

    async def server_clock(inbox: Inbox) -> tuple[float, float, float]:
        asked_s, server_s, answered_s = await ask(inbox)
        seen.count += 1
        return asked_s, server_s + seen.set_forward_s, answered_s

    monkeypatch.setattr(Inbox, "server_clock", server_clock)
    return seen


@dataclass
class Mortal:
    """A bench whose Redis may be restarted."""

    bench: Bench
    server: RedisServer

    async def restart(self) -> None:
        await self.server.restart(signal.SIGTERM, fsync="always")


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[Mortal]:
    async with running_redis("", tmp_path / "r") as server:
        client: Redis = Redis.from_url(server.url, protocol=2)
        bench = Bench(client, server.url, tmp_path)
        yield Mortal(bench, server)
        await bench.close()
        await client.aclose()


async def make_idle(redis: Redis, entry_id: bytes, consumer: str = "here-1") -> None:
    """Let an entry look as if its consumer had been dead for long."""
    await redis.xclaim(
        keys.SIGNALS, "fake", consumer, 0, [entry_id], idle=LONG_MS, retrycount=1, justid=True
    )


async def being_sent(bench: Bench) -> tuple[FakeChannel, FakeChannel, bytes]:
    """The channels of two notifiers, the first of which sends an entry that it does not end."""
    first, second = FakeChannel(), FakeChannel()
    first.open.clear()
    await bench.deliver(first, bench.settings(), "here-1")
    [entry_id] = await bench.emit(fresh_signal())
    await wait_until(lambda: first.asked)
    await bench.deliver(second, bench.settings(), "here-2")
    return first, second, entry_id


async def test_an_outage_of_redis_makes_no_live_notifier_look_dead(
    mortal: Mortal, looks: Looks
) -> None:
    bench = mortal.bench
    first, second, entry_id = await being_sent(bench)
    await looks.some_more()
    await mortal.restart()
    await make_idle(bench.redis, entry_id)  # as long as the outage might have been
    await looks.some_more()
    first.open.set()
    await bench.until_settled("fake", 1)
    assert len(first.accepted) == 1
    assert second.asked == []


async def test_some_seconds_after_an_outage_what_the_dead_held_is_taken(
    mortal: Mortal, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "CALM_S", 0.5)
    bench, channel = mortal.bench, FakeChannel()
    entry_id = await bench.taken("fake")
    await bench.deliver(channel, bench.settings(), "here-2")
    await looks.some_more()
    assert channel.asked == []
    await mortal.restart()
    await make_idle(bench.redis, entry_id, "me")
    await bench.until_settled("fake", 1)
    assert len(channel.accepted) == 1


async def test_what_the_dead_held_is_taken_at_once_when_a_notifier_starts(
    bench: Bench, redis: Redis, looks: Looks
) -> None:
    channel, entry_id = FakeChannel(), await bench.taken("fake")
    await make_idle(redis, entry_id, "me")
    await bench.deliver(channel, bench.settings(), "here-2")
    await wait_until(lambda: channel.accepted)
    assert looks.count == 1


async def test_a_clock_of_redis_set_back_makes_what_failed_wait_no_longer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Inbox.pending

    async def pending(inbox: Inbox) -> list[Pending]:
        return [replace(entry, idle_ms=0) for entry in await look(inbox)]  # as Redis says it

    channel, one = FakeChannel(), fresh_signal()
    channel.troubles[one.id, "one"] = TryAgain("busy", "busy")
    await bench.deliver(channel, bench.settings())
    await bench.emit(one)
    await wait_until(lambda: channel.asked)
    monkeypatch.setattr(Inbox, "pending", pending)
    await wait_until(lambda: len(channel.asked) > 5)
    channel.troubles.clear()
    await bench.until_settled("fake", 1)


async def test_a_clock_of_redis_set_forward_makes_no_live_notifier_look_dead(
    bench: Bench, redis: Redis, looks: Looks
) -> None:
    first, second, entry_id = await being_sent(bench)
    await looks.some_more()
    looks.set_forward_s = LONG_MS / 1000
    await make_idle(redis, entry_id)
    await looks.some_more()
    first.open.set()
    await bench.until_settled("fake", 1)
    assert len(first.accepted) == 1
    assert second.asked == []
