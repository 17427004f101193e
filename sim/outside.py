"""The whole outside in one piece: exchange, mailbox and Bot API, with what control needs to know.

Faults are called by name with keyword arguments, so that a new one is one entry in ``FAULTS``.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from sim.bot_api import BotApi
from sim.exchange import Exchange
from sim.mailbox import DROP_AFTER, DROP_BEFORE, Mailbox
from sim.script import Answer
from sim.tape import TIMEFRAMES


class Impossible(ValueError):
    """A fault that does not exist or lacks something."""


class Outside:
    """Everything the scanner talks to; ``async with`` opens it all."""

    def __init__(self, exchange: Exchange, mailbox: Mailbox, bot_api: BotApi) -> None:
        self.exchange = exchange
        self.mailbox = mailbox
        self.bot_api = bot_api
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.mailbox)
            await stack.enter_async_context(self.bot_api)
            await stack.enter_async_context(self.exchange)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def addresses(self) -> dict[str, Any]:
        """Where everything is, and how to get in."""
        mailbox = self.mailbox
        return {
            "ws": self.exchange.ws_url,
            "rest": self.exchange.rest_url,
            "smtp": {
                "host": mailbox.host,
                "port": mailbox.port,
                "mode": mailbox.mode,
                "user": mailbox.user,
                "password": mailbox.password,
                "ca_file": str(mailbox.ca_file) if mailbox.ca_file else None,
            },
            "bot_api": self.bot_api.url,
            "bot_token": self.bot_api.token,
            "chat_id": min(self.bot_api.chats),
        }

    def state(self) -> dict[str, Any]:
        """How far everything has come."""
        exchange = self.exchange
        return {
            "clock_ms": exchange.now_ms,
            "start_ms": exchange.start_ms,
            "end_ms": exchange.end_ms,
            "started": exchange.streams.first_subscription.is_set(),
            "finished": exchange.finished.is_set(),
            "candles_total": {name: exchange.candles_total(name) for name in TIMEFRAMES},
            "frames_sent": exchange.frames_sent,
            "closing_frames_sent": exchange.closing_frames_sent,
            "rest_requests": exchange.rest.requests,
            "connections": len(exchange.streams.listeners),
            "mails": len(self.mailbox.mails),
            "telegrams": len(self.bot_api.messages),
        }

    def deliveries(self, since_email: int = 0, since_telegram: int = 0) -> dict[str, Any]:
        """What the sinks accepted, from these positions on."""
        return {
            "email": [
                {
                    "received_at_ns": mail.received_at_ns,
                    "message_id": mail.message_id,
                    "signal_id": mail.signal_id,
                    "subject": mail.subject,
                    "to": list(mail.recipients),
                }
                for mail in self.mailbox.mails[since_email:]
            ],
            "telegram": [
                {
                    "received_at_ns": message.received_at_ns,
                    "message_id": message.message_id,
                    "chat_id": message.chat_id,
                    "text": message.text,
                }
                for message in self.bot_api.messages[since_telegram:]
            ],
        }

    def fault(self, request: Mapping[str, Any]) -> None:
        """Cause the fault ``request["name"]``; the other items are its arguments.

        Raises:
            Impossible: there is no such fault, or its arguments do not fit.
        """
        arguments = dict(request)
        name = arguments.pop("name", None)
        if name not in FAULTS:
            raise Impossible(f"no fault is called {name!r}; there are {', '.join(sorted(FAULTS))}")
        try:
            FAULTS[name](self, **arguments)
        except (TypeError, ValueError) as error:
            raise Impossible(f"{name}: {error}") from error


def _rest(outside: Outside, *, count: int = 1, **answer: Any) -> None:
    outside.exchange.answer_rest(_answer(answer), count)


def _bot(outside: Outside, *, count: int = 1, **answer: Any) -> None:
    outside.bot_api.answers.add(_answer(answer), count)


def _smtp(outside: Outside, *, reply: str, count: int = 1) -> None:
    if reply not in (DROP_AFTER, DROP_BEFORE) and not reply[:3].isdigit():
        raise ValueError(f"reply is a status and a text, {DROP_AFTER!r} or {DROP_BEFORE!r}")
    outside.mailbox.answers.add(reply, count)


def _answer(parts: dict[str, Any]) -> Answer:
    """A scripted answer; a body that is no text is written as JSON."""
    body = parts.pop("body", "")
    return Answer(body=body if isinstance(body, str) else json.dumps(body), **parts)


def _behave(outside: Outside) -> None:
    exchange = outside.exchange
    exchange.silence(on=False)
    for script in (exchange.rest.answers, exchange.rest.holes, exchange.streams.refusals):
        script.clear()
    outside.mailbox.answers.clear()
    outside.mailbox.refused.clear()
    outside.bot_api.answers.clear()


FAULTS: dict[str, Callable[..., None]] = {
    "cut": lambda outside, **how: outside.exchange.cut(**how),
    "refuse_handshakes": lambda outside, **how: outside.exchange.refuse_handshakes(**how),
    "silence": lambda outside, **how: outside.exchange.silence(**how),
    "inject": lambda outside, **how: outside.exchange.inject(**how),
    "rest": _rest,
    "hide": lambda outside, **how: outside.exchange.hide(**how),
    "smtp": _smtp,
    "smtp_refuse": lambda outside, **how: outside.mailbox.refuse(**how),
    "bot": _bot,
    "bot_flood": lambda outside, **how: outside.bot_api.flood(**how),
    "bot_fail": lambda outside, **how: outside.bot_api.fail(**how),
    "behave": _behave,
}
