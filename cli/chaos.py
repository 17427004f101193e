"""The operator of a chaos run: kills, freezes and doubles services, and torments the Redis server.

What the simulated outside does to itself is in its own schedule. Its clock halts at the time of
each of the operator's faults, so that a fast market does not run away from a slow hand; the blow
falls while the market goes on, at a moment when there is something to disturb.
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.exceptions import RedisError

from cli.observe import read_ledger, undelivered
from cli.pipeline import Pipeline
from cli.supervisor import Supervisor, services
from shared import keys
from shared.times import utc
from sim.schedule import Fault

_POLL_S = 0.02
# From the moment the market goes on: enough for some hundred candles.
_WITHIN_S = 0.08
# How long a blow at the notifier waits for a delivery that it could disturb.
_FOR_A_DELIVERY_S = 0.3
_FOR_A_DELIVERY_POLL_S = 0.002
# From then on a busy server tells others so.
_BUSY_AFTER_MS = 50
_RESTORED_S = 120.0


def _silent(_: str) -> None:
    """Restarts are counted."""


class Operator:
    """Carries out ``faults`` on a running pipeline.

    Attributes:
        caused: How often each fault was caused, by name.
        ended: How many processes of each service were killed or asked to end.
        recorded_ms: What the delivery ledger knew before Redis was emptied: (channel, signal ID) →
            our clock.
        crashed: How often a twin ended by itself.
    """

    def __init__(
        self, pipeline: Pipeline, faults: Sequence[Fault], seed: int, note: Callable[[str], None]
    ) -> None:
        """Nothing happens before ``work``; ``note`` gets a line for each fault."""
        self._pipeline, self._faults, self._note = pipeline, tuple(faults), note
        self._chance = random.Random(seed)
        self._twins: set[str] = set()
        self._ended: set[int] = set()
        self._state: Mapping[str, Any] = {}
        self.caused: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.crashed = 0
        self.recorded_ms: dict[tuple[str, str], int] = {}

    async def work(self) -> None:
        """Cause all faults in their turn, and return when the last one has ended."""
        async with asyncio.TaskGroup() as group:
            for fault in self._faults:
                await self._halted(fault)
                await self._pipeline.outside.fault("go_on")
                await self._moment(fault)
                self.caused[fault.name] += 1
                began_s = time.monotonic()
                await self._cause(fault, group)
                took_s = time.monotonic() - began_s
                said = " ".join(f"{name}={value}" for name, value in fault.arguments.items())
                self._note(f"{utc(fault.at_ms)} {fault.name} {said} ({took_s:.2f} s)")

    async def _halted(self, fault: Fault) -> None:
        """Wait until the market has come to the fault."""
        while True:
            await self._look()
            if self._state["finished"]:
                return
            if self._state["halted"] and self._state["clock_ms"] >= fault.at_ms:
                return
            await asyncio.sleep(_POLL_S)

    async def _look(self) -> None:
        self._state = await self._pipeline.outside.state()

    async def _moment(self, fault: Fault) -> None:
        """Wait for a moment at which the fault may hurt."""
        if fault.arguments.get("service") != "notifier":
            await asyncio.sleep(self._chance.uniform(0, _WITHIN_S))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_FOR_A_DELIVERY_S):
                while not await undelivered(self._pipeline.access):
                    await asyncio.sleep(_FOR_A_DELIVERY_POLL_S)
        await asyncio.sleep(self._chance.uniform(0, _FOR_A_DELIVERY_S / 10))

    async def _cause(self, fault: Fault, group: asyncio.TaskGroup) -> None:
        """What is to last goes to the group; the rest has ended when this returns."""
        server, arguments = self._pipeline.server, fault.arguments
        match fault.name:
            case "kill":
                await self._end(signal.SIGKILL, **arguments)
            case "terminate":
                await self._end(signal.SIGTERM, **arguments)
            case "freeze":
                group.create_task(self._freeze(**arguments))
            case "twin":
                group.create_task(self._double(fault.at_ms, **arguments))
            case "server_kill":
                await server.restart(signal.SIGKILL, **arguments)
            case "server_terminate":
                await server.restart(signal.SIGTERM, **arguments)
            case _:
                await self._torment(fault.name, **arguments)

    async def _torment(self, name: str, for_s: float = 0.0) -> None:
        match name:
            case "server_flush":
                await self._flush()
            case "server_pause":  # ends by itself: a paused server hears no command to go on
                await self._pipeline.access.client.client_pause(round(for_s * 1000))
            case _:
                async with _TORMENTS[name](self):
                    await asyncio.sleep(for_s)

    async def _end(self, number: signal.Signals, service: str) -> None:
        supervisor = self._pipeline.supervisor
        while (pid := supervisor.pid(service)) is None:
            await asyncio.sleep(_POLL_S)
        supervisor.kill(service, number)
        if pid not in self._ended:  # one that is on its way out dies once
            self._ended.add(pid)
            self.ended[service] += 1

    async def _freeze(self, service: str, for_s: float) -> None:
        pid = self._pipeline.supervisor.pid(service)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(for_s)
        finally:
            # Killed meanwhile it is still ours until the supervisor has noticed.
            if self._pipeline.supervisor.pid(service) == pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    async def _double(self, at_ms: int, service: str, for_ms: int) -> None:
        """Run a second instance for a while of the market's time."""
        if service in self._twins:
            return
        until_ms = at_ms + for_ms
        self._twins.add(service)
        pipeline = self._pipeline
        logs = pipeline.config.parent / "logs" / "twins"
        specs = services(pipeline.config, names=[service], instance="2", log_directory=logs)
        try:
            async with Supervisor(specs, say=_silent) as supervisor:
                while not self._state["finished"] and self._state["clock_ms"] < until_ms:
                    await asyncio.sleep(_POLL_S)
                    await self._look()
                self.crashed += supervisor.restarts[service]
        finally:
            self._twins.discard(service)

    async def _flush(self) -> None:
        """Empty Redis, and wait until all is there again: see ``cli.chaos_plan``."""
        access, market = self._pipeline.access, self._pipeline.settings.exchange.market
        before = await access.field(keys.progress(market), "detector") or ""
        signals = await access.patiently(lambda: access.client.xlen(keys.SIGNALS))
        self.recorded_ms |= await read_ledger(access)
        await access.client.flushall()
        async with asyncio.timeout(_RESTORED_S):
            while (await access.field(keys.progress(market), "detector") or "") < before:
                await asyncio.sleep(_POLL_S)
            # A detector that was in the middle of it tells its old position once more.
            while await access.patiently(lambda: access.client.xlen(keys.SIGNALS)) < signals:
                await asyncio.sleep(_POLL_S)
            while await undelivered(access):
                await asyncio.sleep(_POLL_S)

    # Torments of the server: each lasts as long as the block.

    @asynccontextmanager
    async def _busy(self) -> AsyncIterator[None]:
        client = self._pipeline.access.client
        await client.config_set("busy-reply-threshold", _BUSY_AFTER_MS)

        async def occupy() -> None:
            with suppress(RedisError):
                await client.eval("while true do end", 0)

        # A busy server lets nobody in who wants to say his name: be inside before.
        async with client.client() as inside, asyncio.TaskGroup() as group:
            await inside.ping()
            group.create_task(occupy())
            try:
                yield
            finally:
                await inside.script_kill()

    @asynccontextmanager
    async def _full(self) -> AsyncIterator[None]:
        access = self._pipeline.access
        await access.client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            await access.patiently(lambda: access.client.config_set("maxmemory", 0))

    @asynccontextmanager
    async def _read_only(self) -> AsyncIterator[None]:
        access = self._pipeline.access
        await access.client.replicaof("127.0.0.1", "1")
        try:
            yield
        finally:
            await access.patiently(lambda: access.client.replicaof("NO", "ONE"))


_TORMENTS = {
    "server_busy": Operator._busy,
    "server_full": Operator._full,
    "server_read_only": Operator._read_only,
}
