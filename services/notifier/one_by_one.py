"""One thing after the other, unless one takes its time: then several at once."""

import asyncio
from collections.abc import Coroutine


class OneByOne:
    """Begins steps in order; the next one when the last has ended, or after ``patience_s``."""

    def __init__(self, at_once: int, patience_s: float) -> None:
        """Never more than ``at_once`` at a time."""
        self._slots = asyncio.Semaphore(at_once)
        self._patience_s = patience_s

    async def free(self) -> None:
        """Wait until a step could begin."""
        async with self._slots:
            pass

    async def begin(self, group: asyncio.TaskGroup, step: Coroutine[None, None, None]) -> None:
        """Begin ``step`` in ``group`` when it is its turn; back when the next one may come."""
        try:
            await self._slots.acquire()
        except BaseException:
            step.close()
            raise
        task = group.create_task(step)
        task.add_done_callback(lambda _: self._slots.release())
        await asyncio.wait({task}, timeout=self._patience_s)
