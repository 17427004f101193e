"""Our own Redis is killed while it is used, and comes back by itself with its data."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from cli.embedded_redis import running_redis, running_url
from cli.outside_process import outside_process
from cli.pipeline import PipelineOptions, simulated
from cli.redis_keeper import kept_running
from shared.redis_remedies import remedy
from shared.settings import Settings
from tests.command import ROOT, run_command
from tests.waiting import until, wait_until

pytestmark = pytest.mark.timeout(120)


async def test_a_killed_server_runs_again_with_its_data_and_address(tmp_path: Path) -> None:
    said: list[str] = []
    async with running_redis("", tmp_path) as server, kept_running(server, said.append):
        for round_ in (1, 2):
            pid = server.pid
            assert pid
            with redis.Redis.from_url(server.url) as client:
                client.xadd("signals", {"n": round_})
                # While the disk is busy, an answer may come before the write to the file.
                until(lambda c=client: not c.info("persistence")["aof_buffer_length"], "the write")
            os.kill(pid, signal.SIGKILL)
            await wait_until(lambda n=round_: len(said) == 2 * n, "a restart")
            assert server.pid != pid
            with redis.Redis.from_url(server.url) as client:
                assert client.xlen("signals") == round_
    assert said == [
        "Redis was ended by SIGKILL; starting it again in 0.2 s",
        "Redis runs again, on the data that it had",
        "Redis was ended by SIGKILL; starting it again in 0.4 s",
        "Redis runs again, on the data that it had",
    ]


async def test_one_that_cannot_start_is_tried_again_until_it_can(tmp_path: Path) -> None:
    said: list[str] = []
    async with running_redis("", tmp_path) as server, kept_running(server, said.append):
        with redis.Redis.from_url(server.url) as client:
            client.set("a", "1" * 1000)
            client.set("b", "2" * 1000)
        (file,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        sound = file.read_bytes()
        spoilt = bytearray(sound)
        spoilt[40:60] = b"*garbage\r\n*garbage\r\n"
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        file.write_bytes(spoilt)
        await wait_until(lambda: any("is damaged" in line for line in said), "the reason")
        file.write_bytes(sound)
        await wait_until(lambda: "runs again" in said[-1], "it to run")
        with redis.Redis.from_url(server.url) as client:
            assert client.get("b") == b"2" * 1000


async def test_a_restart_on_purpose_is_nobody_elses_business(tmp_path: Path) -> None:
    said: list[str] = []
    async with running_redis("", tmp_path) as server, kept_running(server, said.append):
        for _ in range(5):
            await server.restart(signal.SIGKILL)
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        await wait_until(lambda: said, "word of a death that was not on purpose")
    assert said[0].endswith("starting it again in 0.2 s")


@pytest.mark.parametrize("folder", ["short", "long" * 25])
async def test_the_remedy_for_a_server_of_ours_is_one_that_works(
    tmp_path: Path, folder: str
) -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    async with running_redis("", tmp_path / folder) as server:
        words = remedy(refused, server.url)
    assert words is not None
    assert "up starts it again by itself" in words
    assert "start it, or correct redis.url" in (remedy(refused, server.url) or "")  # it has ended


@contextmanager
def up(config: Path, *, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "cli", "up", "--config", str(config)],
            cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def listed(config: Path) -> set[str]:
    """The identities of all signals; none while Redis is away."""
    done = run_command("signals", "-n", "1000", "--json", "--config", config)
    if done.returncode:
        return set()
    return {each["id"] for each in json.loads(done.stdout)["signals"]}


def published(config: Path) -> int:
    done = run_command("status", "--json", "--config", config)
    candles: list[dict[str, Any]] = json.loads(done.stdout)["candles"]
    return sum(each["published"] for each in candles)


async def test_under_up_candles_and_signals_go_on_after_redis_was_killed(tmp_path: Path) -> None:
    options = PipelineOptions(
        outside=["--market", "3", "--days", "9", "--history-days", "2", "--speed", "1800",
                 "--weight-limit", "0"],
    )  # fmt: skip
    async with outside_process(options.outside, tmp_path / "outside") as outside:
        config, output = tmp_path / "config.json", tmp_path / "up.txt"
        config.write_text(json.dumps(simulated(Settings(), dict(outside.addresses), "", options)))
        config.chmod(0o600)
        folder = tmp_path / "run" / "redis"
        with up(config, output=output) as process:
            await wait_until(lambda: listed(config), "a signal", 60)
            url = running_url(folder)
            assert url
            with redis.Redis.from_url(url) as client:
                victim = client.info("server")["process_id"]
            before, candles = listed(config), published(config)
            os.kill(victim, signal.SIGKILL)
            await wait_until(lambda: "Redis runs again" in output.read_text(), "the restart")
            await wait_until(lambda: listed(config) - before, "another signal", 60)
            assert published(config) > candles
            assert "Redis was ended by SIGKILL; starting it again in 0.2 s" in output.read_text()
            assert process.poll() is None
