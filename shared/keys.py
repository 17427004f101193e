"""Names of all streams and keys.

Hash tags keep what one atomic step touches in one cluster slot: ``{BTCUSDT}`` for the data of a
market, and ``signals`` with ``{signals}`` for emission and delivery.
"""

import re

SIGNALS = "signals"
EVENTS = "events:{signals}"
REVIVED = "replay"
"""Not a key: the consumer, of nobody, that has what a person wants delivered once more."""

TROUBLES = "troubles:{signals}"
"""Hash: what is wrong now (subject → state and since when), so that each edge is told once."""

SERVICES = "services:{signals}"
"""Hash: when each service last answered the roll call (service → ms of Redis's clock)."""

MUTE = "mute:{signals}"
"""Stands, with a TTL, while no signal is sent: from when until when, in ms and in words."""

QUIET = "quiet:{signals}"
"""Hash: what was not sent meanwhile (signal ID → one line), until the digest tells it."""

PING = "ping:{signals}"
"""Stands, with a TTL, until ``health.ping_url`` is to be fetched again."""


def service_subject(service: str) -> str:
    """What events and troubles call a service."""
    return f"service:{service}"


def klines(symbol: str, timeframe: str) -> str:
    """Stream of closed candles, entry ID = close boundary in ms."""
    return f"klines:{{{symbol}}}:{timeframe}"


def indicators(symbol: str) -> str:
    """Stream of all timeframes merged in event time, entry ID = boundary-rank."""
    return f"indicators:{{{symbol}}}"


def state(symbol: str) -> str:
    """Snapshot of every indicator (msgpack)."""
    return f"state:{{{symbol}}}"


def owner(symbol: str) -> str:
    """Parameters of the indicators process that commits now; expires when it is gone."""
    return f"owner:{{{symbol}}}"


def progress(symbol: str) -> str:
    """Hash: how far each reader of the market's streams has come (reader → entry ID)."""
    return f"progress:{{{symbol}}}"


def totals(symbol: str) -> str:
    """Hash: candles published since the streams began (timeframe, "timeframe missing" → count)."""
    return f"totals:{{{symbol}}}"


def market(symbol: str) -> str:
    """Hash: what the exchange says of the market (assets, tick size, status)."""
    return f"market:{{{symbol}}}"


def board(symbol: str, timeframe: str) -> str:
    """Hash: the latest factor board of one timeframe, for people."""
    return f"board:{{signals}}:{symbol}:{timeframe}"


def dedup(symbol: str, side: str) -> str:
    """Hash with TTL: price and event time of the last emitted signal."""
    return f"dedup:{{signals}}:{symbol}:{side}"


def cursor(symbol: str) -> str:
    """The last evaluated indicators entry."""
    return f"cursor:{{signals}}:{symbol}"


def delivered(channel: str, signal_id: str, recipient: str) -> str:
    """Delivery ledger with TTL; ``recipient`` is a tag that does not name the person."""
    return f"delivered:{{signals}}:{channel}:{signal_id}:{recipient}"


def deliveries(channel: str) -> str:
    """Hash: running totals of a channel, for people."""
    return f"deliveries:{{signals}}:{channel}"


def dead(channel: str) -> str:
    """Stream of dead letters of a channel."""
    return f"dead:{{signals}}:{channel}"


def gate(channel: str) -> str:
    """Stands, with a TTL, while nothing is sent by a channel: for how long, and why, in words."""
    return f"gate:{{signals}}:{channel}"


def rate(channel: str, scope: str) -> str:
    """List with TTL: when the latest messages of a channel were admitted in a scope (µs)."""
    return f"rate:{{signals}}:{channel}:{scope}"


def moved(channel: str) -> str:
    """Hash: where recipients of a channel have moved (old address → new address)."""
    return f"moved:{{signals}}:{channel}"


def told(subject: str, state: str) -> str:
    """Stands, with a TTL, while this event is not told again."""
    return f"told:{{signals}}:{subject}:{state}"


def muted(signal_id: str) -> str:
    """Stands, with a TTL, for a signal that a digest tells, or has told, instead of an alert."""
    return f"muted:{{signals}}:{signal_id}"


def health(service: str, instance: str) -> str:
    """Heartbeat hash with TTL."""
    return f"health:{service}:{instance}"


# What Redis calls the type of each kind of key.
_TYPES = {
    "klines": "stream",
    "indicators": "stream",
    "signals": "stream",
    "events": "stream",
    "dead": "stream",
    "state": "string",
    "owner": "string",
    "cursor": "string",
    "delivered": "string",
    "progress": "hash",
    "totals": "hash",
    "market": "hash",
    "dedup": "hash",
    "board": "hash",
    "deliveries": "hash",
    "troubles": "hash",
    "services": "hash",
    "rate": "list",
    "moved": "hash",
    "told": "string",
    "gate": "string",
    "mute": "string",
    "muted": "string",
    "ping": "string",
    "quiet": "hash",
    "health": "hash",
}
_FORM = re.compile(rf"(?<!\S)(?:signals|(?:{'|'.join(_TYPES)}):[^\s')]+)(?![^\s')])")


def named_in(text: str) -> list[str]:
    """The keys of this project that a command names."""
    return list(dict.fromkeys(_FORM.findall(text)))


def type_of(key: str) -> str:
    """``stream``, ``hash``, ``list`` or ``string``: what one of our keys must hold."""
    return _TYPES[key.partition(":")[0]]
