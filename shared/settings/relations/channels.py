"""Relations between the keys of a channel: what it needs once it is wanted."""

import re
from collections.abc import Iterator

from shared.settings.relations.clash import Clash
from shared.settings.smtp import Smtp
from shared.settings.telegram import Telegram


def smtp_clashes(smtp: Smtp) -> Iterator[Clash]:
    """Of the section ``smtp``."""
    if smtp.user and not smtp.password:
        yield Clash(
            ("smtp.password", "smtp.user"),
            "is missing while smtp.user is set",
            "set the environment variable SMTP_PASSWORD, or remove user for a server without login",
        )
    if smtp.password and not smtp.user:
        yield Clash(
            ("smtp.user", "smtp.password"),
            "is missing while smtp.password is set",
            "set the login name, or remove the password",
        )


def telegram_clashes(telegram: Telegram) -> Iterator[Clash]:
    """Of the section ``telegram``, once it is enabled."""
    token = telegram.bot_token.get_secret_value()
    if not token:
        yield Clash(
            ("telegram.bot_token",),
            "is missing while telegram.enabled is true",
            "set the environment variable TELEGRAM_BOT_TOKEN, or enabled to false",
        )
    elif not re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", token):
        yield Clash(
            ("telegram.bot_token",),
            "is not of the form of a bot token, digits:letters",
            "copy it whole from @BotFather",
        )
    if not telegram.chat_id:
        yield Clash(
            ("telegram.chat_id",),
            "is missing while telegram.enabled is true",
            "set it to the number of the chat, or to @channelname; or enabled to false",
        )
    for chat in telegram.chat_id:
        if not re.fullmatch(r"-?[1-9][0-9]{0,18}|@[A-Za-z][A-Za-z0-9_]{2,}", chat):
            yield Clash(
                ("telegram.chat_id",),
                "is not a chat",
                "give the number of the chat (negative for groups), or @channelname",
            )
