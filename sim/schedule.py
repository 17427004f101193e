"""Schedules of faults: drawn from a seed, written as JSON and read again; pure.

A schedule says when (market time), which fault, and with which arguments; every fault in it is
bounded by a count, by market time, or by a few seconds of wall time. Whether it does any harm is
another matter: a REST error needs somebody who asks. Faults of that sort therefore come with a
companion that makes clients need them, like a closing frame that never comes.
"""

import json
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

# No drawn fault lasts longer.
LONGEST_MS = 20 * MINUTE_MS
MOST_TIMES = 5
# Maintenance is announced this long before: a fault may be a little late at a high pace.
NOTICE_MS = 10 * MINUTE_MS
LONGEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, by its name in the control API."""

    at_ms: int
    name: str
    arguments: dict[str, Any]


class BadSchedule(ValueError):
    """A schedule cannot be read; says what is wrong."""


class _Chance:
    """Draws of one generator; ``random`` alone gives the same on every Python."""

    def __init__(self, seed: int, at_ms: int = 0) -> None:
        self._random = random.Random(seed).random
        self.at_ms = at_ms

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self._random() * (high - low + 1))

    def seconds(self, low: float, high: float) -> float:
        """To a tenth of a second."""
        return round(low + self._random() * (high - low), 1)

    def minutes_ms(self, low: int, high: int) -> int:
        """Market time."""
        return self.between(low, high) * MINUTE_MS

    def one_of(self, *choices: Any) -> Any:
        return choices[self.between(0, len(choices) - 1)]

    def shuffled(self, items: Iterable[str]) -> list[str]:
        return sorted(items, key=lambda _: self._random())


Draw = Callable[[_Chance], list[tuple[str, dict[str, Any]]]]


def _alone(name: str, arguments: Callable[[_Chance], dict[str, Any]] = lambda _: {}) -> Draw:
    return lambda c: [(name, arguments(c))]


def _at_the_door(name: str, arguments: Callable[[_Chance], dict[str, Any]]) -> Draw:
    """What a client meets when it connects, and the reason for it to connect."""
    return lambda c: [(name, arguments(c)), ("cut", {"close_frame": c.one_of(True, False)})]


def _at_rest(name: str, arguments: Callable[[_Chance], dict[str, Any]]) -> Draw:
    """What a client meets at REST, and the reason for it to ask."""
    return lambda c: [
        (name, arguments(c) | {"for_ms": c.minutes_ms(2, 20)}),
        ("lose_close", {"count": c.between(1, 2)}),
    ]


EXCHANGE_KINDS: dict[str, Draw] = {
    "cut": _alone("cut", lambda c: {"close_frame": c.one_of(True, False)}),
    "half_open": _alone("half_open", lambda c: {"for_ms": c.minutes_ms(1, 20)}),
    "accept_then_close": _at_the_door(
        "accept_then_close",
        lambda c: {"count": c.between(1, 3), "handshake": c.one_of(True, False)},
    ),
    "refuse_connections": _at_the_door(
        "refuse_connections",
        lambda c: {"for_ms": c.minutes_ms(1, 20), "port": c.one_of("ws", "rest", "both")},
    ),
    "refuse_handshakes": _at_the_door(
        "refuse_handshakes",
        lambda c: {
            "count": c.between(1, 3),
            "status": c.one_of(429, 451, 503),
            "retry_after_s": 1,
            "for_ms": c.minutes_ms(2, 20),
        },
    ),
    "server_shutdown": _alone(
        "server_shutdown",
        lambda c: {"lead_s": c.seconds(0, LONGEST_S), "close_frame": c.one_of(True, False)},
    ),
    "limit_lifetime": _alone(
        "limit_lifetime",
        lambda c: {"lifetime_ms": c.minutes_ms(5, 20), "for_ms": c.minutes_ms(10, 20)},
    ),
    "mute_stream": _alone(
        "mute_stream",
        lambda c: {
            "interval": c.one_of("1m", "5m", "1h"),
            "for_ms": c.minutes_ms(2, 20),
            "newcomers": c.one_of(True, False),
        },
    ),
    "ignore_pongs": _alone("ignore_pongs", lambda c: {"deadline_s": c.seconds(0.2, 2)}),
    "stray_reply": _alone("stray_reply", lambda c: {"kind": c.one_of("result", "list", "error")}),
    "late_close": _alone(
        "late_close", lambda c: {"late_ms": c.between(100, 30_000), "count": c.between(1, 5)}
    ),
    "lose_close": _alone("lose_close", lambda c: {"count": c.between(1, 3)}),
    "duplicate": _alone(
        "duplicate",
        lambda c: {"count": c.between(1, 5), "after_ms": c.one_of(0, c.between(1, 180_000))},
    ),
    "disorder": _alone("disorder", lambda c: {"count": c.between(2, 4)}),
    "contradict": _alone("contradict", lambda c: {"count": c.between(1, 3), "side": "copy"}),
    "garbage": _alone("garbage"),
    "hide": lambda c: [
        (
            "hide",
            {
                "open_ms": [c.at_ms - c.at_ms % MINUTE_MS],
                "count": c.between(1, 3),
                "for_ms": c.minutes_ms(2, 20),
            },
        ),
        ("lose_close", {"interval": "1m"}),
    ],
    "rest_limit": _at_rest(
        "rest_limit",
        lambda c: {"count": c.between(1, 2), "status": c.one_of(429, 418), "retry_after_s": 1},
    ),
    "rest_error": _at_rest(
        "rest_error",
        lambda c: {
            "count": c.between(1, 3),
            "status": c.one_of(500, 502, 503, 504),
            "html": c.one_of(True, False),
        },
    ),
    "rest_html": _at_rest("rest_html", lambda c: {"count": c.between(1, 2)}),
    "rest_hang": _at_rest("rest_hang", lambda c: {"count": 1, "hang_s": c.seconds(0.2, 2)}),
    "rest_reset": _at_rest("rest_reset", lambda c: {"count": c.between(1, 4)}),
    "rest_truncate": _at_rest(
        "rest_truncate", lambda c: {"count": c.between(1, 3), "unnoticed": c.one_of(True, False)}
    ),
    "rest_lag": _at_rest("rest_lag", lambda c: {"lag_ms": c.between(1000, 20_000)}),
    "skew": _alone(
        "skew",
        lambda c: {"by_ms": c.between(-10_000, 10_000), "for_ms": c.minutes_ms(2, 20)},
    ),
    "maintenance": _alone(
        "maintenance",
        lambda c: {
            "from_ms": -(-c.at_ms // MINUTE_MS) * MINUTE_MS + NOTICE_MS,
            "for_ms": c.minutes_ms(1, 20),
        },
    ),
}

SINK_KINDS: dict[str, Draw] = {
    "smtp": _alone(
        "smtp",
        lambda c: {
            "reply": c.one_of("451 4.3.0 Try again later", "drop after", "drop before"),
            "count": c.between(1, 2),
        },
    ),
    "bot": _alone(
        "bot",
        lambda c: c.one_of(
            {"status": 502, "body": "<html>Bad Gateway</html>", "content_type": "text/html"},
            {"drop": True, "act": True},
            {"drop": True},
        ),
    ),
    "bot_flood": _alone("bot_flood", lambda _: {"retry_after_s": 1}),
}

REDIS_KINDS: dict[str, Draw] = {
    "redis_reset": _alone("redis_reset"),
    "redis_lose_replies": _alone(
        "redis_lose_replies",
        lambda c: {
            "count": c.between(1, 3),
            "commands": [c.one_of("EVALSHA", "XADD", "XREADGROUP", "XACK", "SET", "HSET")],
        },
    ),
    "redis_lose_commands": _alone("redis_lose_commands", lambda c: {"count": c.between(1, 3)}),
    "redis_delay": _alone(
        "redis_delay", lambda c: {"delay_s": c.seconds(0.1, 1), "count": c.between(1, 5)}
    ),
    "redis_refuse": _alone("redis_refuse", lambda c: {"for_s": c.seconds(0.1, 2)}),
    "redis_mute": _alone("redis_mute", lambda c: {"for_s": c.seconds(0.1, 3)}),
}

KINDS: dict[str, Draw] = {**EXCHANGE_KINDS, **SINK_KINDS, **REDIS_KINDS}

SERVICES = ("ingest", "indicators", "detector", "notifier")


def _to_a_service(**more: Callable[[_Chance], Any]) -> Callable[[_Chance], dict[str, Any]]:
    return lambda c: {
        "service": c.one_of(*SERVICES),
        **{name: drawn(c) for name, drawn in more.items()},
    }


def _brief_s(c: _Chance) -> float:
    return c.seconds(0.2, 1.5)


# What an outside cannot do to those it talks to. Whoever started the processes and the Redis server
# does it; see ``operator_faults``.
OPERATOR_KINDS: dict[str, Draw] = {
    "kill": _alone("kill", _to_a_service()),
    "terminate": _alone("terminate", _to_a_service()),
    "freeze": _alone("freeze", _to_a_service(for_s=lambda c: c.seconds(0.2, 3))),
    "twin": _alone("twin", _to_a_service(for_ms=lambda c: c.minutes_ms(60, 600))),
    "server_kill": _alone("server_kill", lambda c: {"fsync": c.one_of("everysec", "always")}),
    "server_terminate": _alone(
        "server_terminate", lambda c: {"fsync": c.one_of("everysec", "always")}
    ),
    "server_busy": _alone("server_busy", lambda c: {"for_s": _brief_s(c)}),
    "server_full": _alone("server_full", lambda c: {"for_s": _brief_s(c)}),
    "server_read_only": _alone("server_read_only", lambda c: {"for_s": _brief_s(c)}),
    "server_pause": _alone("server_pause", lambda c: {"for_s": _brief_s(c)}),
    "server_flush": _alone("server_flush"),
}


def draw(
    seed: int,
    start_ms: int,
    end_ms: int,
    per_hour: float = 1.0,
    kinds: Collection[str] | None = None,
) -> list[Fault]:
    """A schedule in order of time, the same for the same arguments on every machine.

    Every hour of market time (a last, shorter one too) gets about ``per_hour`` faults and at least
    one. Kinds are dealt like cards: each comes once before any comes twice. A kind may bring a
    companion at the same time (see above).

    Args:
        kinds: names of ``KINDS`` and ``OPERATOR_KINDS``; all of ``EXCHANGE_KINDS`` when None.
            "maintenance" changes what is true, see ``maintenance_windows``; the sinks' and Redis's
            kinds need ``Outside``, the operator's somebody who follows ``operator_faults``.

    Raises:
        ValueError: there is no such kind, or none at all.
    """
    dealt = sorted(EXCHANGE_KINDS if kinds is None else set(kinds))
    known = KINDS | OPERATOR_KINDS
    unknown = [kind for kind in dealt if kind not in known]
    if unknown or not dealt:
        raise ValueError(f"no kinds {unknown}; there are {', '.join(known)}")
    chance = _Chance(seed)
    deck = _deal(dealt, chance)
    schedule: list[Fault] = []
    for hour_ms in range(start_ms, end_ms, HOUR_MS):
        last_ms = min(hour_ms + HOUR_MS, end_ms) - 1
        count = max(1, int(per_hour) + (chance.between(1, 1000) <= per_hour % 1 * 1000))
        for at_ms in sorted(chance.between(hour_ms, last_ms) for _ in range(count)):
            chance.at_ms = at_ms
            drawn = known[next(deck)](chance)
            schedule += [Fault(at_ms, name, arguments) for name, arguments in drawn]
    return schedule


def maintenance_windows(schedule: Iterable[Fault]) -> list[tuple[int, int]]:
    """Spans of open times (end exclusive) that a schedule of ``draw`` leaves without candles."""
    return [
        (fault.arguments["from_ms"], fault.arguments["from_ms"] + fault.arguments["for_ms"])
        for fault in schedule
        if fault.name == "maintenance"
    ]


def operator_faults(schedule: Iterable[Fault]) -> tuple[list[Fault], list[Fault]]:
    """What the outside is to do, and what the operator is to do, of a schedule of both.

    At the time of each of the operator's faults the outside halts its clock, until told to go on.
    """
    theirs, ours = [], []
    for fault in schedule:
        if fault.name in OPERATOR_KINDS:
            ours.append(fault)
            theirs.append(Fault(fault.at_ms, "halt", {}))
        else:
            theirs.append(fault)
    return theirs, ours


def dump_schedule(schedule: Iterable[Fault]) -> str:
    """As JSON, one fault a line."""
    lines = (
        json.dumps({"at_ms": fault.at_ms, "name": fault.name, "arguments": fault.arguments})
        for fault in schedule
    )
    return "[\n" + ",\n".join(lines) + "\n]\n"


def parse_schedule(text: str) -> list[Fault]:
    """Read what ``dump_schedule`` wrote.

    Raises:
        BadSchedule: with the reason.
    """
    try:
        return [
            Fault(int(entry["at_ms"]), str(entry["name"]), dict(entry.get("arguments", {})))
            for entry in json.loads(text)
        ]
    except json.JSONDecodeError as error:
        raise BadSchedule(f"not JSON: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSchedule(
            f"a list of objects with at_ms, name and arguments is needed ({error!r})"
        ) from error


def _deal(kinds: Sequence[str], chance: _Chance) -> Iterator[str]:
    while True:
        yield from chance.shuffled(kinds)
