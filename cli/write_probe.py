"""Whether Redis takes writes, found out without writing anything."""

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from shared.redis_cluster import ClusterClient
from shared.redis_remedies import remedy

# Refused wherever a write would be: a script that does not declare that it will not write (out of
# memory, read-only replica, disk full, too few replicas).
_WOULD_WRITE = "#!lua\nreturn 1"


async def each_primary(client: Redis) -> list[tuple[str, Redis]]:
    """Each server that is written to, by name; the only one has none."""
    return await client.each_primary() if isinstance(client, ClusterClient) else [("", client)]


async def would_write(client: Redis) -> None:
    """Return if every server takes writes.

    Raises:
        RedisError: One does not; the error says why.
    """
    for _, node in await each_primary(client):
        await node.eval(_WOULD_WRITE, 0)


async def why_no_writes(client: Redis, url: str) -> str:
    """What is wrong and what to do, as ``shared.redis_remedies`` says it; "" if writes are taken.

    Also "" for a user who may not run scripts: who only looks needs none.
    """
    try:
        await would_write(client)
    except NoPermissionError:
        return ""
    except RedisError as error:
        return remedy(error, url) or f"Redis takes no writes: {error}"
    return ""
