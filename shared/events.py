"""Operational events: told once per edge, into ``events:{signals}``, from where alerts are sent.

A *trouble* has a beginning and an end (the feed is blind, a service is down); what stands now is in
the hash ``troubles:{signals}``, so that of many processes that see it one tells, and a restarted
one knows what was told. What has no end (Redis lost data) is told once in a while at most.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from shared import keys
from shared.event import Event, Trouble, read_event, read_trouble, shown
from shared.redis_access import RedisAccess
from shared.settings import Streams

__all__ = ["Event", "EventsWriter", "Trouble", "read_event", "read_trouble"]

_SCRIPTS = Path(__file__).parent / "scripts"

# Many processes notice the same loss, each when it comes to what was lost.
_LOSS_QUIET_S = 300.0


class EventsWriter:
    """Tells events on behalf of one process."""

    def __init__(self, access: RedisAccess, service: str, instance: str, settings: Streams) -> None:
        """Tell as ``service`` ``instance``."""
        self._access, self._service, self._instance = access, service, instance
        self._maxlen = str(settings.events_maxlen)
        self._edge = access.script((_SCRIPTS / "edge.lua").read_text())
        self._once = access.script((_SCRIPTS / "once.lua").read_text())

    async def trouble(self, subject: str) -> Trouble | None:
        """What stands about ``subject`` now, whoever told it."""
        client = self._access.client
        found = await self._access.aside(lambda: client.hget(keys.TROUBLES, subject))
        return read_trouble(cast("bytes | None", found))

    async def is_over(self, subject: str, trouble: Trouble) -> bool:
        """Whether ``trouble`` stands no more; False also where somebody has spoilt what stands."""
        client = self._access.client
        found = await self._access.aside(lambda: client.hmget(keys.TROUBLES, [subject]))
        if found is None:
            return False
        [text] = cast("list[bytes | None]", found)
        return text is None or read_trouble(text) not in (None, trouble)

    async def begin(
        self,
        subject: str,
        trouble: Trouble,
        sentence: str,
        *,
        details: Mapping[str, str] | None = None,
    ) -> bool:
        """Tell that ``trouble`` began, unless one stands; whether it was told now."""
        event = self._event(
            subject, trouble.state, sentence, since_ms=trouble.since_ms, details=details
        )
        return await self._tell_edge("", trouble.text, event)

    async def end(
        self,
        subject: str,
        trouble: Trouble,
        state: str,
        sentence: str,
        *,
        details: Mapping[str, str] | None = None,
    ) -> bool:
        """Tell that ``trouble`` ended in ``state``, if just it stands; whether it was told now."""
        event = self._event(
            subject, state, sentence, since_ms=trouble.since_ms, details=details, ends=True
        )
        return await self._tell_edge(trouble.text, "", event)

    async def once(
        self,
        subject: str,
        state: str,
        sentence: str,
        *,
        quiet_s: float,
        alert: bool = True,
        details: Mapping[str, str] | None = None,
    ) -> bool:
        """Tell it, unless the same subject and state were told within ``quiet_s``."""
        event = self._event(subject, state, sentence, alert=alert, details=details)
        written = [keys.EVENTS, keys.told(subject, state)]
        arguments = [str(round(quiet_s * 1000)), self._maxlen, *event.fields()]
        return await self._told(lambda: self._once(keys=written, args=arguments))

    async def lost(self, what: str) -> None:
        """Tell that Redis has lost data, with what it was noticed by; once for all who notice."""
        sentence = f"Redis has lost data: {what}; it is being restored"
        await self.once("redis", "lost", sentence, quiet_s=_LOSS_QUIET_S)

    async def _tell_edge(self, before: str, after: str, event: Event) -> bool:
        written = [keys.EVENTS, keys.TROUBLES]
        arguments = [event.subject, before, after, self._maxlen, *event.fields()]
        return await self._told(lambda: self._edge(keys=written, args=arguments))

    async def _told(self, script: Callable[[], Awaitable[Any]]) -> bool:
        """Whether it was told now; a key that somebody spoilt keeps nobody from his work."""
        reply = await self._access.aside(script)
        return reply is not None and reply[0] == b"told"

    def _event(
        self,
        subject: str,
        state: str,
        sentence: str,
        *,
        since_ms: int | None = None,
        alert: bool = True,
        details: Mapping[str, str] | None,
        ends: bool = False,
    ) -> Event:
        now_ms = int(time.time() * 1000)
        return Event(
            sentence=shown(sentence),
            subject=subject,
            state=state,
            service=self._service,
            instance=shown(self._instance),
            at_ms=now_ms,
            alert=alert,
            since_ms=now_ms if since_ms is None else since_ms,
            details=details or {},
            ends=ends,
        )
