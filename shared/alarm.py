"""What a person must know at 3 a.m. and nothing else tells: CRITICAL lines of the log, as events.

Each kind of line once an hour, whichever process logs it. The connection is one of its own, and is
opened only when there is something to tell.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextvars import ContextVar

from shared.events import EventsWriter
from shared.log import cleaned
from shared.redis_access import RedisAccess
from shared.settings import Settings

log = logging.getLogger(__name__)

QUIET_S = 3600.0

# What comes faster than it can be told is told by the first ones.
_MOST_WAITING = 20
# A service that ends must not be kept from it by a Redis that is away.
_LAST_WORDS_S = 2.0

_telling: ContextVar[bool] = ContextVar("telling", default=False)


def kind_of(logger: str, template: str) -> str:
    """The same for all lines that one statement of the code logs; fit for an event's state."""
    return hashlib.sha256(f"{logger} {template}".encode(errors="replace")).hexdigest()[:8]


class Alarm(logging.Handler):
    """Takes CRITICAL records from any thread; ``run`` tells them."""

    def __init__(self, events: EventsWriter, service: str) -> None:
        """Tell as ``service``; to be made in the loop that runs ``run``."""
        super().__init__(logging.CRITICAL)
        self._events, self._service = events, service
        self._waiting: deque[tuple[str, str]] = deque()
        self._loop, self._some = asyncio.get_running_loop(), asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Note the record, unless telling of another one is what failed."""
        if not _telling.get():
            self.put(kind_of(record.name, str(record.msg)), cleaned(record))

    def put(self, kind: str, text: str) -> None:
        """Have ``text`` told, unless one of its ``kind`` was within the hour."""
        if len(self._waiting) >= _MOST_WAITING:
            return
        self._waiting.append((kind, text))
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._some.set)

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            await self.tell()

    async def tell(self) -> None:
        """Tell all that waits."""
        token = _telling.set(True)
        try:
            while self._waiting:
                await self._tell(*self._waiting[0])
                self._waiting.popleft()  # not before: a cancellation leaves it for the last words
        finally:
            _telling.reset(token)

    async def _tell(self, kind: str, text: str) -> None:
        subject, sentence = f"error:{self._service}", f"{self._service}: {text}"
        try:
            await self._events.once(subject, kind, sentence, quiet_s=QUIET_S)
        except Exception as error:  # noqa: BLE001 - else no later one would be told either
            log.warning("an error could not be told: %s", type(error).__name__)


@contextlib.asynccontextmanager
async def alarmed(service: str, instance: str, settings: Settings) -> AsyncIterator[Alarm]:
    """Tell CRITICAL lines of this process as events; at the end of the block, what is left."""
    access = RedisAccess(settings.redis.effective_url, name=f"{service}-{instance}-alarm")
    alarm = Alarm(EventsWriter(access, service, instance, settings.streams), service)
    logging.getLogger().addHandler(alarm)
    teller = asyncio.create_task(alarm.run())
    try:
        yield alarm
    finally:
        logging.getLogger().removeHandler(alarm)
        teller.cancel()
        await asyncio.wait({teller})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await alarm.tell()
        await access.close()
