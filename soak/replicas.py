"""The notifier processes, killed at random and started again at once."""

import asyncio
import json
import os
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from services.notifier.channels import recipient
from services.notifier.machine import machine_name
from shared import keys
from shared.redis_access import RedisAccess
from soak.account import CHANNELS, Accepted, Sample
from soak.nursery import Child, Nursery, open_nursery
from soak.peers import PACE, Peers, make_signal, number_of

# What was accepted longer ago than this was recorded or given up.
_RECENT_NS = 10_000_000_000
_SAMPLE_EVERY_S = 0.5
_MOST_PENDING = 100_000
_POLL_S = 0.02
# Of the kills; and how many times the pause between two the others wait for somebody at work.
_ANYBODY = 0.1
_PATIENCE = 20.0


class Replicas:
    """Some notifiers of one configuration.

    Attributes:
        kills: How often each was killed.
        interrupted: Accepted and told, but not recorded when its sender was killed.
        in_hand: By channel: numbers of the signals that a killed process had in its hands.
        samples: Memory of the processes over time.
        deaths: How often one ended by itself.
    """

    def __init__(self, peers: Peers, access: RedisAccess, configs: list[Path]) -> None:
        """Nothing starts before ``running``."""
        self._peers, self._access, self._configs = peers, access, configs
        self._processes: dict[int, Child] = {}
        self._nursery: Nursery | None = None
        self._born: dict[int, tuple[int, float]] = {}
        self._born_ns: dict[int, int] = {}
        self._lives = 0
        self._began = time.monotonic()
        self.kills: Counter[int] = Counter()
        self.interrupted: set[Accepted] = set()
        self.in_hand: dict[str, set[int]] = {channel: set() for channel in CHANNELS}
        self.samples: list[Sample] = []
        self.deaths = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All of them run until the block ends."""
        async with open_nursery() as self._nursery:
            try:
                for replica in range(len(self._configs)):
                    await self._start(replica)
                yield
            finally:
                for process in self._processes.values():
                    process.terminate()
                for process in self._processes.values():
                    await _ended(process)

    async def _start(self, replica: int) -> None:
        if self._nursery is None:
            raise AssertionError("running")
        config = self._configs[replica]
        arguments = ["--config", str(config), "--instance", str(replica + 1)]
        process = await self._nursery.birth(arguments, config.with_suffix(".log"))
        self._lives += 1
        self._processes[replica] = process
        self._born[replica] = (self._lives, time.monotonic())
        self._born_ns[replica] = time.time_ns()

    async def torment(self, seconds_between: float, seed: int) -> None:
        """Kill one at random, again and again, until cancelled.

        On a slow machine a notifier may need longer to start than there is between two kills. So
        most kills wait for somebody who is at work, and some hit anybody.
        """
        chance = random.Random(seed)
        while True:
            await asyncio.sleep(seconds_between * chance.uniform(0.3, 0.7))
            victims = list(range(len(self._configs)))
            if chance.random() >= _ANYBODY:
                victims = await self._at_work(_PATIENCE * seconds_between) or victims
                await asyncio.sleep(chance.uniform(0, seconds_between))  # not at its first word
            await self._kill(chance.choice(victims))

    async def _at_work(self, seconds: float) -> list[int]:
        """Those who have spoken to both peers in this life; waits for one at most so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [
                replica
                for replica in self._processes
                if self._peers.heard_since(replica, self._born_ns[replica])
            ]
            if found:
                return found
            await asyncio.sleep(_POLL_S)
        return []

    async def _kill(self, replica: int) -> None:
        process = self._processes[replica]
        if process.returncode is None:
            process.kill()
            self.kills[replica] += 1
        else:
            self.deaths += 1
        await process.wait()
        await self._peers.hear_out(replica)
        await self._note_interrupted(replica)
        await self._note_in_hand(replica)
        await self._start(replica)

    async def _note_interrupted(self, replica: int) -> None:
        """What its peers accepted and the ledger does not know: it died between the two."""
        doors, since_ns = self._peers.doors(replica), time.time_ns() - _RECENT_NS
        recent = []
        for each in reversed(self._peers.accepted()):
            if each.at_ns < since_ns:
                break
            if each.door in doors and not each.fault:
                recent.append(each)
        if not recent:
            return
        names = [
            keys.delivered(each.channel, make_signal(each.number, 0).id,
                           recipient(each.recipient).tag)
            for each in recent
        ]  # fmt: skip

        async def look() -> list[Any]:
            async with self._access.client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.exists(name)
                return await pipe.execute()

        known = await self._access.patiently(look)
        self.interrupted |= {each for each, there in zip(recent, known, strict=True) if not there}

    async def _note_in_hand(self, replica: int) -> None:
        consumer = f"{machine_name(socket.gethostname())}-{replica + 1}"
        for channel in CHANNELS:
            with suppress(Exception):  # before its first life there is no such group
                rows: Any = await self._access.client.xpending_range(
                    keys.SIGNALS, channel, min="-", max="+", count=_MOST_PENDING,
                    consumername=consumer,
                )  # fmt: skip
                for row in rows:
                    found: Any = await self._access.client.xrange(
                        keys.SIGNALS, row["message_id"], row["message_id"]
                    )
                    [(_, fields)] = found
                    self.in_hand[channel].add(number_of(fields[b"id"].decode()))

    def check(self) -> None:
        """Raise ``NotifierRefused`` if one refuses its configuration."""
        for replica, process in self._processes.items():
            if process.returncode == os.EX_CONFIG:
                raise NotifierRefused(self._configs[replica].with_suffix(".log").read_text())

    async def watch(self) -> None:
        """Sample memory until cancelled."""
        while True:
            now = time.monotonic()
            for replica, process in self._processes.items():
                if process.returncode is None and (used := _own_bytes(process.pid)):
                    life, born = self._born[replica]
                    self.samples.append(Sample(life, now - born, now - self._began, used))
            await asyncio.sleep(_SAMPLE_EVERY_S)


def _own_bytes(pid: int) -> int:
    """Memory that no file backs, so that it does not depend on how many share it; 0: unknown."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
    return 0


class NotifierRefused(Exception):
    """A notifier does not run on the configuration; its words."""


async def _ended(process: Child) -> None:
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def write_configs(
    folder: Path, peers: Peers, redis_url: str, count: int, changes: Mapping[str, Any]
) -> list[Path]:
    """A configuration file for each replica; they differ in the doors alone."""
    paths = []
    for replica in range(count):
        path = folder / f"notifier-{replica + 1}.json"
        path.touch(mode=0o600)
        tree = {
            "redis": {"url": redis_url},
            "logging": {"file": ""},
            **peers.sections(replica, PACE),
            **changes,
        }
        path.write_text(json.dumps(tree, indent=2), encoding="utf-8")
        paths.append(path)
    return paths
