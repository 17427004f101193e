"""CRITICAL lines, and the error that ends a service, become events: once per kind, no loops."""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.indicators import worker as indicators
from shared import alarm as module
from shared import keys
from shared.alarm import Alarm, alarmed, kind_of
from shared.event import Event, read_event
from shared.settings import Redis as RedisSection
from shared.settings import Settings
from tests.integration.shared.bench import (
    SYMBOL,
    access_to,
    computing,
    market,
    publish,
    until_position,
)
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
log = logging.getLogger("services.somewhere")


async def told(redis: Redis) -> list[Event]:
    return [read_event(*entry) for entry in await redis.xrange(keys.EVENTS)]


@pytest.fixture
async def alarm(each_redis: Redis, each_redis_url: str) -> AsyncIterator[Alarm]:
    settings = Settings(redis=RedisSection.model_validate({"url": each_redis_url}))
    async with alarmed("detector", "1", settings) as made:
        yield made


async def until_told(redis: Redis, count: int) -> list[Event]:
    async def enough() -> list[Event]:
        events = await told(redis)
        return events if len(events) >= count else []

    found: list[Event] = await wait_until(enough, f"{count} events")
    return found


@pytest.mark.usefixtures("alarm")
async def test_each_kind_of_critical_line_is_told_once_whatever_it_says(each_redis: Redis) -> None:
    for number in range(5):
        log.critical("the stream ends with %s", number)
        log.error("not so bad")
    log.critical("another kind")
    events = await until_told(each_redis, 2)
    assert [event.sentence for event in events] == [
        "detector: the stream ends with 0", "detector: another kind",
    ]  # fmt: skip
    assert {event.subject for event in events} == {"error:detector"}
    assert all(event.alert for event in events)
    ttl_ms = await each_redis.pttl(keys.told("error:detector", events[0].state))
    assert 3_500_000 < ttl_ms <= 3_600_000


@pytest.mark.usefixtures("alarm")
async def test_a_line_of_another_thread_is_told_too(each_redis: Redis) -> None:
    thread = threading.Thread(target=log.critical, args=("from a thread",))
    thread.start()
    await asyncio.to_thread(thread.join)
    (event,) = await until_told(each_redis, 1)
    assert event.sentence == "detector: from a thread"


async def test_an_error_while_telling_makes_no_further_errors(
    alarm: Alarm, each_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def fail(subject: str, *_: object, **__: object) -> bool:
        asked.append(subject)
        log.critical("telling failed")
        return False

    monkeypatch.setattr(alarm._events, "once", fail)
    log.critical("an error")
    await wait_until(lambda: asked and not alarm._waiting, "the telling")
    monkeypatch.undo()
    log.critical("the next one")
    (event,) = await until_told(each_redis, 1)
    assert (asked, event.sentence) == (["error:detector"], "detector: the next one")


async def test_an_error_that_nobody_expects_while_telling_does_not_mute_the_next(
    alarm: Alarm,
    each_redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_: object, **__: object) -> bool:
        raise ValueError("what it says may hold a password")

    monkeypatch.setattr(alarm._events, "once", fail)
    log.critical("an error")
    await wait_until(lambda: "an error could not be told: ValueError" in caplog.text, "the telling")
    monkeypatch.undo()
    log.critical("the next one")
    (event,) = await until_told(each_redis, 1)
    assert event.sentence == "detector: the next one"
    assert "password" not in caplog.text


async def test_a_flood_is_bounded(alarm: Alarm) -> None:
    for number in range(1000):
        log.critical(f"kind {number}")  # noqa: G004 - each is a kind of its own
    assert len(alarm._waiting) == module._MOST_WAITING


def test_kinds_are_told_apart_by_logger_and_template() -> None:
    kinds = {kind_of(*each) for each in (("a", "x"), ("b", "x"), ("a", "y"), ("a", "x"))}
    assert len(kinds) == 3


PROGRAM = """
import asyncio, logging, sys
from shared.runtime import WrongConfiguration, start_service

log = logging.getLogger("services.notifier.worker")

async def serve(settings, instance):
    {body}

sys.exit(start_service("notifier", serve))
"""


async def end_of(folder: Path, url: str, body: str, *, stop: bool = False) -> tuple[int, str]:
    """Exit code and output of a service with this body."""
    config = folder / "config.json"
    telegram = {"bot_token": "42:T0KENofTheBot"}
    config.write_text(json.dumps({"redis": {"url": url}, "telegram": telegram,
                                  "logging": {"file": ""}}))  # fmt: skip
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM.format(body=body), "--config", str(config),
        cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert child.stdout is not None
    if stop:
        assert b"ready" in await child.stdout.readline()
        child.send_signal(signal.SIGTERM)
    out, _ = await child.communicate()
    return child.returncode or 0, out.decode()


async def test_an_unexpected_end_is_told_with_its_place_and_without_its_words(
    each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    code, out = await end_of(tmp_path, each_redis_url, "raise KeyError('42:T0KENofTheBot')")
    assert code == 1
    assert "T0KEN" not in out
    (event,) = await told(each_redis)
    assert event.sentence == (
        "notifier: ended by an error that nobody expected, KeyError at __main__:8;"
        " its log has the traceback"
    )
    # A supervisor starts it again and again: people hear of it once.
    await end_of(tmp_path, each_redis_url, "raise KeyError('again')")
    assert len(await told(each_redis)) == 1


async def test_a_wrong_configuration_that_ends_a_service_is_told_with_its_remedy(
    each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    body = "raise WrongConfiguration('the exchange has no market BTC/USTD; did you mean BTC/USDT?')"
    code, _ = await end_of(tmp_path, each_redis_url, body)
    assert code == 78
    (event,) = await told(each_redis)
    assert event.sentence.endswith("has no market BTC/USTD; did you mean BTC/USDT?")


async def test_what_was_logged_just_before_the_end_is_told_and_holds_no_secret(
    each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    body = "log.critical('a token: %s', '42:T0KENofTheBot')"
    assert (await end_of(tmp_path, each_redis_url, body))[0] == 0
    (event,) = await told(each_redis)
    assert event.sentence == "notifier: a token: ********"


async def test_an_error_while_it_is_stopped_is_no_alarm(
    each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    body = """
    print("ready")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise ConnectionError("gone") from None
    """
    code, _ = await end_of(tmp_path, each_redis_url, body, stop=True)
    assert (code, await told(each_redis)) == (0, [])


async def test_without_redis_a_service_still_ends_at_once(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    async with asyncio.timeout(30):
        code, _ = await end_of(tmp_path, url, "raise KeyError('x')")
    assert code == 1


async def test_a_stray_entry_that_blocks_indicators_calls_for_a_person(
    each_redis: Redis, each_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indicators, "_SILENT_READS", 2)
    monkeypatch.setattr(indicators, "BLOCK_MS", 50)
    settings = Settings(redis=RedisSection.model_validate({"url": each_redis_url}))
    async with (
        alarmed("indicators", "1", settings),
        computing(each_redis_url),
        access_to(each_redis_url) as access,
    ):
        await publish(access, market(300).fed)
        await until_position(each_redis, "indicators", market(300).entries[-1].entry_id)
        await each_redis.xadd(keys.indicators(SYMBOL), {"a": "b"}, id="4102444800000-0")
        (event,) = await until_told(each_redis, 1)
    assert event.subject == "error:indicators"
    assert "nothing can be written before that" in event.sentence
    assert "DEL indicators:{BTCUSDT}" in event.sentence
