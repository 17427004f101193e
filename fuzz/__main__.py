"""``make fuzz``: spoilt inputs for every reader, for a given time; exits 1 if one was mishandled.

Plain mutation, seeded: ``--seed`` and the number of an input give it again on every machine. What
was found lies in ``out/fuzz`` too; ``--input FILE`` tries it again.
"""

import argparse
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from fuzz.runner import Finding, Tally, fuzz
from fuzz.targets import TARGETS, Target

OUT = Path("out/fuzz")
# Some kilobytes must not make a reader take more than this beside what the program itself takes.
_MEMORY = 2 * 1024**3
_HANGS_S = 20.0


def main() -> int:
    """Run as asked; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--target", choices=TARGETS, help="one target only")
    parser.add_argument("--input", type=Path, help="try the input in this file, of --target")
    chosen = parser.parse_args()
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    if chosen.input is not None:
        if chosen.target is None:
            parser.error("--input needs --target")
        accepted = TARGETS[chosen.target].read(chosen.input.read_bytes())
        print("accepted" if accepted else "refused")
        return 0
    targets = [TARGETS[chosen.target]] if chosen.target else list(TARGETS.values())
    count = f"{len(targets)} target{'' if len(targets) == 1 else 's'}"
    print(f"seed {chosen.seed}, {chosen.seconds:g} s, {count}", flush=True)
    tallies = [_run(each, chosen.seed, chosen.seconds / len(targets)) for each in targets]
    _print(tallies)
    return 1 if any(tally.found or tally.findings for tally in tallies) else 0


def _run(target: Target, seed: int, seconds: float) -> Tally:
    end = time.monotonic() + seconds
    watch = _Watch(seed)
    try:
        tally = fuzz(target, seed, lambda _: time.monotonic() < end, watch)
    finally:
        watch.stop()
    for finding in tally.findings.values():
        _tell(finding)
    return tally


class _Watch:
    """Ends the process when one input takes too long, which only another thread can notice."""

    def __init__(self, seed: int) -> None:
        self._seed, self._now = seed, ("", b"")
        self._count = 0
        self._stop = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def __call__(self, target: str, raw: bytes) -> None:
        self._count += 1
        self._now = (target, raw)

    def stop(self) -> None:
        self._stop.set()

    def _look(self) -> None:
        before = -1
        while not self._stop.wait(_HANGS_S):
            if self._count == before and before > 0:
                target, raw = self._now
                _tell(Finding(target, self._seed, before, "hangs", "", raw))
                os._exit(1)
            before = self._count


def _tell(finding: Finding) -> None:
    print(f"{finding}\n  saved as {finding.save(OUT)}", flush=True)


def _print(tallies: list[Tally]) -> None:
    head = ("target", "inputs", "accepted", "refused", "findings", "inputs/s")
    form = "{:<14}{:>12}{:>12}{:>12}{:>10}{:>10}"
    print(form.format(*head))
    for each in tallies:
        rate = each.tried / each.seconds if each.seconds else 0.0
        counts = (each.tried, each.accepted, each.refused, each.found, round(rate))
        print(form.format(each.target, *(f"{count:,}" for count in counts)))
    total = [
        sum(getattr(t, name) for t in tallies) for name in ("tried", "accepted", "refused", "found")
    ]
    seconds = sum(each.seconds for each in tallies)
    total.append(round(total[0] / seconds) if seconds else 0)
    print(form.format("all", *(f"{count:,}" for count in total)))


if __name__ == "__main__":
    sys.exit(main())
