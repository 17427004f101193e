"""Keeps a supervisor informed for as long as the process really goes on.

This runs in the event loop, so a loop that hangs tells nothing. While a work loop is stuck the
status goes on, so that a person can read which, but the watchdog is not fed: the supervisor ends
the process and starts it afresh.
"""

import asyncio
import logging
import time

from shared.progress import Progress
from shared.sd_notify import Supervisor

log = logging.getLogger(__name__)

_EVERY_S = 5.0
# So often in a watchdog's time, that one late round does no harm.
_ROUNDS = 4


async def keep_telling(supervisor: Supervisor, progress: Progress) -> None:
    """Tell until cancelled; at once without a supervisor."""
    if not supervisor.listens:
        return
    every_s = min(_EVERY_S, (supervisor.watchdog_s or _EVERY_S) / _ROUNDS)
    told: tuple[str, ...] = ()
    was_stuck = False
    while True:
        stuck = progress.turns.stuck(time.monotonic())
        status = f"stuck: {', '.join(stuck)}" if stuck else progress.status()
        supervisor.tell(status, alive=not stuck)
        # At once only after the whole process stood still: the next round shows whether it goes on.
        if stuck and was_stuck and not told:
            told = stuck
            log.error("%s: no progress; the supervisor may end this process", ", ".join(stuck))
        if not stuck:
            told = ()
        was_stuck = bool(stuck)
        await asyncio.sleep(every_s)
