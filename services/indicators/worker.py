"""Drives the engine: reads klines, commits entries and snapshot together, rebuilds when it must.

Cold start, restart and parameter change are one path: load the snapshot, or, when there is none
that fits, read the retained klines from their start, silently up to the last position that was
committed.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from services.indicators import snapshot
from services.indicators.engine import Engine, Plan
from shared import keys
from shared.candle import Candle, missing_candle, read_candle
from shared.entry_id import order, readable
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.indicators_entry import IndicatorsEntry
from shared.malformed import Malformed
from shared.redis_access import RedisAccess
from shared.redis_damage import delete
from shared.settings import Streams
from shared.streams import Entry, IndicatorsWriter, read
from shared.times import LATEST_MS, utc

log = logging.getLogger(__name__)

BLOCK_MS = 1000
BATCH = 250
# One timeframe may run ahead of the others in memory only so far; the rest stays in Redis.
MOST_WAITING = 2000
OWNER_TTL_MS = 15_000
_RENEW_S = 5.0
_REFUSED_PAUSE_S = 1.0
_AHEAD_PAUSE_S = 0.02


# Reads in vain before the ends of the streams are looked at.
_SILENT_READS = 10
# The entries of a lost state may end later than the candles that have come again.
_PLAUSIBLE_MS = 3_600_000
# Clocks are wrong by hours (a time zone), hardly by more.
_DAY_MS = 86_400_000


class _Superseded(Exception):
    """Another instance has committed further: continue from its state."""


class _Unread(Exception):
    """Candles that were read are not there any more, and nothing was computed from them."""


class _Lost(Exception):
    """The indicators stream ends before the last entry that was output."""


@dataclass(frozen=True, slots=True)
class _Start:
    """What a follower begins with.

    Attributes:
        committed: The position in Redis.
        silent_to: What is released up to here was written before.
        output: The last entry that is known to have been written.
    """

    engine: Engine
    committed: str
    silent_to: str
    output: str


class Worker:
    """One market's indicators, from klines to committed entries."""

    def __init__(
        self,
        access: RedisAccess,
        symbol: str,
        plan: Plan,
        settings: Streams,
        *,
        heartbeat: Heartbeat,
        events: EventsWriter,
    ) -> None:
        """Work on ``symbol`` (``BTCUSDT``) by ``plan``."""
        self._access, self._symbol, self._plan = access, symbol, plan
        self._heartbeat, self._events = heartbeat, events
        self._writer = IndicatorsWriter(access, symbol, settings, plan.parameters)
        self._refusal = ""
        self._loaded = False
        self._silent_reads = 0
        self._in_the_way = ""
        self._read_to: dict[str, str] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        trust = True
        while True:
            start = await self._load(trust=trust)
            trust = True
            try:
                await self._follow(start)
            except _Superseded:
                self._heartbeat.counters["superseded"] += 1
            except _Unread:
                log.warning("candles that were read have been deleted; reading again")
            except _Lost as loss:
                trust = False
                self._heartbeat.counters["losses"] += 1
                what = f"indicators entries after {str(loss) or '-'}"
                log.error("Redis has lost %s", what)
                await self._events.lost(what)

    async def _load(self, *, trust: bool) -> _Start:
        """What to continue with; from the snapshot, if that is to be trusted."""
        packed, committed, top = await self._access.patiently(self._stored)
        if packed is not None and trust:
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
                    return _Start(engine, committed, committed, engine.output)
                log.warning("snapshot and position differ; rebuilding from the retained klines")
        silent_to = min(committed, top, key=order)
        log.info("computing from the first retained kline on, silent up to %s", silent_to or "-")
        return _Start(Engine(self._plan), committed, silent_to, silent_to)

    async def _stored(self) -> tuple[bytes | None, str, str]:
        """Snapshot, position and last entry, read in one step lest a twin commits between them."""
        async with self._access.client.pipeline(transaction=True) as pipe:
            pipe.mget([keys.state(self._symbol)])  # None where something else is
            pipe.hget(keys.progress(self._symbol), "indicators")
            pipe.xrevrange(keys.indicators(self._symbol), count=1)
            [packed], position, last = await pipe.execute()
        committed = readable(position)
        if position and not committed:
            key = keys.progress(self._symbol)
            log.error("%s: indicators holds %.80r, which is no position", key, position)
        return packed, committed, last[0][0].decode() if last else ""

    async def _follow(self, start: _Start) -> None:
        """Read, compute and commit until cancelled.

        Raises:
            _Superseded: Another instance has committed further.
            _Lost: What was output is not there any more.
            _Unread: Candles that were read are not.
        """
        engine, committed, output = start.engine, start.committed, start.output
        self._read_to = {
            keys.klines(self._symbol, name): f"{engine.fed(name) or 0}-0"
            for name in self._plan.intervals
        }
        while True:
            await self._read(engine)
            more = True
            while more:
                entries = engine.release(BATCH)
                more = len(entries) == BATCH
                if order(engine.position) > order(start.silent_to):
                    await self._commit(engine, committed, entries, output)
                    committed, output = engine.position, engine.output

    async def _read(self, engine: Engine) -> None:
        positions = {
            stream: read_to
            for name, (stream, read_to) in zip(
                self._plan.intervals, self._read_to.items(), strict=True
            )
            if engine.waiting(name) < MOST_WAITING
        }
        batches = await read(self._access, positions, count=BATCH, block_ms=BLOCK_MS)
        self._silent_reads = 0 if batches else self._silent_reads + 1
        began = dict(self._read_to)
        if self._silent_reads and self._silent_reads % _SILENT_READS == 0:
            await self._explain_silence(engine)
        for stream, entries in batches.items():
            name = stream.rpartition(":")[2]
            for hole in engine.feed(name, self._candles(name, entries, engine.fed(name))):
                self._heartbeat.counters["holes"] += 1
                log.error(
                    "klines %s: expected the candle of %s, found that of %s; candles were deleted,"
                    " the indicators of %s start afresh",
                    hole.timeframe, utc(hole.expected_ms), utc(hole.found_ms), hole.timeframe,
                )  # fmt: skip
            self._heartbeat.data_seen()
        if batches and self._read_to == began:  # what was refused comes again at once
            await asyncio.sleep(BLOCK_MS / 1000)

    async def _explain_silence(self, engine: Engine) -> None:
        """Say that candles were lost which ingest has not brought back, if it is that.

        Raises:
            _Unread: They were read, but nothing was computed from them.
        """
        for name in self._plan.intervals:
            stream = keys.klines(self._symbol, name)
            end = await self._end_of(stream)
            end_ms, computed_ms = max(0, order(end)[0]), engine.released(name) or 0
            if computed_ms <= end_ms and order(end or "0-0") < order(self._read_to[stream]):
                raise _Unread
            if end_ms < computed_ms:
                self._waiting(
                    f"waiting for the {name} candles to come again up to {utc(computed_ms)}, as far"
                    f" as was computed; they end at {utc(end_ms) if end_ms else 'nothing'}"
                )
                return
        await self._explain_refusal(engine)

    async def _explain_refusal(self, engine: Engine) -> None:
        """Say once that an entry is in the way which is later than all candles, if there is one."""
        stream = keys.indicators(self._symbol)
        top, plausible_ms = await self._end_of(stream), order(engine.position)[0] + _PLAUSIBLE_MS
        if engine.position and order(top)[0] > plausible_ms and top != self._in_the_way:
            self._in_the_way = top
            log.critical(
                "%s ends with %s, but the candles with %s: nothing can be written before that;"
                " unless candles of then are to come, %s",
                stream, top, engine.position, delete(stream),
            )  # fmt: skip

    async def _end_of(self, stream: str) -> str:
        """The ID of the last entry, "" if there is none."""
        found = await self._access.patiently(lambda: self._access.client.xrevrange(stream, count=1))
        entries = cast("list[Entry]", found)
        return entries[0][0].decode() if entries else ""

    def _candles(self, name: str, entries: Sequence[Entry], fed_ms: int | None) -> Iterator[Candle]:
        """The candles of these entries; one that somebody has spoilt counts as missing.

        One that lies in the future and not behind the last is waited for: behind it the others
        would go on without what is still to come.
        """
        stream = keys.klines(self._symbol, name)
        for entry_id, fields in entries:
            boundary_ms, number = order(entry_id.decode())
            if fed_ms is not None and self._is_too_early(boundary_ms, fed_ms, name):
                return
            self._read_to[stream] = entry_id.decode()
            if number or boundary_ms % self._plan.intervals[name] or boundary_ms >= LATEST_MS:
                self._heartbeat.counters["malformed"] += 1
                log.error("klines %s: entry %r is of no %s candle; skipped", name, entry_id, name)
                continue
            fed_ms = boundary_ms
            try:
                yield read_candle(entry_id, fields)
            except Malformed as error:
                self._heartbeat.counters["malformed"] += 1
                log.error("%s; it counts as missing", error)
                yield missing_candle(boundary_ms, 0, 0)

    def _is_too_early(self, boundary_ms: int, fed_ms: int, name: str) -> bool:
        behind_ms = fed_ms + self._plan.intervals[name]
        if boundary_ms <= behind_ms or boundary_ms <= time.time() * 1000 + _DAY_MS:
            return False
        stream = keys.klines(self._symbol, name)
        self._waiting(
            f"waiting for the {name} candle of {utc(behind_ms)}; {stream} holds one of"
            f" {utc(boundary_ms)}, and takes none before it: {delete(stream)}",
            logging.CRITICAL,
        )
        return True

    async def _commit(
        self, engine: Engine, committed: str, entries: Sequence[IndicatorsEntry], output: str
    ) -> None:
        packed = snapshot.pack(engine)
        while True:
            answer = await self._writer.commit(
                committed, engine.position, packed, entries, OWNER_TTL_MS, output=output
            )
            match answer.status:
                case "ok":
                    self._report(engine, entries)
                    return
                case "duplicate":
                    raise _Superseded
                case "lost":
                    raise _Lost(answer.what)
                case "conflict":
                    self._waiting(
                        "refused: "
                        f"another indicators process computes with '{answer.what}', this one with"
                        f" '{self._plan.parameters}': stop one of them (if there is no other, a"
                        f" person wrote it: DEL {keys.owner(self._symbol)})"
                    )
                    await asyncio.sleep(_REFUSED_PAUSE_S)
                case "ahead":
                    self._heartbeat.state = f"waiting for the detector, which is at {answer.what}"
                    await asyncio.sleep(_AHEAD_PAUSE_S)

    def _waiting(self, reason: str, level: int = logging.ERROR) -> None:
        self._heartbeat.state = reason
        if reason != self._refusal:
            log.log(level, "%s", reason)
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
            if await client.mget([key]) == [mine]:
                await client.pexpire(key, OWNER_TTL_MS)

        while True:
            await asyncio.sleep(_RENEW_S)
            await self._access.patiently(renew)

    async def disown(self) -> None:
        """On a clean end let a process with other parameters start at once."""
        client, key = self._access.client, keys.owner(self._symbol)
        async with asyncio.timeout(1):
            if await client.mget([key]) == [self._plan.parameters.encode()]:
                await client.delete(key)
