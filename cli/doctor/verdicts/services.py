"""How the running scanner is, as far as it concerns its installation. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cli.doctor.report import Finding, fail, ok, split, warn
from shared.event import read_trouble
from shared.times import utc

_UP = "start all with: ./btc-scanner up, or: systemctl start btc-scanner"
_EVENTS = "./btc-scanner status and events say more"


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat."""

    service: str
    instance: str
    version: str
    state: str


def services(beats: Sequence[Beat], wanted: Sequence[str], version: str) -> Iterator[Finding]:
    """Whether all run, and of this version; ``wanted`` are their names."""
    there = {each.service for each in beats}
    missing = [name for name in wanted if name not in there]
    if missing:
        which = "none of the services runs" if len(missing) == len(wanted) else (
            f"not running: {', '.join(missing)}"
        )  # fmt: skip
        yield warn("services", which, _UP)
    well = []
    for each in beats:
        name = each.service if each.instance == "1" else f"{each.service} ({each.instance})"
        waits, _, reason = each.state.partition(": ")
        if waits == "waiting":
            what, remedy = split(reason)
            yield warn(each.service, f"{name} waits: {what}", remedy or _EVENTS)
        elif each.version != version:
            what = f"{name} runs version {each.version}, installed is {version}"
            yield warn(each.service, what, "restart the services")
        else:
            well.append(name)
    if well:
        yield ok("services", f"running: {', '.join(sorted(well))}")


@dataclass(frozen=True, slots=True)
class Channel:
    """One enabled channel.

    Attributes:
        gate: Why nothing is sent now; empty if it is open.
        dead: How many dead letters it has.
    """

    name: str
    gate: str
    dead: int


def channels(seen: Sequence[Channel], troubles: Mapping[str, str]) -> Iterator[Finding]:
    """Those that are closed, and what could not be delivered."""
    for each in seen:
        state, _, reason = each.gate.partition(": ")
        trouble = read_trouble(troubles.get(f"channel:{each.name}"))
        if state == "broken" or (trouble and trouble.state == "broken"):
            what, remedy = split(reason)
            why = f": {what}" if what else ""
            yield fail(
                f"{each.name} sent",
                f"the notifier sends nothing by {each.name}{why}",
                remedy or f"see the lines about {each.name} above, or the notifier's log",
            )
        elif state == "paused":
            what = f"the notifier sends nothing by {each.name} for a while: {reason}"
            yield warn(f"{each.name} sent", what, "wait: it goes on by itself")
        if each.dead:
            what = f"{each.dead} alert(s) could not be delivered: dead letters"
            remedy = f"./btc-scanner dead list {each.name} says why; replay or drop them"
            yield warn(f"{each.name} dead", what, remedy)


def standing(troubles: Mapping[str, str]) -> Iterator[Finding]:
    """Troubles that were told and have not ended; those of channels are told with the channel."""
    for subject, text in sorted(troubles.items()):
        trouble = read_trouble(text)
        if trouble is None or subject.startswith("channel:"):
            continue
        kind, _, name = subject.partition(":")
        what = f"{name if kind == 'service' else f'{kind} {name}'} {trouble.state.upper()}"
        level = warn if kind == "service" else fail
        yield level("trouble", f"{what} since {utc(trouble.since_ms)}", _EVENTS)
