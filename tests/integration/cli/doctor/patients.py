"""A healthy installation made of real servers, to be broken in one place, and its doctor."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from cli.doctor.command import diagnose
from cli.doctor.report import Finding
from cli.supervisor import SERVICES
from shared import keys
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.settings import Health
from sim.bot_api import BotApi
from sim.candles import Candles
from sim.exchange import Exchange
from sim.mailbox import Mailbox, Mode
from sim.market import generate

TOKEN = "42:T0KENofTheBot"
PASSWORD = "pa55w0rd-of-the-mailbox"
REDIS_PASSWORD = "pa55w0rd-of-redis"
SECRETS = (TOKEN, PASSWORD, REDIS_PASSWORD)
CHAT = 4242
HOUR_MS = 3_600_000
ROOT = Path(__file__).parents[4]


def now_ms() -> int:
    return int(time.time() * 1000)


def market() -> Candles:
    """From an hour ago until tomorrow."""
    now = now_ms()
    return generate(7, 1, now - now % 60_000 - HOUR_MS)


@dataclass
class Report:
    """What the doctor said."""

    findings: list[Finding]
    code: int

    def of(self, check: str) -> list[Finding]:
        return [each for each in self.findings if each.check == check]

    def one(self, check: str) -> Finding:
        [found] = self.of(check)
        return found

    @property
    def not_ok(self) -> list[Finding]:
        return [each for each in self.findings if each.level != "ok"]


@dataclass
class Patient:
    """An installation; change ``sections`` or a server, then ask ``doctor``."""

    folder: Path
    redis: Redis
    exchange: Exchange
    bot_api: BotApi
    sections: dict[str, Any]
    stack: AsyncExitStack
    text: str = ""
    mode: int = 0o600
    secrets: list[str] = field(default_factory=lambda: list(SECRETS))

    @property
    def config(self) -> Path:
        path = self.folder / "config.json"
        path.write_text(self.text or json.dumps(self.sections))
        path.chmod(self.mode)
        return path

    def set(self, section: str, **keys_: Any) -> None:
        self.sections[section] = {**self.sections.get(section, {}), **keys_}

    async def mailbox(self, mode: Mode = "tls", **smtp: Any) -> Mailbox:
        """A mailbox of this kind, and the section smtp for it."""
        box = await self.stack.enter_async_context(
            Mailbox(self.folder / f"tls-{mode}", mode=mode, password=PASSWORD)
        )
        self.sections["smtp"] = {
            "server": box.host,
            "port": box.port,
            "user": box.user,
            "password": PASSWORD,
            "from_email": "Scanner <scanner@example.com>",
            "to_email": ["trader@example.org", "friend@example.org"],
            "use_ssl": mode != "starttls",
            **({"ca_file": str(box.ca_file)} if box.ca_file else {}),
            **smtp,
        }
        return box

    async def beat(self, service: str, version: str = "", state: str = "running") -> None:
        """The heartbeat of a service that runs."""
        access = RedisAccess(self.sections["redis"]["url"], name=service)
        heartbeat = Heartbeat(service, "1", Health())
        heartbeat.state = state
        await heartbeat._write(access, keys.health(service, "1"))
        if version:
            await access.client.hset(keys.health(service, "1"), "version", version)
        await access.close()

    async def doctor(self) -> Report:
        """Ask, and see that no secret is told and every trouble has a remedy."""
        report = Report(*await diagnose(self.config))
        said = repr(report.findings)
        assert not [secret for secret in self.secrets if secret in said]
        assert all(each.remedy for each in report.not_ok), report.not_ok
        assert not [each for each in report.findings if "check itself" in each.what], said
        return report


class SilentPeer:
    """Accepts connections and never says a word."""

    def __init__(self) -> None:
        self.port = 0
        self.connected = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.connected.set()


@asynccontextmanager
async def silent_peer() -> AsyncIterator[SilentPeer]:
    """One that is gone afterwards."""
    peer = SilentPeer()
    server = await asyncio.start_server(peer._accept, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    yield peer
    server.close()
    for writer in peer._writers:
        writer.transport.abort()
    await asyncio.sleep(0)


@asynccontextmanager
async def patient(folder: Path, redis_url: str, candles: Candles) -> AsyncIterator[Patient]:
    """All is well; without email, since not every test needs it."""
    async with AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(Exchange(candles, speed=1.0, start_ms=now_ms()))
        exchange.clock.run()
        bot_api = await stack.enter_async_context(BotApi(token=TOKEN, chats=[CHAT]))
        client: Redis = Redis.from_url(redis_url, protocol=2)
        stack.push_async_callback(client.aclose)
        await client.flushall()
        sections: dict[str, Any] = {
            "exchange": {"rest_hosts": [exchange.rest_url], "ws_hosts": [exchange.ws_url]},
            "redis": {"url": redis_url},
            "telegram": {
                "enabled": True, "bot_token": TOKEN, "chat_id": CHAT, "api_url": bot_api.url,
            },
            "logging": {"file": str(folder / "logs" / "scanner.log")},
        }  # fmt: skip
        made = Patient(folder, client, exchange, bot_api, sections, stack)
        for service in SERVICES:
            await made.beat(service)
        yield made


def only(report: Report, check: str, level: str, *words: str) -> None:
    """This is all that is wrong, and the line says this."""
    assert {each.check for each in report.not_ok} == {check}, report.not_ok
    says(report, check, level, *words)


def says(report: Report, check: str, level: str, *words: str) -> None:
    found = [each for each in report.of(check) if each.level == level]
    assert found, report.findings
    text = " ".join(f"{each.what} -> {each.remedy}" for each in found)
    assert not [word for word in words if word not in text], text


def let_others_pass(folder: Path) -> None:
    """pytest's folders are private."""
    for each in (folder, *folder.parents):
        if each.is_relative_to(tempfile.gettempdir()):
            each.chmod(each.stat().st_mode | 0o055)


def run_doctor(config: Path, *options: str, **how: object) -> "subprocess.Popen[str]":
    # What is ignored stays so in a child, and shells ignore SIGINT for what runs in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-P", "-m", "cli", "doctor", "--config", str(config), *options],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
