"""What each failure of the Bot API means. Pure.

A network error of aiogram wraps the more telling one of aiohttp, whose rows come first.
"""

from services.notifier.channels import Undelivered
from services.notifier.channels.answers import Row, judged

_CHECK_CHAT = "check telegram.chat_id, and write to the bot or add it to the group first"
_CHECK_TOKEN = "check telegram.bot_token (@BotFather gives a new one)"  # noqa: S105 - words
_NOT_ITS_OWN = "the Bot API gave an answer that is not its own (a proxy?)"

TABLE = (
    Row("TelegramRetryAfter", "again", "Telegram wants us to wait {after} s"),
    Row("TelegramMigrateToChat", "refused",
        "the group became a supergroup: set telegram.chat_id to {chat}"),
    Row("TelegramBadRequest", "refused", f"Telegram says {{said}}: {_CHECK_CHAT}", says="chat"),
    Row("TelegramBadRequest", "refused", "Telegram does not accept the message: {said}"),
    Row("TelegramUnauthorizedError", "refused", f"Telegram says {{said}}: {_CHECK_TOKEN}"),
    Row("TelegramNotFound", "refused",
        f"Telegram says {{said}}: {_CHECK_TOKEN}, and telegram.api_url"),
    Row("TelegramForbiddenError", "refused",
        "Telegram says {said}: unblock the bot, or add it to the chat again"),
    Row("TelegramConflictError", "again", "Telegram says {said}"),
    Row("TelegramEntityTooLarge", "refused", "the message is too large for Telegram"),
    Row("TelegramServerError", "again", "Telegram has a fault of its own: {said}"),
    Row("TokenValidationError", "refused", f"telegram.bot_token has a wrong form: {_CHECK_TOKEN}"),
    Row("ClientConnectorCertificateError", "refused",
        "the certificate of the Bot API is not trusted: check telegram.api_url"),
    Row("ClientConnectorError", "again", "the Bot API cannot be reached"),
    Row("InvalidURL", "refused", "telegram.api_url cannot be used as it is: correct it"),
    Row("TimeoutError", "again", "the Bot API did not answer in time"),
    Row("TelegramNetworkError", "again", "the connection to the Bot API broke"),
    # Telegram always says how long; a proxy in front of it may not.
    Row("TelegramAPIError", "again", "Telegram wants us to slow down", says="too many requests",
        after_seconds=30.0),
    Row("TelegramAPIError", "again", "Telegram says {said}"),
    Row("ClientDecodeError", "again", _NOT_ITS_OWN),
    Row("TypeError", "again", _NOT_ITS_OWN),  # aiogram, at a 5xx without description
    Row("OSError", "again", "the connection to the Bot API broke"),
    Row("Exception", "again", "the Bot API could not be asked"),
)  # fmt: skip


def answer(error: Exception) -> Undelivered:
    """Judge what aiogram, aiohttp or the network raised."""
    return judged(TABLE, "telegram", error)
