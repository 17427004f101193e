"""What REST may answer, seen by a plain HTTP client."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from sim.candles import MINUTE_MS
from sim.exchange import Exchange
from sim.script import Answer
from tests.integration.sim.clients import ONE, START, collect, klines, listen, market
from tests.waiting import wait_until

NOW = START + 100 * MINUTE_MS + 30_000


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with Exchange(market(), start_ms=NOW) as exchange:
        yield exchange


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    # It tries once more by itself when a connection breaks before the answer.
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.mark.parametrize("status", [429, 418])
async def test_too_many_requests(
    exchange: Exchange, http: aiohttp.ClientSession, status: int
) -> None:
    exchange.rest_limit(2, status=status, retry_after_s=9)
    for _ in range(2):
        async with http.get(f"{exchange.rest_url}/api/v3/time") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (status, "9")
            body = await answer.json()
            assert body["code"] == -1003
            assert (str(NOW + 9000) in body["msg"]) == (status == 418)
    assert await klines(exchange)


async def test_errors_of_the_server_as_json_and_html(
    exchange: Exchange, http: aiohttp.ClientSession
) -> None:
    exchange.rest_error(status=500)
    exchange.rest_error(status=502, html=True)
    exchange.rest_html()
    url = f"{exchange.rest_url}/api/v3/time"
    async with http.get(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (500, -1008)
    async with http.get(url) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")
        assert "<h1>502</h1>" in await answer.text()
    async with http.get(url) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
    async with http.get(url) as answer:
        assert await answer.json() == {"serverTime": NOW}


async def test_an_answer_that_does_not_come(
    exchange: Exchange, http: aiohttp.ClientSession
) -> None:
    exchange.rest_hang(hang_s=30)
    exchange.rest_hang(2, hang_s=0.05)
    url = f"{exchange.rest_url}/api/v3/time"
    with pytest.raises(TimeoutError):
        await http.get(url, timeout=aiohttp.ClientTimeout(total=0.1))
    with pytest.raises(aiohttp.ClientError):
        await http.get(url)
    async with http.get(url) as answer:
        assert answer.status == 200


async def test_a_reset_instead_of_an_answer(
    exchange: Exchange, http: aiohttp.ClientSession
) -> None:
    exchange.rest_reset(2)
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await http.get(f"{exchange.rest_url}/api/v3/time")
    assert await klines(exchange)


async def test_a_body_breaks_off(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    exchange.rest_truncate()
    exchange.rest_truncate(unnoticed=True)
    url = f"{exchange.rest_url}/api/v3/klines?symbol=BTCUSDT&interval=1m"
    async with http.get(url) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    async with http.get(url) as answer:
        text = await answer.text()
        assert text.startswith("[[")
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
    assert len(await klines(exchange)) == 101


async def test_the_database_lags_for_some_market_time() -> None:
    async with (
        Exchange(market(), speed=600) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        exchange.rest_lag(120 * MINUTE_MS, for_ms=40 * MINUTE_MS)
        while not (frame := (await collect(client, 1))[0])["k"]["x"]:
            pass
        closed = [row for row in await klines(exchange) if row[0] <= frame["k"]["t"]]
        assert closed == []
        await wait_until(lambda: exchange.now_ms > START + 40 * MINUTE_MS)
        assert (await klines(exchange))[0][0] == START


async def test_what_is_left_of_a_fault_expires() -> None:
    async with (
        Exchange(market(), speed=6000) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        await collect(client, 1)
        began_ms = exchange.now_ms
        exchange.rest_error(99, for_ms=MINUTE_MS)
        exchange.answer_rest(Answer(404), 99, for_ms=MINUTE_MS)
        exchange.rest_truncate(99, for_ms=MINUTE_MS)
        exchange.hide([START], 99, for_ms=MINUTE_MS)
        await wait_until(lambda: exchange.now_ms > began_ms + 3 * MINUTE_MS)
        assert (await klines(exchange))[0][0] == START
    assert exchange.caused == {"rest_error": 1, "rest": 1, "rest_truncate": 1, "hide": 1}


async def test_behaving_ends_everything(exchange: Exchange) -> None:
    for name, arguments in [
        ("rest", {"status": 404, "count": 9}),
        ("rest_lag", {"lag_ms": 10**9}),
        ("rest_truncate", {"count": 9}),
        ("hide", {"open_ms": [START], "count": 9}),
        ("lose_close", {"count": 9}),
        ("mute_stream", {"interval": "1m", "newcomers": True}),
        ("refuse_handshakes", {"count": 9}),
        ("accept_then_close", {"count": 9}),
        ("accept_then_close", {"count": 9, "handshake": False}),
        ("limit_lifetime", {"lifetime_ms": 1}),
    ]:
        exchange.cause(name, arguments)
    exchange.behave()
    assert len(await klines(exchange)) == 101
    async with listen(exchange, f"/ws/{ONE}") as client:
        await collect(client, 20)
