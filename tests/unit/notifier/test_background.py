"""Work in a thread: awaited like any other, and never waited for at the end."""

import asyncio
import subprocess
import sys
import threading

import pytest

from services.notifier.background import in_background
from tests.e2e.conftest import ROOT


async def test_it_gives_what_the_step_gives_or_raises() -> None:
    assert await in_background(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await in_background(lambda: 1 // 0)


async def test_who_is_cancelled_does_not_wait_for_the_step() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def step() -> None:
        go_on.wait()
        ended.set()

    waiting = asyncio.create_task(in_background(step))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not ended.is_set()
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)


def test_a_process_ends_although_a_step_never_does() -> None:
    program = (
        "import asyncio, time\n"
        "from services.notifier.background import in_background\n"
        "async def main():\n"
        "    task = asyncio.create_task(in_background(lambda: time.sleep(1000)))\n"
        "    await asyncio.sleep(0.05)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
