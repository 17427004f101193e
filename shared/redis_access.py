"""One way to Redis for all services: waits through every outage, and says so once.

redis-py's own retries are off, since repeating a write whose reply was lost is only right when the
write is idempotent; every operation given to ``RedisAccess.patiently`` is (the scripts are, by
design). ``socket_timeout`` is None, because redis-py otherwise runs each command through
``asyncio.wait_for``, which can swallow a cancellation on Python 3.11 (python/cpython#86296); the
deadline is ``asyncio.timeout`` here instead. The same holds for Sentinel and Cluster.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from hashlib import sha1
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from shared import redis_damage
from shared.answering import Answering
from shared.progress import turned
from shared.redis_address import names_several, read_address
from shared.redis_client import COMMAND_TIMEOUT_S, LoneClient, lost_connections
from shared.redis_cluster import ClusterClient
from shared.redis_remedies import TooOld, remedy, said, shown_url
from shared.redis_sentinel import PatientSentinel, sentinel_client
from shared.steady import now_s

log = logging.getLogger(__name__)
T = TypeVar("T")
OLDEST_VERSION = (7, 0)
# Between two tries at a Redis that does not answer.
LONGEST_PAUSE_S = 2.0
_VERSION_SCRIPT = "return redis.REDIS_VERSION_NUM or 0"  # scripts know their server from 7.0 on


class Damaged(RedisError):
    """A key was edited so that it cannot be used; says which, and how to undo it."""


def backoff(first_s: float = 0.05, cap_s: float = LONGEST_PAUSE_S) -> Iterator[float]:
    """Delays in seconds: doubling up to ``cap_s``, each with up to 50 % of jitter taken off."""
    delay = first_s
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(cap_s, delay * 2)


def flat(mapping: Mapping[str, str]) -> list[str]:
    """Field, value, field, value, ... as HSET takes them."""
    return [text for pair in mapping.items() for text in pair]


async def check_version(client: Redis) -> None:
    """Return if the server is new enough.

    Raises:
        TooOld: It is not.
    """
    version = int(await client.eval(_VERSION_SCRIPT, 0))
    if (version >> 16, version >> 8 & 0xFF) < OLDEST_VERSION:
        raise TooOld


class Script:
    """A Lua script that the server learns when it does not know it: after a restart, a failover."""

    def __init__(self, client: Redis, text: str) -> None:
        """Run ``text`` by ``client``; nothing is sent yet."""
        self._client, self._text = client, text
        self._sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """The answer of the script."""
        try:
            return await self._client.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            # Not SCRIPT LOAD, which may reach another server than the next command does.
            return await self._client.eval(self._text, len(keys), *keys, *args)


class RedisAccess:
    """A client, its outage state, and the patience to sit outages out.

    Attributes:
        client: For operations; run them through ``patiently``.
        answering: Since when Redis answers without a break.
    """

    def __init__(self, url: str, *, name: str) -> None:
        """Prepare a client for ``url``; nothing connects before the first operation."""
        self._url = url
        self._sentinel: PatientSentinel | None = None
        self.client: Redis = self._connect(url, name)
        self.answering = Answering()
        self._failing: dict[object, str] = {}
        self._told: set[str] = set()
        self._left_out: set[str] = set()

    def _connect(self, url: str, name: str) -> Redis:
        conventions: dict[str, Any] = {
            "client_name": name,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": COMMAND_TIMEOUT_S,
        }
        if not names_several(url):
            return LoneClient.from_url(url, **conventions)
        address = read_address(url)
        # Half, so that after a host that is silent another one may be tried in time.
        conventions["socket_connect_timeout"] = COMMAND_TIMEOUT_S / 2
        if address.kind == "cluster":
            return ClusterClient(address, **conventions)
        client, self._sentinel = sentinel_client(address, **conventions)
        return client

    @property
    def trouble(self) -> str | None:
        """What is wrong at the moment, with the remedy; None while all is well."""
        return next(iter(self._failing.values()), None)

    def script(self, text: str) -> Script:
        """A script to be called with keys and arguments, patiently."""
        return Script(self.client, text)

    async def patiently(
        self, operation: Callable[[], Awaitable[T]], timeout: float = COMMAND_TIMEOUT_S
    ) -> T:
        """Run an idempotent operation until Redis has answered it.

        A key of a wrong type is waited for like an outage: a person must delete it.

        Args:
            operation: Called again after each outage.
            timeout: Seconds for one try; for a blocking read, its block time is to be added.

        Raises:
            RedisError: An answer that waiting cannot change (a bug).
        """
        return await self._answer(operation, timeout, waits=True)

    async def aside(self, operation: Callable[[], Awaitable[T]]) -> T | None:
        """Like ``patiently``, for what nobody decides by; None where an edited key is in the way.

        That is told once.
        """
        try:
            return await self._answer(operation, COMMAND_TIMEOUT_S, waits=False)
        except Damaged as error:
            if str(error) not in self._left_out:
                log.error("%s; going on without it", error)
                self._left_out.add(str(error))
            return None

    async def _answer(
        self, operation: Callable[[], Awaitable[T]], timeout: float, *, waits: bool
    ) -> T:
        delays, attempt = backoff(), object()
        try:
            while True:
                turned()
                try:
                    with lost_connections():
                        async with asyncio.timeout(timeout):
                            answer = await operation()
                except (RedisError, OSError) as error:
                    trouble = remedy(error, self._url)
                    if trouble:
                        self.answering.failed()
                    else:
                        trouble = await self.explain_damage(error)
                        if trouble and not waits:
                            raise Damaged(trouble) from error
                    if trouble:
                        self._failing[attempt] = trouble
                        self._note(trouble)
                    await asyncio.sleep(next(delays))
                else:
                    turned()
                    self.answering.answered(now_s())
                    self._failing.pop(attempt, None)
                    self._note_answer()
                    return answer
        finally:
            self._failing.pop(attempt, None)

    async def explain_damage(self, error: Exception) -> str:
        """Which key was edited so that it was refused, and the remedy; "" if that is over.

        Raises:
            Exception: ``error`` itself, if it is something else.
        """
        damage = redis_damage.damage_in(said(error), str(error), *getattr(error, "__notes__", ()))
        if damage is None:
            raise error
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                found = await damage.explain(self.client)
        except (RedisError, OSError) as failure:
            return remedy(failure, self._url) or ""
        return f"Redis at {shown_url(self._url)} {found}" if found else ""

    def _note_answer(self) -> None:
        if self._told and not self._failing:
            log.info("Redis answers again")
            self._told.clear()

    def _note(self, trouble: str) -> None:
        """Tell of each trouble once in an outage: it lasts until nothing fails any more.

        Reads may succeed while writes fail, and one node of a cluster while another is away.
        """
        kind, reached, _ = trouble.partition("cannot be reached (")
        if not reached:
            kind = trouble
        if kind not in self._told:  # a lost connection has many causes, one after another
            log.error("%s; waiting", trouble)
            self._told.add(kind)

    async def value(self, key: str) -> bytes | None:
        """The string at ``key``, patiently; None also where something else is."""
        [answer] = await self.patiently(lambda: self.client.mget([key]))
        return cast("bytes | None", answer)

    async def field(self, key: str, name: str) -> str | None:
        """One field of the hash at ``key`` as text, patiently."""
        answer = await self.patiently(lambda: self.client.hget(key, name))
        return None if answer is None else cast("bytes", answer).decode()

    async def fields(self, key: str) -> dict[bytes, bytes]:
        """All fields of the hash at ``key``, empty if there is none, patiently."""
        answer = await self.patiently(lambda: self.client.hgetall(key))
        return cast("dict[bytes, bytes]", answer)

    async def ready(self) -> None:
        """Wait until a Redis that is new enough answers."""

        await self.patiently(lambda: check_version(self.client))

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()
