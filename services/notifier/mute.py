"""Holds signals back while they are muted or in quiet hours, and tells them afterwards.

Recorded first, then acknowledged; the digest is an event, so it reaches everybody by every channel
with the guarantees of all events.
"""

import asyncio
import logging
from pathlib import Path
from typing import cast

import shared
from services.notifier.hold import now_ms
from services.notifier.quiet import MORE, STATE, SUBJECT, Quiet, digest, line, quiet_hours
from services.notifier.sources import Alert
from shared import keys
from shared.event import Event
from shared.local_time import quiet_minutes, span_of, zone_of
from shared.redis_access import RedisAccess
from shared.settings import Settings
from shared.trade_signal import Signal

log = logging.getLogger(__name__)

_SCRIPTS = Path(shared.__file__).parent / "scripts"
_LOOK_S = 2.0


class QuietHours:
    """The quiet hours of the configuration."""

    def __init__(self, settings: Settings) -> None:
        """Those of ``settings``."""
        self._minutes = quiet_minutes(map(span_of, settings.notifier.quiet_hours))
        self._zone = zone_of(settings.notifier.quiet_timezone)

    def at(self, now_ms: int) -> Quiet | None:
        """The quiet hours that ``now_ms`` lies in, if any."""
        return quiet_hours(self._minutes, self._zone, now_ms)


class Mute:
    """Decides for each signal that is about to be sent whether it is muted."""

    def __init__(self, access: RedisAccess, settings: Settings) -> None:
        """Nothing is read before the first signal."""
        self._access, self._hours = access, QuietHours(settings)
        self._mark_ms = int(settings.notifier.ledger_ttl_hours * 3_600_000)
        self._script = access.script((_SCRIPTS / "mute.lua").read_text())

    async def holds_back(self, alert: Alert) -> bool:
        """Whether what would be sent now is muted; it is recorded then."""
        if not isinstance(alert, Signal) or alert.test:
            return False
        at_ms = now_ms()
        hours = self._hours.at(at_ms)
        written = [keys.MUTE, keys.QUIET, keys.muted(alert.id)]
        arguments = [
            "" if hours is None else str(hours.since_ms),
            alert.id,
            line(alert),
            str(at_ms),
            str(self._mark_ms),
        ]
        reply = await self._access.patiently(lambda: self._script(keys=written, args=arguments))
        return bool(reply != b"open")


class DigestTeller:
    """Tells what was muted, as soon as signals are sent again."""

    def __init__(self, access: RedisAccess, settings: Settings, instance: str) -> None:
        """Tell as the notifier ``instance``."""
        self._access, self._hours, self._instance = access, QuietHours(settings), instance
        self._maxlen = str(settings.streams.events_maxlen)
        self._script = access.script((_SCRIPTS / "digest.lua").read_text())

    async def run(self) -> None:
        """Look every other second until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> bool:
        """Tell what there is to tell, unless signals are muted; whether it was told now."""
        at_ms = now_ms()
        if self._hours.at(at_ms) is not None:
            return False
        client = self._access.client
        held = await self._access.aside(lambda: client.hgetall(keys.QUIET))
        fields = cast("dict[bytes, bytes]", held or {})
        found = digest(fields, at_ms)
        if found is None:
            return False
        event = Event(
            sentence=found.sentence,
            subject=SUBJECT,
            state=STATE,
            service="notifier",
            instance=self._instance,
            at_ms=at_ms,
            alert=True,
            since_ms=at_ms,
            details=found.details,
            ends=True,
        )
        written = [keys.MUTE, keys.QUIET, keys.EVENTS]
        arguments: list[str | bytes | int] = [
            self._maxlen,
            fields.get(MORE.encode(), b""),
            str(len(fields)),
            *fields,
            *event.fields(),
        ]
        reply = await self._access.aside(lambda: self._script(keys=written, args=arguments))
        told = reply is not None and reply[0] == b"told"
        if told:
            log.info("%s", found.sentence)
        return told
