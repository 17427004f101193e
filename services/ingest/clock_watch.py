"""Asks the exchange for its time every minute, and tells when our own clock is wrong.

Nothing here decides by our clock; but ages of signals, and a person reading logs, do.
"""

import asyncio
import socket
import time
from contextlib import suppress
from typing import NoReturn

from services.ingest.rest import Rest, Unreachable
from services.ingest.skew import (
    clock_edge,
    right_sentence,
    skewed_sentence,
    unwatched_sentence,
)
from shared.events import EventsWriter, Trouble
from shared.health import Heartbeat

_EVERY_S = 60.0
_FIRST_EVERY_S = 1.0


class ClockWatch:
    """Watches the clock of this machine."""

    def __init__(
        self, rest: Rest, events: EventsWriter, heartbeat: Heartbeat, most_ms: float | None
    ) -> None:
        """Tell of more than ``most_ms``; None = of nothing."""
        self._rest, self._events, self._heartbeat = rest, events, heartbeat
        self._most_ms, self._unwatched = most_ms, False
        self._host = socket.gethostname()

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_FIRST_EVERY_S if self._rest.skew.ms is None else _EVERY_S)

    async def look(self) -> None:
        """Compare the clocks once."""
        with suppress(Unreachable):  # the feeds say so
            await self._rest.server_time()
        skew_ms = self._rest.skew.ms
        if skew_ms is not None:
            self._heartbeat.facts["clock_skew_ms"] = f"{skew_ms:.0f}"
        if self._most_ms is None:
            await self._stop_watching()
        elif skew_ms is not None:
            await self._judge(skew_ms, self._most_ms)

    async def _stop_watching(self) -> None:
        """End, once, what a process with a limit has told: nobody else would."""
        if self._unwatched:
            return
        self._unwatched, subject = True, f"clock:{self._host}"
        stands = await self._events.trouble(subject)
        if stands is not None:
            await self._events.end(subject, stands, "unwatched", unwatched_sentence(self._host))

    async def _judge(self, skew_ms: float, most_ms: float) -> None:
        subject = f"clock:{self._host}"
        stands = await self._events.trouble(subject)
        wrong = clock_edge(skew_ms, most_ms, told=stands is not None)
        details = {"clock_skew_ms": f"{skew_ms:.0f}"}
        if wrong and stands is None:
            trouble = Trouble("skewed", int(time.time() * 1000))
            sentence = skewed_sentence(self._host, skew_ms)
            await self._events.begin(subject, trouble, sentence, details=details)
        elif stands is not None and not wrong:
            sentence = right_sentence(self._host, skew_ms)
            await self._events.end(subject, stands, "right", sentence, details=details)
