"""Plain clients of the simulated exchange, and a market to listen to."""

import asyncio
import json
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sim.candles import Candles
from sim.exchange import Exchange
from sim.market import generate

START = 1_735_516_800_000
ONE = "btcusdt@kline_1m"
FIVE = "btcusdt@kline_5m"


def market(minutes: int = 120) -> Candles:
    return generate(1, 1, START)[:minutes]


def listen(exchange: Exchange, path: str) -> connect:
    # A client with a full queue would not read the reply to its own close frame.
    return connect(exchange.ws_url + path, compression=None, ping_interval=None, max_queue=None)


async def collect(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return [json.loads(await client.recv()) for _ in range(count)]


async def until_closed(
    client: ClientConnection, seconds: float = 10.0
) -> tuple[list[str | bytes], ConnectionClosed]:
    """What came until the connection ended, and how it ended."""
    messages: list[str | bytes] = []
    async with asyncio.timeout(seconds):
        try:
            while True:
                messages.append(await client.recv())
        except ConnectionClosed as closed:
            return messages, closed


async def ask(client: ClientConnection, method: str, *params: object) -> Any:
    """Send a control message and give the reply, skipping events."""
    await client.send(json.dumps({"method": method, "params": params, "id": 7}))
    async with asyncio.timeout(10):
        while True:
            reply = json.loads(await client.recv())
            if reply.get("id") == 7:
                return reply["result"]


async def klines(exchange: Exchange, **query: Any) -> list[list[Any]]:
    """A page of 1m candles by REST, on a connection of its own."""
    query = {"symbol": "BTCUSDT", "interval": "1m"} | query
    url = f"{exchange.rest_url}/api/v3/klines"
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, params={name: str(value) for name, value in query.items()}) as answer,
    ):
        page: list[list[Any]] = await answer.json()
        return page
