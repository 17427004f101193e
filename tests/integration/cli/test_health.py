"""``health`` asks real processes, and hears what is wrong with them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import health_command
from cli.embedded_redis import redis_server
from cli.outside_process import outside_process
from cli.pipeline import PipelineOptions, simulated
from cli.processes import bound
from cli.supervisor import SERVICES
from shared.checkup import Checkup
from shared.health_address import default_instance, door_of
from shared.health_door import open_door
from shared.settings import Settings
from tests.command import run_command
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.timeout(90)


def asked(service: str, config: Path, *more: str) -> tuple[int, str]:
    """The command's exit code, and its line."""
    done = run_command("health", service, "--config", str(config), *more)
    assert done.stderr == ""
    return done.returncode, done.stdout.rstrip("\n")


@dataclass
class Running:
    """Processes by service, all with one configuration."""

    config: Path
    processes: dict[str, subprocess.Popen[bytes]]
    redis_pid: int

    async def says(self, service: str, words: str, code: int) -> None:
        async def heard() -> bool:
            found = await asyncio.to_thread(asked, service, self.config)
            return found[0] == code and words in found[1]

        await wait_until(heard, f"{service} to say {words!r}", 40)


@asynccontextmanager
async def scanner(folder: Path) -> AsyncIterator[Running]:
    """The four services on a market that goes on slowly, with heartbeats at a quick pace."""
    options = PipelineOptions(
        outside=["--market", "3", "--days", "2", "--history-days", "1", "--speed", "120",
                 "--weight-limit", "0"],
        changes={"health": {"interval_seconds": 0.2, "ttl_seconds": 5.0}},
    )  # fmt: skip
    config = folder / "config.json"
    with redis_server(tcp=True) as redis:
        async with outside_process(options.outside, folder / "outside") as outside:
            tree = simulated(Settings(), dict(outside.addresses), redis.url, options)
            config.write_text(json.dumps(tree))
            processes = {
                name: subprocess.Popen(
                    bound([sys.executable, "-m", f"services.{name}", "--config", str(config)]),
                    cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True,
                )
                for name in SERVICES
            }  # fmt: skip
            assert redis.pid is not None
            try:
                yield Running(config, processes, redis.pid)
            finally:
                for process in processes.values():
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    process.wait()


async def test_services_tell_of_themselves_what_they_meet(tmp_path: Path) -> None:
    async with scanner(tmp_path) as running:
        await running.says("ingest", "ingest 1: running; the last 1m candle came 0.", 0)
        await running.says("indicators", "keeps up with klines:{BTCUSDT}:1m", 0)
        await running.says("detector", "keeps up with indicators:{BTCUSDT}", 0)
        await running.says("notifier", "delivers by email, telegram", 0)
        os.kill(running.redis_pid, signal.SIGSTOP)
        try:
            await running.says("ingest", "Redis at redis://127.0.0.1", 1)
            await running.says("notifier", "does not answer within", 1)
        finally:
            os.kill(running.redis_pid, signal.SIGCONT)
        await running.says("ingest", "the last 1m candle came", 0)
        await running.says("notifier", "delivers by", 0)
        running.processes["detector"].send_signal(signal.SIGSTOP)
        await running.says("detector", "does not answer within 3 s: it hangs, or is stopped", 1)
        running.processes["detector"].kill()
        await running.says("detector", "does not run on this host with this configuration", 1)
        assert await asyncio.to_thread(asked, "ingest", running.config, "--instance", "2") == (
            1,
            "ingest 2: does not run on this host with this configuration",
        )


async def test_a_service_that_waits_for_redis_says_so(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"redis": {"url": "redis://127.0.0.1:1"}, "logging": {"file": ""}}')
    process = subprocess.Popen(
        bound([sys.executable, "-m", "services.detector", "--config", str(config)]),
        cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await Running(config, {}, 0).says("detector", "Redis at redis://127.0.0.1:1 cannot be", 1)
    finally:
        process.terminate()
        assert process.wait(10) == 0


async def test_two_without_names_have_doors_of_their_own(tmp_path: Path) -> None:
    async def first() -> tuple[bool, str]:
        return True, "first"

    async def second() -> tuple[bool, str]:
        return False, "second"

    config = tmp_path / "config.json"
    async with open_door("ingest", "1", config, first), open_door("ingest", "1", config, second):
        for instance, answer in (("1", (True, "first")), ("1-2", (False, "second"))):
            door = door_of("ingest", instance, config)
            assert await asyncio.to_thread(health_command.ask, door) == answer
    assert not health_command.ask(door_of("ingest", "1", config))[0]


async def test_doors_are_files_where_there_are_no_abstract_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tempfile.mkdtemp(prefix="doors-", dir="/tmp")  # addresses must be short
    monkeypatch.setattr("shared.health_address.sys.platform", "darwin")
    monkeypatch.setattr("shared.health_address.tempfile.gettempdir", lambda: folder)
    door = Path(door_of("ingest", "1", None))
    with socket.socket(socket.AF_UNIX) as left_by_the_dead:
        left_by_the_dead.bind(str(door))

    async def answer() -> tuple[bool, str]:
        return True, "well"

    async with open_door("ingest", "1", None, answer):
        assert await asyncio.to_thread(health_command.ask, str(door)) == (True, "well")
    assert not door.exists()
    os.rmdir(folder)


async def test_doors_are_files_in_a_folder_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp(prefix="doors-", dir="/tmp"))
    monkeypatch.setenv("BTC_SCANNER_DOORS", str(folder))
    door = Path(door_of("ingest", "1", None))
    with socket.socket(socket.AF_UNIX) as left_by_the_dead:
        left_by_the_dead.bind(str(door))

    async def answer() -> tuple[bool, str]:
        return True, "well"

    async with open_door("ingest", "1", None, answer):
        assert door.parent == folder
        assert await asyncio.to_thread(health_command.ask, str(door)) == (True, "well")
    assert not health_command.ask(str(door))[0]
    folder.rmdir()


async def test_before_there_is_anything_to_examine_a_service_is_starting() -> None:
    well, why = await Checkup(born_s=0.0).verdict()
    assert not well
    assert why.startswith("starting for ")


def test_an_instance_without_a_name_is_the_first_or_named_like_its_host() -> None:
    assert default_instance({}) == "1"
    assert default_instance({"BTC_SCANNER_INSTANCE": "b"}) == "b"
    assert default_instance({"BTC_SCANNER_INSTANCE": "hostname"}) == socket.gethostname()


def test_asking_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cli.command_line import main; main(['health', 'ingest']);"
        "print(sorted({'pydantic', 'redis', 'asyncio', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.endswith("[]\n")
