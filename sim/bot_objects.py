"""Users and chats as the Bot API shows them."""

from typing import Any

_GIFTS = {
    "accepted_gift_types": {
        "unlimited_gifts": True,
        "limited_gifts": True,
        "unique_gifts": True,
        "premium_subscription": True,
        "gifts_from_channels": True,
    }
}


def me(token: str) -> dict[str, Any]:
    """The bot, as getMe tells."""
    return {
        "id": int(token.partition(":")[0]),
        "is_bot": True,
        "first_name": "Scanner",
        "username": "simulated_scanner_bot",
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
    }


def sender(token: str) -> dict[str, Any]:
    """The bot, as the sender of a message."""
    return {k: v for k, v in me(token).items() if not k.startswith(("can", "supp"))}


def chat(chat_id: int) -> dict[str, Any]:
    """A chat, as a message shows it."""
    if chat_id < 0:
        return {"id": chat_id, "type": "supergroup", "title": "Traders"}
    return {"id": chat_id, "type": "private", "first_name": "Trader"}


def full_chat(chat_id: int) -> dict[str, Any]:
    """A chat, as getChat tells."""
    return chat(chat_id) | {"accent_color_id": 0, "max_reaction_count": 11} | _GIFTS
