"""Tells when one candle comes with two values: the first stays in the stream.

Publishing waits for nothing here: what is to be told goes through a short queue to a task of its
own, and what does not fit in is only counted.
"""

import asyncio
import time
from typing import NoReturn

from services.ingest.published import differ
from services.ingest.stream_reader import StreamReader
from shared.candle import Candle
from shared.decimals import shortest
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.times import utc

_MOST_WAITING = 32
# Of two processes side by side each sees every candle of the other a second time.
_READ_BACK_EVERY_S = 1.0
_QUIET_S = 86_400.0

_Doubt = tuple[str, Candle | None, Candle]


class Conflicts:
    """What came twice, of one market."""

    def __init__(
        self, symbol: str, reader: StreamReader, events: EventsWriter, heartbeat: Heartbeat
    ) -> None:
        """Tell of ``symbol`` (``BTCUSDT``) through ``events``."""
        self._symbol, self._reader, self._events = symbol, reader, events
        self._heartbeat = heartbeat
        self._waiting: asyncio.Queue[_Doubt] = asyncio.Queue(_MOST_WAITING)
        self._read_back_at_s: dict[str, float] = {}

    def twice(self, timeframe: str, first: Candle | None, second: Candle) -> None:
        """A candle came ``second``; None if somebody else has put the first into the stream.

        That one is read back now and then only.
        """
        if first is not None:
            if differ(first, second):
                self._heartbeat.counters["conflicts"] += 1
                self._put((timeframe, first, second))
            return
        now_s = time.monotonic()
        if now_s >= self._read_back_at_s.get(timeframe, now_s):
            self._read_back_at_s[timeframe] = now_s + _READ_BACK_EVERY_S
            self._put((timeframe, None, second))

    def _put(self, doubt: _Doubt) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait(doubt)

    async def run(self) -> NoReturn:
        """Tell until cancelled."""
        while True:
            doubt = await self._waiting.get()
            await self._settle(*doubt)

    async def _settle(self, timeframe: str, first: Candle | None, second: Candle) -> None:
        if first is None:
            first = await self._reader.candle(timeframe, second.boundary_ms)
            if first is None or not differ(first, second):
                return
            self._heartbeat.counters["conflicts"] += 1
        await self._tell(timeframe, first, second)

    async def _tell(self, timeframe: str, first: Candle, second: Candle) -> None:
        boundary_ms = second.boundary_ms
        await self._events.once(
            f"candle:{self._symbol}:{timeframe}:{boundary_ms}",
            "differs",
            f"{self._symbol} {timeframe} candle of {utc(boundary_ms)} came with two values:"
            f" {_shown(first)}, which stays, and then {_shown(second)}",
            quiet_s=_QUIET_S,
            alert=False,
            details={"kept": _shown(first), "other": _shown(second)},
        )


def _shown(candle: Candle) -> str:
    source = {"ws": "WebSocket", "rest": "REST"}.get(candle.source, candle.source)
    if candle.missing:
        return f"none by {source}"
    prices = (candle.open, candle.high, candle.low, candle.close)
    shown = " ".join(shortest(price) for price in prices)
    return f"{shown} volume {shortest(candle.volume)} by {source}"
