"""Asks Redis for everything that ``status`` judges and shows.

It only reads, and never waits. What cannot be read (absent, another type, refused by an ACL, edited
by hand) counts as absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from cli import clock
from cli.mute_state import muted_words
from cli.readable_signal import readable
from cli.status.answers import Entries, count, exclusive, place, whole
from cli.status.facts import (
    Board,
    Candles,
    Channel,
    Factor,
    Facts,
    Instance,
    LastSignal,
    Reader,
    Standing,
)
from cli.status.heartbeat import instance_of
from cli.status.server import redis_facts
from shared import keys
from shared.candle import read_candle
from shared.event import read_trouble
from shared.log import Line
from shared.malformed import Malformed
from shared.redis_remedies import shown_url
from shared.settings import Settings
from shared.timeframe import interval_ms
from shared.trade_signal import FACTORS
from shared.wellbeing import oldest_healthy_ms

# Entries behind are counted up to here; beyond, how many more matters to nobody.
COUNTED = 1000
# More tests than that in a row make the last signal unknown.
_RECENT = 50


async def gather(client: Redis, settings: Settings) -> Facts:
    """Everything that Redis knows."""
    return await Gatherer(client, settings).facts()


class Gatherer:
    """Asks in four round trips, and reads the answers as what they are for people."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        """Texts are shown without secrets and control characters."""
        self._client, self._settings = client, settings
        self._symbol = settings.exchange.market
        self._frames = settings.feed_timeframes
        self._clean = Line("status", settings.secrets()).clean
        self._now_ms = clock.now_ms()

    async def facts(self) -> Facts:
        """See ``Facts``."""
        settings, symbol = self._settings, self._symbol
        services = await self._services()
        exchange, channels = settings.exchange, settings.channels
        first = await self._ask(
            {
                "server": ("INFO", "server"),
                "memory": ("INFO", "memory"),
                "persistence": ("INFO", "persistence"),
                "progress": ("HGETALL", keys.progress(symbol)),
                "totals": ("HGETALL", keys.totals(symbol)),
                "cursor": ("GET", keys.cursor(symbol)),
                "troubles": ("HGETALL", keys.TROUBLES),
                "groups": ("XINFO GROUPS", keys.SIGNALS),
                "indicators": ("XREVRANGE", keys.indicators(symbol), "+", "-", "COUNT", 1),
                "signals": ("XREVRANGE", keys.SIGNALS, "+", "-", "COUNT", _RECENT),
                "mute": ("GET", keys.MUTE),
                "mute ends": ("PTTL", keys.MUTE),
                "quiet": ("HGETALL", keys.QUIET),
                **{f"length {stream}": ("XLEN", stream) for stream in self._streams()},
                **{
                    f"last {name}": (
                        "XREVRANGE", keys.klines(symbol, name), "+", "-", "COUNT", 1,
                    )
                    for name in self._frames
                },
                **{
                    f"board {name}": ("HGETALL", keys.board(symbol, name))
                    for name in exchange.timeframes
                },
                **{f"totals {name}": ("HGETALL", keys.deliveries(name)) for name in channels},
                **{f"dead {name}": ("XLEN", keys.dead(name)) for name in channels},
                **{f"pending {name}": ("XPENDING", keys.SIGNALS, name) for name in channels},
                **{
                    f"oldest {name}": ("XPENDING", keys.SIGNALS, name, "-", "+", 1)
                    for name in channels
                },
            }
        )  # fmt: skip
        readers = await self._readers(first)
        found_channels = await self._channels(first)
        return Facts(
            at_ms=self._now_ms,
            symbol=exchange.symbol,
            min_confidence=settings.signal_rules.min_confidence,
            beat_interval_ms=round(settings.health.interval_seconds * 1000),
            redis=redis_facts(shown_url(settings.redis.effective_url), first),
            services=services,
            candles=tuple(self._candles(first)),
            readers=readers,
            boards=tuple(self._boards(first)),
            channels=found_channels,
            streams={name: count(first[f"length {name}"]) for name in self._streams()},
            last_signal=self._last_signal(first["signals"]),
            muted=muted_words(
                first["mute"], first["mute ends"], first["quiet"], settings, self._now_ms
            ),
            troubles=tuple(self._troubles(first["troubles"])),
            max_clock_skew_ms=(
                None
                if exchange.max_clock_skew_seconds is None
                else exchange.max_clock_skew_seconds * 1000
            ),
        )

    def _streams(self) -> tuple[str, ...]:
        klines = [keys.klines(self._symbol, name) for name in self._frames]
        return (*klines, keys.indicators(self._symbol), keys.SIGNALS, keys.EVENTS)

    async def _ask(self, questions: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """All commands in one round trip; None where the answer is an error."""
        pipe = self._client.pipeline(transaction=False)
        for command in questions.values():
            ranged = command[0] == "XPENDING" and len(command) > 3
            pipe.execute_command(*command, **({"parse_detail": True} if ranged else {}))
        answers = await pipe.execute(raise_on_error=False)
        known: dict[str, Any] = {}
        for (name, command), answer in zip(questions.items(), answers, strict=True):
            if isinstance(answer, NoPermissionError) and command[0] != "INFO":
                raise answer
            known[name] = None if isinstance(answer, Exception) else answer
        return known

    def _texts(self, fields: Mapping[bytes, bytes] | None) -> dict[str, str]:
        return {self._text(name): self._text(value) for name, value in (fields or {}).items()}

    def _text(self, raw: bytes) -> str:
        return self._clean(raw.decode(errors="replace"))

    # --- services

    async def _services(self) -> tuple[Instance, ...]:
        found = [key async for key in self._client.scan_iter(match="health:*", count=5000)]
        answers = await self._ask({key: ("HGETALL", key) for key in sorted(found)})
        self._now_ms = clock.now_ms()  # after the heartbeats, so that none is from the future
        beats = [self._texts(fields) for fields in answers.values() if fields]
        return tuple(instance_of(beat, self._now_ms) for beat in beats if "service" in beat)

    # --- candles and their readers

    def _candles(self, first: Mapping[str, Any]) -> Iterator[Candles]:
        exchange, totals = self._settings.exchange, self._texts(first["totals"])
        for name in reversed(self._frames):
            close_ms, age_ms, price, source = self._last_candle(first[f"last {name}"])
            yield Candles(
                timeframe=name,
                length=count(first[f"length {keys.klines(self._symbol, name)}"]),
                published=whole(totals.get(name, "")) or 0,
                missing=whole(totals.get(f"{name} missing", "")) or 0,
                last_close_ms=close_ms,
                age_ms=age_ms,
                limit_ms=oldest_healthy_ms(
                    interval_ms(name),
                    exchange.close_deadline_seconds,
                    exchange.missing_after_seconds,
                ),
                price=price,
                source=source,
            )

    def _last_candle(
        self, entries: Entries | None
    ) -> tuple[int | None, int | None, float | None, str]:
        """Close, age by the exchange's clock, price and source."""
        if not entries:
            return None, None, None, ""
        try:
            candle = read_candle(*entries[0])
        except Malformed:
            close_ms = place(entries[0][0])[0]
            return close_ms, self._now_ms - close_ms, None, "unreadable"
        age_ms = candle.lag_ms + max(0, self._now_ms - candle.received_at_ms)
        price = None if candle.missing else candle.close
        return candle.boundary_ms, age_ms, price, candle.source

    async def _readers(self, first: Mapping[str, Any]) -> tuple[Reader, ...]:
        symbol = self._symbol
        done = (first["progress"] or {}).get(b"indicators")
        judged: bytes | None = first["cursor"]
        at_ms, at_rank = place(done)
        # Where several timeframes close at once, only those of higher rank are still to come.
        after = {
            name: "-" if done is None else f"({at_ms}" if rank <= at_rank else f"{at_ms}"
            for rank, name in enumerate(self._frames)
        }
        later = await self._ask(
            {
                **{
                    name: ("XRANGE", keys.klines(symbol, name), start, "+", "COUNT", COUNTED)
                    for name, start in after.items()
                },
                "indicators": (
                    "XRANGE", keys.indicators(symbol), exclusive(judged), "+", "COUNT", COUNTED,
                ),
            }
        )  # fmt: skip
        klines: Entries = sorted(
            (entry for name in self._frames for entry in later[name] or []),
            key=lambda entry: place(entry[0]),
        )
        bound = any(len(later[name] or []) == COUNTED for name in self._frames)
        last = [first[f"last {name}"] for name in self._frames]
        newest = max((place(entries[0][0])[0] for entries in last if entries), default=0)
        entries: Entries = later["indicators"] or []
        last_entry = first["indicators"]
        last_ms = place(last_entry[0][0])[0] if last_entry else 0
        return (
            self._reader("indicators", done, klines, newest, bound),
            self._reader("detector", judged, entries, last_ms, len(entries) == COUNTED),
        )

    def _reader(
        self, service: str, position: bytes | None, behind: Entries, newest_ms: int, bound: bool
    ) -> Reader:
        start_ms = place(position or (behind[0][0] if behind else None))[0]
        received = whole(self._texts(behind[0][1]).get("received_at", "")) if behind else None
        return Reader(
            service=service,
            position=None if position is None else self._text(position),
            behind=len(behind),
            behind_at_least=bound,
            behind_ms=max(0, newest_ms - start_ms) if behind else 0,
            oldest_wait_ms=None if received is None else max(0, self._now_ms - received),
        )

    def _boards(self, first: Mapping[str, Any]) -> Iterator[Board]:
        for name in self._settings.exchange.timeframes:
            shown = self._texts(first[f"board {name}"])
            if not shown:
                continue
            factors = []
            for factor in FACTORS:
                met, _, why = shown.get(factor, "no: unknown").partition(": ")
                factors.append(Factor(factor, met == "yes", why))
            yield Board(
                timeframe=name,
                close_time_ms=whole(shown.get("close_time_ms", "")) or 0,
                side=shown.get("side", "?"),
                confidence=sum(factor.met for factor in factors),
                factors=tuple(factors),
            )

    # --- delivery

    async def _channels(self, first: Mapping[str, Any]) -> tuple[Channel, ...]:
        rows: list[dict[str, Any]] = first["groups"] or []
        groups = {row["name"].decode(errors="replace"): row for row in rows}
        reached = {
            name: groups.get(name, {}).get("last-delivered-id") for name in self._settings.channels
        }
        unread = await self._ask(
            {
                name: ("XRANGE", keys.SIGNALS, exclusive(position), "+", "COUNT", COUNTED)
                for name, position in reached.items()
            }
        )
        return tuple(
            self._channel(name, groups.get(name), unread[name] or [], first)
            for name in self._settings.channels
        )

    def _channel(
        self,
        name: str,
        group: dict[str, Any] | None,
        unread: Entries,
        first: Mapping[str, Any],
    ) -> Channel:
        totals = self._texts(first[f"totals {name}"])
        bound = len(unread) == COUNTED
        lag = (group or {}).get("lag")
        oldest = first[f"oldest {name}"]
        pending = first[f"pending {name}"]
        return Channel(
            name=name,
            group=group is not None,
            behind=max(lag, COUNTED) if bound and isinstance(lag, int) else len(unread),
            behind_at_least=bound and not isinstance(lag, int),
            oldest_behind_ms=self._since_added(unread),
            pending=pending["pending"] if pending else 0,
            oldest_pending_ms=self._since_added([(oldest[0]["message_id"], {})])
            if oldest
            else None,
            attempts=oldest[0]["times_delivered"] if oldest else 0,
            delivered=whole(totals.get("delivered", "")) or 0,
            failed_attempts=whole(totals.get("failed_attempts", "")) or 0,
            dead_letters=count(first[f"dead {name}"]),
            last_delivered=totals.get("last_delivered", ""),
            last_delivered_at_ms=whole(totals.get("last_delivered_at", "")),
            last_delivery_ms=whole(totals.get("last_delivery_ms", "")),
            last_failure=totals.get("last_failure", ""),
            last_failure_at_ms=whole(totals.get("last_failure_at", "")),
        )

    def _since_added(self, entries: Entries) -> int | None:
        return max(0, self._now_ms - place(entries[0][0])[0]) if entries else None

    def _last_signal(self, entries: Entries | None) -> LastSignal | None:
        """The newest that is no test."""
        own = [each for each in entries or [] if each[1].get(b"test") != b"1"]
        if not own:
            return None
        entry_id, fields = own[0]
        added_ms = place(entry_id)[0]
        try:
            signal = readable(entry_id, fields)
        except Malformed as error:
            words = self._clean(f"unreadable: {error}")
            return LastSignal(entry_id.decode(), words, added_ms, None, stale=False)
        return LastSignal(
            signal.id, self._clean(signal.sentence), added_ms, signal.close_time_ms, signal.stale
        )

    def _troubles(self, fields: Mapping[bytes, bytes] | None) -> Iterator[Standing]:
        for subject, held in sorted((fields or {}).items()):
            if (trouble := read_trouble(held)) is not None:
                yield Standing(self._text(subject), trouble.state, trouble.since_ms)
