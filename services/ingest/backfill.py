"""Fetches what the WebSocket did not bring: the candles after a boundary, and proof of absence."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from services.ingest.clock import ExchangeClock
from services.ingest.holes import Absent, Confirm, Take, Wait, next_step, second_look
from services.ingest.pages import Page, Row
from services.ingest.rest import PAGE, Rest
from shared import steady
from shared.candle import Candle, missing_candle
from shared.times import utc

log = logging.getLogger(__name__)

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """Times in ms; ``history_candles`` are loaded into an empty stream, at least."""

    symbol: str
    timeframe: str
    interval_ms: int
    history_candles: int
    close_deadline_ms: float
    missing_after_ms: float
    blind_after_ms: float = inf


@dataclass(frozen=True, slots=True)
class Batch:
    """Candles and missing markers that come next; ``more`` of them may be had at once."""

    candles: list[Candle]
    more: bool


def history_start(settings: FeedSettings, server_ms: int) -> int:
    """First open time for an empty stream: enough candles, and the session of the VWAP."""
    start = server_ms - settings.history_candles * settings.interval_ms
    start = min(start, server_ms - server_ms % DAY_MS)
    return max(0, start - start % settings.interval_ms)


class Backfill:
    """One timeframe's candles as REST has them."""

    def __init__(
        self,
        settings: FeedSettings,
        rest: Rest,
        clock: ExchangeClock,
        flawed: Callable[[str, str], None],
    ) -> None:
        """Report bad rows to ``flawed`` (kind, what)."""
        self._settings, self._rest, self._clock, self._flawed = settings, rest, clock, flawed
        self._doubted: Confirm | None = None
        self._doubts = 0

    async def after(self, last_ms: int | None, server_ms: int) -> Batch:
        """What closed after the boundary ``last_ms`` (None: the history of an empty stream).

        A candle is taken only once the close deadline has passed: rows of the last moment may
        still change, and until then the WebSocket is expected to bring it.

        Args:
            last_ms: Last boundary in the stream.
            server_ms: The exchange's time, just asked for.

        Raises:
            Unreachable: REST gave no usable answer.
        """
        settings = self._settings
        closed_by_ms = min(float(server_ms), self._now_ms() - settings.close_deadline_ms)
        if last_ms is not None:
            step, more = await self._look(last_ms, closed_by_ms, server_ms)
            if isinstance(step, Absent):
                return Batch(self._markers(step), more=True)
        else:
            first_ms = history_start(settings, server_ms)
            step, more = await self._look(first_ms, closed_by_ms, server_ms)
            while isinstance(step, Absent):  # before the stream begins nothing is missing
                first_ms = step.last_ms + settings.interval_ms
                step, more = await self._look(first_ms, closed_by_ms, server_ms)
        return Batch(self._candles(step.rows), more) if isinstance(step, Take) else Batch([], False)

    async def _look(
        self, first_ms: int, closed_by_ms: float, server_ms: int
    ) -> tuple[Take | Absent | Wait, bool]:
        """What REST has from ``first_ms`` on, and whether it has more than that."""
        settings = self._settings
        page = await self._ask(first_ms, closed_by_ms)
        step: Take | Confirm | Absent | Wait = next_step(
            page.rows, first_ms, settings.interval_ms, server_ms, settings.missing_after_ms
        )
        if not isinstance(step, Confirm):
            behind = page.rows[len(step.rows) :] if isinstance(step, Take) else ()
            full = len(page.rows) + len(page.flaws) >= PAGE
            return step, full or any(row.closed for row in behind)
        while isinstance(step, Confirm):
            hole = step
            page = await self._ask(hole.first_ms, closed_by_ms, hole.last_ms)
            step = second_look(page, hole, settings.interval_ms, self._doubts_about(hole))
            if page.rows:
                what = f"{settings.timeframe} from {utc(hole.first_ms)}"
                self._flawed("REST page with holes", what)
        return step, True

    def _doubts_about(self, hole: Confirm) -> int:
        """How often this range was asked for before."""
        self._doubts = self._doubts + 1 if hole == self._doubted else 0
        self._doubted = hole
        return self._doubts

    async def _ask(self, from_ms: int, closed_by_ms: float, to_ms: int | None = None) -> Page:
        settings = self._settings
        page = await self._rest.page(
            settings.symbol,
            settings.timeframe,
            settings.interval_ms,
            from_ms=from_ms,
            closed_by_ms=closed_by_ms,
            to_ms=to_ms,
        )
        for what in page.flaws:
            self._flawed("REST row", f"{settings.timeframe} {what}")
        return page

    def _candles(self, rows: Iterable[Row]) -> list[Candle]:
        now_ms, received_at_ms = self._now_ms(), int(time.time() * 1000)
        candles = []
        for row in rows:
            boundary_ms = row.open_ms + self._settings.interval_ms
            lag_ms = max(0, round(now_ms - boundary_ms))
            prices = row.open, row.high, row.low, row.close, row.volume
            candles.append(Candle(boundary_ms, *prices, "rest", lag_ms, received_at_ms))
        return candles

    def _markers(self, hole: Absent) -> list[Candle]:
        """Missing markers, at most a page of them."""
        interval_ms = self._settings.interval_ms
        last_ms = min(hole.last_ms, hole.first_ms + (PAGE - 1) * interval_ms)
        log.warning(
            "%s: the exchange has no candles that opened from %s to %s",
            self._settings.timeframe, utc(hole.first_ms), utc(last_ms),
        )  # fmt: skip
        now_ms, received_at_ms = self._now_ms(), int(time.time() * 1000)
        return [
            missing_candle(boundary_ms, max(0, round(now_ms - boundary_ms)), received_at_ms)
            for boundary_ms in range(
                hole.first_ms + interval_ms, last_ms + interval_ms + 1, interval_ms
            )
        ]

    def _now_ms(self) -> float:
        """The exchange's time; it was asked for before anything here is done."""
        return self._clock.now_ms(steady.now_s()) or 0.0
