"""Looks at the folders of logs and data: is there room, can the logs be written?

In threads, since the disk of another machine may not answer.
"""

import os
import pwd
import shlex
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

from cli.doctor.installation import Installation
from cli.doctor.report import Finding, warn
from cli.doctor.verdicts import machine as verdict
from services.notifier.background import in_background
from shared.log import file_of

Kind = Literal["absent", "folder", "file", "obstacle"]


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    if reason := found.unknown("logging", "file"):
        yield warn("log folder", f"not checked: {reason}", "correct that first")
    elif found.settings.logging.file:
        configured = found.settings.logging.file
        for finding in await in_background(lambda: list(_logs(configured))):
            yield finding
    if found.settings.redis.embedded and not found.unknown("redis", "url"):
        yield await in_background(lambda: _disk("data", found.data))


def _logs(configured: str) -> Iterator[Finding]:
    # The services write beside what is configured, each into a file of its own.
    pattern = file_of("*", configured)
    folder = pattern.parent.absolute()
    yield from verdict.writable(str(folder), _user(), list(_unwritable(folder, configured)))
    yield _disk("log", folder)


def _user() -> str:
    """Who we are; variables may tell of somebody else."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # in a container
        return str(os.geteuid())


def _unwritable(folder: Path, configured: str) -> Iterator[verdict.Unwritable]:
    for each in (folder, *folder.parents):
        try:
            if each.is_dir():
                # The only way to know: there are root, access lists, disks that are read-only.
                with tempfile.TemporaryFile(dir=each):
                    break
            if each.exists():
                yield _refused("obstacle", each, "it is not a folder")
                return
        except OSError as error:
            kind: Kind = "folder" if each == folder else "absent"
            yield _refused(kind, folder, error.strerror or type(error).__name__)
            return
    path = Path(configured)
    for file in sorted(folder.glob(f"{path.stem}-*{path.suffix}")):
        try:
            os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
        except OSError as error:
            yield _refused("file", file, error.strerror or type(error).__name__)


def _refused(kind: Kind, path: Path, reason: str) -> verdict.Unwritable:
    return verdict.Unwritable(kind, str(path), shlex.quote(str(path)), reason)


def _disk(what: str, folder: Path) -> Finding:
    there = _existing(folder)
    seen = os.statvfs(there)
    files = seen.f_favail if seen.f_files else None
    return verdict.disk(verdict.Disk(what, str(there), seen.f_bavail * seen.f_frsize, files))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: where it would be made."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if os.path.isdir(each))
