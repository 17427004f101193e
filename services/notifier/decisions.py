"""What to do with an entry, and when to try again. Pure: the clock and the counts are arguments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from services.notifier import quiet
from services.notifier.sources import Alert
from shared.event import Event


class Verdict(Enum):
    """What to do with an entry of a stream of alerts; the value is the reason in words."""

    SEND = "fresh, and not everybody has it"
    STALE = "already too old when it was detected"
    DELIVERED = "everybody has it"
    RECORDED = "not for people's attention"
    MUTED = "muted: it goes into the digest"
    NOT_MEANT = "a test of another channel"
    FORGOTTEN = "older than the ledger remembers, so it may have been delivered"


def verdict(
    alert: Alert,
    missing: int,
    *,
    now_ms: int,
    ledger_ttl_ms: int,
    events: bool = True,
    channel: str = "",
) -> Verdict:
    """Judge an alert that ``missing`` recipients do not have according to the ledger.

    Age counts from when our clock saw the candle: the market time of a replay may be years ago.
    ``events`` tells whether the recipients want to hear of the scanner itself; the digest of muted
    signals is no such event. What is muted is told by ``Mute``.
    """
    if isinstance(alert, Event):
        if not alert.alert or not (events or alert.subject == quiet.SUBJECT):
            return Verdict.RECORDED
    elif alert.only not in ("", channel):
        return Verdict.NOT_MEANT
    elif alert.stale:
        return Verdict.STALE
    if not missing:
        return Verdict.DELIVERED
    if now_ms - alert.received_at_ms > ledger_ttl_ms:
        return Verdict.FORGOTTEN
    return Verdict.SEND


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


def due(
    pending: Iterable[Pending],
    *,
    consumer: str,
    in_hand: Iterable[bytes],
    waits: dict[bytes, float],
    now_s: float,
    patience: Patience,
) -> Iterator[Pending]:
    """The entries that may be tried now.

    Args:
        consumer: Our name. An own entry that is neither in hand nor waiting was left by a previous
            life of this process (or its reading was cut): it is due at once.
        in_hand: Entries that this process works on at the moment.
        waits: Own entries that failed in this life, and the time from which they are due.
        now_s: On the same clock as ``waits``.
    """
    busy = frozenset(in_hand)
    for entry in pending:
        if entry.entry_id in busy:
            continue
        if entry.consumer == consumer:
            if now_s >= waits.get(entry.entry_id, 0.0):
                yield entry
        elif entry.idle_ms / 1000 >= max(patience.claim_idle_s, patience.backoff_s(entry.attempts)):
            yield entry
