"""Removes the consumers that dead notifiers left: each host name, in containers each start, is one.

What a consumer holds is taken over by others first; only one that holds nothing is ever removed.
"""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from redis.exceptions import ResponseError

import shared
from services.notifier.retirement import UNHEARD_MS, Seen, retired
from services.notifier.sources import EVENTS, SIGNALS
from shared.redis_access import RedisAccess

log = logging.getLogger(__name__)

_SCRIPT = Path(shared.__file__).parent / "scripts" / "retire.lua"
_EVERY_S = 3600.0


class Consumers:
    """Those of all groups that a notifier reads in."""

    def __init__(
        self,
        access: RedisAccess,
        channels: Iterable[str],
        consumer: str,
        *,
        unheard_ms: int = UNHEARD_MS,
    ) -> None:
        """Look after the groups of ``channels``, as ``consumer``, which stays."""
        self._access, self._consumer, self._unheard_ms = access, consumer, unheard_ms
        self._groups = [
            (source.stream, channel) for channel in channels for source in (SIGNALS, EVENTS)
        ]
        self._script = access.script(_SCRIPT.read_text())

    async def keep_tidy(self) -> None:
        """Remove the dead now and every hour, until cancelled."""
        while True:
            await self.tidy()
            await asyncio.sleep(_EVERY_S)

    async def tidy(self) -> int:
        """Remove them once; how many there were."""
        removed = 0
        for stream, group in self._groups:
            names = retired(
                await self._seen(stream, group), ours=self._consumer, unheard_ms=self._unheard_ms
            )
            for name in names:
                removed += await self._remove(stream, group, name)
        return removed

    async def _seen(self, stream: str, group: str) -> list[Seen]:
        async def ask() -> list[Any]:
            try:
                return await self._access.client.xinfo_consumers(stream, group)
            except ResponseError as error:
                # The channel's own tasks make stream and group.
                if "NOGROUP" in str(error) or "no such key" in str(error):
                    return []
                raise

        rows = await self._access.aside(ask) or []
        return [Seen(row["name"], row["pending"], row["idle"]) for row in rows]

    async def _remove(self, stream: str, group: str, name: bytes) -> bool:
        arguments: list[str | bytes | int] = [group, name, self._unheard_ms]
        reply = await self._access.aside(lambda: self._script(keys=[stream], args=arguments))
        if cast("bytes | None", reply) != b"removed":
            return False
        shown = name.decode(errors="replace")
        log.info("removed %s, which read %s of %s and is gone", shown, stream, group)
        return True
