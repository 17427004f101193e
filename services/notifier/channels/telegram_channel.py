"""Alerts by Telegram: one message for each chat.

Telegram has no idempotency key: a repeat after a lost answer cannot be told from a new message.
"""

import asyncio

from services.notifier.channels import Receipt, Recipient, bot_api, recipient
from services.notifier.channels.telegram_answers import answer
from services.notifier.sources import Alert
from services.notifier.wording import Wording
from shared.settings import Telegram

_CLOSE_TIMEOUT_S = 0.6  # aiogram always takes 0.25


class TelegramChannel:
    """Sends as one bot."""

    name = "telegram"

    def __init__(self, settings: Telegram, wording: Wording) -> None:
        """Prepare; nothing connects before the first message."""
        self._wording = wording
        self._bot = bot_api.open_bot(
            settings.bot_token.get_secret_value(), settings.api_url, settings.timeout_seconds
        )
        self.recipients: tuple[Recipient, ...] = tuple(map(recipient, settings.chat_id))
        self.timeout_seconds = settings.timeout_seconds

    async def send(self, alert: Alert, recipient: Recipient) -> Receipt:
        """See ``Channel.send``."""
        text = self._wording.telegram_text(alert)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                number = await bot_api.send_text(self._bot, recipient.address, text)
        except bot_api.ClientDecodeError as error:
            if (accepted := _accepted(error.data)) is None:
                raise answer(error) from None
            return accepted
        except (bot_api.AiogramError, OSError, TypeError, ValueError) as error:
            raise answer(error) from None  # the cause may hold the URL with the token
        return Receipt(str(number))

    async def close(self) -> None:
        """Close the connections."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._bot.session.close()
        except TimeoutError:
            pass


def _accepted(answered: object) -> Receipt | None:
    """What Telegram accepted, though aiogram cannot read its description of the message.

    To send it again because of that would be to send it for ever.
    """
    if not (isinstance(answered, dict) and answered.get("ok") is True):
        return None
    result = answered.get("result")
    number = result.get("message_id", "") if isinstance(result, dict) else ""
    return Receipt(str(number))
