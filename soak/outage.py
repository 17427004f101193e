"""One channel is down for a while: the other must not notice, and it must catch up."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from cli.measure import quantiles_ms
from soak.account import CHANNELS, Accepted
from soak.report import Report
from soak.run import Options, Run, running

# Of the latency of the channel that works, during the outage by before.
_MOST_RATIO = 2.0
_CAUGHT_UP_S = 60.0
_MANY = 1_000_000


async def outage(
    channel: str,
    *,
    seconds: float,
    calm_s: float,
    per_second: float,
    late_after_s: float,
    replicas: int,
    folder: Path,
    say: Callable[[str], None],
) -> Report:
    """Run through a calm, the outage and another calm, and tell what it did.

    Args:
        channel: Which is down.
        seconds: Of the outage.
        calm_s: Before it and after.
        per_second: Signals.
        late_after_s: The setting ``notifier.late_after_seconds``.
    """
    options = Options(
        signals=_MANY,
        replicas=replicas,
        seed=1,
        per_second=per_second,
        backlog=_MANY,
        changes={"notifier": {"late_after_seconds": late_after_s}},
    )
    async with running(options, folder, say) as run:
        await _warm(run)
        marks_ns = [time.time_ns()]
        await _write_for(run, calm_s)
        marks_ns.append(time.time_ns())
        say(f"{channel} goes down for {seconds:.0f} s")
        await _down(run, channel)
        await _write_for(run, seconds)
        await run.peers.behave()
        marks_ns.append(time.time_ns())
        say(f"{channel} is back")
        await _write_for(run, calm_s)
        marks_ns.append(time.time_ns())
        await run.drain()
        return _told(run, channel, marks_ns, late_after_s)


async def _warm(run: Run) -> None:
    """Until both channels deliver."""
    await run.write_one()
    await run.drain()


async def _write_for(run: Run, seconds: float) -> None:
    until = time.monotonic() + seconds
    next_at = time.monotonic()
    while time.monotonic() < until:
        await run.write_one()
        next_at += 1 / run.options.per_second
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))


async def _down(run: Run, channel: str) -> None:
    if channel == "email":
        await run.peers.mailbox.fail("refused")
    else:
        await run.peers.bot_api.fail_by("refused")


def _told(run: Run, channel: str, marks_ns: list[int], late_after_s: float) -> Report:
    report = Report()
    accepted = run.peers.accepted()
    [other] = [name for name in CHANNELS if name != channel]
    before, during, after = (
        _latency(run, [each for each in accepted if each.channel == other], *span)
        for span in pairwise(marks_ns)
    )
    for name, found in (("before", before), ("during", during), ("after", after)):
        report.say(
            f"{other} {name} the outage: p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms,"
            f" {found['count']:.0f} messages, p50 {found['p50'] / before['p50']:.2f} and"
            f" p99 {found['p99'] / before['p99']:.2f} of before"
        )
    ratio = during["p50"] / before["p50"]
    report.must(ratio <= _MOST_RATIO, f"{other} was {ratio:.1f} times as slow during the outage")
    _caught_up(run, report, [each for each in accepted if each.channel == channel], marks_ns,
               late_after_s)  # fmt: skip
    return report


def _latency(run: Run, accepted: list[Accepted], since_ns: int, until_ns: int) -> dict[str, float]:
    """Of the signals written in this span, from writing until acceptance."""
    times = [
        each.at_ns - run.written_ns[each.number]
        for each in accepted
        if since_ns <= run.written_ns[each.number] < until_ns
    ]
    return {"p50": float("nan"), "p99": float("nan"), **quantiles_ms(times)}


def _caught_up(
    run: Run, report: Report, accepted: list[Accepted], marks_ns: list[int], late_after_s: float
) -> None:
    _, down_ns, up_ns, _ = marks_ns
    missed = [each for each in accepted if down_ns <= run.written_ns[each.number] < up_ns]
    took_s = max((each.at_ns for each in missed), default=up_ns) / 1e9 - up_ns / 1e9
    old = [
        each
        for each in missed
        if each.at_ns - run.written_ns[each.number] > (late_after_s + 1) * 1e9
    ]
    headed = sum(each.late for each in old)
    channel = accepted[0].channel if accepted else "it"
    report.say(
        f"{channel} caught up {took_s:.1f} s after its return with {len(missed)} messages;"
        f" {headed} of {len(old)} older than {late_after_s:g} s are headed LATE"
    )
    report.must(took_s <= _CAUGHT_UP_S, f"{channel} took {took_s:.0f} s to catch up")
    report.must(headed == len(old), f"{len(old) - headed} late messages are not headed LATE")
