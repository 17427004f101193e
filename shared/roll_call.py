"""The roll call: every service answers it with each heartbeat, and sees who does not.

So no service is watched by one other, which may be dead too: whoever lives tells of the others, and
``events`` sees to it that one of them does. A service counts, not an instance: while one of two is
there, its work is done. When all are stopped, nobody is left to tell.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from shared import keys
from shared.event import Trouble, read_trouble
from shared.events import EventsWriter
from shared.redis_access import RedisAccess
from shared.settings import Health
from shared.times import lasting, utc

_SCRIPT = Path(__file__).parent / "scripts" / "roll_call.lua"

# However short ``ttl_seconds`` is: one answer that comes late is no silence.
_MISSED_ANSWERS = 5


def longest_silence_s(settings: Health) -> float:
    """How long a service may be silent before it is down."""
    return max(settings.ttl_seconds, _MISSED_ANSWERS * settings.interval_seconds)


class RollCall:
    """Answers on behalf of one process, and tells who went silent and who is back."""

    def __init__(
        self,
        access: RedisAccess,
        events: EventsWriter,
        service: str,
        settings: Health,
        *,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """Answer as ``service``, and say whether it is ``ready`` to do its work.

        Who is not ready is not down, but nobody outside is told that all is well.
        """
        self._access, self._events, self._service = access, events, service
        self._ready = ready
        self._interval_s = settings.interval_seconds
        self._longest_s = longest_silence_s(settings)
        self._script = access.script(_SCRIPT.read_text())

    async def keep_answering(self) -> None:
        """Answer until cancelled."""
        while True:
            await self.answer()
            await asyncio.sleep(self._interval_s)

    async def answer(self) -> None:
        """Answer once, and tell what changed."""
        called = [keys.SERVICES, keys.TROUBLES]
        longest_ms, is_ready = round(self._longest_s * 1000), int(self._ready())
        arguments = [self._service, str(longest_ms), str(is_ready)]
        reply = await self._access.aside(lambda: self._script(keys=called, args=arguments))
        if reply is None:  # somebody spoilt a key, which has been told
            return
        now, stands, *silent = (text.decode() for text in cast("list[bytes]", reply))
        trouble = read_trouble(stands)
        if trouble is not None:
            await self._tell_up(trouble, int(now))
        for service, last in zip(silent[::2], silent[1::2], strict=True):
            await self._tell_down(service, int(last))

    async def _tell_up(self, trouble: Trouble, now_ms: int) -> None:
        sentence = f"{self._service} UP after {lasting(now_ms - trouble.since_ms)}"
        await self._events.end(keys.service_subject(self._service), trouble, "up", sentence)

    async def _tell_down(self, service: str, last_ms: int) -> None:
        sentence = (
            f"{service} DOWN since {utc(last_ms)}: no instance has answered for"
            f" {self._longest_s:g} s; ./btc-scanner status says what to do"
        )
        await self._events.begin(keys.service_subject(service), Trouble("down", last_ms), sentence)
