"""``make stops``: how long services take to end when asked to, in the middle of their work.

All four are asked at once by SIGTERM at a random moment under load, started again, and asked again.
A market that runs a thousand times as fast as the real one keeps them busy.
"""

import argparse
import asyncio
import platform
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

from cli.pipeline import Pipeline, PipelineOptions, running_pipeline
from cli.supervisor import SERVICES, Supervisor
from shared import keys
from shared.settings import Settings

PROMISED_S = 5.0
_SPEED = 60_000
# Rounds with all their restarts take about so much of the market.
_MARKET_DAYS_PER_ROUND = 3
_WORKING_S = (0.05, 0.5)
_POLL_S = 0.002
_UP_S = 60.0
_ENDED = re.compile(r"(\w+) ended with exit code (\d+)")


def main() -> int:
    """Ask so many times; 1 if one did not end in time, or not as it should."""
    parser = argparse.ArgumentParser(prog="python -m bench.stops", description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="SIGTERMs to each service")
    return asyncio.run(_measure(parser.parse_args().times))


async def _measure(times: int) -> int:
    ended: Counter[tuple[str, str]] = Counter()

    def note(line: str) -> None:
        found = _ENDED.match(line)
        ended[(found[1], found[2]) if found else (line, "")] += 1

    days = times * _MARKET_DAYS_PER_ROUND
    options = PipelineOptions(
        outside=["--market", "1", "--days", str(days), "--speed", str(_SPEED)],
        healthy_s=0.0,
        say=note,
    )
    taken: dict[str, list[float]] = {name: [] for name in SERVICES}
    with tempfile.TemporaryDirectory(prefix="btc-scanner-stops-") as folder:
        async with running_pipeline(Settings(), Path(folder) / "run", options) as pipeline:
            for number in range(times):
                await _all_at_work(pipeline)
                await asyncio.sleep(random.uniform(*_WORKING_S))
                await _ask_all(pipeline.supervisor, taken)
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r{number + 1} of {times} ")
            wanted = {(name, "0"): times for name in SERVICES}
            await _until_restarted(pipeline.supervisor, times)
    return _report(taken, dict(ended), wanted)


async def _until_restarted(supervisor: Supervisor, times: int) -> None:
    async with asyncio.timeout(_UP_S):
        while min(supervisor.restarts.values()) < times:
            await asyncio.sleep(_POLL_S)


async def _all_at_work(pipeline: Pipeline) -> None:
    """Wait until each service has given a sign of life since it was started."""
    async with asyncio.timeout(_UP_S):
        for name in SERVICES:
            while not await _at_work(pipeline, name):
                await asyncio.sleep(_POLL_S)


async def _at_work(pipeline: Pipeline, name: str) -> bool:
    pid = pipeline.supervisor.pid(name)
    async for key in pipeline.access.client.scan_iter(match=keys.health(name, "*")):
        if await pipeline.access.field(key.decode(), "pid") == str(pid):
            return True
    return False


async def _ask_all(supervisor: Supervisor, taken: dict[str, list[float]]) -> None:
    pids = {name: supervisor.pid(name) for name in SERVICES}
    began_s = time.monotonic()
    for name in SERVICES:
        supervisor.kill(name, signal.SIGTERM)
    while pids:
        await asyncio.sleep(_POLL_S)
        for name in [name for name, pid in pids.items() if supervisor.pid(name) != pid]:
            taken[name].append(time.monotonic() - began_s)
            del pids[name]


def _report(
    taken: dict[str, list[float]],
    ended: dict[tuple[str, str], int],
    wanted: dict[tuple[str, str], int],
) -> int:
    print(f"SIGTERM under load, Python {platform.python_version()}; promised: {PROMISED_S:g} s")
    for name, seconds in taken.items():
        in_time = sum(each <= PROMISED_S for each in seconds)
        print(
            f"  {name:<11} {in_time} of {len(seconds)} in time,"
            f" median {median(seconds):.3f} s, longest {max(seconds):.3f} s"
            f" (ratio {max(seconds) / PROMISED_S:.2f})"
        )
    late = sum(each > PROMISED_S for seconds in taken.values() for each in seconds)
    if ended != wanted:
        print(f"  ended otherwise than with exit code 0: {ended}")
    return 1 if late or ended != wanted else 0


if __name__ == "__main__":
    sys.exit(main())
