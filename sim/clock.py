"""The exchange's clock: market time that runs at a multiple of wall time, or jumps as told.

It stands at its start until ``run`` is called, and never goes back. Nothing else in the simulation
may look at the wall clock to learn what time it is on the market.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress


class Clock:
    """Market time in ms UTC.

    Args:
        start_ms: where the clock stands until it runs.
        speed: market seconds per wall second; None means that it moves only by ``advance_to``.
        monotonic: wall seconds; replaced in tests.

    Attributes:
        skew_ms: by how much it has been set ahead of its own pace (behind, when negative).
    """

    def __init__(
        self, start_ms: int, speed: float | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.speed = speed
        self.skew_ms = 0
        self._base_ms = start_ms
        self._least_ms = start_ms
        self._monotonic = monotonic
        self._began_s: float | None = None
        self._nudged = asyncio.Event()

    @property
    def now_ms(self) -> int:
        """Market time, in whole milliseconds."""
        if self._began_s is None or self.speed is None:
            return self._base_ms
        return max(self._least_ms, self._pace_ms(self._began_s, self.speed))

    @property
    def paced(self) -> bool:
        """Whether time passes by itself."""
        return self._began_s is not None

    def run(self) -> None:
        """Let a paced clock go; without effect when it already runs."""
        if self._began_s is None and self.speed is not None:
            self._began_s = self._monotonic()

    def stand_at(self, at_ms: int) -> None:
        """Stop at ``at_ms`` for good."""
        self._base_ms = at_ms
        self._began_s = None
        self.speed = None

    def advance_to(self, at_ms: int) -> None:
        """Move an unpaced clock forward; an earlier time changes nothing."""
        if self._began_s is None and at_ms > self._base_ms:
            self._base_ms = at_ms

    def skew(self, by_ms: int) -> None:
        """Set a paced clock ahead at once, or let it stand until it is behind by ``-by_ms``.

        It stands instead of going back, because a candle that has closed cannot open again. A
        clock that follows its clients (full speed) has no pace to differ from: nothing changes.
        """
        if self.speed is None:
            return
        self._least_ms = self.now_ms
        self._base_ms += by_ms
        self.skew_ms += by_ms
        self.nudge()

    def nudge(self) -> None:
        """Let whoever waits in ``approach`` look again."""
        self._nudged.set()

    def wall_seconds_until(self, at_ms: int) -> float:
        """Wall seconds until a paced clock shows ``at_ms``; 0 when it already does."""
        if self.speed is None or at_ms <= self.now_ms:
            return 0.0
        pace_ms = (
            self._base_ms if self._began_s is None else self._pace_ms(self._began_s, self.speed)
        )
        return max(0.0, (at_ms - pace_ms) / 1000 / self.speed)

    async def approach(self, at_ms: int) -> None:
        """Wait until the clock shows about ``at_ms`` or somebody nudges it, whichever is first."""
        left_s = self.wall_seconds_until(at_ms)
        if left_s <= 0:
            return
        self._nudged.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._nudged.wait()

    async def reach(self, at_ms: int) -> None:
        """Wait until the clock shows ``at_ms``, or move it there when it is unpaced."""
        while self.wall_seconds_until(at_ms) > 0:
            await self.approach(at_ms)
        self.advance_to(at_ms)

    def _pace_ms(self, began_s: float, speed: float) -> int:
        """What the clock would show if it could go back."""
        return self._base_ms + int((self._monotonic() - began_s) * speed * 1000)
