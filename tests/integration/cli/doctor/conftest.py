"""A healthy installation for each test, to be made ill."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cli import supervisor
from cli.embedded_redis import redis_server
from shared import config_draft, config_place
from sim.candles import Candles
from tests.integration.cli.doctor.patients import (
    Patient,
    market,
    patient,
)


@pytest.fixture(scope="session")
def candles() -> Candles:
    return market()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server(tcp=True) as server:
        yield server.url


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_place, "SYSTEM_CONFIG", tmp_path / "etc.json")
    monkeypatch.setattr(config_draft, "DOCKER_SECRETS", tmp_path / "none")
    for name in list(os.environ):
        if name.startswith(("BTC_SCANNER_", "SMTP_", "TELEGRAM_")) and name != "BTC_SCANNER_VENV":
            monkeypatch.delenv(name)


@pytest.fixture
async def ill(tmp_path: Path, redis_url: str, candles: Candles) -> AsyncIterator[Patient]:
    """A healthy installation that the test makes ill."""
    async with patient(tmp_path, redis_url, candles) as made:
        yield made


@pytest.fixture
async def own_redis(ill: Patient) -> AsyncIterator[Redis]:
    """A Redis of the patient's own, whose settings may be spoilt."""
    with redis_server(tcp=True) as server:
        ill.set("redis", url=server.url)
        client: Redis = Redis.from_url(server.url, protocol=2)
        for service in supervisor.SERVICES:
            await ill.beat(service)
        yield client
        await client.aclose()
