"""The one place that imports aiogram, which costs seconds and most of this process's memory.

Whoever makes that import lighter does it here; the channel uses what this module exports.
"""

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError, ClientDecodeError
from aiogram.types import LinkPreviewOptions

__all__ = ["AiogramError", "Bot", "ClientDecodeError", "open_bot", "send_text"]


def open_bot(token: str, api_url: str, timeout_seconds: float) -> Bot:
    """A bot; nothing connects before its first message."""
    session = AiohttpSession(
        api=TelegramAPIServer.from_base(api_url.rstrip("/")), timeout=timeout_seconds
    )
    return Bot(token, session=session)


async def send_text(bot: Bot, chat_id: str, text: str) -> int:
    """Send plain text and return the ID of the message."""
    sent = await bot.send_message(
        int(chat_id) if chat_id.lstrip("-").isdigit() else chat_id,
        text,
        parse_mode=None,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    return sent.message_id
