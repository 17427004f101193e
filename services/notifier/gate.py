"""Whether a channel may be used now, for all replicas together; the state is in Redis.

It is closed for as long as the peer asked (429), or because nobody can be served before a person
did something (a wrong password). A broken channel is probed: one attempt per ``probe_s``, by one of
the replicas, until one succeeds. That it broke and that it works again is told once each, by the
other channels.
"""

import logging
from pathlib import Path
from typing import Any

import shared
from services.notifier.decisions import channel_subject
from services.notifier.hold import now_ms
from shared import keys
from shared.event import Trouble, read_trouble
from shared.events import EventsWriter
from shared.redis_access import RedisAccess

log = logging.getLogger(__name__)

BROKEN = "broken"

_SCRIPT = Path(shared.__file__).parent / "scripts" / "gate.lua"

# By which a new process knows that what closed the gate may have been repaired since.
_REPAIRABLE = (b"broken", b"probing")


class Gate:
    """One channel's gate."""

    def __init__(
        self, access: RedisAccess, events: EventsWriter, channel: str, *, probe_s: float
    ) -> None:
        """Nothing is asked before the first operation."""
        self._access, self._events, self._channel = access, events, channel
        self._key, self._subject = keys.gate(channel), channel_subject(channel)
        self._probe_ms = max(1, round(probe_s * 1000))
        self._broken: Trouble | None = None
        self._script = access.script(_SCRIPT.read_text())

    async def start(self) -> None:
        """Let a new process try at once what an old one found broken: it may know better."""
        text = await self._access.value(self._key)
        if text is not None and text.startswith(_REPAIRABLE):
            await self._access.patiently(lambda: self._access.client.delete(self._key))

    async def closed_s(self) -> float:
        """Seconds until an attempt may be made; 0 = now."""

        async def look() -> list[Any]:
            async with self._access.client.pipeline(transaction=False) as pipe:
                pipe.pttl(self._key)
                pipe.hget(keys.TROUBLES, self._subject)
                answers = await pipe.execute(raise_on_error=False)
            for each in answers:
                # Somebody may have spoilt the troubles; they decide only how often to try.
                if isinstance(each, Exception) and not str(each).startswith("WRONGTYPE"):
                    raise each
            return list(answers)

        remaining_ms, text = await self._access.patiently(look)
        if remaining_ms > 0:  # and perhaps for long, should the clock have been set back
            cut_ms = await self._close("", 0, "")
            # One that was opened just now was closed: nothing is tried by what was seen before.
            remaining_ms = cut_ms if cut_ms > 0 else remaining_ms
        trouble = read_trouble(text) if isinstance(text, bytes) else None
        self._broken = trouble if trouble and trouble.state == BROKEN else None
        if remaining_ms == -1:  # made by hand, and would stand for ever
            await self._access.patiently(
                lambda: self._access.client.pexpire(self._key, self._probe_ms)
            )
            return self._probe_ms / 1000
        return max(0, int(remaining_ms)) / 1000

    async def enter(self) -> bool:
        """Whether an attempt may be made now: of a broken channel only one at a time."""
        if await self.closed_s() > 0:
            return False
        return self._broken is None or await self._may_probe()

    async def _may_probe(self) -> bool:
        client = self._access.client
        text = f"probing ({_seconds(self._probe_ms)} s)"
        taken = await self._access.patiently(
            lambda: client.set(self._key, text, nx=True, px=self._probe_ms)
        )
        return bool(taken)

    async def pause(self, seconds: float, reason: str) -> None:
        """Let nobody try for so long, unless a longer pause stands."""
        await self._close("paused", max(1, round(seconds * 1000)), reason)

    async def break_(self, reason: str) -> None:
        """Close it until a probe succeeds, and tell so once."""
        # What the peer asked for may last longer; that stays as it is.
        await self._close("broken", self._probe_ms, reason)
        trouble = Trouble(BROKEN, now_ms())
        told = await self._events.begin(
            self._subject,
            trouble,
            f"{self._channel} is broken, nothing is sent by it: {reason};"
            f" what it misses waits, and is sent when it works again",
        )
        if told:  # by that to people: a line of the alarm would tell them twice
            log.warning("%s is broken: %s", self._channel, reason)

    async def _close(self, word: str, closed_ms: int, reason: str) -> int:
        """See the script; for how long it is closed, ms."""
        arguments = [word, _seconds(closed_ms), reason]
        return int(
            await self._access.patiently(lambda: self._script(keys=[self._key], args=arguments))
        )

    async def worked(self) -> bool:
        """Open it after a success; whether it was broken."""
        trouble, self._broken = self._broken, None
        if trouble is None:
            return False
        await self._access.patiently(lambda: self._access.client.delete(self._key))
        await self._events.end(self._subject, trouble, "recovered", f"{self._channel} works again")
        log.info("%s works again", self._channel)
        return True


def _seconds(milliseconds: int) -> str:
    """``0.2``, ``300``: as the gate's text says it."""
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")
