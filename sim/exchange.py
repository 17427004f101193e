"""The simulated exchange: walks its clock over the candles, and tells whoever listens.

The clock stands at its start until somebody has subscribed, so that a client may load history
first. At full speed it goes exactly as fast as the clients take their frames; when all have gone it
goes on without them, because a client that was killed must find that it lost something.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Literal, Self

from sim.agenda import Agenda
from sim.candles import MINUTE_MS, Candles
from sim.clock import Clock
from sim.exchange_info import Market
from sim.faults import Faults, check_fault
from sim.feed import Feed
from sim.frames import stream_name
from sim.lane import Lane
from sim.listener import Listener
from sim.rest import Rest
from sim.schedule import Fault
from sim.streams import Streams
from sim.tape import TIMEFRAMES, Tape

# Closing frames leave this long after their boundary, as recorded on the spot market.
LATENESS_MS = (5, 50)

OPEN_FRAME_EVERY_MS = 2000
OPEN_FRAMES_PER_SECOND = 10

# At full speed, how many boundaries may pass before others on the loop get their turn.
BOUNDARIES_PER_TURN = 32

# A client that takes nothing for this long must not hold the clock of a replay for ever.
STALL_LIMIT_S = 60.0


class Impossible(ValueError):
    """The exchange cannot be run as asked."""


class Exchange(Faults):
    """One market on the exchange; ``async with`` opens its ports, ``Faults`` says how it fails.

    Args:
        candles: 1m candles; those before ``start_ms`` are history.
        symbol: base and quote with a slash between them.
        speed: market seconds per wall second (at least 1), or "max".
        start_ms: where the clock starts; the first candle's open time when None.
        seed: of the lateness of closing frames.
        late_close_ms: range of that lateness, below a minute.
        rest_lag_ms: market time by which REST learns of a closed candle later than the stream.
        weight_limit: REST request weight per wall minute; 0 for none.
        idle_minutes_per_second: pace of the clock at full speed while nobody listens any more.
        lifetime_ms: market time after which a connection is ended (the real one: 24 h).
        schedule: faults to be caused when the clock passes their time.
    """

    def __init__(
        self,
        candles: Candles,
        *,
        symbol: str = "BTC/USDT",
        speed: float | Literal["max"] = "max",
        start_ms: int | None = None,
        host: str = "127.0.0.1",
        ws_port: int = 0,
        rest_port: int = 0,
        seed: int = 0,
        late_close_ms: tuple[int, int] = LATENESS_MS,
        rest_lag_ms: int = 0,
        weight_limit: int = 6000,
        idle_minutes_per_second: float = 600,
        ping_interval_s: float = 20,
        pong_deadline_s: float = 60,
        tick: str = "0.01",
        lifetime_ms: int | None = None,
        schedule: Iterable[Fault] = (),
    ) -> None:
        super().__init__(lifetime_ms=lifetime_ms, rest_lag_ms=rest_lag_ms)
        market = _market(symbol, tick)
        self.tape = Tape(candles)
        self.start_ms = self.tape.first_ms if start_ms is None else start_ms
        self.end_ms = self.tape.end_ms
        _check(self, speed, late_close_ms)
        self.symbol = market.symbol
        self.clock = Clock(self.start_ms, None if speed == "max" else float(speed))
        self.streams = Streams(
            {stream_name(self.symbol, interval) for interval in TIMEFRAMES},
            ping_interval_s=ping_interval_s,
            pong_deadline_s=pong_deadline_s,
        )
        self.rest = Rest(
            market, self.tape, self.clock, lag_ms=rest_lag_ms, weight_limit=weight_limit
        )
        self.agenda = Agenda(self.clock.nudge)
        self.feed = Feed(
            self.symbol,
            self.tape,
            self.streams,
            self.clock,
            self.agenda,
            lateness_ms=late_close_ms,
            seed=seed,
            correct=self.rest.correct,
        )
        self.streams.admitted = self._admit
        self.finished = asyncio.Event()
        self.ws_url = ""
        self.rest_url = ""
        self._host, self._ws_port, self._rest_port = host, ws_port, rest_port
        self._speed = speed
        self._lateness_ms = late_close_ms
        self._idle_minutes_per_second = idle_minutes_per_second
        self._idle_until_s = 0.0
        self._released = asyncio.Event()
        self._released.set()
        self._stack = AsyncExitStack()
        schedule = list(schedule)
        for fault in schedule:
            check_fault(fault.name, fault.arguments)
        self.obey(schedule)

    @property
    def now_ms(self) -> int:
        """The exchange's time."""
        return self.clock.now_ms

    @property
    def frames_sent(self) -> int:
        """Frames handed to sockets, each client's counted."""
        return self.feed.frames_sent

    @property
    def closing_frames_sent(self) -> int:
        """Those of them that close a candle."""
        return self.feed.closing_frames_sent

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(self.streams.serve(self._host, self._ws_port))
            self.ws_url = f"ws://{self._host}:{port}"
            port = await stack.enter_async_context(self.rest.serve(self._host, self._rest_port))
            self.rest_url = f"http://{self._host}:{port}"
            group = await stack.enter_async_context(asyncio.TaskGroup())
            walk = group.create_task(self._walk(), name="exchange clock")
            stack.callback(walk.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def candles_total(self, interval: str) -> int:
        """Candles of ``interval`` that close after the start and up to the end."""
        return self.tape.closed_by(interval, self.end_ms) - self.tape.closed_by(
            interval, self.start_ms
        )

    def sent_at(self, interval: str, boundaries_ms: Sequence[int]) -> list[int]:
        """Wall times (ns) at which closing frames first went to a socket; 0 where none did."""
        return self.feed.sent_at(interval, boundaries_ms)

    @property
    def halted(self) -> bool:
        """Whether an unpaced clock stands until ``go_on``."""
        return not self._released.is_set()

    def halt(self) -> None:
        """Let an unpaced clock stand where it is; a paced one goes on."""
        self._released.clear()

    def go_on(self) -> None:
        """End a halt."""
        self._released.set()

    def _admit(self, listener: Listener) -> None:
        listener.opened_ms = self.now_ms
        self.limit(listener)

    # The walk.

    async def _walk(self) -> None:
        await self.streams.first_subscription.wait()
        self.clock.run()
        self.walking = True
        first = self.start_ms - self.start_ms % MINUTE_MS + MINUTE_MS
        if self._speed == "max":
            await self._walk_at_full_speed(first)
        else:
            for boundary in range(first, self.end_ms + 1, MINUTE_MS):
                await self._pace(boundary)
        await self._finish()

    async def _walk_at_full_speed(self, first: int) -> None:
        for count, boundary in enumerate(range(first, self.end_ms + 1, MINUTE_MS)):
            if not self.feed.lanes_heard():
                await self._idle()
            if self.agenda.next_ms <= boundary:
                await self._jump(boundary)
            self.clock.advance_to(boundary + self._lateness_ms[0])
            for event_ms, lane, index in self.feed.due(boundary):
                self.clock.advance_to(event_ms)
                self.feed.close(lane, index)
            if self.streams.congested:
                await self.streams.drain(STALL_LIMIT_S)
            if count % BOUNDARIES_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _idle(self) -> None:
        """Let one minute of market time pass at the idle pace, or less if somebody comes."""
        now_s = time.monotonic()
        # Timers fire late: what was overslept is made up for, within reason.
        self._idle_until_s = (
            max(self._idle_until_s, now_s - 0.1) + 1 / self._idle_minutes_per_second
        )
        if self._idle_until_s <= now_s:
            return
        try:
            async with asyncio.timeout(self._idle_until_s - now_s):
                await self.streams.heard.wait()
        except TimeoutError:
            pass

    async def _jump(self, at_ms: int) -> None:
        """Move an unpaced clock on, with what is on the agenda until then."""
        while self.agenda.next_ms <= at_ms:
            self.clock.advance_to(self.agenda.next_ms)
            self.agenda.act()
            await asyncio.sleep(0)  # a fault may need a turn of the loop to take effect
            await self._released.wait()
        self.clock.advance_to(at_ms)

    async def _pace(self, boundary: int) -> None:
        """One minute at the clock's pace: what closes at ``boundary``, then open frames."""
        await self._wait(boundary)
        plan: list[tuple[int, Lane | None, int]] = list(self.feed.due(boundary, everything=True))
        every = OPEN_FRAME_EVERY_MS
        least_ms = float(self._speed) * 1000 / OPEN_FRAMES_PER_SECOND
        every *= max(1, -int(-least_ms // every))
        if boundary < self.end_ms:
            plan += [(boundary + after, None, 0) for after in range(every, MINUTE_MS, every)]
        plan.sort(key=lambda step: step[0])
        for at_ms, lane, index in plan:
            await self._wait(at_ms)
            if lane is None:
                self.feed.send_open(at_ms)
            else:
                self.feed.close(lane, index)
            self.streams.cut_the_stuck()

    async def _wait(self, at_ms: int) -> None:
        """Wait until a paced clock shows ``at_ms``, with what is on the agenda until then."""
        while True:
            await self.clock.approach(min(at_ms, self.agenda.next_ms))
            now_ms = self.clock.now_ms
            if self.agenda.next_ms <= min(at_ms, now_ms):
                self.agenda.act()
            elif now_ms >= at_ms:
                return

    async def _finish(self) -> None:
        """Send what was put off, end what lasts, and stop the clock."""
        latest_ms = self.end_ms + MINUTE_MS
        while self.feed.pending and self.agenda.next_ms <= latest_ms:
            await (self._wait if self.clock.paced else self._jump)(self.agenda.next_ms)
        self.feed.release()
        # Late enough for whoever missed the last candle and waits for its deadline to ask REST.
        self.clock.stand_at(max(self.clock.now_ms, self.end_ms + MINUTE_MS // 2))
        self.walking = False
        self.end_faults(bounded_only=True)
        self.finished.set()


def _market(symbol: str, tick: str) -> Market:
    base, slash, quote = symbol.partition("/")
    if not (base.isalnum() and slash and quote.isalnum()):
        raise Impossible(f"symbol {symbol!r}: write base and quote with a slash, like BTC/USDT")
    return Market(base.upper(), quote.upper(), tick)


def _check(exchange: Exchange, speed: float | str, late_close_ms: tuple[int, int]) -> None:
    if isinstance(speed, str) and speed != "max":
        raise Impossible(f'speed {speed!r}: give "max" or a number from 1')
    if not isinstance(speed, str) and not 1 <= speed < float("inf"):
        raise Impossible(f"speed {speed}: the clock cannot go slower than time; give 1 or more")
    if not exchange.start_ms < exchange.end_ms:
        raise Impossible(
            f"start {exchange.start_ms}: the candles end at {exchange.end_ms}; start before that"
        )
    if not 0 <= late_close_ms[0] <= late_close_ms[1] < MINUTE_MS:
        raise Impossible(f"late closes {late_close_ms}: give a range within 0 to 59999 ms")
