"""Waiting for a condition instead of for some time."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


async def wait_until(
    predicate: Callable[[], Any], what: str = "the condition", seconds: float = 30.0
) -> Any:
    """Wait until ``predicate`` (a function or coroutine function) is true; return what it said."""
    deadline = time.monotonic() + seconds
    while True:
        found = predicate()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        await asyncio.sleep(0.01)


def until(
    predicate: Callable[[], Any],
    what: str = "the condition",
    seconds: float = 30.0,
    pause: float = 0.1,
) -> Any:
    """The same for tests without a loop; ``pause`` spares what is asked."""
    deadline = time.monotonic() + seconds
    while not (found := predicate()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(pause)
    return found
