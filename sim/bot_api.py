"""A Bot API server for one bot, as much of it as a sender of messages needs.

It keeps the texts it accepts and when. Like the real one it knows no idempotency key: the same
request twice is two messages.
"""

import json
import time
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from sim.entities import Unparsable, parsed
from sim.rest import respond
from sim.script import Answer, Script

MAX_TEXT = 4096
MAX_RAW_BYTES = 32_768
PARSE_MODES = ("html", "markdown", "markdownv2")


class Refused(Exception):
    """A request the API answers with an error."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message; ``received_at_ns`` is wall time when the request had arrived.

    ``text`` is what a reader sees: without the markup that ``parse_mode`` HTML takes out.
    """

    received_at_ns: int
    message_id: int
    chat_id: int
    text: str
    parse_mode: str


class BotApi:
    """The API of one bot that may write to some chats; ``async with`` opens it.

    Attributes:
        messages: what was accepted, in order.
        answers: scripted answers to the next sendMessage requests; see ``flood`` for the usual one.
    """

    def __init__(
        self,
        *,
        token: str = "42:SIMULATED",  # noqa: S107 -- a simulated bot
        chats: Collection[int] = (4242,),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.token = token
        self.chats = frozenset(chats)
        self.messages: list[Message] = []
        self.answers: Script[Answer] = Script()
        self.url = ""
        self._host, self._port = host, port
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=50 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self._host, self._port).start()
            self.url = f"http://{self._host}:{runner.addresses[0][1]}"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def flood(self, retry_after_s: int, count: int = 1) -> None:
        """Answer the next requests with 429."""
        body = _failure(429, f"Too Many Requests: retry after {retry_after_s}")
        body["parameters"] = {"retry_after": retry_after_s}
        headers = {"Retry-After": str(retry_after_s)}
        self.answers.add(Answer(429, json.dumps(body), headers), count)

    def fail(self, code: int, description: str, count: int = 1) -> None:
        """Answer the next requests with an error in the API's own form."""
        self.answers.add(Answer(code, json.dumps(_failure(code, description))), count)

    async def _handle(self, request: web.Request) -> web.Response:
        received_at_ns = time.time_ns()
        method = request.match_info["method"].lower()
        try:
            self._admit(request.match_info["token"])
            parameters = await _parameters(request)
            if method == "sendmessage":
                return await self._send(request, parameters, received_at_ns)
            result = self._look_up(method, parameters)
        except Refused as error:
            return _reply(error.code, _failure(error.code, error.description))
        return _reply(200, {"ok": True, "result": result})

    def _admit(self, token: str) -> None:
        if token != self.token:
            raise Refused(401, "Unauthorized")

    async def _send(
        self, request: web.Request, parameters: Mapping[str, Any], received_at_ns: int
    ) -> web.Response:
        scripted = self.answers.take()
        if scripted is not None and not scripted.act:
            return await respond(request, scripted)
        chat_id = self._chat(parameters)
        text = _text(parameters)
        message = Message(
            received_at_ns,
            len(self.messages) + 1,
            chat_id,
            text,
            str(parameters.get("parse_mode") or ""),
        )
        self.messages.append(message)
        if scripted is not None:
            return await respond(request, scripted)
        return _reply(200, {"ok": True, "result": self._shown(message)})

    def _look_up(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if method == "getme":
            return self._me()
        if method == "getchat":
            chat = _chat_shown(self._chat(parameters))
            return chat | {"accent_color_id": 0, "max_reaction_count": 11} | _GIFTS
        raise Refused(404, "Not Found")

    def _chat(self, parameters: Mapping[str, Any]) -> int:
        given = str(parameters.get("chat_id", "")).strip()
        if not given:
            raise Refused(400, "Bad Request: chat_id is empty")
        try:
            chat_id = int(given)
        except ValueError:
            raise Refused(400, "Bad Request: chat not found") from None
        if chat_id not in self.chats:
            raise Refused(400, "Bad Request: chat not found")
        return chat_id

    def _me(self) -> dict[str, Any]:
        return {
            "id": int(self.token.partition(":")[0]),
            "is_bot": True,
            "first_name": "Scanner",
            "username": "simulated_scanner_bot",
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }

    def _shown(self, message: Message) -> dict[str, Any]:
        return {
            "message_id": message.message_id,
            "from": {k: v for k, v in self._me().items() if not k.startswith(("can", "supp"))},
            "chat": _chat_shown(message.chat_id),
            "date": message.received_at_ns // 10**9,
            "text": message.text,
        }


_GIFTS = {
    "accepted_gift_types": {
        "unlimited_gifts": True,
        "limited_gifts": True,
        "unique_gifts": True,
        "premium_subscription": True,
        "gifts_from_channels": True,
    }
}


def _chat_shown(chat_id: int) -> dict[str, Any]:
    if chat_id < 0:
        return {"id": chat_id, "type": "supergroup", "title": "Traders"}
    return {"id": chat_id, "type": "private", "first_name": "Trader"}


async def _parameters(request: web.Request) -> dict[str, Any]:
    """From the query and the body in whichever form; the body wins."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise Refused(400, "Bad Request: can't parse JSON object") from None
        if not isinstance(body, dict):
            raise Refused(400, "Bad Request: object expected as JSON body")
        return given | body
    return given | dict(await request.post())


def _text(parameters: Mapping[str, Any]) -> str:
    text = str(parameters.get("text") or "")
    mode = str(parameters.get("parse_mode") or "")
    if mode and mode.lower() not in PARSE_MODES:
        raise Refused(400, "Bad Request: unsupported parse_mode")
    if len(text.encode()) > MAX_RAW_BYTES:
        raise Refused(400, "Bad Request: text is too long")
    if mode.lower() == "html":
        try:
            text = parsed(text)
        except Unparsable as error:
            raise Refused(400, f"Bad Request: can't parse entities: {error}") from None
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le")) // 2 > MAX_TEXT:
        raise Refused(400, "Bad Request: message is too long")
    return text


def _failure(code: int, description: str) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": description}


def _reply(status: int, body: Mapping[str, Any]) -> web.Response:
    return web.json_response(body, status=status)
