"""One client connection of the WebSocket port, and the ways in which it can go wrong."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from sim.frames import combined, text_frame
from sim.resets import reset
from sim.subscriptions import Subscriptions

# The exchange cuts whoever sends more; pings, pongs and control messages count alike.
MESSAGES_PER_SECOND = 5


class Listener(ServerConnection):
    """One client connection.

    Args:
        may_enter: asked once, as soon as the TCP connection exists.

    Attributes:
        opened_ms: market time at which it was admitted.
        silent: hears nothing, but is answered; see also ``muted``.
        muted: streams that it asked for, is told it has, and does not hear.
        dead: the peer's side of a half-open connection: nothing passes in either direction.
    """

    def __init__(self, *args: Any, may_enter: Callable[[], bool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wants = Subscriptions([], wrapped=False)
        self.opened_ms = 0
        self.silent = False
        self.muted: set[str] = set()
        self.dead = False
        self._may_enter = may_enter
        self._received: deque[float] = deque(maxlen=MESSAGES_PER_SECOND + 1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, or shut the door in the client's face."""
        super().connection_made(transport)
        if not self._may_enter():
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends; a dead connection takes it and does nothing."""
        if not self.dead:
            super().data_received(data)

    def send_data(self) -> None:
        """Write what the protocol wants to say; a dead connection swallows it."""
        if self.dead:
            self.protocol.data_to_send()
        else:
            super().send_data()

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
        if self.state is not State.OPEN or self.dead or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def tell(self, stream: str, event: str) -> bool:
        """Deliver an event in the form that this client wants."""
        return self.deliver(text_frame(combined(stream, event) if self.wants.wrapped else event))

    def say_goodbye(self, code: int, reason: str) -> None:
        """Start the closing handshake without waiting for it."""
        if self.state is State.OPEN:
            self.protocol.fail(code, reason)
            self.send_data()

    def poke(self, payload: bytes) -> None:
        """Send a ping whose pong nobody waits for."""
        if self.state is State.OPEN:
            self.protocol.send_ping(payload)
            self.send_data()

    def die(self) -> None:
        """Become half-open: the socket stays, and that is all."""
        self.dead = True
        if self.keepalive_task is not None:
            self.keepalive_task.cancel()

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self.transport.abort()

    def reset(self) -> None:
        """Drop the connection by a TCP reset."""
        reset(self.transport)

    @property
    def backlog_bytes(self) -> int:
        """What was written but not yet taken by the kernel."""
        return int(self.transport.get_write_buffer_size())
