"""Heartbeats: what a service knows about itself, written for ``status`` and for supervisors.

A heartbeat is a hash of flat text with a TTL: a dead process is one whose heartbeat is gone.
"""

import asyncio
import logging
import os
import socket
import time
from collections import Counter, UserDict, defaultdict, deque
from collections.abc import Mapping
from math import ceil

from redis.exceptions import RedisError

from shared import VERSION, keys
from shared.log import cleaned
from shared.progress import report_status
from shared.redis_access import RedisAccess, flat
from shared.settings import Health
from shared.status_line import status_line
from shared.wellbeing import Life

_HOUR_S = 3600.0
_LATENCIES_KEPT = 1000


def quantile(values: list[float], share: float) -> float:
    """The smallest of the sorted ``values`` that at least ``share`` of them do not exceed."""
    return values[max(0, ceil(share * len(values)) - 1)]


class _Errors(logging.Handler):
    """Remembers when errors were logged, for an hour."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.times: deque[float] = deque(maxlen=10_000)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.times.append(time.monotonic())
        self.last = cleaned(record)

    def last_hour(self) -> int:
        while self.times and self.times[0] < time.monotonic() - _HOUR_S:
            self.times.popleft()
        return len(self.times)


class Facts(UserDict[str, str]):
    """Facts by name, and since when each is as it is."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        super().__init__()

    def __setitem__(self, name: str, text: str) -> None:
        if self.data.get(name) != text:
            self._since[name] = time.monotonic()
        super().__setitem__(name, text)

    def unchanged_s(self, name: str) -> float | None:
        """For how long a fact has been as it is; None if it is not known."""
        return time.monotonic() - self._since[name] if name in self.data else None


class Heartbeat:
    """Counters and facts of one process; ``beat`` keeps writing them.

    Attributes:
        service: Whose it is.
        counters: Totals since the start, by name.
        facts: Present state, by name (``connection``, ``last_1m``, ...).
        state: One word or a short sentence: ``starting``, ``running``, ``waiting for …``.
    """

    def __init__(self, service: str, instance: str, settings: Health) -> None:
        """Start counting; nothing is written before ``beat`` runs."""
        self.service, self._instance, self._settings = service, instance, settings
        self._started, self._started_ms = time.monotonic(), int(time.time() * 1000)
        self._latencies: dict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_LATENCIES_KEPT)
        )
        self._errors = _Errors()
        logging.getLogger().addHandler(self._errors)
        self.counters: Counter[str] = Counter()
        self.facts = Facts()
        self._written: float | None = None
        self.state = "starting"
        self.last_data_ms = 0

    def data_seen(self) -> None:
        """Note that input arrived now."""
        self.last_data_ms = int(time.time() * 1000)

    def life(self, trouble: str | None) -> Life:
        """What this process knows of itself; ``trouble`` is what it waits for."""
        now = time.monotonic()
        return Life(
            state=self.state,
            trouble=trouble,
            up_s=now - self._started,
            beat_s=None if self._written is None else now - self._written,
            interval_s=self._settings.interval_seconds,
        )

    def took(self, what: str, milliseconds: float) -> None:
        """Add one latency measurement."""
        self._latencies[what].append(milliseconds)

    def fields(self, trouble: str | None) -> Mapping[str, str]:
        """The heartbeat as flat text."""
        now_ms = int(time.time() * 1000)
        known = {
            "service": self.service,
            "instance": self._instance,
            "version": VERSION,
            "pid": str(os.getpid()),
            "host": socket.gethostname(),
            "state": f"waiting: {trouble}" if trouble else self.state,
            "started_at": str(self._started_ms),
            "uptime_s": f"{time.monotonic() - self._started:.0f}",
            "beat_at": str(now_ms),
            "last_data_at": str(self.last_data_ms) if self.last_data_ms else "",
            "errors_last_hour": str(self._errors.last_hour()),
            "last_error": self._errors.last,
        }
        known.update(self.facts)
        known.update({f"count_{name}": str(total) for name, total in self.counters.items()})
        for what, values in self._latencies.items():
            ordered = sorted(values)
            known[f"{what}_p50_ms"] = f"{quantile(ordered, 0.5):.2f}"
            known[f"{what}_p99_ms"] = f"{quantile(ordered, 0.99):.2f}"
        return known

    async def beat(self, access: RedisAccess) -> None:
        """Write the heartbeat until cancelled, and take it away on a clean end."""
        key = keys.health(self.service, self._instance)
        report_status(lambda: status_line(self.fields(access.trouble)))
        try:
            while True:
                await access.patiently(lambda: self._write(access, key))
                self._written = time.monotonic()
                await asyncio.sleep(self._settings.interval_seconds)
        finally:
            await self._forget(access, key)

    async def _write(self, access: RedisAccess, key: str) -> None:
        async with access.client.pipeline(transaction=True) as pipe:
            pipe.delete(key)  # facts that are no longer true must not linger
            pipe.hset(key, items=flat(self.fields(access.trouble)))
            pipe.pexpire(key, int(self._settings.ttl_seconds * 1000))
            await pipe.execute()

    @staticmethod
    async def _forget(access: RedisAccess, key: str) -> None:
        try:
            async with asyncio.timeout(1):
                await access.client.delete(key)
        except (RedisError, OSError):
            pass  # its TTL will
