"""``python -m sim`` as others use it: one line on stdout, then HTTP."""

import asyncio
import json
import os
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from sim.candles import MINUTE_MS
from sim.schedule import KINDS, draw, dump_schedule
from tests.integration.sim.clients import until_closed

ROOT = Path(__file__).parents[3]
PIPE = asyncio.subprocess.PIPE
START = 1_735_516_800_000


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sim", *arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )


class Outside:
    def __init__(
        self, process: asyncio.subprocess.Process, where: Any, http: aiohttp.ClientSession
    ) -> None:
        self.process = process
        self.where = where
        self.http = http

    async def get(self, path: str) -> Any:
        async with self.http.get(self.where["control"] + path) as answer:
            return await answer.json()

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.http.post(self.where["control"] + path, json=body) as answer:
            return answer.status, await answer.json()

    async def ended(self) -> tuple[int, str]:
        """Exit status and what was said on stderr."""
        async with asyncio.timeout(5):
            rest, said = await self.process.communicate()
        assert rest == b"", "one line on stdout, no more"
        assert self.process.returncode is not None
        return self.process.returncode, said.decode()


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Outside]:
    process = await start(*arguments)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        assert line, (await process.communicate())[1].decode()
        async with aiohttp.ClientSession() as http:
            yield Outside(process, json.loads(line), http)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_everything_is_there_and_control_sees_it() -> None:
    async with running("--market", "1", "--days", "1") as outside:
        where = outside.where
        url = f"{where['ws']}/stream?streams=btcusdt@kline_1m/btcusdt@kline_5m"
        async with connect(url, compression=None) as client:
            frames = [json.loads(await client.recv()) for _ in range(1440 + 288)]
        smtp = where["smtp"]
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Message-ID"] = "a@b.org", "c@d.org", "<1@b.org>"
        mail["X-Signal-Id"] = "BTCUSDT:5m:LONG:1"
        await aiosmtplib.send(
            mail,
            hostname=smtp["host"],
            port=smtp["port"],
            username=smtp["user"],
            password=smtp["password"],
            use_tls=smtp["mode"] == "tls",
            tls_context=ssl.create_default_context(cafile=smtp["ca_file"]),
        )
        message = {"chat_id": where["chat_id"], "text": "hello"}
        async with outside.http.post(
            f"{where['bot_api']}/bot{where['bot_token']}/sendMessage", json=message
        ) as answer:
            assert answer.status == 200
        state = await outside.get("/state")
        assert state["finished"]
        assert state["candles_total"]["1m"] == 1440
        assert state["candles_total"]["1h"] == 24
        assert state["frames_sent"] == len(frames)
        assert (state["mails"], state["telegrams"]) == (1, 1)
        deliveries = await outside.get("/deliveries?since_email=0&since_telegram=0")
        assert deliveries["email"][0]["signal_id"] == "BTCUSDT:5m:LONG:1"
        assert deliveries["telegram"][0]["text"] == "hello"
        deliveries = await outside.get("/deliveries?since_email=1&since_telegram=1")
        assert deliveries == {"email": [], "telegram": []}
        boundaries = [START, START + 5 * MINUTE_MS]
        _, sent = await outside.post("/sent", {"timeframe": "5m", "boundaries": boundaries})
        assert sent["sent_ns"][0] == 0
        assert 0 < time.time_ns() - sent["sent_ns"][1] < 60e9
        assert (await outside.post("/quit", {}))[0] == 200
        assert await outside.ended() == (0, "")


async def test_faults_by_name() -> None:
    async with running("--market", "1", "--days", "1", "--smtp-mode", "starttls") as outside:
        status, error = await outside.post("/fault", {"name": "earthquake"})
        assert status == 400
        assert "refuse_handshakes" in error["error"]
        status, error = await outside.post("/fault", {"name": "rest", "colour": "red"})
        assert status == 400
        assert "colour" in error["error"]
        assert (await outside.post("/fault", {"name": "inject"}))[0] == 400
        assert (await outside.post("/sent", {"timeframe": "1m"}))[0] == 400
        body = {"code": -1003, "msg": "Too many requests queued."}
        fault = {"name": "rest", "count": 1, "status": 418, "headers": {"Retry-After": "9"}}
        assert (await outside.post("/fault", fault | {"body": body}))[0] == 200
        async with outside.http.get(outside.where["rest"] + "/api/v3/time") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (418, "9")
            assert await answer.json() == body
        for fault in (
            {"name": "cut", "close_frame": False},
            {"name": "refuse_handshakes", "count": 2, "status": 503},
            {"name": "silence"},
            {"name": "half_open", "for_ms": 60_000},
            {"name": "accept_then_close", "count": 1, "handshake": False},
            {"name": "refuse_connections", "for_ms": 10, "port": "both"},
            {"name": "server_shutdown", "lead_s": 0},
            {"name": "limit_lifetime", "lifetime_ms": 86_400_000},
            {"name": "mute_stream", "interval": "5m", "newcomers": True},
            {"name": "ignore_pongs", "deadline_s": 0},
            {"name": "stray_reply"},
            {"name": "late_close", "late_ms": 30_000, "count": 3, "interval": "1m"},
            {"name": "lose_close", "count": 3},
            {"name": "duplicate", "after_ms": 60_000},
            {"name": "disorder", "count": 3},
            {"name": "contradict", "side": "rest"},
            {"name": "garbage", "kind": "not json"},
            {"name": "rest_limit", "status": 418, "retry_after_s": 60},
            {"name": "rest_error", "html": True},
            {"name": "rest_html"},
            {"name": "rest_hang", "hang_s": 1},
            {"name": "rest_reset"},
            {"name": "rest_truncate", "unnoticed": True},
            {"name": "rest_lag", "lag_ms": 5000, "for_ms": 60_000},
            {"name": "skew", "by_ms": -10_000},
            {"name": "maintenance", "for_ms": 600_000},
            {"name": "inject", "text": "{"},
            {"name": "hide", "open_ms": [START], "count": 2},
            {"name": "smtp", "reply": "451 4.3.0 try later"},
            {"name": "smtp_refuse", "addresses": ["a@b.org"]},
            {"name": "bot", "status": 502, "body": "<html>", "content_type": "text/html"},
            {"name": "bot_flood", "retry_after_s": 3},
            {"name": "bot_fail", "code": 403, "description": "Forbidden: bot was blocked"},
            {"name": "behave"},
        ):
            assert await outside.post("/fault", fault) == (200, {})


async def test_a_schedule_is_obeyed_and_counted(tmp_path: Path, each_redis_url: str) -> None:
    drawn = draw(1, START, START + 86_400_000, kinds=KINDS)
    path = tmp_path / "faults.json"
    path.write_text(dump_schedule(drawn))
    options = "--market", "1", "--days", "1", "--schedule", str(path), "--speed", "max"
    async with running(*options, "--redis-proxy", each_redis_url) as outside:
        url = f"{outside.where['ws']}/ws/btcusdt@kline_1m"
        async with asyncio.timeout(30):
            while not (state := await outside.get("/state"))["finished"]:
                try:
                    async with connect(url, compression=None) as client:
                        while True:
                            async with asyncio.timeout(0.2):
                                await client.recv()
                except (OSError, TimeoutError, WebSocketException):
                    continue
        assert state["faults"] == dict(Counter(fault.name for fault in drawn))
        assert sum(state["faults"].values()) >= 24


async def test_a_redis_behind_the_proxy_fails_on_request(each_redis_url: str) -> None:
    async with running("--market", "1", "--redis-proxy", each_redis_url) as outside:
        redis: Redis = Redis.from_url(outside.where["redis"], retry=Retry(NoBackoff(), 0))
        await redis.delete("n")
        lose = {"name": "redis_lose_replies", "count": 1, "commands": ["INCRBY"]}
        assert await outside.post("/fault", lose) == (200, {})
        with pytest.raises(RedisConnectionError):
            await redis.incr("n")
        assert await redis.get("n") == b"1"
        for fault in (
            {"name": "redis_reset"},
            {"name": "redis_lose_commands", "commands": ["XADD"]},
            {"name": "redis_delay", "delay_s": 0.1},
            {"name": "redis_mute", "for_s": 0.1},
            {"name": "redis_refuse", "for_s": 0.1, "cut": False},
            {"name": "behave"},
        ):
            assert await outside.post("/fault", fault) == (200, {})
        state = await outside.get("/state")
        assert state["faults"]["redis_lose_replies"] == 1
        await redis.aclose()
    async with running("--market", "1") as outside:
        status, error = await outside.post("/fault", {"name": "redis_reset"})
        assert (status, error["error"]) == (400, "redis_reset: there is no Redis proxy")


async def test_minutes_without_candles_and_short_lives_are_options() -> None:
    options = "--market", "1", "--days", "1", "--lifetime-minutes", "60"
    window = f"{START + 10 * MINUTE_MS},2024-12-30T00:20:00"
    async with running(*options, "--maintenance", window) as outside:
        url = f"{outside.where['ws']}/ws/btcusdt@kline_1m"
        async with connect(url, compression=None, max_queue=None) as client:
            frames, _ = await until_closed(client)
    opened = [json.loads(frame)["k"]["t"] for frame in frames]
    minutes = [(at_ms - START) // MINUTE_MS for at_ms in opened]
    assert minutes[:12] == [*range(10), 20, 21]
    assert 58 <= minutes[-1] <= 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_within_a_second(number: signal.Signals) -> None:
    async with (
        running("--market", "1", "--days", "1", "--speed", "60") as outside,
        connect(outside.where["ws"] + "/ws/btcusdt@kline_1m", compression=None) as client,
    ):
        await client.recv()
        began_s = time.monotonic()
        outside.process.send_signal(number)
        assert await outside.ended() == (0, "")
        assert time.monotonic() - began_s < 1


async def test_it_ends_when_its_stdin_does() -> None:
    async with running("--market", "1", "--days", "1", "--until-stdin-closes") as outside:
        assert outside.process.stdin is not None
        outside.process.stdin.close()
        assert await outside.ended() == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
async def test_it_ends_with_its_parent() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'sim', '--market', '1', '--days', '1'],\n"
        "                         stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n",
        cwd=ROOT,
        stdout=PIPE,
    )
    assert parent.stdout is not None
    async with asyncio.timeout(20):
        child = int(await parent.stdout.readline())
        parent.kill()
        await parent.wait()
        while alive(child):
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--candles", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["--market", "1", "--speed", "0.1"], "the clock cannot go slower than time"),
        (["--market", "1", "--symbol", "BTCUSDT"], "like BTC/USDT"),
        (["--market", "1", "--ports", "1,2"], "5 numbers"),
        (["--market", "1", "--schedule", "nowhere.json"], "nowhere.json: cannot be used"),
        (["--market", "1", "--maintenance", "1"], "two times with a comma"),
        (["--market", "1", "--redis-proxy", "rediss://h"], "give redis://host:port"),
        (["--market", "1", "--start", "yesterday"], "'yesterday' is neither"),
        (["--market", "1", "--speed", "fast"], "'fast' is neither"),
        (["--market", "1", "--candles", "x"], "not allowed with"),
        ([], "required"),
    ],
)
async def test_wrong_arguments_are_one_clear_line(arguments: list[str], complaint: str) -> None:
    process = await start(*arguments)
    async with asyncio.timeout(20):
        out, said = await process.communicate()
    assert process.returncode == 2
    assert out == b""
    assert complaint in said.decode().strip().splitlines()[-1]
    assert "Traceback" not in said.decode()
    assert os.linesep not in said.decode().strip() or "usage:" in said.decode()
