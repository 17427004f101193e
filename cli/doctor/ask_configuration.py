"""Looks at the configuration: found, right, private, with all its secrets."""

import shlex
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from cli.doctor.installation import Installation
from cli.doctor.report import Finding
from cli.doctor.verdicts import configuration as verdict
from shared.config_keys import SECRET_NAMES

_VARIABLES = {f"{section}.{key}": name for name, (section, key) in SECRET_NAMES.items()}
# How the secrets of config.example.json begin.
_EXAMPLE = "your-"


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    file = _file(found)
    for finding in verdict.validity(file, list(_faults(found))):
        yield finding
    if file is not None:
        for finding in verdict.permissions(file):
            yield finding
    for finding in verdict.secrets(list(_needed(found)), _VARIABLES):
        yield finding
    if found.examined.readable and not found.unknown("smtp") and not found.unknown("telegram"):
        for finding in verdict.alerts(found.settings.channels):
            yield finding


def _file(found: Installation) -> verdict.File | None:
    path = found.examined.path
    if path is None:
        return None
    try:
        mode = _effective_mode(path)
    except OSError:
        mode = None
    return verdict.File(str(path), shlex.quote(str(path)), mode, found.examined.in_file)


def _effective_mode(path: Path) -> int:
    real = path.resolve(strict=True)
    mode = stat.S_IMODE(real.stat().st_mode)
    for folder in real.parents:
        passable = folder.stat().st_mode
        if not passable & stat.S_IXOTH:
            mode &= ~(stat.S_IRWXO if passable & stat.S_IXGRP else stat.S_IRWXO | stat.S_IRWXG)
    return mode


def _faults(found: Installation) -> Iterator[verdict.Fault]:
    name = found.examined.path
    for fault in found.examined.faults:
        what = str(fault).removesuffix(f" -> {fault.remedy}")
        yield verdict.Fault(what if fault.path or not name else f"{name}: {what}", fault.remedy)


def _needed(found: Installation) -> Iterator[verdict.Secret]:
    """Secrets of what is on; those that are wrong are among the faults."""
    settings, wrong = found.settings, {fault.path for fault in found.examined.faults}
    secrets: dict[str, str] = {}
    if settings.smtp and settings.smtp.user:
        secrets["smtp.password"] = settings.smtp.password.get_secret_value()
    if settings.telegram.enabled:
        secrets["telegram.bot_token"] = settings.telegram.bot_token.get_secret_value()
    for key, text in secrets.items():
        example = text.startswith(_EXAMPLE)
        if key in wrong and not example:
            continue
        origin = found.examined.origins.get(key, "from the file")
        yield verdict.Secret(key, bool(text), example, origin)
