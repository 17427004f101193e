"""The ingest process: ``python -m services.ingest --config PATH``."""

import asyncio
import logging
import sys
import time
from collections import Counter

from services.ingest.clock import ExchangeClock
from services.ingest.connection import Connection
from services.ingest.frames import BadFrame, KlineFrame, Reply, ShutdownNotice, read_frame
from services.ingest.market_lookup import look_up
from services.ingest.rest import Rest
from services.ingest.timeframe_feed import FeedSettings, TimeframeFeed
from shared import keys
from shared.health import Heartbeat
from shared.log import Throttle
from shared.redis_access import RedisAccess, flat
from shared.runtime import start_service
from shared.settings import Settings
from shared.streams import KlinesWriter
from shared.timeframe import interval_ms

log = logging.getLogger(__name__)

SERVICE = "ingest"
_SAY_AGAIN_AFTER_S = 60.0


class Ingest:
    """Reads frames and hands closed candles to the feed of their timeframe."""

    def __init__(self, settings: Settings, access: RedisAccess, heartbeat: Heartbeat) -> None:
        """Assemble everything; nothing connects yet."""
        exchange = settings.exchange
        self._access, self._heartbeat, self._settings = access, heartbeat, exchange
        self._clock = ExchangeClock()
        self._throttle = Throttle(_SAY_AGAIN_AFTER_S)
        self._flaws: Counter[str] = Counter()
        self._intervals = {name: interval_ms(name) for name in settings.feed_timeframes}
        self.rest = Rest(
            exchange.rest_hosts, self._clock, timeout_s=exchange.request_timeout_seconds
        )
        writer = KlinesWriter(access, exchange.market, settings.streams)
        self._feeds = {
            name: TimeframeFeed(
                FeedSettings(
                    symbol=exchange.market,
                    timeframe=name,
                    interval_ms=interval,
                    history_candles=exchange.history_candles,
                    close_deadline_ms=exchange.close_deadline_seconds * 1000,
                    missing_after_ms=exchange.missing_after_seconds * 1000,
                ),
                rest=self.rest,
                writer=writer,
                clock=self._clock,
                heartbeat=heartbeat,
                flawed=self._flawed,
            )
            for name, interval in self._intervals.items()
        }

    async def run(self) -> None:
        """Check the market, then feed until cancelled."""
        market = await look_up(self.rest, self._settings.symbol)
        key, fields = keys.market(market.symbol), flat(market.fields())
        await self._access.patiently(lambda: self._access.client.hset(key, items=fields))
        async with asyncio.TaskGroup() as group:
            for feed in self._feeds.values():
                group.create_task(feed.run())
            group.create_task(self._connection().follow(self._on_frame))

    def _connection(self) -> Connection:
        symbol = self._settings.market.lower()
        streams = "/".join(f"{symbol}@kline_{name}" for name in self._intervals)
        return Connection(
            self._settings.ws_hosts,
            f"/stream?streams={streams}",
            silence_s=self._settings.silence_seconds,
            on_open=self._on_open,
            on_change=self._on_change,
        )

    def _on_open(self) -> None:
        self._heartbeat.counters["connections"] += 1
        for feed in self._feeds.values():
            feed.look_now()

    def _on_change(self, state: str) -> None:
        self._heartbeat.facts["connection"] = state

    async def _on_frame(self, raw: bytes, received_at_ms: int) -> None:
        self._heartbeat.counters["frames"] += 1
        try:
            frame = read_frame(raw, self._settings.market, self._intervals)
        except BadFrame as error:
            self._flawed(error.kind, str(error))
            return
        match frame:
            case KlineFrame():
                self._clock.saw(frame.event_ms, time.monotonic())
                self._heartbeat.data_seen()
                if frame.closed:
                    await self._feeds[frame.timeframe].put(frame, received_at_ms)
            case ShutdownNotice():
                log.warning("the exchange announces that it will close this connection")
            case Reply() if frame.error:
                self._flawed("refused control message", frame.error)

    def _flawed(self, kind: str, what: str) -> None:
        """Count bad input, and log it once per kind and minute."""
        self._heartbeat.counters["flawed_" + kind.replace(" ", "_")] += 1
        suppressed = self._throttle.admit(kind, time.monotonic())
        if suppressed is not None:
            more = f" ({suppressed} more of this kind since)" if suppressed else ""
            log.warning("ignored %s%s", what, more)


async def serve(settings: Settings, instance: str) -> None:
    """Publish until cancelled."""
    access = RedisAccess(settings.redis.effective_url, name=f"{SERVICE}-{instance}")
    heartbeat = Heartbeat(SERVICE, instance, settings.health)
    ingest = Ingest(settings, access, heartbeat)
    try:
        await access.ready()
        async with ingest.rest, asyncio.TaskGroup() as group:
            group.create_task(heartbeat.beat(access))
            group.create_task(ingest.run())
    finally:
        await access.close()


if __name__ == "__main__":
    sys.exit(start_service(SERVICE, serve))
