"""Findings, and how they are shown. Pure.

A finding is one line: ``ok``, ``warn`` (worth a look, the scanner works) or ``fail`` (it does not,
or not for long), what was seen, and what to do.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

WIDTH = 100
_NAME_WIDTH = 14
_INDENT = " " * (6 + _NAME_WIDTH)

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        check: What was looked at, in a word or two.
        remedy: What to do; empty only where all is well.
    """

    level: Level
    check: str
    what: str
    remedy: str = ""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding("ok", check, what)


def warn(check: str, what: str, remedy: str) -> Finding:
    """The scanner works, but this is worth a look."""
    return Finding("warn", check, what, remedy)


def fail(check: str, what: str, remedy: str) -> Finding:
    """The scanner does not work, or will not for long."""
    return Finding("fail", check, what, remedy)


_REMEDY = re.compile(
    r": (?=(?:add|ask|check|correct|extend|free|give|install|leave|name|point|raise|set|start"
    r"|unblock|write)\b)"
)


def split(sentence: str) -> tuple[str, str]:
    """What is wrong and the remedy, of a sentence of the scanner's own that holds both."""
    places = [found.start() for found in _REMEDY.finditer(sentence)]
    return (sentence[: places[-1]], sentence[places[-1] + 2 :]) if places else (sentence, "")


def exit_code(findings: Sequence[Finding], *, usable: bool) -> int:
    """2 where the configuration cannot be used, else 1 if anything failed, else 0."""
    if not usable:
        return 2
    return 1 if any(each.level == "fail" for each in findings) else 0


def document(findings: Sequence[Finding], code: int, version: str) -> dict[str, Any]:
    """For programs."""
    return {
        "version": version,
        "exit_code": code,
        **{level: _count(findings, level) for level in ("ok", "warn", "fail")},
        "checks": [asdict(each) for each in findings],
    }


def text(findings: Sequence[Finding], *, colour: bool = False) -> Iterator[str]:
    """For people, line by line."""
    for each in findings:
        lines = list(_wrapped(each.what))
        level = _coloured(each.level) if colour else each.level
        gap = " " * (6 - len(each.level))
        yield f"{level}{gap}{each.check:<{_NAME_WIDTH - 1}} {lines[0]}"
        yield from (f"{_INDENT}{line}" for line in lines[1:])
        if each.remedy:
            first, *more = _wrapped(each.remedy, 3)
            yield f"{_INDENT}-> {first}"
            yield from (f"{_INDENT}   {line}" for line in more)
    yield ""
    yield headline(findings)


def headline(findings: Sequence[Finding]) -> str:
    """``2 fail, 1 warn, 14 ok``."""
    counts = [(level, _count(findings, level)) for level in ("fail", "warn", "ok")]
    said = ", ".join(f"{count} {level}" for level, count in counts if count)
    worst = next((level for level, count in counts if count), "ok")
    return said if worst != "ok" else f"{said}: nothing is wrong here"


def _count(findings: Sequence[Finding], level: str) -> int:
    return sum(each.level == level for each in findings)


def _coloured(level: Level) -> str:
    return f"\x1b[1;{ {'ok': 32, 'warn': 33, 'fail': 31}[level] }m{level}\x1b[0m"


def _wrapped(sentence: str, taken: int = 0) -> Iterator[str]:
    """Lines of at most the width, broken between words only: a command can be copied."""
    room, line = WIDTH - len(_INDENT) - taken, ""
    for word in sentence.split(" "):
        if line and len(line) + 1 + len(word) > room:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
