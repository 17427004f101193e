"""The ingest process: ``python -m services.ingest --config PATH``."""

import asyncio
import logging
import sys
import time

from services.ingest.backfill import FeedSettings
from services.ingest.clock import ExchangeClock
from services.ingest.clock_watch import ClockWatch
from services.ingest.conflicts import Conflicts
from services.ingest.connection import Leaving
from services.ingest.frames import BadFrame, KlineFrame, ShutdownNotice, read_frame
from services.ingest.lookout import Lookout
from services.ingest.market_lookup import look_up
from services.ingest.published import Arrival
from services.ingest.rest import Rest
from services.ingest.stream_reader import StreamReader
from services.ingest.succession import PLANNED_AGE_S, Succession
from services.ingest.timeframe_feed import TimeframeFeed
from shared import keys, steady
from shared.candle import Candle
from shared.checkup import examine
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.log import Throttle
from shared.market import Market
from shared.progress import ROUND_S, watched
from shared.quality import warm_up_candles
from shared.redis_access import RedisAccess, flat
from shared.roll_call import RollCall
from shared.runtime import start_service
from shared.settings import Settings
from shared.streams import KlinesWriter
from shared.timeframe import interval_ms

log = logging.getLogger(__name__)

SERVICE = "ingest"
_SAY_AGAIN_AFTER_S = 60.0
_TELL_AGAIN_S = 10.0


class Ingest:
    """Reads frames and hands closed candles to the feed of their timeframe.

    Attributes:
        reached: Whether the exchange has answered since the start.
    """

    def __init__(
        self,
        settings: Settings,
        access: RedisAccess,
        heartbeat: Heartbeat,
        events: EventsWriter,
        *,
        planned_age_s: float = PLANNED_AGE_S,
    ) -> None:
        """Assemble everything; nothing connects yet."""
        exchange, self._events = settings.exchange, events
        self._access, self._heartbeat, self._settings = access, heartbeat, exchange
        self._clock, self.reached = ExchangeClock(), False
        self._throttle = Throttle(_SAY_AGAIN_AFTER_S)
        self._round_s = ROUND_S + 2 * exchange.request_timeout_seconds
        self._intervals = {name: interval_ms(name) for name in settings.feed_timeframes}
        self.rest = Rest(
            exchange.rest_hosts,
            self._clock,
            timeout_s=exchange.request_timeout_seconds,
            note=heartbeat.facts.__setitem__,
        )
        writer = KlinesWriter(access, exchange.market, settings.streams)
        self._feeds = {
            name: TimeframeFeed(
                FeedSettings(
                    symbol=exchange.market,
                    timeframe=name,
                    interval_ms=interval,
                    history_candles=_history_candles(settings),
                    close_deadline_ms=exchange.close_deadline_seconds * 1000,
                    missing_after_ms=exchange.missing_after_seconds * 1000,
                    blind_after_ms=exchange.blind_after_seconds * 1000,
                ),
                rest=self.rest,
                writer=writer,
                clock=self._clock,
                heartbeat=heartbeat,
                flawed=self._flawed,
                lost=self._lost,
                observer=self,
            )
            for name, interval in self._intervals.items()
        }
        reader = StreamReader(access, exchange.market)
        self._conflicts = Conflicts(exchange.market, reader, events, heartbeat)
        self._lookout = Lookout(
            exchange.market,
            exchange.symbol,
            self._feeds,
            rest=self.rest,
            clock=self._clock,
            reader=reader,
            events=events,
            blind_after_ms=exchange.blind_after_seconds * 1000,
            deadline_ms=exchange.close_deadline_seconds * 1000,
            by_socket=lambda: self._connections.delivers,
        )
        most_skew_s = exchange.max_clock_skew_seconds
        most_skew_ms = None if most_skew_s is None else most_skew_s * 1000
        self._clock_watch = ClockWatch(self.rest, events, heartbeat, most_skew_ms)
        self._crowded: TimeframeFeed | None = None
        self._connections = self._succession(planned_age_s)

    async def run(self) -> None:
        """Check the market, load the history, then feed until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lookout.run())  # who reaches nobody is blind, too
            await self._feed()

    async def _feed(self) -> None:
        market = await look_up(self.rest, self._settings.symbol)
        self.reached = True
        await self._tell(market)
        self._heartbeat.state = "loading history"
        async with asyncio.TaskGroup() as group:
            for watch in (self._conflicts, self._clock_watch):
                group.create_task(watch.run())
            loads = {
                name: group.create_task(
                    watched(f"loading {name}", feed.load, limit_s=self._round_s)
                )
                for name, feed in self._feeds.items()
            }
            for name, feed in self._feeds.items():
                group.create_task(self._run_after(loads[name], name, feed))
            await asyncio.wait(loads.values())
            self._heartbeat.state = "running"
            group.create_task(self._connections.follow())
            group.create_task(self._keep_telling(market))

    async def _tell(self, market: Market) -> None:
        key, fields = keys.market(market.symbol), flat(market.fields())

        async def write() -> None:
            async with self._access.client.pipeline(transaction=True) as pipe:
                pipe.delete(key)  # whatever a person made of it
                pipe.hset(key, items=fields)
                await pipe.execute()

        await self._access.patiently(write)

    async def _keep_telling(self, market: Market) -> None:
        """Redis may lose it, and prices are shown by its tick size."""
        while True:
            await asyncio.sleep(_TELL_AGAIN_S)
            await self._tell(market)

    async def _run_after(self, load: asyncio.Task[None], name: str, feed: TimeframeFeed) -> None:
        """Run ``feed`` as soon as it is loaded, whatever the others still have to load.

        One that loads long may be waiting for readers, who wait for the others' next candles.
        """
        await load
        await watched(f"feed {name}", feed.run, limit_s=self._round_s)

    def _succession(self, planned_age_s: float) -> Succession:
        symbol, settings = self._settings.market.lower(), self._settings
        streams = "/".join(f"{symbol}@kline_{name}" for name in self._intervals)
        return Succession(
            settings.ws_hosts,
            f"/stream?streams={streams}",
            tuple(self._intervals),
            self,
            silence_s=settings.silence_seconds,
            planned_age_s=planned_age_s,
        )

    # What the connections tell.

    def opened(self, *, beside: bool) -> None:
        """Look for what was missed while there was no connection."""
        self._heartbeat.counters["connections"] += 1
        if not beside:
            for feed in self._feeds.values():
                feed.look_now()

    def handed_over(self) -> None:
        """Count a change of connections without a gap."""
        self._heartbeat.counters["overlaps"] += 1

    def changed(self, state: str) -> None:
        """Show the connection's state in the heartbeat."""
        self._heartbeat.facts["connection"] = state

    def take(self, raw: bytes, received_at_ms: int) -> str | None:
        """Read a frame and return its timeframe; a closed candle goes to its feed.

        Raises:
            Leaving: The exchange announces that it will close this connection.
        """
        self._heartbeat.counters["frames"] += 1
        try:
            frame = read_frame(raw, self._settings.market, self._intervals)
        except BadFrame as error:
            self._flawed(error.kind, error.what)
            return None
        if isinstance(frame, KlineFrame):
            self._clock.saw(frame.event_ms, steady.now_s())
            self._heartbeat.data_seen()
            if frame.closed:
                feed = self._feeds[frame.timeframe]
                feed.put(frame, received_at_ms)
                if feed.crowded:
                    self._crowded = feed
            return frame.timeframe
        if isinstance(frame, ShutdownNotice):
            raise Leaving
        if frame.error:
            self._flawed("refused control message", frame.error)
        return None

    @property
    def crowded(self) -> bool:
        """Whether a feed has so much to publish that frames must wait."""
        return self._crowded is not None

    async def room(self) -> None:
        """Wait for that feed."""
        if self._crowded is not None:
            await self._crowded.room()
            self._crowded = None

    # What the feeds tell.

    def twice(self, timeframe: str, first: Candle | None, second: Candle) -> None:
        """A candle came again: compare."""
        self._conflicts.twice(timeframe, first, second)

    def came_late(self, timeframe: str, arrival: Arrival) -> None:
        """The feed was blind before this."""
        self._lookout.came_late(timeframe, arrival)

    async def _lost(self, what: str) -> None:
        """What one stream has lost, the others may have lost too, and readers wait for all."""
        for feed in self._feeds.values():
            feed.check_now()
        await self._events.lost(what)

    def _flawed(self, kind: str, what: str) -> None:
        """Count bad input, and log it once per kind and minute."""
        self._heartbeat.counters["flawed_" + kind.replace(" ", "_")] += 1
        suppressed = self._throttle.admit(kind, time.monotonic())
        if suppressed is not None:
            more = f" ({suppressed} more of this kind since)" if suppressed else ""
            log.warning("%s: %s%s", kind, what, more)


def _history_candles(settings: Settings) -> int:
    """Enough for each indicator to have forgotten how it was seeded."""
    periods = settings.indicators
    warm_up = warm_up_candles(
        periods.ema_slow,
        periods.ema_trend,
        periods.atr_period,
        periods.rsi_period,
        periods.volume_ma_period,
    )
    return max(settings.exchange.history_candles, warm_up)


async def serve(settings: Settings, instance: str) -> None:
    """Publish until cancelled."""
    access = RedisAccess(settings.redis.effective_url, name=f"{SERVICE}-{instance}")
    heartbeat = Heartbeat(SERVICE, instance, settings.health)
    events = EventsWriter(access, SERVICE, instance, settings.streams)
    ingest = Ingest(settings, access, heartbeat, events)
    roll_call = RollCall(access, events, SERVICE, settings.health, ready=lambda: ingest.reached)
    try:
        examine(settings, access, heartbeat)
        await access.ready()
        async with ingest.rest, asyncio.TaskGroup() as group:
            group.create_task(heartbeat.beat(access))
            group.create_task(roll_call.keep_answering())
            group.create_task(ingest.run())
    finally:
        await access.close()


if __name__ == "__main__":
    sys.exit(start_service(SERVICE, serve))
