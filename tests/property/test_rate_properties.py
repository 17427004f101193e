"""The sliding windows over random admissions by several clients on a real server.

Time passes by letting all that was admitted be longer ago. A window that takes everything is asked
together with the others, so its list is a journal of all admissions.
"""

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from redis.asyncio import Redis

from services.notifier.channels import Recipient, recipient
from services.notifier.limiter import SharedLimiter
from services.notifier.rate_limits import Window
from shared import keys
from shared.redis_access import RedisAccess

CHATS = tuple(map(recipient, ("1", "2", "-3")))
JOURNAL = Window("journal", 10_000, 10**9)

_AGE = """
for _, key in ipairs(KEYS) do
  for i, time in ipairs(redis.call('LRANGE', key, 0, -1)) do
    redis.call('LSET', key, i - 1, string.format('%.0f', time - ARGV[1]))
  end
end
"""


@dataclass(frozen=True)
class Step:
    """After ``ms``, a client asks for a chat; if it must wait and is ``eager``, just so long."""

    ms: int
    client: int
    chat: int
    eager: bool


steps = st.builds(
    Step,
    ms=st.sampled_from([0, 0, 0, 1, 50, 333, 999, 1000, 1001, 5000]),
    client=st.integers(0, 2),
    chat=st.integers(0, 2),
    eager=st.booleans(),
)


def windows_of(most: int, per_chat: int, who: Recipient) -> tuple[Window, ...]:
    return (
        Window("all", most, 1000),
        Window(f"chat:{who.tag}", per_chat, 1000),
        Window(f"slow:{who.tag}", per_chat * 3, 10_000),
    )


class Run:
    """Clients at a server whose time is moved."""

    def __init__(self, accesses: list[RedisAccess], most: int, per_chat: int) -> None:
        self._redis: Redis = accesses[0].client
        self._most, self._per_chat = most, per_chat
        self._limiters = [SharedLimiter(each, "telegram", self._windows) for each in accesses]
        scopes = {window.scope for who in CHATS for window in self._windows(who)}
        self._keys = [keys.rate("telegram", scope) for scope in sorted(scopes)]

    def _windows(self, who: Recipient) -> tuple[Window, ...]:
        own = Window(f"journal:{who.tag}", JOURNAL.count, JOURNAL.window_ms)
        return (*windows_of(self._most, self._per_chat, who), JOURNAL, own)

    async def pass_time(self, ms: int) -> None:
        await self._redis.eval(_AGE, len(self._keys), *self._keys, ms * 1000)

    async def step(self, step: Step) -> None:
        await self.pass_time(step.ms)
        limiter, who = self._limiters[step.client], CHATS[step.chat]
        seconds, microseconds = await self._redis.time()
        wait_s = await limiter.admit(who)
        if wait_s == 0:
            return
        assert await self._full(who, seconds * 10**6 + microseconds), (
            "refused, though there is room"
        )
        if step.eager:
            await self.pass_time(round(wait_s * 1000))
            assert await limiter.admit(who) == 0, "it was said to wait just so long"

    async def _full(self, who: Recipient, now_us: int) -> bool:
        """Whether a window was, before the answer; it cannot have filled since."""
        for window, times in await self._journals(who):
            inside = [each for each in times if each > now_us - window.window_ms * 1000]
            if len(inside) >= window.count:
                return True
        return False

    async def _journals(self, who: Recipient) -> list[tuple[Window, list[int]]]:
        """Each window with the times of all that counts in it."""
        found = []
        for window in windows_of(self._most, self._per_chat, who):
            journal = "journal" if window.scope == "all" else f"journal:{who.tag}"
            raw = await self._redis.lrange(keys.rate("telegram", journal), 0, -1)
            found.append((window, [int(each) for each in raw]))
        return found

    async def check(self) -> None:
        for who in CHATS:
            for window, times in await self._journals(who):
                spans = zip(times, times[window.count :], strict=False)
                assert all(late - soon >= window.window_ms * 1000 for soon, late in spans)


async def _run(url: str, sequence: list[Step], most: int, per_chat: int) -> None:
    accesses = [RedisAccess(url, name=f"client-{number}") for number in range(3)]
    try:
        await accesses[0].client.flushall()
        run = Run(accesses, most, per_chat)
        for step in sequence:
            await run.step(step)
        await run.check()
    finally:
        for access in accesses:
            await access.close()


@effort(max_examples=40)
@given(st.lists(steps, min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 3))
def test_no_window_ever_holds_more_than_its_count_and_nobody_waits_in_vain(
    each_redis_url: str, sequence: list[Step], most: int, per_chat: int
) -> None:
    asyncio.run(_run(each_redis_url, sequence, most, per_chat))
