"""Reads indicators entries, judges each once, emits signals, keeps the factor boards."""

import logging
import time
from collections.abc import Sequence

from services.detector.rules import Rules, crossover, evaluate, factors, leaning
from shared import keys
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.indicators_entry import IndicatorsEntry, read_indicators
from shared.malformed import Malformed
from shared.market import Market, read_market
from shared.redis_access import RedisAccess, flat
from shared.streams import Entry, Judged, SignalsWriter, read
from shared.times import utc
from shared.trade_signal import Signal

log = logging.getLogger(__name__)

BLOCK_MS = 1000
BATCH = 500
_BEGINNING = "0-0"
# The exchange changes a tick size about once in years.
_MARKET_FRESH_S = 3600.0


class _Lost(Exception):
    """Redis has lost what was judged after this entry."""


class Worker:
    """One market's detector, from indicators entries to emitted signals."""

    def __init__(
        self,
        access: RedisAccess,
        writer: SignalsWriter,
        *,
        market: Market,
        timeframes: Sequence[str],
        rules: Rules,
        heartbeat: Heartbeat,
        events: EventsWriter,
    ) -> None:
        """Evaluate the entries of ``timeframes``; the others are there for their trend only."""
        self._access, self._writer, self._rules = access, writer, rules
        self._market, self._market_read = market, float("-inf")
        self._timeframes, self._heartbeat = frozenset(timeframes), heartbeat
        self._events = events
        self._reached: str | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        symbol = self._market.symbol
        stored = await self._access.value(keys.cursor(symbol))
        position = stored.decode() if stored else _BEGINNING
        log.info("evaluating after %s", position)
        stream = keys.indicators(symbol)
        while True:
            batch = await read(self._access, {stream: position}, count=BATCH, block_ms=BLOCK_MS)
            if not batch:
                position = await self._idle(position)
                continue
            self._reached = None
            try:
                for entries in batch.values():
                    await self._judge(entries)
                    position = entries[-1][0].decode()
            except _Lost as loss:
                position = str(loss) or _BEGINNING
                self._heartbeat.counters["losses"] += 1
                log.error("Redis has lost data; evaluating again after %s", position)
                await self._events.lost(f"what was judged after {position}")

    async def _idle(self, position: str) -> str:
        """Tell writers that nothing is left to judge; the position to go on from.

        Entries exist only at candles, so their last one can be long before what indicators has
        passed: a writer that waits for this reader would wait for ever. And a cursor
        beyond that is not of these candles: what is to come would be skipped.
        """
        key, before = keys.progress(self._market.symbol), self._reached
        fields = await self._access.fields(key)
        reached, told = (
            None if (at := fields.get(name)) is None else at.decode()
            for name in (b"indicators", b"detector")
        )
        self._reached = reached
        if reached is None or reached != before:  # what was reached now may not be read yet
            return position
        if _order(position) > _order(reached):
            self._heartbeat.counters["losses"] += 1
            log.error(
                "the cursor %s is beyond the indicators, which are at %s: Redis has lost data, or"
                " has those of another exchange; evaluating again from there", position, reached,
            )  # fmt: skip
            await self._writer.go_back(reached)
            await self._events.lost(f"indicators entries between {reached} and {position}")
            return reached
        if told != reached:
            await self._access.patiently(lambda: self._access.client.hset(key, "detector", reached))
        return position

    async def _judge(self, entries: Sequence[Entry]) -> None:
        latest: dict[str, IndicatorsEntry] = {}
        for entry_id, fields in entries:
            try:
                entry = read_indicators(entry_id, fields)
            except Malformed as error:
                self._heartbeat.counters["malformed"] += 1
                log.error("%s; skipped", error)
                continue
            if entry.timeframe not in self._timeframes:
                continue
            latest[entry.timeframe] = entry
            self._heartbeat.counters["evaluated"] += 1
            if crossover(entry) is not None:
                await self._decide(entry)
        last = entries[-1][0].decode()
        await self._advance(last, None)
        await self._note(last, latest)

    async def _advance(self, entry_id: str, signal: Signal | None) -> Judged:
        judged = await self._writer.judge(entry_id, signal)
        if judged.status == "lost":
            raise _Lost(judged.what)
        return judged

    async def _decide(self, entry: IndicatorsEntry) -> None:
        market = await self._current_market()
        signal = evaluate(entry, self._rules, market, time.time() * 1000)
        if signal is None:
            return
        judged = await self._advance(entry.entry_id, signal)
        match judged.status:
            case "emitted":
                self._emitted(signal)
            case "suppressed":
                self._heartbeat.counters["suppressed"] += 1
                when, _, price = judged.what.partition(",")
                log.info(
                    "%s suppressed: too near to the signal of %s at %s",
                    signal.id, utc(int(when)), price,
                )  # fmt: skip

    def _emitted(self, signal: Signal) -> None:
        heartbeat = self._heartbeat
        heartbeat.counters["stale" if signal.stale else "signals"] += 1
        heartbeat.facts["last_signal"] = signal.sentence
        if not signal.stale:
            heartbeat.took("frame_to_signal", time.time() * 1000 - signal.received_at_ms)
        log.info("%s (%s)", signal.sentence, signal.id)

    async def _current_market(self) -> Market:
        """The market with the tick size that ingest learned, asked for rarely."""
        if time.monotonic() - self._market_read > _MARKET_FRESH_S:
            fields = await self._access.fields(keys.market(self._market.symbol))
            if fields:
                self._market_read = time.monotonic()
                self._market = read_market(fields, self._market)
        return self._market

    async def _note(self, position: str, latest: dict[str, IndicatorsEntry]) -> None:
        """Tell writers how far this reader has come, and people what the last verdicts were."""
        symbol, rules = self._market.symbol, self._rules
        self._heartbeat.data_seen()
        self._heartbeat.facts["position"] = position
        boards = {name: board(entry, rules) for name, entry in latest.items()}

        async def write() -> None:
            async with self._access.client.pipeline(transaction=False) as pipe:
                pipe.hset(keys.progress(symbol), "detector", position)
                for timeframe, shown in boards.items():
                    pipe.hset(keys.board(symbol, timeframe), items=flat(shown))
                await pipe.execute()

        await self._access.patiently(write)


def _order(entry_id: str) -> tuple[int, int]:
    boundary_ms, _, rank = entry_id.partition("-")
    return int(boundary_ms), int(rank or 0)


def board(entry: IndicatorsEntry, rules: Rules) -> dict[str, str]:
    """The factor board of one entry as flat text, for people."""
    side = crossover(entry) or leaning(entry)
    judged = factors(entry, side, rules)
    shown = {
        "closed_at": utc(entry.boundary_ms),
        "close_time_ms": str(entry.boundary_ms),
        "side": str(side),
        "confidence": str(sum(factor.met for factor in judged)),
    }
    for factor in judged:
        shown[factor.name] = f"{'yes' if factor.met else 'no'}: {factor.why}"
    return shown
