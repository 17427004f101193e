"""Real servers in the forms in which people run Redis: a primary with sentinels, a cluster."""

import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli.processes import bound
from cli.redis_binary import find_server
from tests.waiting import wait_until

PRIMARY = "mymaster"
_SLOTS = 16384


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Server:
    """One server process, which can be killed and started again."""

    folder: Path
    port: int
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                bound([str(find_server().path), *self.arguments]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self.folder, env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def ask(self, *command: Any) -> Any:
        """One command on a connection of its own."""
        client: Redis = Redis(host="127.0.0.1", port=self.port, protocol=2)
        try:
            return await client.execute_command(*command)
        finally:
            await client.aclose()

    async def answers(self) -> bool:
        try:
            return bool(await self.ask("PING"))
        except (RedisError, OSError):
            return False

    async def info(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("INFO", section)
        return found


def data_server(folder: Path, port: int, *more: str) -> Server:
    """A server that keeps its data as ours does."""
    return Server(
        folder, port,
        ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
         "--appendonly", "yes", "--appendfsync", "everysec", *more],
    )  # fmt: skip


@dataclass
class Sentinels:
    """A primary, a replica, and three sentinels that watch them."""

    servers: list[Server]
    sentinels: list[Server]
    all: list[Server] = field(default_factory=list)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{PRIMARY}"

    async def primary(self) -> Server:
        """The one that the first sentinel names."""
        _, port = await self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY)
        return next(each for each in self.servers if each.port == int(port))

    async def failed_over(self, before: Server) -> Server:
        """The new primary, once there is one."""

        async def new() -> Server | None:
            now = await self.primary()
            if now is before or (await now.info("replication"))["role"] != "master":
                return None
            return now

        found: Server = await wait_until(new, "a failover")
        return found


@asynccontextmanager
async def running_sentinels(  # noqa: C901 - a story told in order
    folder: Path,
) -> AsyncIterator[Sentinels]:
    """Until the block ends."""
    first, second, *rest = free_ports(5)
    servers = [
        data_server(folder / "a", first, "--repl-diskless-sync-delay", "0"),
        data_server(folder / "b", second, "--repl-diskless-sync-delay", "0",
                    "--replicaof", f"127.0.0.1 {first}"),
    ]  # fmt: skip
    sentinels = []
    for port in rest:
        place = folder / f"s{port}"
        place.mkdir(parents=True)
        (place / "sentinel.conf").write_text(
            f"port {port}\nbind 127.0.0.1\ndir {place}\n"
            f"sentinel monitor {PRIMARY} 127.0.0.1 {first} 2\n"
            f"sentinel down-after-milliseconds {PRIMARY} 500\n"
            f"sentinel failover-timeout {PRIMARY} 3000\n"
        )
        sentinels.append(Server(place, port, [str(place / "sentinel.conf"), "--sentinel"]))
    made = Sentinels(servers, sentinels, [*servers, *sentinels])

    async def replicated() -> bool:
        if not all([await each.answers() for each in servers]):
            return False
        return (await servers[1].info("replication")).get("master_link_status") == "up"

    async def introduced() -> bool:
        for each in sentinels:
            if not await each.answers():
                return False
            flat = await each.ask("SENTINEL", "MASTER", PRIMARY)
            seen = dict(zip(flat[::2], flat[1::2], strict=True))
            if (seen[b"num-other-sentinels"], seen[b"num-slaves"]) != (b"2", b"1"):
                return False
        return True

    try:
        for each in servers:
            each.start()
        await wait_until(replicated, "the replica to follow")
        for each in sentinels:
            each.start()
        await wait_until(introduced, "the sentinels to know each other")
        yield made
    finally:
        for each in made.all:
            each.kill()


@dataclass
class Cluster:
    """Nodes that share the slots; the first three own them."""

    nodes: list[Server]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in self.nodes[:3])

    async def owner(self, slot: int) -> Server:
        """The node that serves a slot, as the first living one says."""
        for node in self.nodes:
            if await node.answers():
                for first, last, owner, *_ in await node.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return next(each for each in self.nodes if each.port == owner[1])
        raise AssertionError("no node answers")


@asynccontextmanager
async def running_cluster(  # noqa: C901 - a story told in order
    folder: Path, *, replicas: int = 0
) -> AsyncIterator[Cluster]:
    """Three owners of slots, and replicas of the first ones, until the block ends."""
    count = 3 + replicas
    ports = free_ports(2 * count)
    nodes = [
        data_server(folder / str(port), port, "--cluster-enabled", "yes",
                    "--cluster-port", str(bus), "--cluster-node-timeout", "1000",
                    "--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0")
        for port, bus in zip(ports[:count], ports[count:], strict=True)
    ]  # fmt: skip
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            await wait_until(node.answers, "a node")
        for number, node in enumerate(nodes[:3]):
            first, last = _SLOTS * number // 3, _SLOTS * (number + 1) // 3 - 1
            await node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            await node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, bus in zip(nodes[1:], ports[count + 1 :], strict=True):
            await nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)

        async def agreed() -> bool:
            for node in nodes:
                state = (await node.ask("CLUSTER", "INFO")).split()
                if not {b"cluster_state:ok", b"cluster_known_nodes:%d" % count} <= set(state):
                    return False
            return True

        await wait_until(agreed, "the nodes to agree")
        for owner, node in zip(nodes, nodes[3:], strict=False):
            await node.ask("CLUSTER", "REPLICATE", (await owner.ask("CLUSTER", "MYID")).decode())

        async def followed() -> bool:
            links = [
                (await node.info("replication")).get("master_link_status") for node in nodes[3:]
            ]
            return all(link == "up" for link in links)

        await wait_until(followed, "the replicas to follow")
        yield Cluster(nodes)
    finally:
        for node in nodes:
            node.kill()
