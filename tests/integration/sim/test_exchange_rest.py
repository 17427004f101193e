"""The exchange's REST port, seen by a plain HTTP client."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from sim.candles import MINUTE_MS
from sim.exchange import Exchange
from sim.market import generate
from sim.script import Answer

START = 1_735_516_800_000
NOW = START + 700 * MINUTE_MS + 30_000


class Client:
    def __init__(self, session: aiohttp.ClientSession, exchange: Exchange) -> None:
        self.session = session
        self.exchange = exchange

    async def get(self, endpoint: str, **query: Any) -> tuple[int, Any, Any]:
        url = f"{self.exchange.rest_url}/api/v3/{endpoint}"
        query = {name: str(value) for name, value in query.items()}
        async with self.session.get(url, params=query) as answer:
            text = await answer.text()
            body = json.loads(text) if answer.content_type == "application/json" else text
            return answer.status, body, answer.headers

    async def klines(self, **query: Any) -> list[list[Any]]:
        query = {"symbol": "BTCUSDT", "interval": "1m"} | query
        status, body, _ = await self.get("klines", **query)
        assert status == 200, body
        page: list[list[Any]] = body
        return page


@asynccontextmanager
async def opened(**how: Any) -> AsyncIterator[Client]:
    candles = generate(1, 1, START)
    async with (
        Exchange(candles, **({"start_ms": NOW} | how)) as exchange,
        aiohttp.ClientSession() as session,
    ):
        yield Client(session, exchange)


def minutes(page: list[list[Any]]) -> list[int]:
    return [(row[0] - START) // MINUTE_MS for row in page]


async def test_ping_and_time() -> None:
    async with opened() as client:
        assert (await client.get("ping"))[1] == {}
        assert (await client.get("time"))[1] == {"serverTime": NOW}


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, 201, 700),
        ({"limit": 3}, 698, 700),
        ({"limit": 5000}, 0, 700),
        ({"startTime": START}, 0, 499),
        ({"startTime": START + 1, "limit": 2}, 1, 2),
        ({"startTime": START * 1000, "limit": 2}, 0, 1),
        ({"startTime": START + 699 * MINUTE_MS}, 699, 700),
        ({"endTime": START + 10 * MINUTE_MS, "limit": 2}, 9, 10),
        ({"endTime": START + 10 * MINUTE_MS - 1, "limit": 2}, 8, 9),
        ({"startTime": START + 5 * MINUTE_MS, "endTime": START + 7 * MINUTE_MS}, 5, 7),
        ({"startTime": START, "endTime": NOW, "limit": 1000}, 0, 700),
    ],
)
async def test_pages(query: dict[str, int], first: int, last: int) -> None:
    async with opened() as client:
        assert minutes(await client.klines(**query)) == list(range(first, last + 1))


async def test_nothing_lies_beyond_the_clock() -> None:
    async with opened() as client:
        assert await client.klines(startTime=NOW + 1) == []
        assert await client.klines(startTime=START + 9, endTime=START + 10) == []


async def test_the_last_candle_is_open_and_partial() -> None:
    async with opened() as client:
        closed, still_open = await client.klines(limit=2)
        tape = client.exchange.tape
        assert closed[6] < NOW <= still_open[6]
        volume = tape.minutes.volume
        assert float(closed[5]) == pytest.approx(volume[699])
        assert float(still_open[5]) == pytest.approx(volume[700] / 2, abs=1e-8)
        hour = (await client.klines(interval="1h", limit=1))[0]
        assert hour[0] == START + 660 * MINUTE_MS
        assert float(hour[5]) == pytest.approx(volume[660:700].sum() + volume[700] / 2, abs=1e-6)


@pytest.mark.parametrize("interval", ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h"])
async def test_every_timeframe_is_served(interval: str) -> None:
    async with opened() as client:
        page = await client.klines(interval=interval, startTime=START)
        assert page[0][0] == START
        assert float(page[0][1]) == client.exchange.tape.minutes.open[0]
        assert all(len(row) == 12 for row in page)


async def test_a_fresh_candle_appears_late_when_asked_to() -> None:
    async with opened(rest_lag_ms=40_000) as client:
        assert minutes(await client.klines(limit=3)) == [698, 700]
    async with opened(rest_lag_ms=20_000) as client:
        assert minutes(await client.klines(limit=3)) == [698, 699, 700]


@pytest.mark.parametrize(
    ("endpoint", "query", "code"),
    [
        ("klines", {"interval": "1m"}, -1102),
        ("klines", {"symbol": "BTCUSDT"}, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": "1M"}, -1120),
        ("klines", {"symbol": "btcusdt", "interval": "1m"}, -1121),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "x"}, -1100),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 0}, -1130),
        ("exchangeInfo", {"symbol": "BTCUSD"}, -1121),
        ("exchangeInfo", {"symbols": '["BTCUSDT","NOSUCH"]'}, -1121),
        ("exchangeInfo", {"symbols": "BTCUSDT"}, -1100),
        ("exchangeInfo", {"symbol": "BTCUSDT", "symbols": "[]"}, -1128),
    ],
)
async def test_errors_are_the_exchanges_own(
    endpoint: str, query: dict[str, Any], code: int
) -> None:
    async with opened() as client:
        status, body, _ = await client.get(endpoint, **query)
        assert status == 400
        assert body["code"] == code
        assert body["msg"]


async def test_exchange_info_tells_what_trades() -> None:
    async with opened(symbol="BTC/TUSD") as client:
        body = (await client.get("exchangeInfo"))[1]
        names = [entry["symbol"] for entry in body["symbols"]]
        assert {"BTCUSDT", "ETHUSDT", "BTCUSDC", "ETHBTC", "BTCTUSD"} <= set(names)
        assert body["serverTime"] == NOW
        one = (await client.get("exchangeInfo", symbol="BTCTUSD"))[1]["symbols"]
        two = (await client.get("exchangeInfo", symbols='["BTCUSDT","ETHBTC"]'))[1]["symbols"]
        assert [entry["symbol"] for entry in two] == ["BTCUSDT", "ETHBTC"]
        assert (one[0]["baseAsset"], one[0]["quoteAsset"]) == ("BTC", "TUSD")
        assert one[0]["status"] == "TRADING"
        filters = {entry["filterType"]: entry for entry in one[0]["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
        assert "stepSize" in filters["LOT_SIZE"]


async def test_other_markets_exist_without_candles() -> None:
    async with opened() as client:
        assert await client.klines(symbol="ETHUSDT") == []


async def test_weight_is_counted_and_limited() -> None:
    async with opened(weight_limit=25) as client:
        _, _, headers = await client.get("exchangeInfo", symbol="BTCUSDT")
        assert headers["X-MBX-USED-WEIGHT-1M"] == "20"
        for used in (22, 24):
            _, _, headers = await client.get("klines", symbol="BTCUSDT", interval="1m")
            assert headers["X-MBX-USED-WEIGHT-1M"] == str(used)
        status, body, headers = await client.get("klines", symbol="BTCUSDT", interval="1m")
        assert status == 429
        assert body["code"] == -1003
        assert 1 <= int(headers["Retry-After"]) <= 61


async def test_scripted_answers_and_holes_last_as_long_as_asked() -> None:
    async with opened() as client:
        html = Answer(503, "<html>busy</html>", {"Retry-After": "1"}, "text/html")
        client.exchange.answer_rest(html, 2)
        for _ in range(2):
            status, body, headers = await client.get("time")
            assert (status, body, headers["Retry-After"]) == (503, "<html>busy</html>", "1")
        client.exchange.answer_rest(Answer(drop=True), 2)  # aiohttp tries a second time
        with pytest.raises(aiohttp.ClientError):
            await client.get("time")
        client.exchange.hide([START + 698 * MINUTE_MS], 1)
        assert minutes(await client.klines(limit=3)) == [699, 700]
        assert minutes(await client.klines(limit=3)) == [698, 699, 700]
