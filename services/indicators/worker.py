"""Drives the engine: reads klines, commits entries and snapshot together, rebuilds when it must.

Cold start, restart and parameter change are one path: load the snapshot, or, when there is none
that fits, read the retained klines from their start, silently up to the last position that was
committed.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from services.indicators import snapshot
from services.indicators.engine import Engine, Plan
from shared import keys
from shared.candle import Candle, missing_candle, read_candle
from shared.health import Heartbeat
from shared.indicators_entry import IndicatorsEntry
from shared.malformed import Malformed
from shared.redis_access import RedisAccess
from shared.settings import Streams
from shared.streams import IndicatorsWriter, read
from shared.times import utc

log = logging.getLogger(__name__)

BLOCK_MS = 1000
BATCH = 250
# One timeframe may run ahead of the others in memory only so far; the rest stays in Redis.
MOST_WAITING = 2000
OWNER_TTL_MS = 15_000
_RENEW_S = 5.0
_REFUSED_PAUSE_S = 1.0
_AHEAD_PAUSE_S = 0.02


class _Superseded(Exception):
    """Another instance has committed further: continue from its state."""


class Worker:
    """One market's indicators, from klines to committed entries."""

    def __init__(
        self, access: RedisAccess, symbol: str, plan: Plan, settings: Streams, heartbeat: Heartbeat
    ) -> None:
        """Work on ``symbol`` (``BTCUSDT``) by ``plan``."""
        self._access, self._symbol, self._plan = access, symbol, plan
        self._heartbeat = heartbeat
        self._writer = IndicatorsWriter(access, symbol, settings, plan.parameters)
        self._refusal = ""
        self._loaded = False

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            engine, committed = await self._load()
            try:
                await self._follow(engine, committed)
            except _Superseded:
                self._heartbeat.counters["superseded"] += 1

    async def _load(self) -> tuple[Engine, str]:
        """The engine to continue with, and the position that is committed."""
        packed, committed = await self._access.patiently(self._stored)
        if packed is not None:
            try:
                engine = snapshot.unpack(self._plan, packed)
            except Malformed as error:
                log.warning("%s; rebuilding from the retained klines", error)
            else:
                if engine.position == committed:
                    # A standby that loses every race would say so with every candle.
                    level = logging.DEBUG if self._loaded else logging.INFO
                    log.log(level, "continuing after %s", committed)
                    self._loaded = True
                    return engine, committed
                log.warning("snapshot and position differ; rebuilding from the retained klines")
        log.info("computing from the first retained kline on, silent up to %s", committed or "-")
        return Engine(self._plan), committed

    async def _stored(self) -> tuple[bytes | None, str]:
        """Snapshot and position, read in one step lest a twin commits between the two."""
        async with self._access.client.pipeline(transaction=True) as pipe:
            pipe.get(keys.state(self._symbol))
            pipe.hget(keys.progress(self._symbol), "indicators")
            packed, position = await pipe.execute()
        return packed, position.decode() if position else ""

    async def _follow(self, engine: Engine, committed: str) -> None:
        """Read, compute and commit until cancelled.

        What a rebuilt engine releases up to ``committed`` was written before: silence.

        Raises:
            _Superseded: Another instance has committed further.
        """
        while True:
            await self._read(engine)
            more = True
            while more:
                entries = engine.release(BATCH)
                more = len(entries) == BATCH
                if _order(engine.position) > _order(committed):
                    await self._commit(engine, committed, entries)
                    committed = engine.position

    async def _read(self, engine: Engine) -> None:
        positions = {
            keys.klines(self._symbol, name): f"{engine.fed(name) or 0}-0"
            for name in self._plan.intervals
            if engine.waiting(name) < MOST_WAITING
        }
        batches = await read(self._access, positions, count=BATCH, block_ms=BLOCK_MS)
        for stream, entries in batches.items():
            candles = [self._candle(entry_id, fields) for entry_id, fields in entries]
            for hole in engine.feed(stream.rpartition(":")[2], candles):
                self._heartbeat.counters["holes"] += 1
                log.error(
                    "klines %s: expected the candle of %s, found that of %s; candles were deleted,"
                    " the indicators of %s start afresh",
                    hole.timeframe, utc(hole.expected_ms), utc(hole.found_ms), hole.timeframe,
                )  # fmt: skip
            self._heartbeat.data_seen()

    def _candle(self, entry_id: bytes, fields: dict[bytes, bytes]) -> Candle:
        """The candle of an entry; one that somebody has spoilt counts as missing."""
        try:
            return read_candle(entry_id, fields)
        except Malformed as error:
            self._heartbeat.counters["malformed"] += 1
            log.error("%s; it counts as missing", error)
            return missing_candle(int(entry_id.partition(b"-")[0]), 0, 0)

    async def _commit(
        self, engine: Engine, committed: str, entries: Sequence[IndicatorsEntry]
    ) -> None:
        packed = snapshot.pack(engine)
        while True:
            answer = await self._writer.commit(
                committed, engine.position, packed, entries, OWNER_TTL_MS
            )
            match answer.status:
                case "ok":
                    self._report(engine, entries)
                    return
                case "duplicate":
                    raise _Superseded
                case "conflict":
                    self._refused(
                        f"another indicators process computes with '{answer.what}', this one with"
                        f" '{self._plan.parameters}': stop one of them"
                    )
                    await asyncio.sleep(_REFUSED_PAUSE_S)
                case "ahead":
                    self._heartbeat.state = f"waiting for the detector, which is at {answer.what}"
                    await asyncio.sleep(_AHEAD_PAUSE_S)

    def _refused(self, reason: str) -> None:
        self._heartbeat.state = f"refused: {reason}"
        if reason != self._refusal:
            log.error("%s", reason)
            self._refusal = reason

    def _report(self, engine: Engine, entries: Sequence[IndicatorsEntry]) -> None:
        self._refusal = ""
        heartbeat = self._heartbeat
        heartbeat.state = "running"
        heartbeat.facts["position"] = engine.position
        heartbeat.counters["entries"] += len(entries)
        now_ms = time.time() * 1000
        for entry in entries[-2:]:
            heartbeat.facts[f"last_{entry.timeframe}"] = str(entry.boundary_ms)
            heartbeat.took("frame_to_indicators", now_ms - entry.received_at_ms)

    async def own(self) -> None:
        """Keep telling other processes with which parameters this one computes."""
        client, key = self._access.client, keys.owner(self._symbol)
        mine = self._plan.parameters.encode()

        async def renew() -> None:
            if await client.get(key) == mine:
                await client.pexpire(key, OWNER_TTL_MS)

        while True:
            await asyncio.sleep(_RENEW_S)
            await self._access.patiently(renew)

    async def disown(self) -> None:
        """On a clean end let a process with other parameters start at once."""
        client, key = self._access.client, keys.owner(self._symbol)
        async with asyncio.timeout(1):
            if await client.get(key) == self._plan.parameters.encode():
                await client.delete(key)


def _order(position: str) -> tuple[int, int]:
    boundary, _, rank = position.partition("-")
    return (int(boundary), int(rank)) if boundary else (-1, -1)
