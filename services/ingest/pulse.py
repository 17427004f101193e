"""Notices that this process stood still: suspended, or on a machine that slept.

What lies in a socket then has waited with us, and says nothing about when it could have been seen.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from shared import steady

_EVERY_S = 0.5
# A busy machine may keep us waiting for less.
_STOOD_STILL_S = 2.0


class Pulse:
    """Beats while the process runs."""

    def __init__(self, now_s: Callable[[], float] | None = None) -> None:
        """Begin now; ``now_s`` is a clock that goes on while the machine is suspended."""
        self.now_s = now_s or steady.now_s
        self._beat_s, self._stood_still_until_s = self.now_s(), 0.0

    def stood_still_since(self, moment_s: float) -> bool:
        """Whether the process stood still after ``moment_s`` by ``now_s``."""
        if self.now_s() - self._beat_s > _STOOD_STILL_S:  # whoever wakes first sees it
            self._stood_still_until_s = self.now_s()
        return self._stood_still_until_s > moment_s

    async def run(self) -> NoReturn:
        """Beat until cancelled."""
        while True:
            self.stood_still_since(0)
            self._beat_s = self.now_s()
            await asyncio.sleep(_EVERY_S)
