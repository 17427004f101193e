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
_OURS = {"__main__", "services", "shared"}


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
            log.error(
                "%s: no progress; the supervisor may end this process; its tasks wait at %s",
                ", ".join(stuck), ", ".join(waiting_places()),
            )  # fmt: skip
        if not stuck:
            told = ()
        was_stuck = bool(stuck)
        await asyncio.sleep(every_s)


def waiting_places() -> list[str]:
    """Where in our code each task of this loop waits, as ``module:line``."""
    return sorted(filter(None, (_place(task.get_coro()) for task in asyncio.all_tasks())))


def _place(awaited: object) -> str:
    """The innermost place in this project; "" where there is none."""
    place = ""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        name = frame.f_globals.get("__name__", "") if frame else ""
        if frame and name.partition(".")[0] in _OURS and name != __name__:
            place = f"{name}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None)
    return place
