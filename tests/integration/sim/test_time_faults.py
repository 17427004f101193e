"""Skewed clocks, minutes without candles, and schedules that are obeyed."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import WebSocketException

from sim.candles import MINUTE_MS, without
from sim.exchange import Exchange
from sim.faults import FAULTS, UnknownFault
from sim.market import generate
from sim.schedule import EXCHANGE_KINDS, Fault, draw, maintenance_windows
from tests.integration.sim.clients import FIVE, ONE, START, collect, klines, listen, market
from tests.waiting import wait_until


async def server_time(exchange: Exchange, http: aiohttp.ClientSession) -> int:
    async with http.get(f"{exchange.rest_url}/api/v3/time") as answer:
        stated: int = (await answer.json())["serverTime"]
        return stated


@pytest.mark.parametrize("by_ms", [-3000, 10_000])
async def test_the_exchange_goes_by_another_clock_than_we(by_ms: int) -> None:
    began_ns, start_ms = time.monotonic_ns(), START + 59_000

    def our_ms() -> int:
        return start_ms + (time.monotonic_ns() - began_ns) // 1_000_000

    async with (
        Exchange(market(), speed=1, start_ms=start_ms) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
        aiohttp.ClientSession() as http,
    ):
        await wait_until(exchange.streams.heard.is_set)
        before_ms = await server_time(exchange, http)
        assert abs(before_ms - our_ms()) < 900
        exchange.skew(by_ms)
        assert await server_time(exchange, http) >= before_ms  # it stands rather than go back
        await asyncio.sleep(max(0, -by_ms) / 1000)
        assert abs(await server_time(exchange, http) - our_ms() - by_ms) < 900
        async with asyncio.timeout(10):
            while True:  # until a frame says so too
                (frame,) = await collect(client, 1)
                if abs(frame["E"] - our_ms() - by_ms) < 900:
                    break
        assert exchange.clock.skew_ms == by_ms


async def test_a_leap_of_the_clock_skips_no_candle() -> None:
    async with (
        Exchange(market(30), speed=600) as exchange,
        listen(exchange, f"/ws/{ONE}") as client,
    ):
        frames: list[dict[str, Any]] = []
        for by_ms in (10_000, -10_000, 150_000):
            frames += await collect(client, 5)
            exchange.skew(by_ms, for_ms=MINUTE_MS)
        while len([f for f in frames if f["k"]["x"]]) < 30:
            frames += await collect(client, 1)
    closed = [frame for frame in frames if frame["k"]["x"]]
    assert [f["k"]["t"] for f in closed] == [START + i * MINUTE_MS for i in range(30)]
    assert all(f["E"] > f["k"]["T"] for f in closed)


@pytest.mark.parametrize("speed", ["max", 6000])
async def test_minutes_of_maintenance_never_exist(speed: Any) -> None:
    window = (START + 50 * MINUTE_MS, START + 73 * MINUTE_MS)
    truth = without(market(), *window)
    arguments = {"from_ms": window[0], "for_ms": window[1] - window[0]}
    schedule = [Fault(START + 7 * MINUTE_MS + 1, "maintenance", arguments)]
    async with (
        Exchange(market(), speed=speed, schedule=schedule) as exchange,
        listen(exchange, f"/ws/{ONE}/{FIVE}") as client,
    ):
        frames: list[dict[str, Any]] = []
        while len([f for f in frames if f["k"]["x"]]) < 97 + 24 - 4:
            frames += await collect(client, 1)
        await wait_until(exchange.finished.is_set)
        page = await klines(exchange, startTime=START)
        five = await klines(exchange, startTime=START, interval="5m")
        assert exchange.candles_total("1m") == 97
        assert exchange.sent_at("1m", [window[0], window[0] + MINUTE_MS])[1] == 0
    closed = [f["k"] for f in frames if f["k"]["x"] and f["k"]["i"] == "1m"]
    assert [k["t"] for k in closed] == truth.open_time_ms.tolist()
    assert [float(k["c"]) for k in closed] == truth.close.tolist()
    assert [row[0] for row in page] == truth.open_time_ms.tolist()
    fives = [f["k"] for f in frames if f["k"]["x"] and f["k"]["i"] == "5m"]
    assert [k["t"] for k in fives] == [row[0] for row in five]
    assert [k["v"] for k in fives] == [row[5] for row in five]
    open_in_window = [f for f in frames if window[0] <= f["k"]["t"] < window[1]]
    assert not [f for f in open_in_window if f["k"]["i"] == "1m"]


async def test_maintenance_takes_only_minutes_that_have_not_begun() -> None:
    async with Exchange(market(10), start_ms=START + 3 * MINUTE_MS + 1) as exchange:
        exchange.maintenance(for_ms=90_000)
        assert exchange.tape.minutes.open_time_ms.tolist() == [
            START + minute * MINUTE_MS for minute in (0, 1, 2, 3, 6, 7, 8, 9)
        ]
        with pytest.raises(ValueError, match="no candle would be left"):
            exchange.tape.cut_out(0, 2**60)


@pytest.mark.parametrize("speed", ["max", 60_000])
async def test_a_schedule_is_obeyed_when_the_clock_passes_its_times(speed: Any) -> None:
    schedule = draw(4, START, START + 24 * 3_600_000, 2)
    noted: list[tuple[str, int]] = []

    def note(name: str, arguments: Any) -> None:
        noted.append((name, exchange.now_ms))

    exchange = Exchange(generate(1, 1, START), speed=speed)
    exchange.obey(schedule, note)
    async with exchange, listen(exchange, f"/ws/{ONE}") as client:
        async with asyncio.timeout(20):
            while not exchange.finished.is_set():
                await client.recv()
    assert [name for name, _ in noted] == [fault.name for fault in schedule]
    late_ms = [at_ms - fault.at_ms for (_, at_ms), fault in zip(noted, schedule, strict=True)]
    if speed == "max":
        assert set(late_ms) == {0}
    else:
        assert all(late >= 0 for late in late_ms)


@pytest.mark.parametrize("speed", ["max", 6000])
async def test_every_kind_may_happen_and_the_market_still_ends(speed: Any) -> None:
    """A stubborn client under everything at once: it comes back, and REST has the rest."""
    hours = 30 if speed == "max" else 18
    candles = generate(1, 2, START)[: hours * 60]
    schedule = draw(11, START, START + hours * 3_600_000, 2)
    windows = maintenance_windows(schedule)
    exchange = Exchange(candles, speed=speed, schedule=schedule, idle_minutes_per_second=6000)
    async with exchange, asyncio.timeout(50):
        while not exchange.finished.is_set():
            try:
                async with asyncio.timeout(2), listen(exchange, f"/ws/{ONE}/{FIVE}") as client:
                    while True:
                        async with asyncio.timeout(0.5):
                            await client.recv()
            except (OSError, TimeoutError, WebSocketException):
                await asyncio.sleep(0.01)
        exchange.behave()
        for window in windows:
            candles = without(candles, *window)

        async def page() -> list[list[Any]]:
            try:
                return await klines(exchange, limit=1000)
            except aiohttp.ClientConnectorError:
                return []  # the port is still being opened

        last = await wait_until(page, "REST to answer again")
    assert [row[0] for row in last] == candles.open_time_ms[-1000:].tolist()
    kinds = {fault.name for fault in schedule}
    assert {name: exchange.caused[name] for name in kinds} == {
        name: sum(fault.name == name for fault in schedule) for name in kinds
    }
    assert kinds <= set(EXCHANGE_KINDS) <= set(FAULTS)


async def test_a_schedule_of_unknown_faults_is_refused_at_once() -> None:
    with pytest.raises(UnknownFault, match="earthquake"):
        Exchange(market(), schedule=[Fault(START, "earthquake", {})])
    with pytest.raises(UnknownFault, match="colour"):
        Exchange(market(), schedule=[Fault(START, "cut", {"colour": "red"})])


async def test_an_unpaced_clock_halts_at_its_time_until_told_to_go_on() -> None:
    at_ms = START + 30 * MINUTE_MS + 30_000
    exchange = Exchange(market(60))
    exchange.agenda.at(at_ms, exchange.halt)
    async with exchange, listen(exchange, f"/ws/{ONE}") as client:
        frames = await collect(client, 30)
        await wait_until(lambda: exchange.halted)
        for _ in range(10):
            await asyncio.sleep(0)
        assert exchange.now_ms == at_ms
        assert not exchange.finished.is_set()
        exchange.go_on()
        frames += await collect(client, 30)
        await wait_until(exchange.finished.is_set)
    opened = [frame["k"]["t"] for frame in frames]
    assert opened == list(range(START, START + 60 * MINUTE_MS, MINUTE_MS))
