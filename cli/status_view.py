"""What ``status`` knows, what it makes of that, and how it says so. Pure.

A *problem* needs somebody now (exit code 1) and comes with its remedy; a *remark* can wait for the
morning. Names in the facts are the names in ``--json``; times end in ``_ms``, and an age is never
the difference of two machines' clocks where the exchange's own word is known.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shared.times import utc
from shared.wellbeing import LONGEST_WAIT_MS

WIDTH = 100

# A heartbeat lives longer than its process: this many missed beats mean that nobody is there.
_MISSED_BEATS = 5
_SHORTEST_SILENCE_MS = 10_000

_STARTING_MS = 120_000

_UP = "start all with: ./btc-scanner up"
_EMPTY_REMEDY = (
    "./btc-scanner up starts all four services; ./btc-scanner demo shows them at work without any"
    " configuration"
)


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The server; None where it may not be asked."""

    url: str
    version: str
    memory_bytes: int | None
    aof: bool | None
    maxmemory_bytes: int | None
    maxmemory_policy: str | None


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


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what to do about it."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Healthy while there is no problem."""

    problems: tuple[Problem, ...]
    remarks: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nobody has to get up."""
        return not self.problems


SERVICES = ("ingest", "indicators", "detector", "notifier")


# --- verdict ----------------------------------------------------------------------------------


def judge(facts: Facts) -> Verdict:
    """What is wrong and what is noteworthy; causes stand before their consequences."""
    if not facts.services and not any(facts.streams.values()):
        nothing = f"nothing runs yet: {facts.redis.url} is empty"
        return Verdict((Problem(nothing, _EMPTY_REMEDY),))
    problems = (
        *_service_problems(facts),
        *_trouble_problems(facts),
        *_candle_problems(facts),
        *_reader_problems(facts),
        *_channel_problems(facts),
    )
    return Verdict(problems, tuple(_remarks(facts)))


def _present(facts: Facts, service: str) -> list[Instance]:
    """The instances that still write heartbeats."""
    longest_ms = max(_SHORTEST_SILENCE_MS, _MISSED_BEATS * facts.beat_interval_ms)
    return [
        each for each in facts.services if each.service == service and each.beat_age_ms < longest_ms
    ]


def _service_problems(facts: Facts) -> Iterator[Problem]:
    absent = [name for name in SERVICES if not _present(facts, name)]
    if len(absent) == len(SERVICES):
        yield Problem("none of the services runs", _UP)
        absent = []
    for name in absent:
        start = f"{_UP}, or alone: python -m services.{name}"
        silent = [each for each in facts.services if each.service == name]
        if silent:
            last = min(silent, key=lambda each: each.beat_age_ms)
            yield Problem(
                f"{name} has been silent for {duration(last.beat_age_ms)}",
                f"if process {last.pid} on {last.host} still runs, it hangs: kill it; {start}",
            )
        else:
            yield Problem(f"{name} does not run", start)
    for name in SERVICES:
        present = _present(facts, name)
        for instance in present:
            yield from _instance_problems(instance, alone=len(present) == 1)


def _instance_problems(instance: Instance, *, alone: bool) -> Iterator[Problem]:
    state, name = instance.state, f"{instance.service} {instance.instance}"
    if state.startswith("waiting: "):
        yield Problem(f"{name} waits for Redis", state.removeprefix("waiting: "))
    elif state.startswith("waiting"):
        remedy = "this ends by itself while it catches up; if it stays, look at who is waited for"
        yield Problem(f"{name} is {state}", remedy)
    elif state.startswith("refused"):
        yield Problem(f"{name} is {state}", "it goes on by itself as soon as it may")
    elif state == "starting" and alone and instance.uptime_ms > _STARTING_MS:
        words = instance.last_error or instance.facts.get("connection", "")
        remedy = f"it says: {words}" if words else f"see the log of {instance.service}"
        yield Problem(f"{name} has been starting for {duration(instance.uptime_ms)}", remedy)


def _trouble_problems(facts: Facts) -> Iterator[Problem]:
    for each in facts.troubles:
        if not _minor(each, facts):
            yield Problem(_standing(each, facts.at_ms), "./btc-scanner events says what was told")


def _minor(trouble: Standing, facts: Facts) -> bool:
    """Whether it is about a service, which was judged itself, or about another market."""
    kind, _, name = trouble.subject.partition(":")
    other = kind == "feed" and name.partition(":")[0] != facts.symbol.replace("/", "")
    return kind == "service" or other


def _standing(trouble: Standing, now_ms: int) -> str:
    """``feed BTCUSDT BLIND since …, for 5 min``."""
    kind, _, name = trouble.subject.partition(":")
    what = name if kind == "service" else f"{kind} {name}".strip()
    since = f"since {_moment(trouble.since_ms)}, for {duration(now_ms - trouble.since_ms)}"
    return f"{what} {trouble.state.upper()} {since}"


def _candle_problems(facts: Facts) -> Iterator[Problem]:
    absent = [each.timeframe for each in facts.candles if each.age_ms is None]
    if absent:
        yield Problem(f"there are no candles yet of {', '.join(absent)}", _feed_remedy(facts))
    for each in facts.candles:
        if each.age_ms is not None and each.age_ms > each.limit_ms:
            yield Problem(
                f"the last {each.timeframe} candle closed {duration(each.age_ms)} ago"
                f" (normal: less than {duration(each.limit_ms)})",
                _feed_remedy(facts),
            )


def _feed_remedy(facts: Facts) -> str:
    present = _present(facts, "ingest")
    if not present:
        return "candles come with ingest, see above"
    for each in present:
        connection = each.facts.get("connection", "")
        if connection.startswith("disconnected"):
            return f"ingest is {connection}; check the network and the exchange's status page"
    if min(each.uptime_ms for each in present) < _STARTING_MS:
        return "ingest has just started and loads history first: look again in a minute"
    return "see the log of ingest: the exchange may be down, or the clock of this machine wrong"


def _reader_problems(facts: Facts) -> Iterator[Problem]:
    for each in facts.readers:
        if each.oldest_wait_ms is not None and each.oldest_wait_ms > LONGEST_WAIT_MS:
            here = _present(facts, each.service)
            yield Problem(
                f"{each.service} is {_count(each.behind, each.behind_at_least)} entries behind,"
                f" for {duration(each.oldest_wait_ms)}",
                f"see the log of {each.service}; restarting it is safe"
                if here
                else f"{each.service} will catch up once it runs, see above",
            )


def _channel_problems(facts: Facts) -> Iterator[Problem]:
    for each in facts.channels:
        if each.oldest_pending_ms is not None and each.oldest_pending_ms > LONGEST_WAIT_MS:
            why = f"the last failure was: {each.last_failure}" if each.last_failure else ""
            yield Problem(
                f"{each.name}: {_signals(each.pending)} pending, the oldest for"
                f" {duration(each.oldest_pending_ms)}",
                why or "see the log of notifier",
            )
        if each.oldest_behind_ms is not None and each.oldest_behind_ms > LONGEST_WAIT_MS:
            here = _present(facts, "notifier")
            yield Problem(
                f"{each.name}: {_signals(each.behind, each.behind_at_least)} unread, the oldest for"
                f" {duration(each.oldest_behind_ms)}",
                "see the log of notifier" if here else "they go out once notifier runs, see above",
            )


def _remarks(facts: Facts) -> Iterator[str]:
    if facts.muted:
        yield f"{facts.muted} (./btc-scanner mute, unmute)"
    for each in facts.services:
        name = f"{each.service} {each.instance}"
        if each.facts.get("connection", "").startswith("disconnected"):
            yield f"{name} is {each.facts['connection']}; candles come by REST meanwhile"
        if each.errors_last_hour:
            yield f"{name} logged {_plural(each.errors_last_hour, 'error')} in the last hour"
    versions = {each.version for each in facts.services if each.version}
    if len(versions) > 1:
        yield f"services of different versions run together: {', '.join(sorted(versions))}"
    for channel in facts.channels:
        if channel.dead_letters:
            letters = _plural(channel.dead_letters, "dead letter")
            yield f"{channel.name}: {letters}; see ./btc-scanner dead list {channel.name}"
    yield from (_standing(each, facts.at_ms) for each in facts.troubles if _minor(each, facts))
    yield from _clock_remarks(facts)
    yield from _redis_remarks(facts.redis)


def _clock_remarks(facts: Facts) -> Iterator[str]:
    for each in facts.services:
        skew_ms = _number(each.facts.get("clock_skew_ms", ""))
        if facts.max_clock_skew_ms is not None and abs(skew_ms) > facts.max_clock_skew_ms:
            where = "ahead of" if skew_ms > 0 else "behind"
            yield (
                f"the clock of {each.host} is {duration(abs(skew_ms))} {where} the exchange's:"
                " set it by NTP (timedatectl set-ntp true)"
            )


def _number(text: str) -> int:
    """What a heartbeat says, which somebody may have edited."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text) else 0


def _redis_remarks(redis: RedisFacts) -> Iterator[str]:
    if redis.aof is False:
        yield "Redis keeps no append-only file: a restart of it loses data (set appendonly yes)"
    if redis.maxmemory_bytes and redis.maxmemory_policy not in (None, "noeviction"):
        yield (
            f"Redis may evict what is needed (maxmemory-policy {redis.maxmemory_policy}):"
            " set noeviction"
        )


# --- text -------------------------------------------------------------------------------------


def text(facts: Facts, verdict: Verdict) -> str:
    """One screen, the verdict first."""
    lines = [*headline(verdict, facts), ""]
    if facts.services or any(facts.streams.values()):
        for title, section in (
            ("SERVICES", _services(facts)),
            ("CANDLES", _candles(facts)),
            ("LAG", _readers(facts)),
            (f"FACTORS of the last closed candle ({facts.min_confidence} needed)", _boards(facts)),
            ("DELIVERY", _channels(facts)),
            ("LAST SIGNAL", _last_signal(facts)),
        ):
            lines += [title, *section, ""]
    lines += ["REDIS", *_redis(facts)]
    return "\n".join(lines)


def headline(verdict: Verdict, facts: Facts | None = None) -> Iterator[str]:
    """The verdict, with each problem and its remedy, and the remarks."""
    about = f"  {facts.symbol}  {utc(facts.at_ms)}" if facts else ""
    if verdict.healthy:
        yield f"HEALTHY{about}"
    else:
        yield f"UNHEALTHY: {_plural(len(verdict.problems), 'problem')}{about}"
    for problem in verdict.problems:
        yield from _wrapped(problem.what, "  ! ", "    ")
        yield from _wrapped(problem.remedy, "    -> ", "       ")
    for remark in verdict.remarks:
        yield from _wrapped(remark, "  note: ", "        ")


def _services(facts: Facts) -> Iterator[str]:
    for name in SERVICES:
        instances = [each for each in facts.services if each.service == name]
        if not instances:
            yield f"  {name:<11}does not run"
        for each in instances:
            yield from _instance(each, missed=each not in _present(facts, name))


def _instance(each: Instance, *, missed: bool) -> Iterator[str]:
    parts = [f"instance {each.instance}", f"up {duration(each.uptime_ms)}", f"v{each.version}"]
    if each.data_age_ms is not None:
        parts.append(f"input {duration(each.data_age_ms)} ago")
    parts.append(f"{_plural(each.errors_last_hour, 'error')} in the last hour")
    state = f"silent for {duration(each.beat_age_ms)}" if missed else each.state
    yield from _wrapped(f"{state}; {', '.join(parts)}", f"  {each.service:<11}", _INDENT)
    links = [
        f"{name}{each.facts[what]}"
        for what, name in (("connection", ""), ("rest", "REST "), ("rest_weight", "weight "))
        if what in each.facts
    ]
    counts = [f"{name.replace('_', ' ')} {n:,}" for name, n in each.counters.items() if n]
    if links:
        yield from _wrapped("; ".join(links), _INDENT, _INDENT)
    if counts:
        yield from _wrapped(", ".join(counts), _INDENT, _INDENT)
    if each.latencies_ms:
        measured = [
            f"{what.replace('_', ' ')} {p50:.4g} / {p99:.4g}"
            for what, (p50, p99) in each.latencies_ms.items()
        ]
        yield from _wrapped(f"ms p50 / p99: {', '.join(measured)}", _INDENT, _INDENT)
    if each.last_error:
        yield from _wrapped(f"last error: {each.last_error}", _INDENT, _INDENT + "  ")


_INDENT = " " * 13


def _candles(facts: Facts) -> Iterator[str]:
    for each in facts.candles:
        if each.last_close_ms is None or each.age_ms is None:
            yield f"  {each.timeframe:<4} none yet"
            continue
        late = "  TOO OLD" if each.age_ms > each.limit_ms else ""
        price = f"close {each.price:,.8g}" if each.price is not None else "no trades (missing)"
        gone = f", {each.missing:,} missing" if each.missing else ""
        yield from _wrapped(
            f"{_moment(each.last_close_ms)}, {duration(each.age_ms)} ago{late}"
            f"  {price} ({each.source})  {each.published:,} published{gone}",
            f"  {each.timeframe:<5}",
            " " * 7,
        )


def _readers(facts: Facts) -> Iterator[str]:
    for each in facts.readers:
        if each.position is None:
            words = f"nothing done yet, {_count(each.behind, each.behind_at_least)} entries wait"
        elif each.behind:
            words = (
                f"{_count(each.behind, each.behind_at_least)} entries behind"
                f" ({duration(each.behind_ms)} of market time)"
            )
        else:
            words = "up to date"
        yield f"  {each.service:<11}{words}"
    for channel in facts.channels:
        unread = (
            f"{_signals(channel.behind, channel.behind_at_least)} unread"
            if channel.behind
            else "up to date"
        )
        yield f"  {channel.name:<11}{unread}{'' if channel.group else ' (no consumer group yet)'}"


def _boards(facts: Facts) -> Iterator[str]:
    if not facts.boards:
        yield "  no candle was judged yet"
    for board in facts.boards:
        missing = [each.name.replace("_", " ") for each in board.factors if not each.met]
        lack = f"; not met: {', '.join(missing)}" if missing else ""
        yield (
            f"  {board.timeframe:<4} {board.side} {board.confidence}/{len(board.factors)}"
            f"  closed {_moment(board.close_time_ms)}{lack}"
        )
        for factor in board.factors:
            mark = "[yes]" if factor.met else "[ no]"
            first = f"       {mark} {factor.name.replace('_', ' '):<18}"
            yield from _wrapped(factor.why, first, " " * len(first))


def _channels(facts: Facts) -> Iterator[str]:
    for each in facts.channels:
        parts = [f"{each.delivered:,} delivered", f"{each.pending:,} pending"]
        if each.oldest_pending_ms is not None:
            times = _plural(each.attempts, "attempt")
            parts.append(f"the oldest for {duration(each.oldest_pending_ms)} after {times}")
        if each.failed_attempts:
            parts.append(f"{_plural(each.failed_attempts, 'failed attempt')}")
        if each.dead_letters:
            parts.append(_plural(each.dead_letters, "dead letter"))
        yield from _wrapped(", ".join(parts), f"  {each.name:<11}", _INDENT)
        if each.last_delivered:
            took = "" if each.last_delivery_ms is None else f" in {duration(each.last_delivery_ms)}"
            when = _ago(facts.at_ms, each.last_delivered_at_ms)
            yield from _wrapped(f"last: {each.last_delivered}{took}{when}", _INDENT, _INDENT)
        if each.last_failure:
            when = _ago(facts.at_ms, each.last_failure_at_ms)
            yield from _wrapped(f"last failure{when}: {each.last_failure}", _INDENT, _INDENT + "  ")


def _last_signal(facts: Facts) -> Iterator[str]:
    last = facts.last_signal
    if last is None:
        yield "  none yet; FACTORS above tells what is missing"
        return
    age = f" (added {duration(facts.at_ms - last.added_at_ms)} ago)"
    yield from _wrapped(f"{last.sentence}{age}", "  ", "  ")


def _redis(facts: Facts) -> Iterator[str]:
    redis = facts.redis
    parts = [f"{redis.version} at {redis.url}"]
    if redis.memory_bytes is not None:
        most = f" of {_size(redis.maxmemory_bytes)}" if redis.maxmemory_bytes else ""
        parts.append(f"{_size(redis.memory_bytes)}{most} used")
    if redis.aof is not None:
        parts.append(f"append-only file {'on' if redis.aof else 'OFF'}")
    if redis.maxmemory_policy is not None:
        parts.append(redis.maxmemory_policy)
    yield from _wrapped(", ".join(parts), "  ", "  ")
    kept = ", ".join(f"{name}={length}" for name, length in facts.streams.items())
    yield from _wrapped(f"entries: {kept}", "  ", "    ")


def _wrapped(words: str, first: str, later: str) -> Sequence[str]:
    return textwrap.wrap(
        words, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False
    )


def _moment(time_ms: int) -> str:
    try:
        return utc(time_ms)
    except (ValueError, OverflowError):  # written by hand, beyond the calendar
        return f"{time_ms} ms"


def _ago(now_ms: int, then_ms: int | None) -> str:
    return "" if then_ms is None else f", {duration(now_ms - then_ms)} ago"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _signals(count: int, at_least: bool = False) -> str:
    return f"{_count(count, at_least)} signal{'' if count == 1 else 's'}"


def _count(count: int, at_least: bool) -> str:
    return f"{'at least ' if at_least else ''}{count:,}"


def _size(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"


_STEPS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def duration(milliseconds: float) -> str:
    """``0.4 s``, ``23 s``, ``5 min``, ``2 h 13 min``, ``3 d 4 h``; never negative."""
    seconds = max(0.0, milliseconds / 1000)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, part in _STEPS:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


# --- JSON -------------------------------------------------------------------------------------


def document(facts: Facts, verdict: Verdict) -> dict[str, Any]:
    """All of it as JSON types."""
    found = asdict(facts)
    found["redis"]["reachable"] = True
    return {**_judged(verdict), **found}


def unreachable_document(at_ms: int, symbol: str, url: str, verdict: Verdict) -> dict[str, Any]:
    """The same names where Redis does not answer, so that nothing else is known."""
    nothing: dict[str, Any] = {
        name: []
        for name in ("services", "candles", "readers", "boards", "channels", "troubles")
    }  # fmt: skip
    return {
        **_judged(verdict),
        "at_ms": at_ms,
        "symbol": symbol,
        "redis": {"url": url, "reachable": False},
        **nothing,
        "streams": {},
        "last_signal": None,
        "muted": "",
    }


def _judged(verdict: Verdict) -> dict[str, Any]:
    return {
        "healthy": verdict.healthy,
        "problems": [asdict(problem) for problem in verdict.problems],
        "remarks": list(verdict.remarks),
    }
