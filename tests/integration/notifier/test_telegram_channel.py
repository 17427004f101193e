"""The Telegram channel, with the real aiogram, against a local Bot API."""

import json
import traceback

import pytest

from services.notifier import event_message
from services.notifier.channels import Broken, Receipt, Refused, TryAgain, Undelivered
from services.notifier.channels.telegram_channel import TelegramChannel
from services.notifier.message import telegram_text, without_heading
from shared.event import Event
from sim.bot_api import BotApi
from sim.script import Answer

from .conftest import (
    CHAT,
    PERIODS,
    TOKEN,
    WORDING,
    Bench,
    SilentPeer,
    fresh_signal,
    now_ms,
    telegram,
)

pytestmark = pytest.mark.timeout(90)  # importing aiogram takes seconds


def channel(bench: Bench, api_url: str, **changes: object) -> TelegramChannel:
    settings = bench.settings(telegram=telegram(api_url, **changes))
    return TelegramChannel(settings.telegram, WORDING)


async def send(tg: TelegramChannel) -> Receipt:
    try:
        return await tg.send(fresh_signal(), tg.recipients[0])
    finally:
        await tg.close()


async def failure(tg: TelegramChannel) -> Undelivered:
    with pytest.raises(Undelivered) as raised:
        await send(tg)
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    return raised.value


async def test_a_message_arrives_as_the_promised_text(bench: Bench, bot_api: BotApi) -> None:
    tg, signal = channel(bench, bot_api.url), fresh_signal()
    receipt = await tg.send(signal, tg.recipients[0])
    await tg.close()
    [message] = bot_api.messages
    assert message.text == telegram_text(signal, PERIODS)
    assert (message.chat_id, message.parse_mode) == (CHAT, "HTML")
    assert receipt == Receipt(str(message.message_id), "ok, message 1")


async def test_each_chat_gets_its_own_message(bench: Bench) -> None:
    async with BotApi(token=TOKEN, chats=[7, -1008]) as api:
        tg = channel(bench, api.url, chat_id=[7, -1008])
        for chat in tg.recipients:
            await tg.send(fresh_signal(), chat)
        await tg.close()
        assert [message.chat_id for message in api.messages] == [7, -1008]


HTML = Answer(502, "<html>S3CRET</html>", content_type="text/html")
BARE = '{"ok":false,"error_code":500}'


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (HTML, TryAgain, "not its own"),
        (Answer(413, "<html>too large</html>"), TryAgain, "not its own"),
        (Answer(500, BARE), TryAgain, "not its own"),
        (Answer(drop=True), TryAgain, "broke"),
        (Answer(429, '{"ok":false,"description":"Too Many Requests"}'), TryAgain, "slow down"),
    ],
)
async def test_odd_answers(
    bench: Bench, bot_api: BotApi, answer: Answer, kind: type[Exception], words: str
) -> None:
    bot_api.answers.add(answer)
    failed = await failure(channel(bench, bot_api.url))
    assert type(failed) is kind
    assert words in failed.reason
    assert "S3CRET" not in failed.reason


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("400 Bad Request: chat not found", Refused, "telegram.chat_id"),
        ("401 Unauthorized", Broken, "telegram.bot_token"),
        ("403 Forbidden: bot was blocked by the user", Refused, "unblock"),
        ("404 Not Found", Broken, "telegram.bot_token"),
        ("409 Conflict: terminated", TryAgain, "Conflict"),
        ("413 Request Entity Too Large", Refused, "too large"),
        ("500 Internal Server Error: restart", TryAgain, "restart"),
        ("502 Bad Gateway", TryAgain, "Bad Gateway"),
        ("418 I'm a teapot", TryAgain, "teapot"),
    ],
)
async def test_errors_of_the_api(
    bench: Bench, bot_api: BotApi, error: str, kind: type[Exception], words: str
) -> None:
    code, _, description = error.partition(" ")
    bot_api.fail(int(code), description)
    failed = await failure(channel(bench, bot_api.url))
    assert type(failed) is kind
    assert words in failed.reason


async def test_flood_control_says_how_long_to_wait(bench: Bench, bot_api: BotApi) -> None:
    bot_api.flood(17)
    failed = await failure(channel(bench, bot_api.url))
    assert isinstance(failed, TryAgain)
    assert failed.after_seconds == 17


async def test_an_accepted_message_that_aiogram_cannot_read_is_accepted(
    bench: Bench, bot_api: BotApi
) -> None:
    body = '{"ok":true,"result":{"message_id":77,"date":"in a new form"}}'
    bot_api.answers.add(Answer(200, body, act=True))
    assert await send(channel(bench, bot_api.url)) == Receipt("77", "ok, message 77")


EVENT = Event('a <b>"odd"</i> & &lt;event&gt; 😀', "redis", "lost", "ingest", "1", 5, True, 5)


async def test_whatever_an_alert_says_is_no_markup(bench: Bench, bot_api: BotApi) -> None:
    tg = channel(bench, bot_api.url)
    await tg.send(EVENT, tg.recipients[0])
    await tg.close()
    [message] = bot_api.messages
    assert without_heading(message.text) == event_message.telegram_text(EVENT)
    assert (message.parse_mode, EVENT.sentence in message.text) == ("HTML", True)


async def test_a_late_message_says_so(bench: Bench, bot_api: BotApi) -> None:
    tg, late = channel(bench, bot_api.url), fresh_signal(received_at_ms=now_ms() - 7_510_000)
    await tg.send(late, tg.recipients[0])
    await tg.close()
    [message] = bot_api.messages
    assert message.text.startswith("⏰ LATE 2h 5m: price may have moved\n\n🟢 BTC/USD LONG")


UNPARSED = 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 7'


async def test_markup_that_is_not_accepted_is_sent_as_plain_text_at_once_and_told_once(
    bench: Bench, bot_api: BotApi, caplog: pytest.LogCaptureFixture
) -> None:
    tg, signal = channel(bench, bot_api.url), fresh_signal()
    for _ in range(2):
        bot_api.fail(400, UNPARSED)
        receipt = await tg.send(signal, tg.recipients[0])
    await tg.close()
    assert [message.parse_mode for message in bot_api.messages] == ["", ""]
    assert {message.text for message in bot_api.messages} == {telegram_text(signal, PERIODS)}
    assert receipt.answer == "ok, message 2, as plain text"
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "sent as plain text" in warning
    assert "can't parse entities" in warning


async def test_a_message_that_is_not_accepted_as_plain_text_either_is_refused(
    bench: Bench, bot_api: BotApi
) -> None:
    bot_api.fail(400, UNPARSED, count=2)
    failed = await failure(channel(bench, bot_api.url))
    assert isinstance(failed, Refused)
    assert "entities" in failed.reason
    assert (bot_api.messages, len(bot_api.answers)) == ([], 0)


async def test_a_message_that_telegram_could_not_take_now_is_not_sent_again_at_once(
    bench: Bench, bot_api: BotApi
) -> None:
    bot_api.answers.add(Answer(400, json.dumps({"ok": False, "description": UNPARSED})))
    bot_api.flood(3)
    failed = await failure(channel(bench, bot_api.url))
    assert isinstance(failed, TryAgain)
    assert failed.after_seconds == 3
    assert bot_api.messages == []


async def test_a_fallback_takes_no_longer_than_one_message_may(
    bench: Bench, bot_api: BotApi
) -> None:
    tg = channel(bench, bot_api.url, timeout_seconds=0.5)
    bot_api.fail(400, UNPARSED)
    bot_api.answers.add(Answer(delay_s=600))
    failed = await failure(tg)
    assert isinstance(failed, TryAgain)
    assert "in time" in failed.reason


async def test_a_silent_api_is_given_up_in_time(bench: Bench, silent_peer: SilentPeer) -> None:
    url = f"http://127.0.0.1:{silent_peer.port}"
    failed = await failure(channel(bench, url, timeout_seconds=0.3))
    assert isinstance(failed, TryAgain)
    assert "in time" in failed.reason


async def test_nobody_listens(bench: Bench, unused_tcp_port: int) -> None:
    failed = await failure(channel(bench, f"http://127.0.0.1:{unused_tcp_port}"))
    assert isinstance(failed, TryAgain)
    assert "cannot be reached" in failed.reason


async def test_a_revoked_token_is_refused(bench: Bench, bot_api: BotApi) -> None:
    bot_api.token = "43:ANOTHER"
    failed = await failure(channel(bench, bot_api.url))
    assert isinstance(failed, Broken)
    assert "telegram.bot_token" in failed.reason
