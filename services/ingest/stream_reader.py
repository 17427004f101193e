"""Reads back what is in the klines streams; an entry that somebody has spoilt counts as absent."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

from shared import keys
from shared.candle import Candle, read_candle
from shared.malformed import Malformed
from shared.redis_access import RedisAccess
from shared.streams import Entry

_PAGE = 1000


class StreamReader:
    """The streams of one market."""

    def __init__(self, access: RedisAccess, symbol: str) -> None:
        """Read those of ``symbol`` (``BTCUSDT``)."""
        self._access, self._symbol = access, symbol

    async def candle(self, timeframe: str, boundary_ms: int) -> Candle | None:
        """The entry of one boundary."""
        found = await self._page(timeframe, f"{boundary_ms}-0", f"{boundary_ms}-0")
        return next(iter(_candles(found)), None)

    async def last(self, timeframe: str) -> Candle | None:
        """The entry at the end."""
        key = keys.klines(self._symbol, timeframe)
        found = await self._access.patiently(lambda: self._access.client.xrevrange(key, count=1))
        return next(iter(_candles(cast("list[Entry]", found))), None)

    async def after(self, timeframe: str, boundary_ms: int) -> AsyncIterator[list[Candle]]:
        """All entries after a boundary, page by page."""
        after = f"({boundary_ms}-0"
        while page := await self._page(timeframe, after, "+"):
            yield _candles(page)
            after = "(" + page[-1][0].decode()

    async def _page(self, timeframe: str, first: str, last: str) -> list[Entry]:
        key = keys.klines(self._symbol, timeframe)
        found = await self._access.patiently(
            lambda: self._access.client.xrange(key, first, last, count=_PAGE)
        )
        return cast("list[Entry]", found)


def _candles(entries: list[Entry]) -> list[Candle]:
    candles = []
    for entry in entries:
        with suppress(Malformed):
            candles.append(read_candle(*entry))
    return candles
