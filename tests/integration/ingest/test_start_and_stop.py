"""How ingest begins, what it says when it cannot, and that SIGTERM ends it in every phase."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from cli.embedded_redis import redis_server
from sim.exchange import Exchange
from sim.script import Answer
from tests.service_process import Process
from tests.waiting import wait_until

from .conftest import MARKET_START_MS, Bench, market

START_MS = MARKET_START_MS + 6 * 3_600_000


@pytest.fixture(scope="module")
def one_redis_url() -> Any:
    with redis_server() as server:
        yield server.url


@pytest.fixture
async def bench(tmp_path: Any, one_redis_url: str) -> AsyncIterator[Bench]:
    bench = Bench(one_redis_url, tmp_path)
    yield bench
    for process in bench.running:
        if process.child.returncode is None:
            await process.kill()


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, list[float]]]:
    """Accepts and never says a word; the port, and when somebody came."""
    came: list[float] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time.monotonic())
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], came
    server.close()


async def exit_code(process: Process) -> int:
    async with asyncio.timeout(20):
        return await process.child.wait()


async def test_an_unknown_symbol_ends_with_a_near_miss(bench: Bench) -> None:
    async with Exchange(market(1), start_ms=START_MS) as exchange:
        process = await bench.start(bench.config(exchange, exchange={"symbol": "BTC/USDTT"}))
        assert await exit_code(process) == 78
    assert "no market BTC/USDTT; did you mean BTC/USDT" in process.log
    assert "Traceback" not in process.log


async def test_a_blocked_region_is_explained_and_the_next_host_asked(bench: Bench) -> None:
    async with (
        Exchange(market(1), start_ms=START_MS) as blocked,
        Exchange(market(1), start_ms=START_MS) as exchange,
    ):
        blocked.answer_rest(Answer(451, '{"code":0,"msg":"restricted location"}'), 1000)
        blocked.refuse_handshakes(1000, status=451)
        hosts = {
            "rest_hosts": [blocked.rest_url, exchange.rest_url],
            "ws_hosts": [blocked.ws_url, exchange.ws_url],
        }
        process = await bench.start(bench.config(exchange=hosts))
        await process.until_logged(f"WebSocket connection established ({exchange.ws_url})")
    assert "https://data-api.binance.vision" in process.log
    assert "wss://data-stream.binance.vision" in process.log


async def test_who_accepts_and_closes_at_once_is_not_hammered(bench: Bench) -> None:
    came: list[float] = []

    async def close(connection: ServerConnection) -> None:
        came.append(time.monotonic())
        await connection.send("<html>maintenance</html>")

    async with (
        Exchange(market(1), start_ms=START_MS) as exchange,
        serve(close, "127.0.0.1", 0) as server,
    ):
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        await bench.start(bench.config(exchange, exchange={"ws_hosts": [url]}))
        await wait_until(lambda: len(came) >= 5, "five attempts")
    # At the least 0.125 s, 0.25 s, 0.5 s and 1 s lie between them.
    assert came[4] - came[0] > 1.8


async def test_a_handshake_told_to_wait_waits(bench: Bench) -> None:
    async with Exchange(market(1), start_ms=START_MS) as exchange:
        exchange.refuse_handshakes(1, status=429)
        process = await bench.start(bench.config(exchange))
        await process.until_logged("refused the connection (HTTP 429); connecting again in 60.0 s")


async def test_half_of_the_exchanges_request_weight_is_never_exceeded(bench: Bench) -> None:
    async with Exchange(market(1), start_ms=START_MS, speed=1, weight_limit=60) as exchange:
        process = await bench.start(bench.config(exchange))
        await process.until_logged("of 60 in a minute is enough; waiting ")
        assert (await process.terminate())[0] == 0
        # 20 for the market of the configuration, and 1 or 2 for each time or page of candles.
        assert 20 < exchange.rest.used_weight <= 30
    assert "limits our request rate" not in process.log


def _on(port: int) -> str:
    return f"://127.0.0.1:{port}"


PHASES: dict[str, Callable[[Exchange, int], dict[str, Any]]] = {
    "REST hangs": lambda exchange, port: {"exchange": {"rest_hosts": ["http" + _on(port)]}},
    "the handshake hangs": lambda exchange, port: {"exchange": {"ws_hosts": ["ws" + _on(port)]}},
    "Redis hangs": lambda exchange, port: {"redis": {"url": f"redis{_on(port)}/0"}},
}


@pytest.mark.parametrize("phase", PHASES)
async def test_sigterm_ends_it_while(bench: Bench, phase: str) -> None:
    async with Exchange(market(1), start_ms=START_MS) as exchange, silent_server() as (port, came):
        process = await bench.start(bench.config(exchange, **PHASES[phase](exchange, port)))
        await wait_until(lambda: came, "ingest to wait")
        code, seconds = await process.terminate()
    assert (code, seconds < 5) == (0, True)
    assert "Traceback" not in process.log


async def test_sigterm_ends_it_while_redis_is_away(bench: Bench) -> None:
    process = await bench.start(bench.config(redis={"url": "redis://127.0.0.1:1/0"}))
    await process.until_logged("cannot be reached")
    code, seconds = await process.terminate()
    assert (code, seconds < 5) == (0, True)


async def test_sigterm_ends_a_pause_that_the_exchange_ordered(bench: Bench) -> None:
    async with Exchange(market(1), start_ms=START_MS) as exchange:
        exchange.answer_rest(Answer(418, headers={"Retry-After": "7200"}))
        process = await bench.start(bench.config(exchange))
        await process.until_logged("banned this address; waiting 7200 s")
        asked = exchange.rest.requests
        await asyncio.sleep(1.5)
        assert exchange.rest.requests == asked
        code, seconds = await process.terminate()
    assert (code, seconds < 5) == (0, True)


async def test_sigterm_ends_the_history_and_a_silent_connection(bench: Bench) -> None:
    async with Exchange(market(1), start_ms=START_MS) as exchange:
        exchange.answer_rest(Answer(200, "[]", delay_s=9.0), 20)
        loading = await bench.start(bench.config(exchange))
        await wait_until(lambda: exchange.rest.requests, "ingest to ask")
        assert (await loading.terminate())[0] == 0
        exchange.rest.answers.clear()
        following = await bench.start(bench.config(exchange), "2")
        await following.until_logged("WebSocket connection established")
        exchange.silence()
        code, seconds = await following.terminate()
    assert (code, seconds < 5) == (0, True)
