"""The exchange's WebSocket port: who is connected, and what each wants to hear.

Frames reach the socket as ready bytes, since rendering once and writing many times is what makes a
fast replay possible. The transport's own buffer is the connection's queue: whoever lets it grow
past a limit is cut.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from sim.door import Door
from sim.frames import text_frame
from sim.listener import Listener
from sim.script import Script
from sim.subscriptions import Subscriptions

log = logging.getLogger(__name__)

# Small on purpose: what lies in buffers was sent but not taken, and the clock of a fast replay must
# not run ahead.
SEND_BUFFER_BYTES = 64 * 1024
WRITE_LIMIT_BYTES = 16 * 1024

# About a minute of every frame of a busy connection.
QUEUE_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """The HTTP answer to a handshake that fails."""

    status: int
    body: str = ""
    retry_after_s: int | None = None


class Streams:
    """All connections of the WebSocket port.

    Args:
        known: names of the streams that carry anything.

    Attributes:
        version: grows whenever somebody begins or ends to hear something.
        first_subscription: set once any client has asked for any stream.
        subscribed_at: when that was, by the monotonic clock, s.
        heard: set while somebody hears one of the known streams.
        refusals: scripted answers to the next handshakes.
        slammed: one entry for each of the next TCP connections that end before the handshake.
        short_visits: for each of the next connections that end right after it, with close frame?
        muted: streams that nobody who comes from now on will hear, whatever they are told.
        admitted: called with each new connection.
        door: the port.
    """

    def __init__(
        self, known: Collection[str], *, ping_interval_s: float, pong_deadline_s: float
    ) -> None:
        self.version = 0
        self.first_subscription = asyncio.Event()
        self.subscribed_at: float | None = None
        self.heard = asyncio.Event()
        self.refusals: Script[Refusal] = Script()
        self.slammed: Script[bool] = Script()
        self.short_visits: Script[bool] = Script()
        self.muted: set[str] = set()
        self.admitted: Callable[[Listener], None] = lambda _: None
        self.door = Door(self._listen)
        self.listeners: dict[Listener, None] = {}
        self._known = frozenset(known)
        self._ping_interval_s = ping_interval_s
        self._pong_deadline_s = pong_deadline_s
        self._by_stream: dict[str, list[Listener]] = {}
        self._servers: list[Server] = []

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen; yields the port. On leaving, every connection is cut off with a close frame."""
        server = await self._serve(host=host, port=port)
        async with self.door.keep(server.server):
            try:
                yield _port(server)
            finally:
                await self._end()

    def subscribers(self, stream: str) -> list[Listener]:
        """Connections that hear ``stream``, in order of subscription."""
        return self._by_stream.get(stream, [])

    def silence(self, *, on: bool = True) -> None:
        """Keep the connections that exist now, but let them hear nothing; or end that."""
        for listener in self.listeners:
            listener.silent = on
        self._reindex()

    def kill(self) -> None:
        """Make the connections that exist now half-open."""
        for listener in self.listeners:
            listener.die()
        self._reindex()

    def cut(self, *, close_frame: bool, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """End all connections."""
        for listener in list(self.listeners):
            if close_frame:
                listener.say_goodbye(code, reason)
            else:
                listener.cut()

    def inject(self, text: str) -> None:
        """Send ``text`` as it is to everybody who subscribed to anything."""
        for listener in self.listeners:
            if listener.wants.streams:
                listener.deliver(text_frame(text))

    def mute(self, stream: str, *, on: bool = True, newcomers: bool = False) -> None:
        """Let nobody hear one stream that they have asked for; or end that, for all.

        Without ``newcomers``, a client that connects anew hears it.
        """
        if newcomers and on:
            self.muted.add(stream)
        elif not on:
            self.muted.discard(stream)
        for listener in self.listeners:
            (listener.muted.add if on else listener.muted.discard)(stream)
        self._reindex()

    def forget(self, listener: Listener) -> None:
        """Let a connection that is going hear no more: the clock must not run for it."""
        listener.silent = True
        self._reindex()

    def cut_the_stuck(self) -> None:
        """Cut everybody whose queue is full."""
        for listener in list(self.listeners):
            if listener.backlog_bytes > QUEUE_LIMIT_BYTES:
                log.warning("Client %s does not read: cut", listener.id)
                listener.cut()

    @property
    def congested(self) -> bool:
        """Whether somebody takes data more slowly than it comes."""
        return any(listener.paused for listener in self.listeners)

    async def drain(self, stall_limit_s: float) -> None:
        """Wait until everybody takes data again, and cut whoever does not within the limit."""
        for listener in list(self.listeners):
            if not listener.paused:
                continue
            try:
                async with asyncio.timeout(stall_limit_s):
                    await listener.drain()
            except TimeoutError:
                log.warning("Client %s has stalled: cut", listener.id)
                listener.cut()
            except ConnectionError:
                pass  # it went while we waited

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Look at the handshake: scripted refusals, then the path."""
        refusal = self.refusals.take()
        if refusal is not None:
            response = connection.respond(refusal.status, refusal.body)
            if refusal.retry_after_s is not None:
                response.headers["Retry-After"] = str(refusal.retry_after_s)
            return response
        wants = _asked_by(request.path)
        if wants is None:
            return connection.respond(404, "Not Found")
        assert isinstance(connection, Listener)  # noqa: S101 -- what create_connection made
        connection.wants = wants
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Listener)  # noqa: S101 -- what create_connection made
        wire: socket.socket = connection.transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if (politely := self.short_visits.take()) is not None:
            (connection.say_goodbye(CloseCode.GOING_AWAY, "") if politely else connection.cut())
            return
        connection.muted = set(self.muted)
        self.listeners[connection] = None
        self.admitted(connection)
        self._reindex()
        try:
            async for message in connection:
                text = message if isinstance(message, str) else message.decode(errors="replace")
                reply = connection.wants.answer(text)
                # The reply goes first: what was asked for comes after its acknowledgement.
                await connection.send(reply)
                self._reindex()
        except ConnectionClosed:
            pass
        finally:
            del self.listeners[connection]
            self._reindex()

    def _reindex(self) -> None:
        self._by_stream = {}
        for listener in self.listeners:
            if listener.wants.streams and self.subscribed_at is None:
                self.subscribed_at = time.monotonic()
                self.first_subscription.set()
            if not listener.silent and not listener.dead:
                for stream in listener.wants.streams.keys() - listener.muted:
                    self._by_stream.setdefault(stream, []).append(listener)
        if self._known.isdisjoint(self._by_stream):
            self.heard.clear()
        else:
            self.heard.set()
        self.version += 1

    async def _serve(self, **where: Any) -> Server:
        server = await serve(
            self._handle,
            **where,
            process_request=self._admit,
            create_connection=self._connection,  # type: ignore[arg-type]  # any factory will do
            compression=None,
            ping_interval=self._ping_interval_s,
            ping_timeout=self._pong_deadline_s,
            close_timeout=0.5,
            write_limit=WRITE_LIMIT_BYTES,
            server_header=None,
        )
        self._servers.append(server)
        return server

    async def _listen(self, wire: socket.socket) -> asyncio.Server:
        server: asyncio.Server = (await self._serve(sock=wire)).server
        return server

    def _connection(self, *args: Any, **kwargs: Any) -> Listener:
        return Listener(*args, may_enter=lambda: self.slammed.take() is None, **kwargs)

    async def _end(self) -> None:
        """Close politely, and do not wait for those who do not answer."""
        for listener in self.listeners:
            if listener.dead:
                listener.cut()
        for server in self._servers:
            server.close()
        try:
            async with asyncio.timeout(0.3):
                await self._closed()
        except TimeoutError:
            for listener in list(self.listeners):
                listener.cut()
            await self._closed()

    async def _closed(self) -> None:
        for server in self._servers:
            await server.wait_closed()


def _asked_by(target: str) -> Subscriptions | None:
    """The subscriptions in a handshake's path; None for a path that the exchange does not know."""
    url = urlsplit(target)
    if url.path == "/stream":
        asked = parse_qs(url.query).get("streams", [""])[0]
        return Subscriptions([name for name in asked.split("/") if name], wrapped=True)
    root, _, rest = url.path.removeprefix("/").partition("/")
    if root == "ws":
        return Subscriptions([unquote(name) for name in rest.split("/") if name], wrapped=False)
    return None


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
