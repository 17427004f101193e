"""A whole scanner of four real processes against the simulated outside, run to its end."""

import asyncio
import csv
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.pipeline import Pipeline, PipelineOptions, running_pipeline
from cli.replay_command import record
from shared.settings import Settings
from sim.candles import Candles, write_candles
from sim.market import generate
from tests.conftest import REQUIRED

ROOT = Path(__file__).parents[2]
START_MS = 1_735_689_600_000  # 2025-01-01
HOLES = ((5_003, 3), (20_700, 140))  # minute, length: one inside a 5m candle, one over hours

Meddle = Callable[[Pipeline], Awaitable[None]]


def candle_file(path: Path, candles: Candles) -> Path:
    """Our CSV of these candles."""
    write_candles(candles, path)
    return path


def with_holes(candles: Candles) -> Candles:
    """The same market with minutes that the exchange never had."""
    absent = {first + n for first, length in HOLES for n in range(length)}
    kept = [n for n in range(len(candles.open_time_ms)) if n not in absent]
    return Candles(
        *(
            getattr(candles, name)[kept]
            for name in ("open_time_ms", "open", "high", "low", "close", "volume")
        )
    )


@pytest.fixture(scope="session")
def market() -> Candles:
    """Some weeks of a synthetic market with two holes."""
    return with_holes(generate(4, 21, START_MS))


@pytest.fixture(scope="session")
def market_file(market: Candles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The market as a candle file."""
    return candle_file(tmp_path_factory.mktemp("market") / "candles.csv", market)


@dataclass
class Outcome:
    """What a replay wrote."""

    summary: dict[str, Any]
    signals: str
    deliveries: list[dict[str, str]]

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self.signals.splitlines()))


async def replayed(
    candles: Path,
    folder: Path,
    *,
    redis_kind: str | None = None,
    redis_url: str = "",
    meddle: Meddle | None = None,
) -> Outcome:
    """Replay ``candles`` at full speed, while ``meddle`` disturbs the pipeline."""
    options = PipelineOptions(
        outside=["--candles", str(candles), "--speed", "max", "--weight-limit", "0"],
        all_history=True,
        redis_kind=redis_kind,
        redis_url=redis_url,
    )
    out = folder / "out"
    out.mkdir(parents=True)
    async with (
        running_pipeline(Settings(), folder / "run", options) as pipeline,
        asyncio.TaskGroup() as group,
    ):
        trouble = group.create_task(meddle(pipeline)) if meddle else None
        summary = await record(pipeline, out)
        if trouble is not None:
            trouble.cancel()
    with (out / "deliveries.csv").open() as file:
        deliveries = list(csv.DictReader(file))
    return Outcome(summary, (out / "signals.csv").read_text(), deliveries)


@pytest.fixture
def have_server(redis_kind: str) -> None:
    """Skip where the distribution's Redis is not installed, unless it has to be."""
    if redis_kind == "redis" and not REQUIRED and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt install redis-server)")
