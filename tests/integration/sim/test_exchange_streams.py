"""The exchange's WebSocket port, seen by a plain client."""

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import aiohttp
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from sim.candles import MINUTE_MS, Candles
from sim.exchange import Exchange, Impossible
from sim.market import generate
from tests.integration.sim.clients import FIVE, ONE, START, ask, collect, listen, market
from tests.waiting import wait_until


def without(candles: Candles, *minutes: int) -> Candles:
    keep = np.ones(len(candles), dtype=bool)
    keep[list(minutes)] = False
    return Candles(
        candles.open_time_ms[keep],
        candles.open[keep],
        candles.high[keep],
        candles.low[keep],
        candles.close[keep],
        candles.volume[keep],
    )


async def test_every_candle_closes_once_and_in_order() -> None:
    candles = market()
    async with (
        Exchange(candles) as exchange,
        listen(exchange, f"/stream?streams={ONE}/{FIVE}") as client,
    ):
        frames = await collect(client, 120 + 24)
        await wait_until(exchange.finished.is_set)
        state = exchange.now_ms
    by_stream: dict[str, list[Any]] = {ONE: [], FIVE: []}
    for frame in frames:
        by_stream[frame["stream"]].append(frame["data"])
    one = by_stream[ONE]
    assert [event["k"]["t"] for event in one] == candles.open_time_ms.tolist()
    assert [float(event["k"]["c"]) for event in one] == candles.close.tolist()
    assert all(event["k"]["x"] and event["k"]["i"] == "1m" for event in one)
    assert all(5 <= event["E"] - event["k"]["T"] - 1 <= 50 for event in one)
    assert [event["k"]["t"] for event in by_stream[FIVE]] == list(
        range(START, START + 120 * MINUTE_MS, 5 * MINUTE_MS)
    )
    events = [frame["data"]["E"] for frame in frames]
    assert events == sorted(events)
    # Past the deadline of whoever missed the last candle.
    assert state == exchange.end_ms + MINUTE_MS // 2


async def test_the_clock_waits_for_the_first_subscription() -> None:
    async with Exchange(market(), start_ms=START + 90_000) as exchange:
        assert exchange.now_ms == START + 90_000
        async with listen(exchange, "/ws") as client:
            assert await ask(client, "LIST_SUBSCRIPTIONS") == []
            assert exchange.now_ms == START + 90_000
            await ask(client, "SUBSCRIBE", ONE)
            first = (await collect(client, 1))[0]
    assert first["k"]["t"] == START + MINUTE_MS


async def test_minutes_without_a_candle_pass_in_silence() -> None:
    candles = without(market(), *range(50, 73))
    async with Exchange(candles) as exchange, listen(exchange, f"/ws/{ONE}/{FIVE}") as client:
        frames = await collect(client, 97 + 24 - 4)
        await wait_until(exchange.finished.is_set)
    opened = [frame["k"]["t"] for frame in frames if frame["k"]["i"] == "1m"]
    assert opened == candles.open_time_ms.tolist()


async def test_raw_and_combined_clients_hear_the_same() -> None:
    async with (
        Exchange(market(), speed=6000) as exchange,
        listen(exchange, f"/ws/{ONE}") as raw,
        listen(exchange, f"/stream?streams={ONE}") as wrapped,
    ):
        events = await collect(raw, 60)
        envelopes = await collect(wrapped, 50)
    seen = {json.dumps(event) for event in events}
    assert {envelope["stream"] for envelope in envelopes} == {ONE}
    assert sum(json.dumps(envelope["data"]) in seen for envelope in envelopes) >= 45


async def test_an_unknown_symbol_is_acknowledged_and_silent() -> None:
    async with (
        Exchange(market(), speed=2000) as exchange,
        listen(exchange, "/ws") as client,
    ):
        assert await ask(client, "SUBSCRIBE", "nosuch@kline_1m", "btcusdt@kline_7m") is None
        await wait_until(lambda: exchange.now_ms > START + 5 * MINUTE_MS)
        assert await ask(client, "LIST_SUBSCRIPTIONS") == ["nosuch@kline_1m", "btcusdt@kline_7m"]
        assert exchange.frames_sent == 0


async def test_unsubscribing_and_unwrapping_take_effect() -> None:
    async with (
        Exchange(market(), speed=600) as exchange,
        listen(exchange, f"/stream?streams={ONE}/{FIVE}") as client,
    ):
        await ask(client, "UNSUBSCRIBE", FIVE)
        await ask(client, "SET_PROPERTY", "combined", False)
        frames = await collect(client, 12)
    assert {frame["k"]["i"] for frame in frames} == {"1m"}


async def test_open_candles_are_seen_growing_at_a_pace() -> None:
    async with (
        Exchange(market(), speed=60) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        frames = await collect(client, 20)
    kinds = [(frame["k"]["t"], frame["k"]["x"]) for frame in frames]
    assert kinds.count((START, True)) == 1
    growing = [frame for frame in frames if frame["k"]["t"] == START + MINUTE_MS]
    volumes = [float(frame["k"]["v"]) for frame in growing]
    assert len(volumes) > 5
    assert volumes == sorted(volumes)
    assert all(
        later["E"] - earlier["E"] >= 2000
        for earlier, later in pairwise(growing)
        if not later["k"]["x"]
    )


async def test_late_closes_come_after_frames_of_the_next_candle() -> None:
    async with (
        Exchange(market(), speed=120, late_close_ms=(20_000, 40_000)) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        frames = await collect(client, 30)
    closing = [frame for frame in frames if frame["k"]["x"]]
    assert closing
    assert all(20_000 <= frame["E"] - frame["k"]["T"] - 1 <= 40_000 for frame in closing)
    first = frames.index(closing[0])
    assert any(frame["k"]["t"] > closing[0]["k"]["t"] for frame in frames[:first])


async def test_frames_are_lost_while_nobody_listens() -> None:
    async with Exchange(generate(1, 20, START), idle_minutes_per_second=2000) as exchange:
        async with listen(exchange, f"/ws/{ONE}") as client:
            before = await collect(client, 1)
        await wait_until(lambda: not exchange.streams.listeners)
        gone_ms = exchange.now_ms
        await wait_until(lambda: exchange.now_ms > gone_ms + 20 * MINUTE_MS)
        async with listen(exchange, f"/ws/{ONE}") as client:
            after = await collect(client, 1)
    assert before[0]["k"]["t"] == START
    assert after[0]["k"]["t"] >= gone_ms + 19 * MINUTE_MS


async def test_the_clock_stands_at_the_end_and_connections_stay() -> None:
    async with Exchange(market(5)) as exchange, listen(exchange, f"/ws/{ONE}") as client:
        await collect(client, 5)
        await wait_until(exchange.finished.is_set)
        stands_ms = exchange.now_ms
        assert await ask(client, "LIST_SUBSCRIPTIONS") == [ONE]
        assert exchange.now_ms == stands_ms


async def test_the_server_pings_and_drops_who_does_not_answer() -> None:
    async with Exchange(market(), ping_interval_s=0.05, pong_deadline_s=0.1) as exchange:
        host, port = exchange.ws_url.removeprefix("ws://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            assert (await reader.readexactly(1))[0] == 0x89  # a ping
            await reader.read()  # until the end
        writer.close()
        await wait_until(lambda: not exchange.streams.listeners)


async def test_who_talks_too_much_is_cut() -> None:
    async with Exchange(market()) as exchange, listen(exchange, "/ws") as client:
        for _ in range(5):
            assert await ask(client, "LIST_SUBSCRIPTIONS") == []
        with pytest.raises(ConnectionClosed) as error:
            await ask(client, "LIST_SUBSCRIPTIONS")
        assert error.value.rcvd is not None
        assert error.value.rcvd.code == 1008


async def test_a_client_that_stops_reading_does_not_stop_others() -> None:
    async with (
        Exchange(market(1440), speed=1_000_000) as exchange,
        listen(exchange, f"/ws/{ONE}") as reader,
    ):
        stuck = [await open_and_ignore(exchange) for _ in range(2)]
        frames = await collect(reader, 1000)
        for _, writer in stuck:
            writer.close()
    assert len(frames) == 1000


async def open_and_ignore(exchange: Exchange) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = exchange.ws_url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    names = "/".join(f"btcusdt@kline_{i}" for i in ("1m", "3m", "5m"))
    writer.write(
        f"GET /stream?streams={names} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return reader, writer


@pytest.mark.parametrize("close_frame", [True, False])
async def test_all_connections_are_cut(close_frame: bool) -> None:
    async with Exchange(market()) as exchange, listen(exchange, "/ws") as client:
        await wait_until(lambda: exchange.streams.listeners)
        exchange.cut(close_frame=close_frame)
        with pytest.raises(ConnectionClosed) as error:
            await client.recv()
        assert (error.value.rcvd is not None) == close_frame
        assert isinstance(error.value, ConnectionClosedError) or close_frame
        await wait_until(lambda: not exchange.streams.listeners)


async def test_handshakes_are_refused_as_often_as_asked() -> None:
    async with Exchange(market()) as exchange:
        exchange.refuse_handshakes(2, status=451, body="restricted location")
        for _ in range(2):
            with pytest.raises(InvalidStatus) as error:
                await listen(exchange, "/ws")
            assert error.value.response.status_code == 451
        async with listen(exchange, "/ws"):
            pass
        with pytest.raises(InvalidStatus):
            await listen(exchange, "/nowhere")


async def test_silence_keeps_the_connection_and_delivers_nothing() -> None:
    async with (
        Exchange(market(), speed=6000) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        await collect(client, 3)
        exchange.silence()
        sent, at_ms = exchange.frames_sent, exchange.now_ms
        await wait_until(lambda: exchange.now_ms > at_ms + 10 * MINUTE_MS)
        assert exchange.frames_sent == sent
        assert await ask(client, "LIST_SUBSCRIPTIONS") == [ONE]
        exchange.silence(on=False)
        await wait_until(lambda: exchange.frames_sent > sent)


async def test_raw_text_is_injected() -> None:
    async with Exchange(market(2)) as exchange, listen(exchange, f"/ws/{ONE}") as client:
        await collect(client, 2)
        exchange.inject("not json")
        assert await client.recv() == "not json"


async def test_the_time_of_sending_is_kept() -> None:
    began_ns = time.time_ns()
    async with Exchange(market()) as exchange, listen(exchange, f"/ws/{ONE}") as client:
        await collect(client, 120)
        boundaries = [START, START + MINUTE_MS, START + 120 * MINUTE_MS, START + 121 * MINUTE_MS]
        sent = exchange.sent_at("1m", boundaries)
        assert sent[0] == sent[3] == 0
        assert began_ns < sent[1] <= sent[2] <= time.time_ns()
        assert exchange.sent_at("5m", boundaries) == [0, 0, 0, 0]
        assert exchange.sent_at("1m", []) == []


async def test_rest_never_knows_less_than_the_stream_has_told() -> None:
    async with (
        Exchange(market(), speed=600) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
        aiohttp.ClientSession() as http,
    ):
        async for text in client:
            event = json.loads(text)
            query = {"symbol": "BTCUSDT", "interval": "1m", "limit": "2"}
            async with http.get(exchange.rest_url + "/api/v3/klines", params=query) as answer:
                page = await answer.json()
            assert any(row[0] == event["k"]["t"] and row[4] == event["k"]["c"] for row in page)
            if event["k"]["t"] >= START + 5 * MINUTE_MS:
                break


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 0.5},
        {"speed": float("nan")},
        {"speed": "fast"},
        {"symbol": "BTCUSDT"},
        {"start_ms": START + 10**12},
        {"late_close_ms": (10, 60_000)},
    ],
)
async def test_what_cannot_be_run_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Impossible):
        Exchange(market(), **wrong)
