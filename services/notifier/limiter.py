"""Keeps a peer's rate limits over all notifiers: they ask Redis before they send.

Nothing waits here. Who may not send now is told for how long, so that what is newer, or for
somebody else, need not wait behind it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import shared
from services.notifier.channels import Recipient
from services.notifier.rate_limits import Window, telegram_windows
from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Settings

_SCRIPT = Path(shared.__file__).parent / "scripts" / "rate.lua"


class Limiter(Protocol):
    """Says whether a message may go now."""

    async def admit(self, recipient: Recipient) -> float:
        """0: go, it is counted; else the seconds after which to ask again."""


class Unlimited:
    """For a peer that has no limits."""

    async def admit(self, recipient: Recipient) -> float:
        """Go."""
        return 0.0


class SharedLimiter:
    """The windows of one channel, kept in Redis."""

    def __init__(
        self,
        access: RedisAccess,
        channel: str,
        windows: Callable[[Recipient], Sequence[Window]],
    ) -> None:
        """Keep ``windows`` of each recipient; nothing is asked yet."""
        self._access, self._channel, self._windows = access, channel, windows
        self._script = access.script(_SCRIPT.read_text())

    async def admit(self, recipient: Recipient) -> float:
        """See ``Limiter.admit``; waits through an outage of Redis, as all deliveries do."""
        windows = self._windows(recipient)
        scopes = [keys.rate(self._channel, each.scope) for each in windows]
        limits = [number for each in windows for number in (each.count, each.window_ms)]
        wait_ms = await self._access.patiently(lambda: self._script(keys=scopes, args=limits))
        return int(wait_ms) / 1000


def limiter_of(channel: str, access: RedisAccess, settings: Settings) -> Limiter:
    """The limiter of a channel: of Telegram its limits, of any other none."""
    if channel == "telegram":
        limits = settings.telegram
        windows = partial(
            telegram_windows,
            per_second=limits.messages_per_second,
            chat_per_second=limits.chat_messages_per_second,
            group_per_minute=limits.group_messages_per_minute,
        )
        return SharedLimiter(access, channel, windows)
    return Unlimited()
