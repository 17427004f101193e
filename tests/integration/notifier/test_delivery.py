"""From the stream to the peer: nothing lost, nothing repeated, nobody waiting for somebody else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from services.notifier import delivery, hold
from services.notifier.channels import TryAgain
from services.notifier.channels.email_channel import EmailChannel
from services.notifier.decisions import Pending
from services.notifier.delivery import Delivery
from services.notifier.inbox import Inbox
from services.notifier.limiter import Unlimited
from services.notifier.sources import SIGNALS
from shared import keys
from sim.mailbox import Mailbox
from tests.waiting import wait_until

from .conftest import PASSWORD, WORDING, Bench, fresh_signal, now_ms, smtp
from .fake_channel import FakeChannel


@pytest.fixture(scope="session")
def redis_url(each_redis_url: str) -> str:
    """Every test here runs on each kind of server: their errors differ in wording."""
    return each_redis_url


async def total(redis: Redis, channel: str, field: str) -> int:
    return int(await redis.hget(keys.deliveries(channel), field) or 0)


async def test_signals_are_delivered_in_order_recorded_and_acknowledged(
    bench: Bench, redis: Redis
) -> None:
    channel, settings = FakeChannel("one", "two"), bench.settings()
    signals = [fresh_signal(number) for number in range(25)]
    await bench.emit(*signals)
    heartbeat = await bench.deliver(channel, settings)
    await bench.until_settled("fake", 50)
    assert [id_ for id_, who in channel.accepted if who == "one"] == [one.id for one in signals]
    assert sorted(channel.accepted) == sorted(
        (one.id, who) for one in signals for who in ("one", "two")
    )
    ledger = keys.delivered("fake", signals[0].id, channel.recipients[1].tag)
    recorded_ms, message_id = (await redis.get(ledger)).decode().split()
    assert message_id == "number"
    assert abs(now_ms() - int(recorded_ms)) < 60_000
    assert 0 < await redis.pttl(ledger) <= 168 * 3_600_000
    assert await redis.hget(keys.deliveries("fake"), "last_delivered") == signals[-1].id.encode()
    assert heartbeat.counters["delivered_fake"] == 50
    assert heartbeat.facts["fake_last_delivered"] == signals[-1].id
    await wait_until(lambda: heartbeat.facts.get("fake_pending") == "0")
    assert "frame_to_fake_p50_ms" in heartbeat.fields(None)


async def test_each_channel_delivers_for_itself(bench: Bench) -> None:
    good, bad, signal = FakeChannel(name="good"), FakeChannel(name="bad"), fresh_signal()
    bad.open.clear()
    await bench.deliver(bad, bench.settings())
    await bench.deliver(good, bench.settings())
    await bench.emit(signal)
    await wait_until(lambda: bad.asked)
    await bench.until_settled("good", 1)
    assert len(await bench.pending("bad")) == 1


async def test_stale_malformed_and_forgotten_signals_are_acknowledged_and_not_sent(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    channel = FakeChannel()
    await bench.emit(fresh_signal(1, stale=True))
    await bench.emit(fresh_signal(2, received_at_ms=now_ms() - 169 * 3_600_000))
    await redis.xadd(keys.SIGNALS, {"id": "half a signal"})
    await bench.emit(fresh_signal(3))
    await bench.deliver(channel, bench.settings())
    await bench.until_settled("fake", 1)
    assert channel.asked == [(fresh_signal(3).id, "one")]
    [(_, event)] = await redis.xrange(keys.EVENTS)
    assert event[b"event"].endswith(b"; it is not delivered, and never will be")
    assert (event[b"subject"], event[b"state"]) == (b"signals", b"malformed")
    [error] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "never will be" in error.getMessage()


async def test_what_the_ledger_knows_is_not_sent_again(bench: Bench, redis: Redis) -> None:
    channel, known, half, new = FakeChannel("one", "two"), *map(fresh_signal, (1, 2, 3))
    tags = [one.tag for one in channel.recipients]
    for signal, tag in ((known, tags[0]), (known, tags[1]), (half, tags[0])):
        await redis.set(keys.delivered("fake", signal.id, tag), "earlier", px=60_000)
    await bench.emit(known, half, new)
    await bench.deliver(channel, bench.settings())
    await bench.until_settled("fake", 3)
    assert sorted(channel.asked) == [(half.id, "two"), (new.id, "one"), (new.id, "two")]


async def test_after_standing_still_nothing_is_sent_that_another_may_have_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    channel, one = FakeChannel("a", "b", "c", "d", "last"), fresh_signal()
    channel.open.clear()
    await bench.deliver(channel, bench.settings())
    await bench.emit(one)
    await wait_until(lambda: len(channel.asked) == 4, "as many sendings as there may be at once")
    real = hold.now_s
    for module in (hold, delivery):
        monkeypatch.setattr(module, "now_s", lambda: real() + 60)
    channel.open.set()
    await wait_until(lambda: "stood still" in caplog.text, "the last one to be held back")
    await bench.until_settled("fake", 5)  # by a claim of its own
    assert sorted(channel.accepted) == [(one.id, to) for to in ("a", "b", "c", "d", "last")]


async def test_what_redis_forgot_is_remembered_and_recorded_again(
    bench: Bench, redis: Redis
) -> None:
    channel, one, other = FakeChannel(), fresh_signal(), fresh_signal(1)
    await bench.deliver(channel, bench.settings())
    await bench.emit(one)
    await bench.until_settled("fake", 1)
    (ledger,) = await redis.keys("delivered:*")
    record = await redis.get(ledger)
    await redis.delete(ledger)
    await bench.emit(one, other)  # the detector found it again
    await bench.until_settled("fake", 2)
    assert channel.accepted == [(one.id, "one"), (other.id, "one")]
    assert await redis.get(ledger) == record
    assert await redis.pttl(ledger) > 0


async def test_a_failed_signal_is_tried_again_and_new_ones_do_not_wait_for_it(
    bench: Bench, redis: Redis
) -> None:
    channel, first, second = FakeChannel(), fresh_signal(1), fresh_signal(2)
    channel.troubles[first.id, "one"] = TryAgain("busy", "busy")
    await bench.deliver(channel, bench.settings())
    await bench.emit(first, second)
    await wait_until(lambda: channel.asked.count((first.id, "one")) >= 3)
    assert channel.accepted == [(second.id, "one")]
    [row] = await bench.pending("fake")
    assert row["times_delivered"] >= 3
    channel.troubles.clear()
    await bench.until_settled("fake", 2)
    assert channel.accepted == [(second.id, "one"), (first.id, "one")]
    assert await total(redis, "fake", "failed_attempts") >= 3


async def test_a_retry_goes_only_to_those_who_still_miss_it(bench: Bench) -> None:
    channel, signal = FakeChannel("one", "two", "three"), fresh_signal()
    channel.troubles[signal.id, "two"] = TryAgain("busy", "busy")
    await bench.deliver(channel, bench.settings())
    await bench.emit(signal)
    await wait_until(lambda: channel.asked.count((signal.id, "two")) >= 2)
    assert len(await bench.pending("fake")) == 1
    channel.troubles.clear()
    await bench.until_settled("fake", 3)
    assert channel.asked.count((signal.id, "one")) == 1
    assert channel.asked.count((signal.id, "three")) == 1


async def test_a_hanging_retry_does_not_hold_back_new_signals(bench: Bench) -> None:
    channel, old = FakeChannel(), fresh_signal(1)
    channel.troubles[old.id, "one"] = TryAgain("busy", "busy")
    await bench.deliver(channel, bench.settings())
    await bench.emit(old)
    await wait_until(lambda: channel.asked)
    channel.open.clear()
    await wait_until(lambda: len(channel.asked) == 2)
    channel.send = FakeChannel.send.__get__(other := FakeChannel())  # type: ignore[method-assign]
    await bench.emit(fresh_signal(2))
    await wait_until(lambda: other.accepted == [(fresh_signal(2).id, "one")])
    channel.open.set()


async def test_an_error_nobody_expected_loses_nothing_and_quotes_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    channel, signal = FakeChannel(), fresh_signal()
    channel.troubles[signal.id, "one"] = KeyError("S3CRET")
    await bench.deliver(channel, bench.settings())
    await bench.emit(signal)
    await wait_until(lambda: len(channel.asked) >= 2)
    channel.troubles.clear()
    await bench.until_settled("fake", 1)
    assert "KeyError at" in caplog.text
    assert "S3CRET" not in caplog.text


async def test_entries_of_a_dead_consumer_are_taken_over(bench: Bench, redis: Redis) -> None:
    channel, signals = FakeChannel(), [fresh_signal(number) for number in range(3)]
    await bench.emit(*signals)
    await redis.xgroup_create(keys.SIGNALS, "fake", id="0")
    await redis.xreadgroup("fake", "ghost", {keys.SIGNALS: ">"})
    [first, second, third] = [row["message_id"] for row in await bench.pending("fake")]
    await redis.xclaim(keys.SIGNALS, "fake", "ghost", 0, [first, second], idle=3_600_000)
    heartbeat = await bench.deliver(channel, bench.settings())
    await wait_until(lambda: len(channel.accepted) == 2)
    await wait_until(lambda: heartbeat.facts.get("fake_pending") == "1")
    assert channel.accepted == [(signals[1].id, "one"), (signals[0].id, "one")]
    [alive] = await bench.pending("fake")
    assert (alive["message_id"], alive["consumer"]) == (third, b"ghost")


async def test_own_entries_of_a_previous_life_are_delivered_at_once(
    bench: Bench, redis: Redis
) -> None:
    channel, signal = FakeChannel(), fresh_signal()
    await bench.emit(signal)
    await redis.xgroup_create(keys.SIGNALS, "fake", id="0")
    await redis.xreadgroup("fake", "here-1", {keys.SIGNALS: ">"})
    settings = bench.settings(notifier={"retry_base_seconds": 100.0, "retry_max_seconds": 300.0})
    await bench.deliver(channel, settings)
    await bench.until_settled("fake", 1)


async def test_two_notifiers_share_the_work_without_repeats(bench: Bench) -> None:
    first, second = FakeChannel(), FakeChannel()
    signals = [fresh_signal(number) for number in range(200)]
    for channel, consumer in ((first, "here-1"), (second, "here-2")):
        for signal in signals[::3]:
            channel.troubles[signal.id, "one"] = TryAgain("busy", "busy")
        await bench.deliver(channel, bench.settings(), consumer)
    await bench.emit(*signals)
    await wait_until(lambda: len(first.accepted) + len(second.accepted) >= 133)
    first.troubles.clear()
    second.troubles.clear()
    await bench.until_settled("fake", 200)
    assert sorted(first.accepted + second.accepted) == sorted((one.id, "one") for one in signals)
    assert first.accepted
    assert second.accepted


async def test_a_deleted_group_or_stream_is_made_anew(bench: Bench, redis: Redis) -> None:
    channel = FakeChannel()
    await bench.deliver(channel, bench.settings())
    await bench.emit(fresh_signal(1))
    await bench.until_settled("fake", 1)
    await redis.xgroup_destroy(keys.SIGNALS, "fake")
    await bench.emit(fresh_signal(2))
    await bench.until_settled("fake", 2)
    await redis.flushall()
    await bench.emit(fresh_signal(3))
    await bench.until_settled("fake", 1)
    assert channel.accepted == [(fresh_signal(number).id, "one") for number in (1, 2, 3)]


async def test_trimmed_entries_are_given_up_and_told(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    channel, gone, kept = FakeChannel(), [fresh_signal(1), fresh_signal(2)], fresh_signal(3)
    for signal in gone:
        channel.troubles[signal.id, "one"] = TryAgain("busy", "busy")
    await bench.deliver(channel, bench.settings())
    entries = await bench.emit(*gone)
    await wait_until(lambda: len({what for what, _ in channel.asked}) == 2)
    assert await redis.xtrim(keys.SIGNALS, maxlen=0, approximate=False) == 2
    await bench.emit(kept)
    await bench.until_settled("fake", 1)
    assert channel.accepted == [(kept.id, "one")]

    def errors() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]

    await wait_until(lambda: len(errors()) == 2, "a line for each")
    for entry_id in entries:
        [line] = [each for each in errors() if entry_id.decode() in each]
        assert line.startswith(f"fake had not delivered the signal {entry_id.decode()}")
        assert "streams.signals_maxlen" in line
    await wait_until(lambda: redis.xlen(keys.EVENTS), "the event")
    [(_, event)] = await redis.xrange(keys.EVENTS)
    assert (event[b"subject"], event[b"state"]) == (b"signals", b"trimmed")
    assert (event[b"event"].decode() in errors(), event[b"alert"]) == (True, b"1")


async def test_what_another_notifier_took_is_not_told_as_trimmed(
    bench: Bench, redis: Redis
) -> None:
    entry_id = await bench.taken("fake")
    postman = bench.postman(bench.settings())
    bench.stack.push_async_callback(postman.access.close)
    inbox = Inbox(
        postman.access, SIGNALS, "fake", "here-1",
        ledger_ttl_ms=1000, dead_maxlen=10, events=postman.events,
    )  # fmt: skip
    assert await inbox.claim(Pending(entry_id, "me", 3_600_000, 1)) is None
    await redis.xdel(keys.SIGNALS, entry_id)
    assert await inbox.claim(Pending(entry_id, "me", 3_600_000, 1)) == (entry_id, {})


async def test_settling_twice_counts_once(bench: Bench, redis: Redis) -> None:
    settle, entry_id = bench.script("settle"), await bench.taken("fake")
    written = [
        keys.SIGNALS,
        keys.deliveries("fake"),
        "delivered:{signals}:a",
        "delivered:{signals}:b",
    ]
    arguments: list[Any] = ["fake", entry_id, 60_000, "text", "id", 1, 2]
    swapped = [*written[:2], written[3], written[2]]
    assert await settle(keys=written, args=arguments) == [b"recorded", 0]
    assert await settle(keys=written, args=arguments) == [b"known", 0]
    assert len(await bench.pending("fake")) == 1
    assert await settle(keys=swapped, args=arguments) == [b"recorded", 1]
    assert await settle(keys=swapped, args=arguments) == [b"known", 1]
    assert await bench.pending("fake") == []
    assert await total(redis, "fake", "delivered") == 2


async def test_a_mail_server_that_fails_and_recovers(bench: Bench, tmp_path: Path) -> None:
    async with Mailbox(tmp_path / "tls", password=PASSWORD) as box:
        settings = bench.settings(smtp=smtp(box))
        assert settings.smtp is not None
        box.answers.add("451 4.3.0 try later", 3)
        await bench.deliver(EmailChannel(settings.smtp, WORDING), settings)
        signals = [fresh_signal(number) for number in range(5)]
        await bench.emit(*signals)
        await bench.until_settled("email", 5)
        assert sorted(mail.signal_id for mail in box.mails) == sorted(one.id for one in signals)


async def test_a_send_that_ends_soon_after_a_cancellation_is_recorded(
    bench: Bench, redis: Redis
) -> None:
    channel, settings = FakeChannel(), bench.settings()
    postman = bench.postman(settings)
    task = asyncio.create_task(
        Delivery(postman, channel, SIGNALS, postman.gate("fake"), Unlimited()).run()
    )
    channel.open.clear()
    await bench.emit(fresh_signal())
    await wait_until(lambda: channel.asked)
    task.cancel()
    await wait_until(task.cancelling)
    channel.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await postman.access.close()
    assert await total(redis, "fake", "delivered") == 1
    assert await bench.pending("fake") == []
