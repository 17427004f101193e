"""``status`` against a real Redis that the real writers have filled."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from cli.asking import RedisUnusable, answered
from cli.status import gather as gathering
from cli.status.gather import gather
from cli.status.verdict import judge
from cli.words import WIDTH
from services.detector.rules import Rules
from services.detector.worker import board
from services.notifier.channels import Receipt, recipient
from services.notifier.inbox import Inbox
from services.notifier.sources import SIGNALS
from shared import keys
from shared.candle import Candle, missing_candle
from shared.configuration import load_settings
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.indicators_entry import IndicatorsEntry
from shared.redis_access import RedisAccess, flat
from shared.settings import Settings
from shared.streams import IndicatorsWriter, KlinesWriter, SignalsWriter
from shared.timeframe import interval_ms
from shared.trade_signal import Signal, example_signal
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
SYMBOL = "BTCUSDT"
SERVICES = ("ingest", "indicators", "detector", "notifier")
NAMES = {"ema_fast": "EMA9", "ema_slow": "EMA21", "ema_trend": "EMA50", "rsi": "RSI6"}
RULES = Rules(1.5, 30, 70, 1.5, 1.0, 5, 120_000, NAMES)
PASSWORD = "s3cret-of-the-mailbox"


def now_ms() -> int:
    return int(time.time() * 1000)


def config_of(folder: Path, url: str, **sections: Any) -> Path:
    path = folder / "config.json"
    smtp = {
        "server": "smtp.example.com",
        "from_email": "scanner@example.com",
        "to_email": ["a@example.com", "b@example.com"],
        "user": "scanner",
        "password": PASSWORD,
    }
    path.write_text(json.dumps({"redis": {"url": url}, "smtp": smtp, **sections}))
    return path


class Scanner:
    """What a running scanner leaves in Redis, written by its own writers."""

    def __init__(self, settings: Settings, *, market_ms: int | None = None) -> None:
        self.settings = settings
        self.access = RedisAccess(settings.redis.effective_url, name="test")
        self.market_ms = now_ms() if market_ms is None else market_ms
        self._klines = KlinesWriter(self.access, SYMBOL, settings.streams)
        self._indicators = IndicatorsWriter(self.access, SYMBOL, settings.streams, "9 21 50")
        self.signals = SignalsWriter(
            self.access, SYMBOL, settings.streams, window_ms=300_000, threshold_percent=0.3
        )

    def last_boundary(self, timeframe: str) -> int:
        return self.market_ms - self.market_ms % interval_ms(timeframe)

    async def candles(self, timeframe: str, count: int = 3, *, last_missing: bool = False) -> None:
        """The last ``count`` closed candles, as if each had arrived 12 ms after its close."""
        interval, last = interval_ms(timeframe), self.last_boundary(timeframe)
        made = [
            Candle(ms, 100.0, 110.0, 90.0, 105.5, 7.0, "ws", 12, now_ms() - self.market_ms + ms)
            for ms in range(last - (count - 1) * interval, last + 1, interval)
        ]
        if last_missing:
            made[-1] = missing_candle(last, 12, made[-1].received_at_ms)
        appended = await self._klines.append(timeframe, interval, made)
        assert appended.appended == count

    def entry(self, timeframe: str, *, boundary_ms: int | None = None) -> IndicatorsEntry:
        boundary_ms = boundary_ms or self.last_boundary(timeframe)
        rank = self.settings.feed_timeframes.index(timeframe)
        return IndicatorsEntry(
            timeframe, boundary_ms, rank,
            100.0, 110.0, 90.0, 105.5, 7.0,
            104.0, 103.0, 101.0, 102.0, 103.0, 55.0, 2.0, 104.5, 10.0, "1h", 101.0,
            "ws", 12, now_ms(),
        )  # fmt: skip

    async def indicators(self, *entries: IndicatorsEntry, expected: str = "") -> None:
        answer = await self._indicators.commit(
            expected, entries[-1].entry_id, b"state", entries, 15_000
        )
        assert answer.status == "ok"

    async def judged(self, entry: IndicatorsEntry, signal: Signal | None = None) -> None:
        """The detector's verdict, its board included."""
        await self.signals.judge(entry.entry_id, signal)
        key = keys.board(SYMBOL, entry.timeframe)
        await self.access.client.hset(key, items=flat(board(entry, RULES)))

    async def heartbeat(self, service: str, *, instance: str = "1", **changes: Any) -> Heartbeat:
        """One heartbeat, that of a service which is well."""
        beat = Heartbeat(service, instance, self.settings.health)
        beat.state = "running"
        beat.data_seen()
        if service == "ingest":
            beat.facts.update(
                connection="connected to wss://stream.example.com",
                rest="answered by https://api.example.com",
            )
            beat.counters["frames"] = 1234
        if service == "detector":
            beat.took("frame_to_signal", 3.25)
        for name, value in changes.items():
            setattr(beat, name, value)
        await beat._write(self.access, keys.health(service, instance))
        return beat

    def inbox(self, channel: str = "email") -> Inbox:
        events = EventsWriter(self.access, "notifier", "1", self.settings.streams)
        return Inbox(
            self.access, SIGNALS, channel, "here-1",
            ledger_ttl_ms=3_600_000, dead_maxlen=100, events=events,
        )  # fmt: skip

    async def delivered(self, signal: Signal, entry_id: bytes) -> None:
        """Everybody of the email channel has it."""
        smtp = self.settings.smtp
        assert smtp is not None
        people = tuple(recipient(address) for address in smtp.to_email)
        for person in people:
            await self.inbox().settle(
                entry_id, signal, person, people,
                receipt=Receipt("<1@example.com>"), now_ms=signal.received_at_ms + 1200,
            )  # fmt: skip

    async def is_well(self) -> None:
        """All that a healthy scanner writes."""
        frames = self.settings.feed_timeframes
        for name in frames:
            await self.candles(name)
        # The shortest timeframe closes last; where boundaries coincide, the longest comes first.
        entries = sorted(
            (self.entry(name) for name in frames), key=lambda each: (each.boundary_ms, each.rank)
        )
        await self.indicators(*entries)
        for entry in entries:
            await self.judged(entry)
        await self.inbox().create()
        for service in SERVICES:
            await self.heartbeat(service)


@pytest.fixture
def settings(each_redis_url: str, tmp_path: Path, each_redis: Redis) -> Settings:
    return load_settings(config_of(tmp_path, each_redis_url), environ={})


@pytest.fixture
async def scanner(settings: Settings) -> Any:
    made = Scanner(settings)
    yield made
    await made.access.close()


async def command(*arguments: str, config: Path) -> tuple[int, str, str]:
    """Run ``python -m cli`` as a person would, and return what it says."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BTC_SCANNER")}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *arguments, "--config", str(config),
        cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    return child.returncode or 0, out.decode(), err.decode()


async def test_a_healthy_scanner_is_told_as_such_with_code_0(
    scanner: Scanner, tmp_path: Path
) -> None:
    await scanner.is_well()
    code, out, err = await command("status", config=tmp_path / "config.json")
    assert (code, err) == (0, "")
    assert out.startswith("HEALTHY  BTC/USDT  20")
    for words in (
        "  ingest     running; instance 1, up 0.0s",
        "connected to wss://stream.example.com",
        "frames 1,234",
        "ms p50 / p99: frame to signal 3.25 / 3.25",
        "close 105.5 (ws)  3 published",
        "  indicators up to date",
        "REST answered by https://api.example.com",
        "  5m   LONG 4/5  closed 20",
        "not met: volume",
        "[yes] trend             EMA9 crossed above EMA21",
        "[ no] volume            volume 0.70x average, 1.5x needed",
        "  email      0 delivered, 0 pending",
        "append-only file on",
    ):
        assert words in out
    assert max(map(len, out.splitlines())) <= WIDTH
    code, out, _ = await command("status", "--json", config=tmp_path / "config.json")
    found = json.loads(out)
    assert code == 0
    assert (found["healthy"], found["problems"], found["redis"]["reachable"]) == (True, [], True)
    assert {each["service"] for each in found["services"]} == set(SERVICES)
    last = {each["timeframe"]: each["last_close_ms"] for each in found["candles"]}
    assert last["5m"] == scanner.last_boundary("5m")


async def test_an_empty_redis_is_told_with_how_to_start(settings: Settings, tmp_path: Path) -> None:
    code, out, err = await command("status", config=tmp_path / "config.json")
    assert (code, err) == (1, "")
    assert "nothing runs yet" in out
    assert "./btc-scanner up" in out
    code, out, _ = await command("status", "--json", config=tmp_path / "config.json")
    assert (code, json.loads(out)["healthy"]) == (1, False)


@pytest.mark.parametrize("absent", SERVICES)
async def test_a_service_without_heartbeat_is_a_problem(
    absent: str, scanner: Scanner, settings: Settings
) -> None:
    await scanner.is_well()
    await scanner.access.client.delete(keys.health(absent, "1"))
    verdict = judge(await answered(settings, lambda client: gather(client, settings)))
    assert [problem.what for problem in verdict.problems] == [f"{absent} does not run"]


async def test_candles_are_as_old_as_the_exchange_says(
    settings: Settings, scanner: Scanner
) -> None:
    """The local clock may be wrong by hours: the exchange's word at arrival counts."""
    await scanner.access.close()
    other = Scanner(settings, market_ms=now_ms() - 7 * 3_600_000)
    await other.candles("1m")
    facts = await answered(settings, lambda client: gather(client, settings))
    await other.access.close()
    (age_ms,) = [each.age_ms for each in facts.candles if each.timeframe == "1m"]
    assert age_ms is not None
    assert age_ms < 120_000


async def test_a_marker_of_a_candle_that_never_was_keeps_the_feed_healthy(
    settings: Settings, scanner: Scanner
) -> None:
    await scanner.candles("1m", last_missing=True)
    facts = await answered(settings, lambda client: gather(client, settings))
    candles = facts.candles[0]
    assert (candles.timeframe, candles.price, candles.missing) == ("1m", None, 1)
    assert (candles.age_ms or 10**9) < candles.limit_ms


async def test_what_waits_is_counted_per_reader(settings: Settings, scanner: Scanner) -> None:
    """Klines beyond the position of indicators, entries beyond the detector's cursor."""
    hour = scanner.last_boundary("1h")
    scanner.market_ms = hour
    for name in ("1m", "5m", "1h"):
        await scanner.candles(name)
    await scanner.indicators(scanner.entry("1h"), scanner.entry("5m"))
    await scanner.judged(scanner.entry("1h"))
    facts = await answered(settings, lambda client: gather(client, settings))
    behind = {each.service: (each.behind, each.behind_ms) for each in facts.readers}
    # At one boundary the hour comes first: the 5m entry of it is done, the 1m entry is not.
    assert behind == {"indicators": (1, 0), "detector": (1, 0)}


async def test_a_backlog_is_counted_up_to_a_bound(
    settings: Settings, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "COUNTED", 2)
    await scanner.candles("1m", 5)
    facts = await answered(settings, lambda client: gather(client, settings))
    reader = facts.readers[0]
    assert (reader.behind, reader.behind_at_least, reader.position) == (2, True, None)


async def test_a_channel_is_told_with_what_waits_in_it(
    settings: Settings, scanner: Scanner
) -> None:
    inbox = scanner.inbox()
    await inbox.create()
    signals = [
        example_signal(close_time_ms=ms * 600_000, received_at_ms=now_ms()) for ms in range(1, 4)
    ]
    for number, each in enumerate(signals, 1):
        await scanner.signals.judge(f"{number}-0", each)
    (first, _), (second, _) = await inbox.read(2, 10)
    await scanner.delivered(signals[0], first)
    await inbox.note_failure("the server hung up", now_ms())
    facts = await answered(settings, lambda client: gather(client, settings))
    (channel,) = facts.channels
    assert (channel.behind, channel.pending, channel.attempts) == (1, 1, 1)
    assert (channel.delivered, channel.last_delivery_ms) == (2, 1200)
    assert channel.last_delivered == signals[0].id
    assert (channel.failed_attempts, channel.last_failure) == (1, "the server hung up")
    assert facts.last_signal is not None
    assert facts.last_signal.id == signals[2].id
    assert second


async def test_what_strangers_wrote_is_shown_and_not_fatal(
    settings: Settings, scanner: Scanner, tmp_path: Path
) -> None:
    await scanner.is_well()
    client = scanner.access.client
    await client.hset("health:ingest:1", mapping={"uptime_s": "long", "last_error": "a\x1b[2Jb"})
    await client.set("health:odd:1", "not a hash")
    await client.hset("health:strange:1", mapping={"\xff": "1", "service": "strange"})
    await client.set(keys.deliveries("email"), "not a hash")
    await client.hset(keys.board(SYMBOL, "5m"), "trend", "perhaps")
    await client.xadd(keys.SIGNALS, {"hello": "world"})
    await client.xadd(keys.indicators(SYMBOL), {"x": "1"}, id="99999999999999999-0")
    code, out, err = await command("status", config=tmp_path / "config.json")
    assert (code, err) == (0, "")
    assert "last error: a\\x1b[2Jb" in out
    assert "unreadable: signals entry" in out


async def test_secrets_are_masked(scanner: Scanner, tmp_path: Path) -> None:
    await scanner.is_well()
    client = scanner.access.client
    await client.hset("health:notifier:1", "last_error", f"login with {PASSWORD} failed")
    _, out, _ = await command("status", config=tmp_path / "config.json")
    assert "login with ******** failed" in out


async def test_an_acl_that_hides_the_server_leaves_the_rest(
    settings: Settings, scanner: Scanner, each_redis_url: str, tmp_path: Path
) -> None:
    await scanner.is_well()
    client = scanner.access.client
    await client.execute_command(
        "ACL", "SETUSER", "viewer", "on", ">pw", "~*", "+@read", "+@connection", "-info", "+xinfo"
    )
    try:
        path = each_redis_url.partition("://")[2].partition("?")[0]
        url = f"unix://viewer:pw@{path}"
        limited = load_settings(config_of(tmp_path, url), environ={})
        facts = await answered(limited, lambda viewer: gather(viewer, limited))
        assert judge(facts).healthy
        assert (facts.redis.memory_bytes, facts.redis.aof) == (None, None)
        await client.execute_command("ACL", "SETUSER", "viewer", "-xpending")
        with pytest.raises(RedisUnusable, match=r"refuses a command .*: extend the user's ACL"):
            await answered(limited, lambda viewer: gather(viewer, limited))
    finally:
        await client.execute_command("ACL", "DELUSER", "viewer")


async def test_a_full_redis_is_the_first_problem_whether_heartbeats_are_left_or_not(
    scanner: Scanner, each_redis: Redis, tmp_path: Path
) -> None:
    await scanner.is_well()
    await each_redis.config_set("maxmemory", 1)
    try:
        for gone in (0, len(SERVICES)):
            for service in SERVICES[:gone]:
                await each_redis.delete(keys.health(service, "1"))
            code, out, _ = await command("status", "--json", config=tmp_path / "config.json")
            found = json.loads(out)
            assert code == 1
            (problem,) = found["problems"]
            assert problem["what"].endswith("is out of memory")
            assert problem["remedy"].startswith("raise maxmemory")
            assert "is out of memory" in found["redis"]["refuses"]
        _, out, _ = await command("status", config=tmp_path / "config.json")
        assert "  ingest     unknown: Redis takes no heartbeats" in out
        code, _, err = await command("test-alert", config=tmp_path / "config.json")
        assert (code, "is out of memory: raise maxmemory" in err) == (1, True)
    finally:
        await each_redis.config_set("maxmemory", 0)


async def test_a_hung_service_is_told_with_the_remedies_that_work(
    scanner: Scanner, each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    """The remedies are followed to the letter, from another folder."""
    # By this file the server would pass for one that `up` runs.
    noted = Path(each_redis_url.removeprefix("unix://")).with_name("url")
    noted.rename(noted.with_name("hidden"))
    await scanner.is_well()
    config = tmp_path / "config.json"
    key = keys.health("detector", "1")
    await each_redis.delete(key)
    (tmp_path / "elsewhere").mkdir()
    processes: list[asyncio.subprocess.Process] = []

    async def remedy_of(what: str) -> str:
        _, out, _ = await command("status", "--json", config=config)
        return {each["what"]: each["remedy"] for each in json.loads(out)["problems"]}[what]

    async def follow() -> asyncio.subprocess.Process:
        start = (await remedy_of("detector does not run")).partition(", or alone: ")[2]
        process = await asyncio.create_subprocess_shell(
            f"exec env {start}", cwd=tmp_path / "elsewhere", stderr=asyncio.subprocess.DEVNULL
        )
        processes.append(process)
        await wait_until(lambda: each_redis.exists(key), "the heartbeat")
        return process

    try:
        first = await follow()
        first.send_signal(signal.SIGSTOP)
        await each_redis.delete(key)
        advice = await remedy_of("detector does not answer")
        assert advice.startswith(f"it hangs: kill -9 {first.pid} (then start all with")
        os.kill(int(advice.split()[4]), signal.SIGKILL)
        assert await first.wait() == -signal.SIGKILL
        await follow()
    finally:
        noted.with_name("hidden").rename(noted)
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


@contextmanager
def mute_port() -> Iterator[int]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_a_redis_that_never_answers_is_told_in_time(tmp_path: Path) -> None:
    with mute_port() as port:
        config = config_of(tmp_path, f"redis://:hidden@127.0.0.1:{port}/0")
        began = time.monotonic()
        code, out, _ = await command("status", config=config)
        assert time.monotonic() - began < 8  # 3 s of patience, and the start of an interpreter
    assert code == 1
    assert "does not answer within 3 s" in out
    assert "hidden" not in out


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
async def test_an_absent_redis_is_told_with_the_remedy(tmp_path: Path, as_json: bool) -> None:
    with mute_port() as port:
        pass  # free again
    config = config_of(tmp_path, f"redis://127.0.0.1:{port}/0")
    code, out, _ = await command("status", *["--json"] * as_json, config=config)
    assert code == 1
    assert "cannot be reached" in out
    assert "start it, or correct redis.url" in out
    if as_json:
        found = json.loads(out)
        assert found["redis"] == {"url": f"redis://127.0.0.1:{port}/0", "reachable": False}


async def test_the_answer_to_a_missing_password_is_the_password(
    settings: Settings, each_redis: Redis
) -> None:
    await each_redis.config_set("requirepass", "pw")
    try:
        with pytest.raises(RedisUnusable, match="wants a password"):
            await answered(settings, lambda client: client.ping())
    finally:
        await each_redis.config_set("requirepass", "")


async def test_without_redis_url_and_without_a_scanner_it_says_how_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mute_port() as port:
        pass
    monkeypatch.setattr("shared.settings.storage.EMBEDDED_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    settings = load_settings(config_of(tmp_path, ""), environ={})
    with pytest.raises(RedisUnusable, match=r"no scanner runs here.*btc-scanner up"):
        await answered(settings, lambda client: client.ping())


async def test_where_no_scanner_runs_no_address_is_made_up(tmp_path: Path) -> None:
    code, out, _ = await command("status", "--json", config=config_of(tmp_path, ""))
    found = json.loads(out)
    assert (code, found["redis"]) == (1, {"url": "", "reachable": False})


async def test_status_sees_a_service_that_beats_by_itself(
    settings: Settings, scanner: Scanner
) -> None:
    beat = Heartbeat("detector", "7", settings.health)
    beat.state = "running"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(beat.beat(scanner.access))
        await wait_until(
            lambda: scanner.access.client.exists("health:detector:7"), "the first heartbeat"
        )
        facts = await answered(settings, lambda client: gather(client, settings))
        task.cancel()
    assert [(each.service, each.instance, each.state) for each in facts.services] == [
        ("detector", "7", "running")
    ]
