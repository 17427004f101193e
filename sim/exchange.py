"""The simulated exchange: walks its clock over the candles, and tells whoever listens.

The clock stands at its start until somebody has subscribed, so that a client may load history
first. At full speed it goes exactly as fast as the clients take their frames; when all have gone it
goes on without them, because a client that was killed must find that it lost something.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Literal, Self

import numpy as np
from aiohttp import web

from sim.candles import MINUTE_MS, Candles
from sim.clock import Clock
from sim.frames import Closings, combined, kline_event, stream_name, text_frame
from sim.rest import Market, Rest
from sim.script import Answer
from sim.streams import Streams
from sim.tape import TIMEFRAMES, Series, Tape

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


class Lane:
    """The closing frames of one timeframe: what goes out, when, and when it went.

    Attributes:
        event_ms: shape [n], market time at which each candle's closing frame goes out.
        sent_ns: shape [n], wall time at which it was first handed to a socket, 0 before.
    """

    def __init__(
        self, symbol: str, series: Series, lateness_ms: tuple[int, int], seed: int
    ) -> None:
        self.interval = series.interval
        self.interval_ms = series.interval_ms
        self.stream = stream_name(symbol, series.interval)
        chance = np.random.Generator(np.random.PCG64([seed, series.interval_ms]))
        late = chance.integers(lateness_ms[0], lateness_ms[1] + 1, len(series))
        self._open_ms = series.candles.open_time_ms
        self.event_ms = self._open_ms + self.interval_ms + late
        self.sent_ns = np.zeros(len(series), np.int64)
        self.closings = Closings(symbol, series, self.event_ms)
        self._at = 0

    def closing_at(self, boundary_ms: int) -> int | None:
        """Index of the candle that closes at ``boundary_ms``; cheap while boundaries ascend."""
        opened = boundary_ms - self.interval_ms
        if boundary_ms % self.interval_ms:
            return None
        times = self._open_ms
        if self._at < len(times) and times[self._at] < opened:
            self._at += 1
            if self._at < len(times) and times[self._at] < opened:
                self._at = int(np.searchsorted(times, opened))
        if self._at < len(times) and times[self._at] == opened:
            return self._at
        return None

    def sent_at(self, boundaries_ms: Iterable[int]) -> list[int]:
        """Wall times of the closing frames of ``boundaries_ms``; 0 where there is none."""
        opened = np.fromiter(boundaries_ms, np.int64) - self.interval_ms
        at = np.minimum(np.searchsorted(self._open_ms, opened), len(self._open_ms) - 1)
        sent: list[int] = np.where(self._open_ms[at] == opened, self.sent_ns[at], 0).tolist()
        return sent


class Exchange:
    """One market on the exchange; ``async with`` opens its ports.

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
    ) -> None:
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
        self.finished = asyncio.Event()
        self.frames_sent = 0
        self.closing_frames_sent = 0
        self.ws_url = ""
        self.rest_url = ""
        self._host, self._ws_port, self._rest_port = host, ws_port, rest_port
        self._speed = speed
        self._seed = seed
        self._lateness_ms = late_close_ms
        self._idle_minutes_per_second = idle_minutes_per_second
        self._lanes: dict[str, Lane] = {}
        self._heard: list[Lane] = []
        self._heard_version = -1
        self._idle_until_s = 0.0
        self._stack = AsyncExitStack()

    @property
    def now_ms(self) -> int:
        """The exchange's time."""
        return self.clock.now_ms

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(self.streams.serve(self._host, self._ws_port))
            self.ws_url = f"ws://{self._host}:{port}"
            runner = web.AppRunner(self.rest.app(), access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self._host, self._rest_port).start()
            self.rest_url = f"http://{self._host}:{runner.addresses[0][1]}"
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
        if interval not in self._lanes:
            return [0] * len(boundaries_ms)
        return self._lanes[interval].sent_at(boundaries_ms)

    # Faults. Each takes effect at once and says in its name how long it lasts.

    def cut(self, *, close_frame: bool = True, code: int = 1001, reason: str = "") -> None:
        """End all WebSocket connections, politely or not."""
        self.streams.cut(close_frame=close_frame, code=code, reason=reason)

    def refuse_handshakes(self, count: int = 1, *, status: int = 503, body: str = "") -> None:
        """Answer the next WebSocket handshakes with an HTTP error."""
        self.streams.refusals.add((status, body), count)

    def silence(self, *, on: bool = True) -> None:
        """Keep the present connections open but deliver nothing to them."""
        self.streams.silence(on=on)

    def inject(self, text: str) -> None:
        """Send a raw text frame to everybody."""
        self.streams.inject(text)

    def answer_rest(self, answer: Answer, count: int = 1) -> None:
        """Give the next REST requests this answer."""
        self.rest.answers.add(answer, count)

    def hide(self, open_ms: Collection[int], count: int = 1) -> None:
        """Leave these candles out of the next REST pages."""
        self.rest.holes.add(frozenset(open_ms), count)

    # The walk.

    async def _walk(self) -> None:
        await self.streams.first_subscription.wait()
        self.clock.run()
        first = self.start_ms - self.start_ms % MINUTE_MS + MINUTE_MS
        if self._speed == "max":
            await self._walk_at_full_speed(first)
        else:
            for boundary in range(first, self.end_ms + 1, MINUTE_MS):
                await self._pace(boundary)
        last = self.end_ms + self._lateness_ms[0]
        self.clock.stand_at(max(self.clock.now_ms, last))
        self.finished.set()

    async def _walk_at_full_speed(self, first: int) -> None:
        for count, boundary in enumerate(range(first, self.end_ms + 1, MINUTE_MS)):
            if not self._lanes_heard():
                await self._idle()
            self.clock.advance_to(boundary + self._lateness_ms[0])
            for event_ms, lane, index in self._due(boundary):
                self.clock.advance_to(event_ms)
                self._send_closing(lane, index)
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

    async def _pace(self, boundary: int) -> None:
        """One minute at the clock's pace: what closes at ``boundary``, then open frames."""
        await self.clock.reach(boundary)
        plan: list[tuple[int, Lane | None, int]] = list(self._due(boundary, everything=True))
        every = OPEN_FRAME_EVERY_MS
        least_ms = float(self._speed) * 1000 / OPEN_FRAMES_PER_SECOND
        every *= max(1, -int(-least_ms // every))
        if boundary < self.end_ms:
            plan += [(boundary + after, None, 0) for after in range(every, MINUTE_MS, every)]
        plan.sort(key=lambda step: step[0])
        for at_ms, lane, index in plan:
            await self.clock.reach(at_ms)
            if lane is None:
                self._send_open(at_ms)
            else:
                self._send_closing(lane, index)
            self.streams.cut_the_stuck()

    def _due(self, boundary: int, *, everything: bool = False) -> list[tuple[int, Lane, int]]:
        """(event time, lane, index) of the candles that close at ``boundary``, in order of time."""
        lanes = map(self._lane, TIMEFRAMES) if everything else self._lanes_heard()
        due = []
        for lane in lanes:
            index = lane.closing_at(boundary)
            if index is not None:
                due.append((int(lane.event_ms[index]), lane, index))
        if len(due) > 1:
            due.sort(key=lambda step: step[0])
        return due

    def _lane(self, interval: str) -> Lane:
        if interval not in self._lanes:
            series = self.tape.series(interval)
            self._lanes[interval] = Lane(self.symbol, series, self._lateness_ms, self._seed)
        return self._lanes[interval]

    def _lanes_heard(self) -> Sequence[Lane]:
        """The lanes somebody listens to."""
        if self._heard_version != self.streams.version:
            self._heard_version = self.streams.version
            self._heard = [
                self._lane(interval)
                for interval in TIMEFRAMES
                if self.streams.subscribers(stream_name(self.symbol, interval))
            ]
        return self._heard

    def _send_closing(self, lane: Lane, index: int) -> None:
        now_ns = time.time_ns()
        sent = 0
        for listener in self.streams.subscribers(lane.stream):
            frame = lane.closings.frame(index, wrapped=listener.wants.wrapped)
            if listener.deliver(frame):
                sent += 1
            else:
                self.streams.forget(listener)
        if sent and not lane.sent_ns[index]:
            lane.sent_ns[index] = now_ns
        self.closing_frames_sent += sent
        self.frames_sent += sent

    def _send_open(self, at_ms: int) -> None:
        for lane in self._lanes_heard():
            kline = self.tape.open_at(lane.interval, at_ms)
            if kline is None:
                continue
            event = kline_event(self.symbol, lane.interval, at_ms, kline, closed=False)
            for listener in self.streams.subscribers(lane.stream):
                text = combined(lane.stream, event) if listener.wants.wrapped else event
                self.frames_sent += listener.deliver(text_frame(text))


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
