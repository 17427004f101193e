"""What ``status`` makes of what it knows. Pure.

A *problem* needs somebody now (exit code 1) and comes with its remedy; a *remark* can wait for the
morning.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cli.status.facts import SERVICES, Facts, Instance, RedisFacts, Standing
from cli.words import counted, moment, plural, signals
from shared.times import lasting
from shared.wellbeing import LONGEST_WAIT_MS

_STARTING_MS = 120_000
_UP = "start all with: ./btc-scanner up"
_UP_STARTS = "up, which runs here, starts it again by itself; if not, see what up prints"
_EMPTY_REMEDY = (
    "./btc-scanner up starts all four services; ./btc-scanner demo shows them at work without any"
    " configuration"
)


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


def judge(facts: Facts) -> Verdict:
    """What is wrong and what is noteworthy; causes stand before their consequences."""
    empty = not facts.services and not any(facts.streams.values())
    if empty and not facts.redis.refuses and not facts.here.doors:
        nothing = f"nothing runs yet: {facts.redis.url} is empty"
        return Verdict((Problem(nothing, _EMPTY_REMEDY),))
    problems = (
        *_refusals(facts.redis),
        *_service_problems(facts),
        *_trouble_problems(facts),
        *_candle_problems(facts),
        *_reader_problems(facts),
        *_channel_problems(facts),
    )
    return Verdict(problems, tuple(_remarks(facts)))


def _refusals(redis: RedisFacts) -> Iterator[Problem]:
    """Nothing goes on without writes, not even the heartbeats by which services are known."""
    if redis.refuses:
        what, _, advice = redis.refuses.partition(": ")
        after = "services that run wait for that, and go on by themselves"
        yield Problem(what, f"{advice or 'see its log'}; {after}")


def _service_problems(facts: Facts) -> Iterator[Problem]:
    absent = [name for name in SERVICES if not facts.present(name)]
    if facts.redis.refuses:
        absent = []  # they may run, and cannot say so
    if len(absent) == len(SERVICES) and not facts.here.doors:
        yield Problem("none of the services runs", _UP_STARTS if facts.here.up else _UP)
        absent = []
    for name in absent:
        yield _absence(facts, name)
    for name in SERVICES:
        present = facts.present(name)
        for instance in present:
            yield from _instance_problems(instance, alone=len(present) == 1)


def _absence(facts: Facts, name: str) -> Problem:
    """A service without a heartbeat: hung, started just now, or not there."""
    here = facts.here
    start = _UP_STARTS if here.up else f"{_UP}, or alone: {here.start}{name}"
    again = "up starts it again" if here.up else f"then {start}"
    silent = [each for each in facts.services if each.service == name]
    last = min(silent, key=lambda each: each.beat_age_ms, default=None)
    what = f"{name} has been silent for {lasting(last.beat_age_ms)}" if last else ""
    door = here.doors.get(name)
    if door and not door.says:
        return Problem(what or f"{name} does not answer", f"it hangs: kill -9 {door.pid} ({again})")
    if door:
        what = f"{name} writes no heartbeat; its process {door.pid} says: {door.says}"
        remedy = f"look again in a minute; if that stays, restart it: kill {door.pid} ({again})"
        return Problem(what, remedy)
    if last:
        hung = f"if process {last.pid} on {last.host} still runs, it hangs: kill -9 {last.pid}"
        return Problem(what, f"{hung}; {start}")
    return Problem(f"{name} does not run", start)


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
        yield Problem(f"{name} has been starting for {lasting(instance.uptime_ms)}", remedy)


def _trouble_problems(facts: Facts) -> Iterator[Problem]:
    for each in facts.troubles:
        if not _minor(each, facts):
            yield Problem(standing(each, facts.at_ms), "./btc-scanner events says what was told")


def _minor(trouble: Standing, facts: Facts) -> bool:
    """Whether it is about a service, which was judged itself, or about another market."""
    kind, _, name = trouble.subject.partition(":")
    other = kind == "feed" and name.partition(":")[0] != facts.symbol.replace("/", "")
    return kind == "service" or other


def standing(trouble: Standing, now_ms: int) -> str:
    """``feed BTCUSDT BLIND since …, for 5m 0s``."""
    kind, _, name = trouble.subject.partition(":")
    what = name if kind == "service" else f"{kind} {name}".strip()
    since = f"since {moment(trouble.since_ms)}, for {lasting(now_ms - trouble.since_ms)}"
    return f"{what} {trouble.state.upper()} {since}"


def _candle_problems(facts: Facts) -> Iterator[Problem]:
    absent = [each.timeframe for each in facts.candles if each.age_ms is None]
    if absent:
        yield Problem(f"there are no candles yet of {', '.join(absent)}", _feed_remedy(facts))
    for each in facts.candles:
        if each.age_ms is not None and each.age_ms > each.limit_ms:
            yield Problem(
                f"the last {each.timeframe} candle closed {lasting(each.age_ms)} ago"
                f" (normal: less than {lasting(each.limit_ms)})",
                _feed_remedy(facts),
            )


def _feed_remedy(facts: Facts) -> str:
    present = facts.present("ingest")
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
            here = facts.present(each.service)
            yield Problem(
                f"{each.service} is {counted(each.behind, each.behind_at_least)} entries behind,"
                f" for {lasting(each.oldest_wait_ms)}",
                f"see the log of {each.service}; restarting it is safe"
                if here
                else f"{each.service} will catch up once it runs, see above",
            )


def _channel_problems(facts: Facts) -> Iterator[Problem]:
    for each in facts.channels:
        if each.oldest_pending_ms is not None and each.oldest_pending_ms > LONGEST_WAIT_MS:
            why = f"the last failure was: {each.last_failure}" if each.last_failure else ""
            yield Problem(
                f"{each.name}: {signals(each.pending)} pending, the oldest for"
                f" {lasting(each.oldest_pending_ms)}",
                why or "see the log of notifier",
            )
        if each.oldest_behind_ms is not None and each.oldest_behind_ms > LONGEST_WAIT_MS:
            here = facts.present("notifier")
            yield Problem(
                f"{each.name}: {signals(each.behind, each.behind_at_least)} unread, the oldest for"
                f" {lasting(each.oldest_behind_ms)}",
                "see the log of notifier" if here else "they go out once notifier runs, see above",
            )


def _remarks(facts: Facts) -> Iterator[str]:
    if facts.muted:
        yield f"{facts.muted} (./btc-scanner mute, unmute)"
    for each in facts.services:
        name = f"{each.service} {each.instance}"
        if each.facts.get("connection", "").startswith("disconnected"):
            yield f"{name} is {each.facts['connection']}{_by_rest(each, facts)}"
        if each.errors_last_hour:
            yield f"{name} logged {plural(each.errors_last_hour, 'error')} in the last hour"
    versions = {each.version for each in facts.services if each.version}
    if len(versions) > 1:
        yield f"services of different versions run together: {', '.join(sorted(versions))}"
    for channel in facts.channels:
        if channel.dead_letters:
            letters = plural(channel.dead_letters, "dead letter")
            yield f"{channel.name}: {letters}; see ./btc-scanner dead list {channel.name}"
    yield from (standing(each, facts.at_ms) for each in facts.troubles if _minor(each, facts))
    yield from _clock_remarks(facts)
    yield from _redis_remarks(facts.redis)


def _by_rest(ingest: Instance, facts: Facts) -> str:
    """Whether REST does meanwhile what the connection does not."""
    rest, feed = ingest.facts.get("rest", ""), f"feed:{facts.symbol.replace('/', '')}"
    blind = any((each.subject, each.state) == (feed, "blind") for each in facts.troubles)
    if rest.startswith("answered by "):
        return "" if blind else "; candles come by REST meanwhile"
    return f"; REST {rest}" if rest else ""


def _clock_remarks(facts: Facts) -> Iterator[str]:
    for each in facts.services:
        skew_ms = _number(each.facts.get("clock_skew_ms", ""))
        if facts.max_clock_skew_ms is not None and abs(skew_ms) > facts.max_clock_skew_ms:
            where = "ahead of" if skew_ms > 0 else "behind"
            yield (
                f"the clock of {each.host} is {lasting(abs(skew_ms))} {where} the exchange's:"
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
