"""A service in a process of its own, with its log."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]


@dataclass
class Process:
    """A running ``python -m services.…``."""

    child: asyncio.subprocess.Process
    output: Path

    @property
    def log(self) -> str:
        return self.output.read_text(encoding="utf-8")

    async def until_logged(self, words: str, seconds: float = 20.0) -> None:
        await wait_until(lambda: words in self.log, f"the log to say {words!r}", seconds)

    async def terminate(self) -> tuple[int, float]:
        """SIGTERM; the exit code and the seconds until the end."""
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            code = await self.child.wait()
        return code, time.monotonic() - began

    async def kill(self) -> None:
        """SIGKILL, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self.child.kill()
        await self.child.wait()


async def started(service: str, output: Path, config: Path, instance: str, *more: str) -> Process:
    """Start ``python -m services.<service>``, which writes its log to ``output``."""
    with output.open("wb") as sink:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{service}",
            "--config", str(config), "--instance", instance, *more,
            cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=sink, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    return Process(child, output)
