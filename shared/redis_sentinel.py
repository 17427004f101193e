"""A primary that sentinels know the address of, found again after every failover.

redis-py asks one sentinel after the other and waits for each as long as the caller does, so that a
single frozen one would hold up every attempt; here each has a second.
"""

import asyncio
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.redis_address import Address
from shared.redis_client import Client

# Several sentinels may be silent before the time for one try is over.
_SENTINEL_S = 1.0


class NoPrimary(MasterNotFoundError):
    """No sentinel names a primary that can be used; the text says why."""


class PatientSentinel(Sentinel):
    """A Sentinel client that no single sentinel can hold up."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """The address of the primary.

        Raises:
            NoPrimary: None of the sentinels has one.
        """
        silent: BaseException | None = None
        answered = known = False
        for sentinel in list(self.sentinels):
            try:
                async with asyncio.timeout(_SENTINEL_S):
                    primaries = cast("dict[str, Any]", await sentinel.sentinel_masters())
            except (RedisError, OSError) as error:  # a timeout is an OSError
                silent = error
                self._ask_last(sentinel)
                continue
            answered = True
            state = primaries.get(service_name)
            known = known or state is not None
            if state is not None and self.check_master_state(state, service_name):
                return state["ip"], state["port"]
            self._ask_last(sentinel)
        if not answered:
            raise NoPrimary(
                "has no sentinel that answers: start them, or correct redis.url"
            ) from silent
        if not known:
            raise NoPrimary(
                f"has no primary named {service_name}, say its sentinels: correct redis.url"
            )
        raise NoPrimary("has lost its primary, say its sentinels; a failover usually ends this")

    def _ask_last(self, sentinel: Redis) -> None:
        self.sentinels.remove(sentinel)
        self.sentinels.append(sentinel)


def sentinel_client(address: Address, **conventions: Any) -> tuple[Redis, PatientSentinel]:
    """A client of the primary, and the client of its sentinels, to be closed after it.

    Args:
        address: Of kind ``sentinel``.
        conventions: For each connection to a data server.
    """
    options = dict(address.options)
    login = {
        "username": options.pop("sentinel_user", None),
        "password": options.pop("sentinel_password", None),
    }
    tls: dict[str, Any] = {"ssl": True, **options} if address.tls else {}
    shared = {
        name: value
        for name, value in conventions.items()
        if name.startswith("socket_") or name == "protocol"
    }
    sentinel = PatientSentinel(  # type: ignore[no-untyped-call]
        address.hosts,
        sentinel_kwargs={**shared, **login, **tls, "retry": Retry(NoBackoff(), 0)},
    )
    client: Redis = sentinel.master_for(
        address.primary,
        redis_class=Client,
        username=address.user,
        password=address.password,
        db=address.db,
        **conventions,
        **tls,
    )
    return client, sentinel
