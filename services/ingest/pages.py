"""Reads the exchange's REST answers: pages of klines, and what it says of a market.

Pure. The last row of a page is normally the candle still open; a row proves that its candle closed
only if the exchange's own time, asked before the page, is past it. Rows carry a close time that can
lie before the end of the interval (the outage of 2023-03-24 has one), so the boundary is always the
open time plus the interval. Source: Binance spot API, REST.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec

from services.ingest.frames import number
from shared.candle import flaw
from shared.malformed import Malformed
from shared.market import Market
from shared.times import LATEST_MS


@dataclass(frozen=True, slots=True)
class Row:
    """One usable row of a klines page."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The usable rows in order, and what was wrong with the others."""

    rows: tuple[Row, ...]
    flaws: tuple[str, ...]


# How msgspec refuses a body; the last is for brackets nested without end.
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_page_decoder = msgspec.json.Decoder(list[list[Any]])


def read_page(body: bytes, interval_ms: int, from_ms: int, closed_by_ms: float) -> Page:
    """The rows of a klines answer.

    Args:
        body: The answer.
        interval_ms: Of the timeframe asked for.
        from_ms: The ``startTime`` asked for; earlier rows do not belong here.
        closed_by_ms: Boundaries up to here have passed on the exchange.

    Raises:
        Malformed: The body is not a list of rows at all.
    """
    try:
        raw = _page_decoder.decode(body)
    except _REFUSALS as error:
        raise Malformed(f"klines page: {error}") from None
    rows: list[Row] = []
    flaws: list[str] = []
    after_ms = from_ms - 1
    for values in raw:
        try:
            row = _row(values, interval_ms, closed_by_ms)
            if row.open_ms <= after_ms:
                raise Malformed(f"row of {row.open_ms} is out of order")
        except ValueError as error:
            flaws.append(str(error)[:200])
            continue
        after_ms = row.open_ms
        rows.append(row)
    return Page(tuple(rows), tuple(flaws))


def _row(values: list[Any], interval_ms: int, closed_by_ms: float) -> Row:
    if len(values) < 7:
        raise Malformed(f"row of {len(values)} values")
    open_ms, close_ms = values[0], values[6]
    texts = values[1:6]
    if not (type(open_ms) is type(close_ms) is int and all(type(text) is str for text in texts)):
        raise Malformed("row whose values are of other types")
    if not 0 < open_ms < LATEST_MS or open_ms % interval_ms:
        raise Malformed(f"row of {open_ms} is not aligned to its interval")
    boundary_ms = open_ms + interval_ms
    if not open_ms <= close_ms < boundary_ms:
        raise Malformed(f"row of {open_ms} closes at {close_ms}")
    open_, high, low, close, volume = (number(text) for text in texts)
    if (wrong := flaw(open_, high, low, close, volume)) is not None:
        raise Malformed(f"row of {open_ms}: {wrong}")
    return Row(open_ms, open_, high, low, close, volume, boundary_ms <= closed_by_ms)


class _Filter(msgspec.Struct):
    filterType: str  # noqa: N815 - the exchange's name
    tickSize: str = "0.01"  # noqa: N815


class _Symbol(msgspec.Struct):
    symbol: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    status: str = "TRADING"
    filters: list[_Filter] = []


class _RateLimit(msgspec.Struct):
    rateLimitType: str  # noqa: N815
    interval: str
    intervalNum: int  # noqa: N815
    limit: int


class _Limits(msgspec.Struct):
    rateLimits: list[_RateLimit] = []  # noqa: N815


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


class _ServerTime(msgspec.Struct):
    serverTime: Annotated[int, msgspec.Meta(gt=0, lt=LATEST_MS)]  # noqa: N815


def read_markets(body: bytes) -> list[Market]:
    """All markets of an ``exchangeInfo`` answer.

    Raises:
        Malformed: The body is something else.
    """
    try:
        info = msgspec.json.decode(body, type=_ExchangeInfo)
    except _REFUSALS as error:
        raise Malformed(f"exchangeInfo: {error}") from None
    return [
        Market(
            symbol=symbol.symbol,
            base=symbol.baseAsset,
            quote=symbol.quoteAsset,
            tick_size=next(
                (f.tickSize for f in symbol.filters if f.filterType == "PRICE_FILTER"), "0.01"
            ),
            status=symbol.status,
        )
        for symbol in info.symbols
    ]


def read_weight_limit(body: bytes) -> int | None:
    """Request weight per minute of an ``exchangeInfo`` answer, None where it states none.

    Raises:
        Malformed: The body is something else.
    """
    try:
        limits = msgspec.json.decode(body, type=_Limits).rateLimits
    except _REFUSALS as error:
        raise Malformed(f"exchangeInfo: {error}") from None
    by_the_minute = [
        each.limit
        for each in limits
        if (each.rateLimitType, each.interval, each.intervalNum) == ("REQUEST_WEIGHT", "MINUTE", 1)
    ]
    return min((limit for limit in by_the_minute if limit > 0), default=None)


def read_server_time(body: bytes) -> int:
    """The exchange's clock in ms UTC from a ``time`` answer.

    Raises:
        Malformed: The body is something else.
    """
    try:
        return msgspec.json.decode(body, type=_ServerTime).serverTime
    except _REFUSALS as error:
        raise Malformed(f"server time: {error}") from None


def near_misses(wanted: str, markets: list[Market]) -> list[str]:
    """Names of markets (``BTC/USDT``) that ``wanted`` may have been meant to be."""
    names = [f"{market.base}/{market.quote}" for market in markets if market.status == "TRADING"]
    return get_close_matches(wanted, names, n=3, cutoff=0.6)
