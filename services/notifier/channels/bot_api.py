"""The one place that imports aiogram, and the little of it that sending needs.

aiogram builds validators for each of some 300 Telegram types when it is imported: about 130 MB and
five seconds, for types that nobody here will ever see. So the rebuilding is left out during the
import, and the one method that is called has its own small request and answer types, which is
aiogram's own way of adding methods. Should a future aiogram not work like that, it is imported
plainly, as everyone else does.
"""

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

log = logging.getLogger(__name__)


@contextmanager
def _without_rebuilding() -> Iterator[None]:
    """Let ``model_rebuild`` do nothing; only for the time of one import."""
    original = BaseModel.__dict__["model_rebuild"]
    type.__setattr__(BaseModel, "model_rebuild", classmethod(lambda cls, **_: None))
    try:
        yield
    finally:
        type.__setattr__(BaseModel, "model_rebuild", original)


def _import_aiogram() -> None:
    """Import aiogram lightly, or plainly where that does not work."""
    if "aiogram" in sys.modules:
        return
    try:
        with _without_rebuilding():
            importlib.import_module("aiogram")
        parameters: Any = importlib.import_module("aiogram.types").ResponseParameters
        parameters.model_rebuild()
        answer: Any = importlib.import_module("aiogram.methods.base").Response
        answer[int].model_validate({"ok": True, "result": 1, "parameters": {"retry_after": 1}})
    except (ImportError, AttributeError, TypeError, PydanticUserError, ValidationError) as error:
        log.warning("aiogram cannot be imported lightly (%s): it will take more memory", error)
        for name in [name for name in sys.modules if name.partition(".")[0] == "aiogram"]:
            del sys.modules[name]
        importlib.import_module("aiogram")


_import_aiogram()

from aiogram import Bot  # noqa: E402 - the import above decides how
from aiogram.client.session.aiohttp import AiohttpSession  # noqa: E402
from aiogram.client.telegram import TelegramAPIServer  # noqa: E402
from aiogram.exceptions import AiogramError, ClientDecodeError  # noqa: E402
from aiogram.methods.base import TelegramMethod  # noqa: E402

__all__ = [
    "AiogramError", "Bot", "ClientDecodeError", "name_of_bot", "name_of_chat", "open_bot",
    "send_text",
]  # fmt: skip


class SentMessage(BaseModel):
    """What is needed of Telegram's ``Message``."""

    message_id: int


class SendText(TelegramMethod[SentMessage]):
    """``sendMessage`` with the parameters that alerts use."""

    __returning__ = SentMessage
    __api_method__ = "sendMessage"

    chat_id: int | str
    text: str
    link_preview_options: dict[str, bool]
    parse_mode: str | None = None


class Named(BaseModel):
    """What is needed of Telegram's ``User`` and ``ChatFullInfo``."""

    username: str = ""
    title: str = ""
    first_name: str = ""


class GetBot(TelegramMethod[Named]):
    """``getMe``."""

    __returning__ = Named
    __api_method__ = "getMe"


class GetChat(TelegramMethod[Named]):
    """``getChat``."""

    __returning__ = Named
    __api_method__ = "getChat"

    chat_id: int | str


def open_bot(token: str, api_url: str, timeout_seconds: float) -> Bot:
    """A bot; nothing connects before its first message."""
    session = AiohttpSession(
        api=TelegramAPIServer.from_base(api_url.rstrip("/")), timeout=timeout_seconds
    )
    return Bot(token, session=session)


async def send_text(bot: Bot, chat_id: str, text: str, parse_mode: str | None = None) -> int:
    """Send text, plain unless ``parse_mode`` says more, and return the ID of the message."""
    sent = await bot(
        SendText(
            chat_id=_chat(chat_id),
            text=text,
            link_preview_options={"is_disabled": True},
            parse_mode=parse_mode,
        )
    )
    return sent.message_id


async def name_of_bot(bot: Bot) -> str:
    """The user name of the bot whose token this is."""
    return (await bot(GetBot())).username


async def name_of_chat(bot: Bot, chat_id: str) -> str:
    """What a chat that the bot knows is called; may be empty."""
    chat = await bot(GetChat(chat_id=_chat(chat_id)))
    return chat.title or chat.username or chat.first_name


def _chat(chat_id: str) -> int | str:
    return int(chat_id) if chat_id.lstrip("-").isdigit() else chat_id
