"""Asks the exchange for the configured market before anything is published."""

import asyncio
import logging

from services.ingest.pages import near_misses
from services.ingest.rest import Rest, UnknownSymbol, Unreachable
from shared.market import Market, market_of
from shared.runtime import WrongConfiguration

log = logging.getLogger(__name__)

_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 30.0


async def look_up(rest: Rest, symbol: str) -> Market:
    """What the exchange says of ``symbol`` (``BTC/USDT``), waiting until it says something.

    Raises:
        WrongConfiguration: It lists no such market; near misses are named.
    """
    wanted, retry_s, said = market_of(symbol), _FIRST_RETRY_S, ""
    while True:
        try:
            markets = await rest.markets(wanted.symbol)
        except Unreachable as error:
            if str(error) != said:  # people are told by the lookout, which is watching already
                log.error("%s; trying again, and other hosts", error)
                said = str(error)
        except UnknownSymbol:
            raise await _unknown(rest, symbol) from None
        else:
            for market in markets:
                if (market.base, market.quote) == (wanted.base, wanted.quote):
                    _warn_if_closed(market)
                    return market
            raise await _unknown(rest, symbol)
        await asyncio.sleep(retry_s)
        retry_s = min(_LAST_RETRY_S, retry_s * 2)


async def _unknown(rest: Rest, symbol: str) -> WrongConfiguration:
    try:
        near = near_misses(symbol, await rest.markets())
    except Unreachable:
        near = []
    hint = (
        f"; did you mean {' or '.join(near)}?" if near else "; see the exchange's list of markets"
    )
    return WrongConfiguration(f"exchange.symbol: the exchange has no market {symbol}{hint}")


def _warn_if_closed(market: Market) -> None:
    if market.status != "TRADING":
        log.warning(
            "%s/%s is not trading now (status %s): candles come when it does",
            market.base, market.quote, market.status,
        )  # fmt: skip
