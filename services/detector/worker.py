"""Reads indicators entries, judges each once, emits signals, keeps the factor boards."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NoReturn, cast

from services.detector.rules import Rules, crossover, evaluate, factors, leaning
from shared import keys
from shared.entry_id import order, readable
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.indicators_entry import IndicatorsEntry, read_indicators
from shared.malformed import Malformed
from shared.market import Market, read_market
from shared.redis_access import RedisAccess, flat
from shared.redis_damage import delete
from shared.streams import Entry, Judged, SignalsWriter, read
from shared.times import utc
from shared.trade_signal import Signal

log = logging.getLogger(__name__)

BLOCK_MS = 1000
BATCH = 500
_BEGINNING = "0-0"
# The exchange changes a tick size about once in years.
_MARKET_FRESH_S = 3600.0
# An entry so far behind the one before it may be none that indicators wrote.
_JUMP_MS = 3_600_000


class _Lost(Exception):
    """What was judged after this entry is to be judged again; says why."""

    def __init__(self, position: str, why: str) -> None:
        super().__init__(f"{why}; evaluating again after {position}")
        self.position = position


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
        self._reached = ""
        self._position = _BEGINNING
        self._last_read = self._told = ""
        self._doubted = ("", "")

    async def run(self) -> None:
        """Work until cancelled."""
        symbol = self._market.symbol
        stored = await self._access.value(keys.cursor(symbol))
        self._position = readable(stored) or _BEGINNING
        if stored and not readable(stored):
            key = keys.cursor(symbol)
            log.error("%s holds %.80r, which is no position; judging all again", key, stored)
        self._writer.continue_after(readable(stored))
        log.info("evaluating after %s", self._position)
        stream = keys.indicators(symbol)
        while True:
            after = {stream: self._position}
            batch = await read(self._access, after, count=BATCH, block_ms=BLOCK_MS)
            try:
                await self._take(batch.get(stream, []))
            except _Lost as loss:
                self._position = loss.position
                self._heartbeat.counters["losses"] += 1
                log.error("%s", loss)
                await self._events.lost(f"what was judged after {self._position}")

    async def _take(self, entries: Sequence[Entry]) -> None:
        written = await self._written(entries)
        if written:
            self._reached = ""
            await self._judge(written)
            self._position = written[-1][0].decode()
            return
        if entries:  # read again at once otherwise, for as long as nobody deletes them
            await asyncio.sleep(BLOCK_MS / 1000)
        await self._idle()

    async def _written(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those that indicators wrote: none is beyond its position, with which it writes them.

        What a person added beyond would be taken for the latest, and hide all that is to come.
        """
        if not entries:
            return entries
        last = entries[-1][0].decode()
        if order(last)[0] - order(self._position)[0] <= _JUMP_MS:
            return entries
        reached = await self._indicators_reached()
        written = [each for each in entries if order(each[0].decode()) <= order(reached)]
        if not reached or len(written) == len(entries):
            return entries
        again = (last, reached) == self._doubted  # indicators may be computing up to there
        self._doubted = (last, reached)
        if again and self._told != last:
            self._told = last
            stream = keys.indicators(self._market.symbol)
            log.error(
                "%s ends with %s, which indicators, being at %s, has not written; skipped;"
                " unless candles of then are to come, %s",
                stream, last, reached, delete(stream),
            )  # fmt: skip
        return written

    async def _indicators_reached(self) -> str:
        key = keys.progress(self._market.symbol)
        found = await self._access.patiently(lambda: self._access.client.hget(key, "indicators"))
        return readable(cast("bytes | None", found))

    async def _idle(self) -> None:
        """Tell writers that nothing is left to judge, or go back where that cannot be.

        Entries exist only at candles, so their last one can be long before what indicators has
        passed: a writer that waits for this reader would wait for ever. And a cursor
        beyond that is not of these candles: what is to come would be skipped.

        Raises:
            _Lost: The position is beyond the indicators.
        """
        key, before = keys.progress(self._market.symbol), self._reached
        fields = await self._access.fields(key)
        reached, told = (readable(fields.get(name)) for name in (b"indicators", b"detector"))
        self._reached = reached
        if not reached or reached != before:  # what was reached now may not be read yet
            return
        if order(self._position) > order(reached):
            await self._go_back(self._position, reached, told)
        if told != reached:
            await self._access.patiently(lambda: self._access.client.hset(key, "detector", reached))

    async def _go_back(self, cursor: str, reached: str, known: str) -> NoReturn:
        """Judge again after what is ``known`` to have been judged, if that can be.

        Raises:
            _Lost: Always.
        """
        back = known if known and order(known) <= order(reached) else _BEGINNING
        await self._writer.go_back(back)
        raise _Lost(
            back,
            f"the cursor {cursor} is beyond the indicators, which are at {reached}: Redis has lost"
            " data, has those of another exchange, or was edited",
        )

    async def _judge(self, entries: Sequence[Entry]) -> None:
        latest: dict[str, IndicatorsEntry] = {}
        self._last_read, stands = entries[-1][0].decode(), ""
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
                stands = await self._decide(entry) or stands
        if stands != self._last_read:
            await self._advance(self._last_read, None)
        await self._note(self._last_read, latest)

    async def _advance(self, entry_id: str, signal: Signal | None) -> Judged:
        judged = await self._writer.judge(entry_id, signal)
        if judged.status == "lost":
            raise _Lost(judged.what or _BEGINNING, "Redis has lost data, or was edited")
        if judged.status == "duplicate" and order(judged.what) > order(self._last_read):
            reached = await self._indicators_reached()  # a twin may be ahead of us, but not of that
            if reached and order(judged.what) > order(reached):
                await self._go_back(judged.what, reached, self._position)
        return judged

    async def _decide(self, entry: IndicatorsEntry) -> str:
        """Emit what the entry gives, if anything; where the cursor stands by that, if it does."""
        market = await self._current_market()
        signal = evaluate(entry, self._rules, market, time.time() * 1000)
        if signal is None:
            return ""
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
            case _:
                return ""
        return entry.entry_id

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
            key = keys.market(self._market.symbol)
            found = await self._access.aside(lambda: self._access.client.hgetall(key))
            fields = cast("dict[bytes, bytes] | None", found)
            if fields:
                self._market_read = time.monotonic()
                try:
                    self._market = read_market(fields, self._market)
                except Malformed as error:
                    log.error("%s: %s; not used", key, error)
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
                    pipe.delete(keys.board(symbol, timeframe))  # whatever a person made of it
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
