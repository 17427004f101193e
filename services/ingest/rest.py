"""Asks the exchange over REST: one host after another, within its limits, never in a hurry.

Every failure is one of three: ``Unreachable`` (try again, another host may answer), ``Blocked``
(this host refuses the region) and ``UnknownSymbol``.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

import aiohttp

from services.ingest.clock import ExchangeClock
from services.ingest.hosts import is_loopback
from services.ingest.pages import Page, read_markets, read_page, read_server_time
from shared.malformed import Malformed
from shared.market import Market

log = logging.getLogger(__name__)

PAGE = 1000  # the most that the exchange gives at once
_INVALID_SYMBOL = b"-1121"
_DEFAULT_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 3600.0


class Unreachable(Exception):
    """No usable answer this time; trying again is right."""


class UnknownSymbol(Exception):
    """The exchange does not list this symbol."""


class Rest:
    """A client for the market data endpoints; use as an async context manager."""

    def __init__(
        self, hosts: Sequence[str], clock: ExchangeClock, *, timeout_s: float, concurrent: int = 2
    ) -> None:
        """Ask ``hosts`` in turn, staying with the one that answers."""
        self._hosts, self._host = tuple(hosts), 0
        self._clock, self._timeout_s = clock, timeout_s
        self._turn = asyncio.Semaphore(concurrent)
        self._pause_until = 0.0
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
        return self._hosts[self._host]

    async def server_time(self) -> int:
        """The exchange's clock, ms UTC.

        Raises:
            Unreachable: No usable answer.
        """
        body = await self._get("/api/v3/time", {})
        try:
            server_ms = read_server_time(body)
        except Malformed as error:
            raise self._next_host(str(error)) from None
        self._clock.saw(server_ms, time.monotonic())
        return server_ms

    async def page(
        self,
        symbol: str,
        timeframe: str,
        interval_ms: int,
        *,
        from_ms: int,
        server_ms: int,
        to_ms: int | None = None,
    ) -> Page:
        """Up to 1,000 candles whose open time is ``from_ms`` or later (and at most ``to_ms``).

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
        body = await self._get("/api/v3/klines", query)
        try:
            return read_page(body, interval_ms, from_ms, server_ms)
        except Malformed as error:
            raise self._next_host(str(error)) from None

    async def markets(self, symbol: str | None = None) -> list[Market]:
        """What the exchange says of ``symbol``, or of all.

        Raises:
            UnknownSymbol: It does not list ``symbol``.
            Unreachable: No usable answer.
        """
        body = await self._get("/api/v3/exchangeInfo", {"symbol": symbol} if symbol else {})
        try:
            return read_markets(body)
        except Malformed as error:
            raise self._next_host(str(error)) from None

    async def _get(self, path: str, query: Mapping[str, str]) -> bytes:
        async with self._turn:
            await asyncio.sleep(max(0.0, self._pause_until - time.monotonic()))
            if self._session is None:
                raise RuntimeError("Rest is used outside of its context")
            try:
                async with self._session.get(self.host + path, params=query) as answer:
                    body = await answer.read()
                    status, headers = answer.status, answer.headers
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
                raise self._next_host(f"cannot be reached ({reason})") from error
        if status == 200:
            return body
        raise self._failure(status, body, headers.get("Retry-After"))

    def _failure(self, status: int, body: bytes, retry_after: str | None) -> Exception:
        if status in {429, 418}:
            pause_s = _seconds(retry_after)
            self._pause_until = time.monotonic() + pause_s
            what = "banned this address" if status == 418 else "limits our request rate"
            return Unreachable(f"{self.host} {what}; waiting {pause_s:.0f} s (HTTP {status})")
        if status == 400 and _INVALID_SYMBOL in body:
            return UnknownSymbol()
        if status == 451:
            return self._next_host(
                "does not serve this region (HTTP 451): use a market-data host such as"
                " https://data-api.binance.vision in exchange.rest_hosts and"
                " wss://data-stream.binance.vision in exchange.ws_hosts"
            )
        return self._next_host(f"answered HTTP {status}: {_excerpt(body)}")

    def _next_host(self, what: str) -> Unreachable:
        error = Unreachable(f"{self.host} {what}")
        self._host = (self._host + 1) % len(self._hosts)
        return error


def _seconds(retry_after: str | None) -> float:
    if retry_after is None or not retry_after.isdecimal():
        return _DEFAULT_PAUSE_S
    return min(_LONGEST_PAUSE_S, float(retry_after))


def _excerpt(body: bytes) -> str:
    text = " ".join(body.decode(errors="replace").split())
    return text[:120] or "empty body"
