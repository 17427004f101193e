"""Keeps one WebSocket connection to the exchange, whatever happens to it.

Hosts take turns when one fails. A connection that brings no market data is dead, whatever TCP says
and whatever else it brings.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NoReturn, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from services.ingest.hosts import is_loopback
from services.ingest.limits import Attempts, ordered_pause_s

log = logging.getLogger(__name__)

_OPEN_TIMEOUT_S = 10.0
# Shorter than the end that is promised after SIGTERM.
_CLOSE_TIMEOUT_S = 1.0
# Moving the watch for every frame would cost more than reading the frame.
_WATCH_EVERY_S = 0.25
# Frames that the library holds before it stops reading; what comes then waits at the exchange.
_READ_AHEAD = 256


class Ended(Exception):
    """The connection stands, and is of no more use."""


class Receiver(Protocol):
    """Whoever wants the frames.

    Attributes:
        crowded: Whether it wants no more frames before ``room`` returns.
    """

    @property
    def crowded(self) -> bool: ...

    def take(self, raw: bytes, received_at_ms: int) -> bool:
        """Take a frame, received at our clock's ``received_at_ms``; whether it was market data.

        Raises:
            Ended: The frame says that the connection is about to close.
        """

    async def room(self) -> None:
        """Return when frames may come again."""

    def opened(self) -> None:
        """A connection was made: what came while there was none has been missed."""

    def changed(self, state: str) -> None:
        """The state of the connection, in words."""


def explain(error: BaseException) -> str:
    """What went wrong, in words for the log."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status == 451:
            return (
                "does not serve this region (HTTP 451): set exchange.ws_hosts to a market-data"
                " host such as wss://data-stream.binance.vision"
            )
        return f"refused the connection (HTTP {status})"
    if isinstance(error, ConnectionClosed):
        return f"closed the connection ({error})"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    return f"{error}" or type(error).__name__


def _pause_s(error: BaseException) -> float:
    if not isinstance(error, InvalidStatus):
        return 0.0
    response = error.response
    return ordered_pause_s(response.status_code, response.headers.get("Retry-After"))


class Connection:
    """Follows the combined stream ``path`` on one of ``hosts`` at a time."""

    def __init__(
        self, hosts: Sequence[str], path: str, receiver: Receiver, *, silence_s: float
    ) -> None:
        """Prepare; a connection is given up after ``silence_s`` without market data."""
        self._hosts, self._path = tuple(hosts), path
        self._receiver, self._silence_s = receiver, silence_s
        self._delivered = False

    async def follow(self) -> NoReturn:
        """Hand frames to the receiver until cancelled."""
        # The limit is the exchange's; a simulated one on this machine has none.
        limited = not all(is_loopback(host) for host in self._hosts)
        attempts = Attempts() if limited else Attempts(most=None)
        failed = 0
        while True:
            host = self._hosts[failed % len(self._hosts)]
            self._delivered = False
            try:
                await self._once(host)
            except (WebSocketException, OSError, Ended) as error:
                why, pause_s = explain(error), _pause_s(error)
            if self._delivered:
                attempts.delivered()
            else:
                failed += 1  # a host that delivered is asked again first
            delay_s = attempts.delay_s(time.monotonic(), pause_s)
            self._receiver.changed(f"disconnected: {why}")
            log.warning("%s %s; connecting again in %.1f s", host, why, delay_s)
            await asyncio.sleep(delay_s)

    async def _once(self, host: str) -> NoReturn:
        url = host + self._path
        async with connect(
            url,
            compression=None,
            proxy=None if is_loopback(url) else True,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_queue=_READ_AHEAD,
        ) as socket:
            log.info("WebSocket connection established (%s)", host)
            self._receiver.changed(f"connected to {host}")
            self._receiver.opened()
            try:
                async with asyncio.timeout(self._silence_s) as watch:
                    await self._read(socket, watch)
            except TimeoutError:
                raise Ended(f"sent no market data for {self._silence_s:g} s") from None

    async def _read(self, socket: ClientConnection, watch: asyncio.Timeout) -> NoReturn:
        """Hand on frames, moving the end of the silence as market data comes."""
        now, receiver = asyncio.get_running_loop().time, self._receiver
        moved_at = now()
        while True:
            frame = await socket.recv(decode=False)
            if receiver.take(frame, int(time.time() * 1000)):
                self._delivered = True
                if now() - moved_at > min(_WATCH_EVERY_S, self._silence_s / 4):
                    moved_at = now()
                    watch.reschedule(moved_at + self._silence_s)
            if receiver.crowded:
                watch.reschedule(None)  # it is us who are silent
                await receiver.room()
                moved_at = now()
                watch.reschedule(moved_at + self._silence_s)
