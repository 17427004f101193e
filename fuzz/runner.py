"""Feeds a target with spoilt inputs and counts what became of them."""

import hashlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzz.mutation import mutate
from fuzz.targets import Target

_ROOT = Path(__file__).parents[1]
# A reader that takes longer for one input of some kilobytes can be kept busy by a stranger.
SLOW_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One input that a reader neither accepted nor refused as it should.

    Attributes:
        number: Which input of ``target`` and ``seed`` it was; -1 for one of the corpus itself.
        what: The error and where it was raised.
    """

    target: str
    seed: int
    number: int
    what: str
    trace: str
    raw: bytes

    def save(self, folder: Path) -> Path:
        """Keep the input and the trace; the path of the input."""
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(self.raw).hexdigest()[:12]
        path = folder / f"{self.target}-{digest}"
        path.write_bytes(self.raw)
        path.with_suffix(".txt").write_text(self.trace, encoding="utf-8", errors="backslashreplace")
        return path

    def __str__(self) -> str:
        return (
            f"FINDING {self.target}: {self.what}\n"
            f"  seed {self.seed}, input {self.number}: {self.raw[:2000]!r}"
        )


@dataclass(slots=True)
class Tally:
    """What became of the inputs of one target; each kind of finding is kept once."""

    target: str
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)
    found: int = 0

    @property
    def tried(self) -> int:
        """All of them."""
        return self.accepted + self.refused + self.found


def fuzz(
    target: Target,
    seed: int,
    go_on: Callable[[Tally], bool],
    watch: Callable[[str, bytes], None] = lambda _target, _raw: None,
) -> Tally:
    """Try one input after the other while ``go_on``; ``watch`` is told each beforehand."""
    tally, corpus = Tally(target.name), target.corpus()
    for raw in corpus:
        _try(target, seed, -1, raw, tally)
    began = time.monotonic()
    while go_on(tally):
        number = tally.tried
        raw = mutate(corpus, target.form, Random(f"{seed} {target.name} {number}"))
        watch(target.name, raw)
        _try(target, seed, number, raw, tally)
    tally.seconds = time.monotonic() - began
    return tally


def _ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in ("services", "shared")


def _try(target: Target, seed: int, number: int, raw: bytes, tally: Tally) -> None:
    began, trace = time.monotonic(), ""
    try:
        if target.read(raw):
            tally.accepted += 1
        else:
            tally.refused += 1
        what = ""
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        tally.found += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = next((each for each in reversed(frames) if _ours(each.filename)), frames[-1])
        what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"
        trace = traceback.format_exc()
        kind = f"{type(error).__name__} {place.filename}:{place.lineno}"
    else:
        kind = "slow"
        if (took_s := time.monotonic() - began) > SLOW_S:
            what = f"one input took {took_s:.1f} s"
    if what and kind not in tally.findings:
        tally.findings[kind] = Finding(target.name, seed, number, what[:500], trace, raw)
