"""Events reach the same people as signals, with the same guarantees, and nobody waits for them."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from services.notifier.channels import Receipt, Recipient, TryAgain, recipient
from services.notifier.sources import EVENTS, SIGNALS, Alert
from shared import keys
from shared.event import Trouble
from sim.bot_api import BotApi
from sim.mailbox import Mailbox
from tests.waiting import wait_until

from .conftest import Bench, SilentPeer, fresh_signal, now_ms, smtp, telegram

# A process that imports aiogram takes seconds to start, on a busy machine many.
IMPORT_S = 60.0
pytestmark = pytest.mark.timeout(180)


class FakeChannel:
    """Accepts, raises what the test wants, or waits with an alert until it is let go."""

    name = "fake"
    timeout_seconds = 1.0

    def __init__(self, *addresses: str) -> None:
        self.recipients: tuple[Recipient, ...] = tuple(map(recipient, addresses or ("one",)))
        self.accepted: list[tuple[str, str]] = []
        self.troubles: dict[str, Exception] = {}
        self.held: dict[str, asyncio.Event] = {}

    async def send(self, alert: Alert, recipient: Recipient) -> Receipt:
        if alert.id in self.held:
            await self.held[alert.id].wait()
        if alert.id in self.troubles:
            raise self.troubles[alert.id]
        self.accepted.append((alert.id, recipient.address))
        return Receipt("number")

    async def close(self) -> None:
        """Nothing is open."""


async def begin(bench: Bench, since_ms: int = 0) -> str:
    """Tell that the feed is blind; the ID of the event."""
    since_ms = since_ms or now_ms()
    await bench.events().begin("feed:BTCUSDT", Trouble("blind", since_ms), "feed BLIND since …")
    return f"feed:BTCUSDT:blind:{since_ms}"


async def both(bench: Bench, channel: FakeChannel, **sections: object) -> None:
    """Serve a channel with signals and events, as its process does."""
    for source in (SIGNALS, EVENTS):
        await bench.deliver(channel, bench.settings(**sections), source=source)


async def test_an_event_goes_to_everybody_once_and_leaves_the_totals_of_signals_alone(
    bench: Bench, redis: Redis
) -> None:
    channel, signal = FakeChannel("one", "two"), fresh_signal()
    event = await begin(bench)
    await both(bench, channel)
    await bench.emit(signal)
    await bench.until_settled("fake", 2, source=EVENTS)
    await bench.until_settled("fake", 2)
    told = {(id_, who) for id_ in (event, signal.id) for who in ("one", "two")}
    assert (len(channel.accepted), set(channel.accepted)) == (4, told)
    assert await redis.hget("deliveries:{signals}:fake", "last_delivered") == signal.id.encode()
    assert await redis.hget("deliveries:{signals}:fake:events", "last_delivered") == event.encode()
    ledger = keys.delivered("fake", event, channel.recipients[0].tag)
    assert 0 < await redis.pttl(ledger) <= 168 * 3_600_000


async def test_what_is_no_alert_or_too_old_or_spoilt_is_acknowledged_and_not_sent(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    channel, events = FakeChannel(), bench.events()
    await events.once("candle:BTCUSDT", "noted", "for the record", quiet_s=60, alert=False)
    fields: Any = {**(await redis.xrange(keys.EVENTS))[0][1], b"alert": b"1"}
    await redis.xadd(keys.EVENTS, {**fields, b"at": now_ms() - 169 * 3_600_000})
    await redis.xadd(keys.EVENTS, {"event": "half an event"})
    await both(bench, channel)
    await bench.until_settled("fake", 1, source=EVENTS)
    [(sent, _)] = channel.accepted
    assert sent.startswith("events:malformed:")
    assert await redis.xlen(keys.EVENTS) == 4
    [error] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "has no field" in error.getMessage()


async def test_where_nobody_wants_events_they_are_acknowledged_and_never_sent(
    bench: Bench, redis: Redis
) -> None:
    channel = FakeChannel()
    await begin(bench)
    await both(bench, channel, notifier={"events": False})

    async def passed() -> bool:
        groups = await redis.xinfo_groups(keys.EVENTS)
        return bool(groups) and groups[0]["entries-read"] == 1 and not groups[0]["pending"]

    await wait_until(passed)
    assert channel.accepted == []


async def test_neither_waits_for_the_other(bench: Bench) -> None:
    channel, first, second = FakeChannel(), fresh_signal(1), fresh_signal(2)
    event = await begin(bench)
    channel.held[event] = asyncio.Event()
    await both(bench, channel)
    await bench.emit(first)
    await bench.until_settled("fake", 1)
    channel.held[event].set()
    await bench.until_settled("fake", 1, source=EVENTS)
    channel.held[second.id] = asyncio.Event()
    await bench.emit(second)
    await bench.events().lost("something")
    await bench.until_settled("fake", 2, source=EVENTS)
    assert len(channel.accepted) == 3
    channel.held[second.id].set()
    await bench.until_settled("fake", 2)


async def test_an_event_that_failed_is_tried_again_and_one_of_a_dead_notifier_is_taken_over(
    bench: Bench, redis: Redis
) -> None:
    channel = FakeChannel()
    taken = await begin(bench)
    await redis.xgroup_create(keys.EVENTS, "fake", id="0")
    await redis.xreadgroup("fake", "ghost", {keys.EVENTS: ">"})
    [row] = await bench.pending("fake", EVENTS)
    await redis.xclaim(keys.EVENTS, "fake", "ghost", 0, [row["message_id"]], idle=3_600_000)
    channel.troubles[taken] = TryAgain("busy", "busy")
    heartbeat = await bench.deliver(channel, bench.settings(), source=EVENTS)
    await wait_until(lambda: heartbeat.counters["failed_fake_events"] >= 2)
    channel.troubles.clear()
    await bench.until_settled("fake", 1, source=EVENTS)
    assert channel.accepted == [(taken, "one")]


async def test_after_a_loss_the_groups_are_made_anew_and_one_message_tells_it(
    bench: Bench, redis: Redis
) -> None:
    channel = FakeChannel()
    await both(bench, channel)
    event = await begin(bench)
    await bench.until_settled("fake", 1, source=EVENTS)
    await redis.flushall()
    await bench.emit(fresh_signal())
    await bench.until_settled("fake", 1)
    await bench.until_settled("fake", 1, source=EVENTS)
    ids = [id_ for id_, _ in channel.accepted]
    assert ids.count(event) == ids.count(fresh_signal().id) == 1
    assert sum(id_.startswith("redis:lost:") for id_ in ids) == 1
    assert len(ids) == 3


async def test_of_two_notifiers_one_sends_it_by_each_channel_and_a_killed_ones_is_sent_by_the_other(
    bench: Bench, redis: Redis, mailbox: Mailbox, bot_api: BotApi, silent_peer: SilentPeer
) -> None:
    stuck = smtp(mailbox, port=silent_peer.port, timeout_seconds=0.5)
    patience = {"claim_idle_seconds": 1.0, "retry_base_seconds": 0.05, "retry_max_seconds": 0.2}
    tg = telegram(bot_api.url, timeout_seconds=0.9)
    dying = await bench.start(bench.config(smtp=stuck, notifier=patience))
    blind = await begin(bench)
    await wait_until(lambda: silent_peer.connections, "a send in flight")
    await dying.kill()
    [left] = await bench.pending("email", EVENTS)
    config = bench.config(smtp=smtp(mailbox, timeout_seconds=0.9), telegram=tg, notifier=patience)
    for instance in ("2", "3"):
        await bench.start(config, instance)
    await bench.until_settled("email", 1, source=EVENTS)
    await bench.until_settled("telegram", 1, IMPORT_S, source=EVENTS)
    trouble = Trouble("blind", int(blind.rpartition(":")[2]))
    await bench.events().end("feed:BTCUSDT", trouble, "recovered", "feed RECOVERED after 2m 0s")
    await bench.until_settled("email", 2, source=EVENTS)
    await bench.until_settled("telegram", 2, source=EVENTS)
    assert [mail.event_id for mail in mailbox.mails] == [
        blind, f"feed:BTCUSDT:recovered:{trouble.since_ms}",
    ]  # fmt: skip
    assert [mail.subject for mail in mailbox.mails] == [
        "[BTC SCALP] Feed BLIND", "[BTC SCALP] Feed RECOVERED",
    ]  # fmt: skip
    assert [message.text.splitlines()[0] for message in bot_api.messages] == [
        "🟠 feed BLIND since …", "🔵 feed RECOVERED after 2m 0s",
    ]  # fmt: skip
    assert left["consumer"].endswith(b"-1")


async def test_a_dead_telegram_does_not_delay_the_mail_about_an_event(
    bench: Bench, mailbox: Mailbox, silent_peer: SilentPeer
) -> None:
    url = f"http://127.0.0.1:{silent_peer.port}"
    config = bench.config(smtp=smtp(mailbox), telegram=telegram(url, timeout_seconds=30.0))
    process = await bench.start(config)
    await begin(bench)
    await wait_until(lambda: silent_peer.connections, "telegram to be asked", IMPORT_S)
    await bench.events().lost("something")
    await bench.until_settled("email", 2, source=EVENTS)
    assert await bench.pending("telegram", EVENTS)
    code, _ = await process.terminate()
    assert code == 0
