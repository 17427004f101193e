"""The whole outside in one piece: exchange, mailbox and Bot API, with what control needs to know.

Faults are called by name with keyword arguments, so that a new one is one entry in ``FAULTS``.
Also called by name are ``behave``, and ``halt`` and ``go_on`` of the market's clock: with these in
a schedule, whoever has something to do at a certain market time is waited for.
"""

import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from sim import faults
from sim.bot_api import BotApi
from sim.exchange import Exchange
from sim.faults import answer_of
from sim.mailbox import DROP_AFTER, DROP_BEFORE, Mailbox
from sim.redis_proxy import FAULTS as REDIS_FAULTS
from sim.redis_proxy import RedisProxy
from sim.schedule import Fault
from sim.tape import TIMEFRAMES


class Impossible(ValueError):
    """A fault that does not exist or lacks something."""


class Outside:
    """Everything the scanner talks to; ``async with`` opens it all.

    Attributes:
        redis_proxy: stands before a Redis if there is one to stand before.
    """

    def __init__(
        self,
        exchange: Exchange,
        mailbox: Mailbox,
        bot_api: BotApi,
        redis_proxy: RedisProxy | None = None,
    ) -> None:
        self.exchange = exchange
        self.mailbox = mailbox
        self.bot_api = bot_api
        self.redis_proxy = redis_proxy
        self._caused: Counter[str] = Counter()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.mailbox)
            await stack.enter_async_context(self.bot_api)
            if self.redis_proxy is not None:
                await stack.enter_async_context(self.redis_proxy)
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
            **({"redis": self.redis_proxy.url} if self.redis_proxy else {}),
        }

    def state(self) -> dict[str, Any]:
        """How far everything has come."""
        exchange = self.exchange
        since = exchange.streams.subscribed_at
        return {
            "clock_ms": exchange.now_ms,
            "start_ms": exchange.start_ms,
            "end_ms": exchange.end_ms,
            "started": since is not None,
            "running_s": 0.0 if since is None else time.monotonic() - since,
            "finished": exchange.finished.is_set(),
            "halted": exchange.halted,
            "candles_total": {name: exchange.candles_total(name) for name in TIMEFRAMES},
            "frames_sent": exchange.frames_sent,
            "closing_frames_sent": exchange.closing_frames_sent,
            "rest_requests": exchange.rest.requests,
            "connections": len(exchange.streams.listeners),
            "mails": len(self.mailbox.mails),
            "telegrams": len(self.bot_api.messages),
            "skew_ms": exchange.clock.skew_ms,
            "faults": self.faults_caused(),
        }

    def faults_caused(self) -> dict[str, int]:
        """How often each fault was caused, by name."""
        caused = self._caused + self.exchange.caused
        if self.redis_proxy is not None:
            caused += self.redis_proxy.caused
        return dict(sorted(caused.items()))

    def deliveries(self, since_email: int = 0, since_telegram: int = 0) -> dict[str, Any]:
        """What the sinks accepted, from these positions on."""
        return {
            "email": [
                {
                    "received_at_ns": mail.received_at_ns,
                    "message_id": mail.message_id,
                    "signal_id": mail.signal_id,
                    "event_id": mail.event_id,
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
        self.cause(arguments.pop("name", None), arguments)

    def cause(self, name: Any, arguments: Mapping[str, Any]) -> None:
        """The same for a name and arguments that are not in one piece."""
        self.check(name, arguments)
        try:
            FAULTS[name](self, **arguments)
        except (TypeError, ValueError) as error:
            raise Impossible(f"{name}: {error}") from error
        if name in COUNTED_HERE:
            self._caused[name] += 1

    def obey(self, schedule: Iterable[Fault]) -> None:
        """Cause each fault when the exchange's clock passes its time.

        Raises:
            Impossible: one of them does not exist, or lacks something.
        """
        schedule = list(schedule)
        for fault in schedule:
            self.check(fault.name, fault.arguments)
        self.exchange.obey(schedule, self.cause)

    def check(self, name: Any, arguments: Mapping[str, Any]) -> None:
        """Raise ``Impossible`` unless there is such a fault that takes such arguments."""
        if name not in FAULTS:
            raise Impossible(f"no fault is called {name!r}; there are {', '.join(sorted(FAULTS))}")
        if name in REDIS_FAULTS and self.redis_proxy is None:
            raise Impossible(f"{name}: there is no Redis proxy")
        signature = inspect.signature(SIGNATURES.get(name, FAULTS[name]))
        try:
            signature.bind(None, **arguments)
        except TypeError as error:
            raise Impossible(f"{name}: {error}") from None


def _bot(outside: Outside, *, count: int = 1, **answer: Any) -> None:
    outside.bot_api.answers.add(answer_of(answer), count)


def _smtp(outside: Outside, *, reply: str, count: int = 1) -> None:
    if reply not in (DROP_AFTER, DROP_BEFORE) and not reply[:3].isdigit():
        raise ValueError(f"reply is a status and a text, {DROP_AFTER!r} or {DROP_BEFORE!r}")
    outside.mailbox.answers.add(reply, count)


def _behave(outside: Outside) -> None:
    outside.exchange.behave()
    outside.exchange.go_on()
    outside.mailbox.answers.clear()
    outside.mailbox.refused.clear()
    outside.bot_api.answers.clear()
    if outside.redis_proxy is not None:
        outside.redis_proxy.behave()


def _of_exchange(name: str) -> Callable[..., None]:
    return lambda outside, **how: outside.exchange.cause(name, how)


def _of_redis(name: str) -> Callable[..., None]:
    return lambda outside, **how: REDIS_FAULTS[name](outside.redis_proxy, **how)


SINK_FAULTS: dict[str, Callable[..., None]] = {
    "smtp": _smtp,
    "smtp_refuse": lambda outside, **how: outside.mailbox.refuse(**how),
    "bot": _bot,
    "bot_flood": lambda outside, **how: outside.bot_api.flood(**how),
    "bot_fail": lambda outside, **how: outside.bot_api.fail(**how),
}
COUNTED_HERE = frozenset(SINK_FAULTS)
SIGNATURES: dict[str, Callable[..., None]] = {**faults.FAULTS, **REDIS_FAULTS}
FAULTS: dict[str, Callable[..., None]] = {
    **{name: _of_exchange(name) for name in faults.FAULTS},
    **{name: _of_redis(name) for name in REDIS_FAULTS},
    **SINK_FAULTS,
    "behave": _behave,
    "halt": lambda outside: outside.exchange.halt(),
    "go_on": lambda outside: outside.exchange.go_on(),
}
