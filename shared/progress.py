"""How a work loop shows that it turns, wherever in its calls that is known.

``watched`` begins a loop; whatever runs inside, its child tasks too, says ``turned``. Each try of
``RedisAccess.patiently`` does so, so that few loops need to. Without a supervisor that listens
(see ``shared.watchdog``) all of this does nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

from shared.turns import Loop, Turns

T = TypeVar("T")

# Above what any round waits for: a request to the exchange, a try at Redis, a pause between tries.
ROUND_S = 60.0
_NAP_S = 10.0


class Progress:
    """What one process tells its supervisor: whether it goes on, and how it is in one line."""

    def __init__(self) -> None:
        """Begin without loops."""
        self.turns = Turns()
        self.status: Callable[[], str] = lambda: "starting: waiting for Redis"


_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)
_loop: ContextVar[Loop | None] = ContextVar("loop", default=None)


def begin() -> Progress:
    """Make this task, and those that it starts, report to the returned object."""
    progress = Progress()
    _progress.set(progress)
    return progress


def report_status(status: Callable[[], str]) -> None:
    """Let ``status`` say how this process is, whenever its supervisor is told."""
    progress = _progress.get()
    if progress is not None:
        progress.status = status


async def watched(name: str, work: Callable[[], Awaitable[T]], *, limit_s: float = ROUND_S) -> T:
    """Run ``work``, which must turn at least every ``limit_s`` seconds until it ends."""
    progress = _progress.get()
    if progress is None:
        return await work()
    loop = progress.turns.begin(name, limit_s, time.monotonic())
    token = _loop.set(loop)
    try:
        return await work()
    finally:
        _loop.reset(token)
        progress.turns.end(loop)


def turned() -> None:
    """The work loop that runs here has done a round, or tried again what it waits for."""
    loop = _loop.get()
    if loop is not None:
        loop.turned_s = time.monotonic()


async def pause(seconds: float) -> None:
    """Sleep on purpose, for however long: the loop counts as turning."""
    end_s = time.monotonic() + seconds
    turned()
    while (left_s := end_s - time.monotonic()) > 0:
        await asyncio.sleep(min(left_s, _NAP_S))
        turned()


@asynccontextmanager
async def held(gate: asyncio.Semaphore) -> AsyncIterator[None]:
    """Hold ``gate``; a loop that waits for it, however long its holders pause, turns."""
    while True:
        turned()
        try:
            async with asyncio.timeout(_NAP_S):
                await gate.acquire()
        except TimeoutError:
            continue
        break
    try:
        yield
    finally:
        gate.release()
