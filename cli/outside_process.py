"""The simulated outside as a child process, and its control API."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from cli import CommandError
from cli.processes import bound
from cli.supervisor import ROOT

_START_S = 120.0  # a year and a half of candles takes some seconds to load
_STOP_S = 3.0


class OutsideProcess:
    """Addresses of a running ``python -m sim``, and what it saw.

    Attributes:
        addresses: ``ws``, ``rest``, ``smtp``, ``bot_api``, ``bot_token``, ``chat_id``.
    """

    def __init__(self, addresses: Mapping[str, Any], session: aiohttp.ClientSession) -> None:
        """Talk to the process that announced ``addresses``."""
        self.addresses, self._session = addresses, session

    async def state(self) -> dict[str, Any]:
        """How far the market and the sinks have come."""
        return await self._ask("GET", "/state")

    async def deliveries(self, since_email: int = 0, since_telegram: int = 0) -> dict[str, Any]:
        """What the mailbox and the Bot API accepted, from these positions on."""
        query = f"?since_email={since_email}&since_telegram={since_telegram}"
        return await self._ask("GET", f"/deliveries{query}")

    async def sent_ns(self, timeframe: str, boundaries: Sequence[int]) -> list[int]:
        """When the closing frames of ``boundaries`` left, ns; 0 where none did."""
        asked = {"timeframe": timeframe, "boundaries": list(boundaries)}
        answer = await self._ask("POST", "/sent", asked)
        sent: list[int] = answer["sent_ns"]
        return sent

    async def fault(self, name: str, **how: Any) -> None:
        """Cause a fault."""
        await self._ask("POST", "/fault", {"name": name, **how})

    async def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        url = self.addresses["control"] + path
        async with self._session.request(method, url, json=body) as answer:
            reply: dict[str, Any] = await answer.json()
            if answer.status != 200:
                raise CommandError(f"the simulated outside refuses {path}: {reply}")
            return reply


@asynccontextmanager
async def outside_process(
    arguments: Sequence[str], directory: Path
) -> AsyncIterator[OutsideProcess]:
    """Run ``python -m sim ARGUMENTS`` until the block ends.

    Raises:
        CommandError: It did not start, for instance because the candle file is not usable.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "outside.log"
    command = [sys.executable, "-P", "-m", "sim", "--dir", str(directory), *arguments]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *bound(command),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(_START_S):
            line = await process.stdout.readline() if process.stdout else b""
        if not line:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise CommandError(said[-1] if said else "the simulated outside did not start")
        async with aiohttp.ClientSession() as session:
            yield OutsideProcess(json.loads(line), session)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
