"""Waiting for a condition instead of hoping."""

import asyncio
from collections.abc import Callable


async def wait_until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Return once ``condition()`` is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)
