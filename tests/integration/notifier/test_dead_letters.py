"""What cannot be delivered is written off loudly, with everything one needs to try it again."""

from typing import Any

import pytest
from redis.asyncio import Redis

from services.notifier.channels import Broken, Refused, TryAgain
from services.notifier.channels.email_channel import EmailChannel
from services.notifier.decisions import REVIVED
from services.notifier.sources import EVENTS
from shared import keys
from shared.trade_signal import read_signal
from sim.mailbox import Mailbox
from tests.waiting import wait_until

from .conftest import WORDING, Bench, fresh_signal, now_ms, smtp
from .fake_channel import FakeChannel

HOUR_MS = 3_600_000
NO_USER = Refused("who", "no such user")


@pytest.fixture(scope="session")
def redis_url(each_redis_url: str) -> str:
    """Every test here runs on each kind of server."""
    return each_redis_url


async def letters(redis: Redis, channel: str = "fake") -> list[dict[str, str]]:
    return [
        {name.decode(): text.decode() for name, text in fields.items()}
        for _, fields in await redis.xrange(keys.dead(channel))
    ]


async def test_a_refused_recipient_costs_one_dead_letter_and_the_others_nothing(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    channel, signal = FakeChannel("a", "b", "c"), fresh_signal()
    channel.troubles[signal.id, "b"] = NO_USER
    heartbeat = await bench.deliver(channel, bench.settings())
    [entry_id] = await bench.emit(signal)
    await bench.until_settled("fake", 2)
    assert sorted(channel.accepted) == [(signal.id, "a"), (signal.id, "c")]
    assert channel.asked.count((signal.id, "b")) == 1
    [letter] = await letters(redis)
    tag = channel.recipients[1].tag
    assert letter["dead"] == (
        f"{signal.id} not delivered by fake to {tag} after 1 attempt: no such user"
    )
    assert letter["id"] == signal.id
    assert letter["source"] == "signals"
    assert letter["entry"] == entry_id.decode()
    assert letter["recipient"] == tag
    assert letter["reason"] == "no such user"
    assert letter["attempts"] == "1"
    assert abs(int(letter["at"]) - now_ms()) < 60_000
    alert = {
        name.removeprefix("alert_").encode(): text.encode()
        for name, text in letter.items()
        if name.startswith("alert_")
    }
    assert read_signal(b"1-0", alert) == signal
    assert (
        await redis.get(keys.delivered("fake", signal.id, tag)) == f"{letter['at']} dead".encode()
    )
    assert await redis.hget(keys.deliveries("fake"), "dead") == b"1"
    assert heartbeat.counters["dead_fake"] == 1
    assert "it becomes a dead letter" in caplog.text
    [(_, event)] = await redis.xrange(keys.EVENTS)
    assert (event[b"subject"], event[b"state"]) == (b"channel:fake", b"dead")
    assert b"./btc-scanner dead list fake" in event[b"event"]


async def test_dead_letters_are_told_once_in_a_while(bench: Bench, redis: Redis) -> None:
    channel, signals = FakeChannel(), [fresh_signal(number) for number in range(4)]
    for signal in signals:
        channel.troubles[signal.id, "one"] = NO_USER
    await bench.deliver(channel, bench.settings())
    await bench.emit(*signals)
    await wait_until(lambda: redis.xlen(keys.dead("fake")))

    async def all_dead() -> bool:
        return await redis.xlen(keys.dead("fake")) == 4 and not await bench.pending("fake")

    await wait_until(all_dead)
    assert await redis.xlen(keys.EVENTS) == 1


async def test_a_dead_letter_of_an_event_tells_no_event(bench: Bench, redis: Redis) -> None:
    channel = FakeChannel()
    await bench.events().lost("a test")
    [(_, fields)] = await redis.xrange(keys.EVENTS)
    event = EVENTS.read(b"1-0", fields)
    channel.troubles[event.id, "one"] = NO_USER
    await bench.deliver(channel, bench.settings(), source=EVENTS)
    await wait_until(lambda: redis.xlen(keys.dead("fake")))
    [letter] = await letters(redis)
    assert letter["source"] == keys.EVENTS
    assert await redis.xlen(keys.EVENTS) == 1


async def test_what_is_too_old_is_given_up_with_the_last_reason(
    bench: Bench, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, signal = FakeChannel(), fresh_signal()
    channel.troubles[signal.id, "one"] = TryAgain("busy", "the peer is busy")
    await bench.deliver(channel, bench.settings())
    await bench.emit(signal)
    await wait_until(lambda: len(channel.asked) >= 2)
    monkeypatch.setattr("services.notifier.courier.now_ms", lambda: now_ms() + 25 * HOUR_MS)
    await wait_until(lambda: redis.xlen(keys.dead("fake")))
    [letter] = await letters(redis)
    assert letter["reason"] == "older than 24 h; the last attempt: the peer is busy"
    assert int(letter["attempts"]) == len(channel.asked)
    assert await bench.pending("fake") == []


async def test_what_grows_too_old_while_the_channel_is_broken_is_given_up_too(
    bench: Bench, redis: Redis
) -> None:
    channel, fresh = FakeChannel(), fresh_signal(1)
    old = fresh_signal(2, received_at_ms=now_ms() - 25 * HOUR_MS)
    channel.troubles[fresh.id, "one"] = Broken("login", "wrong login")
    flat = old.fields()
    fields: Any = dict(zip(flat[::2], flat[1::2], strict=True))
    await redis.xadd(keys.SIGNALS, fields, id=f"{now_ms() - 25 * HOUR_MS}-0")
    await redis.xgroup_create(keys.SIGNALS, "fake", id="0")
    await redis.xreadgroup("fake", "here-1", {keys.SIGNALS: ">"})
    await redis.set(keys.gate("fake"), "broken: wrong login", px=300_000)
    await bench.deliver(channel, bench.settings())
    await bench.emit(fresh)
    await wait_until(lambda: redis.xlen(keys.dead("fake")))
    [letter] = await letters(redis)
    assert (letter["id"], letter["attempts"]) == (old.id, "1")
    assert channel.asked == []
    assert len(await bench.pending("fake")) == 1


async def test_a_person_gets_one_more_attempt_however_old_it_is(bench: Bench, redis: Redis) -> None:
    channel, old = FakeChannel(), fresh_signal(received_at_ms=now_ms() - 30 * HOUR_MS)
    channel.troubles[old.id, "one"] = TryAgain("busy", "the peer is busy")
    await bench.deliver(channel, bench.settings())
    [entry_id] = await bench.emit(old)
    await wait_until(lambda: redis.xlen(keys.dead("fake")))
    assert channel.asked == []

    async def revive() -> None:
        await redis.delete(keys.delivered("fake", old.id, channel.recipients[0].tag))
        await redis.xclaim(
            keys.SIGNALS, "fake", REVIVED, 0, [entry_id],
            idle=86_400_000, retrycount=0, force=True, justid=True,
        )  # fmt: skip

    await revive()

    async def dead_again() -> bool:
        return await redis.xlen(keys.dead("fake")) == 2

    await wait_until(dead_again)
    assert len(channel.asked) == 1
    channel.troubles.clear()
    await revive()
    await bench.until_settled("fake", 1)
    assert channel.accepted == [(old.id, "one")]


async def test_burying_twice_writes_one_letter(bench: Bench, redis: Redis) -> None:
    bury, entry_id = bench.script("bury"), await bench.taken("fake")
    written = [
        keys.SIGNALS,
        keys.deliveries("fake"),
        "delivered:{signals}:a",
        keys.dead("fake"),
        "delivered:{signals}:b",
    ]
    arguments: list[Any] = ["fake", entry_id, 60_000, "text", 100, "dead", "a sentence"]
    assert await bury(keys=written, args=arguments) == [b"buried", 0]
    assert await bury(keys=written, args=arguments) == [b"known", 0]
    assert len(await bench.pending("fake")) == 1
    written[2], written[4] = written[4], written[2]
    assert await bury(keys=written, args=arguments) == [b"buried", 1]
    assert await bury(keys=written, args=arguments) == [b"known", 1]
    assert await bench.pending("fake") == []
    assert await redis.hget(keys.deliveries("fake"), "dead") == b"2"
    assert await redis.xlen(keys.dead("fake")) == 2


async def test_a_mailbox_that_does_not_exist_costs_the_others_nothing(
    bench: Bench, redis: Redis, mailbox: Mailbox
) -> None:
    section = smtp(mailbox, to_email=["a@example.org", "b@example.org", "c@example.org"])
    settings = bench.settings(smtp=section)
    assert settings.smtp is not None
    mailbox.refuse(["b@example.org"])
    await bench.deliver(EmailChannel(settings.smtp, WORDING), settings)
    await bench.emit(fresh_signal())
    await bench.until_settled("email", 2)
    assert sorted(mail.recipients[0][0] for mail in mailbox.mails) == ["a", "c"]
    assert len({mail.message_id for mail in mailbox.mails}) == 2
    [letter] = await letters(redis, "email")
    assert "550 5.1.1 no such user" in letter["reason"]
