"""Asks the exchange over REST: one host after another, within its limits, never in a hurry."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from services.ingest.clock import ExchangeClock
from services.ingest.hosts import Turns, is_loopback
from services.ingest.limits import ordered_pause_s
from services.ingest.pages import (
    Page,
    read_markets,
    read_page,
    read_server_time,
    read_weight_limit,
)
from services.ingest.reach import Reach
from services.ingest.skew import Skew
from services.ingest.weight import Weight
from shared import steady
from shared.malformed import Malformed
from shared.market import Market
from shared.progress import held, pause, turned

log = logging.getLogger(__name__)

PAGE = 1000  # the most that the exchange gives at once
_INVALID_SYMBOL = b"-1121"
# Request weights as the exchange counts them; exchangeInfo tells the limit.
_WEIGHTS = {"/api/v3/exchangeInfo": 20, "/api/v3/klines": 2}
# A page has some 200 KB, the list of all markets some 20 MB; what is larger is no answer.
_LARGEST_BODY = 64 * 1024 * 1024


class Unreachable(Exception):
    """No usable answer this time; trying again is right."""


class UnknownSymbol(Exception):
    """The exchange does not list this symbol."""


class _BadRequest(Unreachable):
    """The exchange says that the request is wrong; ``body`` says how."""

    def __init__(self, what: str, body: bytes) -> None:
        super().__init__(what)
        self.body = body


@dataclass(frozen=True, slots=True)
class _Answer:
    host: str
    body: bytes
    asked_s: float
    asked_ms: float
    answered_s: float


class Rest:
    """A client for the market data endpoints; use as an async context manager.

    Attributes:
        skew: Our clock against the exchange's, as its answers show.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        clock: ExchangeClock,
        *,
        timeout_s: float,
        concurrent: int = 2,
        note: Callable[[str, str], None] = lambda _name, _fact: None,
    ) -> None:
        """Ask ``hosts`` in turn, staying with the one that answers.

        What a person may want to know of the present state is given to ``note`` (name, fact).
        """
        self._hosts, self._turns = tuple(hosts), Turns(hosts)
        self._clock, self._timeout_s = clock, timeout_s
        self._turn = asyncio.Semaphore(concurrent)
        self._pause_until = 0.0
        self._weight, self._note, self.skew = Weight(), note, Skew()
        self._reach = Reach(len(self._hosts))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Rest":
        """Open the session."""
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        proxied = not all(is_loopback(host) for host in self._hosts)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=proxied)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    @property
    def host(self) -> str:
        """The host that is asked next."""
        return self._turns.host

    @property
    def state(self) -> str:
        """Whether it answers, and if not, since when and why; empty before it was asked."""
        return self._reach.state

    @property
    def failure(self) -> str:
        """Since when it does not answer, and why; empty while it does, and before it was asked."""
        return self._reach.failure

    async def server_time(self) -> int:
        """The exchange's clock, ms UTC.

        Raises:
            Unreachable: No usable answer.
        """
        answer = await self._get("/api/v3/time", {})
        try:
            server_ms = read_server_time(answer.body)
        except Malformed as error:
            raise self._next_host(answer.host, str(error)) from None
        self._clock.answered(server_ms, answer.asked_s, answer.answered_s)
        self._answered(answer.host)
        round_trip_ms = (answer.answered_s - answer.asked_s) * 1000
        self.skew.answered(server_ms, answer.asked_ms, round_trip_ms)
        return server_ms

    async def page(
        self,
        symbol: str,
        timeframe: str,
        interval_ms: int,
        *,
        from_ms: int,
        closed_by_ms: float,
        to_ms: int | None = None,
    ) -> Page:
        """Up to 1,000 candles whose open time is ``from_ms`` or later (and at most ``to_ms``).

        ``closed_by_ms`` is the exchange's time, read before, up to which boundaries have passed.

        Raises:
            Unreachable: No usable answer.
        """
        query = {
            "symbol": symbol,
            "interval": timeframe,
            "startTime": str(from_ms),
            "limit": str(PAGE),
        }
        if to_ms is not None:
            query["endTime"] = str(to_ms)
        answer = await self._get("/api/v3/klines", query)
        try:
            page = read_page(answer.body, interval_ms, from_ms, closed_by_ms)
        except Malformed as error:
            raise self._next_host(answer.host, str(error)) from None
        self._answered(answer.host)
        return page

    async def markets(self, symbol: str | None = None) -> list[Market]:
        """What the exchange says of ``symbol``, or of all.

        Raises:
            UnknownSymbol: It does not list ``symbol``.
            Unreachable: No usable answer.
        """
        query = {"symbol": symbol} if symbol else {}
        try:
            answer = await self._get("/api/v3/exchangeInfo", query)
        except _BadRequest as error:
            if _INVALID_SYMBOL in error.body:
                raise UnknownSymbol from None
            raise
        try:
            self._weight.limited(read_weight_limit(answer.body))
            markets = read_markets(answer.body)
        except Malformed as error:
            raise self._next_host(answer.host, str(error)) from None
        self._answered(answer.host)
        return markets

    async def _get(self, path: str, query: Mapping[str, str]) -> _Answer:
        async with held(self._turn):
            weight = _WEIGHTS.get(path, 1)
            await self._until_allowed(weight)
            if self._session is None:
                raise RuntimeError("Rest is used outside of its context")
            host, asked_s, asked_ms = self.host, steady.now_s(), time.time() * 1000
            try:
                with self._weight.asking(weight):
                    async with self._session.get(
                        host + path, params=query, allow_redirects=False
                    ) as answer:
                        body = await _read(answer.content)
                        answered_s = steady.now_s()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
                raise self._next_host(host, f"cannot be reached ({reason})") from error
            turned()
            self._weigh(answer.headers.get("X-MBX-USED-WEIGHT-1M"))
        if answer.status != 200:
            raise self._failure(host, answer.status, body, answer.headers.get("Retry-After"))
        return _Answer(host, body, asked_s, asked_ms, answered_s)

    async def _until_allowed(self, weight: int) -> None:
        """Sit out what the exchange ordered, and the minute in which enough was asked."""
        # Another request may meanwhile be told to wait longer.
        while (left_s := self._pause_until - steady.now_s()) > 0:
            await pause(left_s)
        while (left_s := self._weight.pause_s(weight, self._now_ms())) > 0:
            log.warning("Request weight %s is enough; waiting %.0f s", self._weight, left_s)
            await pause(left_s)

    def _weigh(self, used: str | None) -> None:
        self._weight.answered(used, self._now_ms())
        self._note("rest_weight", str(self._weight))

    def _now_ms(self) -> float | None:
        return self._clock.now_ms(steady.now_s())

    def _failure(self, host: str, status: int, body: bytes, retry_after: str | None) -> Unreachable:
        pause_s = ordered_pause_s(status, retry_after)
        if pause_s:
            self._pause_until = max(self._pause_until, steady.now_s() + pause_s)
            what = "banned this address" if status == 418 else "limits our request rate"
            return self._failed(f"{host} {what}; waiting {pause_s:.0f} s (HTTP {status})")
        if status == 451:
            return self._next_host(
                host,
                "does not serve this region (HTTP 451): use a market-data host such as"
                " https://data-api.binance.vision in exchange.rest_hosts and"
                " wss://data-stream.binance.vision in exchange.ws_hosts",
            )
        failure = self._next_host(host, f"answered HTTP {status}: {_excerpt(body)}")
        return _BadRequest(str(failure), body) if status == 400 else failure

    def _next_host(self, failed: str, what: str) -> Unreachable:
        """Ask another host from now on."""
        self._turns.failed(failed)
        return self._failed(f"{failed} {what}")

    def _answered(self, host: str) -> None:
        self._reach.answered(host)
        self._note("rest", self.state)

    def _failed(self, what: str) -> Unreachable:
        self._reach.failed(what, time.time() * 1000)
        if self.state:
            self._note("rest", self.state)
        return Unreachable(what)


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise aiohttp.ClientPayloadError(f"more than {_LARGEST_BODY} bytes")
    return bytes(body)


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:1000].decode(errors="replace").split())
    return text[:120] or "empty body"
