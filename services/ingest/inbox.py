"""Closed candles of one timeframe that came by WebSocket and are not in the stream yet."""

import asyncio
import time
from collections import deque
from itertools import islice

from shared.candle import Candle

# About a day and a half of 1m candles, or a tenth of a second of a replay at full speed.
MOST_WAITING = 2000


class Inbox:
    """Candles in the order of their boundaries; one task takes what others put."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: deque[Candle] = deque()
        self._filled_at = self._looked_at = 0.0
        self._news, self._roomy = asyncio.Event(), asyncio.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def crowded(self) -> bool:
        """Whether the next candle should wait for room."""
        return len(self._waiting) >= MOST_WAITING

    @property
    def oldest_ms(self) -> int | None:
        """The first boundary that waits."""
        return self._waiting[0].boundary_ms if self._waiting else None

    @property
    def newest_ms(self) -> int:
        """The last boundary that waits, 0 when nothing does."""
        return self._waiting[-1].boundary_ms if self._waiting else 0

    @property
    def age_ms(self) -> float:
        """How long something has been waiting."""
        return (time.monotonic() - self._filled_at) * 1000 if self._waiting else 0.0

    def put(self, candle: Candle) -> Candle | None:
        """Add a candle, at its place should it come out of order.

        Returns:
            The candle of the same boundary that waits already, and stays; None if there is none.
        """
        if not self._waiting:
            self._filled_at = time.monotonic()
            self._waiting.append(candle)
        elif candle.boundary_ms > self._waiting[-1].boundary_ms:
            self._waiting.append(candle)
        else:
            first = self.waiting(candle.boundary_ms)
            if first is not None:
                return first
            self._waiting = deque(
                sorted([*self._waiting, candle], key=lambda each: each.boundary_ms)
            )
        self._news.set()
        return None

    def waiting(self, boundary_ms: int) -> Candle | None:
        """The candle of this boundary, if it waits."""
        return next((each for each in self._waiting if each.boundary_ms == boundary_ms), None)

    def through(self, boundary_ms: int, interval_ms: int) -> int:
        """The last boundary up to which, from ``boundary_ms`` on, nothing is absent here."""
        for each in self._waiting:
            if each.boundary_ms == boundary_ms + interval_ms:
                boundary_ms = each.boundary_ms
        return boundary_ms

    def first(self, most: int) -> list[Candle]:
        """The first ``most`` candles, which stay."""
        self._looked_at = time.monotonic()
        return list(islice(self._waiting, most))

    def forget_through(self, boundary_ms: int) -> None:
        """Drop the candles up to ``boundary_ms``."""
        waiting = self._waiting
        while waiting and waiting[0].boundary_ms <= boundary_ms:
            waiting.popleft()
        self._filled_at = self._looked_at  # what stayed has come since, but for a gap
        if len(waiting) < MOST_WAITING:
            self._roomy.set()

    def forget_after(self, boundary_ms: float, through_ms: int) -> int:
        """Drop the candles after ``boundary_ms`` and up to ``through_ms``; how many they were."""
        before = len(self._waiting)
        self._waiting = deque(
            each for each in self._waiting if not boundary_ms < each.boundary_ms <= through_ms
        )
        return before - len(self._waiting)

    def wake(self) -> None:
        """Let ``news`` return: what waits may fit now."""
        self._news.set()

    async def news(self) -> None:
        """Wait until something was put since the last time, or ``wake`` was called."""
        await self._news.wait()
        self._news.clear()

    async def room(self, patience_s: float) -> int:
        """Wait for room, and after ``patience_s`` make it; how many candles that cost."""
        self._roomy.clear()
        if not self.crowded:
            return 0
        try:
            async with asyncio.timeout(patience_s):
                await self._roomy.wait()
        except TimeoutError:
            lost = len(self._waiting)
            self._waiting.clear()
            return lost
        return 0
