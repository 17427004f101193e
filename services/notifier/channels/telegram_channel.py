"""Alerts by Telegram: one message for each chat.

Telegram has no idempotency key: a repeat after a lost answer cannot be told from a new message. So
only what Telegram has certainly refused is sent again at once: markup that it does not accept, as
plain text; what was for a chat that has moved, to where it is now.
"""

import asyncio
import logging
import time

from services.notifier.channels import Receipt, Recipient, bot_api, recipient
from services.notifier.channels.answers import found
from services.notifier.channels.moves import Moves, MovesInMemory
from services.notifier.channels.telegram_answers import TABLE, answer
from services.notifier.sources import Alert
from services.notifier.wording import Wording
from shared.settings import Telegram

log = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 0.6  # aiogram always takes 0.25

# A chat moves once; who is sent on and on is sent in circles.
_MOST_MOVES = 2

_ERRORS = (bot_api.AiogramError, OSError, TypeError, ValueError)


class TelegramChannel:
    """Sends as one bot."""

    name = "telegram"

    def __init__(self, settings: Telegram, wording: Wording, moves: Moves | None = None) -> None:
        """Prepare; nothing connects before the first message."""
        self._wording, self._moves = wording, moves or MovesInMemory()
        self._bot = bot_api.open_bot(
            settings.bot_token.get_secret_value(), settings.api_url, settings.timeout_seconds
        )
        self.recipients: tuple[Recipient, ...] = tuple(map(recipient, settings.chat_id))
        self.timeout_seconds = settings.timeout_seconds
        self._told_plain = False

    async def send(self, alert: Alert, recipient: Recipient) -> Receipt:
        """See ``Channel.send``."""
        message = self._wording.telegram(alert, time.time_ns() // 1_000_000)
        way = _Way(recipient, message.html, message.plain)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                way.chat = await self._moves.now_at(recipient.address)
                return await self._send(way)
        except _ERRORS as error:
            raise answer(error) from None  # the cause may hold the URL with the token

    async def _send(self, way: "_Way") -> Receipt:
        while True:
            try:
                number = await bot_api.send_text(self._bot, way.chat, way.text, way.parse_mode)
            except bot_api.ClientDecodeError as error:
                if (accepted := _accepted(error.data)) is None:
                    raise
                return way.receipt(accepted)
            except _ERRORS as error:
                if not await self._another(way, error):
                    raise
            else:
                return way.receipt(str(number))

    async def _another(self, way: "_Way", error: Exception) -> bool:
        """Whether there is another way to try at once, which ``way`` is then."""
        row, told = found(TABLE, error)
        if row.then == "plain" and way.parse_mode:
            way.without_markup()
            self._tell_plain(answer(error).reason)
            return True
        if row.then == "moved" and way.moves < _MOST_MOVES:
            old, new = way.chat, str(getattr(told, "migrate_to_chat_id", way.chat))
            way.follow(new)
            await self._moves.moved(way.recipient, old, new)
            return True
        return False

    def _tell_plain(self, reason: str) -> None:
        if not self._told_plain:
            self._told_plain = True
            log.warning("telegram: %s; sent as plain text instead (told once)", reason)

    async def close(self) -> None:
        """Close the connections."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._bot.session.close()
        except TimeoutError:
            pass


class _Way:
    """How one message is sent: to which chat, in which form."""

    def __init__(self, recipient: Recipient, html: str, plain: str) -> None:
        self.recipient = recipient
        self.chat = recipient.address
        self.text = html
        self.parse_mode: str | None = "HTML"
        self.moves = 0
        self._plain = plain

    def without_markup(self) -> None:
        self.text, self.parse_mode = self._plain, None

    def follow(self, chat: str) -> None:
        self.chat, self.moves = chat, self.moves + 1

    def receipt(self, number: str) -> Receipt:
        """What Telegram said."""
        notes = [
            "ok",
            f"message {number}" if number else "",
            "" if self.parse_mode else "as plain text",
            f"in the chat it moved to, {self.chat}" if self.chat != self.recipient.address else "",
        ]
        return Receipt(number, ", ".join(filter(None, notes)))


def _accepted(answered: object) -> str | None:
    """The ID of what Telegram accepted, though aiogram cannot read its description of the message.

    To send it again because of that would be to send it for ever.
    """
    if not (isinstance(answered, dict) and answered.get("ok") is True):
        return None
    result = answered.get("result")
    return str(result.get("message_id", "")) if isinstance(result, dict) else ""
