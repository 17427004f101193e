"""What a running pipeline costs and how fast it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from redis.asyncio import Redis

from cli.processes import cpu_seconds, pss_bytes
from cli.supervisor import SERVICES, Supervisor
from shared.redis_access import RedisAccess
from shared.redis_address import names_several

_HOP_STREAM = "measure:hop"
# By then the read has reached the server, so that the write meets a blocked reader.
_BLOCKED_AFTER_S = 0.002
_SAMPLE_EVERY_S = 1.0


def quantiles_ms(nanoseconds: Iterable[int]) -> dict[str, float]:
    """p50, p99, greatest and number of some durations."""
    ordered = sorted(nanoseconds)
    if not ordered:
        return {"count": 0}

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e6, 3)

    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": at(1.0)}


class Costs:
    """Memory and processor time of the services, sampled while they run.

    A service that was killed and restarted counts with all its lives.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        """Nothing is sampled before ``watch`` runs."""
        self._supervisor = supervisor
        self._cpu: dict[tuple[str, int], float] = {}
        self._pss: dict[str, list[int]] = {name: [] for name in SERVICES}

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_SAMPLE_EVERY_S)

    def sample(self) -> None:
        """Look once."""
        for name in SERVICES:
            pid = self._supervisor.pid(name)
            if pid is None:
                continue
            if (pss := pss_bytes(pid)) is not None:
                self._pss[name].append(pss)
            if (cpu := cpu_seconds(pid)) is not None:
                self._cpu[name, pid] = cpu

    def pss_mb(self) -> dict[str, float]:
        """Proportional set size per service at the last look, MB, and the sum."""
        last = {name: round(seen[-1] / 1e6, 1) for name, seen in self._pss.items() if seen}
        return last | {"sum": round(sum(last.values()), 1)}

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds per service and the sum."""
        used = dict.fromkeys(SERVICES, 0.0)
        for (name, _), seconds in self._cpu.items():
            used[name] += seconds
        spent = {name: round(seconds, 2) for name, seconds in used.items()}
        return spent | {"sum": round(sum(used.values()), 2)}


@asynccontextmanager
async def bare_clients(url: str) -> AsyncIterator[tuple[Redis, Redis]]:
    """Two of redis-py's own clients for ``hop_ns``, which nothing of this project makes faster.

    They have the protocol, the parser (hiredis) and the timeouts of the services' clients. To
    Sentinel and Cluster only the services' own clients lead.
    """
    if names_several(url):
        writing, reading = RedisAccess(url, name="hop"), RedisAccess(url, name="hop")
        try:
            yield writing.client, reading.client
        finally:
            await writing.close()
            await reading.close()
        return
    same: dict[str, Any] = {"protocol": 2, "socket_timeout": None}
    async with Redis.from_url(url, **same) as writer, Redis.from_url(url, **same) as reader:
        yield writer, reader


async def hop_ns(writer: Redis, reader: Redis, count: int, pause_s: float = 0.0) -> list[int]:
    """Times of bare Redis hops: XADD, until a blocked XREAD elsewhere has the entry.

    Both ends are in this process. An entry that three processes hand on, each asleep until then,
    takes as long as three of these (measured: 1.49 ms against 1.47 ms), so that it is fair.
    """
    times: list[int] = []
    await writer.delete(_HOP_STREAM)
    position = "0-0"
    for _ in range(count):
        async with asyncio.TaskGroup() as group:
            read = reader.xread({_HOP_STREAM: position}, block=5000)
            waiting = group.create_task(_awaited(read))
            await asyncio.sleep(max(pause_s, _BLOCKED_AFTER_S))
            start = time.perf_counter_ns()
            await writer.xadd(_HOP_STREAM, {"at": str(start)}, maxlen=100)
            reply = await waiting
            times.append(time.perf_counter_ns() - start)
        position = reply[0][1][-1][0].decode()
    await writer.delete(_HOP_STREAM)
    return times


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def median_ms(nanoseconds: Sequence[int]) -> float:
    """The median in ms."""
    return round(median(nanoseconds) / 1e6, 3)
