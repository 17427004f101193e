"""One timeframe's way into its stream: frames as they come, REST for whatever is not there.

The WebSocket never owns the feed alone: if the entry for a boundary is not there some seconds
after it by the exchange's clock, it is fetched by REST. However long the hole, it is filled page
by page, never skipped.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from services.ingest.clock import ExchangeClock
from services.ingest.frames import KlineFrame
from services.ingest.holes import Confirm, Take, next_step
from services.ingest.pages import Row
from services.ingest.rest import PAGE, Rest, Unreachable
from shared.candle import Candle, missing_candle
from shared.health import Heartbeat
from shared.streams import Appended, KlinesWriter
from shared.times import utc

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
# Frames that wait for Redis or REST. Beyond, the socket waits a while, then REST will have them.
MOST_WAITING = 2000
_PATIENCE_S = 10.0
_AHEAD_PAUSE_S = 0.02
_IDLE_CHECK_S = 1.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 10.0
_PROGRESS_EVERY = 20  # pages


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """Times in ms; ``history_candles`` are loaded into an empty stream, at least."""

    symbol: str
    timeframe: str
    interval_ms: int
    history_candles: int
    close_deadline_ms: float
    missing_after_ms: float


class TimeframeFeed:
    """Publishes the closed candles of one timeframe."""

    def __init__(
        self,
        settings: FeedSettings,
        *,
        rest: Rest,
        writer: KlinesWriter,
        clock: ExchangeClock,
        heartbeat: Heartbeat,
        flawed: Callable[[str, str], None],
    ) -> None:
        """Publish through ``writer``; bad REST rows are reported to ``flawed`` (kind, what)."""
        self._settings, self._rest, self._writer = settings, rest, writer
        self._clock, self._heartbeat, self._flawed = clock, heartbeat, flawed
        self._waiting: deque[Candle] = deque()
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._last_ms: int | None = None
        self._gap = False
        self._hurry = False
        self._retry_at, self._retry_s = 0.0, _FIRST_RETRY_S

    @property
    def name(self) -> str:
        """The timeframe."""
        return self._settings.timeframe

    async def put(self, frame: KlineFrame, received_at_ms: int) -> None:
        """Take a closed candle from the WebSocket, waiting for room a while."""
        boundary_ms = frame.open_ms + self._settings.interval_ms
        candle = Candle(
            boundary_ms,
            frame.open,
            frame.high,
            frame.low,
            frame.close,
            frame.volume,
            "ws",
            self._lag_ms(boundary_ms),
            received_at_ms,
        )
        if len(self._waiting) >= MOST_WAITING:
            await self._make_room()
        self._waiting.append(candle)
        self._arrived.set()

    async def _make_room(self) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._room.wait()
        except TimeoutError:
            self._waiting.clear()
            self._heartbeat.counters["frames_left_to_rest"] += MOST_WAITING

    def look_now(self) -> None:
        """Ask REST for what may have been missed, without waiting for the deadline."""
        self._hurry = True
        self._arrived.set()

    async def run(self) -> None:
        """Load the history, then publish until cancelled."""
        await self._load_history()
        while True:
            await self._wait()
            await self._publish_waiting()
            if self._due():
                await self._try_fill()

    async def _load_history(self) -> None:
        appended = 0
        while True:
            try:
                last = (await self._append([])).last_ms
                if last is None:
                    appended += await self._fill(await self._history_start())
                else:
                    appended += await self._fill(last)
            except Unreachable as error:
                await self._sit_out(error)
                await asyncio.sleep(self._retry_s)
            else:
                break
        self._recovered()
        log.info("Loaded %s data: %d candles", self.name, appended)

    async def _history_start(self) -> int:
        """Where an empty stream begins: enough for every indicator, and the VWAP's session."""
        server_ms, interval_ms = await self._rest.server_time(), self._settings.interval_ms
        start = server_ms - self._settings.history_candles * interval_ms
        start = min(start, server_ms - server_ms % DAY_MS)
        return max(0, start - start % interval_ms)

    async def _wait(self) -> None:
        """Until frames arrive, or it is time to look at the clock again."""
        if self._waiting and not self._gap:
            return
        now_ms, timeout = self._clock.now_ms(time.monotonic()), _IDLE_CHECK_S
        if now_ms is not None and self._last_ms is not None:
            deadline = self._next_boundary() + self._settings.close_deadline_ms
            timeout = min(timeout, max(0.02, (deadline - now_ms) / 1000))
        if self._gap:
            timeout = max(0.02, min(timeout, self._retry_at - time.monotonic()))
        self._arrived.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._arrived.wait()
        except TimeoutError:
            pass

    def _next_boundary(self) -> int:
        return (self._last_ms or 0) + self._settings.interval_ms

    def _due(self) -> bool:
        """Whether REST is to be asked now."""
        if self._gap:
            return time.monotonic() >= self._retry_at or self._retry_s == _FIRST_RETRY_S
        now_ms = self._clock.now_ms(time.monotonic())
        if now_ms is None or self._last_ms is None or self._waiting:
            return False
        grace = 0.0 if self._hurry else self._settings.close_deadline_ms
        self._hurry = False
        return now_ms >= self._next_boundary() + grace and time.monotonic() >= self._retry_at

    async def _publish_waiting(self) -> None:
        while self._waiting:
            batch = list(self._waiting)
            status = await self._publish(batch)
            last_ms = self._last_ms or 0
            while self._waiting and self._waiting[0].boundary_ms <= last_ms:
                self._waiting.popleft()
            if len(self._waiting) < MOST_WAITING:
                self._room.set()
            if status == "gap":
                self._heartbeat.counters["gaps"] += not self._gap
                self._gap = True
                return

    async def _publish(self, candles: list[Candle]) -> str:
        """Append ``candles`` in order, waiting for readers that are far behind; ok or gap."""
        while True:
            done = await self._append(candles)
            candles = candles[done.appended + done.duplicates :]
            if done.status != "ahead":
                return done.status
            self._heartbeat.state = "waiting for indicators and detector, which are far behind"
            await asyncio.sleep(_AHEAD_PAUSE_S)

    async def _append(self, candles: list[Candle]) -> Appended:
        done = await self._writer.append(self.name, self._settings.interval_ms, candles)
        self._last_ms = done.last_ms
        heartbeat = self._heartbeat
        heartbeat.counters[f"candles_{self.name}"] += done.appended
        heartbeat.counters["duplicates"] += done.duplicates
        if done.last_ms is not None:
            heartbeat.facts[f"last_{self.name}"] = str(done.last_ms)
        if done.appended:
            heartbeat.state = "running"
            self._retry_s, self._retry_at, self._gap = _FIRST_RETRY_S, 0.0, False
            missing = sum(candle.missing for candle in candles[: done.appended + done.duplicates])
            heartbeat.counters["missing"] += missing
        return done

    async def _try_fill(self) -> None:
        """Fill from REST what can be filled now; otherwise try again later."""
        try:
            filled = await self._fill(self._last_ms or await self._history_start())
        except Unreachable as error:
            await self._sit_out(error)
            return
        self._recovered()
        if filled:
            self._gap = False
            log.info("%s: %d candles filled by REST", self.name, filled)
        else:
            self._postpone()

    async def _sit_out(self, error: Unreachable) -> None:
        self._flawed("REST", str(error))
        self._postpone()

    def _postpone(self) -> None:
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(_LAST_RETRY_S, self._retry_s * 2)

    def _recovered(self) -> None:
        self._heartbeat.facts["rest"] = f"answered by {self._rest.host}"

    async def _fill(self, from_ms: int) -> int:
        """Append everything that closed since boundary ``from_ms``, page by page.

        Returns:
            How many candles and missing markers were appended, by whomever.

        Raises:
            Unreachable: REST gave no usable answer; what was appended stays.
        """
        settings, filled, pages = self._settings, 0, 0
        next_open_ms = from_ms
        server_ms = await self._rest.server_time()
        while True:
            page = await self._ask(next_open_ms, server_ms)
            pages += 1
            start_of_stream = self._last_ms is None and page
            if start_of_stream:
                next_open_ms = page[0].open_ms  # the market did not exist before
            step = next_step(
                page, next_open_ms, settings.interval_ms, server_ms, settings.missing_after_ms
            )
            if isinstance(step, Confirm):
                candles = await self._confirm(step, server_ms)
            elif isinstance(step, Take):
                candles = [self._from_row(row) for row in step.rows]
            else:
                return filled
            if not candles:
                return filled
            await self._publish(candles)
            filled += len(candles)
            next_open_ms = self._last_ms or next_open_ms
            if isinstance(step, Take) and len(page) < PAGE:
                behind = page[len(step.rows) :]
                if not any(row.closed for row in behind):
                    return filled
            if pages % _PROGRESS_EVERY == 0:
                log.info("%s: %d candles loaded, at %s", self.name, filled, utc(next_open_ms))
                server_ms = await self._rest.server_time()

    async def _ask(self, from_ms: int, server_ms: int, to_ms: int | None = None) -> tuple[Row, ...]:
        settings = self._settings
        page = await self._rest.page(
            settings.symbol,
            settings.timeframe,
            settings.interval_ms,
            from_ms=from_ms,
            server_ms=server_ms,
            to_ms=to_ms,
        )
        for what in page.flaws:
            self._flawed("REST row", f"{self.name} {what}")
        return page.rows

    async def _confirm(self, hole: Confirm, server_ms: int) -> list[Candle]:
        """Markers for a hole that the exchange confirms; the candles, where the page lied."""
        rows = await self._ask(hole.first_ms, server_ms, hole.last_ms)
        interval_ms = self._settings.interval_ms
        if rows:
            self._flawed("REST page with holes", f"{self.name} from {utc(hole.first_ms)}")
            step = next_step(rows, hole.first_ms, interval_ms, server_ms, float("inf"))
            return [self._from_row(row) for row in step.rows] if isinstance(step, Take) else []
        log.warning(
            "%s: the exchange has no candles that opened from %s to %s",
            self.name, utc(hole.first_ms), utc(hole.last_ms),
        )  # fmt: skip
        now_ms = int(time.time() * 1000)
        return [
            missing_candle(boundary, self._lag_ms(boundary), now_ms)
            for boundary in range(
                hole.first_ms + interval_ms, hole.last_ms + interval_ms + 1, interval_ms
            )
        ]

    def _from_row(self, row: Row) -> Candle:
        boundary_ms = row.open_ms + self._settings.interval_ms
        self._heartbeat.counters["by_rest"] += 1
        return Candle(
            boundary_ms,
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            "rest",
            self._lag_ms(boundary_ms),
            int(time.time() * 1000),
        )

    def _lag_ms(self, boundary_ms: int) -> int:
        now_ms = self._clock.now_ms(time.monotonic())
        return max(0, round(now_ms - boundary_ms)) if now_ms is not None else 0
