"""The section ``telegram``."""

from typing import Annotated

from pydantic import Field, SecretStr

from shared.settings.fields.numbers import Seconds
from shared.settings.fields.recipients import Chats
from shared.settings.fields.texts import Secret
from shared.settings.fields.urls import HttpUrl
from shared.settings.section import Section


class Telegram(Section):
    """The Telegram bot."""

    enabled: bool = Field(default=False, description="true = send alerts to Telegram.")
    bot_token: Secret = Field(
        default=SecretStr(""),
        description="Token from @BotFather; better in TELEGRAM_BOT_TOKEN.",
    )
    chat_id: Chats = Field(
        default=(),
        description="Chat, or list of chats: a number or @channelname.",
        examples=[123456789],
    )
    api_url: HttpUrl = Field(
        default="https://api.telegram.org", description="Base URL of the Bot API."
    )
    timeout_seconds: Seconds = Field(
        default=15.0, description="Seconds that one delivery may take."
    )
    messages_per_second: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=30,
        description="Messages per second to all chats together, of all notifiers; "
        "Telegram allows a bot 30.",
    )
    chat_messages_per_second: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Messages per second to one chat; Telegram allows 1."
    )
    group_messages_per_minute: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=20,
        description="Messages per minute to one group or channel; Telegram allows 20.",
    )
