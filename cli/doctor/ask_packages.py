"""Looks at Python and its packages. Imports nothing but the standard library."""

import platform
import shlex
import sys
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.doctor.report import Finding
from cli.doctor.verdicts import machine as verdict

_LOCK = Path(__file__).parents[2] / "requirements.txt"


async def ask() -> AsyncIterator[Finding]:
    """See the module."""
    shown = f"{platform.python_version()} ({sys.executable})"
    yield verdict.python(sys.version_info[:2], shown)
    try:
        text = _LOCK.read_text(encoding="utf-8")
    except OSError:
        return  # an image may come without it
    locked = list(verdict.read_lock(text))
    installed = {each.name: found for each in locked if (found := _version(each.name))}
    stamp = Path(sys.prefix, ".ready-run")
    built = shlex.quote(str(stamp)) if stamp.exists() else ""
    for finding in verdict.packages(locked, installed, stamp=built):
        yield finding


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
