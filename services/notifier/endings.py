"""Letting a step end that a cancellation came upon."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from shared.runtime import finish

T = TypeVar("T")

_LET_GO_S = 0.5


async def end_soon(step: Coroutine[None, None, T], grace_s: float) -> T:
    """Like ``runtime.finish``, but a step that hangs is let go ``grace_s`` after a cancellation."""
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await finish(_end(task, grace_s))
        raise


async def _end(task: asyncio.Future[T], grace_s: float) -> None:
    await asyncio.wait({task}, timeout=grace_s)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_LET_GO_S)
    if task.done() and not task.cancelled():
        task.exception()  # seen; the entry stays pending
