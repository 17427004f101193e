"""Where chats have moved: a group that becomes a supergroup gets another number.

Kept in Redis, for all notifiers and over restarts. Nothing depends on it: what is not known here,
Telegram says again with the next message.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol

from redis.exceptions import RedisError

from services.notifier.channels import Recipient
from shared import keys
from shared.events import EventsWriter
from shared.redis_access import RedisAccess

log = logging.getLogger(__name__)

# A message does not wait longer for a Redis that is away.
_WITHIN_S = 1.0
_QUIET_S = 86_400.0

_CHAT = re.compile(r"-?[0-9]{1,19}")


class Moves(Protocol):
    """What is known of chats that have moved."""

    async def now_at(self, chat: str) -> str:
        """Where the chat is now; itself if it has not moved."""

    async def moved(self, recipient: Recipient, old: str, new: str) -> None:
        """Remember that the recipient's chat ``old`` is ``new`` now; never fails."""


class MovesInMemory:
    """For one process, for its lifetime."""

    def __init__(self) -> None:
        """Nothing has moved."""
        self._known: dict[str, str] = {}

    async def now_at(self, chat: str) -> str:
        """See ``Moves``."""
        return follow(self._known, chat)

    async def moved(self, recipient: Recipient, old: str, new: str) -> None:
        """See ``Moves``."""
        self._known[old] = new


class MovesInRedis:
    """For all notifiers; a move is told once, as an event with the remedy."""

    def __init__(self, access: RedisAccess, events: EventsWriter, channel: str) -> None:
        """Nothing is read before it is needed."""
        self._access, self._events = access, events
        self._key = keys.moved(channel)

    async def now_at(self, chat: str) -> str:
        """See ``Moves``."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                found: Any = await self._access.aside(
                    lambda: self._access.client.hgetall(self._key)
                )
        except (TimeoutError, RedisError) as error:
            log.debug("moves of chats cannot be read now: %s", type(error).__name__)
            return chat
        known = {old.decode(errors="replace"): new.decode(errors="replace")
                 for old, new in (found or {}).items()}  # fmt: skip
        return follow(known, chat)

    async def moved(self, recipient: Recipient, old: str, new: str) -> None:
        """See ``Moves``."""
        sentence = f"the Telegram group {old} became a supergroup: set telegram.chat_id to {new}"
        log.warning("telegram: %s; until then its messages follow it", sentence)
        client = self._access.client
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._access.aside(lambda: client.hset(self._key, old, new))
                await self._events.once(
                    f"chat:{recipient.tag}",
                    "moved",
                    f"{sentence}; until then its messages follow it",
                    quiet_s=_QUIET_S,
                )
        except (TimeoutError, RedisError) as error:
            log.warning("telegram: that cannot be noted now (%s)", type(error).__name__)


def follow(moves: Mapping[str, str], chat: str) -> str:
    """Where ``chat`` is after all its moves; what is no number, or leads back, is not followed."""
    seen = {chat}
    while (new := moves.get(chat, "")) not in seen and _CHAT.fullmatch(new):
        seen.add(new)
        chat = new
    return chat
