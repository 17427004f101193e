"""After an outage the newest comes first, and nothing new ever waits for what is old."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from services.notifier.channels import Recipient, TryAgain
from services.notifier.inbox import Entry, Inbox
from services.notifier.sources import Alert
from shared import keys
from tests.waiting import wait_until

from .conftest import Bench, fresh_signal, now_ms
from .fake_channel import FakeChannel

MINUTE_MS = 60_000


async def test_a_backlog_is_delivered_the_newest_first(bench: Bench, redis: Redis) -> None:
    channel = FakeChannel()
    received_ms = now_ms() - 10 * MINUTE_MS
    old = [fresh_signal(number, received_at_ms=received_ms + number) for number in range(40)]
    await redis.set(keys.gate("fake"), "paused", px=300_000)
    for signal in old:
        flat = signal.fields()
        fields: Any = dict(zip(flat[::2], flat[1::2], strict=True))
        await redis.xadd(keys.SIGNALS, fields, id=f"{signal.received_at_ms}-0")
    await bench.deliver(channel, bench.settings())

    async def all_read() -> bool:
        rows = await bench.pending("fake")
        return len(rows) == 40 and not any(row["times_delivered"] for row in rows)

    await wait_until(all_read)
    await redis.delete(keys.gate("fake"))
    await wait_until(lambda: channel.accepted)
    fresh = fresh_signal(99)
    await bench.emit(fresh)
    await bench.until_settled("fake", 41)
    order = [what for what, _ in channel.accepted]
    assert [what for what in order if what != fresh.id] == [one.id for one in old[::-1]]
    assert fresh.id in order


async def test_what_waited_for_a_peer_that_was_down_goes_as_soon_as_it_is_back(
    bench: Bench, redis: Redis
) -> None:
    settings = bench.settings(notifier={"retry_base_seconds": 0.05, "retry_max_seconds": 300.0})
    channel, signals = FakeChannel(), [fresh_signal(number) for number in range(4)]
    for signal in signals:
        channel.troubles[signal.id, "one"] = TryAgain("down", "the peer is down")
    await bench.deliver(channel, settings)
    await bench.emit(*signals)

    async def waits_long() -> bool:
        rows = await bench.pending("fake")
        return len(rows) == 4 and all(row["times_delivered"] >= 6 for row in rows)

    await wait_until(waits_long, "each to wait for seconds")
    channel.troubles.clear()
    await bench.emit(fresh_signal(99))  # the first that finds the peer at work
    await wait_until(lambda: len(channel.accepted) == 5, seconds=1.0)
    await bench.until_settled("fake", 5)


async def test_a_hanging_peer_lets_some_new_signals_begin_beside(bench: Bench) -> None:
    channel, signals = FakeChannel(), [fresh_signal(number) for number in range(6)]
    channel.open.clear()
    await bench.deliver(channel, bench.settings())
    await bench.emit(*signals)
    await wait_until(lambda: len(channel.asked) == 4)
    assert [what for what, _ in channel.asked] == [one.id for one in signals[:4]]
    channel.open.set()
    await bench.until_settled("fake", 6)


async def test_what_may_have_ended_its_process_is_not_tried_at_once_by_the_next(
    bench: Bench, redis: Redis
) -> None:
    channel, poison, other = FakeChannel(), fresh_signal(1), fresh_signal(2)
    await bench.emit(poison)
    await redis.xgroup_create(keys.SIGNALS, "fake", id="0")
    await redis.xreadgroup("fake", "here-1", {keys.SIGNALS: ">"})
    [row] = await bench.pending("fake")
    await redis.xclaim(keys.SIGNALS, "fake", "here-1", 0, [row["message_id"]], retrycount=9)
    settings = bench.settings(notifier={"retry_base_seconds": 20.0, "retry_max_seconds": 300.0})
    heartbeat = await bench.deliver(channel, settings)
    await bench.emit(other)
    await wait_until(lambda: channel.accepted == [(other.id, "one")])
    await wait_until(lambda: heartbeat.facts.get("fake_pending") == "1")
    assert channel.asked == [(other.id, "one")]


@pytest.mark.parametrize("attempts", [1, 2])
async def test_that_an_alert_may_be_there_twice_is_said(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture, attempts: int
) -> None:
    caplog.set_level("INFO")
    channel = FakeChannel()
    await bench.emit(fresh_signal())
    await redis.xgroup_create(keys.SIGNALS, "fake", id="0")
    await redis.xreadgroup("fake", "here-1", {keys.SIGNALS: ">"})
    [row] = await bench.pending("fake")
    await redis.xclaim(
        keys.SIGNALS, "fake", "here-1", 0, [row["message_id"]], retrycount=attempts - 1
    )
    await bench.deliver(channel, bench.settings())
    await bench.until_settled("fake", 1)
    said = "an earlier one was cut off, so it may be there twice" in caplog.text
    assert said is (attempts > 1)


async def test_what_is_heard_of_late_is_not_served_twice(
    bench: Bench, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis gave an entry to this process, which finds it pending before it hears of it."""
    read, held = Inbox.read, asyncio.Event()

    async def late(self: Inbox, count: int, block_ms: int) -> list[Entry]:
        entries = await read(self, count, block_ms)
        if entries:
            await held.wait()
        return entries

    monkeypatch.setattr(Inbox, "read", late)
    channel, signal = FakeChannel(), fresh_signal()
    channel.open.clear()
    await bench.deliver(channel, bench.settings())
    await bench.emit(signal)
    await wait_until(lambda: channel.asked, "the other task to find it")
    held.set()
    await bench.emit(fresh_signal(1))
    await wait_until(lambda: len(channel.asked) == 2, "the late one to be passed over")
    channel.open.set()
    await bench.until_settled("fake", 2)
    assert channel.accepted == [(signal.id, "one"), (fresh_signal(1).id, "one")]


async def test_of_two_attempts_at_one_alert_the_second_sees_what_the_first_did(
    bench: Bench, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger was read before the first one's end, and the sending comes after it."""
    missing, held = Inbox.missing, asyncio.Event()
    asked = 0

    async def slow(
        self: Inbox, alert: Alert, recipients: Sequence[Recipient]
    ) -> tuple[Recipient, ...]:
        nonlocal asked
        found, asked = await missing(self, alert, recipients), asked + 1
        if asked == 2:
            await held.wait()
        return found

    monkeypatch.setattr(Inbox, "missing", slow)
    channel, signal = FakeChannel(), fresh_signal()
    channel.open.clear()
    await bench.deliver(channel, bench.settings())
    await bench.emit(signal, signal)  # the detector found it again
    await wait_until(lambda: asked == 2)
    channel.open.set()
    await wait_until(lambda: channel.accepted)
    await wait_until(lambda: redis.hexists(keys.deliveries("fake"), "delivered"), "its record")
    held.set()

    async def done() -> bool:
        return not await bench.pending("fake")

    await wait_until(done)
    assert channel.accepted == [(signal.id, "one")]
