"""Events are told once per edge, whoever sees it, and read as they were told."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.events import Event, EventsWriter, Trouble, read_event, read_trouble
from shared.malformed import Malformed
from shared.redis_access import RedisAccess
from shared.settings import Streams

BLIND = Trouble("blind", 1_762_094_100_000)


@pytest.fixture
async def pair(each_redis: Redis, each_redis_url: str) -> AsyncIterator[list[EventsWriter]]:
    """Two processes that see the same."""
    accesses = [RedisAccess(each_redis_url, name=name) for name in ("one", "two")]
    yield [EventsWriter(a, "ingest", f"{n}", Streams()) for n, a in enumerate(accesses)]
    for access in accesses:
        await access.close()


async def told(redis: Redis) -> list[Event]:
    return [read_event(*entry) for entry in await redis.xrange(keys.EVENTS)]


async def test_of_two_that_see_an_edge_one_tells_it(
    pair: list[EventsWriter], each_redis: Redis
) -> None:
    one, two = pair
    assert await one.begin("feed:BTCUSDT", BLIND, "feed BLIND", details={"timeframe": "1m"})
    assert not await one.begin("feed:BTCUSDT", BLIND, "feed BLIND")
    assert not await two.begin("feed:BTCUSDT", Trouble("blind", 5), "feed BLIND")
    assert await two.trouble("feed:BTCUSDT") == BLIND
    assert not await two.end("feed:BTCUSDT", Trouble("blind", 5), "recovered", "feed RECOVERED")
    assert await two.end("feed:BTCUSDT", BLIND, "recovered", "feed RECOVERED")
    assert not await one.end("feed:BTCUSDT", BLIND, "recovered", "feed RECOVERED")
    assert await one.trouble("feed:BTCUSDT") is None
    began, ended = await told(each_redis)
    assert (began.sentence, began.instance, began.alert) == ("feed BLIND", "0", True)
    assert began.id == "feed:BTCUSDT:blind:1762094100000"
    assert began.details == {"timeframe": "1m"}
    assert (began.ends, ended.ends) == (False, True)
    assert (ended.state, ended.instance, ended.since_ms) == ("recovered", "1", BLIND.since_ms)


async def test_a_trouble_that_comes_again_is_told_again(
    pair: list[EventsWriter], each_redis: Redis
) -> None:
    for _ in range(2):
        assert await pair[0].begin("service:detector", Trouble("down", 7), "down")
        assert await pair[0].end("service:detector", Trouble("down", 7), "up", "up")
    assert [event.state for event in await told(each_redis)] == ["down", "up"] * 2


async def test_what_has_no_end_is_told_once_in_a_while(
    pair: list[EventsWriter], each_redis: Redis
) -> None:
    assert await pair[0].once("redis", "lost", "Redis has lost data", quiet_s=60)
    assert not await pair[1].once("redis", "lost", "Redis has lost data", quiet_s=60)
    assert await pair[1].once("redis", "full", "Redis is full", quiet_s=60, alert=False)
    await each_redis.delete(keys.told("redis", "lost"))  # as its TTL would
    assert await pair[1].once("redis", "lost", "Redis has lost data", quiet_s=60)
    assert [(e.state, e.alert) for e in await told(each_redis)] == [
        ("lost", True), ("full", False), ("lost", True),
    ]  # fmt: skip
    assert await each_redis.pttl(keys.told("redis", "lost")) > 0


async def test_a_loss_that_many_notice_is_told_once(
    pair: list[EventsWriter], each_redis: Redis
) -> None:
    await pair[0].lost("the 1m candles after 2025-11-02 14:35:00 UTC")
    await pair[1].lost("the group email of the signals stream")
    [event] = await told(each_redis)
    assert (event.subject, event.state, event.alert, event.ends) == ("redis", "lost", True, False)
    assert event.sentence == (
        "Redis has lost data: the 1m candles after 2025-11-02 14:35:00 UTC; it is being restored"
    )


async def test_a_spoilt_trouble_does_not_stand(pair: list[EventsWriter], each_redis: Redis) -> None:
    await each_redis.hset(keys.TROUBLES, "feed:BTCUSDT", "yes please")
    assert await pair[0].trouble("feed:BTCUSDT") is None
    assert await pair[0].begin("feed:BTCUSDT", BLIND, "feed BLIND")
    assert await pair[0].trouble("feed:BTCUSDT") == BLIND


async def test_a_trouble_is_over_once_another_or_none_stands(
    pair: list[EventsWriter], each_redis: Redis
) -> None:
    assert await pair[0].is_over("feed:BTCUSDT", BLIND)
    await pair[0].begin("feed:BTCUSDT", BLIND, "feed BLIND")
    assert not await pair[1].is_over("feed:BTCUSDT", BLIND)
    assert await pair[1].is_over("feed:BTCUSDT", Trouble("blind", BLIND.since_ms - 1))
    await pair[1].end("feed:BTCUSDT", BLIND, "recovered", "feed RECOVERED")
    assert await pair[0].is_over("feed:BTCUSDT", BLIND)


async def test_of_spoilt_troubles_nobody_says_that_they_are_over(
    pair: list[EventsWriter], each_redis: Redis
) -> None:
    await each_redis.hset(keys.TROUBLES, "feed:BTCUSDT", "yes please")
    assert not await pair[0].is_over("feed:BTCUSDT", BLIND)
    await each_redis.set(keys.TROUBLES, "yes please")
    assert not await pair[0].is_over("feed:BTCUSDT", BLIND)


def test_an_edited_entry_is_malformed_and_an_edited_trouble_none() -> None:
    event = Event("s", "redis", "lost", "ingest", "1", 5, True, 5, {"n": "1"})
    flat = [text.encode() for text in event.fields()]
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    assert read_event(b"1-0", fields) == event
    for name in (b"event", b"at", b"alert"):
        with pytest.raises(Malformed):
            read_event(b"1-0", {key: text for key, text in fields.items() if key != name})
    spoilt = {
        b"at": [b"noon", b"9" * 19], b"since": [b"9" * 30], b"state": [b"two words", b"a\r\nb"]
    }  # fmt: skip
    for name, texts in spoilt.items():
        for text in texts:
            with pytest.raises(Malformed):
                read_event(b"1-0", fields | {name: text})
    for text in (None, b"", b"blind", b"blind x", b"\xff 1", "blind -1"):
        assert read_trouble(text) is None
    assert read_trouble(b"blind 12") == Trouble("blind", 12)


async def test_what_is_told_fits_a_message_whatever_it_quotes(
    pair: list[EventsWriter], each_redis: Redis
) -> None:
    assert await pair[0].once("signals", "malformed", "a\nb\x1b" + "x" * 9999, quiet_s=60)
    (event,) = await told(each_redis)
    assert event.sentence.startswith("a b x")
    assert event.sentence.endswith("x…")
    assert len(event.sentence) == 1000
