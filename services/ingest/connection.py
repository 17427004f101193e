"""Keeps one WebSocket connection to the exchange, whatever happens to it.

Hosts take turns when one fails. The delay between attempts doubles up to a minute and starts over
only when a frame arrives: a server that accepts and closes at once must not be hammered. A
connection that stays silent is dead, whatever TCP says.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from services.ingest.hosts import is_loopback

log = logging.getLogger(__name__)

FIRST_DELAY_S, LAST_DELAY_S = 0.25, 60.0
_OPEN_TIMEOUT_S = 10.0
# Shorter than the end that is promised after SIGTERM.
_CLOSE_TIMEOUT_S = 1.0
_WATCH_EVERY_S = 0.5

OnFrame = Callable[[bytes, int], Awaitable[None]]


class Silent(Exception):
    """The connection stands, and nothing comes."""


def delays(first_s: float = FIRST_DELAY_S, last_s: float = LAST_DELAY_S) -> Iterator[float]:
    """Seconds before each further attempt: doubling, half of it jitter, never above ``last_s``."""
    delay = first_s
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(last_s, delay * 2)


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
    if isinstance(error, Silent):
        return str(error)
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    return f"{error}" or type(error).__name__


class Connection:
    """Follows the combined stream ``path`` on one of ``hosts`` at a time."""

    def __init__(
        self,
        hosts: Sequence[str],
        path: str,
        *,
        silence_s: float,
        on_open: Callable[[], None],
        on_change: Callable[[str], None],
    ) -> None:
        """Prepare; ``on_open`` is called at each connection, ``on_change`` with its state."""
        self._hosts, self._path, self._silence_s = tuple(hosts), path, silence_s
        self._on_open, self._on_change = on_open, on_change
        self._frame_at = 0.0

    async def follow(self, on_frame: OnFrame) -> None:
        """Hand each frame with our clock in ms to ``on_frame``, until cancelled."""
        attempt, pause = 0, delays()
        while True:
            host = self._hosts[attempt % len(self._hosts)]
            started = self._frame_at
            try:
                await self._once(host, on_frame)
            except (WebSocketException, OSError, Silent) as error:
                why = explain(error)
            if self._frame_at > started:
                pause = delays()
            else:
                attempt += 1  # a host that delivered is asked again first
            delay = next(pause)
            self._on_change(f"disconnected: {why}")
            log.warning("%s %s; connecting again in %.1f s", host, why, delay)
            await asyncio.sleep(delay)

    async def _once(self, host: str, on_frame: OnFrame) -> None:
        url = host + self._path
        async with connect(
            url,
            compression=None,
            proxy=None if is_loopback(url) else True,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_queue=256,
        ) as socket:
            log.info("WebSocket connection established (%s)", host)
            self._on_change(f"connected to {host}")
            self._on_open()
            await self._read(socket, on_frame)

    async def _read(self, socket: ClientConnection, on_frame: OnFrame) -> None:
        """Hand on frames until the connection ends; ``Silent`` if it only pretends to live."""
        watched_from = time.monotonic()
        try:
            async with asyncio.timeout(self._silence_s) as watch:
                loop = asyncio.get_running_loop()
                while True:
                    frame = await socket.recv(decode=False)
                    now = time.monotonic()
                    if now - watched_from > _WATCH_EVERY_S:
                        watched_from = now
                        watch.reschedule(loop.time() + self._silence_s)
                    self._frame_at = now
                    await on_frame(frame, int(time.time() * 1000))
        except TimeoutError:
            raise Silent(f"sent nothing for {self._silence_s:g} s") from None
