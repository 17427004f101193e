"""A Bot API server for one bot, as much of it as a sender of messages needs.

It keeps the texts it accepts and when. Like the real one it knows no idempotency key: the same
request twice is two messages.
"""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from aiohttp import web

from sim.bot_faults import BOT_FAULTS, PASSING_BOT_FAULTS, BotFault
from sim.bot_faults import failure as _failure
from sim.bot_objects import chat, full_chat, me, sender
from sim.bot_requests import Refused, parameters_of, text_of
from sim.fault_plan import FaultPlan, Incident
from sim.resets import reset
from sim.script import Answer, Script
from sim.web_answers import respond

_STILL_THERE_S = 0.05
_BACKLOG = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message; ``received_at_ns`` is wall time when the request had arrived.

    ``text`` is what a reader sees: without the markup that ``parse_mode`` HTML takes out.

    Attributes:
        door: the port by which it came.
        fault: why the sender was not told that it was accepted; empty: it was.
    """

    received_at_ns: int
    message_id: int
    chat_id: int
    text: str
    parse_mode: str
    door: int = 0
    fault: str = ""


class BotApi:
    """The API of one bot that may write to some chats; ``async with`` opens it.

    Args:
        tls: serve by https with these certificates.
        doors: at how many ports to listen, so that senders can be told apart.

    Attributes:
        messages: what was accepted, in order.
        faults: what goes wrong; see ``fail_by`` and ``sim.bot_faults``.
        incidents: the faults that were met, in order.
        moved: groups that became supergroups: old chat → new chat.
        urls: by each door; ``url`` is the first.
        heard_ns: by port, when the last request came by it, wall time.
        answers: scripted answers to the next sendMessage requests; see ``flood`` for the usual one.
    """

    def __init__(
        self,
        *,
        token: str = "42:SIMULATED",  # noqa: S107 -- a simulated bot
        chats: Collection[int] = (4242,),
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        doors: int = 1,
    ) -> None:
        self.token = token
        self.chats = frozenset(chats)
        self.messages: list[Message] = []
        self.answers: Script[Answer] = Script()
        self.faults: FaultPlan[BotFault] = FaultPlan()
        self.incidents: list[Incident] = []
        self.moved: dict[int, int] = {}
        self.url = ""
        self.urls: list[str] = []
        self.heard_ns: dict[int, int] = {}
        self._busy: Counter[int] = Counter()
        self._host, self._tls = host, tls
        self._ports = [port] + [0] * (doors - 1)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._shut()

    async def _open(self) -> None:
        app = web.Application(client_max_size=50 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._runner = runner
        try:
            for port in self._ports:
                await web.TCPSite(
                    runner, self._host, port, ssl_context=self._tls, backlog=_BACKLOG
                ).start()
        except BaseException:
            await self._shut()
            raise
        self._ports = [address[1] for address in runner.addresses]
        scheme = "https" if self._tls else "http"
        self.urls = [f"{scheme}://{self._host}:{port}" for port in self._ports]
        self.url = self.urls[0]

    async def _shut(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def fail_by(self, name: str, *, only: int = 0) -> None:
        """Let every message meet a fault of ``sim.bot_faults``, until ``behave``.

        Args:
            name: of the fault.
            only: the chat that it concerns, 0 for all.
        """
        fault = replace(BOT_FAULTS[name], only=only)
        if fault.open:
            self.faults.standing = fault
        else:
            await self._shut()

    def fail_at_random(self, seed: int, share: float) -> None:
        """Let this share of the messages fail, in all ways that pass."""
        self.faults.draw(PASSING_BOT_FAULTS, seed=seed, share=share)

    def move(self, chat: int, to: int) -> None:
        """Make a supergroup of a group: it has another ID from now on."""
        self.moved[chat] = to
        self.chats = self.chats | {to}

    async def behave(self) -> None:
        """End all faults; a group that moved stays where it is."""
        self.faults.clear()
        self.answers.clear()
        if self._runner is None:
            await self._open()

    def flood(self, retry_after_s: int, count: int = 1) -> None:
        """Answer the next requests with 429."""
        body = _failure(429, f"Too Many Requests: retry after {retry_after_s}")
        body["parameters"] = {"retry_after": retry_after_s}
        headers = {"Retry-After": str(retry_after_s)}
        self.answers.add(Answer(429, json.dumps(body), headers), count)

    def fail(self, code: int, description: str, count: int = 1) -> None:
        """Answer the next requests with an error in the API's own form."""
        self.answers.add(Answer(code, json.dumps(_failure(code, description))), count)

    def open_at(self, door: int) -> int:
        """How many requests are being answered that came by this port."""
        return self._busy[door]

    async def _handle(self, request: web.Request) -> web.Response:
        door = _door(request)
        self._busy[door] += 1
        self.heard_ns[door] = time.time_ns()
        try:
            return await self._answer(request)
        finally:
            self._busy[door] -= 1

    async def _answer(self, request: web.Request) -> web.Response:
        received_at_ns = time.time_ns()
        method = request.match_info["method"].lower()
        try:
            self._admit(request.match_info["token"])
            parameters = await parameters_of(request)
            if method == "sendmessage":
                return await self._send(request, parameters, received_at_ns)
            result = self._look_up(method, parameters)
        except Refused as error:
            return _reply(error.code, _failure(error.code, error.description, **error.more))
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
        fault = None
        if scripted is None:
            asked = str(parameters.get("chat_id", "")).strip()
            marked = bool(parameters.get("parse_mode"))
            fault = self.faults.take(lambda fault: fault.concerns(asked, marked=marked))
            if fault is not None and not fault.accepts:
                return await self._fail(request, fault, parameters)
        chat_id = self._chat(parameters)
        text = text_of(parameters)
        message = Message(
            received_at_ns,
            len(self.messages) + 1,
            chat_id,
            text,
            str(parameters.get("parse_mode") or ""),
            _door(request),
            "" if fault is None else fault.name,
        )
        self.messages.append(message)
        if scripted is not None:
            return await respond(request, scripted)
        if fault is not None:
            return await self._fail(request, fault, parameters)
        return _reply(200, {"ok": True, "result": self._shown(message)})

    async def _fail(
        self, request: web.Request, fault: BotFault, parameters: Mapping[str, Any]
    ) -> web.Response:
        asked, text = str(parameters.get("chat_id", "")), str(parameters.get("text", ""))
        self.incidents.append(Incident(time.time_ns(), fault.name, (asked,), text, fault.accepts))
        if fault.does == "silence":
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(_STILL_THERE_S)
        elif fault.does == "reset":
            reset(request.transport)
        elif fault.does == "drop" and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=fault.status,
            body=fault.body,
            headers=dict(fault.headers),
            content_type=fault.content_type,
        )

    def _look_up(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if method == "getme":
            return me(self.token)
        if method == "getchat":
            return full_chat(self._chat(parameters))
        raise Refused(404, "Not Found")

    def _shown(self, message: Message) -> dict[str, Any]:
        return {
            "message_id": message.message_id,
            "from": sender(self.token),
            "chat": chat(message.chat_id),
            "date": message.received_at_ns // 10**9,
            "text": message.text,
        }

    def _chat(self, parameters: Mapping[str, Any]) -> int:
        given = str(parameters.get("chat_id", "")).strip()
        if not given:
            raise Refused(400, "Bad Request: chat_id is empty")
        try:
            chat_id = int(given)
        except ValueError:
            raise Refused(400, "Bad Request: chat not found") from None
        if chat_id in self.moved:
            raise Refused(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=self.moved[chat_id],
            )
        if chat_id not in self.chats:
            raise Refused(400, "Bad Request: chat not found")
        return chat_id


def _door(request: web.Request) -> int:
    """The port by which it came; 0 where the connection is gone already."""
    wire = request.transport
    return int(wire.get_extra_info("sockname")[1]) if wire is not None else 0


def _reply(status: int, body: Mapping[str, Any]) -> web.Response:
    return web.json_response(body, status=status)
