"""The notifier process: every signal and event to every recipient of every enabled channel.

A channel that is slow to open (importing aiogram takes seconds) or down never holds up another.
"""

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial

from services.notifier.background import in_background
from services.notifier.channels import Channel
from services.notifier.channels.moves import MovesInRedis
from services.notifier.chosen import chosen_channels, extend
from services.notifier.consumer import consumer_name
from services.notifier.consumers import Consumers
from services.notifier.delivery import Delivery, Postman
from services.notifier.machine import machine_name
from services.notifier.message import Periods
from services.notifier.mute import DigestTeller
from services.notifier.ping import Pinger
from services.notifier.sources import EVENTS, SIGNALS
from services.notifier.wording import Wording
from shared.checkup import examine
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.market import market_of
from shared.redis_access import RedisAccess
from shared.roll_call import RollCall
from shared.runtime import start_service
from shared.settings import Settings

log = logging.getLogger(__name__)


def _open_email(postman: Postman) -> Channel:
    from services.notifier.channels.email_channel import EmailChannel  # noqa: PLC0415 - only if on

    settings = postman.settings
    if settings.smtp is None:
        raise AssertionError("settings.channels names email without a section smtp")
    return EmailChannel(settings.smtp, _wording(settings))


def _open_telegram(postman: Postman) -> Channel:
    from services.notifier.channels.telegram_channel import TelegramChannel  # noqa: PLC0415

    settings = postman.settings
    moves = MovesInRedis(postman.access, postman.events, TelegramChannel.name)
    return TelegramChannel(settings.telegram, _wording(settings), moves)


def _open_console(postman: Postman) -> Channel:
    from services.notifier.channels.console_channel import ConsoleChannel  # noqa: PLC0415

    log.warning(
        "neither email nor Telegram is configured: alerts go to the console"
        " (set the section smtp, or telegram.enabled)"
    )
    return ConsoleChannel(_wording(postman.settings))


_OPENERS: Mapping[str, Callable[[Postman], Channel]] = {
    "email": _open_email,
    "telegram": _open_telegram,
    "console": _open_console,
}


def _wording(settings: Settings) -> Wording:
    shown = settings.indicators
    periods = Periods(
        ema_fast=shown.ema_fast,
        ema_slow=shown.ema_slow,
        ema_trend=shown.ema_trend,
        atr=shown.atr_period,
        rsi=shown.rsi_period,
    )
    base = market_of(settings.exchange.symbol).base
    return Wording(periods, base, settings.notifier.late_after_seconds)


async def serve(settings: Settings, instance: str) -> None:
    """Deliver by all enabled channels, or those that were chosen, until cancelled."""
    channels = chosen_channels(settings)
    url, host = settings.redis.effective_url, machine_name(socket.gethostname())
    with consumer_name(url, host, instance) as consumer:
        access = RedisAccess(url, name=f"notifier-{consumer}")
        name = consumer.removeprefix(f"{host}-")
        heartbeat = Heartbeat("notifier", name, settings.health)
        events = EventsWriter(access, "notifier", name, settings.streams)
        roll_call = RollCall(access, events, "notifier", settings.health)
        postman = Postman(access, consumer, settings, heartbeat, events)
        heartbeat.facts.update(channels=" ".join(channels), consumer=consumer)
        try:
            examine(settings, access, heartbeat)
            await access.ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(heartbeat.beat(access))
                group.create_task(roll_call.keep_answering())
                group.create_task(Consumers(access, channels, consumer).keep_tidy())
                group.create_task(DigestTeller(access, settings, name).run())
                group.create_task(Pinger(access, settings, heartbeat).run())
                for channel in channels:
                    group.create_task(_serve_channel(channel, postman))
                heartbeat.state = "running"
        finally:
            await access.close()


async def _serve_channel(name: str, postman: Postman) -> None:
    # In a thread, because an import that takes seconds would hold up everybody else.
    channel = await in_background(partial(_OPENERS[name], postman))
    gc.freeze()  # as at the start: walking what was imported takes longer than sending an alert
    log.info("%s: %d recipient(s), reading as %s", name, len(channel.recipients), postman.consumer)
    try:
        gate, limiter = postman.gate(name), postman.limiter(name)
        await gate.start()
        async with asyncio.TaskGroup() as group:
            for source in (SIGNALS, EVENTS):
                group.create_task(Delivery(postman, channel, source, gate, limiter).run())
    finally:
        await channel.close()


if __name__ == "__main__":
    sys.exit(start_service("notifier", serve, extend=extend))
