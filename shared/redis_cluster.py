"""A client of a Redis Cluster: each command goes to the node of its key's slot.

It is redis-py's ordinary client with one ordinary client per node behind it, and not redis-py's
``RedisCluster``, which runs every command of a transactional pipeline in a thread with an event
loop of its own, asks the server for the keys of each ``XREAD`` before sending it, and cannot look
for the cluster's new shape while the node that it asks is down. Everything that this project does
in one step lies in one slot, so what remains is small: find the node, follow ``MOVED``, look again
after a failure. While a slot is being moved (``ASK``, ``TRYAGAIN``) the caller waits.
"""

import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisError, ResponseError

from shared.redis_address import Address, Host, bracketed
from shared.redis_client import Client, command_of

T = TypeVar("T")

SLOTS = 16384
_MOST_REDIRECTIONS = 5
# Several nodes may be silent before the time for one try is over.
_LOOK_S = 1.0
_KEYLESS = {"INFO", "PING", "FLUSHALL", "FLUSHDB", "SCRIPT FLUSH", "SCRIPT LOAD", "CLIENT LIST",
            "CLIENT PAUSE", "CONFIG SET", "CONFIG GET", "TIME", "DBSIZE"}  # fmt: skip
_EVERYWHERE = {"PING", "FLUSHALL", "FLUSHDB", "SCRIPT FLUSH", "SCRIPT LOAD", "CONFIG SET"}

Command = tuple[tuple[Any, ...], dict[str, Any]]


class NodeLost(exceptions.ConnectionError):
    """A node of the cluster does not answer."""


class Uncovered(exceptions.ClusterError):
    """No node that answers knows all slots."""


class TwoSlots(RedisError):
    """A bug: one step touches keys of two slots."""


@lru_cache(maxsize=4096)
def slot_of(key: bytes) -> int:
    """The slot of a key."""
    return int(key_slot(key))


def key_of(arguments: Sequence[Any]) -> bytes | None:
    """The first key of a command of this project, None if it has none."""
    name = str(arguments[0]).upper()
    if name in _KEYLESS:
        return None
    if name in ("EVAL", "EVALSHA"):
        key = arguments[3] if int(arguments[2]) else None
    elif name in ("XREAD", "XREADGROUP"):
        words = [each if isinstance(each, bytes | str) else b"" for each in arguments]
        key = arguments[
            next(n for n, word in enumerate(words) if word in (b"STREAMS", "STREAMS")) + 1
        ]
    else:
        key = arguments[1]
    return key.encode() if isinstance(key, str) else key


class ClusterClient(Redis):
    """redis-py's client, for all commands that have their keys in one slot."""

    def __init__(self, address: Address, **conventions: Any) -> None:
        """Prepare; nothing connects before the first command."""
        super().__init__()
        tls: dict[str, Any] = {"ssl": True, **address.options} if address.tls else {}
        self._conventions = {
            **conventions, **tls, "username": address.user, "password": address.password,
        }  # fmt: skip
        self._configured = address.hosts
        self._nodes: dict[Host, Redis] = {}
        self._starts: list[int] = []
        self._owners: list[Host] = []
        self._looking = asyncio.Lock()
        self._outdated = True
        self._hint: Host | None = None  # the node that knows best, said a redirection

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command on the node of its key, or on any node if it has none."""
        key = key_of(args)
        if key is None and str(args[0]).upper() in _EVERYWHERE:
            answer = None
            for node in await self.primaries():
                answer = await self._asked(node, lambda at: _run(at, *args, **options))
            return answer
        slot = None if key is None else slot_of(key)
        return await self.at_slot(slot, lambda node: _run(node, *args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """A pipeline; a transactional one may touch one slot only."""
        return _Pipeline(self, self.response_callbacks, transaction, shard_hint)

    async def scan_iter(  # type: ignore[override] # what the library's stub calls an iterator
        self, *args: Any, **options: Any
    ) -> AsyncIterator[Any]:
        """The keys of all nodes."""
        for node in await self.primaries():
            async for key in self._nodes[node].scan_iter(*args, **options):
                yield key

    async def primaries(self) -> list[Host]:
        """The nodes that own slots."""
        await self._look_again()
        return list(dict.fromkeys(self._owners))

    async def each_primary(self) -> list[tuple[str, Redis]]:
        """The nodes that own slots, as ``host:port``, each with a client of its own."""
        return [
            (f"{bracketed(host)}:{port}", self._node((host, port)))
            for host, port in await self.primaries()
        ]

    async def at_slot(self, slot: int | None, operation: Callable[[Redis], Awaitable[T]]) -> T:
        """Run an operation on the node of a slot, following it where it has moved to."""
        for _ in range(_MOST_REDIRECTIONS):
            await self._look_again()
            try:
                return await self._asked(self._owner(slot), operation)
            except MovedError as moved:
                self._outdated = True
                self._hint = (moved.host, moved.port)
        raise exceptions.ClusterError("slots keep moving")

    def _owner(self, slot: int | None) -> Host:
        if slot is None:
            return random.choice(self._owners)
        return self._owners[bisect_right(self._starts, slot) - 1]

    async def _asked(self, host: Host, operation: Callable[[Redis], Awaitable[T]]) -> T:
        try:
            return await operation(self._node(host))
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            self._outdated = True
            name = f"{bracketed(host[0])}:{host[1]}"
            raise NodeLost(name) from error
        except (asyncio.CancelledError, exceptions.ClusterError, exceptions.ReadOnlyError):
            self._outdated = True  # a timeout of the caller's, maybe of a node that is frozen
            raise

    def _node(self, host: Host) -> Redis:
        node = self._nodes.get(host)
        if node is None:
            node = Client(host=host[0], port=host[1], **self._conventions)
            self._nodes[host] = node
        return node

    async def _look_again(self) -> None:
        """Learn the cluster's shape, unless nothing has happened since the last time."""
        if not self._outdated:
            return
        async with self._looking:
            if self._outdated:
                await self._look()

    async def _look(self) -> None:
        """Ask one node after the other, in any order, lest a lost one is always the first."""
        hosts = list(dict.fromkeys([*self._configured, *self._owners]))
        hosts = random.sample(hosts, len(hosts))
        if self._hint is not None and self._hint[0]:
            hosts.insert(0, self._hint)
        self._hint = None
        failure: Exception | None = None
        for host in hosts:
            try:
                async with asyncio.timeout(_LOOK_S):
                    shape = await _run(self._node(host), "CLUSTER", "SLOTS")
            except (RedisError, OSError) as error:
                # What a node says is more than that another one is away.
                if failure is None or isinstance(error, ResponseError):
                    failure = error
                continue
            ranges = sorted(
                (first, last, ((primary[0] or host[0].encode()).decode(), primary[1]))
                for first, last, primary, *_ in shape
            )
            if _covers((first, last) for first, last, _ in ranges):
                self._starts = [first for first, _, _ in ranges]
                self._owners = [owner for _, _, owner in ranges]
                self._outdated = False
                await self._forget_others()
                return
            failure = failure or Uncovered("some slots have no node")
        raise failure or Uncovered("some slots have no node")

    async def _forget_others(self) -> None:
        for host in set(self._nodes) - set(self._owners) - set(self._configured):
            await self._nodes.pop(host).aclose()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to all nodes."""
        for node in self._nodes.values():
            await node.aclose(close_connection_pool)
        await super().aclose(close_connection_pool)


async def _run(node: Redis, *args: Any, **options: Any) -> Any:
    return await node.execute_command(*args, **options)  # type: ignore[no-untyped-call]


def _covers(ranges: Iterable[tuple[int, int]]) -> bool:
    expected = 0
    for first, last in ranges:
        if first != expected:
            return False
        expected = last + 1
    return expected == SLOTS


class _Pipeline(Pipeline):
    """Commands for one or several nodes, sent to each in one go."""

    def __init__(self, cluster: ClusterClient, *how: Any) -> None:
        super().__init__(cluster.connection_pool, *how)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """All answers in order; those of a slot are asked for together."""
        stack = cast("list[Command]", list(self.command_stack))
        await self.reset()  # type: ignore[no-untyped-call]
        slots: dict[int | None, list[int]] = {}
        for place, (arguments, _) in enumerate(stack):
            key = key_of(arguments)
            slots.setdefault(None if key is None else slot_of(key), []).append(place)
        if self.is_transaction and len(slots) > 1:
            raise TwoSlots("a transaction touches keys of two slots")
        answers: list[Any] = [None] * len(stack)
        for slot, places in slots.items():
            part = [stack[place] for place in places]
            found = await self._cluster.at_slot(slot, partial(self._at, part))
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        for place, answer in enumerate(answers):
            if raise_on_error and isinstance(answer, Exception):
                answer.add_note(command_of(stack[place][0]))
                raise answer
        return answers

    async def _at(self, part: Sequence[Command], node: Redis) -> list[Any]:
        async with node.pipeline(transaction=self.is_transaction) as pipe:
            for arguments, options in part:
                pipe.execute_command(*arguments, **options)
            found: list[Any] = await pipe.execute(raise_on_error=False)
        for answer in found:
            if isinstance(answer, AskError | exceptions.TryAgainError | exceptions.ClusterError):
                raise answer  # a MovedError among them: it is an AskError to redis-py
        return found
