"""A real Redis, a mailbox, a Bot API, and notifiers: in this process or in their own."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from cli.embedded_redis import redis_server
from services.notifier.channels import Channel
from services.notifier.delivery import Delivery, Postman
from services.notifier.gate import Gate
from services.notifier.limiter import Unlimited
from services.notifier.message import Periods
from services.notifier.sources import SIGNALS, Source
from services.notifier.wording import Wording
from shared import keys
from shared.configuration import load_settings
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.redis_access import RedisAccess, Script
from shared.settings import Settings, Streams
from shared.trade_signal import Signal, example_signal
from sim.bot_api import BotApi
from sim.mailbox import Mailbox
from tests.conftest import emptied
from tests.service_process import Process, started
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
PERIODS = Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6)
WORDING = Wording(PERIODS, "BTC")
TOKEN = "42:T0KENofTheBot"
PASSWORD = "pa55w0rd-of-the-mailbox"
CHAT = 4242


def now_ms() -> int:
    return int(time.time() * 1000)


def fresh_signal(number: int = 0, **changes: object) -> Signal:
    """A signal whose candle was received just now; each ``number`` is another one."""
    close_time_ms = 1762094100000 + number * 300_000
    return example_signal(**{"close_time_ms": close_time_ms, "received_at_ms": now_ms(), **changes})


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with emptied(redis_url) as client:
        yield client


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with Mailbox(tmp_path / "tls", password=PASSWORD) as box:
        yield box


@pytest.fixture
async def bot_api() -> AsyncIterator[BotApi]:
    async with BotApi(token=TOKEN, chats=[CHAT]) as api:
        yield api


def smtp(box: Mailbox, **changes: object) -> dict[str, object]:
    """The section ``smtp`` for a simulated mailbox."""
    section: dict[str, object] = {
        "server": box.host,
        "port": box.port,
        "user": box.user,
        "password": PASSWORD,
        "from_email": "scanner@example.com",
        "to_email": "trader@example.org",
        "use_ssl": box.mode != "starttls",
        "timeout_seconds": 5.0,
    }
    if box.ca_file is not None:
        section["ca_file"] = str(box.ca_file)
    return {**section, **changes}


def telegram(api_url: str, **changes: object) -> dict[str, object]:
    """The section ``telegram`` for a simulated Bot API."""
    section: dict[str, object] = {
        "enabled": True,
        "bot_token": TOKEN,
        "chat_id": CHAT,
        "api_url": api_url,
        "timeout_seconds": 5.0,
    }
    return {**section, **changes}


@dataclass
class Bench:
    """What the tests of delivery work with."""

    redis: Redis
    redis_url: str
    folder: Path
    processes: list[Process] = field(default_factory=list)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    def settings(self, **sections: object) -> Settings:
        """Settings that retry fast."""
        return load_settings(self.config(**sections), environ={})

    def config(self, **sections: object) -> Path:
        """The configuration file for them."""
        path = self.folder / "config.json"
        known: dict[str, object] = {
            "redis": {"url": self.redis_url},
            "notifier": {"retry_base_seconds": 0.05, "retry_max_seconds": 0.2},
            "health": {"interval_seconds": 0.1},
            "logging": {"file": ""},
        }
        path.write_text(json.dumps({**known, **sections}))
        return path

    async def emit(self, *signals: Signal) -> list[bytes]:
        """Add signals to the stream as the detector does."""
        added = []
        for one in signals:
            flat = one.fields()
            fields: Any = dict(zip(flat[::2], flat[1::2], strict=True))
            added.append(await self.redis.xadd(keys.SIGNALS, fields))
        return added

    async def taken(self, group: str) -> bytes:
        """The entry of a new signal that a consumer of a new group has just read."""
        [entry_id] = await self.emit(fresh_signal())
        await self.redis.xgroup_create(keys.SIGNALS, group, id="0")
        await self.redis.xreadgroup(group, "me", {keys.SIGNALS: ">"})
        return entry_id

    def script(self, name: str) -> Script:
        """One of the scripts that the notifier records by."""
        text = (ROOT / "shared" / "scripts" / f"{name}.lua").read_text()
        return Script(self.redis, text)

    def events(self, service: str = "ingest") -> EventsWriter:
        """Tells events as a service does."""
        access = RedisAccess(self.redis_url, name=service)
        self.stack.push_async_callback(access.close)
        return EventsWriter(access, service, "1", Streams())

    async def pending(self, group: str, source: Source = SIGNALS) -> list[dict[str, Any]]:
        """The group's pending list; empty as long as there is no group."""
        try:
            rows: Any = await self.redis.xpending_range(
                source.stream, group, min="-", max="+", count=1000
            )
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            return []
        return list(rows)

    async def until_settled(
        self, group: str, delivered: int, seconds: float = 20.0, *, source: Source = SIGNALS
    ) -> None:
        """Until so many deliveries are recorded and nothing is pending."""

        async def settled() -> bool:
            total = await self.redis.hget(source.totals(group), "delivered")
            return int(total or 0) >= delivered and not await self.pending(group, source)

        await wait_until(settled, f"{delivered} deliveries by {group}", seconds)

    def postman(self, settings: Settings, consumer: str = "here-1") -> Postman:
        """What a notifier of this name delivers with; whoever asks closes its access."""
        access = RedisAccess(self.redis_url, name=consumer)
        heartbeat = Heartbeat("notifier", "1", settings.health)
        events = EventsWriter(access, "notifier", "1", settings.streams)
        return Postman(access, consumer, settings, heartbeat, events)

    def gate(self, channel: str, settings: Settings) -> Gate:
        """A gate as a further notifier has it."""
        postman = self.postman(settings, "another")
        self.stack.push_async_callback(postman.access.close)
        return postman.gate(channel)

    async def deliver(
        self,
        channel: Channel,
        settings: Settings,
        consumer: str = "here-1",
        *,
        source: Source = SIGNALS,
    ) -> Heartbeat:
        """Serve a channel from a stream in this process until the test ends."""
        postman = self.postman(settings, consumer)
        gate, limiter = postman.gate(channel.name), getattr(channel, "limiter", Unlimited())
        task = asyncio.create_task(Delivery(postman, channel, source, gate, limiter).run())

        async def stop() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await channel.close()
            await postman.access.close()

        self.stack.push_async_callback(stop)
        return postman.heartbeat

    async def start(self, config: Path, instance: str = "1", *more: str) -> Process:
        """Start a notifier process."""
        output = self.folder / f"notifier-{len(self.processes)}.log"
        process = await started("notifier", output, config, instance, *more)
        self.processes.append(process)
        return process

    async def close(self) -> None:
        """End everything."""
        await self.stack.aclose()
        for process in self.processes:
            if process.child.returncode is None:
                await process.kill()


@pytest.fixture
async def bench(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(redis, redis_url, tmp_path)
    yield made
    await made.close()


async def cut(writers: Sequence[asyncio.StreamWriter]) -> None:
    """Drop the connections of a server that a test plays, and wait until they are gone."""
    for writer in writers:
        writer.transport.abort()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class SilentPeer:
    """Accepts connections and never says a word."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def silent_peer() -> AsyncIterator[SilentPeer]:
    peer = SilentPeer()
    await peer.open()
    yield peer
    await peer.close()
