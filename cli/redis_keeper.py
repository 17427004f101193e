"""Keeps our own Redis running: started again on its data whenever it dies, as services are."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from cli.embedded_redis import RedisServer
from cli.redis_binary import RedisUnavailable
from cli.supervisor import HEALTHY_S, delays, how_it_ended


@asynccontextmanager
async def kept_running(server: RedisServer, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Keep the server running until the block ends; one that is not our child is left alone."""
    keeping = asyncio.ensure_future(_keep(server, say)) if server.pid is not None else None
    try:
        yield
    finally:
        if keeping is not None:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping


async def _keep(server: RedisServer, say: Callable[[str], None]) -> None:
    waits, born = delays(), time.monotonic()
    what = how_it_ended(await server.ended())
    while True:
        if time.monotonic() - born >= HEALTHY_S:
            waits = delays()
        delay_s = next(waits)
        say(f"Redis {what}; starting it again in {delay_s:g} s")
        await asyncio.sleep(delay_s)
        born = time.monotonic()
        try:
            await server.revive()
        except (RedisUnavailable, OSError) as error:
            what = f"cannot be started: {error}"
        else:
            say("Redis runs again, on the data that it had")
            what = how_it_ended(await server.ended())
