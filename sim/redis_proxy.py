"""A proxy before one Redis server, that fails on request: the network between a service and Redis.

It keeps commands and replies apart, so that it can lose exactly the reply of a command that has
run: the case in which a client cannot know, and in which a careless retry writes twice. One reply
per command is assumed, which pub/sub in RESP 2 and MONITOR do not keep.
"""

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Concatenate, Literal, ParamSpec, Self
from urllib.parse import SplitResult, urlsplit

from sim.door import Door
from sim.resets import reset
from sim.resp import CommandReader, ReplyReader

CHUNK_BYTES = 64 * 1024
_NOTICE_S = 1.0

Fate = Literal["lose reply", "lose command", "delay"]

P = ParamSpec("P")

FAULTS: dict[str, Callable[..., None]] = {}


def _fault(
    method: Callable[Concatenate["RedisProxy", P], None],
) -> Callable[Concatenate["RedisProxy", P], None]:
    """Enter a method in ``FAULTS``, with the prefix ``redis_``, and count how often it was used."""
    known_as = f"redis_{method.__name__}"

    def counted(self: "RedisProxy", /, *args: P.args, **kwargs: P.kwargs) -> None:
        method(self, *args, **kwargs)
        self.caused[known_as] += 1

    update_wrapper(counted, method)
    FAULTS[known_as] = counted
    return counted


@dataclass(slots=True, eq=False)
class _Rule:
    """What happens to the next ``left`` commands of these names (None: of any)."""

    fate: Fate
    commands: frozenset[str] | None
    left: int
    delay_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Link:
    """One client's connection, and ours to the server on its behalf."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    commands: CommandReader = field(default_factory=CommandReader)
    replies: ReplyReader = field(default_factory=ReplyReader)
    pending: deque[_Rule | None] = field(default_factory=deque)


class RedisProxy:
    """The proxy; ``async with`` opens it.

    Args:
        upstream: URL of the server, ``redis://host:port`` or ``unix:///path``.
        listen: where clients connect, likewise; port 0 takes any free port.

    Attributes:
        url: what a client connects to, with database and credentials of ``upstream``.
        commands: commands that came, by name.
        hit: commands to which something was done, by name.
        caused: how often each fault was caused, by name.
    """

    def __init__(self, upstream: str, listen: str = "redis://127.0.0.1:0") -> None:
        self._upstream, self._listen_at = _parsed(upstream), _parsed(listen)
        self.url = ""
        self.commands: Counter[str] = Counter()
        self.hit: Counter[str] = Counter()
        self.caused: Counter[str] = Counter()
        self._rules: deque[_Rule] = deque()
        self._links: set[_Link] = set()
        self._visitors: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._door = Door(self._listen)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        at = self._listen_at
        if at.scheme == "unix":
            server = await asyncio.start_unix_server(self._handle, at.path)
            where = at.path
        else:
            server = await asyncio.start_server(self._handle, at.hostname, at.port or 0)
            where = f"{at.hostname}:{server.sockets[0].getsockname()[1]}"
        self.url = _url(at.scheme, where, self._upstream)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._door.keep(server))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()
        self._passing.set()
        self._hang_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(_NOTICE_S):
                while self._visitors:  # noqa: ASYNC110 -- a handful of turns of the loop
                    await asyncio.sleep(0.001)

    @property
    def connections(self) -> int:
        """Clients that are connected now."""
        return len(self._visitors)

    @_fault
    def reset(self) -> None:
        """Reset all connections; whatever is on its way is lost."""
        self._hang_up()

    @_fault
    def lose_replies(self, count: int = 1, *, commands: Collection[str] | None = None) -> None:
        """Let the next commands run, swallow their replies, and cut."""
        self._add("lose reply", count, commands)

    @_fault
    def lose_commands(self, count: int = 1, *, commands: Collection[str] | None = None) -> None:
        """Cut when the next commands come, before they run."""
        self._add("lose command", count, commands)

    @_fault
    def delay(
        self, delay_s: float, count: int = 1, *, commands: Collection[str] | None = None
    ) -> None:
        """Let the replies to the next commands wait."""
        self._add("delay", count, commands, delay_s)

    @_fault
    def refuse(self, *, for_s: float | None = None, cut: bool = True) -> None:
        """Refuse new connections for a while (None: until ``behave``), and reset those there are.

        With ``cut`` false the present ones go on.
        """
        self._door.shut()
        if cut:
            self._hang_up()
        _after(for_s, self._door.open)

    @_fault
    def mute(self, *, for_s: float | None = None) -> None:
        """Pass nothing for a while (None: until ``behave``), and what has come in then."""
        self._passing.clear()
        _after(for_s, self._passing.set)

    def behave(self) -> None:
        """End all faults."""
        self._rules.clear()
        self._passing.set()
        self._door.open()

    def _add(
        self, fate: Fate, count: int, commands: Collection[str] | None, delay_s: float = 0.0
    ) -> None:
        if count < 1:
            raise ValueError(f"{count} commands: at least one")
        if isinstance(commands, str):
            raise TypeError(f"commands {commands!r}: give a list of names")
        names = None if commands is None else frozenset(name.upper() for name in commands)
        self._rules.append(_Rule(fate, names, count, delay_s))

    def _fate_of(self, name: str) -> _Rule | None:
        for rule in self._rules:
            if rule.commands is None or name in rule.commands:
                rule.left -= 1
                if rule.left <= 0:
                    self._rules.remove(rule)
                self.hit[name] += 1
                return rule
        return None

    def _hang_up(self) -> None:
        for visitor in list(self._visitors):
            reset(visitor.transport)

    async def _listen(self, wire: socket.socket) -> asyncio.Server:
        if self._listen_at.scheme == "unix":
            return await asyncio.start_unix_server(self._handle, sock=wire)
        return await asyncio.start_server(self._handle, sock=wire)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        at = self._upstream
        if at.scheme == "unix":
            return await asyncio.open_unix_connection(at.path)
        return await asyncio.open_connection(at.hostname, at.port or 6379)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visitors.add(writer)
        try:
            answers, server = await self._connect()
        except OSError:
            reset(writer.transport)
            self._visitors.discard(writer)
            return
        link = _Link(writer, server)
        try:
            async with asyncio.TaskGroup() as group:
                pumps = {
                    group.create_task(self._forward(link, reader)),
                    group.create_task(self._answer(link, answers)),
                }
                _, others = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in others:
                    pump.cancel()
        finally:
            self._visitors.discard(writer)
            server.close()
            writer.close()

    async def _forward(self, link: _Link, reader: asyncio.StreamReader) -> None:
        """Pass commands on until the client goes."""
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                await self._passing.wait()
                for command in link.commands.feed(data):
                    self.commands[command.name] += 1
                    rule = self._fate_of(command.name) if self._rules else None
                    if rule is not None and rule.fate == "lose command":
                        reset(link.client.transport)
                        return
                    link.pending.append(rule)
                    link.server.write(command.raw)
                await link.server.drain()

    async def _answer(self, link: _Link, reader: asyncio.StreamReader) -> None:
        """Pass replies back until the server goes."""
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                await self._passing.wait()
                for reply in link.replies.feed(data):
                    rule = link.pending.popleft() if link.pending and not reply.push else None
                    if rule is not None and rule.fate == "lose reply":
                        reset(link.client.transport)
                        return
                    if rule is not None:
                        await asyncio.sleep(rule.delay_s)
                    link.client.write(reply.raw)
                await link.client.drain()


class BadAddress(ValueError):
    """A URL that no proxy can stand before or at."""


def _parsed(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("unix", "redis") or not (
        parts.path if parts.scheme == "unix" else parts.hostname
    ):
        raise BadAddress(f"{url.rpartition('@')[2]!r}: give redis://host:port or unix:///path")
    return parts


def _url(scheme: str, where: str, upstream: SplitResult) -> str:
    """The proxy's URL: its own place, everything else as for the server behind it."""
    user = f"{upstream.netloc.rpartition('@')[0]}@" if "@" in upstream.netloc else ""
    query = f"?{upstream.query}" if upstream.query else ""
    if scheme == "unix":
        return f"unix://{user}{where}{query}"
    database = upstream.path if upstream.scheme == "redis" else ""
    return f"redis://{user}{where}{database}{query}"


def _after(seconds: float | None, action: Callable[[], None]) -> None:
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, action)
