"""What a chaos run did to candles, signals and deliveries, against an undisturbed run. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.replay_record import Delivery


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One entry of a klines stream."""

    boundary_ms: int
    source: str
    missing: bool


def judge_stream(
    rows: Sequence[StreamRow], interval_ms: int, exist: Collection[int]
) -> dict[str, int]:
    """Whether a klines stream holds every boundary once, and marks just what does not exist.

    Args:
        rows: The stream in order.
        interval_ms: Of the timeframe.
        exist: Boundaries of the candles that the exchange has.
    """
    boundaries = [row.boundary_ms for row in rows]
    wanted = list(range(boundaries[0], boundaries[-1] + 1, interval_ms)) if rows else []
    known = frozenset(exist)
    marked = {row.boundary_ms for row in rows if row.missing}
    absent = {boundary for boundary in wanted if boundary not in known}
    return {
        "candles": len(rows) - len(marked),
        "by_rest": sum(row.source == "rest" and not row.missing for row in rows),
        "missing": len(marked),
        "wrongly_missing": len(marked - absent),
        "not_marked": len(absent - marked),
        "out_of_order": 0 if boundaries == wanted else 1,
    }


def judge_signals(rows: Sequence[str], undisturbed: Sequence[str]) -> dict[str, int]:
    """Signals lost, repeated, invented and changed; each row begins with the ID and a comma."""
    counts = Counter(_id(row) for row in rows)
    true = {_id(row): row for row in undisturbed}
    return {
        "lost": len(true.keys() - counts.keys()),
        "repeated": sum(count - 1 for count in counts.values()),
        "invented": len(counts.keys() - true.keys()),
        "changed": sum(true.get(_id(row), row) != row for row in rows),
    }


def _id(row: str) -> str:
    return row.partition(",")[0]


def judge_deliveries(
    wanted: Collection[str],
    deliveries: Iterable[Delivery],
    recorded_ms: Mapping[tuple[str, str], int],
) -> dict[str, dict[str, Any]]:
    """Per channel what was lost and repeated, and which repeats are permitted.

    A repeat is permitted in one window: the peer had accepted the message, and nobody had recorded
    that yet when it was accepted again.

    Args:
        wanted: IDs of the signals that everybody should have.
        deliveries: What the peers accepted.
        recorded_ms: (channel, signal ID) → our clock when the ledger learned of it.
    """
    accepted: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in deliveries:
        if each.signal_id in wanted:
            accepted[each.channel, each.signal_id].append(each.received_at_ns // 1_000_000)
    told: dict[str, dict[str, Any]] = {}
    for channel in ("email", "telegram"):
        times = {name: sorted(at) for (where, name), at in accepted.items() if where == channel}
        repeats = [(name, again) for name, at in times.items() for again in at[1:]]
        outside = sorted(
            name for name, again in repeats if recorded_ms.get((channel, name), 0) < again
        )
        told[channel] = {
            "lost": len(set(wanted) - set(times)),
            "repeated": len(repeats),
            "repeated_before_recorded": len(repeats) - len(outside),
            "repeated_without_excuse": outside,
        }
    return told
