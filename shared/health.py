"""Heartbeats: what a service knows about itself, written for ``status`` and for supervisors.

A heartbeat is a hash of flat text with a TTL: a dead process is one whose heartbeat is gone.
"""

import asyncio
import logging
import os
import socket
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from math import ceil

from redis.exceptions import RedisError

from shared import VERSION, keys
from shared.log import cleaned
from shared.progress import report_status
from shared.redis_access import RedisAccess, flat
from shared.settings import Health
from shared.status_line import status_line

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


class Heartbeat:
    """Counters and facts of one process; ``beat`` keeps writing them.

    Attributes:
        counters: Totals since the start, by name.
        facts: Present state, by name (``connection``, ``last_1m``, ...).
        state: One word or a short sentence: ``starting``, ``running``, ``waiting for …``.
    """

    def __init__(self, service: str, instance: str, settings: Health) -> None:
        """Start counting; nothing is written before ``beat`` runs."""
        self._service, self._instance, self._settings = service, instance, settings
        self._started, self._started_ms = time.monotonic(), int(time.time() * 1000)
        self._latencies: dict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_LATENCIES_KEPT)
        )
        self._errors = _Errors()
        logging.getLogger().addHandler(self._errors)
        self.counters: Counter[str] = Counter()
        self.facts: dict[str, str] = {}
        self.state = "starting"
        self.last_data_ms = 0

    def data_seen(self) -> None:
        """Note that input arrived now."""
        self.last_data_ms = int(time.time() * 1000)

    def took(self, what: str, milliseconds: float) -> None:
        """Add one latency measurement."""
        self._latencies[what].append(milliseconds)

    def fields(self, trouble: str | None) -> Mapping[str, str]:
        """The heartbeat as flat text."""
        now_ms = int(time.time() * 1000)
        known = {
            "service": self._service,
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
        key = keys.health(self._service, self._instance)
        report_status(lambda: status_line(self.fields(access.trouble)))
        try:
            while True:
                await access.patiently(lambda: self._write(access, key))
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
