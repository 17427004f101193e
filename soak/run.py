"""One run: signals in, kills and faults meanwhile, and everything that was seen of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.embedded_redis import running_redis
from shared import keys
from shared.redis_access import RedisAccess
from soak.account import CHANNELS
from soak.peers import TIMEOUT_S, Peers, make_signal, open_peers
from soak.replicas import Replicas, write_configs

_POLL_S = 0.05
_TOLD_EVERY_S = 10.0
# Of the time that a sender waits; it does more than this one wait in it.
_STANDSTILL = 0.4

IMPATIENT: Mapping[str, Mapping[str, Any]] = {
    "notifier": {
        "retry_base_seconds": 0.05,
        "retry_max_seconds": 1.0,
        "claim_idle_seconds": 10.0,
    },
    # Its interval is also that of its writes; the memory of each life is sampled from outside.
    "health": {"interval_seconds": 1.0},
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    Attributes:
        signals: How many.
        per_second: At most.
        backlog: Signals that may be on their way; then nothing is written for a while.
        kill_every_s: Seconds between kills; 0 for none.
        share: Of the requests that fail.
        changes: Settings that differ, by section.
    """

    signals: int
    replicas: int
    seed: int
    per_second: float = 1000.0
    backlog: int = 60
    kill_every_s: float = 0.0
    share: float = 0.0
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class Run:
    """What runs, and what was seen.

    Attributes:
        written_ns: When each signal was written.
        stalls: From when to when this machine stood still, ns.
        redis_bytes: Memory of Redis without the streams, and deliveries recorded by then.
    """

    options: Options
    peers: Peers
    access: RedisAccess
    replicas: Replicas
    say: Callable[[str], None]
    written_ns: list[int] = field(default_factory=list)
    stalls: list[tuple[int, int]] = field(default_factory=list)
    redis_bytes: list[tuple[int, int]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    async def write(self, count: int) -> None:
        """Write so many signals at the pace at which they leave."""
        next_at = time.monotonic()
        for _ in range(count):
            while await self.on_their_way() >= self.options.backlog:
                await asyncio.sleep(_POLL_S)
            next_at = max(next_at + 1 / self.options.per_second, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            await self.write_one()

    async def write_one(self) -> None:
        """Write the next signal, as the detector does."""
        number, now_ns = len(self.written_ns), time.time_ns()
        flat = make_signal(number, now_ns // 1_000_000).fields()
        entry: Any = dict(zip(flat[::2], flat[1::2], strict=True))
        await self.access.client.xadd(keys.SIGNALS, entry)
        self.written_ns.append(now_ns)

    async def on_their_way(self) -> int:
        """Signals that some channel has not settled."""
        self.replicas.check()
        waiting = 0
        written = len(self.written_ns)
        if not written:
            return 0
        groups: Any = await self.access.client.xinfo_groups(keys.SIGNALS)
        known = {group["name"].decode(): group for group in groups}
        for channel in CHANNELS:
            group = known.get(channel)
            if group is None:
                return written
            unread = written - int(group.get("entries-read") or 0)
            waiting = max(waiting, unread + int(group["pending"]))
        return waiting

    async def drain(self) -> None:
        """Until everything is settled."""
        while await self.on_their_way():
            await asyncio.sleep(_POLL_S)

    async def watch(self) -> None:
        """Sample memory of Redis, and tell how far it is, until cancelled."""
        told_at = time.monotonic()
        while True:
            self.redis_bytes.append(await self._redis_bytes())
            if time.monotonic() - told_at > _TOLD_EVERY_S:
                told_at = time.monotonic()
                self.say(
                    f"{len(self.written_ns)} of {self.options.signals} written,"
                    f" {await self.on_their_way()} on their way,"
                    f" {sum(self.replicas.kills.values())} kills,"
                    f" {len(self.peers.mailbox.mails)} mails,"
                    f" {len(self.peers.bot_api.messages)} messages"
                )
            await asyncio.sleep(1.0)

    async def feel(self) -> None:
        """Note when this machine stands still, until cancelled.

        A sender that waited as long gave up an answer that was given; what was sent before the
        standstill may be answered after it, so its surroundings count too.
        """
        while True:
            before_ns = time.time_ns()
            await asyncio.sleep(_POLL_S)
            after_ns = time.time_ns()
            if after_ns - before_ns > TIMEOUT_S * 1e9 * _STANDSTILL:
                around_ns = round(TIMEOUT_S * 1e9)
                self.stalls.append((before_ns - around_ns, after_ns + around_ns))

    async def _redis_bytes(self) -> tuple[int, int]:
        client: Any = self.access.client
        used = int((await client.info("memory"))["used_memory"])
        for name in (keys.SIGNALS, keys.EVENTS):
            used -= int(await client.memory_usage(name) or 0)
        delivered = 0
        for channel in CHANNELS:
            delivered += int(await client.hget(keys.deliveries(channel), "delivered") or 0)
        return used, delivered


@asynccontextmanager
async def running(options: Options, folder: Path, say: Callable[[str], None]) -> AsyncIterator[Run]:
    """Redis, peers and replicas, kills and faults, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    async with (
        running_redis("", folder / "redis") as server,
        open_peers(folder / "tls", options.replicas) as peers,
    ):
        access = RedisAccess(server.url, name="soak")
        changes = {
            section: {**IMPATIENT.get(section, {}), **options.changes.get(section, {})}
            for section in {*IMPATIENT, *options.changes}
        }
        configs = write_configs(folder, peers, server.url, options.replicas, changes)
        replicas = Replicas(peers, access, configs)
        run = Run(options, peers, access, replicas, say)
        if options.share:
            peers.fail_at_random(options.seed, options.share)
        try:
            async with replicas.running(), asyncio.TaskGroup() as group:
                watches = (run.watch(), run.feel(), replicas.watch())
                tasks = [group.create_task(each) for each in watches]
                if options.kill_every_s:
                    torment = replicas.torment(options.kill_every_s, options.seed)
                    tasks.append(group.create_task(torment))
                yield run
                for task in tasks:
                    task.cancel()
        finally:
            await access.close()
