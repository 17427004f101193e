"""The Bot API, over plain HTTP."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from sim.bot_api import BotApi
from sim.script import Answer

CHAT = 4242


class Client:
    def __init__(self, session: aiohttp.ClientSession, api: BotApi) -> None:
        self.session = session
        self.api = api

    async def call(self, method: str, token: str | None = None, **how: Any) -> tuple[int, Any]:
        url = f"{self.api.url}/bot{token or self.api.token}/{method}"
        async with self.session.post(url, **how) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text

    async def send(self, text: str = "hello", **more: Any) -> tuple[int, Any]:
        return await self.call("sendMessage", data={"chat_id": CHAT, "text": text} | more)


@asynccontextmanager
async def opened() -> AsyncIterator[Client]:
    async with BotApi() as api, aiohttp.ClientSession() as session:
        yield Client(session, api)


def multipart() -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("chat_id", str(CHAT))
    form.add_field("text", "hello")
    return form


@pytest.mark.parametrize(
    "how",
    [
        {"data": {"chat_id": str(CHAT), "text": "hello"}},
        {"json": {"chat_id": CHAT, "text": "hello"}},
        {"params": {"chat_id": str(CHAT), "text": "hello"}},
        {"data": multipart},
    ],
    ids=["form", "json", "query", "multipart"],
)
async def test_a_message_is_taken_in_every_form(how: dict[str, Any]) -> None:
    began_ns = time.time_ns()
    async with opened() as client:
        how = {name: value() if callable(value) else value for name, value in how.items()}
        status, body = await client.call("SENDMESSAGE", **how)
        kept = client.api.messages[0]
    assert status == 200
    assert body["ok"]
    assert body["result"]["message_id"] == kept.message_id == 1
    assert body["result"]["chat"] == {"id": CHAT, "type": "private", "first_name": "Trader"}
    assert body["result"]["text"] == kept.text == "hello"
    assert abs(body["result"]["date"] - time.time()) < 10
    assert began_ns < kept.received_at_ns < time.time_ns()


@pytest.mark.parametrize(
    ("parameters", "description"),
    [
        ({"chat_id": ""}, "Bad Request: chat_id is empty"),
        ({"chat_id": "7"}, "Bad Request: chat not found"),
        ({"chat_id": "@traders"}, "Bad Request: chat not found"),
        ({"text": " "}, "Bad Request: message text is empty"),
        ({"text": "x" * 4097}, "Bad Request: message is too long"),
        ({"text": "x" * 40_000}, "Bad Request: text is too long"),
        (
            {"text": "<b>" + "x" * 4097 + "</b>", "parse_mode": "HTML"},
            "Bad Request: message is too long",
        ),
        ({"text": "<b> </b>", "parse_mode": "HTML"}, "Bad Request: message text is empty"),
        (
            {"text": "é<x>", "parse_mode": "html"},
            'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 2',
        ),
        ({"parse_mode": "word"}, "Bad Request: unsupported parse_mode"),
    ],
)
async def test_what_cannot_be_sent_is_refused(parameters: dict[str, str], description: str) -> None:
    async with opened() as client:
        status, body = await client.send(**({"text": "hello"} | parameters))
        assert status == 400
        assert body == {"ok": False, "error_code": 400, "description": description}
        assert client.api.messages == []


async def test_the_longest_message_fits() -> None:
    async with opened() as client:
        assert (await client.send("x" * 4096))[0] == 200
        assert (await client.send(f"<b>{'&amp;' * 4096}</b>", parse_mode="HTML"))[0] == 200
        assert client.api.messages[1].text == "&" * 4096


async def test_markup_is_taken_out_of_what_is_kept_and_shown() -> None:
    async with opened() as client:
        _, body = await client.send("<b>1</b> &lt; 2", parse_mode="HTML")
        await client.send("<b>1</b> &lt; 2")
        assert [message.text for message in client.api.messages] == ["1 < 2", "<b>1</b> &lt; 2"]
    assert body["result"]["text"] == "1 < 2"


async def test_token_and_method_are_checked() -> None:
    async with opened() as client:
        assert (await client.call("getMe", token="42:WRONG"))[0] == 401
        assert (await client.call("flyAway"))[0] == 404
        status, body = await client.call("getMe")
        assert status == 200
        assert body["result"]["id"] == 42
        status, body = await client.call("getChat", data={"chat_id": str(CHAT)})
        assert body["result"]["id"] == CHAT


async def test_scripted_answers() -> None:
    async with opened() as client:
        client.api.flood(5)
        client.api.fail(403, "Forbidden: bot was blocked by the user")
        client.api.answers.add(Answer(502, "<html>Bad Gateway</html>", content_type="text/html"))
        status, body = await client.send()
        assert (status, body["parameters"]) == (429, {"retry_after": 5})
        status, body = await client.send()
        assert (status, body["description"]) == (403, "Forbidden: bot was blocked by the user")
        assert await client.send() == (502, "<html>Bad Gateway</html>")
        assert client.api.messages == []
        assert (await client.send())[0] == 200


async def test_an_accepted_message_may_lose_its_answer() -> None:
    async with opened() as client:
        client.api.answers.add(Answer(drop=True, act=True))
        with pytest.raises(aiohttp.ClientError):
            await client.send()
        assert [message.text for message in client.api.messages] == ["hello"]


async def test_a_slow_answer_outlasts_patience() -> None:
    async with opened() as client:
        client.api.answers.add(Answer(delay_s=60))
        with pytest.raises(TimeoutError):
            await client.call(
                "sendMessage",
                data={"chat_id": CHAT, "text": "hello"},
                timeout=aiohttp.ClientTimeout(total=0.05),
            )
