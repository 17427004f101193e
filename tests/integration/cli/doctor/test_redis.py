"""``doctor`` before real Redis servers that are set up badly."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from redis.asyncio import Redis

from tests.integration.cli.doctor.patients import (
    REDIS_PASSWORD,
    Patient,
    only,
    says,
)

MB = 1024 * 1024


async def test_a_redis_that_evicts(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("maxmemory", 100 * MB)
    await own_redis.config_set("maxmemory-policy", "allkeys-lru")
    report = await ill.doctor()
    only(report, "Redis eviction", "fail", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction")


async def test_a_redis_that_would_evict_if_it_had_a_limit(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("maxmemory-policy", "volatile-ttl")
    report = await ill.doctor()
    only(report, "Redis eviction", "warn", "volatile-ttl; harmless only as long as", "noeviction")


async def test_a_redis_without_append_only_file(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("appendonly", "no")
    report = await ill.doctor()
    only(report, "Redis AOF", "warn", "no append-only file", "CONFIG SET appendonly yes")


async def test_a_redis_that_leaves_writing_to_the_system(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("appendfsync", "no")
    report = await ill.doctor()
    only(report, "Redis AOF", "warn", "appendfsync no", "CONFIG SET appendfsync everysec")


async def test_a_redis_whose_memory_is_full(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("maxmemory", 1)
    report = await ill.doctor()
    says(report, "Redis memory", "fail", "it is full", "raise maxmemory")
    says(report, "Redis writes", "fail", "is out of memory", "raise maxmemory")
    assert report.code == 1


async def test_a_redis_that_is_a_replica(ill: Patient, own_redis: Redis) -> None:
    await own_redis.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    report = await ill.doctor()
    says(report, "Redis role", "fail", "it is a replica", "point redis.url to its primary")
    says(report, "Redis writes", "fail", "is a read-only replica", "point redis.url to the primary")


async def test_a_redis_that_wants_a_password(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("requirepass", REDIS_PASSWORD)
    report = await ill.doctor()
    says(report, "Redis", "fail", "wants a password", "redis.url (redis://USER:PASSWORD@HOST:PORT")
    says(report, "services", "warn", "Redis could not be asked")
    url = ill.sections["redis"]["url"]
    ill.set("redis", url=url.replace("redis://", f"redis://:{REDIS_PASSWORD}@"))
    report = await ill.doctor()
    assert (report.not_ok, report.code) == ([], 0)


async def test_a_redis_user_who_may_not_ask_for_settings(ill: Patient, own_redis: Redis) -> None:
    rule = ("ACL", "SETUSER", "scanner", "on", f">{REDIS_PASSWORD}", "~*", "&*", "+@all", "-info")
    await own_redis.execute_command(*rule)  # type: ignore[no-untyped-call]
    url = ill.sections["redis"]["url"]
    ill.set("redis", url=url.replace("redis://", f"redis://scanner:{REDIS_PASSWORD}@"))
    report = await ill.doctor()
    only(report, "Redis settings", "warn", "INFO is refused", "appendonly yes")
    await own_redis.execute_command(*rule, "+info", "-scan")  # type: ignore[no-untyped-call]
    report = await ill.doctor()
    only(report, "services", "warn", "not looked at", "'scan'", "extend the user's ACL")
    await own_redis.execute_command(*rule, "-eval")  # type: ignore[no-untyped-call]
    report = await ill.doctor()
    only(report, "Redis", "fail", "refuses a command", "extend the user's ACL")


async def test_a_redis_that_is_not_there(ill: Patient) -> None:
    ill.set("redis", url="redis://127.0.0.1:1/0")
    report = await ill.doctor()
    says(report, "Redis", "fail", "redis://127.0.0.1:1/0 cannot be reached", "start it")
    assert {each.check for each in report.not_ok} == {"Redis", "services"}


@contextlib.asynccontextmanager
async def pretending_to_be_old(url: str) -> AsyncIterator[str]:
    """A door to a Redis 7.0 behind which scripts know no version, as in 6.2."""
    host, port = url.removeprefix("redis://").removesuffix("/0").split(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection(host, int(port))

        async def back() -> None:
            while data := await answers.read(65536):
                writer.write(data)
            writer.close()

        pump = asyncio.create_task(back())
        while data := await reader.read(65536):
            server.write(data.replace(b"redis.REDIS_VERSION_NUM", b"redis.REDIS_VERSION_NIL"))
        server.close()
        await pump

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
    listening.close()


async def test_a_redis_that_is_too_old(ill: Patient, redis_url: str) -> None:
    async with pretending_to_be_old(redis_url) as url:
        ill.set("redis", url=url)
        report = await ill.doctor()
    only(report, "Redis", "fail", "is too old", "install Redis 7.0 or Valkey 8 or newer")
