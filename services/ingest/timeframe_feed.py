"""One timeframe's way into its stream: frames as they come, REST for whatever is not there.

Two tasks append side by side, and the script that appends keeps the order: one what the WebSocket
brought, at once and whatever REST is doing; one what REST has, whenever the WebSocket left a gap or
missed the deadline. However long the hole, it is filled page by page, never skipped. A stream is
begun only by REST, so that it begins with the history.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NoReturn

from services.ingest.backfill import Backfill, FeedSettings
from services.ingest.clock import ExchangeClock
from services.ingest.frames import KlineFrame
from services.ingest.inbox import Inbox
from services.ingest.published import KEPT
from services.ingest.rest import Rest, Unreachable
from services.ingest.vigil import Vigil
from services.ingest.witness import Observer, Witness
from shared import keys, steady
from shared.candle import Candle
from shared.health import Heartbeat
from shared.progress import pause, turned
from shared.redis_damage import delete
from shared.streams import Appended, KlinesWriter
from shared.times import utc

log = logging.getLogger(__name__)

# One script call; longer ones would keep Redis from its other clients.
_MOST_AT_ONCE = 500
_PATIENCE_S = 10.0
_AHEAD_PAUSE_S = 0.02
_IDLE_CHECK_S = 1.0
# The stream may have been lost, and with it what the readers of all timeframes wait for.
_STREAM_CHECK_S = 10.0
_PROGRESS_EVERY_S = 2.0
# The machines behind REST and WebSocket have clocks of their own.
_SKEW_MS = 10_000
# Candles by which another process may have been faster.
_TWIN_LEAD = 10


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
        lost: Callable[[str], Awaitable[None]] | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Publish through ``writer``.

        Bad input is reported to ``flawed`` (kind, what), and a loss of data in Redis to ``lost``
        (what).
        """
        self._name, self.interval_ms = settings.timeframe, settings.interval_ms
        self._key = keys.klines(settings.symbol, settings.timeframe)
        self._rest, self._writer = rest, writer
        self._clock, self._heartbeat, self._flawed = clock, heartbeat, flawed
        self._lost, self._check = lost, False
        self._backfill = Backfill(settings, rest, clock, flawed)
        self._vigil = Vigil(settings.interval_ms, settings.close_deadline_ms)
        self._inbox, self._look = Inbox(), asyncio.Event()
        self._told_ms = 0
        self._witness = Witness(
            settings.timeframe, settings.interval_ms, settings.blind_after_ms, observer
        )
        self._moved_s = steady.now_s()

    @property
    def crowded(self) -> bool:
        """Whether so much waits that ``room`` should be awaited before the next ``put``."""
        return self._inbox.crowded

    @property
    def seen_ms(self) -> int | None:
        """The last boundary in the stream, or at hand without a gap; None while it is empty."""
        last_ms = self._vigil.last_ms
        return None if last_ms is None else self._inbox.through(last_ms, self.interval_ms)

    @property
    def idle_s(self) -> float:
        """For how long nothing has been added to the stream, as far as is known."""
        return steady.now_s() - self._moved_s

    async def look(self) -> None:
        """See where the stream ends by now."""
        await self._append([])

    def put(self, frame: KlineFrame, received_at_ms: int) -> None:
        """Take a closed candle from the WebSocket."""
        boundary_ms = frame.open_ms + self.interval_ms
        now_ms = self._clock.now_ms(steady.now_s()) or boundary_ms
        candle = Candle(
            boundary_ms,
            frame.open,
            frame.high,
            frame.low,
            frame.close,
            frame.volume,
            "ws",
            max(0, round(now_ms - boundary_ms)),
            received_at_ms,
        )
        last_ms = self._vigil.last_ms or 0
        if boundary_ms <= last_ms:
            self._came_twice([candle])
            if boundary_ms < last_ms - _TWIN_LEAD * self.interval_ms:
                self.check_now()  # it may have ended in the future until somebody deleted it
        elif (first := self._inbox.put(candle)) is not None:
            self._heartbeat.counters["duplicates"] += 1
            self._witness.twice(first, candle)

    async def room(self) -> None:
        """Wait until less waits; should nothing move, what waits is left to REST."""
        lost = await self._inbox.room(_PATIENCE_S)
        if lost:
            self._heartbeat.counters["frames_left_to_rest"] += lost

    def look_now(self) -> None:
        """Ask REST for what may have been missed, without waiting for the deadline."""
        self._vigil.look_now()
        self._look.set()

    def check_now(self) -> None:
        """See whether the stream still ends where it did."""
        self._check = True
        self._look.set()

    async def load(self) -> None:
        """Bring the stream up to date, from its end or (empty) with the history."""
        loaded = 0
        while True:
            self._vigil.asked(steady.now_s())
            try:
                await self._append([])
                loaded += await self._fill()
            except Unreachable as error:
                self._flawed("REST", str(error))
                await pause(max(0.0, self._vigil.retry_in_s(steady.now_s())))
            else:
                break
        log.info("Loaded %s data: %d candles", self._name, loaded)

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish())
            group.create_task(self._refill())

    async def _publish(self) -> NoReturn:
        """Append what the WebSocket brings."""
        while True:
            await self._inbox.news()
            while batch := self._next_batch():
                age_ms = self._inbox.age_ms
                done = await self._append(batch)
                self._inbox.forget_through(done.last_ms or 0)
                if done.appended:
                    self._heartbeat.took("frame_to_stream", age_ms)
                if done.status == "gap":
                    self._gap()
                    break
                await self._hold_back(done)

    def _next_batch(self) -> list[Candle]:
        if self._vigil.last_ms is None and len(self._inbox):
            self._gap()
            return []
        # In a gap the first one tells whether it is closed; there may be many behind it.
        return self._inbox.first(1 if self._vigil.gap else _MOST_AT_ONCE)

    def _gap(self) -> None:
        if not self._vigil.gap:
            self._heartbeat.counters["gaps"] += 1
            self._vigil.found_gap()
            self._look.set()

    async def _refill(self) -> NoReturn:
        """Append what the WebSocket does not bring."""
        checked_s = steady.now_s()
        while True:
            turned()
            left_s = self._seconds_left()
            if left_s > 0:
                await self._wait(min(left_s, _IDLE_CHECK_S))
                if self._check or steady.now_s() - checked_s > _STREAM_CHECK_S:
                    checked_s, self._check = steady.now_s(), False
                    await self._append([])
                continue
            await self._append([])  # another process may have been faster
            self._inbox.wake()
            if self._seconds_left() > 0:
                continue
            self._vigil.asked(steady.now_s())
            try:
                filled = await self._fill()
            except Unreachable as error:
                self._flawed("REST", str(error))
            else:
                if filled:
                    log.info("%s: filled by REST: %d", self._name, filled)
            self._inbox.wake()

    def _seconds_left(self) -> float:
        now_s = steady.now_s()
        return self._vigil.seconds_left(now_s, self._clock.now_ms(now_s), len(self._inbox))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._look.wait()
        except TimeoutError:
            pass
        self._look.clear()

    async def _fill(self) -> int:
        """Append everything that closed after the end of the stream, page by page.

        Returns:
            How many candles and missing markers were appended.

        Raises:
            Unreachable: REST gave no usable answer; what was appended stays.
        """
        newest_ms = self._inbox.newest_ms
        server_ms = await self._rest.server_time()
        self._refuse_the_future(server_ms, newest_ms)
        self._explain_end(server_ms)
        filled, more, said_at = 0, True, steady.now_s()
        while more and self._may_be_behind(server_ms):
            last_ms = self._vigil.last_ms
            batch = await self._backfill.after(last_ms, server_ms)
            candles = self._before_what_waits(batch.candles)
            self._compare_with_what_waits(batch.candles[len(candles) :])
            more = batch.more and len(candles) == len(batch.candles)
            filled += await self._append_all(candles, begin=last_ms is None)
            if steady.now_s() - said_at > _PROGRESS_EVERY_S:
                said_at, last_ms = steady.now_s(), self._vigil.last_ms or 0
                log.info("%s: %d candles loaded, at %s", self._name, filled, utc(last_ms))
                server_ms = await self._rest.server_time()
        return filled

    def _may_be_behind(self, server_ms: int) -> bool:
        last_ms = self._vigil.last_ms
        return last_ms is None or last_ms + self.interval_ms <= server_ms

    def _doubt_end(self, last_ms: int) -> None:
        """Ask the exchange for its time, should the stream end far behind what is known of it.

        A little behind it may be by a twin that has heard of a candle sooner.
        """
        now_ms = self._clock.now_ms(steady.now_s())
        if now_ms is not None and last_ms > now_ms + _SKEW_MS + _TWIN_LEAD * self.interval_ms:
            self.look_now()

    def _explain_end(self, exchange_ms: int) -> None:
        """Say once that an entry of the future keeps all others out, and how to be rid of it."""
        last_ms = self._vigil.last_ms or 0
        if last_ms <= exchange_ms + _SKEW_MS or last_ms == self._told_ms:
            return
        self._told_ms = last_ms
        log.critical(
            "the %s stream ends in the future, at %s, while the exchange's time is %s: no candle"
            " is published before that; %s",
            self._name, utc(last_ms), utc(exchange_ms), delete(self._key),
        )  # fmt: skip

    def _before_what_waits(self, candles: list[Candle]) -> list[Candle]:
        """Those that the WebSocket has not brought: the others follow by themselves."""
        oldest_ms = self._inbox.oldest_ms
        if oldest_ms is None or self._vigil.last_ms is None:  # only REST begins a stream
            return candles
        return [each for each in candles if each.boundary_ms < oldest_ms]

    def _compare_with_what_waits(self, candles: list[Candle]) -> None:
        for candle in candles[:KEPT]:
            if (first := self._inbox.waiting(candle.boundary_ms)) is not None:
                self._witness.twice(first, candle)

    def _refuse_the_future(self, server_ms: int, newest_ms: int) -> None:
        """Drop candles that came before ``server_ms`` was asked for and claim to close after it."""
        refused = self._inbox.forget_after(server_ms + _SKEW_MS, newest_ms)
        if refused:
            what = f"{self._name} up to {utc(newest_ms)}, when the exchange's time was"
            self._flawed("closed in the future", f"{what} {utc(server_ms)}")

    async def _append_all(self, candles: list[Candle], *, begin: bool) -> int:
        """Append in order, waiting for readers that are far behind; how many were appended."""
        appended = 0
        while candles:
            done = await self._append(
                candles[:_MOST_AT_ONCE], begin=begin and (self._vigil.last_ms is None)
            )
            appended += done.appended
            candles = candles[done.appended + done.duplicates :]
            if done.status == "gap":  # the stream lost its end: what comes next is asked for anew
                break
            await self._hold_back(done)
        return appended

    async def _hold_back(self, done: Appended) -> None:
        if done.status == "ahead":
            self._heartbeat.state = "waiting for indicators and detector, which are far behind"
            await asyncio.sleep(_AHEAD_PAUSE_S)

    async def _append(self, candles: list[Candle], *, begin: bool = False) -> Appended:
        done = await self._writer.append(self._name, self.interval_ms, candles, begin=begin)
        heartbeat, counters = self._heartbeat, self._heartbeat.counters
        if (done.last_ms or 0) < (self._vigil.last_ms or 0):
            done = replace(done, last_ms=await self._end_of_stream())
        if self._vigil.moved(done.last_ms):
            heartbeat.facts[f"last_{self._name}"] = str(done.last_ms or "")
            self._doubt_end(done.last_ms or 0)
            self._moved_s = steady.now_s()
        if done.duplicates:
            self._came_twice(candles[: done.duplicates])
        if done.appended:
            heartbeat.state = "running"
            new = candles[done.duplicates : done.duplicates + done.appended]
            self._witness.published(new)
            heartbeat.facts[f"lag_ms_{self._name}"] = str(new[-1].lag_ms)
            counters[f"candles_{self._name}"] += len(new)
            counters["by_rest"] += sum(candle.source == "rest" for candle in new)
            counters["missing"] += sum(candle.missing for candle in new)
        return done

    def _came_twice(self, candles: list[Candle]) -> None:
        self._heartbeat.counters["duplicates"] += len(candles)
        self._witness.known(candles)

    async def _end_of_stream(self) -> int | None:
        """Where the stream ends that seems to have lost its end; an answer may just come late."""
        last_ms = self._vigil.last_ms or 0
        now = await self._writer.append(self._name, self.interval_ms, [], begin=False)
        if (now.last_ms or 0) < last_ms:
            self._heartbeat.counters["losses"] += 1
            what = f"all {self._name} candles"
            if now.last_ms:
                what = f"the {self._name} candles after {utc(now.last_ms)}"
            log.error("Redis has lost %s; they are fetched again", what)
            if self._lost is not None:
                await self._lost(what)
        return now.last_ms
