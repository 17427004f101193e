"""Keeps the frames coming, one connection after the other, each overlapping the one before it.

What is planned (age, an announced end, a mute stream) overlaps: the new connection delivers before
the old one is closed, and if it cannot be had, the old one stays. One loop makes all attempts, so
there are never two at once. What comes twice meanwhile is the receiver's to bear.
"""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import NoReturn, Protocol

from services.ingest.connection import Connection, Receiver, Silent, explain
from services.ingest.hosts import Turns, is_loopback
from services.ingest.limits import Attempts
from services.ingest.pulse import Pulse
from services.ingest.watch import MutePauses

log = logging.getLogger(__name__)

# The exchange cuts a connection at 24 hours. Before that there must be time for attempts in vain.
PLANNED_AGE_S = 23 * 3600.0
# Processes that were started together must not all change at once: up to so much younger.
_JITTER = 0.05
# What the old connection was sent before the new one opened may still be on its way.
_OVERLAP_S = 1.0
# A host that delivers and ends the connection within this time is not to be trusted more than
# one that delivers nothing.
_SHORT_LIFE_S = 60.0


class Listener(Receiver, Protocol):
    """A receiver that also wants to know how its connections are."""

    def opened(self, *, beside: bool) -> None:
        """A connection was made, ``beside`` one that delivers or (False) after a time without."""

    def handed_over(self) -> None:
        """A connection took over from one that still stood."""

    def changed(self, state: str) -> None:
        """The state of the connection, in words."""


class Succession:
    """Follows the combined stream ``path``, which carries ``timeframes``."""

    def __init__(
        self,
        hosts: Sequence[str],
        path: str,
        timeframes: Sequence[str],
        listener: Listener,
        *,
        silence_s: float,
        planned_age_s: float = PLANNED_AGE_S,
    ) -> None:
        """Prepare; nothing connects yet.

        Args:
            hosts: Base URLs, which take turns when one fails.
            path: Of the combined stream.
            timeframes: Which are expected to be heard there.
            listener: Gets the frames.
            silence_s: Without market data for so long a connection is dead, a stream mute.
            planned_age_s: A connection is replaced before it is older.
        """
        self._turns, self._path, self._timeframes = Turns(hosts), path, tuple(timeframes)
        self._listener, self._silence_s = listener, silence_s
        self._planned_age_s = planned_age_s
        # The limit is the exchange's; a simulated one on this machine has none.
        limited = not all(is_loopback(host) for host in hosts)
        self._attempts = Attempts() if limited else Attempts(most=None)
        self._mute_pauses = MutePauses()
        self._current: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def delivers(self) -> bool:
        """Whether there is a connection that brings market data."""
        return self._current is not None

    async def follow(self) -> NoReturn:
        """Hand frames to the listener until cancelled."""
        async with asyncio.TaskGroup() as group:
            pulse = Pulse()
            group.create_task(pulse.run())
            while True:
                new = Connection(
                    self._turns.host,
                    self._path,
                    self._timeframes,
                    self._listener,
                    silence_s=self._silence_s,
                    pulse=pulse,
                )
                task = group.create_task(self._live(new))
                if await self._proves_itself(new):
                    self._hand_over(new, task)
                    why = await self._reason_to_replace(new)
                else:
                    why = explain(new.ended) if new.ended else "is about to close again"
                    task.cancel()
                self._judge_host(new)
                await self._until_next_attempt(new, why)

    async def _until_next_attempt(self, last: Connection, why: str) -> None:
        delay_s = self._attempts.delay_s(time.monotonic(), last.pause_s)
        if self._current is None:
            what = "connecting again"
        elif self._current is last:
            what = "replacing it"
        else:
            what = f"{self._current.host} goes on, trying again"
        log.warning("%s %s; %s in %.1f s", last.host, why, what, delay_s)
        await asyncio.sleep(delay_s)

    async def _live(self, connection: Connection) -> None:
        await connection.run()
        if self._current in (None, connection) and connection.ended is not None:
            self._current = None
            self._listener.changed(f"disconnected: {explain(connection.ended)}")

    async def _proves_itself(self, new: Connection) -> bool:
        """Wait until ``new`` has delivered; False if it will not."""
        while new.opened_s is None and new.ended is None:
            await new.news()
        if new.opened_s is not None:
            log.info("WebSocket connection established (%s)", new.host)
            self._listener.opened(beside=self._current is not None)
            if self._current is None:
                self._listener.changed(f"connected to {new.host}")
        while not (new.delivered or new.leaving or new.ended is not None):
            await new.news()
        return new.delivered and new.ended is None

    def _hand_over(self, new: Connection, task: asyncio.Task[None]) -> None:
        """Let the old connection end shortly: ``new`` delivers."""
        self._attempts.delivered()
        if self._current is not None and self._task is not None:
            asyncio.get_running_loop().call_later(_OVERLAP_S, self._task.cancel)
            log.info("%s delivers; closing the connection before it", new.host)
            self._listener.handed_over()
        self._current, self._task = new, task
        self._listener.changed(f"connected to {new.host}")

    async def _reason_to_replace(self, current: Connection) -> str:
        """Wait until ``current`` has ended or should be replaced; why, in words."""
        age_s = self._planned_age_s * random.uniform(1 - _JITTER, 1)
        end_s = (current.opened_s or time.monotonic()) + age_s
        told = ""
        while current.ended is None and not current.leaving:
            now_s = time.monotonic()
            left_s = end_s - now_s
            if left_s <= 0:
                return "has reached its planned age"
            if current.mute != told:
                told = current.mute
                quiet = f", which sends no {told}" if told else ""
                self._listener.changed(f"connected to {current.host}{quiet}")
            if told:
                left_s = min(left_s, self._mute_pauses.left_s(now_s))
                if left_s <= 0:
                    self._mute_pauses.replaced(now_s)
                    return f"sends no {told} although others come"
            await current.news(left_s)
        return explain(current.ended) if current.ended else "announces that it will close"

    def _judge_host(self, seen: Connection) -> None:
        """Turn to another host unless this one served well, and for long."""
        short = seen.opened_s is None or time.monotonic() - seen.opened_s < _SHORT_LIFE_S
        ended_soon = seen.ended is not None and short
        if ended_soon or seen.mute or not seen.delivered or isinstance(seen.ended, Silent):
            self._turns.failed(seen.host)
