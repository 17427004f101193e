"""Asks Redis for heartbeats, standing troubles, closed channels and dead letters."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from cli.doctor.ask_redis import ANSWER_S, opened
from cli.doctor.installation import Installation
from cli.doctor.report import Finding, warn
from cli.doctor.verdicts import services as verdict
from cli.supervisor import SERVICES
from shared import VERSION, keys


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    if found.unknown("redis", "url"):
        return  # said of Redis already
    if found.redis_url is None:
        for finding in verdict.services((), SERVICES, VERSION):
            yield finding
        return
    try:
        async with asyncio.timeout(ANSWER_S), opened(found.redis_url) as client:
            beats = await _beats(client)
            troubles = _texts(await _told(client.hgetall(keys.TROUBLES)))
            channels = [await _channel(client, name) for name in found.settings.channels]
    except NoPermissionError as error:
        yield warn("services", f"not looked at: Redis says {error}", "extend the user's ACL")
        return
    except (RedisError, OSError):
        yield warn("services", "not looked at: Redis could not be asked", "see Redis above")
        return
    for finding in (
        *verdict.services(beats, SERVICES, VERSION),
        *verdict.standing(troubles),
        *verdict.channels(channels, troubles),
    ):
        yield finding


async def _beats(client: Redis) -> list[verdict.Beat]:
    found = [key async for key in client.scan_iter(match="health:*", count=5000)]
    beats = []
    for key in sorted(found):
        fields = _texts(await _told(client.hgetall(key)))
        if "service" in fields:
            names = ("service", "instance", "version", "state")
            beats.append(verdict.Beat(*(fields.get(name, "") for name in names)))
    return beats


async def _channel(client: Redis, name: str) -> verdict.Channel:
    gate = await _told(client.get(keys.gate(name)))
    dead = await _told(client.xlen(keys.dead(name)))
    return verdict.Channel(name, _text(gate or b""), int(dead or 0))


async def _told(question: Any) -> Any:
    """The answer, None where a key was edited or may not be read: others tell of that."""
    try:
        return await question
    except ResponseError:
        return None


def _texts(fields: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in (fields or {}).items()}


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
