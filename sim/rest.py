"""The exchange's REST port: klines, exchangeInfo, time, ping, with weights and error bodies.

The last kline of a page is normally the candle still open, and nothing in it says so.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sim.clock import Clock
from sim.door import Door
from sim.exchange_info import MARKETS, Market, rate_limit, symbol_info
from sim.frames import kline_page
from sim.resets import reset
from sim.rest_query import Refused, names_of, time_ms, whole_number
from sim.script import Answer, Script
from sim.tape import TIMEFRAMES, Kline, Tape
from sim.web_answers import break_off, respond

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
WEIGHTS = {"exchangeInfo": 20, "klines": 2}


@dataclass(frozen=True, slots=True)
class HalfBody:
    """A true answer that breaks off in the middle.

    Attributes:
        unnoticed: the length that is stated agrees with what comes, as behind a careless proxy;
            otherwise the connection ends before the stated length is reached.
    """

    unnoticed: bool = False


class Rest:
    """Answers REST requests about one market with candles, and about others without.

    Args:
        lag_ms: market time by which a freshly closed candle is missing from klines.
        weight_limit: request weight per wall minute; 0 for none.

    Attributes:
        answers: scripted answers for the next requests.
        holes: open times (ms) left out of the next pages.
        halves: for the next true answers that break off.
        corrections: by timeframe and open time, candles that are shown with other values.
        lag_ms: see above; may be changed at any time.
        door: the port.
    """

    def __init__(
        self, market: Market, tape: Tape, clock: Clock, *, lag_ms: int = 0, weight_limit: int = 6000
    ) -> None:
        self.answers: Script[Answer] = Script()
        self.holes: Script[Collection[int]] = Script()
        self.halves: Script[HalfBody] = Script()
        self.corrections: dict[tuple[str, int], Kline] = {}
        self.requests = 0
        self.lag_ms = lag_ms
        self.door = Door(self._listen)
        self._server: web.Server | None = None
        self._market = market
        self._tape = tape
        self._clock = clock
        self._weight = _Weight(weight_limit)
        self._markets = {m.symbol: m for m in (*(Market(*parts) for parts in MARKETS), market)}
        self._endpoints: dict[str, Callable[[Mapping[str, str]], bytes]] = {
            "ping": lambda _: b"{}",
            "time": lambda _: _json({"serverTime": clock.now_ms}),
            "exchangeInfo": self._exchange_info,
            "klines": self._klines,
        }

    @property
    def used_weight(self) -> int:
        """What was asked in the minute of the last request, by its weight."""
        return self._weight.used

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen; yields the port."""
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._server = runner.server
        try:
            server = await asyncio.get_running_loop().create_server(self._protocol, host, port)
            async with self.door.keep(server):
                yield int(server.sockets[0].getsockname()[1])
        finally:
            await runner.cleanup()

    def correct(self, interval: str, kline: Kline) -> None:
        """Show this candle from now on instead of the true one."""
        self.corrections[interval, kline.open_ms] = kline

    def hang_up(self) -> None:
        """Reset the connections that clients keep for later."""
        if self._server is not None:
            for connection in self._server.connections:
                reset(connection.transport)

    async def _listen(self, wire: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(self._protocol, sock=wire)

    def _protocol(self) -> asyncio.Protocol:
        assert self._server is not None  # noqa: S101 -- set up before anybody listens
        return self._server()

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v3/{endpoint}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        scripted = self.answers.take()
        if scripted is not None:
            return await respond(request, scripted)
        name = request.match_info["endpoint"]
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            return web.Response(status=404)
        used, retry_after_s = self._weight.spend(WEIGHTS.get(name, 1))
        headers = {"X-MBX-USED-WEIGHT": str(used), "X-MBX-USED-WEIGHT-1M": str(used)}
        try:
            if retry_after_s:
                headers["Retry-After"] = str(retry_after_s)
                raise self._weight.refusal()
            status, body = 200, endpoint(request.query)
        except Refused as error:
            status, body = error.status, _json({"code": error.code, "msg": error.message})
        half = self.halves.take() if status == 200 else None
        if half is not None and not half.unnoticed:
            return await break_off(request, body, headers)
        return web.Response(
            status=status,
            body=body if half is None else body[: len(body) // 2],
            headers=headers,
            content_type="application/json",
        )

    def _exchange_info(self, query: Mapping[str, str]) -> bytes:
        if "symbol" in query and "symbols" in query:
            raise Refused(-1128, "Combination of optional parameters invalid.")
        names: list[Any] = list(self._markets)
        if "symbol" in query:
            names = [query["symbol"]]
        elif "symbols" in query:
            names = names_of(query["symbols"])
        if any(name not in self._markets for name in names):
            raise Refused(-1121, "Invalid symbol.")
        return _json(
            {
                "timezone": "UTC",
                "serverTime": self._clock.now_ms,
                "rateLimits": self._limits(),
                "exchangeFilters": [],
                "symbols": [symbol_info(self._markets[name]) for name in names],
            }
        )

    def _limits(self) -> list[dict[str, Any]]:
        limits = [rate_limit("RAW_REQUESTS", 5, 300_000)]
        if self._weight.limit:
            limits.insert(0, rate_limit("REQUEST_WEIGHT", 1, self._weight.limit))
        return limits

    def _klines(self, query: Mapping[str, str]) -> bytes:
        for name in ("symbol", "interval"):
            if not query.get(name):
                raise Refused(
                    -1102,
                    f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
                )
        if query["symbol"] not in self._markets:
            raise Refused(-1121, "Invalid symbol.")
        if query["interval"] not in TIMEFRAMES:
            raise Refused(-1120, "Invalid interval.")
        start_ms, end_ms = time_ms(query, "startTime"), time_ms(query, "endTime")
        limit = whole_number(query, "limit")
        if limit is None:
            limit = DEFAULT_LIMIT
        if limit < 1:
            raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
        if query["symbol"] != self._market.symbol:
            return b"[]"
        return kline_page(self._page(query["interval"], start_ms, end_ms, min(limit, MAX_LIMIT)))

    def _page(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Kline]:
        now_ms = self._clock.now_ms
        series = self._tape.series(interval)
        closed = self._tape.closed_by(interval, now_ms)
        times = series.candles.open_time_ms
        low = 0 if start_ms is None else int(times.searchsorted(start_ms))
        high = closed if end_ms is None else int(times.searchsorted(end_ms, side="right"))
        still_open = self._tape.open_at(interval, now_ms)
        if still_open is not None and not _within(still_open.open_ms, start_ms, end_ms):
            still_open = None
        high = min(high, closed)
        if start_ms is None:
            low = max(low, high - limit)
        page = series.rows(low, max(low, min(high, low + limit)))
        if still_open is not None:
            page.append(still_open)
        page = page[-limit:] if start_ms is None else page[:limit]
        fresh_ms = now_ms - self.lag_ms
        holes = self.holes.take() or ()
        page = [
            k for k in page if not fresh_ms < k.close_ms + 1 <= now_ms and k.open_ms not in holes
        ]
        if self.corrections:
            page = [self.corrections.get((interval, k.open_ms), k) for k in page]
        return page


class _Weight:
    """Request weight used in the current wall minute."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minute = 0
        self.used = 0

    def spend(self, weight: int) -> tuple[int, int]:
        """Weight used with this request, and seconds to wait if that is too much (else 0)."""
        now_s = time.monotonic()
        minute = int(now_s // 60)
        if minute != self._minute:
            self._minute, self.used = minute, 0
        self.used += weight
        if self.limit and self.used > self.limit:
            return self.used, max(1, int(60 - now_s % 60) + 1)
        return self.used, 0

    def refusal(self) -> Refused:
        return Refused(
            -1003,
            f"Too much request weight used; current limit is {self.limit} request weight per "
            "1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
            status=429,
        )


def _within(at_ms: int, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or at_ms >= start_ms) and (end_ms is None or at_ms <= end_ms)


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
