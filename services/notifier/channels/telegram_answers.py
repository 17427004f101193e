"""What each failure of the Bot API means. Pure.

A network error of aiogram wraps the more telling one of aiohttp, whose rows come first.
"""

from services.notifier.channels import Undelivered
from services.notifier.channels.answers import Row, judged

_CHECK_CHAT = "check telegram.chat_id, and write to the bot or add it to the group first"
_CHECK_TOKEN = "check telegram.bot_token (@BotFather gives a new one)"  # noqa: S105 - words
_NOT_ITS_OWN = "the Bot API gave an answer that is not its own (a proxy?)"

TABLE = (
    Row("429 with retry_after", "TelegramRetryAfter", "again",
        "Telegram wants us to wait {after} s"),
    Row("400 with migrate_to_chat_id", "TelegramMigrateToChat", "moved",
        "the group became a supergroup: set telegram.chat_id to {chat}"),
    Row("400 can't parse entities", "TelegramBadRequest", "plain",
        "Telegram does not accept the message: {said}", says="parse entities"),
    Row("400 chat not found", "TelegramBadRequest", "refused",
        f"Telegram says {{said}}: {_CHECK_CHAT}", says="chat"),
    Row("any other 400", "TelegramBadRequest", "refused",
        "Telegram does not accept the message: {said}"),
    Row("401: the token was revoked", "TelegramUnauthorizedError", "broken",
        f"Telegram says {{said}}: {_CHECK_TOKEN}"),
    Row("404: the token or telegram.api_url is wrong", "TelegramNotFound", "broken",
        f"Telegram says {{said}}: {_CHECK_TOKEN}, and telegram.api_url"),
    Row("403: blocked, kicked, or never written to", "TelegramForbiddenError", "refused",
        "Telegram says {said}: unblock the bot, or add it to the chat again"),
    Row("409", "TelegramConflictError", "again", "Telegram says {said}"),
    Row("413 as JSON", "TelegramEntityTooLarge", "refused",
        "the message is too large for Telegram"),
    Row("5xx as JSON", "TelegramServerError", "again", "Telegram has a fault of its own: {said}"),
    Row("(no call: the token has a wrong form)", "TokenValidationError", "broken",
        f"telegram.bot_token has a wrong form: {_CHECK_TOKEN}"),
    Row("its certificate is expired, self-signed or for another host",
        "ClientConnectorCertificateError", "broken",
        "the certificate of the Bot API is not trusted ({said}): check telegram.api_url"),
    Row("refuses the connection, or its name is unknown", "ClientConnectorError", "again",
        "the Bot API cannot be reached"),
    Row("(no call: telegram.api_url is no address)", "InvalidURL", "broken",
        "telegram.api_url cannot be used as it is: correct it"),
    Row("does not answer in time (it may have sent the message)", "TimeoutError", "again",
        "the Bot API did not answer in time"),
    Row("closes the connection (it may have sent the message)", "TelegramNetworkError", "again",
        "the connection to the Bot API broke"),
    # Telegram always says how long; a proxy in front of it may not.
    Row("429 without retry_after", "TelegramAPIError", "again", "Telegram wants us to slow down",
        says="too many requests", after_seconds=30.0),
    Row("any other code", "TelegramAPIError", "again", "Telegram says {said}"),
    Row("HTML or anything else that is not JSON (a proxy: 502, 413)", "ClientDecodeError", "again",
        _NOT_ITS_OWN),
    Row("5xx as JSON without description", "TypeError", "again", _NOT_ITS_OWN),  # of aiogram
    Row("resets the connection", "OSError", "again", "the connection to the Bot API broke"),
    Row("fails in another way", "Exception", "again", "the Bot API could not be asked"),
)  # fmt: skip


def answer(error: Exception) -> Undelivered:
    """Judge what aiogram, aiohttp or the network raised."""
    return judged(TABLE, "telegram", error)
