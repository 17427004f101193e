"""Reads indicators entries, judges each once, emits signals, keeps the factor boards."""

import logging
import time
from collections.abc import Sequence

from services.detector.rules import Rules, crossover, evaluate, factors, leaning
from shared import keys
from shared.health import Heartbeat
from shared.indicators_entry import IndicatorsEntry, read_indicators
from shared.malformed import Malformed
from shared.market import Market, read_market
from shared.redis_access import RedisAccess, flat
from shared.streams import Entry, SignalsWriter, read
from shared.times import utc
from shared.trade_signal import Signal

log = logging.getLogger(__name__)

BLOCK_MS = 1000
BATCH = 500
# The exchange changes a tick size about once in years.
_MARKET_FRESH_S = 3600.0


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
    ) -> None:
        """Evaluate the entries of ``timeframes``; the others are there for their trend only."""
        self._access, self._writer, self._rules = access, writer, rules
        self._market, self._market_read = market, float("-inf")
        self._timeframes, self._heartbeat = frozenset(timeframes), heartbeat

    async def run(self) -> None:
        """Work until cancelled."""
        symbol = self._market.symbol
        stored = await self._access.value(keys.cursor(symbol))
        position = stored.decode() if stored else "0-0"
        log.info("evaluating after %s", position)
        stream = keys.indicators(symbol)
        while True:
            batch = await read(self._access, {stream: position}, count=BATCH, block_ms=BLOCK_MS)
            for entries in batch.values():
                await self._judge(entries)
                position = entries[-1][0].decode()

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
        await self._writer.judge(last, None)
        await self._note(last, latest)

    async def _decide(self, entry: IndicatorsEntry) -> None:
        market = await self._current_market()
        signal = evaluate(entry, self._rules, market, time.time() * 1000)
        if signal is None:
            return
        judged = await self._writer.judge(entry.entry_id, signal)
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
