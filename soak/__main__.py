"""``make soak``: signals through killed notifiers to failing peers; nothing is lost, or it tells.

Nothing outside this machine is reached: Redis, mailbox and Bot API are its own.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from cli.pipeline import forget_environment
from cli.supervisor import run_until_signalled
from soak.outage import outage
from soak.replicas import NotifierRefused
from soak.report import Report, judge
from soak.run import Options, running


def main() -> int:
    """Run; the exit status is 1 if anything was as it must not be."""
    chosen = _parser().parse_args()
    forget_environment()
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # clients that vanish are our trade
    keep = nullcontext(str(chosen.keep)) if chosen.keep else tempfile.TemporaryDirectory()
    with keep as folder:
        work = _outage if chosen.outage else _soak
        return run_until_signalled(work(chosen, Path(folder)))


async def _soak(chosen: argparse.Namespace, folder: Path) -> int:
    options = Options(
        signals=chosen.signals,
        replicas=chosen.replicas,
        seed=chosen.seed,
        per_second=chosen.per_second,
        backlog=chosen.backlog,
        kill_every_s=chosen.seconds_between_kills,
        share=chosen.share,
    )
    report = None
    try:
        async with asyncio.timeout(chosen.give_up_after), running(options, folder, _say) as run:
            await run.write(options.signals)
            await run.drain()
            report = await judge(run)
    except* TimeoutError:
        print(f"VIOLATION: not all was delivered after {chosen.give_up_after:g} s")
    except* NotifierRefused as refusals:
        print(f"VIOLATION: a notifier refuses to run: {refusals.exceptions[0]}")
    if report is None:
        return 1
    return _print(report)


async def _outage(chosen: argparse.Namespace, folder: Path) -> int:
    report = await outage(
        chosen.outage,
        seconds=chosen.minutes * 60,
        calm_s=chosen.calm_seconds,
        per_second=min(chosen.per_second, 2.0),
        late_after_s=chosen.late_after_seconds,
        replicas=chosen.replicas,
        folder=folder,
        say=_say,
    )
    return _print(report)


def _print(report: Report) -> int:
    for line in report.lines:
        print(line)
    for violation in report.violations:
        print(f"VIOLATION: {violation}")
    print("ok" if not report.violations else f"{len(report.violations)} violation(s)")
    return 1 if report.violations else 0


def _say(line: str) -> None:
    print(f"soak: {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--signals", type=int, default=1000)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--seconds-between-kills", type=float, default=1.0, help="0 for no kills")
    parser.add_argument("--share", type=float, default=1 / 3, help="of the requests that fail")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-second", type=float, default=100.0, help="signals, at most")
    parser.add_argument("--backlog", type=int, default=60, help="signals on their way, at most")
    parser.add_argument("--give-up-after", type=float, metavar="SECONDS", help="of the whole run")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for logs and data")
    parser.add_argument("--outage", choices=("email", "telegram"), help="one channel down instead")
    parser.add_argument("--minutes", type=float, default=0.5, help="of the outage")
    parser.add_argument("--calm-seconds", type=float, default=20.0, help="before it and after")
    parser.add_argument("--late-after-seconds", type=float, default=60.0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
