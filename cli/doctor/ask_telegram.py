"""Asks Telegram whose the token is, and whether the bot knows each chat. Sends nothing."""

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

from cli.doctor.installation import Installation
from cli.doctor.report import Finding, ok, warn
from cli.doctor.verdicts.channels import told
from services.notifier.background import in_background
from services.notifier.channels.telegram_answers import answer
from shared.settings import Telegram

_ASK_S = 4.0
_CLOSE_S = 0.1  # enough to close; aiogram then sleeps for 0.25
_REMEDY = "check telegram.api_url, the network, the firewall and any proxy"


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    reason = found.unknown("telegram")
    if reason:
        yield warn("Telegram", f"not checked: {reason}", "correct that first")
    elif found.settings.telegram.enabled:
        async for finding in _asked(found.settings.telegram):
            yield finding


async def _asked(settings: Telegram) -> AsyncIterator[Finding]:
    # Importing the library takes a second, in which the others go on.
    api: Any = await in_background(lambda: import_module("services.notifier.channels.bot_api"))
    errors = (api.AiogramError, OSError, TypeError, ValueError)
    try:
        bot = api.open_bot(settings.bot_token.get_secret_value(), settings.api_url, _ASK_S)
    except errors as error:
        yield told("Telegram", answer(error), _REMEDY)
        return
    try:
        async with asyncio.timeout(_ASK_S):
            name = await api.name_of_bot(bot)
        yield ok("Telegram", f"the token is that of @{name}")
        for finding in await asyncio.gather(
            *(_chat(api, bot, chat, errors) for chat in settings.chat_id)
        ):
            yield finding
    except errors as error:
        yield told("Telegram", answer(error), _REMEDY)
    finally:
        await _close(bot)


async def _chat(api: Any, bot: Any, chat: str, errors: tuple[type[Exception], ...]) -> Finding:
    try:
        async with asyncio.timeout(_ASK_S):
            name = await api.name_of_chat(bot, chat)
    except errors as error:
        return told(f"chat {chat}", answer(error), _REMEDY)
    return ok(f"chat {chat}", f"the bot knows it: {name}")


async def _close(bot: Any) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await bot.session.close()
    except TimeoutError:
        pass
