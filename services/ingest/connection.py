"""One WebSocket connection to the exchange, from its handshake to its end.

A connection that brings no market data is dead, whatever TCP says and whatever else it brings. Who
follows it with another one, and when, is decided in ``succession``.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import NoReturn, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from services.ingest.hosts import is_loopback
from services.ingest.limits import ordered_pause_s
from services.ingest.pulse import Pulse
from services.ingest.watch import Watch

_OPEN_TIMEOUT_S = 10.0
# Shorter than the end that is promised after SIGTERM.
_CLOSE_TIMEOUT_S = 1.0
# Moving the watch for every frame would cost more than reading the frame.
_WATCH_EVERY_S = 0.25
# Frames that the library holds before it stops reading; what comes then waits at the exchange.
_READ_AHEAD = 256


class Leaving(Exception):
    """The exchange announces that it will close the connection."""


class Silent(Exception):
    """The connection stands, and is of no use."""


class Stale(Exception):
    """What the connection brings has waited while this process stood still."""


class Receiver(Protocol):
    """Whoever wants the frames.

    Attributes:
        crowded: Whether it wants no more frames before ``room`` returns.
    """

    @property
    def crowded(self) -> bool: ...

    def take(self, raw: bytes, received_at_ms: int) -> str | None:
        """Take a frame, received at our clock's ``received_at_ms``.

        Returns:
            The timeframe that it tells of, None if it is no market data.

        Raises:
            Leaving: The frame says that the connection is about to close.
        """

    async def room(self) -> None:
        """Return when frames may come again."""


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


class Connection:
    """A connection to ``host``; one task runs it, others look at what it has come to.

    Attributes:
        opened_s: When the handshake was done, monotonic; None before.
        delivered: Whether it has brought market data.
        leaving: Whether the exchange announced its end.
        mute: The timeframe that says nothing while others speak; empty for none.
        ended: What ended it, None before.
    """

    def __init__(
        self,
        host: str,
        path: str,
        timeframes: Iterable[str],
        receiver: Receiver,
        *,
        silence_s: float,
        pulse: Pulse,
    ) -> None:
        """Prepare; it is given up after ``silence_s`` without market data."""
        self.host, self._path, self._timeframes = host, path, tuple(timeframes)
        self._receiver, self._silence_s, self._pulse = receiver, silence_s, pulse
        self.opened_s: float | None = None
        self.delivered = self.leaving = False
        self.mute = ""
        self.ended: Exception | None = None
        self._news = asyncio.Event()

    @property
    def pause_s(self) -> float:
        """Seconds for which the exchange, refusing the handshake, forbids another one."""
        if not isinstance(self.ended, InvalidStatus):
            return 0.0
        response = self.ended.response
        return ordered_pause_s(response.status_code, response.headers.get("Retry-After"))

    async def news(self, seconds: float | None = None) -> None:
        """Wait until any attribute has changed since the last time, but not longer than that."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    async def run(self) -> None:
        """Hand frames to the receiver until the connection ends."""
        try:
            await self._follow()
        except (WebSocketException, OSError, Silent, Stale) as error:
            self.ended = error
            self._news.set()

    async def _follow(self) -> NoReturn:
        url = self.host + self._path
        async with connect(
            url,
            compression=None,
            proxy=None if is_loopback(url) else True,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_queue=_READ_AHEAD,
        ) as socket:
            self.opened_s = time.monotonic()
            self._news.set()
            try:
                async with asyncio.timeout(self._silence_s) as watch:
                    await self._read(socket, watch)
            except TimeoutError:
                raise Silent(f"sent no market data for {self._silence_s:g} s") from None

    async def _read(self, socket: ClientConnection, silence: asyncio.Timeout) -> NoReturn:
        """Hand on frames, moving the end of the silence as market data comes."""
        now, receiver = asyncio.get_running_loop().time, self._receiver
        opened_s, moved_at = self._pulse.now_s(), now()
        watch = Watch(self._timeframes, self._silence_s, moved_at)
        every_s = min(_WATCH_EVERY_S, self._silence_s / 4)
        while True:
            frame = await socket.recv(decode=False)
            if self._pulse.stood_still_since(opened_s):
                raise Stale("is left: this process stood still, and what came has waited")
            try:
                timeframe = receiver.take(frame, int(time.time() * 1000))
            except Leaving:
                self.leaving = True
                self._news.set()
                continue
            if timeframe is not None:
                now_s = now()
                watch.heard(timeframe, now_s)
                if now_s - moved_at > every_s or not self.delivered:
                    moved_at = now_s
                    silence.reschedule(moved_at + self._silence_s)
                    self._note(watch.mute())
            if receiver.crowded:
                silence.reschedule(None)  # it is us who are silent
                await receiver.room()
                moved_at = now()
                silence.reschedule(moved_at + self._silence_s)

    def _note(self, mute: str) -> None:
        """Market data came; ``mute`` is the timeframe that did not speak."""
        if mute != self.mute or not self.delivered:
            self.delivered, self.mute = True, mute
            self._news.set()
