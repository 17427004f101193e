"""What ``status`` knows. Pure.

Names in the facts are the names in ``--json``; times end in ``_ms``, and an age is never the
difference of two machines' clocks where the exchange's own word is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SERVICES = ("ingest", "indicators", "detector", "notifier")
# A heartbeat lives longer than its process: this many missed beats mean that nobody is there.
_MISSED_BEATS = 5
_SHORTEST_SILENCE_MS = 10_000


@dataclass(frozen=True, slots=True)
class Door:
    """A process on this host whose heartbeat is missing; ``says`` is empty where it hangs."""

    pid: int
    says: str


@dataclass(frozen=True, slots=True)
class Here:
    """What this host knows besides Redis.

    Attributes:
        up: Whether ``up`` runs the Redis, and so the services, on this host.
        start: The command that starts a single service, without its name at the end.
        doors: Service → its process, of those without a heartbeat.
    """

    up: bool = False
    start: str = "python -m services."
    doors: Mapping[str, Door] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The server; None where it may not be asked.

    Attributes:
        refuses: Why it takes no writes, and what to do; empty while it takes them.
    """

    url: str
    version: str
    memory_bytes: int | None
    aof: bool | None
    maxmemory_bytes: int | None
    maxmemory_policy: str | None
    refuses: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One heartbeat.

    Attributes:
        beat_age_ms: Since the heartbeat was written.
        data_age_ms: Since the service last got input; None before the first.
        facts: What the service tells of its present state, as it wrote it.
        counters: Totals since its start.
        latencies_ms: What was measured → (p50, p99).
    """

    service: str
    instance: str
    state: str
    version: str
    host: str
    pid: int | None
    uptime_ms: int
    beat_age_ms: int
    data_age_ms: int | None
    errors_last_hour: int
    last_error: str
    facts: Mapping[str, str]
    counters: Mapping[str, int]
    latencies_ms: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Candles:
    """One klines stream, and its last candle.

    Attributes:
        age_ms: Since the close, by the exchange's clock: its time when the candle arrived, and ours
            from then on.
        limit_ms: An age that no healthy feed reaches.
        price: None where the exchange had no candle.
    """

    timeframe: str
    length: int
    published: int
    missing: int
    last_close_ms: int | None
    age_ms: int | None
    limit_ms: int
    price: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Reader:
    """How far indicators or detector has come in what it reads.

    Attributes:
        position: The last entry that it has dealt with.
        behind: Entries after that; more than this if ``behind_at_least``.
        behind_ms: Market time from the position to the last entry.
        oldest_wait_ms: Since the first of the entries behind was received; None if there is none.
    """

    service: str
    position: str | None
    behind: int
    behind_at_least: bool
    behind_ms: int
    oldest_wait_ms: int | None


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the latest closed candle; the words hold the numbers."""

    name: str
    met: bool
    why: str


@dataclass(frozen=True, slots=True)
class Board:
    """The factor board of one timeframe: why there is a signal, or none."""

    timeframe: str
    close_time_ms: int
    side: str
    confidence: int
    factors: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel's consumer group and totals.

    Attributes:
        group: Whether the consumer group exists.
        behind: Signals that nobody of the group has read; more if ``behind_at_least``.
        pending: Signals that were read and not delivered to everybody yet.
        attempts: Of the oldest pending signal.
        last_delivery_ms: From candle to acceptance, of the last delivery.
    """

    name: str
    group: bool
    behind: int
    behind_at_least: bool
    oldest_behind_ms: int | None
    pending: int
    oldest_pending_ms: int | None
    attempts: int
    delivered: int
    failed_attempts: int
    dead_letters: int
    last_delivered: str
    last_delivered_at_ms: int | None
    last_delivery_ms: int | None
    last_failure: str
    last_failure_at_ms: int | None


@dataclass(frozen=True, slots=True)
class LastSignal:
    """The newest entry of the signals stream; ``sentence`` says so if it cannot be read."""

    id: str
    sentence: str
    added_at_ms: int
    close_time_ms: int | None
    stale: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A trouble that was told and has not ended: ``feed:BTCUSDT``, ``blind``."""

    subject: str
    state: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was found in Redis at one moment.

    Attributes:
        beat_interval_ms: How often services are to write their heartbeat.
        streams: Name → entries.
        max_clock_skew_ms: What a clock may differ from the exchange's; None = anything.
        muted: Until when signals are not sent, in words; empty while they are.
    """

    at_ms: int
    symbol: str
    min_confidence: int
    beat_interval_ms: int
    redis: RedisFacts
    services: tuple[Instance, ...]
    candles: tuple[Candles, ...]
    readers: tuple[Reader, ...]
    boards: tuple[Board, ...]
    channels: tuple[Channel, ...]
    streams: Mapping[str, int]
    last_signal: LastSignal | None
    troubles: tuple[Standing, ...]
    max_clock_skew_ms: float | None = None
    muted: str = ""
    here: Here = Here()

    def present(self, service: str) -> list[Instance]:
        """The instances that still write heartbeats."""
        longest_ms = max(_SHORTEST_SILENCE_MS, _MISSED_BEATS * self.beat_interval_ms)
        return [
            each
            for each in self.services
            if each.service == service and each.beat_age_ms < longest_ms
        ]
