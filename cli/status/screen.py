"""What ``status`` knows, on one screen. Pure."""

from collections.abc import Iterator

from cli.status.facts import SERVICES, Facts, Instance
from cli.status.verdict import Verdict
from cli.words import ago, counted, megabytes, moment, plural, signals, wrapped
from shared.times import lasting, utc


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
        yield f"UNHEALTHY: {plural(len(verdict.problems), 'problem')}{about}"
    for problem in verdict.problems:
        yield from wrapped(problem.what, "  ! ", "    ")
        yield from wrapped(problem.remedy, "    -> ", "       ")
    for remark in verdict.remarks:
        yield from wrapped(remark, "  note: ", "        ")


def _services(facts: Facts) -> Iterator[str]:
    for name in SERVICES:
        instances = [each for each in facts.services if each.service == name]
        if not instances:
            yield f"  {name:<11}{_absence(facts, name)}"
        for each in instances:
            yield from _instance(each, missed=each not in facts.present(name))


def _absence(facts: Facts, name: str) -> str:
    """Why there is no heartbeat of a service."""
    if facts.redis.refuses:
        return "unknown: Redis takes no heartbeats"
    door = facts.here.doors.get(name)
    if door is None:
        return "does not run"
    return f"process {door.pid}: {door.says or 'hangs'}"


def _instance(each: Instance, *, missed: bool) -> Iterator[str]:
    parts = [f"instance {each.instance}", f"up {lasting(each.uptime_ms)}", f"v{each.version}"]
    if each.data_age_ms is not None:
        parts.append(f"input {lasting(each.data_age_ms)} ago")
    parts.append(f"{plural(each.errors_last_hour, 'error')} in the last hour")
    state = f"silent for {lasting(each.beat_age_ms)}" if missed else each.state
    yield from wrapped(f"{state}; {', '.join(parts)}", f"  {each.service:<11}", _INDENT)
    links = [
        f"{name}{each.facts[what]}"
        for what, name in (("connection", ""), ("rest", "REST "), ("rest_weight", "weight "))
        if what in each.facts
    ]
    counts = [f"{name.replace('_', ' ')} {n:,}" for name, n in each.counters.items() if n]
    if links:
        yield from wrapped("; ".join(links), _INDENT, _INDENT)
    if counts:
        yield from wrapped(", ".join(counts), _INDENT, _INDENT)
    if each.latencies_ms:
        measured = [
            f"{what.replace('_', ' ')} {p50:.4g} / {p99:.4g}"
            for what, (p50, p99) in each.latencies_ms.items()
        ]
        yield from wrapped(f"ms p50 / p99: {', '.join(measured)}", _INDENT, _INDENT)
    if each.last_error:
        yield from wrapped(f"last error: {each.last_error}", _INDENT, _INDENT + "  ")


_INDENT = " " * 13


def _candles(facts: Facts) -> Iterator[str]:
    for each in facts.candles:
        if each.last_close_ms is None or each.age_ms is None:
            yield f"  {each.timeframe:<4} none yet"
            continue
        late = "  TOO OLD" if each.age_ms > each.limit_ms else ""
        price = f"close {each.price:,.8g}" if each.price is not None else "no trades (missing)"
        gone = f", {each.missing:,} missing" if each.missing else ""
        yield from wrapped(
            f"{moment(each.last_close_ms)}, {lasting(each.age_ms)} ago{late}"
            f"  {price} ({each.source})  {each.published:,} published{gone}",
            f"  {each.timeframe:<5}",
            " " * 7,
        )


def _readers(facts: Facts) -> Iterator[str]:
    for each in facts.readers:
        if each.position is None:
            words = f"nothing done yet, {counted(each.behind, each.behind_at_least)} entries wait"
        elif each.behind:
            words = (
                f"{counted(each.behind, each.behind_at_least)} entries behind"
                f" ({lasting(each.behind_ms)} of market time)"
            )
        else:
            words = "up to date"
        yield f"  {each.service:<11}{words}"
    for channel in facts.channels:
        unread = (
            f"{signals(channel.behind, channel.behind_at_least)} unread"
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
            f"  closed {moment(board.close_time_ms)}{lack}"
        )
        for factor in board.factors:
            mark = "[yes]" if factor.met else "[ no]"
            first = f"       {mark} {factor.name.replace('_', ' '):<18}"
            yield from wrapped(factor.why, first, " " * len(first))


def _channels(facts: Facts) -> Iterator[str]:
    for each in facts.channels:
        parts = [f"{each.delivered:,} delivered", f"{each.pending:,} pending"]
        if each.oldest_pending_ms is not None:
            times = plural(each.attempts, "attempt")
            parts.append(f"the oldest for {lasting(each.oldest_pending_ms)} after {times}")
        if each.failed_attempts:
            parts.append(f"{plural(each.failed_attempts, 'failed attempt')}")
        if each.dead_letters:
            parts.append(plural(each.dead_letters, "dead letter"))
        yield from wrapped(", ".join(parts), f"  {each.name:<11}", _INDENT)
        if each.last_delivered:
            took = "" if each.last_delivery_ms is None else f" in {lasting(each.last_delivery_ms)}"
            when = ago(facts.at_ms, each.last_delivered_at_ms)
            yield from wrapped(f"last: {each.last_delivered}{took}{when}", _INDENT, _INDENT)
        if each.last_failure:
            when = ago(facts.at_ms, each.last_failure_at_ms)
            yield from wrapped(f"last failure{when}: {each.last_failure}", _INDENT, _INDENT + "  ")


def _last_signal(facts: Facts) -> Iterator[str]:
    last = facts.last_signal
    if last is None:
        yield "  none yet; FACTORS above tells what is missing"
        return
    age = f" (added {lasting(facts.at_ms - last.added_at_ms)} ago)"
    yield from wrapped(f"{last.sentence}{age}", "  ", "  ")


def _redis(facts: Facts) -> Iterator[str]:
    redis = facts.redis
    parts = [f"{redis.version} at {redis.url}"]
    if redis.memory_bytes is not None:
        most = f" of {megabytes(redis.maxmemory_bytes)}" if redis.maxmemory_bytes else ""
        parts.append(f"{megabytes(redis.memory_bytes)}{most} used")
    if redis.aof is not None:
        parts.append(f"append-only file {'on' if redis.aof else 'OFF'}")
    if redis.maxmemory_policy is not None:
        parts.append(redis.maxmemory_policy)
    yield from wrapped(", ".join(parts), "  ", "  ")
    kept = ", ".join(f"{name}={length}" for name, length in facts.streams.items())
    yield from wrapped(f"entries: {kept}", "  ", "    ")
