"""Watching a pipeline while it runs: its signals, and what its services cost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli.measure import Costs
from cli.observe import SignalWatch
from cli.supervisor import Supervisor
from shared.redis_access import RedisAccess


@asynccontextmanager
async def watched(
    access: RedisAccess, supervisor: Supervisor
) -> AsyncIterator[tuple[SignalWatch, Costs]]:
    """Watch until the block ends; costs are looked at once more then."""
    watch, costs = SignalWatch(), Costs(supervisor)
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(watch.follow(access)), group.create_task(costs.watch())]
        yield watch, costs
        costs.sample()
        for task in watching:
            task.cancel()
