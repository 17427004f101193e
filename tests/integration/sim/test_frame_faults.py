"""What may happen to frames, seen by plain clients at both speeds."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from sim.candles import MINUTE_MS
from sim.exchange import Exchange
from sim.garbage import KINDS
from sim.market import generate
from tests.integration.sim.clients import (
    FIVE,
    ONE,
    START,
    collect,
    klines,
    listen,
    market,
    until_closed,
)
from tests.waiting import wait_until


def opened(*frames: dict[str, Any]) -> list[int]:
    """Minutes since the start at which the closed candles opened."""
    return [(frame["k"]["t"] - START) // MINUTE_MS for frame in frames if frame["k"]["x"]]


@pytest.fixture(params=["max", 6000])
def speed(request: pytest.FixtureRequest) -> Any:
    return request.param


async def closings(client: ClientConnection, exchange: Exchange) -> list[dict[str, Any]]:
    """All closing frames until the end of the market and of what comes after it."""
    frames = []
    while True:
        try:
            async with asyncio.timeout(0.2):
                frames.append(json.loads(await client.recv()))
        except TimeoutError:
            if exchange.finished.is_set():
                return [frame for frame in frames if frame["k"]["x"]]


async def test_closes_come_late_as_often_as_asked(speed: Any) -> None:
    async with Exchange(market(20), speed=speed) as exchange:
        exchange.late_close(25_000, 3)
        exchange.late_close(30_000, 99, interval="5m")
        async with listen(exchange, f"/ws/{ONE}/{FIVE}") as client:
            frames = await closings(client, exchange)
        boundaries = [START + MINUTE_MS, START + 20 * MINUTE_MS]
        assert all(exchange.sent_at("1m", boundaries))
        assert all(exchange.sent_at("5m", boundaries[1:]))
    one = [frame for frame in frames if frame["k"]["i"] == "1m"]
    five = [frame for frame in frames if frame["k"]["i"] == "5m"]
    lag_ms = [frame["E"] - frame["k"]["T"] - 1 for frame in one]
    assert opened(*one) == list(range(20))
    assert lag_ms[:3] == [25_000] * 3
    assert all(lag <= 50 for lag in lag_ms[3:])
    assert opened(*five) == [0, 5, 10, 15]
    assert all(frame["E"] - frame["k"]["T"] - 1 == 30_000 for frame in five)


async def test_a_close_never_comes_and_rest_knows_the_candle(speed: Any) -> None:
    async with Exchange(market(20), speed=speed) as exchange:
        exchange.lose_close(2)
        async with listen(exchange, f"/ws/{ONE}") as client:
            frames = await closings(client, exchange)
        page = await klines(exchange, limit=20, startTime=START)
        assert exchange.sent_at("1m", [START + MINUTE_MS, START + 3 * MINUTE_MS])[0] == 0
    assert opened(*frames) == list(range(2, 20))
    assert len(page) == 20


async def test_frames_come_twice_at_once_and_much_later(speed: Any) -> None:
    async with Exchange(market(20), speed=speed) as exchange:
        exchange.duplicate(2)
        exchange.duplicate(1, after_ms=3 * MINUTE_MS + 20_000)
        async with listen(exchange, f"/stream?streams={ONE}") as client:
            frames = [json.loads(await client.recv())["data"] for _ in range(3)]
            assert opened(*frames)[0] == 0
            await wait_until(exchange.finished.is_set)
        assert exchange.closing_frames_sent == 23
    async with Exchange(market(20), speed=speed) as exchange:
        exchange.duplicate(2)
        exchange.duplicate(1, after_ms=3 * MINUTE_MS + 20_000)
        async with listen(exchange, f"/ws/{ONE}") as client:
            frames = await closings(client, exchange)
    assert opened(*frames) == [0, 0, 1, 1, 2, 3, 4, 5, 2, *range(6, 20)]


async def test_frames_come_in_the_wrong_order(speed: Any) -> None:
    async with Exchange(market(20), speed=speed) as exchange:
        exchange.disorder(4)
        exchange.disorder(3, interval="5m")
        async with listen(exchange, f"/ws/{ONE}") as client:
            frames = await closings(client, exchange)
    assert opened(*frames) == [3, 2, 1, 0, *range(4, 20)]


async def test_what_is_held_at_the_end_is_not_kept_back(speed: Any) -> None:
    async with Exchange(market(5), speed=speed) as exchange:
        exchange.disorder(9)
        async with listen(exchange, f"/ws/{ONE}") as client:
            frames = await closings(client, exchange)
    assert opened(*frames) == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("side", ["ws", "rest", "copy"])
async def test_frame_and_rest_contradict_each_other(side: Any, speed: Any) -> None:
    truth = market(10)
    async with Exchange(truth, speed=speed) as exchange:
        exchange.contradict(1, side=side, by=0.01)
        async with listen(exchange, f"/ws/{ONE}") as client:
            frames = await closings(client, exchange)
        page = await klines(exchange, startTime=START)
        exchange.behave()
        honest = await klines(exchange, startTime=START)
    told = [(float(f["k"]["c"]), float(f["k"]["v"])) for f in frames]
    rest = [(float(row[4]), float(row[5])) for row in page]
    true = list(zip(truth.close.tolist(), truth.volume.tolist(), strict=True))
    lie = pytest.approx((round(true[0][0] * 1.01, 2), true[0][1] * 1.01))
    assert [(float(row[4]), float(row[5])) for row in honest] == true
    assert rest == (true if side != "rest" else [lie, *true[1:]])
    if side == "copy":
        assert (told[0], told[1]) == (true[0], lie)
        assert told[2:] == true[1:]
    else:
        assert told == (true if side == "rest" else [lie, *true[1:]])
    for frame in frames:
        k = frame["k"]
        assert float(k["l"]) <= min(float(k["o"]), float(k["c"]))
        assert float(k["h"]) >= max(float(k["o"]), float(k["c"]))


async def test_garbage_of_every_kind_comes_between_frames() -> None:
    async with (
        Exchange(generate(1, 1, START), speed=60) as exchange,
        listen(exchange, f"/ws/{ONE}") as raw,
        listen(exchange, f"/stream?streams={ONE}") as wrapped,
    ):
        await wait_until(lambda: len(exchange.streams.listeners) == 2)
        exchange.garbage()
        texts = [await raw.recv() for _ in range(len(KINDS))]
        assert b"\x00\xff\x80\x01" in texts
        assert any("ETHUSDT" in text for text in texts if isinstance(text, str))
        enveloped = [await wrapped.recv() for _ in range(len(KINDS))]
        assert sum('"stream": ' in str(t) or '"stream":' in str(t) for t in enveloped) > 20
        exchange.garbage("negative volume")
        (frame,) = await collect(raw, 1)
        assert frame["k"]["v"] == "-1.00000000"
        assert frame["k"]["x"]
        assert frame["k"]["T"] > exchange.now_ms
        with pytest.raises(ValueError, match="no garbage is called"):
            exchange.garbage("gold")
    assert exchange.caused == {"garbage": 2}


async def test_garbage_with_nobody_there_hurts_nobody() -> None:
    async with Exchange(market(2)) as exchange:
        exchange.garbage()
        async with listen(exchange, f"/ws/{ONE}") as client:
            await collect(client, 2)
            await wait_until(exchange.finished.is_set)
            exchange.garbage()
            assert await client.recv()
            exchange.cut()
            assert await until_closed(client)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("late_close", {"late_ms": 30_001}),
        ("late_close", {"late_ms": 1, "interval": "7m"}),
        ("lose_close", {"count": 0}),
        ("contradict", {"side": "both"}),
        ("mute_stream", {"interval": "7m"}),
        ("earthquake", {}),
        ("cut", {"colour": "red"}),
    ],
)
async def test_faults_that_make_no_sense_are_refused(name: str, arguments: dict[str, Any]) -> None:
    async with Exchange(market()) as exchange:
        with pytest.raises(ValueError, match=r".+"):
            exchange.cause(name, arguments)
        assert not exchange.caused
