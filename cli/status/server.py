"""The Redis server as its INFO describes it. Pure."""

from collections.abc import Mapping
from typing import Any

from cli.status.facts import RedisFacts


def redis_facts(url: str, answers: Mapping[str, Any]) -> RedisFacts:
    """Of the sections ``server``, ``memory`` and ``persistence``; None = refused.

    Args:
        url: Without its password.
    """
    server, memory = answers["server"] or {}, answers["memory"] or {}
    persistence = answers["persistence"] or {}
    version = f"Redis {server.get('redis_version', '(version unknown)')}"
    if "valkey_version" in server:
        version = f"Valkey {server['valkey_version']}"
    aof = persistence.get("aof_enabled")
    return RedisFacts(
        url=url,
        version=version,
        memory_bytes=memory.get("used_memory"),
        aof=None if aof is None else bool(aof),
        maxmemory_bytes=memory.get("maxmemory"),
        maxmemory_policy=memory.get("maxmemory_policy"),
    )
