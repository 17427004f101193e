"""Ends a service that hangs, so that its supervisor starts it afresh.

What counts is that the process answers at its door, whatever it says: one that waits for Redis or
for the exchange is not helped by a restart. Rounds are counted instead of time, so that a machine
that slept proves nothing. Whoever else holds the door is not judged.
"""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress

from cli.doors import knock

EVERY_S = 10.0
PATIENCE_S = 5.0
ROUNDS = 4
# For the traceback that SIGABRT makes it write.
_LAST_WORDS_S = 2.0


async def end_if_hung(name: str, door: str, process: Process, say: Callable[[str], None]) -> None:
    """Return once the process was silent for some rounds in a row, and is being ended."""
    silent = 0
    while silent < ROUNDS:
        await asyncio.sleep(EVERY_S)
        found = await knock(door, PATIENCE_S)
        silent = silent + 1 if found.hangs and found.pid == process.pid else 0
    say(f"{name} has not answered for {ROUNDS * (EVERY_S + PATIENCE_S):g} s: it hangs; ending it")
    for number in (signal.SIGABRT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        await asyncio.sleep(_LAST_WORDS_S)
