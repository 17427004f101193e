"""What a person does to the notifier's keys with redis-cli: nothing is lost, nothing repeated."""

import logging

import pytest
from redis.asyncio import Redis

from shared import keys
from tests.waiting import wait_until

from .conftest import Bench, fresh_signal
from .test_delivery import FakeChannel, total

TOTALS = keys.deliveries("fake")


async def spoil(redis: Redis, key: str) -> None:
    async with redis.pipeline(transaction=True) as pipe:
        pipe.delete(key)
        pipe.rpush(key, "garbage")
        await pipe.execute()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]


async def test_a_key_in_place_of_the_signals_is_waited_for(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    channel = FakeChannel()
    await bench.deliver(channel, bench.settings())
    await bench.emit(fresh_signal(1))
    await bench.until_settled("fake", 1)
    await spoil(redis, keys.SIGNALS)
    told = "holds a list, not a stream, as signals: delete it (DEL signals)"
    await wait_until(lambda: told in caplog.text, told)
    await redis.delete(keys.SIGNALS)
    await bench.emit(fresh_signal(1), fresh_signal(2))  # the detector found it again
    await bench.until_settled("fake", 2)
    assert channel.accepted == [(fresh_signal(n).id, "one") for n in (1, 2)]
    assert len([one for one in errors(caplog) if told in one]) == 1


async def test_a_key_in_place_of_the_signals_at_the_start(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await spoil(redis, keys.SIGNALS)
    channel = FakeChannel()
    await bench.deliver(channel, bench.settings())
    await wait_until(lambda: "(DEL signals)" in caplog.text)
    await redis.delete(keys.SIGNALS)
    await bench.emit(fresh_signal(1))
    await bench.until_settled("fake", 1)
    assert channel.accepted == [(fresh_signal(1).id, "one")]


@pytest.mark.parametrize("edit", ["another type", "no number"])
async def test_totals_that_are_none_begin_anew(bench: Bench, redis: Redis, edit: str) -> None:
    channel = FakeChannel()
    if edit == "another type":
        await spoil(redis, TOTALS)
    else:
        await redis.hset(TOTALS, "delivered", "many")
    await bench.emit(fresh_signal(1), fresh_signal(2))
    await bench.deliver(channel, bench.settings())
    await wait_until(lambda: len(channel.accepted) == 2)
    await bench.until_settled("fake", 2)
    assert len(channel.accepted) == await total(redis, "fake", "delivered") == 2


async def test_failures_are_tried_again_though_they_cannot_be_counted(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    channel, one = FakeChannel(), fresh_signal(1)
    channel.troubles[(one.id, "one")] = ValueError("down")
    await spoil(redis, TOTALS)
    await bench.emit(one)
    await bench.deliver(channel, bench.settings())
    await wait_until(lambda: len(channel.asked) >= 2, "two attempts")
    channel.troubles.clear()
    await wait_until(lambda: channel.accepted == [(one.id, "one")])
    await bench.until_settled("fake", 1)
    assert len([text for text in errors(caplog) if "going on without it" in text]) == 1


async def test_a_ledger_entry_of_any_type_says_that_it_was_delivered(
    bench: Bench, redis: Redis
) -> None:
    channel, known = FakeChannel(), fresh_signal(1)
    await spoil(redis, keys.delivered("fake", known.id, channel.recipients[0].tag))
    await bench.emit(known, fresh_signal(2))
    await bench.deliver(channel, bench.settings())
    await bench.until_settled("fake", 1)
    assert channel.accepted == [(fresh_signal(2).id, "one")]


async def test_what_cannot_be_told_to_the_events_is_skipped_all_the_same(
    bench: Bench, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await spoil(redis, keys.EVENTS)
    for _ in range(2):
        await redis.xadd(keys.SIGNALS, {"signal": "LONG, honestly"})
    await bench.emit(fresh_signal(1))
    channel = FakeChannel()
    await bench.deliver(channel, bench.settings())
    await bench.until_settled("fake", 1)
    assert channel.accepted == [(fresh_signal(1).id, "one")]
    told = [one for one in errors(caplog) if f"not a stream, as {keys.EVENTS}" in one]
    assert len(told) == 1
