"""What a connection to the exchange may suffer, seen by a plain client."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus

from sim.candles import MINUTE_MS
from sim.exchange import Exchange
from tests.integration.sim.clients import (
    FIVE,
    ONE,
    START,
    ask,
    collect,
    klines,
    listen,
    market,
    until_closed,
)
from tests.waiting import wait_until


async def test_a_half_open_connection_stays_and_says_nothing_at_all() -> None:
    async with (
        Exchange(market(), speed=6000, ping_interval_s=0.05, pong_deadline_s=0.1) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
        listen(exchange, f"/ws/{FIVE}") as other,
    ):
        await collect(client, 3)
        exchange.half_open()
        async with asyncio.timeout(1), listen(exchange, f"/ws/{ONE}") as third:
            await collect(third, 3)  # who comes later hears everything
        with pytest.raises(TimeoutError):
            await until_closed(other, 0.3)
        await client.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 7}))
        pong = await client.ping()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pong
        assert client.protocol.state.name == "OPEN"
        client.transport.abort()
        other.transport.abort()
        exchange.behave()
        await wait_until(lambda: not exchange.streams.listeners)
    assert exchange.caused == {"half_open": 1}


async def test_a_half_open_connection_is_reset_in_the_end() -> None:
    async with (
        Exchange(market(), speed=600) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        await collect(client, 2)
        exchange.half_open(for_ms=3 * MINUTE_MS)
        before_ms = exchange.now_ms
        _, closed = await until_closed(client)
        assert closed.rcvd is None
        assert exchange.now_ms >= before_ms + 3 * MINUTE_MS


@pytest.mark.parametrize("close_frame", [True, False])
async def test_a_connection_is_accepted_and_closed_after_the_handshake(close_frame: bool) -> None:
    async with Exchange(market()) as exchange:
        exchange.accept_then_close(2, close_frame=close_frame)
        for _ in range(2):
            async with listen(exchange, f"/ws/{ONE}") as client:
                assert ((await until_closed(client))[1].rcvd is not None) == close_frame
        async with listen(exchange, f"/ws/{ONE}") as client:
            await collect(client, 120)


async def test_a_connection_is_accepted_and_closed_before_the_handshake() -> None:
    async with Exchange(market()) as exchange:
        exchange.accept_then_close(2, handshake=False)
        for _ in range(2):
            with pytest.raises((InvalidMessage, OSError)):
                await listen(exchange, f"/ws/{ONE}")
        async with listen(exchange, f"/ws/{ONE}") as client:
            await collect(client, 120)


async def test_tcp_is_refused_for_some_market_time_and_others_stay_connected() -> None:
    async with (
        Exchange(market(), speed=1200) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        await collect(client, 1)
        before_ms = exchange.now_ms
        exchange.refuse_connections(for_ms=10 * MINUTE_MS)
        with pytest.raises(ConnectionRefusedError):
            await listen(exchange, "/ws")
        await collect(client, 1)

        async def connected() -> bool:
            try:
                async with listen(exchange, "/ws"):
                    return True
            except ConnectionRefusedError:
                return False

        await wait_until(connected)
        assert exchange.now_ms >= before_ms + 10 * MINUTE_MS
        assert await klines(exchange, limit=1)


async def test_refusal_ends_also_while_the_clock_stands() -> None:
    async with Exchange(market()) as exchange:
        exchange.refuse_connections(for_ms=200, port="both")
        with pytest.raises(ConnectionRefusedError):
            await listen(exchange, "/ws")
        with pytest.raises(aiohttp.ClientConnectorError):
            await klines(exchange)
        await asyncio.sleep(0.2)

        async def connected() -> bool:
            try:
                async with listen(exchange, "/ws"):
                    return bool(await klines(exchange, startTime=START))
            except (ConnectionRefusedError, aiohttp.ClientConnectorError):
                return False

        await wait_until(connected)


async def test_refusal_ends_with_the_market() -> None:
    async with Exchange(market(5), speed=600) as exchange:
        async with listen(exchange, f"/ws/{ONE}") as client:
            await collect(client, 1)
            exchange.refuse_connections(for_ms=10**9)
            await wait_until(exchange.finished.is_set)

        async def connected() -> bool:
            try:
                async with listen(exchange, "/ws"):
                    return True
            except ConnectionRefusedError:
                return False

        await wait_until(connected)


async def test_rest_connections_kept_for_later_are_reset_when_it_refuses() -> None:
    async with Exchange(market()) as exchange, aiohttp.ClientSession() as http:
        url = f"{exchange.rest_url}/api/v3/time"
        async with http.get(url) as answer:
            await answer.read()
        exchange.refuse_connections(for_ms=10**6, port="rest")
        with pytest.raises(aiohttp.ClientConnectionError):
            async with http.get(url):
                pass
        exchange.behave()

        async def answers() -> bool:
            try:
                async with http.get(url) as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectorError:
                return False  # the port is still being opened

        await wait_until(answers, "REST to answer again")


@pytest.mark.parametrize("status", [429, 451, 503])
async def test_a_refused_handshake_may_say_when_to_come_back(status: int) -> None:
    async with Exchange(market()) as exchange:
        exchange.refuse_handshakes(1, status=status, body="no", retry_after_s=7)
        with pytest.raises(InvalidStatus) as error:
            await listen(exchange, "/ws")
        assert error.value.response.status_code == status
        assert error.value.response.headers["Retry-After"] == "7"
        async with listen(exchange, "/ws"):
            pass


async def test_refused_handshakes_expire() -> None:
    async with (
        Exchange(market(), speed=6000) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        await collect(client, 1)
        exchange.refuse_handshakes(99, for_ms=2 * MINUTE_MS)
        before_ms = exchange.now_ms
        await wait_until(lambda: exchange.now_ms > before_ms + 3 * MINUTE_MS)
        async with listen(exchange, "/ws"):
            pass


@pytest.mark.parametrize("lead_s", [0.0, 0.3])
@pytest.mark.parametrize("close_frame", [True, False])
async def test_a_shutdown_is_announced_raw_and_combined(lead_s: float, close_frame: bool) -> None:
    async with (
        Exchange(market(), speed=60) as exchange,
        listen(exchange, f"/ws/{ONE}") as raw,
        listen(exchange, f"/stream?streams={ONE}") as wrapped,
    ):
        await wait_until(lambda: len(exchange.streams.listeners) == 2)
        began_s, now_ms = time.monotonic(), exchange.now_ms
        exchange.server_shutdown(lead_s=lead_s, close_frame=close_frame)
        for client in (raw, wrapped):
            messages, closed = await until_closed(client)
            assert (closed.rcvd is not None) == close_frame
            event = next(json.loads(m) for m in messages if "serverShutdown" in str(m))
            if client is wrapped:
                assert event["stream"] == "!serverShutdown"
                event = event["data"]
            assert event.keys() == {"e", "E"}
            assert event["e"] == "serverShutdown"
            assert 0 <= event["E"] - now_ms < 10_000
        assert time.monotonic() - began_s >= lead_s
        async with listen(exchange, f"/ws/{ONE}") as client:
            await collect(client, 1)


@pytest.mark.parametrize("speed", [6000, "max"])
async def test_connections_end_at_an_age_of_market_time(speed: Any) -> None:
    lifetime_ms = 30 * MINUTE_MS
    async with Exchange(market(), speed=speed, lifetime_ms=lifetime_ms) as exchange:
        async with listen(exchange, f"/ws/{ONE}") as client:
            _, closed = await until_closed(client)
            assert closed.rcvd is not None
            assert exchange.now_ms >= START + lifetime_ms
        async with listen(exchange, f"/ws/{ONE}") as client:
            exchange.limit_lifetime(None)
            await wait_until(exchange.finished.is_set)
            await ask(client, "LIST_SUBSCRIPTIONS")


async def test_a_stream_is_acknowledged_and_silent_while_others_go_on() -> None:
    async with Exchange(market(), speed=1200) as exchange, listen(exchange, "/ws") as client:
        await wait_until(lambda: exchange.streams.listeners)
        exchange.mute_stream("5m", for_ms=30 * MINUTE_MS)
        assert await ask(client, "SUBSCRIBE", ONE, FIVE) is None
        assert await ask(client, "LIST_SUBSCRIPTIONS") == [ONE, FIVE]
        async with listen(exchange, f"/ws/{FIVE}") as another:
            await collect(another, 2)  # a new connection heals it
        frames = []
        async with asyncio.timeout(10):
            while not frames or frames[-1]["k"]["i"] != "5m":
                frames += await collect(client, 1)
        assert len([frame for frame in frames if frame["k"]["x"]]) >= 25
        assert frames[-1]["E"] >= START + 30 * MINUTE_MS


async def test_a_stream_may_be_silent_for_whoever_comes() -> None:
    async with (
        Exchange(market(), speed=6000) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        await collect(client, 1)
        exchange.mute_stream("1m", newcomers=True)
        async with listen(exchange, f"/ws/{ONE}/{FIVE}") as late:
            frames = await collect(late, 10)
        assert {frame["k"]["i"] for frame in frames} == {"5m"}
        exchange.behave()
        await collect(client, 2)


async def test_a_pong_may_go_unnoticed() -> None:
    async with (
        Exchange(market(), speed=60) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        await collect(client, 1)
        began_s = time.monotonic()
        exchange.ignore_pongs(deadline_s=0.2)
        _, closed = await until_closed(client)
        assert closed.rcvd is not None
        assert closed.rcvd.reason == "Pong timeout"
        assert time.monotonic() - began_s >= 0.2


async def test_replies_that_nobody_asked_for_come_unwrapped() -> None:
    async with (
        Exchange(market(2)) as exchange,
        listen(exchange, f"/stream?streams={ONE}") as client,
    ):
        await collect(client, 2)
        for kind, key in (("result", "result"), ("list", "result"), ("error", "code")):
            exchange.stray_reply(kind)
            (reply,) = await collect(client, 1)
            assert key in reply
            assert "stream" not in reply
        with pytest.raises(ValueError, match="poem"):
            exchange.stray_reply("poem")
    assert exchange.caused == {"stray_reply": 3}
