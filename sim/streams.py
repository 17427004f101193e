"""The exchange's WebSocket port: who is connected, and what each wants to hear.

Frames reach the socket as ready bytes, since rendering once and writing many times is what makes a
fast replay possible. The transport's own buffer is the connection's queue: whoever lets it grow
past a limit is cut.
"""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State

from sim.frames import text_frame
from sim.script import Script
from sim.subscriptions import Subscriptions

log = logging.getLogger(__name__)

# The exchange cuts whoever sends more; pings, pongs and control messages count alike.
MESSAGES_PER_SECOND = 5

# Small on purpose: what lies in buffers was sent but not taken, and the clock of a fast replay must
# not run ahead.
SEND_BUFFER_BYTES = 64 * 1024
WRITE_LIMIT_BYTES = 16 * 1024

# About a minute of every frame of a busy connection.
QUEUE_LIMIT_BYTES = 1024 * 1024


class Listener(ServerConnection):
    """One client connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wants = Subscriptions([], wrapped=False)
        self.silent = False
        self._received: deque[float] = deque(maxlen=MESSAGES_PER_SECOND + 1)

    def process_event(self, event: Event) -> None:
        """Count what the client sends before it is handled."""
        if isinstance(event, Frame) and event.opcode is not Opcode.CLOSE:
            now_s = time.monotonic()
            self._received.append(now_s)
            if len(self._received) > MESSAGES_PER_SECOND and now_s - self._received[0] < 1:
                self._received.clear()
                self.say_goodbye(CloseCode.POLICY_VIOLATION, "Too many requests")
                return
        super().process_event(event)

    def deliver(self, frame: bytes) -> bool:
        """Write a ready frame; False when the connection is going or gone."""
        if self.state is not State.OPEN or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def say_goodbye(self, code: int, reason: str) -> None:
        """Start the closing handshake without waiting for it."""
        if self.state is State.OPEN:
            self.protocol.fail(code, reason)
            self.send_data()

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self.transport.abort()

    @property
    def backlog_bytes(self) -> int:
        """What was written but not yet taken by the kernel."""
        return int(self.transport.get_write_buffer_size())


class Streams:
    """All connections of the WebSocket port.

    Args:
        known: names of the streams that carry anything.

    Attributes:
        version: grows whenever somebody begins or ends to hear something.
        first_subscription: set once any client has asked for any stream.
        heard: set while somebody hears one of the known streams.
        refusals: scripted (status, body) for the next handshakes.
    """

    def __init__(
        self, known: Collection[str], *, ping_interval_s: float, pong_deadline_s: float
    ) -> None:
        self.version = 0
        self.first_subscription = asyncio.Event()
        self.heard = asyncio.Event()
        self.refusals: Script[tuple[int, str]] = Script()
        self.listeners: dict[Listener, None] = {}
        self._known = frozenset(known)
        self._ping_interval_s = ping_interval_s
        self._pong_deadline_s = pong_deadline_s
        self._by_stream: dict[str, list[Listener]] = {}

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen; yields the port. On leaving, every connection is cut off with a close frame."""
        server = await serve(
            self._handle,
            host,
            port,
            process_request=self._admit,
            create_connection=Listener,
            compression=None,
            ping_interval=self._ping_interval_s,
            ping_timeout=self._pong_deadline_s,
            close_timeout=0.5,
            write_limit=WRITE_LIMIT_BYTES,
            server_header=None,
        )
        try:
            yield _port(server)
        finally:
            await self._end(server)

    def subscribers(self, stream: str) -> list[Listener]:
        """Connections that hear ``stream``, in order of subscription."""
        return self._by_stream.get(stream, [])

    def silence(self, *, on: bool = True) -> None:
        """Keep the connections that exist now, but let them hear nothing; or end that."""
        for listener in self.listeners:
            listener.silent = on
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
            return connection.respond(*refusal)
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
        self.listeners[connection] = None
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
            if listener.wants.streams:
                self.first_subscription.set()
            if not listener.silent:
                for stream in listener.wants.streams:
                    self._by_stream.setdefault(stream, []).append(listener)
        if self._known.isdisjoint(self._by_stream):
            self.heard.clear()
        else:
            self.heard.set()
        self.version += 1

    async def _end(self, server: Server) -> None:
        """Close politely, and do not wait for those who do not answer."""
        server.close()
        try:
            async with asyncio.timeout(0.3):
                await server.wait_closed()
        except TimeoutError:
            for listener in list(self.listeners):
                listener.cut()
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
