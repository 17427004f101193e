"""A real process under a supervisor's socket: fed while it goes on, and only then."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVE = """
import asyncio, faulthandler, logging, resource, sys, time
from shared import progress
from shared.runtime import run
from shared.progress import turned, watched

async def turning():
    while True:
        turned()
        await asyncio.sleep(0.01)

async def deadlocked():
    lock = asyncio.Lock()
    async with lock, lock:
        pass

async def hanging():
    await asyncio.sleep(0.2)
    time.sleep(3600)

async def main():
    progress.report_status(lambda: "running")
    async with asyncio.TaskGroup() as group:
        group.create_task(watched("other", turning, limit_s=0.3))
        group.create_task(watched("candles", globals()[sys.argv[1]], limit_s=0.3))

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
logging.basicConfig()
faulthandler.enable()
sys.exit(run(main()))
"""
ALIVE = b"WATCHDOG=1"


class Supervised:
    """The process, and what it sent."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(20)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, kind],
            cwd=ROOT,
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(folder / "notify"),
                "WATCHDOG_USEC": "400000",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def next(self) -> bytes:
        return self.socket.recv(4096)

    def quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.next()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)
        return False

    def end(self, number: signal.Signals) -> tuple[int, bytes]:
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture
def supervised(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervised]:
    started = Supervised(request.param, tmp_path)
    yield started
    started.process.kill()
    started.process.communicate()
    started.socket.close()


@pytest.mark.parametrize("supervised", ["turning"], indirect=True)
def test_a_process_that_goes_on_is_ready_fed_and_says_when_it_stops(supervised: Supervised) -> None:
    words = {supervised.next() for _ in range(12)}
    starting = b"STATUS=starting: waiting for Redis\nWATCHDOG=1"
    assert words <= {b"READY=1", b"STATUS=running\nWATCHDOG=1", starting}
    assert b"READY=1" in words
    supervised.process.send_signal(signal.SIGTERM)
    while supervised.next() != b"STOPPING=1\nSTATUS=stopping":
        pass
    assert supervised.process.wait(20) == 0


@pytest.mark.parametrize("supervised", ["deadlocked"], indirect=True)
def test_a_deadlocked_task_ends_the_feeding_although_others_turn(supervised: Supervised) -> None:
    while b"stuck: candles" not in (said := supervised.next()):
        pass
    assert ALIVE not in said
    for _ in range(5):
        said = supervised.next()
        assert said.startswith(b"STATUS=stuck: candles (")
        assert ALIVE not in said
        assert b"other" not in said
    code, said = supervised.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert re.search(rb"candles \(\d+ s\): no progress; .* its tasks wait at .*__main__:14,", said)


@pytest.mark.parametrize("supervised", ["hanging"], indirect=True)
def test_a_loop_that_hangs_is_silent_and_its_end_shows_where(supervised: Supervised) -> None:
    while not supervised.quiet(2.0):
        pass
    code, said = supervised.end(signal.SIGABRT)  # as systemd ends it
    assert code == -signal.SIGABRT
    assert b"in hanging" in said
