"""The exchange's clock: market time that runs at a multiple of wall time, or jumps as told.

It stands at its start until ``run`` is called, and never goes back. Nothing else in the simulation
may look at the wall clock to learn what time it is on the market.
"""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Market time in ms UTC.

    Args:
        start_ms: where the clock stands until it runs.
        speed: market seconds per wall second; None means that it moves only by ``advance_to``.
        monotonic: wall seconds; replaced in tests.
    """

    def __init__(
        self, start_ms: int, speed: float | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.speed = speed
        self._base_ms = start_ms
        self._monotonic = monotonic
        self._began_s: float | None = None

    @property
    def now_ms(self) -> int:
        """Market time, in whole milliseconds."""
        if self._began_s is None or self.speed is None:
            return self._base_ms
        return self._base_ms + int((self._monotonic() - self._began_s) * self.speed * 1000)

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

    def wall_seconds_until(self, at_ms: int) -> float:
        """Wall seconds until a paced clock shows ``at_ms``; 0 when it already does."""
        if self.speed is None:
            return 0.0
        return max(0.0, (at_ms - self.now_ms) / 1000 / self.speed)

    async def reach(self, at_ms: int) -> None:
        """Wait until the clock shows ``at_ms``, or move it there when it is unpaced."""
        while (left_s := self.wall_seconds_until(at_ms)) > 0:  # noqa: ASYNC110 -- it is a clock
            await asyncio.sleep(left_s)
        self.advance_to(at_ms)
