"""The account of a run in words, and what must not be."""

from collections.abc import Iterable
from statistics import median
from typing import Any

from shared import keys
from soak.account import (
    CHANNELS,
    changed_ids,
    counted,
    growth_of_lives,
    growth_of_run,
    lost,
    order,
    repeats,
)
from soak.peers import RECIPIENTS
from soak.run import Run

# Of a process that holds nothing more than before; the rest is noise of the allocator.
_MOST_GROWTH = 1.10
_MOST_GROWTH_OF_RUN = 1.15
_WARM_S, _LEAST_S = 10.0, 30.0
# A ledger entry has a key of some 80 bytes and a text of as many.
_MOST_BYTES_PER_DELIVERY = 600
_FEW_DELIVERIES = 1000
_FEW_LIVES = 8


class Report:
    """Lines to print, and violations, each in one sentence."""

    def __init__(self) -> None:
        """Empty."""
        self.lines: list[str] = []
        self.violations: list[str] = []

    def say(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    def must(self, holds: bool, otherwise: str) -> None:
        """Note a violation unless it holds."""
        if not holds:
            self.violations.append(otherwise)


async def judge(run: Run) -> Report:
    """Everything that is to be said of a run that has ended."""
    report = Report()
    kills = run.replicas.kills
    report.say(
        f"{len(run.written_ns)} signals in {run.seconds:.0f} s"
        f" ({len(run.written_ns) / run.seconds:.1f}/s), {sum(kills.values())} kills"
    )
    report.must(not run.replicas.deaths, f"a notifier ended by itself {run.replicas.deaths} times")
    _delivered(run, report)
    _incidents(run, report)
    _in_order(run, report)
    _memory(run, report)
    await _dead_letters(run, report)
    return report


def _delivered(run: Run, report: Report) -> None:
    accepted = run.peers.accepted()
    missing = lost(len(run.written_ns), RECIPIENTS, accepted)
    report.say(f"lost: {len(missing)}")
    report.must(not missing, f"{len(missing)} messages were lost, the first: {missing[:3]}")
    for channel in CHANNELS:
        here = [each for each in accepted if each.channel == channel]
        told = repeats(here, run.replicas.interrupted, run.stalls)
        report.say(
            f"{channel}: {len(here)} accepted, {told.untold + told.killed + told.stalled}"
            " repeats permitted"
            f" ({told.untold} because the answer was lost or withheld,"
            f" {told.killed} because of a kill before the record,"
            f" {told.stalled} because this machine stood still),"
            f" {len(told.forbidden)} forbidden"
        )
        report.must(
            not told.forbidden,
            f"{channel} was sent {len(told.forbidden)} times again without an excuse,"
            f" the first: {told.forbidden[:3]}",
        )
    changed = changed_ids(accepted)
    report.say(f"repeated mails with another Message-ID: {changed}")
    report.must(not changed, f"{changed} repeated mails have another Message-ID")


def _incidents(run: Run, report: Report) -> None:
    for channel, peer in (("email", run.peers.mailbox), ("telegram", run.peers.bot_api)):
        met: Iterable[Any] = peer.incidents
        report.say(f"{channel} failed: {counted(each.fault for each in met) or 'never'}")


def _in_order(run: Run, report: Report) -> None:
    for channel, who in RECIPIENTS:
        seen = run.peers.first_seen(channel, who)
        found = order(seen, run.replicas.in_hand[channel])
        everything = order(seen, ())
        report.say(
            f"order of first attempts at {channel} {who}: {found.share:.1%} of {found.count} in"
            f" order, farthest {found.farthest} places; with what was in the hands of the killed:"
            f" {everything.share:.1%} of {everything.count}, farthest {everything.farthest}"
        )


def _memory(run: Run, report: Report) -> None:
    samples = run.replicas.samples
    grown = growth_of_lives(samples, warm_s=_WARM_S, least_s=_LEAST_S)
    compared, of_run = growth_of_run(samples, warm_s=_WARM_S)
    most = max((sample.bytes for sample in samples), default=0) / 1e6
    lives = f"{max(grown):.2f} at most of {len(grown)} long lives" if grown else "no long life"
    report.say(
        f"memory of a notifier: {most:.0f} MB at most; last quarter by first: {lives};"
        f" over the run, {compared} lives at the age of {_WARM_S:g} s: {of_run:.2f}"
    )
    report.must(not grown or median(grown) <= _MOST_GROWTH, "the notifiers' memory grows with time")
    report.must(
        compared < _FEW_LIVES or of_run <= _MOST_GROWTH_OF_RUN,
        "the notifiers' memory grows over the run",
    )
    sampled = run.redis_bytes
    (first, before), (last, after) = sampled[len(sampled) // 4], sampled[-1]
    each = (last - first) / max(1, after - before)
    report.say(
        f"memory of Redis without the streams, from a quarter of the time to the end:"
        f" {first / 1e6:.2f} MB to {last / 1e6:.2f} MB,"
        f" {each:.0f} bytes for each of {after - before} deliveries in the ledger"
    )
    few = after - before < _FEW_DELIVERIES
    report.must(few or each <= _MOST_BYTES_PER_DELIVERY, "the memory of Redis grows with time")


async def _dead_letters(run: Run, report: Report) -> None:
    for channel in CHANNELS:
        letters = int(await run.access.client.xlen(keys.dead(channel)))
        report.say(f"{channel}: {letters} dead letters")
        report.must(not letters, f"{channel} has {letters} dead letters, and all faults passed")
