"""Whatever arrives, bad input is refused by name, and the stream is what the exchange has."""

import asyncio
import itertools
import json
import time
from contextlib import suppress

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.ingest.backfill import FeedSettings
from services.ingest.clock import ExchangeClock
from services.ingest.frames import BadFrame, KlineFrame, read_frame
from services.ingest.pages import (
    Page,
    Row,
    read_markets,
    read_page,
    read_server_time,
    read_weight_limit,
)
from services.ingest.rest import Unreachable
from services.ingest.timeframe_feed import TimeframeFeed
from shared import keys
from shared.candle import flaw, read_candle
from shared.health import Heartbeat
from shared.malformed import Malformed
from shared.redis_access import RedisAccess
from shared.settings import Health, Streams
from shared.streams import KlinesWriter
from tests.waiting import wait_until

MINUTE = 60_000
START = 1_762_041_600_000  # midnight
INTERVALS = {"1m": MINUTE, "5m": 5 * MINUTE}

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner), max_leaves=8
)
number = st.sampled_from(["1", "2.5", "3", "0", "-1", "nan", "1e9", "", "9" * 40]) | st.text()
kline = st.fixed_dictionaries(
    {},
    optional={
        "t": st.sampled_from([START, START + 1, 0]) | plain,
        "s": st.sampled_from(["BTCUSDT", "ETHUSDT"]) | plain,
        "i": st.sampled_from(["1m", "5m", "1M"]) | plain,
        "x": st.booleans() | plain,
        **dict.fromkeys("ohlcv", number | plain),
    },
)
event = st.fixed_dictionaries(
    {},
    optional={
        "e": st.sampled_from(["kline", "serverShutdown", "trade"]) | plain,
        "E": st.sampled_from([START + MINUTE, START, 0]) | plain,
        "k": kline | anything,
        "result": anything,
        "id": anything,
        "code": plain,
        "msg": plain,
    },
)
message = event | event.map(lambda inner: {"stream": "x", "data": inner}) | anything


def _read(raw: bytes) -> None:
    with suppress(BadFrame):
        frame = read_frame(raw, "BTCUSDT", INTERVALS)
        if isinstance(frame, KlineFrame) and frame.closed:
            prices = frame.open, frame.high, frame.low, frame.close
            assert flaw(*prices, frame.volume) is None
            assert frame.open_ms % INTERVALS[frame.timeframe] == 0
            assert frame.event_ms >= frame.open_ms + INTERVALS[frame.timeframe] - 1


@given(st.binary(max_size=400))
@example(b'{"data":' * 50_000)
def test_any_bytes_are_a_frame_or_a_bad_frame(raw: bytes) -> None:
    _read(raw)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(message)
def test_any_message_is_a_frame_or_a_bad_frame(content: object) -> None:
    _read(json.dumps(content).encode())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_usable_or_malformed(body: bytes) -> None:
    for read in (read_markets, read_server_time, read_weight_limit):
        with suppress(Malformed):
            read(body)
    with suppress(Malformed):
        read_page(body, MINUTE, START, START)


cell = st.sampled_from([START, START + MINUTE, START + 1, "1", "2.5", "3", "-1", "nan"]) | plain


@settings(max_examples=300)
@given(st.lists(st.lists(cell, max_size=8), max_size=6))
def test_a_page_yields_only_possible_rows_in_order(values: list[list[object]]) -> None:
    try:
        page = read_page(msgspec.json.encode(values), MINUTE, START, START + MINUTE)
    except Malformed:
        return
    assert len(page.rows) + len(page.flaws) == len(values)
    times = [row.open_ms for row in page.rows]
    assert times == sorted(set(times))
    for row in page.rows:
        assert flaw(row.open, row.high, row.low, row.close, row.volume) is None
        assert row.closed == (row.open_ms == START)


class Exchange:
    """What REST has: the candles of ``exist``, of which each page leaves some out."""

    def __init__(self, exist: set[int], last: int, clock: ExchangeClock, moods: list[int]) -> None:
        self.host = "http://exchange"
        self._exist, self._last, self._clock = exist, last, clock
        self._moods = itertools.chain(moods, itertools.repeat(0))

    async def server_time(self) -> int:
        await asyncio.sleep(0)
        if next(self._moods) == 1:
            raise Unreachable("down")
        server_ms = START + (self._last + 1) * MINUTE + 40_000
        now_s = time.monotonic()
        self._clock.answered(server_ms, now_s, now_s)
        return server_ms

    async def page(
        self,
        _symbol: str,
        _timeframe: str,
        _interval_ms: int,
        *,
        from_ms: int,
        closed_by_ms: float,
        to_ms: int | None = None,
    ) -> Page:
        await asyncio.sleep(0)
        mood = next(self._moods)
        known = [*sorted(self._exist), self._last + 1]
        rows = [row(minute, closed_by_ms) for minute in known]
        rows = [each for each in rows if from_ms <= each.open_ms <= (to_ms or each.open_ms)]
        if mood > 1 and to_ms is None:  # the same lie twice cannot be told from the truth
            rows = [each for each in rows if (each.open_ms // MINUTE) % mood]
        return Page(tuple(rows[:10]), ())


def row(minute: int, closed_by_ms: float = 0) -> Row:
    opened = START + minute * MINUTE
    return Row(opened, 2, 3 + minute, 1, 2.5, minute, opened + MINUTE <= closed_by_ms)


def frame(minute: int) -> KlineFrame:
    each = row(minute)
    return KlineFrame(
        "1m", each.open_ms + MINUTE + 5, True, each.open_ms, 2, each.high, 1, 2.5, each.volume
    )


_symbols = itertools.count()


@pytest.fixture(scope="module")
def redis_url(each_redis_url: str) -> str:
    return each_redis_url


MINUTES = 40


@st.composite
def _stories(draw: st.DrawFn) -> tuple[set[int], int, list[int], list[int]]:
    holes = draw(st.sets(st.integers(0, MINUTES - 2), max_size=20))
    exist = set(range(MINUTES)) - holes
    history = draw(st.integers(0, MINUTES))
    frames = draw(st.lists(st.sampled_from(sorted(exist)), max_size=2 * MINUTES))
    if draw(st.booleans()):
        frames = sorted(frames)
    moods = draw(st.lists(st.sampled_from([0, 0, 1, 2, 3, 7]), max_size=8))
    return exist, history, frames, moods


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(_stories())
def test_any_frames_and_rest_give_the_contiguous_sequence(
    redis_url: str, story: tuple[set[int], int, list[int], list[int]]
) -> None:
    exist, history, frames, moods = story
    asyncio.run(_one_story(redis_url, exist, history, frames, moods))


async def _one_story(
    url: str, exist: set[int], history: int, frames: list[int], moods: list[int]
) -> None:
    symbol = f"S{next(_symbols)}"
    access = RedisAccess(url, name="property")
    clock, flaws = ExchangeClock(), []
    feed = TimeframeFeed(
        FeedSettings(symbol, "1m", MINUTE, 10, close_deadline_ms=0, missing_after_ms=0),
        rest=Exchange(exist, MINUTES - 1, clock, moods),  # type: ignore[arg-type]
        writer=KlinesWriter(access, symbol, Streams()),
        clock=clock,
        heartbeat=Heartbeat("ingest", symbol, Health()),
        flawed=lambda kind, what: flaws.append((kind, what)),
    )
    key = keys.klines(symbol, "1m")
    last_id = f"{START + MINUTES * MINUTE}-0".encode()

    async def complete() -> bool:
        last = await access.client.xrevrange(key, count=1)
        return bool(last) and last[0][0] == last_id

    try:
        if history % 2:  # a start with some of it there already, or with frames from the first on
            await feed.load()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(feed.run())
            for minute in frames:
                feed.put(frame(minute), 0)
                if minute % 5 == history % 5:
                    await asyncio.sleep(0)
            feed.look_now()
            await wait_until(complete, "the last candle", 20.0)
            running.cancel()
        entries = await access.client.xrange(key)
    finally:
        await access.client.delete(key)
        await access.close()
    first = min(exist)
    found = {int(entry_id.partition(b"-")[0]): fields for entry_id, fields in entries}
    assert list(found) == [START + (m + 1) * MINUTE for m in range(first, MINUTES)]
    for minute in range(first, MINUTES):
        boundary_ms = START + (minute + 1) * MINUTE
        candle = read_candle(str(boundary_ms).encode(), found[boundary_ms])
        assert candle.missing == (minute not in exist)
        if not candle.missing:
            truth = row(minute)
            assert (candle.high, candle.volume) == (truth.high, truth.volume)
