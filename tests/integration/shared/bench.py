"""What tests of indicators and detector work with: streams, workers, processes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from redis.asyncio import Redis

from services.detector import worker as detector
from services.detector.rules import Rules, evaluate
from services.indicators import worker as indicators
from services.indicators.engine import Plan
from shared import keys
from shared.candle import Candle
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.indicators_entry import IndicatorsEntry
from shared.redis_access import RedisAccess
from shared.settings import Health, Streams
from shared.streams import KlinesWriter, SignalsWriter
from shared.trade_signal import Signal
from tests.service_process import Process, started
from tests.unit.detector.batch import Emission
from tests.unit.detector.entries import MARKET, RULES
from tests.unit.indicators.history import DEFAULT, entries_of, feeds, walk
from tests.waiting import wait_until

SYMBOL = "BTCUSDT"
# All that was ever received was received at 0: stale, unless nothing is.
TIMELESS = replace(RULES, max_age_ms=None, min_confidence=2)  # many signals

Stored = list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Market:
    """A synthetic market, and what must come of it."""

    fed: Mapping[str, list[Candle]]
    entries: list[IndicatorsEntry]

    @property
    def indicators(self) -> Stored:
        """The whole indicators stream."""
        return [(entry.entry_id, entry.fields()) for entry in self.entries]

    @property
    def candidates(self) -> list[Signal]:
        """All signals of the rules, repetitions among them."""
        judged = (evaluate(entry, TIMELESS, MARKET, 0) for entry in self.entries)
        return [signal for signal in judged if signal is not None]

    @property
    def signals(self) -> list[str]:
        """The identities in the signals stream, in order."""
        emission = Emission()
        return [signal.id for signal in self.candidates if emission.emits(signal)]


@cache
def market(minutes: int = 2400, ema_fast: int = DEFAULT.ema_fast) -> Market:
    """A random walk with holes."""
    plan = replace(DEFAULT, ema_fast=ema_fast)
    fed = feeds(walk(42, minutes, gaps=0.01), plan)
    return Market(fed, entries_of(fed, plan))


async def publish(access: RedisAccess, fed: Mapping[str, Sequence[Candle]]) -> None:
    """Append candles as ingest does."""
    writer = KlinesWriter(access, SYMBOL, Streams())
    for name, candles in fed.items():
        appended = await writer.append(name, DEFAULT.intervals[name], candles)
        assert appended.status == "ok"


async def publish_entries(client: Redis, entries: Sequence[IndicatorsEntry]) -> None:
    """Add indicators entries as the indicators service does."""
    async with client.pipeline(transaction=False) as pipe:
        for entry in entries:
            flat = entry.fields()
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            pipe.xadd(keys.indicators(SYMBOL), fields, id=entry.entry_id)
        await pipe.execute()


async def stored(client: Redis, stream: str) -> Stored:
    """A whole stream as text."""
    return [
        (
            entry_id.decode(),
            [text.decode() for pair in fields.items() for text in pair],
        )
        for entry_id, fields in await client.xrange(stream)
    ]


async def signal_ids(client: Redis) -> list[str]:
    """The identities in the signals stream, in order."""
    return [fields[b"id"].decode() for _, fields in await client.xrange(keys.SIGNALS)]


def heartbeat(service: str) -> Heartbeat:
    return Heartbeat(service, "1", Health())


@asynccontextmanager
async def access_to(url: str) -> AsyncIterator[RedisAccess]:
    """An access that is closed behind."""
    access = RedisAccess(url, name="test")
    try:
        yield access
    finally:
        await access.close()


@asynccontextmanager
async def computing(url: str, plan: Plan = DEFAULT) -> AsyncIterator[Heartbeat]:
    """An indicators worker in this process; what it raises is raised here."""
    beat = heartbeat("indicators")
    async with access_to(url) as access:
        events = EventsWriter(access, "indicators", "1", Streams())
        worker = indicators.Worker(access, SYMBOL, plan, Streams(), heartbeat=beat, events=events)
        async with until_left(worker.run()):
            yield beat


@asynccontextmanager
async def judging(url: str, rules: Rules = TIMELESS) -> AsyncIterator[Heartbeat]:
    """A detector worker in this process; what it raises is raised here."""
    beat = heartbeat("detector")
    async with access_to(url) as access:
        writer = SignalsWriter(access, SYMBOL, Streams(), window_ms=300_000, threshold_percent=0.3)
        worker = detector.Worker(
            access,
            writer,
            market=MARKET,
            timeframes=("1m", "5m"),
            rules=rules,
            heartbeat=beat,
            events=EventsWriter(access, "detector", "1", Streams()),
        )
        async with until_left(worker.run()):
            yield beat


@asynccontextmanager
async def until_left(main: object) -> AsyncIterator[None]:
    """Run a coroutine as long as the block, and cancel it wherever it is."""
    task = asyncio.ensure_future(main)  # type: ignore[call-overload] # a coroutine
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_position(client: Redis, reader: str, position: str) -> None:
    """Wait until a reader has come so far."""

    async def there() -> bool:
        return bool(await client.hget(keys.progress(SYMBOL), reader) == position.encode())

    await wait_until(there, f"{reader} to reach {position}")


class Processes:
    """Starts services with a configuration, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Process] = []

    def config(self, url: str, **sections: object) -> Path:
        path = self.folder / "config.json"
        known: dict[str, object] = {
            "redis": {"url": url},
            "health": {"interval_seconds": 0.1, "ttl_seconds": 5},
            "signal_rules": {"max_signal_age_seconds": None, "min_confidence": 2},
            "logging": {"file": ""},
        }
        path.write_text(json.dumps({**known, **sections}))
        return path

    async def start(self, service: str, config: Path, instance: str = "1") -> Process:
        output = self.folder / f"{service}-{len(self.started)}.log"
        process = await started(service, output, config, instance)
        self.started.append(process)
        return process


@asynccontextmanager
async def processes_in(folder: Path) -> AsyncIterator[Processes]:
    """Services in processes of their own until the block ends."""
    made = Processes(folder)
    try:
        yield made
    finally:
        for process in made.started:
            await process.kill()


def lines(log: str, level: str) -> Iterator[str]:
    """The messages of one level in a log."""
    for line in log.splitlines():
        if f"[{level}]" in line:
            yield line
