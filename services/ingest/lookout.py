"""Tells when the feed is blind, and when it sees again: once per edge, whoever else looks.

A task of its own: publishing waits for nothing here. What stands is in Redis, so a process that was
restarted, or another one, ends what this one began.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn, Protocol

from services.ingest.clock import ExchangeClock
from services.ingest.published import Arrival, lapsed
from services.ingest.rest import Rest, Unreachable
from services.ingest.sight import (
    End,
    Lapse,
    Refilled,
    Sight,
    blind_sentence,
    overdue,
    recovered_sentence,
    worst,
)
from services.ingest.stream_reader import StreamReader
from services.ingest.unreached import Unreached
from shared import steady
from shared.events import EventsWriter, Trouble
from shared.times import utc

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
# For asking the exchange's time before anything is told: a damaged frame may have lied about it.
_ASK_S = 3.0
# The machines behind REST and WebSocket have clocks of their own.
_SKEW_MS = 10_000
_MOST_ARRIVALS = 100


class Feed(Protocol):
    """What is looked at."""

    interval_ms: int

    @property
    def seen_ms(self) -> int | None:
        """The last boundary in the stream, or at hand without a gap; None while it is empty."""

    @property
    def idle_s(self) -> float:
        """For how long nothing has been added to the stream."""

    async def look(self) -> None:
        """See where the stream ends by now."""


class Lookout:
    """Watches the feeds of one market, by timeframe."""

    def __init__(
        self,
        symbol: str,
        shown_name: str,
        feeds: Mapping[str, Feed],
        *,
        rest: Rest,
        clock: ExchangeClock,
        reader: StreamReader,
        events: EventsWriter,
        blind_after_ms: float,
        deadline_ms: float,
        by_socket: Callable[[], bool],
    ) -> None:
        """Tell of ``symbol`` (``BTCUSDT``), which people call ``shown_name`` (``BTC/USDT``).

        ``by_socket`` says whether a connection delivers.
        """
        self._subject, self._shown_name, self._feeds = f"feed:{symbol}", shown_name, feeds
        self._rest, self._clock, self._reader, self._events = rest, clock, reader, events
        self._blind_after_ms, self._deadline_ms = blind_after_ms, deadline_ms
        self._by_socket = by_socket
        self._sight, self._stood = Sight(), False
        intervals_ms = {name: feed.interval_ms for name, feed in feeds.items()}
        self._unreached = Unreached(intervals_ms, blind_after_ms)
        self._arrivals: list[tuple[str, Arrival]] = []
        self._news = asyncio.Event()

    def came_late(self, timeframe: str, arrival: Arrival) -> None:
        """An entry came so late that the feed was blind before it."""
        if len(self._arrivals) < _MOST_ARRIVALS:
            self._arrivals.append((timeframe, arrival))
        self._news.set()

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        while True:
            self._news.clear()
            await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._news.wait()

    async def _look(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        suspect = bool(arrivals or self._overdue())
        trouble = await self._events.trouble(self._subject)
        # What was well before is no sign of the end of what has begun since.
        begun, self._stood = trouble is not None and not self._stood, trouble is not None
        self._note(well=not (suspect or begun))
        if trouble is not None:
            await self._end_if_over(trouble)
        elif suspect:
            lapses = await self._confirmed(arrivals)
            if lapses:
                await self._begin(await self._widened(lapses))
        elif self._nothing_reached and (lapses := await self._unfed()):
            await self._begin(worst(lapses), self._rest.failure)

    @property
    def _nothing_reached(self) -> bool:
        nothing_seen = all(feed.seen_ms is None for feed in self._feeds.values())
        return self._exchange_ms() is None or nothing_seen

    async def _unfed(self) -> list[Lapse]:
        """What is overdue as far as a process can tell that has not reached the exchange."""
        lapses = await self._look_from_afar()
        if lapses and self._exchange_ms() is None:
            await self._ask()
            lapses = await self._look_from_afar()
        return lapses

    async def _look_from_afar(self) -> list[Lapse]:
        lasts = {name: await self._reader.last(name) for name in self._feeds}
        now_s, now_ms = steady.now_s(), time.time() * 1000
        return self._unreached.look(lasts, now_s, now_ms, self._exchange_ms())

    async def _ask(self) -> None:
        with suppress(Unreachable, TimeoutError):
            async with asyncio.timeout(_ASK_S):
                await self._rest.server_time()

    def _overdue(self) -> list[Lapse]:
        """As far as we know."""
        ends = {
            name: End(feed.interval_ms, feed.seen_ms, feed.idle_s)
            for name, feed in self._feeds.items()
        }
        return overdue(ends, self._exchange_ms(), self._blind_after_ms)

    def _note(self, *, well: bool) -> None:
        exchange_ms = self._exchange_ms()
        known = exchange_ms is not None and all(
            feed.seen_ms is not None for feed in self._feeds.values()
        )
        self._sight.looked(well=well and known, now_s=time.monotonic(), exchange_ms=exchange_ms)

    async def _confirmed(self, arrivals: list[tuple[str, Arrival]]) -> list[Lapse]:
        """What is left when everything has been looked at again.

        Another process may have written, we may have been suspended, the clock may be wrong.
        """
        await self._ask()
        ends = {}
        for name, feed in self._feeds.items():
            await feed.look()
            last = await self._reader.last(name)
            lag_ms = None if last is None else last.lag_ms
            ends[name] = End(feed.interval_ms, feed.seen_ms, feed.idle_s, lag_ms)
        lapses = overdue(ends, self._exchange_ms(), self._blind_after_ms)
        since, self._arrivals = self._arrivals, []
        for name, arrival in (*arrivals, *since):
            lapses += await self._proved(name, arrival)
        return lapses

    async def _proved(self, name: str, arrival: Arrival) -> list[Lapse]:
        """The lapse before a late arrival, if it was one."""
        candle, before = arrival.candle, arrival.before
        since_ms = candle.boundary_ms - self._feeds[name].interval_ms
        if before is None:
            before = await self._reader.candle(name, since_ms)
        came_ms = candle.boundary_ms + candle.lag_ms
        too_soon = came_ms > (self._exchange_ms() or 0) + _SKEW_MS
        if before is None or too_soon or not lapsed(candle, before, self._blind_after_ms):
            return []
        return [Lapse(name, since_ms, candle.boundary_ms)]

    async def _widened(self, lapses: list[Lapse]) -> Lapse:
        """The most overdue of ``lapses``, and of those that another process has just refilled."""
        since_ms = min(lapse.since_ms for lapse in lapses)
        refilled = [await self._first_refilled(name, since_ms) for name in self._feeds]
        return worst([*lapses, *(lapse for lapse in refilled if lapse is not None)])

    async def _first_refilled(self, name: str, since_ms: int) -> Lapse | None:
        """The first lapse from ``since_ms`` on that the stream itself shows."""
        interval_ms, before = self._feeds[name].interval_ms, None
        async for page in self._reader.after(name, since_ms - interval_ms):
            for candle in page:
                if before is not None and lapsed(candle, before, self._blind_after_ms):
                    return Lapse(name, candle.boundary_ms - interval_ms, candle.boundary_ms)
                before = candle
        return None

    async def _begin(self, lapse: Lapse, rest_failure: str = "") -> None:
        trouble = Trouble("blind", lapse.since_ms)
        since = utc(lapse.since_ms)
        sentence = blind_sentence(self._shown_name, since, lapse.timeframe, rest_failure)
        details = {"timeframe": lapse.timeframe}
        if await self._events.begin(self._subject, trouble, sentence, details=details):
            log.warning("%s", sentence)

    async def _end_if_over(self, trouble: Trouble) -> None:
        recovered_ms = self._sight.recovered_ms(time.monotonic(), by_socket=self._by_socket())
        if recovered_ms is None:
            return
        if await self._confirmed([]):
            self._note(well=False)
            return
        names = sorted(self._feeds, key=lambda name: self._feeds[name].interval_ms)
        refilled = [await self._refilled(name, trouble.since_ms) for name in names]
        details = {f"refilled_{each.timeframe}": str(each.candles) for each in refilled}
        details["by_rest"] = str(sum(each.by_rest for each in refilled))
        details["missing"] = str(sum(each.missing for each in refilled))
        after_ms = recovered_ms - trouble.since_ms
        sentence = recovered_sentence(self._shown_name, after_ms, refilled)
        if await self._events.end(self._subject, trouble, "recovered", sentence, details=details):
            log.info("%s", sentence)

    async def _refilled(self, timeframe: str, since_ms: int) -> Refilled:
        """What came late after ``since_ms``."""
        candles = by_rest = missing = 0
        async for page in self._reader.after(timeframe, since_ms):
            late = [each for each in page if each.lag_ms > self._deadline_ms]
            candles += len(late)
            missing += sum(each.missing for each in late)
            by_rest += sum(each.source == "rest" and not each.missing for each in late)
        return Refilled(timeframe, candles, by_rest, missing)

    def _exchange_ms(self) -> float | None:
        return self._clock.now_ms(steady.now_s())
