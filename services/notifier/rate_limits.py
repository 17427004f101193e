"""How many messages a peer takes in what time: which windows a message must fit. Pure."""

from dataclasses import dataclass

from services.notifier.channels import Recipient

# Messages do not arrive at the distances at which they were sent: those of a second may come in
# less. So each window is taken a little longer than the peer's.
_MARGIN = 1.05


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``count`` messages within any ``window_ms``.

    Attributes:
        scope: What counts together, in the name of a key; names no person.
    """

    scope: str
    count: int
    window_ms: int


def telegram_windows(
    recipient: Recipient, *, per_second: int, chat_per_second: int, group_per_minute: int
) -> tuple[Window, ...]:
    """All that a message to a chat must fit: those of the bot, of the chat, of a group."""
    second, minute = round(1000 * _MARGIN), round(60_000 * _MARGIN)
    windows = (
        Window("all", per_second, second),
        Window(f"chat:{recipient.tag}", chat_per_second, second),
    )
    if not _is_group(recipient.address):
        return windows
    group = Window(f"group:{recipient.tag}", group_per_minute, minute)
    return (*windows, group)


def _is_group(chat: str) -> bool:
    """People have numbers above 0; groups and channels such below, or a name."""
    return chat.startswith(("-", "@"))
