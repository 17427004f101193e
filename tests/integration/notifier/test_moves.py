"""Groups that became supergroups: followed at once, remembered in Redis, told once."""

import json
from pathlib import Path

import pytest

from services.notifier.channels import Receipt, Refused, Undelivered
from services.notifier.channels.moves import Moves, MovesInMemory, MovesInRedis, follow
from services.notifier.channels.telegram_channel import TelegramChannel
from services.notifier.sources import SIGNALS
from shared import keys
from shared.events import EventsWriter, read_event
from shared.redis_access import RedisAccess
from shared.settings import Streams
from sim.bot_api import BotApi
from sim.script import Answer

from .conftest import TOKEN, WORDING, Bench, fresh_signal, telegram

pytestmark = pytest.mark.timeout(90)  # importing aiogram takes seconds

OLD, NEW = -1008, -1001234567890123
KEY = keys.moved("telegram")


def to(chat: int, *, delay_s: float = 0.0) -> Answer:
    """What Telegram says of a chat that has moved."""
    body = {
        "ok": False,
        "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": chat},
    }
    return Answer(400, json.dumps(body), delay_s=delay_s)


def channel(bench: Bench, api: BotApi, moves: Moves, **changes: object) -> TelegramChannel:
    settings = bench.settings(telegram=telegram(api.url, chat_id=OLD, **changes))
    return TelegramChannel(settings.telegram, WORDING, moves)


def in_redis(bench: Bench) -> MovesInRedis:
    """What a notifier process of its own knows."""
    access = RedisAccess(bench.redis_url, name="notifier")
    bench.stack.push_async_callback(access.close)
    return MovesInRedis(access, EventsWriter(access, "notifier", "1", Streams()), "telegram")


async def send(tg: TelegramChannel, number: int = 0) -> Receipt:
    try:
        return await tg.send(fresh_signal(number), tg.recipients[0])
    finally:
        await tg.close()


async def test_a_move_is_followed_at_once_and_remembered_by_all_notifiers(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async with BotApi(token=TOKEN, chats=[NEW]) as api:
        api.answers.add(to(NEW))
        first = channel(bench, api, in_redis(bench))
        receipt = await send(first)
        again = await send(channel(bench, api, in_redis(bench)), 1)  # OLD would be refused
        assert [message.chat_id for message in api.messages] == [NEW, NEW]
    assert receipt.answer == f"ok, message 1, in the chat it moved to, {NEW}"
    assert again.message_id == "2"
    assert await bench.redis.hgetall(KEY) == {str(OLD).encode(): str(NEW).encode()}
    [line] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert f"set telegram.chat_id to {NEW}" in line
    [entry] = await bench.redis.xrange(keys.EVENTS)
    event = read_event(*entry)
    assert (event.subject, event.state) == (f"chat:{first.recipients[0].tag}", "moved")
    assert f"set telegram.chat_id to {NEW}" in event.sentence
    assert event.alert


async def test_a_chat_that_moves_again_is_followed_from_where_it_was(bench: Bench) -> None:
    await bench.redis.hset(KEY, str(OLD), "-77")
    async with BotApi(token=TOKEN, chats=[NEW]) as api:
        api.answers.add(to(NEW))
        await send(channel(bench, api, in_redis(bench)))
        await send(channel(bench, api, in_redis(bench)), 1)
        assert len(api.messages) == 2
    assert await bench.redis.hget(KEY, "-77") == str(NEW).encode()


async def test_no_more_than_two_moves_are_followed(bench: Bench, bot_api: BotApi) -> None:
    for chat in (-1, -2, -3, -4):
        bot_api.answers.add(to(chat))
    with pytest.raises(Undelivered, match=r"set telegram\.chat_id to -3") as raised:
        await send(channel(bench, bot_api, MovesInMemory()))
    assert isinstance(raised.value, Refused)
    assert len(bot_api.answers) == 1
    assert bot_api.messages == []


async def test_following_takes_no_longer_than_one_message_may(
    bench: Bench, bot_api: BotApi
) -> None:
    bot_api.answers.add(to(NEW))
    bot_api.answers.add(to(-5, delay_s=600))
    tg = channel(bench, bot_api, MovesInMemory(), timeout_seconds=0.5)
    with pytest.raises(Undelivered, match="in time"):
        await send(tg)


async def test_a_moved_chat_gets_its_message_although_redis_is_away(
    bench: Bench, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.channels.moves._WITHIN_S", 0.1)
    access = RedisAccess(f"redis://127.0.0.1:{unused_tcp_port}", name="notifier")
    bench.stack.push_async_callback(access.close)
    events = EventsWriter(access, "notifier", "1", Streams())
    async with BotApi(token=TOKEN, chats=[NEW]) as api:
        api.answers.add(to(NEW))
        await send(channel(bench, api, MovesInRedis(access, events, "telegram")))
        assert [message.chat_id for message in api.messages] == [NEW]


@pytest.mark.parametrize("spoilt", ["another type", "no number", "a circle"])
async def test_moves_that_somebody_spoilt_keep_no_message_back(bench: Bench, spoilt: str) -> None:
    if spoilt == "another type":
        await bench.redis.set(KEY, "x")
    else:
        there = str(OLD) if spoilt == "a circle" else "https://x"
        await bench.redis.hset(KEY, str(OLD), there)
    async with BotApi(token=TOKEN, chats=[OLD]) as api:
        await send(channel(bench, api, in_redis(bench)))
        assert [message.chat_id for message in api.messages] == [OLD]


async def test_the_ledger_is_that_of_the_configured_chat_and_a_restart_remembers(
    bench: Bench, tmp_path: Path
) -> None:
    signals = [fresh_signal(0), fresh_signal(1)]
    async with BotApi(token=TOKEN, chats=[NEW]) as api:
        api.answers.add(to(NEW))
        config = bench.config(telegram=telegram(api.url, chat_id=OLD), notifier={"events": False})
        for number, signal in enumerate(signals):
            process = await bench.start(config)
            await bench.emit(signal)
            await bench.until_settled("telegram", number + 1, 60, source=SIGNALS)
            await process.terminate()
        assert [message.chat_id for message in api.messages] == [NEW, NEW]
        assert "set telegram.chat_id to" in bench.processes[0].log
        assert "set telegram.chat_id to" not in bench.processes[1].log
    tag = channel(bench, api, MovesInMemory()).recipients[0].tag
    for signal in signals:
        assert await bench.redis.exists(keys.delivered("telegram", signal.id, tag))
    [entry] = await bench.redis.xrange(keys.EVENTS)
    assert read_event(*entry).state == "moved"


def test_moves_are_followed_to_their_end() -> None:
    assert follow({}, "1") == "1"
    assert follow({"1": "-2", "-2": "-3"}, "1") == "-3"
    assert follow({"1": "-2", "-2": "1"}, "1") == "-2"
    assert follow({"1": "@name"}, "1") == "1"
