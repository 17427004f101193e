"""Muted signals are recorded, acknowledged, and told once, in this process and in real ones."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from services.notifier.mute import DigestTeller
from services.notifier.sources import EVENTS, SIGNALS
from shared import keys
from shared.event import Event, Trouble
from shared.events import read_event
from shared.redis_access import RedisAccess
from shared.settings import Settings
from sim.mailbox import Mailbox
from tests.waiting import wait_until

from .conftest import Bench, fresh_signal, now_ms, smtp
from .test_events import FakeChannel

pytestmark = pytest.mark.timeout(120)


async def mute(redis: Redis, seconds: float = 600.0) -> None:
    since_ms = now_ms()
    until_ms = since_ms + round(seconds * 1000)
    await redis.set(keys.MUTE, f"{since_ms} {until_ms} until …", px=round(seconds * 1000))


async def told(redis: Redis) -> list[Event]:
    events = [read_event(*entry) for entry in await redis.xrange(keys.EVENTS)]
    return [event for event in events if event.subject == "mute"]


def round_the_clock() -> dict[str, object]:
    """Quiet hours that now is in, and some hours more."""
    now = datetime.now(UTC)
    begin, end = (now - timedelta(hours=1)).strftime("%H:%M"), (now + timedelta(hours=2))
    return {"quiet_hours": [f"{begin}-{end:%H:%M}"]}


@pytest.fixture
async def tellers(bench: Bench) -> AsyncIterator[list[DigestTeller]]:
    """Those of two notifiers."""
    accesses = [RedisAccess(bench.redis_url, name=name) for name in ("one", "two")]
    yield [DigestTeller(access, Settings(), "1") for access in accesses]
    for access in accesses:
        await access.close()


async def until_muted(bench: Bench, count: int, *groups: str) -> None:
    """Until so many signals wait for the digest, and nothing is pending."""

    async def all_done() -> bool:
        held = await bench.redis.hlen(keys.QUIET)
        rows: Any = await bench.redis.xinfo_groups(keys.SIGNALS)
        known = {row["name"].decode(): row for row in rows}
        last = (await bench.redis.xrevrange(keys.SIGNALS, count=1))[0][0]
        return held == count + 1 and all(
            known[group]["pending"] == 0 and known[group]["last-delivered-id"] == last
            for group in groups
        )

    await wait_until(all_done, f"{count} muted signals")


async def test_a_muted_signal_is_acknowledged_by_each_channel_and_told_once(
    bench: Bench, redis: Redis, tellers: list[DigestTeller]
) -> None:
    one, two = FakeChannel("a", "b"), FakeChannel("c")
    two.name = "other"
    for channel in (one, two):
        for source in (SIGNALS, EVENTS):
            await bench.deliver(channel, bench.settings(), source=source)
    await mute(redis)
    signals = [fresh_signal(number) for number in range(3)]
    await bench.emit(*signals)
    await until_muted(bench, 3, "fake", "other")
    assert not await tellers[0].look()
    assert (one.accepted, two.accepted) == ([], [])
    await redis.delete(keys.MUTE)
    assert [await teller.look() for teller in tellers] == [True, False]
    (event,) = await told(redis)
    assert event.sentence.endswith(": 3 signals")
    assert len(event.details) == 3
    await bench.until_settled("fake", 2, source=EVENTS)
    await bench.until_settled("other", 1, source=EVENTS)
    assert sorted(one.accepted + two.accepted) == [(event.id, who) for who in "abc"]
    assert await redis.exists(keys.QUIET) == 0


async def test_events_about_the_scanner_still_come_while_signals_are_muted(
    bench: Bench, redis: Redis
) -> None:
    channel = FakeChannel()
    for source in (SIGNALS, EVENTS):
        await bench.deliver(channel, bench.settings(), source=source)
    await mute(redis)
    await bench.emit(fresh_signal())
    trouble = Trouble("blind", now_ms())
    await bench.events().begin("feed:BTCUSDT", trouble, "feed BLIND")
    await bench.until_settled("fake", 1, source=EVENTS)
    await until_muted(bench, 1, "fake")
    assert [id_ for id_, _ in channel.accepted] == [f"feed:BTCUSDT:blind:{trouble.since_ms}"]


async def test_quiet_hours_mute_too_and_a_test_alert_is_never_muted(
    bench: Bench, redis: Redis
) -> None:
    channel = FakeChannel()
    notifier = {"retry_base_seconds": 0.05, "retry_max_seconds": 0.2, **round_the_clock()}
    await bench.deliver(channel, bench.settings(notifier=notifier))
    muted, test = fresh_signal(1), fresh_signal(2, test=True, only="fake")
    await bench.emit(muted, test, fresh_signal(3, test=True, only="email"))
    await bench.until_settled("fake", 1)
    await until_muted(bench, 1, "fake")
    assert channel.accepted == [(test.id, "one")]
    since_ms = int(await redis.hget(keys.QUIET, "from") or 0)
    assert 3_500_000 < now_ms() - since_ms < 3_700_000


async def test_what_was_muted_stays_muted_for_a_channel_that_comes_later(
    bench: Bench, redis: Redis, tellers: list[DigestTeller]
) -> None:
    first, late = FakeChannel(), FakeChannel()
    late.name = "late"
    await bench.deliver(first, bench.settings())
    await mute(redis)
    await bench.emit(fresh_signal(1))
    await until_muted(bench, 1, "fake")
    await redis.delete(keys.MUTE)
    assert await tellers[0].look()
    await bench.deliver(late, bench.settings())
    await bench.emit(fresh_signal(2))
    await bench.until_settled("late", 1)
    assert [id_ for id_, _ in late.accepted] == [fresh_signal(2).id]
    assert not await tellers[0].look()


async def test_what_is_recorded_after_a_digest_makes_another_with_an_identity_of_its_own(
    bench: Bench, redis: Redis, tellers: list[DigestTeller]
) -> None:
    channel = FakeChannel()
    for source in (SIGNALS, EVENTS):
        await bench.deliver(channel, bench.settings(), source=source)
    for number in (1, 2):
        await mute(redis)
        await bench.emit(fresh_signal(number))
        await until_muted(bench, 1, "fake")
        await redis.delete(keys.MUTE)
        assert await tellers[0].look()
    await bench.until_settled("fake", 2, source=EVENTS)
    assert len({event.id for event in await told(redis)}) == 2


async def test_of_many_who_tell_at_once_one_does(
    bench: Bench, redis: Redis, tellers: list[DigestTeller]
) -> None:
    for _ in range(20):
        await redis.hset(keys.QUIET, mapping={"from": "5", "BTCUSDT:5m:LONG:1": "a line"})
        looks = await asyncio.gather(*(teller.look() for teller in tellers * 5))
        assert sum(looks) == 1
    assert len(await told(redis)) == 20


async def test_a_digest_of_what_has_changed_meanwhile_is_not_told(
    redis: Redis, tellers: list[DigestTeller]
) -> None:
    """Somebody else told it, and other signals were muted: they must not vanish untold."""
    await redis.hset(keys.QUIET, mapping={"from": "5", "a:1": "an old line"})
    script, asked = tellers[0]._script, 0

    async def late(keys: list[str], args: list[Any]) -> Any:
        nonlocal asked
        asked += 1
        await redis.delete("quiet:{signals}")
        await redis.hset("quiet:{signals}", mapping={"from": "7", "b:2": "a new line"})
        return await script(keys, args)

    tellers[0]._script = late  # type: ignore[assignment]
    assert not await tellers[0].look()
    assert (asked, await told(redis)) == (1, [])
    assert await tellers[1].look()
    (event,) = await told(redis)
    assert list(event.details.values()) == ["a new line"]


async def test_a_spoilt_mute_mutes_nothing_and_keeps_no_digest_back(
    bench: Bench, redis: Redis, tellers: list[DigestTeller]
) -> None:
    await redis.lpush(keys.MUTE, "spoilt")
    await redis.hset(keys.QUIET, mapping={"from": "5", "a:1": "a line"})
    await bench.deliver(FakeChannel(), bench.settings())
    await bench.emit(fresh_signal())
    await bench.until_settled("fake", 1)
    assert await tellers[0].look()


async def test_a_spoilt_hash_of_muted_signals_is_begun_anew(bench: Bench, redis: Redis) -> None:
    await redis.lpush(keys.QUIET, "spoilt")
    await mute(redis)
    await bench.deliver(FakeChannel(), bench.settings())
    await bench.emit(fresh_signal())

    async def is_hash() -> bool:
        return await redis.type(keys.QUIET) == b"hash"

    await wait_until(is_hash, "a hash")
    await until_muted(bench, 1, "fake")


async def test_no_more_lines_than_a_thousand_are_kept_and_the_rest_is_counted(
    bench: Bench, redis: Redis, tellers: list[DigestTeller]
) -> None:
    lines = {f"a:{number}": f"line {number}" for number in range(999)}
    await redis.hset(keys.QUIET, mapping={"from": "5", **lines})
    await mute(redis)
    await bench.deliver(FakeChannel(), bench.settings())
    await bench.emit(*(fresh_signal(number) for number in range(3)))
    await wait_until(lambda: redis.hexists(keys.QUIET, "more"), "the count of more")

    async def counted() -> bool:
        return await redis.hget(keys.QUIET, "more") == b"3"

    await wait_until(counted, "three more")
    await redis.delete(keys.MUTE)
    assert await tellers[0].look()
    assert (await told(redis))[0].sentence.endswith(": 1002 signals")


async def test_killed_notifiers_lose_and_repeat_no_digest(
    bench: Bench, redis: Redis, mailbox: Mailbox
) -> None:
    """Two real notifiers, one mailbox; both are killed while signals are muted, and after."""
    retry = {"retry_base_seconds": 0.05, "retry_max_seconds": 0.2, "claim_idle_seconds": 13.0}
    config = bench.config(smtp=smtp(mailbox), notifier=retry)
    await mute(redis)
    signals = [fresh_signal(number) for number in range(5)]
    running = [await bench.start(config, f"{n}") for n in (1, 2)]
    await bench.emit(*signals[:3])
    await wait_until(lambda: redis.exists(keys.QUIET), "a muted signal", 60)
    for process in running:
        await process.kill()
    await bench.emit(*signals[3:])
    running = [await bench.start(config, f"{n}") for n in (1, 2)]
    await until_muted(bench, 5, "email")
    await redis.delete(keys.MUTE)

    async def is_told() -> bool:
        return bool(await told(redis))

    await wait_until(is_told, "the digest", 60)
    await running[0].kill()
    await bench.until_settled("email", 1, 90, source=EVENTS)
    (event,) = await told(redis)
    assert event.sentence.endswith(": 5 signals")
    assert not await bench.pending("email")
    # Killed between the server's acceptance and our record, a notifier repeats the mail itself.
    assert {mail.event_id for mail in mailbox.mails} == {event.id}
    assert all(text in mailbox.mails[0].text for text in event.details.values())
