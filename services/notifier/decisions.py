"""What to do with an entry, and when to try again. Pure: the clock and the counts are arguments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from services.notifier import quiet
from services.notifier.sources import Alert
from shared import keys
from shared.event import Event


class Verdict(Enum):
    """What to do with an entry of a stream of alerts; the value is the reason in words."""

    SEND = "fresh, and not everybody has it"
    STALE = "already too old when it was detected"
    DELIVERED = "everybody has it"
    RECORDED = "not for people's attention"
    OTHER = "for other channels"
    MUTED = "muted: it goes into the digest"
    FORGOTTEN = "older than the ledger remembers, so it may have been delivered"
    EXPIRED = "too old to be tried again"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the recipients of a channel are promised.

    Attributes:
        give_up_ms: Age from which an alert is not tried again.
        ledger_ttl_ms: For how long a delivery is remembered.
        events: Whether they want to hear of the scanner itself.
    """

    channel: str
    give_up_ms: int
    ledger_ttl_ms: int
    events: bool = True


def verdict(alert: Alert, missing: int, *, now_ms: int, terms: Terms) -> Verdict:
    """Judge an alert that ``missing`` recipients do not have according to the ledger.

    Age counts from when our clock saw the candle: the market time of a replay may be years ago.
    """
    unwanted = _unwanted(alert, terms)
    if unwanted:
        return unwanted
    if not missing:
        return Verdict.DELIVERED
    age_ms = now_ms - alert.received_at_ms
    if age_ms > terms.ledger_ttl_ms:
        return Verdict.FORGOTTEN
    return Verdict.EXPIRED if age_ms > terms.give_up_ms else Verdict.SEND


def _unwanted(alert: Alert, terms: Terms) -> Verdict | None:
    if isinstance(alert, Event):
        # The digest of muted signals is about signals.
        if not alert.alert or not (terms.events or alert.subject == quiet.SUBJECT):
            return Verdict.RECORDED
        # What a channel cannot do is not told by the channel that cannot.
        return Verdict.OTHER if alert.subject == channel_subject(terms.channel) else None
    if alert.only not in ("", terms.channel):
        return Verdict.OTHER
    return Verdict.STALE if alert.stale else None


def channel_subject(channel: str) -> str:
    """What events and troubles call a channel."""
    return f"channel:{channel}"


def backoff_s(attempts: int, *, base_s: float, max_s: float) -> float:
    """Seconds to wait after the given number of attempts: doubling from ``base_s`` to ``max_s``."""
    doublings = min(max(attempts - 1, 0), 60)  # beyond, a float still could, but nobody waits
    return float(min(base_s * 2.0**doublings, max_s))


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that was read by a consumer and not acknowledged.

    Attributes:
        idle_ms: Since it was last given to its consumer.
        attempts: How often it was given to one.
    """

    entry_id: bytes
    consumer: str
    idle_ms: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Patience:
    """How long entries wait.

    Attributes:
        base_s: Before the first retry.
        max_s: At most before any retry.
        claim_idle_s: Before an entry of another consumer is taken from it; longer than the longest
            attempt, so that a live consumer's entry is never taken while it is being sent.
    """

    base_s: float
    max_s: float
    claim_idle_s: float

    def backoff_s(self, attempts: int) -> float:
        """See ``decisions.backoff_s``."""
        return backoff_s(attempts, base_s=self.base_s, max_s=self.max_s)


# A person puts entries under this name to have them tried once more. They keep it while somebody
# tries them: so it is known, whoever dies, until they had that attempt.
REVIVED = keys.REVIVED
# For how long nobody has had them, as far as Redis knows: longer than anybody waits for an entry.
REVIVED_IDLE_MS = 86_400_000

# What was tried so often and is nobody's may have ended those who tried: not again at once.
_SUSPECT_ATTEMPTS = 3


def due(
    pending: Iterable[Pending],
    *,
    consumer: str,
    in_hand: Iterable[bytes],
    patience: Patience,
    since_start_s: float,
    since_recovery_s: float | None = None,
    fresh_since_ms: int | None = None,
    doubt_s: float = 0.0,
    waited_s: Mapping[bytes, float] | None = None,
) -> list[Pending]:
    """The entries that may be tried now, the newest first: an old signal is worth the least.

    What had no turn yet and is fresh goes before them, in the order of the stream.

    Args:
        pending: In the order of their stream.
        consumer: Our name. An own entry that is not in hand failed, or was left by a previous life.
        in_hand: Entries that this process works on at the moment.
        since_start_s: Since this process began: what lies longer was left by a previous life.
        since_recovery_s: Since the peer answers again: what lies longer need not wait any more.
        fresh_since_ms: What was recorded from then on is fresh.
        doubt_s: So much of the idle times of others may mean nothing.
        waited_s: By entry ID, how long own ones have waited by our clock, where that is known.
    """
    busy, known_s = frozenset(in_hand), waited_s or {}

    def is_due(entry: Pending) -> bool:
        idle_s = max(entry.idle_ms / 1000, known_s.get(entry.entry_id, 0.0))
        waited = idle_s >= patience.backoff_s(entry.attempts)
        if entry.consumer != consumer:
            return waited and idle_s - doubt_s >= patience.claim_idle_s
        left = idle_s >= since_start_s and entry.attempts < _SUSPECT_ATTEMPTS
        spared = since_recovery_s is not None and idle_s >= since_recovery_s
        return waited or entry.attempts == 0 or left or spared

    found = [entry for entry in pending if entry.entry_id not in busy and is_due(entry)]
    fresh = [entry for entry in found if _has_its_turn_to_come(entry, fresh_since_ms)]
    turns = {entry.entry_id for entry in fresh}
    return fresh + [entry for entry in found[::-1] if entry.entry_id not in turns]


def _has_its_turn_to_come(entry: Pending, fresh_since_ms: int | None) -> bool:
    return (
        fresh_since_ms is not None
        and entry.attempts == 0
        and entry.consumer != REVIVED
        and recorded_ms(entry.entry_id) >= fresh_since_ms
    )


def recorded_ms(entry_id: bytes) -> int:
    """When the entry of an ID made by Redis was added, by its clock, ms UTC."""
    return int(entry_id.partition(b"-")[0])
