"""Asking Redis on behalf of a command: once, within some seconds, with a remedy if it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli import CommandError
from shared.redis_access import RedisAccess
from shared.redis_remedies import remedy, shown_url
from shared.settings import Settings

T = TypeVar("T")
ANSWER_S = 3.0


class RedisUnusable(CommandError):
    """Redis gives no answer that can be used; the message says what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}" if advice else what)
        self.what, self.advice = what, advice


async def answered(
    settings: Settings, question: Callable[[Redis], Awaitable[T]], timeout_s: float = ANSWER_S
) -> T:
    """The answer to ``question``, asked once.

    Raises:
        RedisUnusable: No answer in time, or one that says no.
    """
    url = settings.redis.effective_url
    access = RedisAccess(url, name="operator")
    try:
        async with asyncio.timeout(timeout_s):
            await access.client.ping()
            return await question(access.client)
    except TimeoutError:
        what = f"Redis at {shown_url(url)} does not answer within {timeout_s:g} s"
        raise RedisUnusable(what, "is it overloaded, paused or behind a firewall?") from None
    except (RedisError, OSError) as error:
        words = remedy(_innermost(error), url)
        if words is None:
            words = await access.explain_damage(error) or f"{error}"
        if settings.redis.embedded and "cannot be reached" in words:
            what = "no scanner runs here: redis.url is empty, and no Redis of ours is up"
            raise RedisUnusable(what, "start it with ./btc-scanner up") from error
        what, _, advice = words.partition(": ")
        raise RedisUnusable(what, advice) from error
    finally:
        await _leave(access)


def _innermost(error: Exception) -> Exception:
    """What the server said: redis-py wraps a refused login in a plain connection error."""
    while isinstance(error.__cause__, RedisError):
        error = error.__cause__
    return error


async def _leave(access: RedisAccess) -> None:
    try:
        async with asyncio.timeout(0.5):
            await access.close()
    except (RedisError, OSError):
        pass  # the process ends anyway
