"""Lets what tells of the feed fail without ending the feed: somebody may have spoilt a key."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from shared.log import Throttle

log = logging.getLogger(__name__)

_SAY_AGAIN_AFTER_S = 60.0
_PAUSE_S = 1.0


class Endurance:
    """Goes on after errors that waiting does not mend."""

    def __init__(self, what: str) -> None:
        """Call ``what`` fails by that name in the log."""
        self._what, self._throttle = what, Throttle(_SAY_AGAIN_AFTER_S)

    async def bear(self, step: Callable[[], Awaitable[object]]) -> None:
        """Run ``step``; should Redis refuse it, say so now and then, and go on."""
        try:
            await step()
        except RedisError as error:
            if self._throttle.admit(self._what, time.monotonic()) is not None:
                log.error("Cannot tell of %s: %s", self._what, error)
            await asyncio.sleep(_PAUSE_S)
