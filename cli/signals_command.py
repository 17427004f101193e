"""``signals``: the latest signals, and what became of each in every channel.

Whether somebody got a signal is read where the notifier records it, in its ledger, by the tags of
the recipients that are configured now; the group's pending list tells the rest.
"""

import asyncio
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from cli.asking import answered
from cli.dead_letters import Letterbox, tags_of
from cli.listing import INDENT, latest, patience_s, print_clean, unreadable, unreadable_document
from cli.readable_signal import readable
from cli.words import WIDTH
from services.notifier.dead_letter import DEAD, says_dead
from shared import keys
from shared.entry_id import order
from shared.log import Line
from shared.settings import Settings
from shared.times import lasting, utc
from shared.trade_signal import FACTORS, Signal

# More than the signals stream is likely to hold.
_MOST_PENDING = 20_000


_NOTHING = """\
No signals yet. `btc-scanner status` shows which factors of a signal the last candle met, and
whether all services run."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One channel's dealings with one signal.

    Attributes:
        state: ``delivered``, ``pending`` (a recipient is missing, it is tried again), ``unread``
            (no notifier has taken it yet), ``stale`` (too old when detected, never sent), ``dead``
            (given up for a recipient, nobody else is missing: a dead letter), ``muted`` (told by
            a digest, not sent), ``not meant`` (a test of another channel), or
            ``settled`` (the channel is done with it, and the ledger does not say how).
        delivered_to: Recipients who have it.
        took_ms: From the arrival of the candle to the last acceptance.
        attempts: While pending, 0 while unread; None later, as nobody keeps their number.
        given_up: Recipients for whom it ended as a dead letter.
    """

    channel: str
    state: str
    recipients: int
    delivered_to: int
    delivered_at_ms: int | None
    took_ms: int | None
    attempts: int | None
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of the stream; ``signal`` is None where it is ``malformed`` (why, in words)."""

    entry_id: str
    signal: Signal | None
    malformed: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """How far a channel's consumer group is.

    Attributes:
        reached: The last entry that it has given to a notifier.
        attempts: Of each pending entry.
    """

    reached: tuple[int, int]
    attempts: Mapping[bytes, int]


def run(settings: Settings, count: int, as_json: bool) -> int:
    """Print the latest ``count`` signals, newest first."""
    most = min(count, _MOST_PENDING)
    found = asyncio.run(
        answered(settings, lambda client: gather(client, settings, count), patience_s(most))
    )
    if as_json:
        print(json.dumps(document(found), indent=2))
    else:
        print_clean("signals", settings, text(found, tick=_tick(sys.stdout.encoding)))
    return 0


def _tick(encoding: str | None) -> str:
    try:
        "✓".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "ok"
    return "✓"


# --- what is known ----------------------------------------------------------------------------


async def gather(client: Redis, settings: Settings, count: int) -> list[Listed]:
    """The latest signals with their deliveries, newest first."""
    clean = Line("signals", settings.secrets()).clean
    signals = await latest(client, keys.SIGNALS, count, readable, clean)
    deliveries = await _deliveries(
        client,
        settings,
        [(key, known) for key, known in signals if not isinstance(known, str)],
    )
    return [
        Listed(entry_id.decode(), None, known, ())
        if isinstance(known, str)
        else Listed(entry_id.decode(), known, "", deliveries[entry_id])
        for entry_id, known in signals
    ]


async def _deliveries(
    client: Redis, settings: Settings, signals: Sequence[tuple[bytes, Signal]]
) -> dict[bytes, tuple[Delivery, ...]]:
    tags = {channel: tags_of(settings, channel) for channel in settings.channels}
    groups = {channel: await _group(client, channel, signals) for channel in tags}
    letters = await _dead_letters(client, settings, signals)
    pipe = client.pipeline(transaction=False)
    for _, signal in signals:
        pipe.mget([keys.muted(signal.id)])
        for channel, recipients in tags.items():
            pipe.mget([keys.delivered(channel, signal.id, tag) for tag in recipients])
    records = iter(cast("list[list[bytes | None]]", await pipe.execute()))
    found = {}
    for entry_id, signal in signals:
        muted = next(records) != [None]
        ends = {
            channel: [
                DEAD if (channel, signal.id, tag) in letters else record
                for tag, record in zip(recipients, next(records), strict=True)
            ]
            for channel, recipients in tags.items()
        }
        found[entry_id] = tuple(
            delivery(channel, entry_id, signal, ends[channel], groups[channel], muted=muted)
            for channel in tags
        )
    return found


async def _dead_letters(
    client: Redis, settings: Settings, signals: Sequence[tuple[bytes, Signal]]
) -> set[tuple[str, str, str]]:
    """Channel, signal and recipient of each letter that may be about one of ``signals``."""
    if not signals:
        return set()
    oldest_ms, _ = order(signals[-1][0].decode())  # a letter is written after its signal
    box = Letterbox(client, settings)
    found = await box.letters(settings.channels, after_ms=max(0, oldest_ms))
    return {(letter.channel, letter.alert_id, letter.recipient) for letter in found}


async def _group(client: Redis, channel: str, entries: Sequence[tuple[bytes, Any]]) -> _Group:
    """The group as far as it concerns ``entries`` (newest first)."""
    if not entries:
        return _Group((-1, -1), {})
    try:
        first, last = entries[-1][0].decode(), entries[0][0].decode()
        rows: Any = await client.xpending_range(
            keys.SIGNALS, channel, min=first, max=last, count=_MOST_PENDING
        )
        groups = await client.xinfo_groups(keys.SIGNALS)
    except ResponseError as error:
        if not str(error).startswith("NOGROUP"):
            raise
        return _Group((-1, -1), {})
    reached = next(row["last-delivered-id"] for row in groups if row["name"] == channel.encode())
    return _Group(
        order(reached.decode()), {row["message_id"]: row["times_delivered"] for row in rows}
    )


def delivery(
    channel: str,
    entry_id: bytes,
    signal: Signal,
    records: Sequence[bytes | None],
    group: _Group,
    *,
    muted: bool = False,
) -> Delivery:
    """What became of a signal in a channel; ``records`` is the ledger, one for each recipient."""
    accepted = [record for record in records if record is not None and not says_dead(record)]
    given_up = sum(record is not None for record in records) - len(accepted)
    times = [at_ms for record in accepted if (at_ms := _recorded_at(record)) is not None]
    done = len(accepted)
    if done == len(records):
        state = "delivered"
    elif signal.stale:
        state = "stale"
    elif done + given_up == len(records):
        state = "dead"
    elif signal.only not in ("", channel):
        state = "not meant"
    else:
        state = _way(entry_id, group, muted=muted)
    last_ms = max(times, default=None)
    return Delivery(
        channel=channel,
        state=state,
        recipients=len(records),
        delivered_to=done,
        delivered_at_ms=last_ms,
        took_ms=None if last_ms is None else last_ms - signal.received_at_ms,
        attempts=group.attempts.get(entry_id, 0 if state == "unread" else None),
        given_up=given_up,
    )


def _way(entry_id: bytes, group: _Group, *, muted: bool) -> str:
    """Where a signal is that somebody has not got."""
    if entry_id in group.attempts and not muted:
        return "pending"
    if order(entry_id.decode()) > group.reached:
        return "unread"
    return "muted" if muted else "settled"


def _recorded_at(record: bytes) -> int | None:
    """The time in a ledger entry, ``<ms> <message ID>``."""
    first = record.partition(b" ")[0]
    return int(first) if first.isdigit() else None


# --- how it is shown --------------------------------------------------------------------------


def text(found: Sequence[Listed], *, tick: str) -> str:
    """Two lines for each signal: its numbers, and its deliveries."""
    if not found:
        return _NOTHING
    lines = [line for listed in found for line in _lines(listed, tick)]
    return "\n".join(lines)


def _lines(listed: Listed, tick: str) -> Iterator[str]:
    signal = listed.signal
    if signal is None:
        yield from unreadable(listed.malformed)
        return
    test = "TEST " if signal.test else ""
    yield (
        f"{utc(signal.close_time_ms)}  {test}{signal.side:<5}"
        f" {signal.market.base}/{signal.market.quote} {signal.timeframe:<3}"
        f" entry {signal.price(signal.entry)},"
        f" stop {signal.price(signal.stop_loss)}, target {signal.price(signal.take_profit)},"
    )
    met = f"{signal.confidence}/{len(FACTORS)} factors{signal.lacking}"
    words = [f"R:R 1:{signal.risk_reward:.2f}", met]
    if signal.quality.candles and not signal.quality.complete:
        words.append(signal.quality.text)
    sent = [told(each, tick) for each in listed.deliveries]
    if all(each.state == "stale" for each in listed.deliveries):
        sent = ["not sent: stale"]
    yield from textwrap.wrap(
        "; ".join([", ".join(words), *sent]),
        WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
    )


def told(each: Delivery, tick: str) -> str:
    """A delivery in words: ``email ✓ 1.2 s``."""
    some = f" ({each.delivered_to} of {each.recipients} have it)" if each.delivered_to else ""
    return f"{each.channel} {_state(each, tick)}{'' if each.state == 'delivered' else some}"


def _state(each: Delivery, tick: str) -> str:
    if each.state == "delivered":
        return tick if each.took_ms is None else f"{tick} {lasting(each.took_ms)}"
    if each.state == "pending":
        return f"pending after {each.attempts} attempt{'' if each.attempts == 1 else 's'}"
    return _STATES[each.state]


_STATES = {
    "stale": "not sent: stale",
    "dead": "given up: see ./btc-scanner dead list",
    "unread": "unread",
    "not meant": "not meant",
    "muted": "muted",
    "settled": "not on record",
}


def document(found: Sequence[Listed]) -> dict[str, Any]:
    """All of it as JSON types."""
    return {"signals": [_entry(listed) for listed in found]}


def _entry(listed: Listed) -> dict[str, Any]:
    signal = listed.signal
    if signal is None:
        return unreadable_document(listed.entry_id, listed.malformed)
    return {
        "entry_id": listed.entry_id,
        "id": signal.id,
        "market": f"{signal.market.base}/{signal.market.quote}",
        **{name: getattr(signal, name) for name in _SHOWN},
        "side": str(signal.side),
        "bias": str(signal.bias),
        "factors": list(signal.factors),
        "quality": signal.quality.text,
        "deliveries": [asdict(each) for each in listed.deliveries],
    }


_SHOWN = (
    "timeframe", "side", "close_time_ms", "entry", "stop_loss", "take_profit", "risk_reward",
    "atr", "rsi", "vwap", "trend_ema", "bias", "confidence", "factors", "why", "stale",
    "test", "lag_ms", "received_at_ms",
)  # fmt: skip
